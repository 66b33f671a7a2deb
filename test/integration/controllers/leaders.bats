#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Three controller managers and two schedulers, of which one of each leads, while they are killed at random. Nodes are fakes.
# LENGTH: for how many seconds.

load ../../lib/plane

setup_file() {
        plane_begin
        kubeconfig_for "$CP" kube-controller-manager system:kube-controller-manager
        kubeconfig_for "$CP" kube-scheduler system:kube-scheduler
        k create serviceaccount default >/dev/null 2>&1 || true
        k apply -f - <<END
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {kubernetes.io/hostname: n1}}
status: {allocatable: {cpu: "64", memory: 64Gi, pods: "10000"}}
END
        k patch node n1 --type=merge -p '{"spec":{"taints":null}}'
}

teardown_file() {
        local pid
        for pid in $(cat "$CP"/*.member "$CP/watch.pid" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || :; done
        plane_end
}

# member COMPONENT NUMBER [FLAG...]: starts one, as others of its kind run
member() {
        local name=$1 number=$2
        shift 2
        "$BIN/$name" --kubeconfig "$CP/$name.kubeconfig" --secure-port 0 --leader-elect-lease-duration 3s \
                --leader-elect-renew-deadline 2s --leader-elect-retry-period 500ms "$@" >>"$CP/$name-$number.log" 2>&1 3>&- &
        echo $! >"$CP/$name-$number.member"
}
manager() { # the node stays, although nobody speaks for it
        member kube-controller-manager "$1" --use-service-account-credentials --node-monitor-grace-period 3600s \
                --controllers deployment-controller,replicaset-controller,job-controller,garbage-collector-controller,namespace-controller
}
scheduler() { member kube-scheduler "$1"; }
holder() { k -n kube-system get lease "$1" -o jsonpath='{.spec.holderIdentity}'; }
held() { [ -n "$(holder "$1")" ]; }
moved() { local now; now=$(holder "$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }
at_work() { grep -l "$1" "$CP/$2"-*.log; } # WORDS COMPONENT
bound() { k get pods -l "app=$1" --field-selector spec.nodeName=n1 -o name | wc -l; }
kill_hard() {
        kill -9 "$(cat "$CP/$1.member")" || : # one that lost its lease has ended by itself
        wait_for _gone "$(cat "$CP/$1.member")"
}

@test "one of each leads; the others wait" {
        local i
        for i in 1 2 3; do manager $i; done
        for i in 1 2; do scheduler $i; done
        wait_for held kube-controller-manager
        wait_for held kube-scheduler
        wait_for at_work 'Controllers run' kube-controller-manager
        wait_for at_work '"Scheduling"' kube-scheduler
        [ "$(at_work 'Controllers run' kube-controller-manager | wc -l)" -eq 1 ]
        [ "$(at_work '"Scheduling"' kube-scheduler | wc -l)" -eq 1 ]
}

@test "another takes over from one that was killed, or that could not renew in time" {
        local before i pid
        before=$(holder kube-controller-manager)
        i=$(at_work 'Controllers run' kube-controller-manager | sed 's/.*-\([0-9]\)\.log/\1/')
        kill_hard "kube-controller-manager-$i"
        wait_for moved kube-controller-manager "$before"
        manager "$i"
        # One that slept past its lease ends when it wakes, and does nothing before.
        before=$(holder kube-controller-manager)
        for i in 1 2 3; do
                pid=$(cat "$CP/kube-controller-manager-$i.member")
                kill -STOP "$pid"
                if WAIT=8 wait_for moved kube-controller-manager "$before" 2>/dev/null; then
                        kill -CONT "$pid"
                        wait_for _gone "$pid"
                        manager "$i"
                        return
                fi
                kill -CONT "$pid"
        done
        false
}

@test "no pod is made twice, and each gets a node, while they are killed at random" {
        local end=$((SECONDS + ${LENGTH:-45})) made=0 round=0 size victim
        k get pods -w --output-watch-events -o custom-columns=E:.type,UID:.object.metadata.uid --no-headers >"$CP/watched" 2>/dev/null 3>&- &
        echo $! >"$CP/watch.pid"
        while [ $SECONDS -lt $end ]; do
                round=$((round + 1))
                size=$((RANDOM % 30 + 1))
                k apply -f - <<END
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: r$round}
spec:
  replicas: $size
  selector: {matchLabels: {app: r$round}}
  template: {metadata: {labels: {app: r$round}}, spec: {automountServiceAccountToken: false, containers: [{name: c, image: i}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: j$round}
spec:
  parallelism: $size
  completions: $size
  template: {metadata: {labels: {app: j$round}}, spec: {restartPolicy: Never, automountServiceAccountToken: false, containers: [{name: c, image: i}]}}
END
                made=$((made + 2 * size))
                read -rt "0.$((RANDOM % 9))" <> <(:) || :
                victim=kube-controller-manager-$((RANDOM % 3 + 1))
                kill_hard $victim
                manager "${victim##*-}"
                if [ $((RANDOM % 3)) -eq 0 ]; then
                        victim=kube-scheduler-$((RANDOM % 2 + 1))
                        kill_hard $victim
                        scheduler "${victim##*-}"
                fi
                wait_for is "$size" bound "r$round"
                wait_for is "$size" bound "j$round"
        done
        wait_for is "$made" eval 'k get pods -o name | wc -l'
        wait_for is "$made" eval 'grep -c ^ADDED "$CP/watched"'
        echo "$round rounds, $made pods"
        [ "$(awk '/^ADDED/ {print $2}' "$CP/watched" | sort | uniq -d | wc -l)" -eq 0 ]
        [ "$(k get pods -o name | wc -l)" -eq "$made" ]
}
