#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ReplicationControllers, StatefulSets and DaemonSets against real etcd, API server and scheduler, seen through kubectl.
# Nodes are fakes: the tests play the kubelets.

load ../../lib/plane

setup_file() {
        plane_begin
        component_start "$CP" kube-controller-manager --node-monitor-grace-period 1h
        component_start "$CP" kube-scheduler
        wait_for k get serviceaccount default
        for node in n1 n2 n3; do add_node $node; done
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
        k patch rc refused --type=merge -p '{"spec":{"replicas":0}}'
        wait_for is "0 " status rc refused replicas conditions
        k delete rc refused
}

# --- StatefulSets ---------------------------------------------------------------------------------------------------
stateful_set() { # NAME REPLICAS IMAGE [MORE OF THE SPEC]
        cat <<EOF
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $1}
spec:
  replicas: $2
  serviceName: $1
  selector: {matchLabels: {app: $1}}
  template: {metadata: {labels: {app: $1}}, spec: {containers: [{name: c, image: $3}]}}
  ${4:-}
EOF
}

names() { # LABEL
        k get pods -l app="$1" --sort-by=.metadata.name -o jsonpath='{.items[*].metadata.name}'
}

rolled_out() { # NAME REPLICAS IMAGE: all members run it, and the status says so
        kubelets
        is "$2 $2 $2 $2" status statefulset "$1" replicas readyReplicas updatedReplicas currentReplicas &&
                is "" k get pods -l app="$1" -o jsonpath='{.items[?(@.spec.containers[0].image!="'"$3"'")].metadata.name}' &&
                is true bash -c "$(declare -f k); k get statefulset $1 -o go-template='{{eq .status.currentRevision .status.updateRevision}}'"
}

@test "a stateful set starts its members one after another, each with its name" {
        stateful_set web 3 v1 | k create -f -
        wait_for is web-0 names web
        wait_for is "1 0" status statefulset web replicas availableReplicas
        k rollout status statefulset/web --watch=false | grep -q "Waiting for 3 pods to be ready"
        wait_for k get pod web-0 -o jsonpath='{.spec.nodeName}'
        [ "$(k get pod web-0 -o jsonpath='{.spec.hostname}.{.spec.subdomain} {.metadata.labels.statefulset\.kubernetes\.io/pod-name} {.metadata.labels.apps\.kubernetes\.io/pod-index}')" = "web-0.web web-0 0" ]
        wait_for rolled_out web 3 v1
        [ "$(names web)" = "web-0 web-1 web-2" ]
        [ "$(k get pod web-2 -o jsonpath='{.metadata.labels.controller-revision-hash}')" = "$(k get statefulset web -o jsonpath='{.status.updateRevision}')" ]
        k rollout status statefulset/web
        wait_for said StatefulSet web SuccessfulCreate "create Pod web-0 in StatefulSet web successful"
        # The next began when the one before was ready.
        k get pods -l app=web -o json | python3 -c '
import json, sys
pods = sorted(json.load(sys.stdin)["items"], key=lambda p: p["metadata"]["name"])
for before, pod in zip(pods, pods[1:]):
    assert pod["metadata"]["creationTimestamp"] >= before["status"]["conditions"][0]["lastTransitionTime"]'
}

@test "a member that goes comes back under its name; one that is ending keeps it" {
        local was
        was=$(k get pod web-1 -o jsonpath='{.metadata.uid}')
        k patch pod web-1 --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        k delete pod web-1 --force --grace-period=0 --wait=false
        wait_for is "3 2" status statefulset web replicas updatedReplicas # it was looked at since
        [ "$(k get pod web-1 -o jsonpath='{.metadata.uid}')" = "$was" ]
        k patch pod web-1 --type=merge -p '{"metadata":{"finalizers":null}}'
        back() { kubelets; [ "$(k get pod web-1 -o jsonpath='{.metadata.uid}')" != "$was" ]; }
        wait_for back
        wait_for rolled_out web 3 v1
        # It failed, or it ended well: it is made anew all the same.
        for phase in Failed Succeeded; do
                was=$(k get pod web-0 -o jsonpath='{.metadata.uid}')
                set_phase web-0 $phase
                anew() { kubelets; [ -n "$(k get pod web-0 -o name)" ] && [ "$(k get pod web-0 -o jsonpath='{.metadata.uid}')" != "$was" ]; }
                wait_for anew
                wait_for rolled_out web 3 v1
        done
        wait_for said StatefulSet web SuccessfulDelete "delete Pod web-0 in StatefulSet web successful"
}

