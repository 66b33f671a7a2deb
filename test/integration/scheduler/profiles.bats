#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A scheduler with a configuration file: several profiles, and extenders that are asked over HTTP.

setup_file() {
        export CP=$(mktemp -d)
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        control_plane_start "$CP" "$(free_port)"
        export EXTENDER=$(free_port) PORT=$(free_port)
        python3 "$BATS_TEST_DIRNAME/extender.py" "$EXTENDER" "$CP/journal" "$BIN/kubectl" "$CP/admin.kubeconfig" \
                >"$CP/extender.log" 2>&1 3>&- &
        echo $! >>"$CP/pids"
        touch "$CP/journal"
        cat >"$CP/config.yaml" <<END
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 2
profiles:
- schedulerName: default-scheduler
- schedulerName: packing
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
  plugins:
    score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}
- schedulerName: peaceful
  plugins:
    postFilter: {disabled: [{name: DefaultPreemption}]}
    preEnqueue: {disabled: [{name: SchedulingGates}]}
extenders:
- urlPrefix: http://127.0.0.1:$EXTENDER/names/
  filterVerb: filter
  prioritizeVerb: prioritize
  bindVerb: bind
  weight: 100
  nodeCacheCapable: true
  managedResources: [{name: example.com/names, ignoredByScheduler: true}]
- urlPrefix: http://127.0.0.1:$EXTENDER/nodes
  filterVerb: filter
  preemptVerb: preempt
  managedResources: [{name: example.com/nodes}]
- urlPrefix: http://127.0.0.1:$EXTENDER/broken
  filterVerb: filter
  managedResources: [{name: example.com/broken}]
- urlPrefix: http://127.0.0.1:$EXTENDER/broken
  filterVerb: filter
  ignorable: true
  managedResources: [{name: example.com/ignorable}]
END
        component_start "$CP" kube-scheduler --v 2 --config "$CP/config.yaml" --secure-port "$PORT"
        k create serviceaccount default >/dev/null 2>&1 || true
        node n1
        node n2
        node n3
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
        k label nodes --all taken- best- >/dev/null 2>&1
}

node() {
        k apply -f - <<END
apiVersion: v1
kind: Node
metadata: {name: $1, labels: {kubernetes.io/hostname: $1}}
status: {allocatable: {cpu: "4", memory: 8Gi, pods: "110", example.com/nodes: "4", example.com/broken: "4", example.com/ignorable: "4"}}
END
        k patch node "$1" --type=merge -p '{"spec":{"taints":null}}'
}

# pod NAME CPU RESOURCE [further lines of the spec]
pod() {
        k create -f - <<END
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  automountServiceAccountToken: false
  containers: [{name: c, image: x, resources: {requests: {cpu: "$2"${3:+, $3: 1}}, limits: {cpu: "$2"${3:+, $3: 1}}}}]
$(printf '%s\n' "${@:4}" | sed 's/^/  /')
END
}
node_of() { k get pod "$1" -o jsonpath='{.spec.nodeName}'; }
on() { [ "$(node_of "$1")" = "$2" ]; }
bound() { [ -n "$(node_of "$1")" ]; }
asked() { grep -qxF "$*" "$CP/journal"; }
message() { k get pod "$1" -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].message}'; }
said() { [[ $(message "$1") == *"$2"* ]]; }
event() { k get events --field-selector "involvedObject.name=$1" -o jsonpath='{.items[*].message}' | grep -qF "$2"; }

@test "a file that is wrong is refused with the field, before anything runs" {
        local text part
        while IFS='|' read -r text part; do
                printf 'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n%b\n' "$text" >"$CP/bad.yaml"
                run "$BIN/kube-scheduler" --kubeconfig "$CP/admin.kubeconfig" --config "$CP/bad.yaml"
                echo "$output"
                [ "$status" -eq 1 ]
                [[ $output == "Error: configuration $CP/bad.yaml: "*"$part"* ]]
        done <<'END'
frobnicate: 1|unknown field "frobnicate"
profiles: [{plugins: {score: {enabled: [{name: Nonesuch}]}}}]|there is no plugin "Nonesuch"
extenders: [{urlPrefix: "ftp://x"}]|must begin with http
extenders: [{urlPrefix: "http://x", prioritizeVerb: p}]|weight
extenders: [{urlPrefix: "http://x", bindVerb: b}, {urlPrefix: "http://y", bindVerb: b}]|only one extender can bind
extenders: [{urlPrefix: "https://x", enableHTTPS: true, tlsConfig: {caFile: /none}}]|tlsConfig.caFile
leaderElection: {leaseDuration: forever}|invalid duration "forever"
END
        printf 'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nleaderElection: {leaseDuration: 5s}\n' >"$CP/bad.yaml"
        run "$BIN/kube-scheduler" --kubeconfig "$CP/admin.kubeconfig" --config "$CP/bad.yaml"
        [[ $output == *"lease duration must be longer than the renew deadline"* ]]
}

