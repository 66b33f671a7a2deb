#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The storage-provisioner with scheduler and binder: two nodes, which are fakes, each with a provisioner of its own.

load ../../lib/plane
load ../../lib/claims
ROOT=$BATS_TEST_DIRNAME/../../..

setup_file() {
        plane_begin
        component_start "$CP" kube-scheduler
        plane_manage \
                --controllers persistentvolume-binder-controller,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,serviceaccount-controller
        k apply -f "$ROOT/addons/default-storageclass/addon.yaml"
        kubeconfig_for "$CP" storage-provisioner system:storage-provisioner
        for name in n1 n2; do
                node $name
                provisioner $name
        done
}
node() { # NAME
        k apply -f - <<EOF
apiVersion: v1
kind: Node
metadata: {name: $1, labels: {kubernetes.io/hostname: host-$1}}
status: {capacity: {cpu: "4", memory: 8Gi, pods: "500"}, allocatable: {cpu: "4", memory: 8Gi, pods: "500"}}
EOF
        k patch node "$1" --type=merge -p '{"spec":{"taints":null}}'
}

teardown_file() {
        for name in n1 n2; do kill "$(cat "$CP/provisioner-$name.pid")"; done
        plane_end
}

teardown() {
        k delete pods,pvc --all --force --grace-period=0 >/dev/null 2>&1
        wait_for eval '[ -z "$(k get pv -o name)" ]'
        [ ! -d "$CP/n4" ] || no_small_node
}

provisioner() { # NODE [FLAG...]
        "$BIN/storage-provisioner" --kubeconfig "$CP/storage-provisioner.kubeconfig" --secure-port 0 --node-name "$1" \
                --folder "$CP/$1" "${@:2}" >>"$CP/provisioner-$1.log" 2>&1 3>&- &
        echo $! >"$CP/provisioner-$1.pid"
}
small_node() { # n4, with a file system of 64Mi, all of which may be promised
        mkdir "$CP/n4"
        mount -t tmpfs -o size=64m none "$CP/n4"
        provisioner n4 --overcommit 100
        node n4
}
no_small_node() {
        k delete node n4
        k uncordon n1 && k uncordon n2
        kill "$(cat "$CP/provisioner-n4.pid")"
        wait_for _gone "$(cat "$CP/provisioner-n4.pid")"
        umount "$CP/n4" && rmdir "$CP/n4"
}
kill_provisioner() { # NODE [FLAG...]
        kill -9 "$(cat "$CP/provisioner-$1.pid")"
}
claim() { # NAME SIZE [further lines of the spec]
        k create -f - <<END
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: $2}}
$(printf '%s\n' "${@:3}" | sed 's/^/  /')
END
}
bound() { is Bound of "pvc/$1" '{.status.phase}'; }
event() { k get events --field-selector "involvedObject.name=$1,reason=$2" -o jsonpath='{.items[*].message}' | grep -qF "$3"; }
folder() { of "pv/$(of "pvc/$1" '{.spec.volumeName}')" '{.spec.local.path}'; } # CLAIM

@test "a claim gets a folder on the node of its pod, and takes it along" {
        claim c 1Gi
        pod p c 'nodeSelector: {kubernetes.io/hostname: host-n2}'
        wait_for on p n2
        bound c
        local path=$(folder c) volume=$(of pvc/c '{.spec.volumeName}')
        [ "$path" = "$CP/n2/pvc-$(of pvc/c '{.metadata.uid}')" ]
        [ "$(stat -c %a "$path")" = 777 ]
        is 'coxswain.dev/local host-n2 Delete standard' of "pv/$volume" \
                '{.metadata.annotations.pv\.kubernetes\.io/provisioned-by} {.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]} {.spec.persistentVolumeReclaimPolicy} {.spec.storageClassName}'
        wait_for event c Provisioning 'External provisioner is provisioning volume for claim "default/c"'
        wait_for event c ProvisioningSucceeded "Successfully provisioned volume $volume"
        touch "$path/data" "$CP/n2/other"
        k delete pod p --force --grace-period=0
        [ -e "$path/data" ]
        k delete pvc c
        gone() { [ ! -e "$path" ] && ! k get pv "$volume"; }
        wait_for gone
        [ -e "$CP/n2/other" ]
        rm "$CP/n2/other"
}