@test "a stateful set grows and shrinks in order, and waits for members that are not ready" {
        k scale statefulset web --replicas=5
        wait_for rolled_out web 5 v1
        # One of those that stay is not ready: nobody comes, and nobody goes.
        set_ready web-1 False
        wait_for is 4 k get statefulset web -o jsonpath='{.status.readyReplicas}'
        k scale statefulset web --replicas=6
        wait_for is 5 status statefulset web replicas
        k scale statefulset web --replicas=2
        wait_for is 5 status statefulset web replicas
        [ "$(names web)" = "web-0 web-1 web-2 web-3 web-4" ]
        # Then the last one first, and the next when it has gone.
        set_ready web-1 True
        ending() { k get pods -l app=web -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}'; }
        wait_for is web-4 ending
        wait_for is "5 4" status statefulset web replicas updatedReplicas
        [ "$(ending)" = web-4 ]
        wait_for rolled_out web 2 v1
        [ "$(names web)" = "web-0 web-1" ]
}

@test "an update goes from the last member to the first, as far as the partition" {
        k scale statefulset web --replicas=3
        wait_for rolled_out web 3 v1
        k patch statefulset web --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}'
        image statefulset/web v2
        partitioned() { kubelets; [ "$(images web)" = "$1" ] && is "$2" status statefulset web readyReplicas updatedReplicas currentReplicas; }
        wait_for partitioned "v1 v1 v2" "3 1 2"
        k rollout status statefulset/web | grep -q "partitioned roll out complete: 1 new pods have been updated"
        [ "$(k get statefulset web -o go-template='{{eq .status.currentRevision .status.updateRevision}}')" = false ]
        # One before the partition comes back as it was, one after it as it is to be.
        k delete pod web-0 web-2 --force --grace-period=0
        wait_for partitioned "v1 v1 v2" "3 1 2"
        k patch statefulset web --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'
        # web-1 before web-0.
        going() { [ "$(k get pods -l app=web -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}')" = "$1" ]; }
        wait_for going web-1
        wait_for rolled_out web 3 v2
        k rollout status statefulset/web | grep -q "statefulset rolling update complete 3 pods at revision web-"
}

@test "the history of a stateful set: listed, shown, gone back to, and cut" {
        k rollout history statefulset/web | sed '/^$/d' | sed 1,2d | awk '{print $1}' | xargs | grep -qx "1 2"
        k rollout history statefulset/web --revision=1 | grep -q "Image:.*v1"
        local first
        first=$(k get controllerrevisions -l app=web -o jsonpath='{.items[?(@.revision==1)].metadata.name}')
        k rollout undo statefulset/web
        wait_for rolled_out web 3 v1
        [ "$(k get statefulset web -o jsonpath='{.status.updateRevision}')" = "$first" ] # the same again, renumbered
        [ "$(k get controllerrevision "$first" -o jsonpath='{.revision}')" = 3 ]
        k rollout undo statefulset/web --to-revision=2
        wait_for rolled_out web 3 v2
        k rollout restart statefulset/web
        restarted() { rolled_out web 3 v2 && [ "$(k get statefulset web -o jsonpath='{.status.updateRevision}')" != "$first" ]; }
        wait_for restarted
        k patch statefulset web --type=merge -p '{"spec":{"revisionHistoryLimit":1}}'
        wait_for is 2 count controllerrevisions -l app=web
        [ -z "$(k get controllerrevision "$first" -o name --ignore-not-found)" ]
}

