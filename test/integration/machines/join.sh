#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A node joins by a bootstrap token: the kubelet asks for its client certificate and for one to serve with, and renews both, while
# requests go both ways. LIFE: seconds that certificates are good for (30); LIVES: how many of them are waited for (2).
set -u
if [ -z "${IN_NETWORK:-}" ]; then exec env IN_NETWORK=1 unshare -n -m "$0" "$@"; fi
cd "$(dirname "$0")/../../.."
. test/lib/tap.sh
. test/lib/control-plane.sh
life=${LIFE:-30} lives=${LIVES:-2}
CP=$(mktemp -d /tmp/coxswain-join.XXXXXX)
node=$CP/node
group=cxj-${CP##*.}
TAP_ON_FAILURE=show
show() { tail -n 15 "$CP"/kubelet.log "$CP"/kube-controller-manager.log; k get csr; k get events -A | tail -n 20; }
finish() {
        local pid folder
        touch "$CP/stop"
        for pid in ${load_pid:-} $(cat "$CP/kubelet.pid" 2>/dev/null); do _end "$pid" 10; done
        control_plane_stop "$CP"
        for folder in $(find /sys/fs/cgroup -depth -type d -path "*/$group*"); do rmdir "$folder"; done
        umount -R "$node" 2>/dev/null
        rm -rf "$CP"
}
trap finish EXIT
ip link set lo up
ip link add nodes type bridge && ip addr add 10.77.0.2/24 dev nodes && ip link set nodes up # proxies lead to no loopback
address=10.77.0.2

control_plane_start "$CP" "$(free_port)" --kubelet-certificate-authority "$CP/ca.crt" || exit 1
port=$(cat "$CP/port")
component_start "$CP" kube-controller-manager --cluster-signing-cert-file "$CP/ca.crt" --cluster-signing-key-file "$CP/ca.key" \
        --cluster-signing-duration "${life}s" --root-ca-file "$CP/ca.crt" --node-monitor-grace-period 20s \
        --controllers '*,bootstrap-signer-controller,token-cleaner-controller,kubelet-serving-approver-controller'

binding() { k create clusterrolebinding "$1" --clusterrole="$2" --group="$3"; }
binding join system:node-bootstrapper system:bootstrappers:workers >/dev/null
binding approve system:certificates.k8s.io:certificatesigningrequests:nodeclient system:bootstrappers:workers >/dev/null
binding renew system:certificates.k8s.io:certificatesigningrequests:selfnodeclient system:nodes >/dev/null
k -n kube-system create secret generic bootstrap-token-abcdef --type bootstrap.kubernetes.io/token --from-literal=token-id=abcdef \
        --from-literal=token-secret=0123456789abcdef --from-literal=usage-bootstrap-authentication=true \
        --from-literal=usage-bootstrap-signing=true --from-literal=auth-extra-groups=system:bootstrappers:workers >/dev/null
k -n kube-public create configmap cluster-info --from-literal=kubeconfig='{clusters: [{cluster: {server: "https://10.77.0.99:6443"}}]}' >/dev/null

mkdir -p "$node"
bootstrap() { # TOKEN: as scripts write it for a machine that joins
        cat >"$CP/bootstrap.conf" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: https://127.0.0.1:1
    certificate-authority-data: $(base64 -w0 <"$CP/ca.crt")
    extensions: [{name: coxswain/servers, extension: {servers: ["https://127.0.0.1:$port"]}}]
users: [{name: joiner, user: {token: "$1"}}]
contexts: [{name: join, context: {cluster: cluster, user: joiner}}]
current-context: join
YAML
}
cat >"$CP/config.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
rotateCertificates: true
serverTLSBootstrap: true
clusterDNS: [10.96.0.10]
cgroupRoot: /$group
authentication: {x509: {clientCAFile: $CP/ca.crt}}
port: $((port + 100))
healthzPort: 0
YAML
kubelet_start() {
        "$BIN/kubelet" --config "$CP/config.yaml" --root-dir "$node" --kubeconfig "$CP/kubelet.conf" --cert-dir "$node/pki" \
                --bootstrap-kubeconfig "$CP/bootstrap.conf" --hostname-override n1 --node-ip $address --v 2 >>"$CP/kubelet.log" 2>&1 3>&- &
        echo $! >"$CP/kubelet.pid"
}
kubelet_stop() { _end "$(cat "$CP/kubelet.pid")" 10; }
logged() { until_true 60 grep -q "$1" "$CP/kubelet.log"; }
serial() { openssl x509 -noout -serial -in "$node/pki/kubelet-$1-current.pem"; } # client|server
renewed() { [ "$(serial "$1")" != "$2" ]; }
asks_kubelet() { equals "$(k get --raw /api/v1/nodes/n1/proxy/healthz)" ok; }

signed() { k -n kube-public get configmap cluster-info -o jsonpath='{.data.jws-kubeconfig-abcdef}' | grep -q '\.\.'; }
ok "cluster-info is signed with the token" until_true 60 signed

bootstrap abcdef.wrongwrongwrong0
kubelet_start
refused() { logged 'the token in .*bootstrap.conf is not accepted' && until_true 30 _gone "$(cat "$CP/kubelet.pid")"; }
ok "a token that is not known ends it, and the message says which file it is in" refused

bootstrap abcdef.0123456789abcdef
k delete clusterrolebinding approve >/dev/null
kubelet_start
csr() { k get csr -o jsonpath="{.items[?(@.spec.signerName==\"kubernetes.io/$1\")].$2}"; } # SIGNER PATH
waits() { [ -n "$(csr kube-apiserver-client-kubelet metadata.name)" ]; }
waits_for_approval() {
        until_true 60 waits && equals "$(csr kube-apiserver-client-kubelet spec.username)" system:bootstrap:abcdef &&
                equals "$(csr kube-apiserver-client-kubelet spec.usages)" '["digital signature","client auth"]' && ! k get node n1
}
ok "without the permission for it nobody approves the request" waits_for_approval
again() { # it finds the request that it has made
        kubelet_stop && kubelet_start && until_true 60 grep -q 'Waiting for a certificate' <(tail -n 3 "$CP/kubelet.log") &&
                equals "$(csr kube-apiserver-client-kubelet metadata.name | wc -w)" 1
}
ok "a kubelet that is ended while it waits, and started again, waits for the same one" again
binding approve system:certificates.k8s.io:certificatesigningrequests:nodeclient system:bootstrappers:workers >/dev/null
k certificate approve "$(csr kube-apiserver-client-kubelet metadata.name)" >/dev/null
ok "once it is approved the node registers" until_true 60 k get node n1

as_upstream() {
        [ -L "$node/pki/kubelet-client-current.pem" ] && [ "$(stat -Lc %a "$node/pki/kubelet-client-current.pem")" = 600 ] &&
                openssl x509 -noout -subject -nameopt RFC2253 -in "$node/pki/kubelet-client-current.pem" | grep -q 'CN=system:node:n1,O=system:nodes' &&
                grep -q "client-certificate: $node/pki/kubelet-client-current.pem" "$CP/kubelet.conf" &&
                grep -q coxswain/servers "$CP/kubelet.conf" && [ ! -e "$node/pki/kubelet-client.key.tmp" ]
}
ok "kubelet-client-current.pem and the kubeconfig are as upstream's kubelet leaves them" as_upstream
ok "it serves with a certificate of the cluster's, which the API server verifies" until_true 60 asks_kubelet

# --- requests that are not the node's to have ---

foreign() { # NAME SUBJECT SAN: asked for by the node itself
        openssl req -new -key "$CP/server.key" -subj "$2" -addext "subjectAltName=$3" -out "$CP/$1.csr" 2>/dev/null
        k --kubeconfig "$CP/kubelet.conf" create -f - <<YAML
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $1}
spec: {request: $(base64 -w0 <"$CP/$1.csr"), signerName: kubernetes.io/kubelet-serving, usages: [digital signature, server auth]}
YAML
}
judged() { k get events -A -o jsonpath="{.items[?(@.involvedObject.name==\"$1\")].message}" | grep "$2"; }
left_open() { # NAME WHY
        until_true 60 judged "$1" "$2" && [ -z "$(k get csr "$1" -o jsonpath='{.status.conditions}')" ]
}
node_subject=/O=system:nodes/CN=system:node:n1
foreign_address() { foreign address $node_subject IP:10.9.9.9 && left_open address 'has not registered the address 10.9.9.9'; }
foreign_name() { foreign name $node_subject DNS:kubernetes,IP:$address && left_open name '"kubernetes" is not the name of the node'; }
odd_name() { foreign odd $node_subject URI:spiffe://x,IP:$address && left_open odd 'not what a kubelet asks for'; }
shared_address() {
        k apply -f - <<<'{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: '$address'}]}}' &&
                k patch node n2 --subresource status --type merge -p '{"status":{"addresses":[{"type":"InternalIP","address":"'$address'"}]}}' &&
                foreign shared $node_subject IP:$address && left_open shared 'is that of Node "n2", too' && k delete node n2
}
endpoint_address() { # the cluster is known by it: a master may have it, no other node
        k apply -f - <<<'{apiVersion: v1, kind: Node, metadata: {name: n3}}' &&
                k patch node n3 --subresource status --type merge -p '{"status":{"addresses":[{"type":"InternalIP","address":"10.77.0.99"}]}}' || return
        openssl req -new -key "$CP/server.key" -subj /O=system:nodes/CN=system:node:n3 -addext subjectAltName=IP:10.77.0.99 -out "$CP/endpoint.csr" 2>/dev/null
        k --as system:node:n3 --as-group system:nodes create -f - <<YAML || return
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: endpoint}
spec: {request: $(base64 -w0 <"$CP/endpoint.csr"), signerName: kubernetes.io/kubelet-serving, usages: [digital signature, server auth]}
YAML
        left_open endpoint '"10.77.0.99" is where the API servers are, and the Node is no master' &&
                k label node n3 node-role.kubernetes.io/control-plane= && until_true 60 approved endpoint && k delete node n3
}
approved() { equals "$(k get csr "$1" -o jsonpath='{.status.conditions[0].type}')" Approved; }
ok "an address that the node has not registered is not approved" foreign_address
ok "nor another name" foreign_name
ok "nor a name of another kind" odd_name
ok "nor an address that another node has as well" shared_address
ok "nor the address of the API servers, unless it is a master" endpoint_address
k delete csr address name odd shared endpoint >/dev/null

