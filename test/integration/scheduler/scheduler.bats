#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The scheduler against real etcd and our API server, seen through kubectl. Nodes are fakes.

setup_file() {
        export CP=$(mktemp -d)
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        control_plane_start "$CP" "$(free_port)"
        component_start "$CP" kube-scheduler --v 2
        k create serviceaccount default >/dev/null 2>&1 || true
        node n1 4 a
        node n2 4 b
}

teardown_file() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        control_plane_stop "$CP"
        no_complaints
        rm -rf "$CP"
}

setup() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
}

teardown() {
        k delete pods --all --force --grace-period=0 >/dev/null 2>&1
}

# node NAME CPUS ZONE
node() {
        k apply -f - <<EOF
apiVersion: v1
kind: Node
metadata: {name: $1, labels: {kubernetes.io/hostname: $1, topology.kubernetes.io/zone: $3}}
status:
  capacity: {cpu: "$2", memory: 8Gi, pods: "110"}
  allocatable: {cpu: "$2", memory: 8Gi, pods: "110"}
EOF
        # Admission taints nodes until they are ready; no controller takes that off here.
        k patch node "$1" --type=merge -p '{"spec":{"taints":null}}'
}

# pod NAME CPU [further lines of the spec]
pod() {
        k create -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: ${1%%-*}}}
spec:
  automountServiceAccountToken: false
  containers: [{name: c, image: x, resources: {requests: {cpu: "$2"}}}]
$(printf '%s\n' "${@:3}" | sed 's/^/  /')
EOF
}

on() { # on POD NODE
        [ "$(k get pod "$1" -o jsonpath='{.spec.nodeName}')" = "$2" ]
}

bound() {
        [ -n "$(k get pod "$1" -o jsonpath='{.spec.nodeName}')" ]
}

condition() {
        k get pod "$1" -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].'"$2"'}'
}

says() { # says POD MESSAGE
        [ "$(condition "$1" message)" = "$2" ]
}

@test "a pod gets a node, an event and the condition" {
        pod web 1
        wait_for bound web
        [ "$(condition web status)" = True ]
        seen() { k get events --field-selector involvedObject.name=web -o jsonpath='{.items[*].message}' | grep -q "$1"; }
        wait_for seen "Successfully assigned default/web to $(k get pod web -o jsonpath='{.spec.nodeName}')"
}

@test "pods go round the nodes" {
        for i in 1 2 3 4; do pod spread-$i 500m; done
        for i in 1 2 3 4; do wait_for bound spread-$i; done
        [ "$(k get pods -l app=spread -o jsonpath='{.items[?(@.spec.nodeName=="n1")].metadata.name}' | wc -w)" = 2 ]
}

@test "a pod that fits nowhere says why, and gets the node that has room later" {
        pod big 6
        wait_for says big '0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.'
        [ "$(condition big reason)" = Unschedulable ]
        failed() { k get events --field-selector reason=FailedScheduling -o name | grep -q .; }
        wait_for failed
        node n3 8 c
        wait_for on big n3
        k delete node n3
}

@test "a pod that waits gets the room that another leaves" {
        pod one 3 "nodeName: n1"
        pod two 3 "nodeSelector: {kubernetes.io/hostname: n1}"
        wait_for says two "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
        k delete pod one --force --grace-period=0
        wait_for on two n1
}

@test "cordoned and tainted nodes are left alone" {
        k cordon n1
        k taint node n2 team=a:NoSchedule
        pod shy 1
        wait_for says shy '0/2 nodes are available: 1 node(s) had untolerated taint {team: a}, 1 node(s) were unschedulable. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.'
        pod brave 1 'tolerations: [{key: team, operator: Equal, value: a, effect: NoSchedule}]'
        wait_for on brave n2
        k uncordon n1
        wait_for on shy n1
        k taint node n2 team-
}

@test "anti-affinity keeps pods apart" {
        local rule='affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: apart}}}]}}'
        pod apart-1 100m "$rule"
        pod apart-2 100m "$rule"
        wait_for bound apart-1
        wait_for bound apart-2
        ! on apart-1 "$(k get pod apart-2 -o jsonpath='{.spec.nodeName}')" || false
        pod apart-3 100m "$rule"
        wait_for says apart-3 "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
        k delete pod apart-1 --force --grace-period=0
        wait_for bound apart-3
}

@test "gated pods and pods of other schedulers wait" {
        pod gated 100m 'schedulingGates: [{name: example.com/wait}]'
        pod other 100m 'schedulerName: another'
        pod after 100m
        wait_for bound after
        ! bound gated || false
        ! bound other || false
        k patch pod gated --type=json -p '[{"op":"remove","path":"/spec/schedulingGates"}]'
        wait_for bound gated
        ! bound other || false
}

