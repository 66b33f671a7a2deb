#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Load comes and goes, and a Deployment on two real nodes follows it: metrics-server, kubectl top, an autoscaler. TAP.
#   test/e2e/autoscale.sh [KUBECTL]   KUBECTL: ours by default; upstream's judges the same
set -u
. "$(dirname "$0")/../lib/cluster.sh"
cluster_begin autoscale "${1:-}"

load_image() {
        "$top/test/images/build" "$work/images" && tar -C "$work/images/hello-v1" -cf "$work/hello.tar" . &&
                mk image load "$work/hello.tar"
}
t_serve() {
        k create deployment web --image=hello:v1 --port=8080 && k set resources deployment web --requests=cpu=20m &&
                k rollout status deployment/web --timeout=120s && k expose deployment web --type=LoadBalancer --port=80 --target-port=8080 &&
                until_true 60 has_address && url=http://$(address) && until_true 60 curl -sf --max-time 2 "$url"
}
address() { k get service web -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'; }
has_address() { [ -n "$(address)" ]; }
size() { k get deployment web -o 'jsonpath={.spec.replicas}'; }
is_larger() { [ "$(size)" -gt 1 ]; }
is_one() { equals "$(size)" 1; }
says() { # WORDS COMMAND...
        local out
        out=$("${@:2}" 2>&1)
        grep -qF -- "$1" <<<"$out" || { echo "$out"; return 1; }
}
node_is_known() { says m02 k top nodes; }
pod_is_known() { k top pods -l app=web --no-headers | grep -qE '^web-[^ ]+ +[0-9]+m +[0-9]+Mi'; }
t_enable() { mk addons enable metrics-server && mk addons list | grep -qE '^\| metrics-server .* enabled' && until_true 90 node_is_known && until_true 60 pod_is_known; }
# Prometheus runs on the first node, and finds by itself what there is: two nodes with six ports each, and five of masters.
inside() { ip netns exec "$profile" "$@"; }
answers_of() { inside curl -s --max-time 5 "http://127.0.0.1:9090/api/v1/query" --data-urlencode "query=$1" | jq -r '.data.result[].value[1]'; }
all_up() { equals "$(answers_of 'count(up == 1)')" "$1" && equals "$(answers_of 'count(up == 0)')" "" && equals "$(answers_of 'count(count by (job) (up))')" 12; }
disk_is_known() { [ "$(answers_of 'count(container_fs_usage_bytes{container="hello"})')" -ge 1 ]; }
t_prometheus() {
        local server
        server=$("$top/test/lib/prometheus") && k apply -f "$top/test/e2e/prometheus.yaml" &&
                k -n kube-system create token prometheus >"$work/token" || return 1
        node=$(k get node "$profile" -o 'jsonpath={.status.addresses[0].address}')
        sed "s#@API@#https://$node:8443#; s#@TOKEN@#$work/token#; s#@CA@#$work/.minikube/ca.crt#" "$top/test/e2e/prometheus.config" >"$work/prometheus.yml"
        inside "$server" --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/tsdb" --web.listen-address 127.0.0.1:9090 >"$work/prometheus.log" 2>&1 &
        echo $! >"$work/prometheus.pid"
        until_true 60 all_up 19 && [ "$(answers_of 'count(container_memory_working_set_bytes{container="hello",image!=""})')" -ge 1 ] &&
                [ "$(answers_of 'count(container_network_receive_bytes_total{pod=~"web-.*"})')" -ge 1 ] && [ "$(answers_of 'sum(apiserver_request_total) > 0' | wc -l)" -eq 1 ] &&
                [ "$(answers_of 'count(machine_cpu_cores)')" -eq 2 ] && [ "$(answers_of 'count(container_start_time_seconds)')" -ge 1 ] &&
                [ "$(answers_of 'count(etcd_server_has_leader)')" -eq 1 ] && until_true 120 disk_is_known
}
promtool_finds_nothing() { # what every port says
        local home=$work/.minikube url
        for url in "https://$1:8443/metrics" "https://$1:10250/metrics" "https://$1:10250/metrics/cadvisor" "https://$1:10250/metrics/resource" \
                "https://$1:10250/metrics/probes" "https://$1:10257/metrics" "https://$1:10259/metrics" "http://$1:10249/metrics" "https://$1:9153/metrics" \
                "https://$1:9808/metrics" "https://$1:4443/metrics"; do
                inside curl -sfk --max-time 10 --cert "$home/profiles/$profile/certs/admin.crt" --key "$home/profiles/$profile/certs/admin.key" "$url" >"$work/metrics" &&
                        promtool check metrics <"$work/metrics" || { echo "$url"; return 1; }
        done
}
t_lint() { promtool_finds_nothing "$(k get node "$profile" -o 'jsonpath={.status.addresses[0].address}')"; }
t_follows() {
        k autoscale deployment web --cpu=10% --min=1 --max=4 &&
                k patch hpa web --type=merge -p '{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":10}}}}' || return 1
        load_start
        until_true 120 is_larger && says 'above target' k describe hpa web && k rollout status deployment/web --timeout=60s
        local r=$?
        load_stop && [ $r -eq 0 ]
}
t_shrinks() { until_true 180 is_one && says 'All metrics below target' k describe hpa web; }
inactive() { equals "$(k get hpa web -o "jsonpath={.status.conditions[?(@.type=='ScalingActive')].reason}")" FailedGetResourceMetric; }
t_without() { # it says so, and keeps its size
        mk addons disable metrics-server && says 'Metrics API not available' k top nodes && until_true 60 inactive && is_one
}

must "minikube start --nodes 2" mk start --nodes 2 --extra-config controller-manager.horizontal-pod-autoscaler-sync-period=5s \
        --extra-config controller-manager.horizontal-pod-autoscaler-cpu-initialization-period=5s \
        --extra-config metrics-server.metric-resolution=10s --extra-config controller-manager.bind-address=0.0.0.0 --extra-config scheduler.bind-address=0.0.0.0 \
        --extra-config kube-proxy.metrics-bind-address=0.0.0.0:10249 --extra-config storage-provisioner.secure-port=9808 \
        --extra-config etcd.listen-metrics-urls=http://0.0.0.0:2381
ok "an image of our own is loaded" load_image
t_serve >"$work/out" 2>&1; status=$?
ok "a Deployment serves" test $status -eq 0
ok "addons enable metrics-server: kubectl top tells what is used" t_enable
ok "Prometheus scrapes every component and kubelet" t_prometheus
ok "promtool finds no fault with what they say" t_lint
ok "under load replicas are added, and the autoscaler says why" t_follows
ok "without load they go" t_shrinks
ok "without metrics the autoscaler says so, and keeps the size" t_without
tap_end
