#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# CSI volumes are attached where pods use them, and detached where nobody does. The test plays kubelets and attacher.

load ../../lib/plane
load ../../lib/claims

setup_file() {
        plane_begin
        plane_manage \
                --controllers persistentvolume-binder-controller,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,persistentvolume-attach-detach-controller,pod-garbage-collector-controller,serviceaccount-controller
        for name in n1 n2; do
                k apply -f - <<EOF
apiVersion: v1
kind: Node
metadata: {name: $name}
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {name: $name}
spec: {drivers: [{name: d.example, nodeID: $name}]}
EOF
                k patch node $name --type=merge -p '{"spec":{"taints":null}}'
                ready $name True
        done
        k apply -f - <<EOF
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: free.example}
spec: {attachRequired: false}
EOF
}

teardown() {
        k delete pods,pvc --all --force --grace-period=0 >/dev/null 2>&1
        in_use n1 && in_use n2
        k delete pv --all >/dev/null 2>&1
        wait_for nothing_attached
}

ready() { # NODE STATUS
        k patch node "$1" --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"'"$2"'","reason":"Test"}]}}'
}
in_use() { # NODE [VOLUME]
        k patch node "$1" --subresource=status --type=merge -p '{"status":{"volumesInUse":['"${2:+\"$2\"}"']}}' >/dev/null
}
volume() { # NAME DRIVER MODE: with a claim of its name
        k create -f - <<EOF
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1}
spec:
  capacity: {storage: 1Gi}
  accessModes: [$3]
  csi: {driver: $2, volumeHandle: handle-$1}
  claimRef: {namespace: default, name: $1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec: {storageClassName: "", volumeName: $1, accessModes: [$3], resources: {requests: {storage: 1Gi}}}
EOF
        wait_for is Bound of "pvc/$1" '{.status.phase}'
}
attachments() { k get volumeattachments -o jsonpath='{range .items[*]}{.spec.source.persistentVolumeName} {.spec.nodeName} {.spec.attacher}{"\n"}{end}' | sort; }
nothing_attached() { [ -z "$(attachments)" ]; }
attached() { # the attacher's part: TRUE, or what went wrong
        local name
        for name in $(k get volumeattachments -o name); do
                if [ "$1" = true ]; then
                        k patch "$name" --subresource=status --type=merge -p '{"status":{"attached":true}}'
                else
                        k patch "$name" --subresource=status --type=merge -p '{"status":{"attached":false,"attachError":{"message":"'"$1"'"}}}'
                fi
        done >/dev/null
}
told() { is "$2" of "node/$1" '{.status.volumesAttached[*].name}'; } # NODE NAMES
event() { k get events --field-selector "involvedObject.name=$1,reason=$2" -o jsonpath='{.items[*].message}' | grep -qF "$3"; }

@test "attached for a pod, told to its node, and detached when the node has unmounted it" {
        volume v d.example ReadWriteOnce
        pod p v 'nodeName: n1'
        wait_for is 'v n1 d.example' attachments
        local name=$(of volumeattachments '{.items[0].metadata.name}')
        [ "$name" = "csi-$(printf handle-vd.examplen1 | sha256sum | cut -d' ' -f1)" ]
        told n1 ''
        attached 'no such disk'
        wait_for event p FailedAttachVolume 'AttachVolume.Attach failed for volume "v" : no such disk'
        attached true
        wait_for told n1 'kubernetes.io/csi/d.example^handle-v'
        wait_for event p SuccessfulAttachVolume 'AttachVolume.Attach succeeded for volume "v" '
        in_use n1 'kubernetes.io/csi/d.example^handle-v'
        k delete pod p --force --grace-period=0
        volume w d.example ReadWriteOnce # a round of the controller
        pod q w 'nodeName: n2'
        wait_for eval '[[ $(attachments) == *"w n2"* ]]'
        [[ $(attachments) == *"v n1"* ]]
        in_use n1
        wait_for is 'w n2 d.example' attachments
        wait_for told n1 ''
}

@test "a volume for one node is not attached to two" {
        volume v d.example ReadWriteOnce
        pod p v 'nodeName: n1'
        wait_for is 'v n1 d.example' attachments
        attached true
        in_use n1 'kubernetes.io/csi/d.example^handle-v'
        pod q v 'nodeName: n2'
        wait_for event q FailedAttachVolume 'Multi-Attach error for volume "v" Volume is already used by pod(s) p'
        is 'v n1 d.example' attachments
        k delete pod p --force --grace-period=0
        in_use n1
        wait_for is 'v n2 d.example' attachments
        attached true
        wait_for event q SuccessfulAttachVolume 'AttachVolume.Attach succeeded'
        volume many d.example ReadWriteMany
        pod r many 'nodeName: n1'
        pod s many 'nodeName: n2'
        wait_for is $'many n1 d.example\nmany n2 d.example\nv n2 d.example' attachments
}

@test "what needs no attaching, and a node without the driver" {
        volume v free.example ReadWriteOnce
        pod p v 'nodeName: n1'
        volume w other.example ReadWriteOnce
        pod q w 'nodeName: n1'
        wait_for event q FailedAttachVolume 'CSINode n1 does not contain driver other.example'
        nothing_attached
        k patch csinode n1 --type=json -p '[{"op":"add","path":"/spec/drivers/-","value":{"name":"other.example","nodeID":"n1"}}]'
        wait_for is 'w n1 other.example' attachments
}

@test "a node that is out of service gives back what it has" {
        volume v d.example ReadWriteOnce
        pod p v 'nodeName: n1'
        wait_for is 'v n1 d.example' attachments
        attached true
        in_use n1 'kubernetes.io/csi/d.example^handle-v'
        ready n1 Unknown
        k delete pod p --wait=false
        volume w d.example ReadWriteOnce # a round of the controller
        pod q w 'nodeName: n2'
        wait_for eval '[[ $(attachments) == *"w n2"* ]]'
        [[ $(attachments) == *"v n1"* ]]
        k patch node n1 --type=merge -p '{"spec":{"taints":[{"key":"node.kubernetes.io/out-of-service","value":"nodeshutdown","effect":"NoExecute"}]}}'
        gone() { ! k get pod p; }
        WAIT=60 wait_for gone # the next sweep of the garbage collector
        wait_for is 'w n2 d.example' attachments
        k patch node n1 --type=merge -p '{"spec":{"taints":null}}'
        ready n1 True
}