@test "a broken update in order stays stuck until its pod is deleted by hand; in parallel it mends by itself" {
        image statefulset/web broken
        stuck() { kubelets; [ "$(k get pod "$1" -o jsonpath='{.spec.containers[0].image}/{.status.phase}')" = broken/Pending ]; }
        wait_for stuck web-2
        image statefulset/web v3
        wait_for is "3 2 2" status statefulset web replicas readyReplicas availableReplicas
        stuck web-2
        k delete pod web-2 --force --grace-period=0
        wait_for rolled_out web 3 v3
        k delete statefulset web
        gone() { kubelets; [ "$(count pods -l app=web)" = 0 ]; }
        wait_for gone
        stateful_set par 3 v1 "podManagementPolicy: Parallel" | k create -f -
        wait_for rolled_out par 3 v1
        image statefulset/par broken
        wait_for stuck par-2
        image statefulset/par v2
        wait_for rolled_out par 3 v2
}

@test "in parallel members start and end together; maxUnavailable of them are updated at a time" {
        k scale statefulset par --replicas=6
        wait_for is 6 count pods -l app=par # nobody plays the kubelets
        wait_for rolled_out par 6 v2
        k patch statefulset par --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":2}}}}'
        image statefulset/par v3
        ending() { k get pods -l app=par --sort-by=.metadata.name -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}'; }
        wait_for is "par-4 par-5" ending
        wait_for rolled_out par 6 v3
        k scale statefulset par --replicas=2
        wait_for is "par-2 par-3 par-4 par-5" ending
        wait_for rolled_out par 2 v3
        k delete statefulset par
        gone() { kubelets; [ "$(count pods -l app=par)" = 0 ]; }
        wait_for gone
}

@test "OnDelete leaves members as they are; minReadySeconds and ordinals.start are kept" {
        stateful_set od 2 v1 'podManagementPolicy: Parallel
  updateStrategy: {type: OnDelete}
  ordinals: {start: 3}' | k create -f -
        ready() { kubelets; is "2 2 2" status statefulset od replicas readyReplicas updatedReplicas; }
        wait_for ready
        [ "$(names od)" = "od-3 od-4" ]
        [ "$(k get pod od-4 -o jsonpath='{.metadata.labels.apps\.kubernetes\.io/pod-index}')" = 4 ]
        image statefulset/od v2
        wait_for is "2 2" status statefulset od replicas readyReplicas
        [ "$(images od)" = "v1 v1" ]
        k delete pod od-3 --force --grace-period=0
        updated() { kubelets; [ "$(images od)" = "v2 v1" ] && is "2 1" status statefulset od readyReplicas updatedReplicas; }
        wait_for updated
        k rollout status statefulset/od 2>&1 | grep -q "rollout status is only available for RollingUpdate strategy type"
        k patch statefulset od --type=merge -p '{"spec":{"minReadySeconds":3600,"ordinals":{"start":0}}}'
        moved() { kubelets; [ "$(names od)" = "od-0 od-1" ] && is "2 2 0" status statefulset od replicas readyReplicas availableReplicas; }
        wait_for moved
        k patch statefulset od --type=merge -p '{"spec":{"minReadySeconds":1}}'
        wait_for is "2 2 2" status statefulset od replicas readyReplicas availableReplicas
        k delete statefulset od
        gone() { kubelets; [ "$(count pods -l app=od)" = 0 ]; }
        wait_for gone
}

