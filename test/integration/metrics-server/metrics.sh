#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# metrics-server behind the aggregator, before kubelets that only have metrics (kubelets.py), asked by upstream's kubectl. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
upstream=$("$here/../../lib/upstream-clients") || { echo "1..0 # upstream's clients are not there"; exit 1; }
work=$(mktemp -d /tmp/coxswain-metrics.XXXXXX)
CP=$work
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
TAP_LINES=12 TAP_ON_FAILURE=show
show() { k get apiservice v1beta1.metrics.k8s.io -o 'jsonpath={.status}'; tail -qn 4 "$work"/*.log | cut -c1-300; }
aggregating_control_plane_start "$work" "$(free_port)" || { cat "$work"/*.log; exit 1; }
KUBECTL=$upstream/kubectl

address=$(own_address)
kubelets=$(free_port) port=$(free_port)
_pki_cert "$work" kubelet /CN=kubelet serverAuth "IP:$address"
_pki_cert "$work" metrics /CN=metrics serverAuth "DNS:metrics-server.default.svc"
_pki_cert "$work" stranger /CN=stranger clientAuth "" front
python3 "$here/kubelets.py" "$work" "$address" "$kubelets" 3 >"$work/kubelets.log" 2>&1 3>&- &
echo $! >>"$work/pids"

node() { # NUMBER PORT
        printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-%s","labels":{"rack":"r%s"}}}' "$1" $(($1 % 2)) | k create -f - &&
                k patch node "node-$1" --subresource=status -p "{\"status\":{\"capacity\":{\"cpu\":\"4\",\"memory\":\"4Gi\",\"pods\":\"10\"},\"allocatable\":{\"cpu\":\"2\",\"memory\":\"2Gi\",\"pods\":\"10\"},\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"$address\"}],\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":$2}}}}" &&
                printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod-%s","labels":{"app":"a%s"}},"spec":{"nodeName":"node-%s","containers":[{"name":"c","image":"x"}]}}' "$1" "$1" "$1" | k create -f -
}
t_nodes() {
        k create serviceaccount default 2>/dev/null
        for i in 0 1 2; do node $i $((kubelets + i)) || return 1; done
}
start() {
        local flags=(--client-ca-file "$work/front.crt" --requestheader-allowed-names front-proxy-client --tls-cert-file "$work/metrics.crt"
                --tls-private-key-file "$work/metrics.key" --secure-port "$port" --metric-resolution 10s --kubelet-preferred-address-types InternalIP)
        kubeconfig_for "$work" metrics-server system:metrics-server system:masters
        "$BIN/metrics-server" --kubeconfig "$work/metrics-server.kubeconfig" "${flags[@]}" >>"$work/metrics-server.log" 2>&1 3>&- &
        echo $! | tee "$work/metrics-server.pid" >>"$work/pids"
}
top_has() { k top "${@:2}" | grep -Eq "$1" || { k top "${@:2}"; return 1; }; }
t_not_yet() { # before two answers there are no figures, and that is said
        start
        apiservice_add metrics.k8s.io v1beta1 metrics-server "$work/ca.crt" "$address" "$port" && until_true 60 k get --raw /apis/metrics.k8s.io/v1beta1/nodes &&
                { k top nodes 2>&1 | grep -Eq 'metrics not available yet|node-0'; } 
}
t_node() { until_true 60 top_has '^node-0 +(49[0-9]|50[0-9]|51[0-9])m +2[456]% +1024Mi +50%' nodes; }
t_pod() { until_true 30 top_has '^pod-1 +c +(24[0-9]|25[0-9])m +64Mi' pods --containers && top_has '^default +pod-2' pods -A --sort-by cpu && k top pods --sum | tail -1 | grep -q 192Mi; }
t_select() {
        equals "$(k top pods -l app=a1 --no-headers | wc -l)" 1 && equals "$(k get --raw '/apis/metrics.k8s.io/v1beta1/nodes?labelSelector=rack%3Dr0' | jq '.items | length')" 2 &&
                equals "$(k get --raw '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?fieldSelector=metadata.name%3Dpod-2' | jq -r '.items[].metadata.name')" pod-2
}
t_object() {
        k get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods/pod-0 >"$work/pod" &&
                jq -e '.kind == "PodMetrics" and .metadata.labels.app == "a0" and (.window | test("^[0-9]+(\\.[0-9]+)?s$")) and (.containers[0].usage.cpu | test("^[0-9]+n$")) and .containers[0].usage.memory == "65536Ki"' "$work/pod" || { cat "$work/pod"; return 1; }
}
says() { # WORDS COMMAND...
        local out
        out=$("${@:2}" 2>&1)
        grep -qF "$1" <<<"$out" || { echo "$out"; return 1; }
}
t_refusals() {
        says 'podmetrics.metrics.k8s.io "default/none" not found' k get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods/none &&
                says 'nodemetrics.metrics.k8s.io "none" not found' k get --raw /apis/metrics.k8s.io/v1beta1/nodes/none &&
                says 'unable to parse requirement' k get --raw '/apis/metrics.k8s.io/v1beta1/pods?labelSelector=a%20b%20c' &&
                says 'field label not supported: spec.nodeName' k get --raw '/apis/metrics.k8s.io/v1beta1/pods?fieldSelector=spec.nodeName%3Da' &&
                says 'does not allow this method' k get --raw '/apis/metrics.k8s.io/v1beta1/pods?watch=1'
}
t_table() { says MEMORY k get podmetrics && says node-1 k get nodemetrics && says 'What the containers of a pod use' k explain podmetrics; }
status_of() { curl -sk -o /dev/null -w '%{http_code}' "$@" "https://$address:$port/apis/metrics.k8s.io/v1beta1/nodes"; }
t_closed() { # nobody but the API server gets in, whoever signed them
        equals "$(status_of -H 'X-Remote-User: admin' -H 'X-Remote-Group: system:masters')" 401 &&
                equals "$(status_of --cert "$work/admin.crt" --key "$work/admin.key")" 401 &&
                equals "$(status_of --cert "$work/stranger.crt" --key "$work/stranger.key")" 401 &&
                equals "$(status_of --cert "$work/front-client.crt" --key "$work/front-client.key")" 200
}
timestamp() { k get --raw "/apis/metrics.k8s.io/v1beta1/nodes/$1" | jq -r .timestamp; }
is_later() { [[ $(timestamp "$1") > $2 ]]; }
t_hangs() { # a kubelet that hangs slows no other node's figures
        touch "$work/hang-0"
        local before
        before=$(timestamp node-1)
        until_true 60 is_later node-1 "$before" && before=$(timestamp node-1) && until_true 60 is_later node-1 "$before"
        local r=$?
        rm -f "$work/hang-0"
        [ $r = 0 ]
}
unknown() { ! k get --raw "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/$1"; }
t_restart() { # a container that starts anew counts from zero: no figure is made of two lives
        touch "$work/restart-2"
        until_true 60 unknown pod-2 && until_true 60 top_has '^pod-2 +(24[0-9]|25[0-9])m' pods
}
t_gone() { k delete node node-1 && until_true 60 eval '! k get --raw /apis/metrics.k8s.io/v1beta1/nodes | grep -q node-1'; }
t_killed() { # the API says so, and nothing else suffers
        kill -9 "$(cat "$work/metrics-server.pid")"
        ! k top nodes && k get nodes && start && until_true 90 top_has '^node-0' nodes
}
ok "nodes and pods are there" t_nodes
ok "no figures before there are two answers" t_not_yet
ok "top nodes" t_node
ok "top pods, with containers, sorted, summed" t_pod
ok "selectors" t_select
ok "the object is upstream's" t_object
ok "refusals in upstream's words" t_refusals
ok "tables and explain" t_table
ok "nobody else gets in" t_closed
ok "a kubelet that hangs holds up no other" t_hangs
ok "a container that starts anew" t_restart
ok "a node that goes" t_gone
ok "killed, and back" t_killed
ok "nothing was complained about" no_complaints
tap_end
