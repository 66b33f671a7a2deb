#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ReplicationControllers, StatefulSets and DaemonSets against real etcd, API server and scheduler, seen through kubectl.
# Nodes are fakes: the tests play the kubelets.

setup_file() {
        export CP=$(mktemp -d)
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        control_plane_start "$CP" "$(free_port)"
        component_start "$CP" kube-controller-manager --node-monitor-grace-period 1h
        component_start "$CP" kube-scheduler
        wait_for k get serviceaccount default
        for node in n1 n2 n3; do add_node $node; done
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

add_node() { # NAME [LABELS]
        k create -f - <<EOF
apiVersion: v1
kind: Node
metadata: {name: $1, labels: {kubernetes.io/hostname: $1, ${2:-}}}
status:
  allocatable: {cpu: "64", memory: 64Gi, pods: "500"}
  conditions: [{type: Ready, status: "True", reason: KubeletReady, lastHeartbeatTime: "$(date -u +%FT%TZ)", lastTransitionTime: "2026-01-01T00:00:00Z"}]
EOF
}

is() { # is WANTED command…
        local wanted=$1
        shift
        [ "$("$@")" = "$wanted" ]
}

count() {
        k get "$@" -o name 2>/dev/null | wc -l
}

# Plays the kubelets: pods that are to end have ended, and those with a node run and are ready, but for images that are
# broken. A pod may go meanwhile.
kubelets() {
        local pod image
        for pod in $(k get pods -o jsonpath='{range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name}{"\n"}{end}'); do
                k delete pod "$pod" --force --grace-period=0 --ignore-not-found >/dev/null 2>&1 || :
        done
        while IFS=/ read -r pod image; do
                [ "$image" = broken ] || [ -z "$pod" ] || set_ready "$pod" True >/dev/null 2>&1 || :
        done < <(k get pods --field-selector status.phase=Pending,spec.nodeName!= \
                -o jsonpath='{range .items[*]}{.metadata.name}/{.spec.containers[0].image}{"\n"}{end}')
}

set_ready() { # POD STATUS
        k patch pod "$1" --subresource=status --type=merge -p '{"status":{"phase":"Running","conditions":[{"type":"Ready",
                "status":"'"$2"'","lastTransitionTime":"'"$(date -u +%FT%TZ)"'"}]}}'
}

set_phase() { # POD PHASE
        k patch pod "$1" --subresource=status --type=merge -p '{"status":{"phase":"'"$2"'"}}'
}

status() { # KIND NAME FIELDS…: of its status, once it speaks of the current generation
        local object=$1/$2 field path="{.metadata.generation}/{.status.observedGeneration}"
        shift 2
        for field; do path+=" {.status.$field}"; done
        k get "$object" -o jsonpath="$path" | sed -nE 's|^([0-9]+)/\1 ?||p'
}

# With the kubelets at work, the status comes to be so: reaches WANTED KIND NAME FIELDS…
reaches() {
        kubelets
        is "$1" status "${@:2}"
}

image() { # KIND/NAME IMAGE
        k set image "$1" c="$2"
}

images() { # LABEL: of the pods, by name
        k get pods -l app="$1" --sort-by=.metadata.name -o jsonpath='{.items[*].spec.containers[0].image}'
}

uids() { # LABEL
        k get pods -l app="$1" --sort-by=.metadata.name -o jsonpath='{.items[*].metadata.uid}'
}

event() { # KIND NAME REASON: its message, once there is one
        k get events --field-selector involvedObject.kind="$1",involvedObject.name="$2",reason="$3" -o jsonpath='{.items[*].message}'
}

said() { # KIND NAME REASON MESSAGE
        event "$1" "$2" "$3" | grep -qF "$4"
}

# --- ReplicationControllers -----------------------------------------------------------------------------------------
replication_controller() { # NAME REPLICAS
        cat <<EOF
apiVersion: v1
kind: ReplicationController
metadata: {name: $1}
spec:
  replicas: $2
  selector: {app: $1}
  template: {metadata: {labels: {app: $1}}, spec: {containers: [{name: c, image: v1}]}}
EOF
}

@test "a replication controller makes its pods, follows its size, and replaces what goes" {
        replication_controller rc 3 | k create -f -
        wait_for reaches "3 3 3 3" rc rc replicas readyReplicas availableReplicas fullyLabeledReplicas
        [ -z "$(k get rc rc -o jsonpath='{.status.terminatingReplicas}')" ]
        [ "$(k get pods -l app=rc -o jsonpath='{.items[0].metadata.ownerReferences[0].apiVersion}/{.items[0].metadata.ownerReferences[0].kind}')" = v1/ReplicationController ]
        wait_for said ReplicationController rc SuccessfulCreate "Created pod: rc-"
        [ "$(k get events --field-selector involvedObject.kind=ReplicationController -o jsonpath='{.items[0].source.component}')" = replication-controller ]
        k scale rc rc --replicas=1
        wait_for reaches "1 1" rc rc replicas readyReplicas
        local was
        was=$(uids rc)
        k delete pod -l app=rc --force --grace-period=0
        wait_for reaches "1 1" rc rc replicas readyReplicas
        [ "$(uids rc)" != "$was" ]
}

@test "the pods of a replication controller that was orphaned are taken up by the next, and released by their labels" {
        local was pod
        was=$(uids rc)
        k delete rc rc --cascade=orphan
        [ "$(uids rc)" = "$was" ]
        wait_for is "" k get pods -l app=rc -o jsonpath='{.items[*].metadata.ownerReferences[*].name}'
        replication_controller rc 1 | k create -f -
        wait_for is rc k get pods -l app=rc -o jsonpath='{.items[*].metadata.ownerReferences[*].name}'
        [ "$(uids rc)" = "$was" ]
        pod=$(k get pods -l app=rc -o name)
        k label "$pod" app=other --overwrite
        wait_for is "" k get "$pod" -o jsonpath='{.metadata.ownerReferences}'
        wait_for is 1 count pods -l app=rc
        k delete "$pod" --force --grace-period=0
        k delete rc rc --cascade=foreground --wait=false
        gone() { kubelets; [ "$(count pods -l app=rc)/$(count rc)" = 0/0 ]; }
        wait_for gone
}

@test "a replication controller says why it cannot make pods" {
        replication_controller refused 1 | sed 's/containers:/serviceAccountName: nobody, containers:/' | k create -f -
        wait_for is "ReplicaFailure=True/FailedCreate" k get rc refused -o jsonpath='{.status.conditions[0].type}={.status.conditions[0].status}/{.status.conditions[0].reason}'
        wait_for said ReplicationController refused FailedCreate "Error creating: pods \"refused-\" is forbidden"
        k delete rc refused
}