@test "a stateful set that was orphaned is taken up again with its pods and its history" {
        stateful_set or 2 v1 | k create -f -
        wait_for rolled_out or 2 v1
        local was revision
        was=$(uids or)
        revision=$(k get statefulset or -o jsonpath='{.status.updateRevision}')
        k delete statefulset or --cascade=orphan
        wait_for is "" k get pods,controllerrevisions -l app=or -o jsonpath='{.items[*].metadata.ownerReferences[*].name}'
        k label pod or-1 statefulset.kubernetes.io/pod-name-
        # Not a member's name: it stays an orphan.
        k run or-01 --image=v1 --labels=app=or
        stateful_set or 2 v1 | k create -f -
        wait_for rolled_out or 2 v1
        wait_for is "or or" k get pods or-0 or-1 -o jsonpath='{.items[*].metadata.ownerReferences[*].name}'
        wait_for is or-1 k get pod or-1 -o jsonpath='{.metadata.labels.statefulset\.kubernetes\.io/pod-name}'
        [ "$(uids or | cut -d' ' -f1)" = "${was% *}" ]
        [ "$(k get statefulset or -o jsonpath='{.status.updateRevision}')" = "$revision" ]
        [ "$(count controllerrevisions -l app=or)" = 1 ]
        [ -z "$(k get pod or-01 -o jsonpath='{.metadata.ownerReferences}')" ]
        k delete pod or-01 --force --grace-period=0
        k delete statefulset or --cascade=foreground --wait=false
        gone() { kubelets; [ "$(count pods -l app=or)/$(count statefulset or)" = 0/0 ]; }
        wait_for gone
        wait_for is 0 count controllerrevisions -l app=or
}

claims() { # LABEL: name, owner
        k get pvc -l app="$1" --sort-by=.metadata.name -o jsonpath='{range .items[*]}{.metadata.name}={.metadata.ownerReferences[*].kind} {end}' | sed 's/ $//'
}

