#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A StatefulSet and a DaemonSet on real nodes, which die and come. Prints TAP.
#   test/e2e/workloads.sh [KUBECTL]       KUBECTL: ours by default; upstream's judges the same
set -u
. "$(dirname "$0")/../lib/cluster.sh"
cluster_begin workloads "${1:-}"

load_images() {
        local image
        "$top/test/images/build" "$work/images" || return 1
        for image in hello-v1 hello-v2; do
                tar -C "$work/images/$image" -cf "$work/$image.tar" . && mk image load "$work/$image.tar" || return 1
        done
}

# --- the StatefulSet ---
stateful_set() { # IMAGE REPLICAS PARTITION
        cat <<YAML
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: $2
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: $3}}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 2
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: db}}}]
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      containers:
      - name: hello
        image: $1
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
YAML
}
member() { k get pod "db-$1" -o "jsonpath={$2}"; }
members() { k get pods -l app=db --sort-by=.metadata.name -o "jsonpath={.items[*].metadata.name}"; }
images() { k get pods -l app=db --sort-by=.metadata.name -o "jsonpath={.items[*].spec.containers[0].image}"; }
members_are() { equals "$(members)" "$1"; }
images_are() { equals "$(images)" "$1"; }
status_is() { # WANTED FIELDS…: of the set's status, which speaks of the current generation
        local wanted=$1 path="{.metadata.generation}/{.status.observedGeneration}"
        shift
        for field; do path+=" {.status.$field}"; done
        equals "$(k get statefulset db -o jsonpath="$path" | sed -nE 's|^([0-9]+)/\1 ||p')" "$wanted"
}
resolves() { # FROM TO: the member's name leads to its address
        equals "$(looked_up "db-$1" "db-$2.db.default.svc.cluster.local")" "$(member "$2" .status.podIP)"
}
all_resolve() {
        local i j
        for i in 0 1 2; do for j in 0 1 2; do until_true 60 resolves $i $j || return 1; done; done
}
t_ordered() {
        stateful_set hello:v1 3 0 | k apply -f - && k rollout status statefulset/db --timeout=120s &&
                members_are "db-0 db-1 db-2" || return 1
        # Each began when the one before it was ready.
        local i ready
        for i in 1 2; do
                ready=$(member $((i - 1)) '.status.conditions[?(@.type=="Ready")].lastTransitionTime')
                [[ ! "$(member $i .metadata.creationTimestamp)" < "$ready" ]] || return 1
        done
        equals "$(k exec db-1 -- cat /etc/hostname)" db-1
}
renewed() { [ "$(member "$1" .metadata.uid)" != "$2" ] && equals "$(member "$1" '.status.conditions[?(@.type=="Ready")].status')" True; }
t_comes_back() {
        local was
        was=$(member 1 .metadata.uid)
        k delete pod db-1 --wait=false && until_true 60 renewed 1 "$was" && members_are "db-0 db-1 db-2" && all_resolve
}
# However the set is seen: the members are the first of their row.
in_a_row() {
        local i=0 name
        for name in $(members); do
                equals "$name" "db-$i" || return 1
                i=$((i + 1))
        done
        count=$i
}
t_scales_in_order() {
        local count=3
        k scale statefulset db --replicas=1 || return 1
        local end=$((SECONDS + 60))
        while [ $count -gt 1 ]; do in_a_row && [ $SECONDS -lt $end ] || return 1; done
        until_true 60 status_is "1 1" replicas readyReplicas && k scale statefulset db --replicas=3 || return 1
        end=$((SECONDS + 60))
        while [ $count -lt 3 ]; do in_a_row && [ $SECONDS -lt $end ] || return 1; done
        k rollout status statefulset/db --timeout=60s && all_resolve
}
t_partition() {
        stateful_set hello:v2 3 2 | k apply -f - && k rollout status statefulset/db --timeout=60s &&
                images_are "hello:v1 hello:v1 hello:v2" || return 1
        stateful_set hello:v2 3 0 | k apply -f - && k rollout status statefulset/db --timeout=90s &&
                images_are "hello:v2 hello:v2 hello:v2"
}
t_rolls_back() {
        k rollout undo statefulset/db && k rollout status statefulset/db --timeout=90s &&
                images_are "hello:v1 hello:v1 hello:v1" && equals "$(k rollout history statefulset/db | grep -c '^[0-9]')" 2
}
pull_fails() { k get pod db-2 --no-headers | grep -Eq 'ImagePullBackOff|ErrImagePull'; }
t_stuck() { # the rule of OrderedReady: the broken pod has to be deleted by hand
        k set image statefulset/db hello=localhost:1/nonesuch:v9 && until_true 60 pull_fails && k rollout undo statefulset/db || return 1
        until_true 60 status_is "3 2" replicas readyReplicas && pull_fails && images_are "hello:v1 hello:v1 localhost:1/nonesuch:v9" &&
                k delete pod db-2 && k rollout status statefulset/db --timeout=60s && images_are "hello:v1 hello:v1 hello:v1"
}
going() { [ -n "$(member "$1" .metadata.deletionTimestamp)" ]; }
lose_node() { # NODE: its processes end, and nothing starts them again
        kill -STOP "$(pid_of supervisor)"
        kill -9 "$(pid_of "kubelet-$1")" "$(pid_of "kube-proxy-$1")" "$(pid_of "cluster-dns-$1")"
}
# The member on the second node, which is lost: it is told to end, and is started nowhere else as long as it may run there.
lost_member() {
        local uid
        lost=$(k get pods -l app=db --field-selector spec.nodeName=workloads-m02 -o 'jsonpath={.items[0].metadata.name}')
        lost=${lost#db-}
        uid=$(member "$lost" .metadata.uid)
        lose_node workloads-m02
        until_true 90 node_not_ready workloads-m02 && until_true 60 going "$lost" || return 1
        k patch statefulset db --type=merge -p '{"spec":{"revisionHistoryLimit":'$((RANDOM % 90 + 9))'}}' &&
                until_true 60 status_is 3 replicas && equals "$(member "$lost" .metadata.uid)" "$uid" && was=$uid
}
t_node_back() { # its kubelet ends the pod, and the member starts anew
        local lost was r=0
        lost_member || r=1
        kill -CONT "$(pid_of supervisor)"
        [ $r -eq 0 ] && until_true 60 nodes_ready 2 && until_true 90 renewed "$lost" "$was" && k rollout status statefulset/db --timeout=60s && all_resolve
}
on_first() { equals "$(member "$1" .spec.nodeName)" workloads; }
t_forced() { # somebody who knows that it does not run there any more says so
        local lost was r=0
        lost_member && k delete pod "db-$lost" --force --grace-period=0 && until_true 60 renewed "$lost" "$was" && on_first "$lost" || r=1
        kill -CONT "$(pid_of supervisor)"
        until_true 60 nodes_ready 2 && [ $r -eq 0 ] && k rollout status statefulset/db --timeout=60s && all_resolve
}
t_gone() {
        k delete statefulset db && until_true 60 members_are "" && equals "$(k get controllerrevisions -l app=db -o name)" ""
}

# --- the DaemonSet ---
daemon_set() {
        cat <<YAML
apiVersion: v1
kind: Service
metadata: {name: agent}
spec: {type: LoadBalancer, selector: {app: agent}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers:
      - name: hello
        image: hello:v1
        env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 2}}}
