# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
HELP='Makes this machine a worker, or with --control-plane another master.

Usage:
  coxswain join HOST:PORT [flags]

Flags:
      --token string
        Token to join with.
      --discovery-token-ca-cert-hash string
        Digest of the public key of the cluster'\''s authority: sha256:...
      --control-plane
        Become a master.
      --certificate-key string
        Key of the authorities that "coxswain init --upload-certs" or "coxswain certs upload" stored; for masters.
      --apiserver-advertise-address string
        Address that others reach this machine at; by default the one of the default route.
      --node-name string
        Name of the node; by default the name of the machine.'

# The cluster's authority, from a server that nobody has vouched for yet: believed when its key has the digest that we know. Only
# the certificate that was looked at is kept, in a form of our own: readers know more ways to write another one beside it.
discover() { # ENDPOINT PIN FILE
        local text given
        given=$(new_folder)/given
        text=$(KUBECONFIG=/dev/null kubectl --server "https://$1" --insecure-skip-tls-verify --request-timeout 10s \
                get configmap cluster-info -n kube-public -o 'jsonpath={.data.kubeconfig}') ||
                fail "no cluster answers at $1. Is the address right, and the master up?"
        sed -n 's/^ *certificate-authority-data: //p' <<<"$text" | base64 -d >"$given" 2>/dev/null &&
                openssl x509 -in "$given" -out "$3" 2>/dev/null || fail "what $1 says of its authority is not a certificate"
        [ "$(grep -c -e '-----BEGIN' "$given")" = 1 ] || fail "what $1 says of its authority is not one certificate"
        [ "$(ca_pin "$3")" = "$2" ] || fail "the authority of $1 is not the one with the digest $2." \
                "Take the command that a master prints: coxswain token create --print-join-command"
}

# Settings as the cluster has them, checked like those of a person.
fetch_settings() { # KUBECONFIG
        kubectl --kubeconfig "$1" get configmap kubeadm-config -n kube-system \
                -o 'jsonpath={.data.ClusterConfiguration}' >"$settings_file" ||
                fail "the token is not good any more. Make another on a master: coxswain token create --print-join-command"
        check_settings
        chmod 644 "$settings_file"
}

command_join() {
        local token='' pin='' master='' key='' own='' node='' server
        local bootstrap=$etc/bootstrap-kubelet.conf
        take_flags "token=token discovery-token-ca-cert-hash=pin control-plane!=master certificate-key=key
                apiserver-advertise-address=own node-name=node" "$@"
        [ ${#words[@]} -eq 1 ] || fail "join takes the endpoint of the cluster, as 192.0.2.10:6443"
        need_root
        . "$parts/check.bash"
        . "$parts/pki.bash"
        . "$parts/node.bash"
        server=${words[0]} own=${own:-$(own_address)} node=${node:-$(hostname | tr '[:upper:]' '[:lower:]')}
        check_endpoint HOST:PORT "$server"
        check_token --token "$token"
        check_form --discovery-token-ca-cert-hash "$pin" 'sha256:[0-9a-f]{64}' \
                "a digest, as sha256: and 64 hexadecimal digits"
        check_address --apiserver-advertise-address "$own"
        check_name --node-name "$node"
        [ -z "$master" ] || check_form --certificate-key "$key" '[0-9a-f]{64}' \
                "a key of 64 hexadecimal digits; print one on a master: coxswain certs upload"
        preflight "$([ -n "$master" ] && echo master || echo worker)" ||
                fail "the machine is not ready for a cluster; nothing was changed"
        mkdir -p -m 755 "$etc" "$pki"
        discover "$server" "$pin" "$etc/ca.new"
        mv "$etc/ca.new" "$pki/ca.crt"
        chmod 644 "$pki/ca.crt"
        undo=(rm -f "$bootstrap") # it holds the token
        kubeconfig "$bootstrap" "$server" "$pki/ca.crt" tls-bootstrap-token-user "token: $token"
        say preflight 'Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...'
        fetch_settings "$bootstrap"
        rm -f "$servers_file" # of an attempt before, or nothing would be new
        learn_servers "$bootstrap" || fail "the cluster tells no master"
        if [ -n "$master" ]; then
                . "$parts/control-plane.bash"
                . "$parts/seal.bash"
                join_control_plane "$bootstrap" "$key"
        else
                ! node_is_ready "$bootstrap" "$node" 2>/dev/null || fail "a node named \"$node\" is in the cluster already." \
                        "Give this one another name (--node-name), or delete that one: kubectl delete node $node"
                say kubelet-start "Waiting for the kubelet to perform the TLS Bootstrap"
                start_node "$bootstrap"
        fi
        until_true 240 "the node is Ready" node_is_ready "$etc/kubelet.conf" "$node"
        until_true 240 "the kubelet has a certificate to serve with" test -s "$kubelet_root/pki/kubelet-server-current.pem"
        cat <<'TEXT'

This node has joined the cluster:
* Certificate signing request was sent to apiserver and a response was received.
* The Kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.
TEXT
}
