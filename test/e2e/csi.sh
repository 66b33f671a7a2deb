#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A CSI driver (test/csi) in a cluster: from a claim over scheduler, binder, attachdetach-controller and kubelet to
# data in a pod, and back; also when what takes part is killed. Prints TAP.
#   test/e2e/csi.sh [KUBECTL]       KUBECTL: ours by default; upstream's judges the same
set -u
. "$(dirname "$0")/../lib/cluster.sh"
cluster_begin csi "${1:-}"
. "$top/test/lib/csi.bash"
csi_top=$top csi_driver=test.csi.coxswain csi_folder=$work/driver csi_node=csi csi_log=$work/driver.log
csi_kubelet=$work/.minikube/profiles/csi/nodes/csi
mkdir "$csi_folder"

start_driver() {
        csi_api=(--server "https://$(mk ip):8443" --ca "$work/.minikube/ca.crt" --cert "$work/.minikube/profiles/csi/certs/admin.crt"
                --key "$work/.minikube/profiles/csi/certs/admin.key")
        csi_start "${csi_parts[@]}"
}
kill_driver() { csi_kill "${csi_parts[@]}"; }
t_driver() {
        k apply -f - <<YAML || return 1
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: $csi_driver}
spec: {attachRequired: true, volumeLifecycleModes: [Persistent]}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: csi}
provisioner: $csi_driver
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
YAML
        start_driver && until_true 60 csi_registered && until_true 60 lists_driver
}
lists_driver() { k get csinode csi -o 'jsonpath={.spec.drivers[*].name}' | grep -q $csi_driver; }
t_image() {
        "$top/test/images/build" "$work/images" && tar -C "$work/images/busybox-1.35" -cf "$work/busybox.tar" . &&
                mk image load "$work/busybox.tar"
}

claim() { # NAME
        cat <<YAML
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec: {storageClassName: csi, accessModes: [ReadWriteOnce], resources: {requests: {storage: 320Mi}}}
YAML
}
pod() { # NAME CLAIM
        cat <<YAML
---
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox:1.35
    command: [sh, -c, 'echo \$(hostname) >>/v/log && sync && exec sleep 100000']
    volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: $2}}]
YAML
}
up() { k wait --for=condition=Ready "pod/$1" --timeout=90s; }
event() { k get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={.items[*].message}' | grep -qF "$3"; }
attachments() { k get volumeattachments -o 'jsonpath={range .items[*]}{.spec.source.persistentVolumeName} {.status.attached}{"\n"}{end}'; }
volume_of() { k get pvc "$1" -o 'jsonpath={.spec.volumeName}'; }
told() { k get node csi -o 'jsonpath={.status.volumesAttached[*].name}'; }
loops() { losetup -n -O BACK-FILE | grep -cF "$csi_folder/"; }
detached() { equals "$(attachments)" "" && equals "$(told)" "" && equals "$(loops)" 0; }

t_first() {
        { claim data && pod one data; } | k apply -f - && up one &&
                equals "$(attachments)" "$(volume_of data) true" && equals "$(told | grep -c "kubernetes.io/csi/$csi_driver^")" 1 &&
                until_true 30 event one SuccessfulAttachVolume "AttachVolume.Attach succeeded for volume \"$(volume_of data)\"" &&
                equals "$(k exec one -- cat /v/log)" one
}
t_detach() { k delete pod one && until_true 60 detached; }
t_again() { pod two data | k apply -f - && up two && equals "$(k exec two -- cat /v/log | xargs)" "one two"; }
t_manager() { # while it is away the pod goes, and the next one comes
        kill -STOP "$(pid_of supervisor)"
        kill -9 "$(pid_of kube-controller-manager)"
        k delete pod two && pod three data | k apply -f -
        local r=$?
        kill -CONT "$(pid_of supervisor)"
        [ $r -eq 0 ] && up three && equals "$(k exec three -- cat /v/log | xargs)" "one two three"
}
t_all() {
        kill_driver
        kill -9 "$(pid_of kube-controller-manager)" "$(pid_of kube-scheduler)" "$(pid_of kubelet-csi)"
        k delete pod three --wait=false && pod four data | k apply -f - || return 1
        start_driver
        up four && equals "$(k exec four -- cat /v/log | xargs)" "one two three four"
}
grown() { equals "$(k get pvc data -o 'jsonpath={.status.capacity.storage}')" 400Mi; }
t_grows() {
        k patch pvc data -p '{"spec":{"resources":{"requests":{"storage":"400Mi"}}}}' && until_true 60 grown &&
                until_true 30 event data ExternalExpanding 'waiting for an external controller to expand this PVC' &&
                [ "$(k exec four -- df -k /v | awk 'END {print $2}')" -gt 340000 ]
}
limited() { k get pod p7 -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}' | grep -qF "1 node(s) exceed max volume count"; }
t_limit() { # the driver takes seven volumes on a node
        local i
        for i in 1 2 3 4 5 6 7; do claim "c$i" && pod "p$i" "c$i"; done | k apply -f - || return 1
        for i in 1 2 3 4 5 6; do up "p$i" || return 1; done
        until_true 60 limited && k delete pod p1 && up p7
}
t_nothing() {
        k delete pods --all && until_true 60 detached && k delete pvc --all || return 1
        cleared() { equals "$(k get pv -o name)" "" && equals "$(ls "$csi_folder"/*.img 2>/dev/null | wc -l)" 0; }
        until_true 60 cleared && equals "$(grep -cF "$csi_driver" /proc/self/mountinfo)" 0
}

must "minikube start" mk start
ok "a driver registers with the kubelet" t_driver
ok "the test image" t_image
ok "a claim waits for its pod, is provisioned, attached and mounted" t_first
ok "detached when the pod has gone" t_detach
ok "the next pod finds the data" t_again
ok "the controller manager is killed while pods go and come" t_manager
ok "driver, manager, scheduler and kubelet are killed while pods go and come" t_all
ok "the claim grows while it is used" t_grows
ok "a node takes no more volumes than the driver allows" t_limit
ok "nothing is left" t_nothing
ok "minikube delete" mk delete
tap_end
