# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What makes a machine a node: its credentials, the kubelet's configuration, and the units of nodes. `node` is its name, `own`
# its address, `server` where the apiserver is.

# Of a machine that is in a cluster: its name, address and server.
known_node() {
        own=$(sed -n 's/.*--node-ip=\([0-9.]*\).*/\1/p' /etc/default/kubelet)
        node=$(sed -n 's/.*--hostname-override=\([^ "]*\).*/\1/p' /etc/default/kubelet)
        server=$(sed -n 's#^ *server: https://##p' "$etc/kubelet.conf")
        check_address --node-ip "$own"
        check_name --hostname-override "$node"
        check_endpoint server "$server"
}

# The masters as the cluster has them: nodes with the role, whether they live or not. True when they are others than we knew.
learn_servers() { # KUBECONFIG
        local found address
        found=$(kubectl --kubeconfig "$1" get nodes -l node-role.kubernetes.io/control-plane \
                -o 'jsonpath={range .items[*]}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}' |
                cut -d' ' -f1 | sort) && [ -n "$found" ] || return 1
        for address in $found; do check_address "address of a master" "$address"; done
        sed 's/$/:6443/' <<<"$found" >"$servers_file.new"
        chmod 644 "$servers_file.new"
        ! cmp -s "$servers_file.new" "$servers_file" && mv "$servers_file.new" "$servers_file"
}

kubelet_config() { # what all kubelets of the cluster have in common
        cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
clusterDNS: [$(address_of_network "$(setting serviceSubnet)" 10)]
clusterDomain: $(setting dnsDomain)
staticPodPath: $etc/manifests
readOnlyPort: 0
podPidsLimit: 4096
seccompDefault: true
rotateCertificates: true
serverTLSBootstrap: true
YAML
}

# The certificate that the kubelet is known by, when nobody has to be asked for it. Later ones the kubelet asks for itself.
keep_node_certificate() { # PAIR
        mkdir -p -m 700 "$kubelet_root/pki"
        local file
        file=$kubelet_root/pki/kubelet-client-$(date -u +%Y-%m-%d-%H-%M-%S).pem
        install -m 600 "$1" "$file"
        ln -sfn "$file" "$kubelet_root/pki/kubelet-client-current.pem"
        write_kubelet_conf
}
write_kubelet_conf() {
        local pair=$kubelet_root/pki/kubelet-client-current.pem
        kubeconfig "$etc/kubelet.conf" "$server" "$pki/ca.crt" default-auth "client-certificate: $pair" "client-key: $pair"
}

# Accounts of units: a token each, which this node asks for in its own name. It is good for a day and dies with the node.
account_token() { # ACCOUNT
        local group=root file=$etc/tokens/$1 uid
        mkdir -p -m 755 "$etc/tokens"
        ! getent group "$1" >/dev/null || group=$1
        uid=$(kubectl --kubeconfig "$etc/kubelet.conf" get node "$node" -o 'jsonpath={.metadata.uid}')
        kubectl --kubeconfig "$etc/kubelet.conf" create token "$1" -n kube-system --duration=24h --bound-object-kind=Node \
                --bound-object-name="$node" --bound-object-uid="$uid" >"$file.new"
        readable_by "$group" "$file.new"
        mv "$file.new" "$file"
}
account_kubeconfig() { # ACCOUNT
        local group=root
        ! getent group "$1" >/dev/null || group=$1
        account_token "$1"
        kubeconfig "$etc/$1.conf" "$server" "$pki/ca.crt" "$1" "tokenFile: $etc/tokens/$1"
        readable_by "$group" "$etc/$1.conf"
}

# An account for each unit of nodes, and its role.
node_accounts() {
        local account role
        while read -r account role; do
                cat <<YAML
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: $account, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "coxswain:$account"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "$role"}
subjects: [{kind: ServiceAccount, name: $account, namespace: kube-system}]
YAML
        done <<'ACCOUNTS'
kube-proxy system:node-proxier
cluster-dns system:cluster-dns
storage-provisioner system:storage-provisioner
loadbalancer-announcer system:loadbalancer-announcer
ACCOUNTS
}
bring_rights() { # KUBECONFIG of an administrator
        { cat "$parts/bindings.yaml" && node_accounts; } | kubectl --kubeconfig "$1" apply -f - >/dev/null
}
# In clusters of a version before each account made its own tokens, which were bound to nothing.
drop_former_rights() { # KUBECONFIG of an administrator
        local names=("${token_accounts[@]/#/coxswain:}")
        kubectl --kubeconfig "$1" delete -n kube-system --ignore-not-found rolebindings "${names[@]/%/-token}" >/dev/null
        kubectl --kubeconfig "$1" delete -n kube-system --ignore-not-found roles "${names[@]/%/-token}" >/dev/null
}

# The timer looks several times in the last third of a certificate's life, also of a short one. An empty line forgets what
# the unit has of its own.
start_renewal() {
        local life folder=/etc/systemd/system/coxswain-refresh.timer.d
        life=$(seconds_of certificateValidityPeriod "$(setting certificateValidityPeriod)")
        rm -rf "$folder"
        if [ "$life" -lt 3600 ]; then
                mkdir -p -m 755 "$folder"
                cat >"$folder/life.conf" <<TIMER
[Timer]
OnUnitInactiveSec=
OnBootSec=5
OnUnitInactiveSec=$((life / 12 + 1))
RandomizedDelaySec=0
AccuracySec=1s
TIMER
                chmod 644 "$folder/life.conf"
        fi
        systemctl enable --quiet coxswain-refresh.timer # reads units anew: systemd of Debian 13 complains otherwise
        systemctl restart coxswain-refresh.timer
}
node_is_known() { kubectl --kubeconfig "$etc/kubelet.conf" get node "$node"; }
start_node() { # KUBECONFIG that may read kubelet-config, TAINT or nothing
        local account unit
        mkdir -p -m 755 "$etc/manifests" "$kubelet_root"
        say kubelet-start "Writing kubelet configuration to file \"$kubelet_root/config.yaml\""
        kubectl --kubeconfig "$1" get configmap kubelet-config -n kube-system \
                -o 'jsonpath={.data.kubelet}' >"$kubelet_root/config.yaml"
        set_args kubelet ${2:+"--register-with-taints=$2"}
        for unit in "${node_units[@]:1}"; do set_args "$unit"; done
        say kubelet-start "Starting the kubelet"
        start_units kubelet
        until_true 240 "the node registers" node_is_known
        write_kubelet_conf # as the kubelet did, in the form that `refresh` changes
        for account in "${token_accounts[@]}"; do account_kubeconfig "$account"; done
        start_units "${node_units[@]:1}"
        enable_units "${node_units[@]}"
        start_renewal
}