# --- renewal under load ---

(
        calls=0 failed=0
        while [ ! -e "$CP/stop" ]; do
                for what in /api/v1/nodes/n1/proxy/healthz /api/v1/nodes/n1; do
                        calls=$((calls + 1))
                        k get --raw $what >/dev/null 2>>"$CP/failures" || failed=$((failed + 1))
                done
                k --kubeconfig "$CP/kubelet.conf" get --raw /api/v1/nodes/n1 >/dev/null 2>>"$CP/failures" || failed=$((failed + 1))
                calls=$((calls + 1))
                echo "$calls requests, $failed failed" >"$CP/load.new" && mv "$CP/load.new" "$CP/load"
        done
) &
load_pid=$!
before=$(cat "$CP/kubelet.pid")
renews() {
        local n client server
        for n in $(seq "$lives"); do
                client=$(serial client) server=$(serial server)
                until_true $((3 * life)) renewed client "$client" && until_true $((3 * life)) renewed server "$server" || return
        done
}
ok "$lives lives of its certificates go by" renews
touch "$CP/stop"
wait $load_pid
load_pid=
echo "# certificates of $life s: $(cat "$CP/load")"
went_well() {
        cat "$CP/failures"
        grep -q ', 0 failed' "$CP/load" && ! _gone "$before" && ! grep -E 'lease was not renewed|status was not taken' "$CP/kubelet.log"
}
ok "no request failed, and the kubelet was not started again" went_well
kept() { equals "$(ls "$node/pki" | grep -c '^kubelet-client-[0-9]')" 2; }
ok "the files of the certificates before are removed" kept

kubelet_stop
expired() { ! openssl x509 -noout -checkend 0 -in "$node/pki/kubelet-client-current.pem"; }
until_true $((3 * life)) expired
old=$(serial client)
kubelet_start
joins_again() { until_true 120 renewed client "$old" && until_true 60 asks_kubelet; }
ok "one whose certificate has expired meanwhile joins again by the token, once nothing is heard of its node" joins_again
taken() { # who may join is not the node that is there
        openssl req -new -key "$CP/server.key" -subj "$node_subject" -out "$CP/taken.csr" 2>/dev/null
        k --kubeconfig "$CP/bootstrap.conf" --server "https://127.0.0.1:$port" create -f - <<YAML || return
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: taken}
spec: {request: $(base64 -w0 <"$CP/taken.csr"), signerName: kubernetes.io/kube-apiserver-client-kubelet, usages: [digital signature, client auth]}
YAML
        left_open taken 'node "n1" lives, and did not ask for it'
}
node_lives() { equals "$(k get node n1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" False; } # there is no network
until_true 60 node_lives
ok "a token to join with does not become a node that lives" taken
tap_end
