# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
HELP='Makes this machine the first master of a new cluster.

Usage:
  coxswain init [flags]

Flags:
      --apiserver-advertise-address string
        Address that others reach this master at; by default the one of the default route.
      --control-plane-endpoint string
        Name (or address) and port for all masters; by default this master.
      --apiserver-cert-extra-sans string
        Further names and addresses for the certificate of kube-apiserver, comma-separated.
      --pod-network-cidr string
        Range for pods; by default 10.244.0.0/16.
      --service-cidr string
        Range for Services; by default 10.96.0.0/12.
      --service-dns-domain string
        Domain of the cluster; by default cluster.local.
      --load-balancer-pool string
        Addresses for Services of type LoadBalancer: a range as 192.0.2.64/28 or 192.0.2.64-192.0.2.79. Without it they wait
        until the ConfigMap cloud-provider-bare in loadbalancer-system names some.
      --node-name string
        Name of the node; by default the name of the machine.
      --token string
        Token to join with; by default a random one.
      --token-ttl duration
        How long the token is good for; by default 24h.
      --certificate-validity-period duration
        Life of certificates; by default 8760h (a year). Authorities live ten years.
      --upload-certs
        Store the authorities in the cluster, sealed, so that other masters can join within two hours.
      --skip-token-print
        Leave the token out of what is printed.'

write_settings() {
        mkdir -p -m 755 "$etc"
        cat >"$settings_file" <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: kubernetes
kubernetesVersion: $version
controlPlaneEndpoint: $endpoint
certificatesDir: $pki
certificateValidityPeriod: $validity
apiServer:
  certSANs: [$sans]
networking:
  dnsDomain: $domain
  podSubnet: $pods
  serviceSubnet: $services
YAML
        chmod 644 "$settings_file"
}

# The addon with the pool that was given; without one, load balancers wait until somebody names addresses.
balancers() {
        if [ -n "$pool" ]; then
                sed "s#@BALANCERS@#$pool#" "$(addon_folder)/loadbalancer.yaml"
        else
                sed -e '/@BALANCERS@/d' -e '/^    - name: default$/d' -e 's/^  pools: |$/  pools: "[]"/' \
                        "$(addon_folder)/loadbalancer.yaml"
        fi
}

# What every cluster has, in kubeadm's names.
bring_objects() {
        balancers | kubectl --kubeconfig "$etc/super-admin.conf" apply -f - >/dev/null
        bring_rights "$etc/super-admin.conf"
        say upload-config 'Storing the configuration used in ConfigMap "kubeadm-config" in the "kube-system" Namespace'
        kubelet_config >"$etc/kubelet-config.new"
        k create configmap kubelet-config -n kube-system "--from-file=kubelet=$etc/kubelet-config.new" >/dev/null
        rm "$etc/kubelet-config.new"
        publish_endpoint
        say addons "Applied essential addon: default-storageclass"
        k apply -f "$(addon_folder)/default-storageclass.yaml" >/dev/null
}

print_end() {
        cat <<TEXT

Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p \$HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf \$HOME/.kube/config
  sudo chown \$(id -u):\$(id -g) \$HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=/etc/kubernetes/admin.conf

TEXT
        if [ -n "$upload" ]; then
                printf '%s\n\n' 'You can now join any number of control-plane nodes running the following command on each as root:'
                join_command "$token" "$upload"
                printf '\nPlease note that the certificate-key gives access to cluster sensitive data, keep it secret!\n\n'
        fi
        printf 'Then you can join any number of worker nodes by running the following on each as root:\n\n'
        join_command "$token"
}

command_init() {
        local own='' endpoint='' sans='' pods=10.244.0.0/16 services=10.96.0.0/12 domain=cluster.local node='' token='' ttl=24h
        local validity=8760h hide='' upload='' pool='' version server
        take_flags "apiserver-advertise-address=own control-plane-endpoint=endpoint apiserver-cert-extra-sans=sans
                pod-network-cidr=pods service-cidr=services service-dns-domain=domain load-balancer-pool=pool node-name=node
                token=token token-ttl=ttl certificate-validity-period=validity skip-token-print!=hide upload-certs!=upload" "$@"
        [ ${#words[@]} -eq 0 ] || fail "init takes no argument"
        need_root
        . "$parts/check.bash"
        . "$parts/pki.bash"
        . "$parts/node.bash"
        . "$parts/control-plane.bash"
        . "$parts/token.bash"
        . "$parts/seal.bash"
        own=${own:-$(own_address)} node=${node:-$(hostname | tr '[:upper:]' '[:lower:]')}
        endpoint=${endpoint:-$own:6443}
        [[ $endpoint == *:* ]] || endpoint+=:6443
        token=${token:-$(new_token)}
        version=$(kubectl version --client | sed -n 's/^Client Version: //p')
        check_address --apiserver-advertise-address "$own"
        check_endpoint --control-plane-endpoint "$endpoint"
        check_form --apiserver-cert-extra-sans "$sans" "|$name_form(,$name_form)*" "a list of names and addresses"
        check_cidr --pod-network-cidr "$pods"
        check_cidr --service-cidr "$services"
        check_name --service-dns-domain "$domain"
        check_name --node-name "$node"
        [ -z "$pool" ] || check_pool --load-balancer-pool "$pool"
        check_token --token "$token"
        seconds_of --token-ttl "$ttl" >/dev/null
        seconds_of --certificate-validity-period "$validity" >/dev/null
        server=$own:6443
        say init "Using Kubernetes version: $version"
        preflight master || fail "the machine is not ready for a cluster; nothing was changed"
        write_settings
        say certs "Using certificateDir folder \"$pki\""
        make_authorities
        start_control_plane new "$node=https://$own:2380"
        bring_objects
        master_node
        [ -n "$hide" ] || say bootstrap-token "Using token: $token"
        create_token "$token" "$ttl" "The default bootstrap token generated by 'coxswain init'."
        until_true 240 "the control plane runs" control_plane_runs
        until_true 240 "the node is Ready" node_is_ready "$admin" "$node"
        until_true 240 "the kubelet has a certificate to serve with" test -s "$kubelet_root/pki/kubelet-server-current.pem"
        if [ -n "$upload" ]; then
                say upload-certs 'Storing the certificates in Secret "kubeadm-certs" in the "kube-system" Namespace'
                upload=$(upload_certs)
        fi
        [ -z "$hide" ] || token='<TOKEN>'
        print_end
}