@test "a claim that grows" {
        claim c 1Gi
        pod p c
        wait_for bound c
        k patch pvc c --type=merge -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
        wait_for is 2Gi of pvc/c '{.status.capacity.storage}'
        is 2Gi of "pv/$(of pvc/c '{.spec.volumeName}')" '{.spec.capacity.storage}'
        wait_for event c VolumeResizeSuccessful "Resize volume succeeded"
        k patch pvc c --type=merge -p '{"spec":{"resources":{"requests":{"storage":"900Pi"}}}}'
        wait_for event c VolumeResizeFailed "more is asked of node"
        is 2Gi of pvc/c '{.status.capacity.storage}'
}

@test "what is more than there is, or cannot be, is said on the claim" {
        claim big 900Pi
        pod p big
        wait_for event big ProvisioningFailed 'failed to provision volume with StorageClass "standard":'
        wait_for event p FailedScheduling 'provisioning failed for PVC "big"'
        claim block 1Gi 'volumeMode: Block'
        pod q block
        wait_for event block ProvisioningFailed 'volumeMode Block is not made of folders'
        [ -z "$(ls "$CP/n1" "$CP/n2" | grep pvc-)" ]
}

ON_N4='nodeSelector: {kubernetes.io/hostname: host-n4}'
asked() { # CLAIM SIZE PROMISED: it was told so
        event "$1" ProvisioningFailed "$2 more is asked of node \"n4\", which has promised $3 to volumes of the 64Mi that it may promise; its file system of 64Mi has"
}

@test "no node promises more than it has, also after a kill; what is deleted is free again" {
        [ "$(id -u)" = 0 ] || skip "mounting needs root"
        small_node
        claim a 40Mi && pod a a "$ON_N4"
        wait_for bound a
        claim b 40Mi && pod b b "$ON_N4"
        wait_for asked b 40Mi 40Mi
        claim s 16Mi && pod s s "$ON_N4" # others go on
        wait_for bound s
        kill_provisioner n4
        provisioner n4 --overcommit 100
        claim d 9Mi && pod d d "$ON_N4"
        wait_for asked d 9Mi 56Mi
        k patch pvc s --type=merge -p '{"spec":{"resources":{"requests":{"storage":"30Mi"}}}}'
        wait_for event s VolumeResizeFailed "14Mi more is asked of node"
        k patch pvc s --type=merge -p '{"spec":{"resources":{"requests":{"storage":"20Mi"}}}}'
        wait_for is 20Mi of pvc/s '{.status.capacity.storage}'
        k delete pods a s --force --grace-period=0
        k delete pvc a s
        wait_for bound b
        wait_for bound d
}

@test "claims that come at once get what there is, and no more" {
        [ "$(id -u)" = 0 ] || skip "mounting needs root"
        local i
        small_node
        for i in 1 2 3 4 5 6 7 8; do claim "c$i" 20Mi && pod "p$i" "c$i" "$ON_N4"; done
        answered() {
                [ "$(k get pvc -o jsonpath='{.items[*].status.phase}' | grep -o Bound | wc -l)" = 3 ] &&
                        [ "$(k get events --field-selector reason=ProvisioningFailed -o jsonpath='{.items[*].involvedObject.name}' |
                                tr ' ' '\n' | grep -c '^c')" -ge 5 ]
        }
        wait_for answered
        [ "$(ls "$CP/n4" | wc -l)" = 3 ]
}

@test "a pod whose node has no room for its claim may go to another" {
        [ "$(id -u)" = 0 ] || skip "mounting needs root"
        small_node
        k cordon n1 && k cordon n2
        claim e 100Mi && pod e e
        wait_for asked e 100Mi 0
        k cordon n4 && k uncordon n1
        wait_for on e n1
        bound e
}

@test "a claim that binds at once and is too large is told so, and not fought over" {
        k create -f - <<EOF
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: at-once}
provisioner: coxswain.dev/local
EOF
        claim huge 900Pi 'storageClassName: at-once'
        wait_for event huge ProvisioningFailed '900Pi more is asked of node "n1"'
        wait_for event huge ProvisioningFailed '900Pi more is asked of node "n2"'
        local version=$(of pvc/huge '{.metadata.resourceVersion}')
        claim f 1Mi 'storageClassName: at-once' # others go on
        wait_for bound f
        is "$version" of pvc/huge '{.metadata.resourceVersion}'
        k delete sc at-once
}

