#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Claims and volumes: who gets which, what becomes of both when the other goes, and what holds them. The test plays the
# provisioner.

load ../../lib/plane

setup_file() {
        plane_begin
        plane_manage \
                --controllers persistentvolume-binder-controller,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,ephemeral-volume-controller,persistentvolume-expander-controller,garbage-collector-controller,serviceaccount-controller
}

teardown() {
        k delete pods,pvc --all --force --grace-period=0 >/dev/null 2>&1
        k delete pv,sc --all >/dev/null 2>&1
}

# volume NAME SIZE [further lines of the spec]
volume() {
        k create -f - <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1, labels: {size: s$2}}
spec:
  capacity: {storage: $2}
  hostPath: {path: /none}
$(printf '%s\n' "${@:3}" | sed 's/^/  /')
END
}
# claim NAME SIZE [further lines of the spec]
claim() {
        k create -f - <<END
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec:
  resources: {requests: {storage: $2}}
$(printf '%s\n' "${@:3}" | sed 's/^/  /')
END
}
ONCE='accessModes: [ReadWriteOnce]' NONE='storageClassName: ""'
phase() { is "$2" of "$1" '{.status.phase}'; }
bound() { is "Bound $2" of "pvc/$1" '{.status.phase} {.spec.volumeName}'; } # CLAIM VOLUME
event() { k get events --field-selector "involvedObject.name=$1,reason=$2" -o name | grep -q .; }
count_of() { k get events --field-selector "involvedObject.name=$1,reason=$2" -o jsonpath='{.items[*].count}'; }
gone() { ! k get "$@" >/dev/null 2>&1; }
class() { # NAME PROVISIONER MODE [ANNOTATIONS]
        printf 'apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: %s, annotations: {%s}}\nprovisioner: %s\nvolumeBindingMode: %s\nallowVolumeExpansion: true\n' \
                "$1" "$4" "$2" "$3" | k apply -f -
}

@test "a claim gets the smallest volume that suits it, and both say so" {
        volume large 10Gi "$ONCE"
        volume small 2Gi "$ONCE"
        volume shared 2Gi 'accessModes: [ReadWriteMany]'
        volume device 2Gi "$ONCE" 'volumeMode: Block'
        volume other 2Gi "$ONCE" 'storageClassName: other'
        claim c 1Gi "$ONCE" "$NONE"
        wait_for bound c small
        is "2Gi ReadWriteOnce" of pvc/c '{.status.capacity.storage} {.status.accessModes[0]}'
        is "yes yes" of pvc/c '{.metadata.annotations.pv\.kubernetes\.io/bind-completed} {.metadata.annotations.pv\.kubernetes\.io/bound-by-controller}'
        is "Bound default/c PersistentVolumeClaim $(of pvc/c '{.metadata.uid}')" of pv/small '{.status.phase} {.spec.claimRef.namespace}/{.spec.claimRef.name} {.spec.claimRef.kind} {.spec.claimRef.uid}'
        for v in large shared device other; do wait_for phase "pv/$v" Available; done
        claim big 5Gi "$ONCE" "$NONE"
        wait_for bound big large
        claim many 1Gi 'accessModes: [ReadWriteMany]' "$NONE"
        wait_for bound many shared
        claim block 1Gi "$ONCE" "$NONE" 'volumeMode: Block'
        wait_for bound block device
        claim classed 1Gi "$ONCE" 'storageClassName: other'
        wait_for bound classed other
        claim poor 1Gi "$ONCE" "$NONE"
        wait_for event poor FailedBinding
        phase pvc/poor Pending
        volume late 1Gi "$ONCE"
        wait_for bound poor late
}

@test "selectors, named volumes and volumes that are kept for a claim" {
        volume a 1Gi "$ONCE"
        volume b 2Gi "$ONCE"
        claim picky 1Gi "$ONCE" "$NONE" 'selector: {matchLabels: {size: s2Gi}}'
        wait_for bound picky b
        claim named 1Gi "$ONCE" "$NONE" 'volumeName: a'
        wait_for bound named a
        is "" of pvc/named '{.metadata.annotations.pv\.kubernetes\.io/bound-by-controller}'
        claim early 1Gi "$ONCE" "$NONE" 'volumeName: later'
        wait_for phase pvc/early Pending
        volume later 1Gi "$ONCE"
        wait_for bound early later
        claim wrong 3Gi "$ONCE" "$NONE" 'volumeName: tiny'
        volume tiny 1Gi "$ONCE"
        wait_for event wrong VolumeMismatch
        phase pvc/wrong Pending
        claim greedy 1Gi "$ONCE" "$NONE" 'volumeName: a'
        wait_for event greedy FailedBinding
        volume kept 5Gi "$ONCE" 'claimRef: {namespace: default, name: mine}'
        wait_for phase pv/kept Available
        claim thief 4Gi "$ONCE" "$NONE"
        wait_for event thief FailedBinding
        claim mine 1Gi "$ONCE" "$NONE"
        wait_for bound mine kept
        is "" of pv/kept '{.metadata.annotations.pv\.kubernetes\.io/bound-by-controller}'
}