@test "claims are made before the pod, outlive it, and go as the retention policy says" {
        stateful_set db 2 v1 'podManagementPolicy: Parallel
  volumeClaimTemplates: [{metadata: {name: data, labels: {tier: a}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]' | k create -f -
        wait_for is "db-0 db-1" names db
        [ "$(claims db)" = "data-db-0= data-db-1=" ]
        [ "$(k get pvc data-db-0 -o jsonpath='{.metadata.labels.tier} {.metadata.labels.app} {.spec.resources.requests.storage}')" = "a db 1Gi" ]
        [ "$(k get pod db-1 -o jsonpath='{.spec.volumes[?(@.name=="data")].persistentVolumeClaim.claimName}')" = data-db-1 ]
        wait_for said StatefulSet db SuccessfulCreate "create Claim data-db-0 Pod db-0 in StatefulSet db success"
        # A pod that waits gets a claim that somebody deleted again.
        k delete pvc data-db-1 --wait=false
        k patch pvc data-db-1 --type=merge -p '{"metadata":{"finalizers":null}}' || :
        wait_for k get pvc data-db-1
        policy() { k patch statefulset db --type=merge -p '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"'"$1"'","whenScaled":"'"$2"'"}}}'; }
        policy Delete Retain
        wait_for is "data-db-0=StatefulSet data-db-1=StatefulSet" claims db
        policy Retain Delete
        wait_for is "data-db-0= data-db-1=" claims db
        k scale statefulset db --replicas=1
        scaled() { for p in $(k get pods -l app=db -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}'); do k delete pod "$p" --force --grace-period=0; done; [ "$(claims db)" = "data-db-0=" ]; }
        wait_for scaled
        # The claim of a pod that was scaled away waits until it has gone, and its successor until then.
        k scale statefulset db --replicas=2
        wait_for is "data-db-0= data-db-1=" claims db
        policy Delete Delete
        wait_for is "data-db-0=StatefulSet data-db-1=StatefulSet" claims db
        k delete statefulset db
        deleted() { for p in $(k get pods -l app=db -o name); do k delete "$p" --force --grace-period=0; done; [ -z "$(claims db)" ]; }
        wait_for deleted
}

@test "a stateful set says why it cannot make a member" {
        stateful_set refused 1 v1 | sed 's/containers:/serviceAccountName: nobody, containers:/' | k create -f -
        wait_for said StatefulSet refused FailedCreate "create Pod refused-0 in StatefulSet refused failed error: pods \"refused-0\" is forbidden"
        k delete statefulset refused
}

# --- DaemonSets -----------------------------------------------------------------------------------------------------
daemon_set() { # NAME IMAGE [MORE OF THE SPEC] [MORE OF THE POD]
        cat <<EOF
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: $1, annotations: {kubernetes.io/change-cause: first}}
spec:
  selector: {matchLabels: {app: $1}}
  template: {metadata: {labels: {app: $1}}, spec: {${4:-} containers: [{name: c, image: $2}]}}
  ${3:-}
EOF
}

nodes() { # LABEL: with a pod of it, sorted
        k get pods -l app="$1" -o jsonpath='{range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | xargs
}

# The set has so many pods, all of the image, available and up to date, and nothing else runs.
serves() { # NAME PODS IMAGE
        kubelets
        is "$2 $2 $2 $2 $2" status daemonset "$1" desiredNumberScheduled currentNumberScheduled numberReady numberAvailable updatedNumberScheduled &&
                is "$(yes "$3" | head -"$2" | xargs)" images "$1"
}

@test "a daemon set has a pod on every node, and follows nodes that come and go" {
        daemon_set ds v1 | k create -f -
        wait_for serves ds 3 v1
        [ "$(nodes ds)" = "n1 n2 n3" ]
        [ "$(k get daemonset ds -o jsonpath='{.status.numberMisscheduled}{.status.numberUnavailable}')" = 0 ]
        wait_for said DaemonSet ds SuccessfulCreate "Created pod: ds-"
        [ "$(k get events --field-selector involvedObject.kind=DaemonSet -o jsonpath='{.items[0].source.component}')" = daemonset-controller ]
        # What all daemons tolerate, and the revision that they are of.
        [ "$(k get pods -l app=ds -o jsonpath='{range .items[0].spec.tolerations[*]}{.key}:{.effect} {end}' | sed 's/node.kubernetes.io.//g')" = \
                "not-ready:NoExecute unreachable:NoExecute disk-pressure:NoSchedule memory-pressure:NoSchedule pid-pressure:NoSchedule unschedulable:NoSchedule " ]
        [ "$(k get pods -l app=ds -o jsonpath='{.items[0].metadata.labels.controller-revision-hash}')" = "$(k get controllerrevisions -l app=ds -o jsonpath='{.items[0].metadata.labels.controller-revision-hash}')" ]
        [ "$(k get pods -l app=ds -o jsonpath='{.items[0].metadata.labels.pod-template-generation}')" = 1 ]
        k rollout status daemonset/ds | grep -q 'daemon set "ds" successfully rolled out'
        add_node n4
        wait_for serves ds 4 v1
        k delete node n4
        wait_for is 3 status daemonset ds desiredNumberScheduled
        k delete pod "$(k get pods -l app=ds --field-selector spec.nodeName=n4 -o jsonpath='{.items[0].metadata.name}')" --force --grace-period=0
        wait_for serves ds 3 v1
        [ "$(nodes ds)" = "n1 n2 n3" ]
        # One that is gone comes back on its node.
        k delete pod "$(k get pods -l app=ds --field-selector spec.nodeName=n2 -o jsonpath='{.items[0].metadata.name}')" --force --grace-period=0
        wait_for serves ds 3 v1
        [ "$(nodes ds)" = "n1 n2 n3" ]
}

@test "taints, labels and cordons decide where daemons run, as they do upstream" {
        k taint node n2 away=now:NoSchedule
        wait_for is "2 1" status daemonset ds desiredNumberScheduled numberMisscheduled
        [ "$(nodes ds)" = "n1 n2 n3" ] # one that runs goes on
        k delete pod "$(k get pods -l app=ds --field-selector spec.nodeName=n2 -o jsonpath='{.items[0].metadata.name}')" --force --grace-period=0
        wait_for serves ds 2 v1
        [ "$(nodes ds)" = "n1 n3" ]
        k taint node n2 away-
        wait_for serves ds 3 v1
        k taint node n2 away=now:NoExecute
        wait_for serves ds 2 v1
        k taint node n2 away-
        wait_for serves ds 3 v1
        # What the system says of a node keeps no daemon away.
        k cordon n2
        k taint node n2 node.kubernetes.io/not-ready=:NoExecute node.kubernetes.io/memory-pressure=:NoSchedule
        k delete pod "$(k get pods -l app=ds --field-selector spec.nodeName=n2 -o jsonpath='{.items[0].metadata.name}')" --force --grace-period=0
        wait_for serves ds 3 v1
        [ "$(nodes ds)" = "n1 n2 n3" ]
        k uncordon n2
        k taint node n2 node.kubernetes.io/not-ready- node.kubernetes.io/memory-pressure- || :
        # By labels and affinity.
        daemon_set picky v1 "" "nodeSelector: {disk: ssd}, affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: NotIn, values: [n3]}]}]}}}," | k create -f -
        wait_for is "0 0" status daemonset picky desiredNumberScheduled currentNumberScheduled
        k label nodes n1 n3 disk=ssd
        wait_for serves picky 1 v1
        [ "$(nodes picky)" = n1 ]
        k label nodes n1 n3 disk-
        none() { kubelets; is "0 0" status daemonset picky desiredNumberScheduled currentNumberScheduled && is 0 count pods -l app=picky; }
        wait_for none
        k delete daemonset picky
        # On one node by its name.
        daemon_set one v1 "" "nodeName: n3," | k create -f -
        wait_for serves one 1 v1
        [ "$(nodes one)" = n3 ]
        k delete daemonset one
}

@test "a rolling update replaces one daemon at a time, stops when it breaks, and goes back" {
        local n
        image daemonset/ds v2
        ending() { k get pods -l app=ds -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}' | wc -w; }
        wait_for is 1 ending
        k patch daemonset ds --type=merge -p '{"spec":{"revisionHistoryLimit":9}}'
        wait_for is 3 status daemonset ds desiredNumberScheduled # it was looked at since
        [ "$(ending)" = 1 ]
        k rollout status daemonset/ds --watch=false | grep -q "out of 3 new pods have been updated"
        wait_for serves ds 3 v2
        [ "$(k get daemonset ds -o jsonpath='{.metadata.annotations.deprecated\.daemonset\.template\.generation}')" = 2 ]
        image daemonset/ds broken
        broken() { kubelets; [ "$(k get pods -l app=ds --field-selector status.phase=Pending -o jsonpath='{.items[*].spec.containers[0].image}')" = broken ]; }
        wait_for broken
        wait_for is "3 2 1 1" status daemonset ds desiredNumberScheduled numberAvailable numberUnavailable updatedNumberScheduled
        k rollout history daemonset/ds | grep -E '^3 +first'
        k rollout history daemonset/ds --revision=2 | grep -q "Image:.*v2"
        k rollout undo daemonset/ds
        wait_for serves ds 3 v2
        k rollout undo daemonset/ds --to-revision=1
        wait_for serves ds 3 v1
        [ "$(count controllerrevisions -l app=ds)" = 3 ]
        k patch daemonset ds --type=merge -p '{"spec":{"revisionHistoryLimit":1}}'
        wait_for is 2 count controllerrevisions -l app=ds
        k rollout pause daemonset/ds 2>&1 | grep -q "pausing is not supported"
        k rollout restart daemonset/ds # old and new have the same image
        wait_for reaches "3 3 3" daemonset ds desiredNumberScheduled numberReady updatedNumberScheduled
        wait_for serves ds 3 v1
}

@test "with surge the new daemon runs before the old one goes" {
        k patch daemonset ds --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0}}}}'
        wait_for serves ds 3 v1
        # Of two pods on a node the older counts, and of two that were made in the same second, the first by name, as upstream.
        older() { [[ $(k get pods -l app=ds --sort-by=.metadata.creationTimestamp -o jsonpath='{.items[-1].metadata.creationTimestamp}') < $(date -u +%FT%TZ) ]]; }
        wait_for older
        image daemonset/ds broken
        # One more, and nobody has gone.
        wait_for is 4 count pods -l app=ds
        wait_for reaches "3 3 3" daemonset ds desiredNumberScheduled numberReady numberAvailable
        [ "$(k get pods -l app=ds --field-selector status.phase=Running -o name | wc -l)" = 3 ]
        image daemonset/ds v2
        wait_for serves ds 3 v2
        k patch daemonset ds --type=merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":"100%"}}}}'
        image daemonset/ds v3
        wait_for serves ds 3 v3
}

