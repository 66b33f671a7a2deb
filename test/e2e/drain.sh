#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two real nodes are drained, one after the other, while a Service answers: a disruption budget keeps it up. Prints TAP.
#   test/e2e/drain.sh [KUBECTL]       KUBECTL: ours by default; upstream's judges the same
set -u
. "$(dirname "$0")/../lib/cluster.sh"
cluster_begin quota-drain "${1:-}"

load_image() {
        "$top/test/images/build" "$work/images" && tar -C "$work/images/hello-v1" -cf "$work/hello.tar" . &&
                mk image load "$work/hello.tar"
}
t_serve() {
        k apply -f - <<YAML || return 1
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}]
      containers:
      - name: hello
        image: hello:v1
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 2}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {type: LoadBalancer, trafficDistribution: PreferSameNode, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 3, selector: {matchLabels: {app: web}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere}
spec:
  selector: {matchLabels: {app: everywhere}}
  template: {metadata: {labels: {app: everywhere}}, spec: {containers: [{name: hello, image: hello:v1}]}}
YAML
        k rollout status deployment/web --timeout=120s && until_true 60 has_address && url=http://$(address) && until_true 60 curl -sf --max-time 2 "$url"
}
address() { k get service "${1:-web}" -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'; }
has_address() { [ -n "$(address)" ]; }
on_node() { k get pods -l "app=$1" --field-selector "spec.nodeName=$2,status.phase=Running" --no-headers 2>/dev/null | grep -vc Terminating; }
budget() { k get pdb web -o 'jsonpath={.status.expectedPods} {.status.desiredHealthy} {.status.currentHealthy} {.status.disruptionsAllowed}'; }
whole() { equals "$(budget)" "4 3 4 1"; }
nodes() { k get nodes -o 'jsonpath={.items[*].metadata.name}'; }

# The node that answers for the Service "near" serves it from its own pods while it has some.
holder() { k -n loadbalancer-system get lease "lb-$(address near)" -o 'jsonpath={.spec.holderIdentity}'; }
pods_on() { k get pods -l app=web --field-selector "spec.nodeName=$1" -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | sort; }
answers_from() { # NODE: a request is answered by one of its pods
        local name
        name=$(curl -sf --max-time 5 "http://$(address near)" | sed -n 's/^Hello from \([^,]*\),.*/\1/p')
        pods_on "$1" | grep -qx "$name"
}
t_near() {
        local node _
        node=$(holder)
        until_true 60 answers_from "$node" || return 1
        for _ in $(seq 20); do answers_from "$node" || return 1; done
}
t_far() {
        local near far status
        near=$(holder)
        far=$(nodes | xargs -n1 | grep -vx "$near")
        local web=$url
        url=http://$(address near)
        load_start
        # The node takes no others meanwhile, so that its place is taken by the other one.
        k cordon "$near" && k delete pod $(pods_on "$near") && until_true 60 answers_from "$far" && k uncordon "$near"
        status=$?
        load_stop && [ $status -eq 0 ] && url=$web && k delete pods $(pods_on "$far") --wait=false && until_true 60 whole &&
                until_true 60 answers_from "$near"
}

t_refuses() { # DaemonSets are to be ignored, or nothing goes
        local out
        out=$(k drain "$1" 2>&1) && return 1
        k uncordon "$1"
        echo "$out"
        [[ "$out" == *"cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"* ]] && [ "$(on_node web "$1")" -gt 0 ]
}
t_drain() {
        local out
        until_true 60 whole || return 1
        load_start
        out=$(k drain "$1" --ignore-daemonsets --timeout=240s 2>&1)
        local status=$?
        echo "$out"
        load_stop && [ $status -eq 0 ] && [[ "$out" == *"node/$1 drained"* ]] && equals "$(on_node web "$1")" 0 &&
                [ "$(grep -c '^pod/web-.* evicted' <<<"$out")" = "$2" ] && until_true 60 whole && k get pods -o wide
}
t_daemons_stay() { k get pods -l app=everywhere --field-selector "spec.nodeName=$1" --no-headers | grep -c Running; }
t_blocked() { # more than one may not go: the rest is tried again until the time is over
        k patch pdb web --type=merge -p '{"spec":{"minAvailable":4}}' && until_true 60 blocked || return 1
        local out
        out=$(k drain "$1" --ignore-daemonsets --timeout=8s 2>&1) && return 1
        echo "$out"
        [[ "$out" == *"(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget."* ]] &&
                [[ "$out" == *"global timeout reached: 8s"* ]] && equals "$(on_node web "$1")" 4 &&
                k patch pdb web --type=merge -p '{"spec":{"minAvailable":3}}'
}
blocked() { equals "$(budget)" "4 4 4 0"; }
t_uncordon() { k uncordon "$1" && ! k get node "$1" -o 'jsonpath={.spec.taints}' | grep unschedulable; }

must "minikube start --nodes 2" mk start --nodes 2
ok "both nodes are Ready" until_true 60 nodes_ready 2
ok "the image is there" load_image
read -r first second <<<"$(nodes)"
t_serve >"$work/serve.log" 2>&1
status=$?
[ $status -eq 0 ] || sed 's/^/# /' "$work/serve.log"
ok "a Deployment behind a Service with a budget, on both nodes" test $status -eq 0
ok "a Service that prefers the same node is served by its pods" t_near
ok "when they go the others take over: no request fails" t_far
ok "a drain refuses pods of DaemonSets" t_refuses "$second"
ok "one node is drained under load: no request fails" t_drain "$second" 2
ok "its DaemonSet's pod stays" t_daemons_stay "$second"
ok "a budget that allows nothing holds the other up" t_blocked "$first"
ok "the first comes back" t_uncordon "$second"
ok "the other is drained under load: no request fails" t_drain "$first" 4
ok "it comes back, too" t_uncordon "$first"
tap_end
