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

ok "minikube start --nodes 2" mk start --nodes 2 --extra-config controller-manager.horizontal-pod-autoscaler-sync-period=5s \
        --extra-config controller-manager.horizontal-pod-autoscaler-cpu-initialization-period=5s \
        --extra-config metrics-server.metric-resolution=10s
ok "an image of our own is loaded" load_image
t_serve >"$work/out" 2>&1; status=$?
ok "a Deployment serves" test $status -eq 0
ok "addons enable metrics-server: kubectl top tells what is used" t_enable
ok "under load replicas are added, and the autoscaler says why" t_follows
ok "without load they go" t_shrinks
ok "without metrics the autoscaler says so, and keeps the size" t_without
tap_end
