#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Pods with claims: scheduler and binder together. Nodes are fakes, and the test plays the provisioner.

load ../../lib/plane
load ../../lib/claims

setup_file() {
        plane_begin
        cat >"$CP/scheduler.yaml" <<EOF
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: default-scheduler
- schedulerName: hasty
  pluginConfig: [{name: VolumeBinding, args: {bindTimeoutSeconds: 1}}]
EOF
        component_start "$CP" kube-scheduler --v 2 --config "$CP/scheduler.yaml"
        plane_manage \
                --controllers persistentvolume-binder-controller,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,ephemeral-volume-controller,serviceaccount-controller
        node n1
        node n2
        k apply -f - <<EOF
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: made}
provisioner: test.example
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disks}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
EOF
}

teardown() {
        k delete pods,pvc --all --force --grace-period=0 >/dev/null 2>&1
        k delete pv --all >/dev/null 2>&1
}

node() { # NAME
        k apply -f - <<EOF
apiVersion: v1
kind: Node
metadata: {name: $1, labels: {kubernetes.io/hostname: $1}}
status: {capacity: {cpu: "4", memory: 8Gi, pods: "110"}, allocatable: {cpu: "4", memory: 8Gi, pods: "110"}}
EOF
        k patch node "$1" --type=merge -p '{"spec":{"taints":null}}'
}
claim() { # NAME CLASS MODE
        k create -f - <<EOF
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec: {storageClassName: $2, accessModes: [$3], resources: {requests: {storage: 1Gi}}}
EOF
}
volume() { # NAME CLASS NODE MODE [further lines of the spec]
        k create -f - <<EOF
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1}
spec:
  storageClassName: $2
  capacity: {storage: 1Gi}
  accessModes: [$4]
  local: {path: /none}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$3]}]}]}}
$(printf '%s\n' "${@:5}" | sed 's/^/  /')
EOF
}
says() { is "$2" of "pod/$1" '{.status.conditions[?(@.type=="PodScheduled")].message}'; } # POD MESSAGE
event() { k get events --field-selector "involvedObject.name=$1" -o jsonpath='{.items[*].message}' | grep -qF "$2"; }
selected() { of "pvc/$1" '{.metadata.annotations.volume\.kubernetes\.io/selected-node}'; }
is_selected() { [ -n "$(selected "$1")" ]; }

@test "a claim that is not there, and the pod goes once it is" {
        pod p later
        wait_for says p '0/2 nodes are available: persistentvolumeclaim "later" not found. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.'
        volume v disks n2 ReadWriteOnce
        claim later disks ReadWriteOnce
        wait_for on p n2
        is "Bound v" of pvc/later '{.status.phase} {.spec.volumeName}'
}

@test "a claim that nobody can serve, and the pod goes once there is a volume" {
        claim c disks ReadWriteOnce
        pod p c
        wait_for says p "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        volume v disks n1 ReadWriteOnce
        wait_for on p n1
}

@test "a provisioner is told the node, and may say no" {
        claim c made ReadWriteOnce
        pod p c
        wait_for is_selected c
        is test.example of pvc/c '{.metadata.annotations.volume\.kubernetes\.io/storage-provisioner}'
        # It cannot: the pod is scheduled anew, and names a node again.
        k annotate pvc c volume.kubernetes.io/selected-node-
        wait_for event p 'binding rejected: running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "c"'
        wait_for is_selected c
        local node=$(selected c)
        volume made made "$node" ReadWriteOnce "claimRef: {namespace: default, name: c, uid: $(of pvc/c '{.metadata.uid}')}"
        wait_for on p "$node"
        # The next pod of the claim goes there, too.
        pod q c
        wait_for on q "$node"
}

@test "an ephemeral volume" {
        volume v disks n2 ReadWriteOnce
        k create -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  automountServiceAccountToken: false
  containers: [{name: c, image: x}]
  volumes: [{name: tmp, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: disks, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]
EOF
        wait_for on p n2
        is "v" of pvc/p-tmp '{.spec.volumeName}'
}

@test "who waits no longer than bindTimeoutSeconds, and a pod that goes meanwhile" {
        claim c made ReadWriteOnce
        pod p c 'schedulerName: hasty'
        wait_for is_selected c
        k cordon n1
        k cordon n2
        wait_for event p 'binding volumes: context deadline exceeded'
        is_free() { ! is_selected c; }
        wait_for is_free # another node may do better
        k uncordon n1
        k uncordon n2
        wait_for is_selected c
        claim d made ReadWriteOnce
        pod q d
        wait_for is_selected d
        k delete pod q --force --grace-period=0
        gave_up() { grep -q 'the pod does not exist any more.*pod="default/q"' "$CP/kube-scheduler.log"; }
        wait_for gave_up
}

@test "a claim for one pod: the next waits, a more important one takes it" {
        volume v disks n1 ReadWriteOncePod
        claim c disks ReadWriteOncePod
        pod first c
        wait_for on first n1
        pod second c
        wait_for says second '0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.'
        k create -f - <<EOF
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
EOF
        k delete pod second --force --grace-period=0
        pod third c 'priorityClassName: high'
        wait_for event first 'Preempted by pod'
        k delete pod first --force --grace-period=0
        wait_for on third n1
        k delete priorityclass high
}