@test "each profile schedules its pods its own way" {
        pod first 2 ''
        wait_for bound first
        pod packed 1 '' 'schedulerName: packing'
        wait_for on packed "$(node_of first)"
        pod spread 1 ''
        wait_for bound spread
        [ "$(node_of spread)" != "$(node_of first)" ]
        wait_for event packed "Successfully assigned default/packed"
        [ "$(k get events --field-selector involvedObject.name=packed -o jsonpath='{.items[0].source.component}{.items[0].reportingComponent}')" = packingpacking ]
        pod foreign 1 '' 'schedulerName: nobody'
        pod gated 1 '' 'schedulerName: peaceful' 'schedulingGates: [{name: g}]'
        wait_for bound gated
        ! bound foreign || false
}

@test "a profile without preemption leaves the less important where they are" {
        printf 'apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: high}\nvalue: 1000\n' | k apply -f -
        local i
        for i in 1 2 3; do pod low$i 4 ''; done
        for i in 1 2 3; do wait_for bound low$i; done
        pod mild 4 '' 'schedulerName: peaceful' 'priorityClassName: high'
        wait_for said mild "3 Insufficient cpu"
        [[ $(message mild) != *preemption* ]]
        [ "$(k get pods -o name | wc -l)" -eq 4 ]
        pod harsh 4 '' 'priorityClassName: high'
        wait_for eval '[ -n "$(k get pod harsh -o jsonpath={.status.nominatedNodeName})" ]'
}

@test "an extender that knows the nodes filters, prioritizes and binds" {
        k label node n1 taken=yes
        k label node n3 best=yes
        pod named 1 example.com/names # which no node has: it looks after that itself
        wait_for on named n3
        asked names filter named
        asked names prioritize named
        asked names bind named
        pod plain 1 ''
        wait_for bound plain
        ! grep plain "$CP/journal" || false
}

@test "an extender that is sent the nodes filters; its reasons are told, and it is asked again" {
        k label nodes --all taken=yes
        pod sent 1 example.com/nodes
        wait_for said sent "0/3 nodes are available: 3 is taken."
        k label node n2 taken=no --overwrite
        wait_for on sent n2
        asked nodes filter sent
        ! asked nodes bind sent || false
}

@test "an extender has a say in who leaves" {
        printf 'apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: high}\nvalue: 1000\n' | k apply -f -
        local i spared
        for i in 1 2 3; do pod low$i 4 ''; done
        for i in 1 2 3; do wait_for bound low$i; done
        k label pods low1 low2 spare=yes
        spared=$(node_of low3)
        pod vip 4 example.com/nodes 'priorityClassName: high'
        wait_for eval '[ "$(k get pod vip -o jsonpath={.status.nominatedNodeName})" = '"$spared"' ]'
        asked nodes preempt vip
        [ -z "$(k get pod low1 -o jsonpath='{.metadata.deletionTimestamp}')$(k get pod low2 -o jsonpath='{.metadata.deletionTimestamp}')" ]
}

@test "one that fails holds its pods back with an event, unless it may be ignored" {
        pod stuck 1 example.com/broken
        wait_for event stuck "failed filter with extender at URL http://127.0.0.1:$EXTENDER/broken/filter, code 500"
        pod free 1 example.com/ignorable
        wait_for bound free
        asked broken filter free
        ! bound stuck || false
}

@test "metrics have upstream's names" {
        local name
        curl -sk --cert "$CP/admin.crt" --key "$CP/admin.key" "https://127.0.0.1:$PORT/metrics" >"$CP/metrics"
        for name in 'scheduler_schedule_attempts_total{result="scheduled",profile="packing"} 1' \
                'scheduler_scheduling_attempt_duration_seconds_count{result="scheduled",profile="packing"} 1' \
                'scheduler_preemption_attempts_total' 'scheduler_preemption_victims_count' 'scheduler_pending_pods{queue="gated"}' \
                'scheduler_pod_scheduling_attempts_count' 'scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"}' \
                'scheduler_framework_extension_point_duration_seconds_count{extension_point="Filter",status="Success",profile="packing"} 1' \
                'scheduler_queue_incoming_pods_total{queue="active",event="UnschedulablePodAdd"}' \
                'scheduler_scheduler_cache_size{type="nodes"} 3' 'scheduler_scheduling_algorithm_duration_seconds_count' \
                'scheduler_unschedulable_pods{plugin="NodeResourcesFit",profile="default-scheduler"}'; do
                grep -qF "$name" "$CP/metrics" || { echo "missing: $name"; return 1; }
        done
}
