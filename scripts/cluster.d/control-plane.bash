# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What makes a machine a master: authorities, certificates, etcd and the units of the control plane.

make_authorities() {
        authority ca kubernetes
        authority front-proxy-ca front-proxy-ca
        authority etcd/ca etcd-ca
        [ -s "$pki/sa.key" ] || say certs 'Generating "sa" key and public key'
        new_key "$pki/sa.key"
        openssl pkey -in "$pki/sa.key" -pubout -out "$pki/sa.pub"
        readable_by coxswain-sa "$pki/sa.key"
        readable_by kube-controller-manager "$pki/ca.key"
        chmod 644 "$pki/sa.pub"
        [ -s "$pki/encryption.yaml" ] || encryption_config >"$pki/encryption.yaml"
        readable_by kube-apiserver "$pki/encryption.yaml"
}
encryption_config() { # Secrets are sealed from the first start on
        cat <<YAML
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: $(openssl rand -base64 32)
  - identity: {}
YAML
}
# Who changed what, who looked at what is secret, and who got into pods: not what they saw. What components do all day to keep
# themselves informed is left out. It stays as it is when somebody has made it another.
bring_audit_policy() {
        [ -s "$etc/audit-policy.yaml" ] || audit_policy >"$etc/audit-policy.yaml"
        readable_by kube-apiserver "$etc/audit-policy.yaml"
}
audit_policy() {
        cat <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
# Probes, documents, and what everybody renews all day.
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", /version, /metrics, "/openapi/*", /api, /apis, "/api/*", "/apis/*"]
- level: None
  resources:
  - {group: coordination.k8s.io, resources: [leases]}
  - {group: "", resources: [events]}
  - {group: events.k8s.io, resources: [events]}
- level: None
  userGroups: ["system:nodes"]
  resources: [{group: "", resources: [nodes/status, pods/status]}]
# Secrets and what is like them: who, and which.
- level: Metadata
  resources:
  - {group: "", resources: [secrets, serviceaccounts/token]}
  - {group: authentication.k8s.io, resources: [tokenreviews]}
# Who gets into pods, and past the API to nodes, pods and Services: also by a GET, and whoever it is.
- level: Metadata
  resources:
  - {group: "", resources: [pods/exec, pods/attach, pods/portforward, pods/proxy, services/proxy, nodes/proxy]}
# What the system reads to do its work.
- level: None
  users:
  - system:apiserver
  - system:kube-controller-manager
  - system:kube-scheduler
  - system:cloud-controller-manager
  verbs: [get, list, watch]
- level: None
  userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]
  verbs: [get, list, watch]
- level: None
  userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]
  resources: [{group: authorization.k8s.io}]
# What is configured, what pods are made of, and who may do what.
- level: Metadata
  resources:
  - {group: "", resources: [configmaps, pods]}
  - {group: rbac.authorization.k8s.io}
# All else that changes something, and whatever is not told of above.
- level: Metadata
YAML
}
etcd() { # WORDS...: etcdctl as root of this machine
        ETCDCTL_API=3 etcdctl --endpoints "${etcd_server:-https://127.0.0.1:2379}" --cacert "$pki/etcd/ca.crt" \
                --cert "$pki/etcd/healthcheck-client.crt" --key "$pki/etcd/healthcheck-client.key" "$@"
}

control_plane_runs() {
        [ "$(systemctl is-active "${master_units[@]}" | sort -u)" = active ]
}
# etcd, and kube-apiserver behind it, start while the rest is being made.
start_control_plane() { # new|existing NAME=PEER-URL,… [COMMAND when etcd runs]
        local state=$1 members=$2 unit
        chmod 755 "$etc" "$pki" "$pki/etcd"
        each_row "$etcd_certificates" issue
        if systemctl is-enabled --quiet etcd.service 2>/dev/null; then
                say etcd "Stopping and disabling etcd.service of Debian, which would use the same ports"
                systemctl disable --quiet --no-reload --now etcd.service
        fi
        set_args coxswain-etcd
        systemctl start --no-block coxswain-etcd
        each_row "$certificates" issue
        ${3:+"$3"}
        bring_audit_policy
        for unit in "${master_units[@]:1}"; do set_args "$unit"; done
        say control-plane "Starting the control plane"
        systemctl start --no-block kube-apiserver
        each_row "$kubeconfigs" issue_kubeconfig
        say wait-control-plane "Waiting for a healthy kube-apiserver"
        until_true 240 "kube-apiserver is ready" api_ready "$etc/super-admin.conf"
        systemctl start --no-block "${master_units[@]:2}"
        enable_units "${master_units[@]}"
}

# Where the cluster is, for those who join: its settings, and its address and authority.
publish_endpoint() {
        local file=$etc/cluster-info.new
        kubeconfig "$file" "$(setting controlPlaneEndpoint)" "$pki/ca.crt" nobody
        sed -i -e '/^users:/,$d' "$file"
        bring_configmap kube-public cluster-info "kubeconfig=$file"
        rm "$file"
        bring_configmap kube-system kubeadm-config "ClusterConfiguration=$settings_file"
}
bring_configmap() { # NAMESPACE NAME KEY=FILE: makes it, or puts this into the one that is there
        k create configmap "$2" -n "$1" "--from-file=$3" --dry-run=client -o yaml |
                k apply --server-side --force-conflicts --field-manager coxswain -f - >/dev/null
}

# The node that a master is, which takes what tolerates that.
master_node() {
        local folder
        folder=$(new_folder)
        new_key "$folder/key"
        sign ca "$folder/key" "/O=system:nodes/CN=system:node:$node" clientAuth "" "$(life)" "$folder/certificate"
        cat "$folder/certificate" "$folder/key" >"$folder/pair"
        keep_node_certificate "$folder/pair"
        start_node "$admin" node-role.kubernetes.io/control-plane=:NoSchedule
        say mark-control-plane \
                "Marking the node $node as control-plane by adding the labels: [node-role.kubernetes.io/control-plane]"
        k label --overwrite node "$node" node-role.kubernetes.io/control-plane= >/dev/null
        . "$parts/refresh.bash"
        (alone && refresh_servers)
}

# --- the authorities, on their way to another master ---

shared_files=(ca.crt ca.key front-proxy-ca.crt front-proxy-ca.key etcd/ca.crt etcd/ca.key sa.key sa.pub encryption.yaml)

# Sealed into the Secret kubeadm-certs, which goes with a token that nobody is told. Prints the key.
upload_certs() {
        local folder token owner
        folder=$(new_folder)
        new_seal_key >"$folder/key"
        tar -C "$pki" -cf "$folder/tar" "${shared_files[@]}"
        seal "$folder/key" "$folder/tar" "$folder/sealed"
        token=$(new_token)
        create_token "$token" 2h "Proxy for managing TTL for the kubeadm-certs secret"
        owner=$(k get secret -n kube-system "bootstrap-token-${token%.*}" -o 'jsonpath={.metadata.uid}')
        k delete secret kubeadm-certs -n kube-system --ignore-not-found >/dev/null
        k create -f - >/dev/null <<YAML
apiVersion: v1
kind: Secret
metadata:
  name: kubeadm-certs
  namespace: kube-system
  ownerReferences: [{apiVersion: v1, kind: Secret, name: "bootstrap-token-${token%.*}", uid: "$owner"}]
data: {certificates: "$(base64 -w0 <"$folder/sealed")"}
YAML
        cat "$folder/key"
}
download_certs() { # KUBECONFIG KEY
        local folder
        folder=$(new_folder)
        printf '%s\n' "$2" >"$folder/key"
        kubectl --kubeconfig "$1" get secret kubeadm-certs -n kube-system -o 'jsonpath={.data.certificates}' |
                base64 -d >"$folder/sealed" ||
                fail "the certificates are not in the cluster (any more). On a master: coxswain certs upload"
        unseal "$folder/key" "$folder/sealed" "$folder/tar"
        mkdir -p -m 755 "$pki/etcd"
        tar -C "$pki" --no-same-owner --no-same-permissions -xf "$folder/tar" "${shared_files[@]}"
        chmod 644 "$pki"/{ca,front-proxy-ca,etcd/ca}.crt
}

# --- members of etcd ---

# As a learner, which has no vote before it has all data: a machine that does not get that far takes nothing from the others.
join_control_plane() { # KUBECONFIG KEY
        local cluster peer=https://$own:2380
        say download-certs 'Downloading the certificates in Secret "kubeadm-certs" in the "kube-system" Namespace'
        mv "$pki/ca.crt" "$pki/ca.discovered"
        undo=(forget_authorities "$1")
        download_certs "$1" "$2"
        openssl x509 -in "$pki/ca.crt" 2>/dev/null | cmp -s "$pki/ca.discovered" - || fail "the authority in Secret kubeadm-certs is not the cluster's"
        rm "$pki/ca.discovered"
        make_authorities
        each_row 'etcd/healthcheck-client | etcd/ca | /CN=kube-etcd-healthcheck-client | clientAuth | root | none' issue
        etcd_server=$(sed 's#\(.*\):6443#https://\1:2379#' "$servers_file" | paste -sd,)
        say etcd "Announced new etcd member joining to the existing etcd cluster"
        until_true 240 "etcd takes this machine as a member (etcdctl member list, on a master, tells what it waits for)" \
                add_member "$peer"
        undo=(leave_etcd_again "$peer" "$etcd_server")
        cluster=$(etcd member list | awk -F', ' -v peer="$peer" -v name="$node" '
                {printf("%s%s=%s", (NR > 1 ? "," : ""), ($4 == peer ? name : $3), $4)}')
        start_control_plane existing "$cluster" promote_member
        undo=(rm -f "$etc/bootstrap-kubelet.conf")
        etcd_server=
        master_node
        until_true 240 "the control plane runs" control_plane_runs
}
forget_authorities() { # KUBECONFIG: what a machine that does not become a master must not keep
        rm -f "$1" "${shared_files[@]/#/$pki/}"
}
add_member() { [ -n "$(member_id "$1")" ] || etcd member add "$node" --learner "--peer-urls=$1"; } # PEER-URL
member_id() { etcd member list | awk -F', ' -v peer="$1" '$4 == peer {print $1}'; } # PEER-URL
leave_etcd_again() { # PEER-URL SERVERS
        rm -f "$etc/bootstrap-kubelet.conf"
        etcd_server=$2
        etcd member remove "$(member_id "$1")" >/dev/null 2>&1 || :
}
promote_member() {
        local id
        id=$(member_id "https://$own:2380")
        say etcd "Waiting for the new etcd member to have all data"
        until_true 240 "the member of etcd gets all data" etcd member promote "$id"
}
