#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Managers and schedulers that die at any moment: in the end there are as many pods as were asked for, all with a node.

load ../../lib/plane

setup_file() {
        plane_begin
        local name
        for name in kube-controller-manager kube-scheduler; do kubeconfig_for "$CP" $name system:$name; done
        for node in n1 n2 n3; do
                k create -f - <<YAML
apiVersion: v1
kind: Node
metadata: {name: $node}
status: {allocatable: {cpu: "64", memory: 64Gi, pods: "500"}}
YAML
        done
        k create serviceaccount default
}

# elect NAME NUMBER: starts a manager as a candidate.
elect() {
        "$BIN/$1" --kubeconfig "$CP/$1.kubeconfig" --secure-port 0 --use-service-account-credentials \
                --leader-elect-lease-duration 8s --leader-elect-renew-deadline 6s --leader-elect-retry-period 500ms >"$CP/$1-$2.log" 2>&1 3>&- &
        echo $! >"$CP/$1-$2.pid"
        echo $! >>"$CP/pids"
}

# Plays the kubelets: what is to end has ended, what has a node runs. A pod may go meanwhile: the next round sees to the rest.
kubelets() {
        local pod
        for pod in $(k get pods -o jsonpath='{range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name}{"\n"}{end}'); do
                k delete pod "$pod" --force --grace-period=0 --ignore-not-found >/dev/null 2>&1 || :
        done
        for pod in $(k get pods --field-selector status.phase=Pending,spec.nodeName!= -o name); do
                k patch "$pod" --subresource=status --type=merge -p '{"status":{"phase":"Running","conditions":[{"type":"Ready",
                  "status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}' >/dev/null 2>&1 || :
        done
}

settled() { # REPLICAS IMAGE
        kubelets
        [ "$(k get pods -o jsonpath='{range .items[*]}{.metadata.deletionTimestamp}/{.spec.containers[0].image}/{.status.phase}{"\n"}{end}' |
                sort | uniq -c | xargs)" = "$1 /$2/Running" ]
}

@test "killed again and again during rollouts, manager and scheduler converge" {
        component_start "$CP" kube-controller-manager
        local manager=$!
        component_start "$CP" kube-scheduler
        local scheduler=$!
        k create -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 10
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers: [{name: c, image: v0}]
YAML
        local round size
        for round in 1 2 3 4 5 6; do
                size=$((RANDOM % 20 + 10))
                k patch deployment d -p '{"spec":{"replicas":'$size',"template":{"spec":{"containers":[{"name":"c","image":"v'$round'"}]}}}}'
                kubelets
                read -rt 0.$((RANDOM % 8 + 1)) <> <(:) || : # any moment will do: nothing is waited for
                kill -9 $manager
                kubelets
                kill -9 $scheduler
                component_start "$CP" kube-controller-manager
                manager=$!
                component_start "$CP" kube-scheduler
                scheduler=$!
                wait_for settled $size v$round
        done
        kill $manager $scheduler
        k delete deployment d --cascade=foreground --wait=false
}

leader_of() {
        k -n kube-system get lease "$1" -o jsonpath='{.spec.holderIdentity}'
}

@test "of two managers one leads; the other takes over, and who was away too long ends" {
        elect kube-controller-manager 1
        wait_for leader_of kube-controller-manager
        local first second
        first=$(leader_of kube-controller-manager)
        elect kube-controller-manager 2
        k create deployment lead --image=x --replicas=3
        three() { [ "$(k get pods -l app=lead -o name | wc -l)" = 3 ]; }
        wait_for three
        wait_for grep -q 'held by another' "$CP/kube-controller-manager-2.log"
        # The leader hangs for longer than its lease.
        kill -STOP "$(cat "$CP/kube-controller-manager-1.pid")"
        taken() { second=$(leader_of kube-controller-manager); [ -n "$second" ] && [ "$second" != "$first" ]; }
        wait_for taken
        k delete pod -l app=lead --force --grace-period=0
        wait_for three
        kill -CONT "$(cat "$CP/kube-controller-manager-1.pid")"
        ended() { ! kill -0 "$(cat "$CP/kube-controller-manager-1.pid")"; }
        wait_for ended
        grep -q 'Leader election lost' "$CP/kube-controller-manager-1.log"
        wait_for three
        # The leader dies.
        elect kube-controller-manager 3
        kill -9 "$(cat "$CP/kube-controller-manager-2.pid")"
        k delete pod -l app=lead --force --grace-period=0
        wait_for three
        # Who is asked to end gives the lease back at once.
        elect kube-controller-manager 4
        wait_for grep -q 'held by another' "$CP/kube-controller-manager-4.log"
        local third
        third=$(leader_of kube-controller-manager)
        kill "$(cat "$CP/kube-controller-manager-3.pid")"
        third_ended() { ! kill -0 "$(cat "$CP/kube-controller-manager-3.pid")"; }
        wait_for third_ended
        [ "$(leader_of kube-controller-manager)" != "$third" ]
        wait_for grep -q 'Became leader' "$CP/kube-controller-manager-4.log"
}