@test "the default class, from the start and for those that waited" {
        claim waited 1Gi "$ONCE"
        claim none 1Gi "$ONCE" "$NONE"
        wait_for event waited FailedBinding
        class older example.com/x Immediate '"storageclass.kubernetes.io/is-default-class": "true"'
        wait_for is "older example.com/x" of pvc/waited '{.spec.storageClassName} {.metadata.annotations.volume\.kubernetes\.io/storage-provisioner}'
        claim fresh 1Gi "$ONCE"
        is older of pvc/fresh '{.spec.storageClassName}'
        is "" of pvc/none '{.spec.storageClassName}'
}

@test "a provisioner is asked, and what it makes is the claim's" {
        class fast example.com/fast Immediate
        claim p 1Gi "$ONCE" 'storageClassName: fast'
        wait_for is example.com/fast of pvc/p '{.metadata.annotations.volume\.kubernetes\.io/storage-provisioner}'
        is example.com/fast of pvc/p '{.metadata.annotations.volume\.beta\.kubernetes\.io/storage-provisioner}'
        wait_for event p ExternalProvisioning
        volume made 1Gi "$ONCE" 'storageClassName: fast' 'persistentVolumeReclaimPolicy: Delete' \
                "claimRef: {namespace: default, name: p, uid: $(of pvc/p '{.metadata.uid}')}"
        k annotate pv made pv.kubernetes.io/provisioned-by=example.com/fast
        wait_for bound p made
        k delete pvc p
        wait_for phase pv/made Released # the provisioner deletes it
        claim q 1Gi "$ONCE" 'storageClassName: missing'
        wait_for event q ProvisioningFailed
        class missing example.com/late Immediate
        wait_for is example.com/late of pvc/q '{.metadata.annotations.volume\.kubernetes\.io/storage-provisioner}'
        class manual kubernetes.io/no-provisioner Immediate
        claim r 1Gi "$ONCE" 'storageClassName: manual'
        wait_for event r ProvisioningFailed
}

@test "a claim that waits for its first consumer" {
        class late example.com/late WaitForFirstConsumer
        volume there 1Gi "$ONCE" 'storageClassName: late'
        claim w 1Gi "$ONCE" 'storageClassName: late'
        wait_for event w WaitForFirstConsumer
        phase pvc/w Pending
        phase pv/there Available
        # However often it is looked at, it is said once.
        for i in 1 2 3 4 5; do k label pv there "look$i=x"; done
        claim probe 1Gi "$ONCE" "$NONE" # a round of the controller
        wait_for event probe FailedBinding
        is 1 count_of w WaitForFirstConsumer
        printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: first}\nspec: {containers: [{name: c, image: i}], volumes: [{name: v, persistentVolumeClaim: {claimName: w}}]}\n' | k create -f -
        wait_for event w WaitForPodScheduled
        k annotate pvc w volume.kubernetes.io/selected-node=n1 # as the scheduler does
        wait_for bound w there
        claim x 1Gi "$ONCE" 'storageClassName: late'
        k annotate pvc x volume.kubernetes.io/selected-node=n1
        wait_for is example.com/late of pvc/x '{.metadata.annotations.volume\.kubernetes\.io/storage-provisioner}'
}

@test "what becomes of a volume whose claim goes, by its policy" {
        volume keep 1Gi "$ONCE" 'persistentVolumeReclaimPolicy: Retain'
        claim c1 1Gi "$ONCE" "$NONE" 'volumeName: keep'
        wait_for bound c1 keep
        k delete pvc c1
        wait_for phase pv/keep Released
        claim c2 1Gi "$ONCE" "$NONE"
        wait_for event c2 FailedBinding # nobody gets what may be somebody's data
        k patch pv keep --type=json -p '[{"op":"remove","path":"/spec/claimRef"}]'
        wait_for bound c2 keep
        volume drop 1Gi "$ONCE" 'persistentVolumeReclaimPolicy: Delete' 'claimRef: {namespace: default, name: c3}'
        claim c3 1Gi "$ONCE" "$NONE"
        wait_for bound c3 drop
        k delete pvc c3
        wait_for phase pv/drop Failed
        [[ $(of pv/drop '{.status.message}') == *"no deletable volume plugin matched" ]]
        event drop VolumeFailedDelete
        volume cycle 1Gi "$ONCE" 'persistentVolumeReclaimPolicy: Recycle' 'claimRef: {namespace: default, name: c4}'
        claim c4 1Gi "$ONCE" "$NONE"
        wait_for bound c4 cycle
        k delete pvc c4
        wait_for phase pv/cycle Failed
        event cycle VolumeFailedRecycle
}