@test "OnDelete leaves daemons as they are; minReadySeconds are waited for" {
        k patch daemonset ds --type=json -p '[{"op":"replace","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]'
        image daemonset/ds v4
        wait_for reaches "3 3 " daemonset ds desiredNumberScheduled numberReady updatedNumberScheduled
        [ "$(images ds)" = "v3 v3 v3" ]
        k delete pod "$(k get pods -l app=ds -o jsonpath='{.items[0].metadata.name}')" --force --grace-period=0
        updated() { kubelets; is "3 3 1" status daemonset ds desiredNumberScheduled numberReady updatedNumberScheduled; }
        wait_for updated
        k patch daemonset ds --type=merge -p '{"spec":{"minReadySeconds":3600}}'
        wait_for is "3 3 " status daemonset ds desiredNumberScheduled numberReady numberAvailable
        k patch daemonset ds --type=merge -p '{"spec":{"minReadySeconds":1}}'
        wait_for is "3 3 3" status daemonset ds desiredNumberScheduled numberReady numberAvailable
}

@test "daemons that failed or ended are replaced, with an event" {
        local pod was
        daemon_set over v1 | k create -f -
        wait_for serves over 3 v1
        for phase in Failed Succeeded; do
                was=$(uids over)
                pod=$(k get pods -l app=over --field-selector spec.nodeName=n1 -o jsonpath='{.items[0].metadata.name}')
                set_phase "$pod" $phase
                replaced() { [ "$(uids over)" != "$was" ] && serves over 3 v1; }
                wait_for replaced
                [ "$(nodes over)" = "n1 n2 n3" ]
        done
        wait_for said DaemonSet over FailedDaemonPod "on node n1, will try to kill it"
        wait_for said DaemonSet over SucceededDaemonPod "on node n1, will try to delete it"
        k delete daemonset over
}