@test "the higher priority goes first" {
        k create priorityclass high --value=1000 --preemption-policy=Never
        kill "$(cat "$CP/kube-scheduler.pid")"
        gone() { ! kill -0 "$(cat "$CP/kube-scheduler.pid")"; }
        wait_for gone
        pod low 4 "nodeSelector: {kubernetes.io/hostname: n1}"
        pod high 4 "nodeSelector: {kubernetes.io/hostname: n1}" "priorityClassName: high"
        component_start "$CP" kube-scheduler --v 2
        wait_for on high n1
        wait_for says low "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
        k delete priorityclass high
}

@test "a more important pod takes the place of others" {
        k create priorityclass vital --value=1000000
        k create priorityclass polite --value=1000000 --preemption-policy=Never
        local here='nodeSelector: {kubernetes.io/hostname: n1}'
        pod small-1 1500m "$here"
        pod small-2 1500m "$here"
        wait_for bound small-1
        wait_for bound small-2
        pod waits 3 "$here" "priorityClassName: polite"
        wait_for says waits "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector. preemption: not eligible due to preemptionPolicy=Never."
        k delete pod waits --force --grace-period=0
        k patch pod small-1 --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        k patch pod small-2 --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        pod vital 2500m "$here" "priorityClassName: vital"
        leaving() { [ -n "$(k get pod "$1" -o jsonpath='{.metadata.deletionTimestamp}')" ]; }
        wait_for leaving small-2 # the newer one is enough
        ! leaving small-1 || false
        [ "$(k get pod small-2 -o jsonpath='{.status.conditions[?(@.type=="DisruptionTarget")].reason}')" = PreemptionByScheduler ]
        nominated() { [ "$(k get pod vital -o jsonpath='{.status.nominatedNodeName}')" = n1 ]; }
        wait_for nominated
        k patch pod small-2 --type=merge -p '{"metadata":{"finalizers":null}}'
        k delete pod small-2 --force --grace-period=0 --ignore-not-found
        wait_for on vital n1
        seen() { k get events --field-selector reason=Preempted -o jsonpath='{.items[*].message}' | grep -q "Preempted by pod $(k get pod vital -o jsonpath='{.metadata.uid}') on node n1"; }
        wait_for seen
        k patch pod small-1 --type=merge -p '{"metadata":{"finalizers":null}}'
        k delete priorityclass vital polite
}

@test "who preempts spares those whose disruption budget is spent" {
        k create priorityclass vital --value=1000000
        pod guarded-1 3 'nodeSelector: {kubernetes.io/hostname: n1}'
        pod plain-1 3 'nodeSelector: {kubernetes.io/hostname: n2}' 'terminationGracePeriodSeconds: 0'
        pod plain-2 500m 'nodeSelector: {kubernetes.io/hostname: n2}' 'terminationGracePeriodSeconds: 0'
        wait_for bound guarded-1
        wait_for bound plain-1
        wait_for bound plain-2
        k create pdb guarded --selector=app=guarded --min-available=1 # nobody counts: it allows nothing
        for pod in guarded-1 plain-1 plain-2; do k patch pod $pod --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'; done
        pod vital 4 "priorityClassName: vital"
        leaving() { [ -n "$(k get pod "$1" -o jsonpath='{.metadata.deletionTimestamp}')" ]; }
        # Two have to go from n2, where one would do on n1.
        wait_for leaving plain-1
        wait_for leaving plain-2
        ! leaving guarded-1 || false
        for pod in guarded-1 plain-1 plain-2; do k patch pod $pod --type=merge -p '{"metadata":{"finalizers":null}}'; done
        wait_for on vital n2
        k delete pdb guarded
        k delete priorityclass vital
}

@test "a scheduler that is killed and started again goes on, with leader election" {
        kill -9 "$(cat "$CP/kube-scheduler.pid")"
        pod waiting 1
        "$BIN/kube-scheduler" --kubeconfig "$CP/kube-scheduler.kubeconfig" --secure-port 0 \
                --leader-elect-lease-duration 8s --leader-elect-renew-deadline 6s --leader-elect-retry-period 500ms \
                >"$CP/kube-scheduler-2.log" 2>&1 3>&- &
        local first=$!
        echo $first >>"$CP/pids"
        wait_for bound waiting
        k -n kube-system get lease kube-scheduler -o jsonpath='{.spec.holderIdentity}' | grep -q .
        # A second one stands by, and takes over.
        "$BIN/kube-scheduler" --kubeconfig "$CP/kube-scheduler.kubeconfig" --secure-port 0 \
                --leader-elect-lease-duration 8s --leader-elect-renew-deadline 6s --leader-elect-retry-period 500ms \
                >"$CP/kube-scheduler-3.log" 2>&1 3>&- &
        echo $! >>"$CP/pids"
        kill -9 "$first"
        pod later 1
        wait_for bound later
}

@test "the scheduler did all that with nothing but the bootstrap roles" {
        run forbidden
        echo "$output"
        [ -z "$output" ]
}