@test "a bound claim that loses its volume is lost" {
        volume v 1Gi "$ONCE"
        claim l 1Gi "$ONCE" "$NONE"
        wait_for bound l v
        k delete pv v --wait=false
        [ -n "$(of pv/v '{.metadata.deletionTimestamp}')" ] # it is protected while it is bound
        k patch pv v --type=merge -p '{"metadata":{"finalizers":null}}'
        wait_for phase pvc/l Lost
        event l ClaimLost
}

@test "claims and volumes in use are held; then they go" {
        volume v 1Gi "$ONCE"
        claim h 1Gi "$ONCE" "$NONE"
        wait_for bound h v
        is kubernetes.io/pvc-protection of pvc/h '{.metadata.finalizers[0]}'
        is kubernetes.io/pv-protection of pv/v '{.metadata.finalizers[0]}'
        printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: user}\nspec: {nodeName: n1, containers: [{name: c, image: i}], volumes: [{name: v, persistentVolumeClaim: {claimName: h}}]}\n' | k create -f -
        k delete pvc h --wait=false
        k delete pv v --wait=false
        wait_for eval '[ -n "$(of pvc/h {.metadata.deletionTimestamp})" ]'
        claim probe 1Gi "$ONCE" "$NONE" # a round of the controllers
        wait_for event probe FailedBinding
        phase pvc/h Bound
        k delete pod user --force --grace-period=0
        wait_for gone pvc h
        wait_for gone pv v
        # One that was made behind admission's back is held, too.
        claim late 1Gi "$ONCE" "$NONE"
        k patch pvc late --type=merge -p '{"metadata":{"finalizers":null}}'
        wait_for is kubernetes.io/pvc-protection of pvc/late '{.metadata.finalizers[0]}'
}

@test "growth is for bound claims whose class allows it" {
        class grow example.com/g Immediate
        volume v 1Gi "$ONCE" 'storageClassName: grow'
        claim g 1Gi "$ONCE" 'storageClassName: grow'
        wait_for bound g v
        k patch pvc g --type=merge -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
        claim pending 50Gi "$ONCE" "$NONE"
        run k patch pvc pending --type=merge -p '{"spec":{"resources":{"requests":{"storage":"60Gi"}}}}'
        [[ $output == *"Only bound persistent volume claims can be expanded"* || $output == *"spec is immutable after creation"* ]]
        volume w 1Gi "$ONCE"
        claim fixed 1Gi "$ONCE" "$NONE"
        wait_for bound fixed w
        run k patch pvc fixed --type=merge -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
        [[ $output == *"only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"* ]]
        run k patch pvc g --type=merge -p '{"spec":{"resources":{"requests":{"storage":"512Mi"}}}}'
        [ "$status" -ne 0 ]
}

@test "generic ephemeral volumes have a claim of their pod's" {
        cat >"$CP/pod.yaml" <<'END'
apiVersion: v1
kind: Pod
metadata: {name: e}
spec:
  nodeName: n1
  containers: [{name: c, image: i}]
  volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {metadata: {labels: {a: b}}, spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}}}}]
END
        k create -f "$CP/pod.yaml"
        wait_for is "b e $(of pod/e '{.metadata.uid}')" of pvc/e-scratch '{.metadata.labels.a} {.metadata.ownerReferences[0].name} {.metadata.ownerReferences[0].uid}'
        k delete pod e --force --grace-period=0
        wait_for gone pvc e-scratch
        claim e-scratch 1Gi "$ONCE" "$NONE"
        k create -f "$CP/pod.yaml"
        wait_for event e FailedCreate # the claim is somebody else's
        is "" of pvc/e-scratch '{.metadata.ownerReferences[0].name}'
}

@test "nothing is given away twice while the manager is killed again and again" {
        local i maker
        for i in $(seq 20); do volume "v$i" 1Gi "$ONCE"; claim "c$i" 1Gi "$ONCE" "$NONE"; done >/dev/null 3>&- &
        maker=$!
        for i in 1 2 3 4; do
                read -rt 0.4 <> <(:) || :
                kill -9 "$(cat "$CP/kube-controller-manager.pid")"
                wait_for _gone "$(cat "$CP/kube-controller-manager.pid")"
                component_start "$CP" kube-controller-manager \
                        --controllers persistentvolume-binder-controller,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,ephemeral-volume-controller,garbage-collector-controller,serviceaccount-controller
        done
        wait "$maker"
        all() { [ "$(k get pvc -o jsonpath='{range .items[*]}{.status.phase}{"\n"}{end}' | grep -c Bound)" -eq 20 ]; }
        wait_for all
        [ "$(k get pvc -o jsonpath='{range .items[*]}{.spec.volumeName}{"\n"}{end}' | sort -u | wc -l)" -eq 20 ]
        [ "$(k get pv -o jsonpath='{range .items[*]}{.status.phase} {.spec.claimRef.name}{"\n"}{end}' | sort -u | grep -c '^Bound')" -eq 20 ]
}

@test "the controllers did all that with nothing but their roles" {
        run forbidden
        echo "$output"
        [ -z "$output" ]
}