@test "daemons that were orphaned are taken up without a restart, and go with their set" {
        local was
        was=$(uids ds)
        k delete daemonset ds --cascade=orphan
        wait_for is "" k get pods,controllerrevisions -l app=ds -o jsonpath='{.items[*].metadata.ownerReferences[*].name}'
        daemon_set ds v4 | k create -f -
        image_is() { kubelets; is "ds ds ds" k get pods -l app=ds -o jsonpath='{.items[*].metadata.ownerReferences[*].name}' && serves ds 3 v4; }
        wait_for image_is
        k delete daemonset ds --cascade=foreground --wait=false
        gone() { kubelets; [ "$(count pods -l app=ds)/$(count daemonset ds)/$(count controllerrevisions -l app=ds)" = 0/0/0 ]; }
        wait_for gone
}

# --- all of them ----------------------------------------------------------------------------------------------------
@test "a status that somebody wrote is put right, but for its conditions" {
        replication_controller st 2 | k create -f -
        stateful_set st 2 v1 "podManagementPolicy: Parallel" | sed 's/app: st/app: st-set/g' | k create -f -
        daemon_set st v1 | sed 's/app: st/app: st-daemon/g' | k create -f -
        rc_is() { reaches "2 2 2" rc st replicas readyReplicas availableReplicas; }
        set_is() { reaches "2 2 2 2" statefulset st replicas readyReplicas availableReplicas updatedReplicas; }
        daemon_is() { reaches "3 3 3 3" daemonset st desiredNumberScheduled numberReady numberAvailable updatedNumberScheduled; }
        for is in rc_is set_is daemon_is; do wait_for $is; done
        local condition='"conditions":[{"type":"Looked","status":"True","reason":"E2E","message":"by hand"}]'
        k patch rc st --subresource=status --type=merge -p '{"status":{"replicas":99,"readyReplicas":7,'"$condition"'}}'
        k patch statefulset st --subresource=status --type=merge -p '{"status":{"replicas":99,"updatedReplicas":0,"currentRevision":"none",'"$condition"'}}'
        k patch daemonset st --subresource=status --type=merge -p '{"status":{"desiredNumberScheduled":99,"numberReady":0,'"$condition"'}}'
        for is in rc_is set_is daemon_is; do wait_for $is; done
        for kind in rc statefulset daemonset; do
                [ "$(k get $kind st -o jsonpath='{.status.conditions[0].type}/{.status.conditions[0].message}')" = "Looked/by hand" ]
        done
        [ "$(k get statefulset st -o go-template='{{eq .status.currentRevision .status.updateRevision}}')" = true ]
}

