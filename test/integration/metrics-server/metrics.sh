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
        local flags=(--requestheader-client-ca-file "$work/front.crt" --requestheader-allowed-names front-proxy-client --tls-cert-file "$work/metrics.crt"
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
t_adapter() {
        mkdir -p "$work/values"
        _pki_cert "$work" adapter /CN=adapter serverAuth "DNS:adapter.default.svc"
        adapter_port=$(free_port)
        python3 "$here/adapter.py" "$work" "$address" "$adapter_port" >"$work/adapter.log" 2>&1 3>&- &
        echo $! >>"$work/pids"
        apiservice_add custom.metrics.k8s.io v1beta2 adapter "$work/ca.crt" "$address" "$adapter_port" &&
                apiservice_add external.metrics.k8s.io v1beta1 adapter "$work/ca.crt" "$address" "$adapter_port" &&
                component_start "$work" kube-controller-manager --controllers horizontal-pod-autoscaler-controller \
                        --horizontal-pod-autoscaler-sync-period 2s --horizontal-pod-autoscaler-downscale-stabilization 4s \
                        --horizontal-pod-autoscaler-cpu-initialization-period 1s || return 1
        echo 9 >"$work/values/lines"
        until_true 60 k get --raw /apis/external.metrics.k8s.io/v1beta1/namespaces/default/lines
}
deployment() { # NAME REPLICAS: nobody makes its pods
        k create deployment "$1" --image=x --replicas="$2"
}
size_is() { equals "$(k get deployment "$1" -o 'jsonpath={.spec.replicas}')" "$2"; }
condition_is() { equals "$(k get hpa "$1" -o "jsonpath={.status.conditions[?(@.type=='$2')].status} {.status.conditions[?(@.type=='$2')].reason}")" "$3"; }
running() { # POD NODE LABEL: it runs, is ready, and requests a core
        printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","labels":{"app":"%s"}},"spec":{"nodeName":"%s","containers":[{"name":"c","image":"x","resources":{"requests":{"cpu":"1"}}}]}}' "$1" "$3" "$2" | k create -f - &&
                k patch pod "$1" --subresource=status -p '{"status":{"phase":"Running","startTime":"2020-01-01T00:00:00Z","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2020-01-01T00:01:00Z"}]}}'
}
t_cpu() { # a quarter of what is requested, where a tenth is wanted
        k delete pod pod-0 --grace-period=0 --force && running pod-0 node-0 web && deployment web 1 || return 1
        k patch deployment web --subresource=status -p '{"status":{"replicas":1}}' &&
                k autoscale deployment web --cpu=10% --min=1 --max=5 && until_true 60 size_is web 3 &&
                condition_is web ScalingActive 'True ValidMetricFound' && until_true 30 eval 'k describe hpa web | grep -q "New size: 3; reason: cpu resource utilization (percentage of request) above target"' &&
                equals "$(k get hpa web -o 'jsonpath={.status.currentMetrics[0].resource.current.averageUtilization}' | sed 's/2[45]/25/')" 25
}
t_shrinks() { k patch hpa web -p '{"spec":{"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":90}}}]}}' && until_true 60 size_is web 1 && says 'All metrics below target' k describe hpa web; }
autoscaler() { # NAME MIN METRIC
        k apply -f - <<<"{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: $1}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: $1}, minReplicas: $2, maxReplicas: 20, metrics: [$3]}}"
}
t_custom() {
        echo 30 >"$work/values/hits"
        echo 12 >"$work/values/depth"
        running pod-p node-0 bypods && deployment bypods 1 && deployment byobject 0 && deployment byline 0 || return 1
        autoscaler bypods 1 '{type: Pods, pods: {metric: {name: hits}, target: {type: AverageValue, averageValue: 10}}}' &&
                autoscaler byobject 0 '{type: Object, object: {metric: {name: depth}, describedObject: {apiVersion: v1, kind: Service, name: adapter}, target: {type: Value, value: 4}}}' &&
                autoscaler byline 0 '{type: External, external: {metric: {name: lines, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: 3}}}' || return 1
        until_true 60 size_is bypods 3 && until_true 60 size_is byobject 3 && until_true 60 size_is byline 3 &&
                grep -q 'labelSelector=a%3Db' "$work/adapter.log" && echo 0 >"$work/values/lines" && k patch deployment byline --subresource=status -p '{"status":{"replicas":3}}' && until_true 60 size_is byline 0
}
t_unmeasured() {
        deployment dark 2 && k autoscale deployment dark --cpu=10% --max=5 && until_true 60 condition_is dark ScalingActive 'False FailedGetResourceMetric' &&
                until_true 30 eval 'says FailedComputeMetricsReplicas k describe hpa dark' && size_is dark 2 &&
                k autoscale deployment missing --name missing --cpu=10% --max=5 2>/dev/null
        autoscaler none 1 '{type: Pods, pods: {metric: {name: hits}, target: {type: AverageValue, averageValue: 10}}}' && until_true 60 condition_is none AbleToScale 'False FailedGetScale'
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
ok "an adapter serves custom and external metrics" t_adapter
ok "an autoscaler follows the CPU, tells why, and stays" t_cpu
ok "and shrinks after its window" t_shrinks
ok "autoscalers by pods, objects and external metrics, up from zero" t_custom
ok "what cannot be measured is told, and changes nothing" t_unmeasured
ok "a node that goes" t_gone
ok "killed, and back" t_killed
ok "nothing was complained about" no_complaints
tap_end