YAML
}
agents() { k get pods -l app=agent -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | xargs; }
agents_are() { equals "$(agents)" "$1"; }
agents_run() { # COUNT
        equals "$(k get daemonset agent -o 'jsonpath={.status.desiredNumberScheduled} {.status.numberAvailable} {.status.updatedNumberScheduled}')" "$1 $1 $1"
}
address() { k get service agent -o 'jsonpath={.status.loadBalancer.ingress[0].ip}'; }
has_address() { [ -n "$(address)" ]; }
answers() { curl -sf --max-time 2 "http://$(address)" | grep -q "$1"; }
t_daemons() {
        daemon_set | k apply -f - && k rollout status daemonset/agent --timeout=60s && agents_are "workloads workloads-m02" &&
                until_true 60 has_address && until_true 60 answers Hello
}
t_rolls() { # on every node there is one at all times, and nobody who asks notices
        local r=0 url
        url=http://$(address)
        load_start
        k set image daemonset/agent hello=hello:v2 && k rollout status daemonset/agent --timeout=120s || r=1
        until_true 60 agents_are "workloads workloads-m02" || r=1
        load_stop && [ $r -eq 0 ] && answers 'version v2'
}
t_node_comes() {
        mk start --nodes 3 && until_true 60 nodes_ready 3 && mk image load "$work/hello-v2.tar" &&
                until_true 60 agents_run 3 && agents_are "workloads workloads-m02 workloads-m03"
}
gone_with_node() { agents_are "workloads workloads-m02" && agents_run 2; }
t_node_goes() { # lost, and then taken out of the cluster; it comes back with its kubelet
        local r=0
        lose_node workloads-m03
        until_true 90 node_not_ready workloads-m03 && agents_are "workloads workloads-m02 workloads-m03" &&
                k delete node workloads-m03 && until_true 120 gone_with_node || r=1
        kill -CONT "$(pid_of supervisor)"
        until_true 90 nodes_ready 3 && until_true 60 agents_run 3 && [ $r -eq 0 ]
}

must "minikube start --nodes 2" mk start --nodes 2 --extra-config controller-manager.node-monitor-grace-period=24s
ok "the test images" load_images
ok "a stateful set of three starts in order" t_ordered
ok "each member's name resolves" all_resolve
ok "a member that goes comes back with its name" t_comes_back
ok "it shrinks and grows in order" t_scales_in_order
ok "an update as far as its partition, and to the end" t_partition
ok "rollout undo and history" t_rolls_back
ok "a broken update is stuck until its pod is deleted" t_stuck
ok "the member of a lost node waits for the node, and starts anew when it is back" t_node_back
ok "the member of a lost node starts elsewhere when its pod is deleted by force" t_forced
ok "nothing is left of a stateful set that was deleted" t_gone
ok "a daemon set runs on both nodes" t_daemons
ok "a rolling update with surge under load: no request fails" t_rolls
ok "a node that comes gets its daemon" t_node_comes
ok "a node that goes takes its daemon along, and gets one when it is back" t_node_goes
ok "minikube delete" mk delete
tap_end