@test "a copy of a revision, and the end of the first, disturb nobody" {
        local was first
        was=$(uids st-daemon)
        first=$(k get controllerrevisions -l app=st-daemon -o jsonpath='{.items[0].metadata.name}')
        k get controllerrevision "$first" -o json | python3 -c '
import json, sys
revision = json.load(sys.stdin)
for field in "uid", "resourceVersion", "creationTimestamp", "managedFields": revision["metadata"].pop(field, None)
revision["metadata"]["name"] += "-copy"
revision["revision"] += 1
json.dump(revision, sys.stdout)' | k create -f -
        # Another reconcile sees it.
        k patch daemonset st --type=merge -p '{"spec":{"revisionHistoryLimit":3}}'
        wait_for reaches "3 3 3" daemonset st desiredNumberScheduled numberReady updatedNumberScheduled
        k delete controllerrevision "$first"
        k patch daemonset st --type=merge -p '{"spec":{"revisionHistoryLimit":4}}'
        wait_for reaches "3 3 3" daemonset st desiredNumberScheduled numberReady updatedNumberScheduled
        [ "$(uids st-daemon)" = "$was" ]
        [ "$(k get controllerrevisions -l app=st-daemon -o name)" = "controllerrevision.apps/$first-copy" ]
        # Collections are listed and deleted as such.
        k delete --raw "/apis/apps/v1/namespaces/default/daemonsets?fieldSelector=metadata.name=st" >/dev/null
        k delete --raw "/apis/apps/v1/namespaces/default/statefulsets?fieldSelector=metadata.name=st" >/dev/null
        k delete --raw "/api/v1/namespaces/default/replicationcontrollers?fieldSelector=metadata.name=st" >/dev/null
        gone() { kubelets; [ "$(count pods -l 'app in (st,st-set,st-daemon)')/$(count controllerrevisions)" = 0/0 ]; }
        wait_for gone
}

@test "a manager that is killed again and again loses nothing and doubles nothing" {
        restart() {
                kill -9 "$(cat "$CP/kube-controller-manager.pid")"
                component_start "$CP" kube-controller-manager --node-monitor-grace-period 1h
        }
        local i
        for i in $(seq 40); do # its claims bind to these
                echo "{apiVersion: v1, kind: PersistentVolume, metadata: {name: volume-$i}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /nonesuch}}}"
                echo ---
        done | k create -f - >/dev/null
        stateful_set many 40 v1 'podManagementPolicy: Parallel
  updateStrategy: {rollingUpdate: {maxUnavailable: 100%}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]' | k create -f -
        daemon_set every v1 "updateStrategy: {rollingUpdate: {maxUnavailable: 100%}}" | k create -f -
        stateful_set row 4 v1 | k create -f -
        for i in 1 2 3; do
                wait_for k get pod many-$((i * 7))
                restart
                kubelets
        done
        image statefulset/many v2
        image statefulset/row v2
        image daemonset/every v2
        for i in 1 2 3; do
                kubelets
                restart
        done
        settled() { rolled_out many 40 v2 && rolled_out row 4 v2 && serves every 3 v2; }
        wait_for settled
        [ "$(count pvc -l app=many)" = 40 ]
        [ "$(names row)" = "row-0 row-1 row-2 row-3" ]
        [ "$(count controllerrevisions -l app=many)/$(count controllerrevisions -l app=every)" = 2/2 ]
}

@test "the controllers did all that with nothing but the bootstrap roles" {
        run forbidden
        echo "$output" | grep -v nobody
        [ -z "$(echo "$output" | grep -v '"refused-')" ]
}