@test "a claim whose node has gone is for another" {
        node n3
        claim c 1Gi
        pod p c 'affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [host-n3]}]}}]}}'
        selected() { is n3 of pvc/c '{.metadata.annotations.volume\.kubernetes\.io/selected-node}'; }
        wait_for selected
        k delete node n3
        wait_for bound c
        [ "$(of pod/p '{.spec.nodeName}')" != n3 ]
}

@test "a class that binds at once, and one that retains" {
        k create -f - <<EOF
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: now}
provisioner: coxswain.dev/local
reclaimPolicy: Retain
EOF
        claim c 1Gi 'storageClassName: now'
        wait_for bound c
        local path=$(folder c) volume=$(of pvc/c '{.spec.volumeName}')
        touch "$path/data"
        k delete pvc c
        wait_for is Released of "pv/$volume" '{.status.phase}'
        k delete "pv/$volume" sc/now
        [ -e "$path/data" ] # it is the administrator's
        rm -r "$path"
}

@test "killed anywhere, it goes on: one folder for a claim, and none that is left" {
        local i
        kill_provisioner n1
        # It had made the folder, and no volume yet; for another, the claim has gone since.
        claim c 1Gi
        mkdir "$CP/n1/pvc-$(of pvc/c '{.metadata.uid}')" "$CP/n1/pvc-00000000-0000-0000-0000-000000000000"
        pod p c 'nodeSelector: {kubernetes.io/hostname: host-n1}'
        selected() { is n1 of pvc/c '{.metadata.annotations.volume\.kubernetes\.io/selected-node}'; }
        wait_for selected
        provisioner n1
        wait_for on p n1
        only() { [ "$(ls "$CP/n1" | wc -l)" = 1 ]; }
        wait_for only
        for i in 1 2 3 4 5 6 7 8 9 10; do
                claim "m$i" 1Gi
                pod "m$i" "m$i" 'nodeSelector: {kubernetes.io/hostname: host-n1}'
                kill_provisioner n1
                provisioner n1
        done
        all() { [ "$(k get pods -o jsonpath='{.items[*].spec.nodeName}' | wc -w)" = 11 ]; }
        wait_for all
        [ "$(ls "$CP/n1" | wc -l)" = 11 ]
        k delete pods --all --force --grace-period=0
        k delete pvc --all --wait=false
        kill_provisioner n1
        provisioner n1
        none() { [ -z "$(ls "$CP/n1")" ] && [ -z "$(k get pv -o name)" ]; }
        wait_for none
}

@test "a folder that cannot be removed is said on the volume, and goes later" {
        [ "$(id -u)" = 0 ] || skip "mounting needs root"
        claim c 1Gi
        pod p c
        wait_for bound c
        local path=$(folder c) volume=$(of pvc/c '{.spec.volumeName}') pid
        mkdir "$path/inner"
        mount -t tmpfs none "$path/inner"
        touch "$path/inner/data"
        k delete pod p --force --grace-period=0
        k delete pvc c
        wait_for event "$volume" VolumeFailedDelete "is mounted"
        [ -e "$path/inner/data" ]
        umount "$path/inner"
        gone() { [ ! -e "$path" ]; }
        wait_for gone
}

@test "a volume that says it is here and is not is left alone" {
        mkdir -p "$CP/outside"
        touch "$CP/outside/data"
        k create -f - <<EOF
apiVersion: v1
kind: PersistentVolume
metadata: {name: forged, annotations: {pv.kubernetes.io/provisioned-by: coxswain.dev/local}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Delete
  local: {path: $CP/outside}
  claimRef: {namespace: default, name: nobody, uid: 00000000-0000-0000-0000-000000000001}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [host-n1]}]}]}}
EOF
        wait_for is Released of pv/forged '{.status.phase}'
        claim c 1Gi # a round of the provisioners
        pod p c
        wait_for bound c
        [ -e "$CP/outside/data" ]
        k delete pv forged
}
