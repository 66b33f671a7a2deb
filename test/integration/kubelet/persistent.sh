#!/usr/bin/env bash
# Claims and what is behind them on the node: folders, block devices with and without a file system, growth, who may use what,
# and that nothing is mounted twice, left over or lost, whenever the kubelet is killed. The test binds the claims itself.
. "$(dirname "$0")/lib.sh"
start_all
k() { "$bin/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
box=$registry/busybox:1.35
core=/api/v1/namespaces/default

loop() { # loop FILE MIB: sets $loop
        truncate -s "$2M" "$work/$1"
        loop=$(losetup -f --show "$work/$1")
}
volume() { # volume NAME SOURCE [MORE]: a PersistentVolume, not bound
        api POST /api/v1/persistentvolumes '{"metadata":{"name":"'"$1"'"},"spec":{"capacity":{"storage":"16Mi"},"accessModes":["ReadWriteOnce"],
 "storageClassName":"s","persistentVolumeReclaimPolicy":"Retain",'"$2${3:+,$3}"'}}' >/dev/null
}
here='"nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"kubernetes.io/hostname","operator":"In","values":["n1"]}]}]}}'
claim() { # claim NAME VOLUME [MORE]: a claim that asks for that volume; not bound yet
        api POST $core/persistentvolumeclaims '{"metadata":{"name":"'"$1"'"},"spec":{"storageClassName":"s","accessModes":["ReadWriteOnce"],
 "volumeName":"'"$2"'","resources":{"requests":{"storage":"16Mi"}}'"${3:+,$3}"'}}' >/dev/null
}
bind_claim() { # bind_claim NAME VOLUME: as the binder does
        local uid
        uid=$(api GET "$core/persistentvolumeclaims/$1" | python3 -c 'import json,sys; print(json.load(sys.stdin)["metadata"]["uid"])')
        api PATCH "/api/v1/persistentvolumes/$2" '{"spec":{"claimRef":{"kind":"PersistentVolumeClaim","apiVersion":"v1","namespace":"default","name":"'"$1"'","uid":"'"$uid"'"}}}' >/dev/null
        api PATCH "/api/v1/persistentvolumes/$2/status" '{"status":{"phase":"Bound"}}' >/dev/null
        api PATCH "$core/persistentvolumeclaims/$1/status" '{"status":{"phase":"Bound","accessModes":["ReadWriteOnce"],"capacity":{"storage":"16Mi"}}}' >/dev/null
}
bound() { # bound NAME SOURCE [MORE] [MORE OF THE CLAIM]
        volume "pv-$1" "$2" "${3:-}" && claim "$1" "pv-$1" "${4:-}" && bind_claim "$1" "pv-$1"
}
# run POD COMMAND CLAIM [MORE OF ITS SOURCE] [MORE OF THE SPEC]: with the claim at /v
run() {
        api POST $core/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1'"${5:+,$5}"',
 "containers":[{"name":"c","image":"'"$box"'","command":["sh","-c",'"$2"'],"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
 "volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"'"$3"'"'"${4:+,$4}"'}}]}}' >/dev/null
}
up() { until_true 90 is "$1" "$ready" True; }
event() { k get events -o json | grep -qF "$(python3 -c 'import json,sys; print(json.dumps(sys.argv[1])[1:-1])' "$1")"; }
told() { until_true 60 event "$1"; }
delete() { api DELETE "$core/pods/$1" >/dev/null; }
gone() { ! pod "$1" >/dev/null; }
points() { grep -cF " $work/kubelet/$1" /proc/self/mountinfo; }

# plain POD SPEC-OF-THE-CONTAINER VOLUMES [MORE OF THE SPEC]
plain() {
        api POST $core/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1'"${4:+,$4}"',
 "containers":[{"name":"c","image":"'"$box"'",'"$2"'}],"volumes":['"$3"']}}' >/dev/null
}

# --- what lies on the node: made now, looked at below ---
mkdir -p "$work/host/below" "$work/shared-mount"
mount -t tmpfs inner "$work/host/below"
mount -t tmpfs outer "$work/shared-mount" && mount --make-shared "$work/shared-mount"
plain big '"command":["sh","-c","dd if=/dev/zero of=/v/x bs=1M count=3; sleep 1000"],"volumeMounts":[{"name":"v","mountPath":"/v"}]' \
        '{"name":"v","emptyDir":{"sizeLimit":"1Mi"}}'
plain layers '"command":["sh","-c","dd if=/dev/zero of=/x bs=1M count=3; sleep 1000"],"resources":{"limits":{"ephemeral-storage":"2Mi"}}' ''
plain image '"command":["sh","-c","ls /v/bin/busybox /b/busybox && ! touch /v/x 2>/dev/null && ! /v/bin/busybox true 2>/dev/null && echo fine; sleep 1000"],
 "volumeMounts":[{"name":"v","mountPath":"/v"},{"name":"v","mountPath":"/b","subPath":"bin"}]' \
        '{"name":"v","image":{"reference":"'"$box"'","pullPolicy":"IfNotPresent"}}'
plain never '"command":["sleep","1000"]' '{"name":"v","image":{"reference":"'"$registry"'/absent:1","pullPolicy":"Never"}}'
plain memory '"command":["sh","-c","df -k /v /w; sleep 1000"],"resources":{"limits":{"memory":"32Mi"}},"volumeMounts":[{"name":"v","mountPath":"/v"},{"name":"w","mountPath":"/w"}]' \
        '{"name":"v","emptyDir":{"medium":"Memory"}},{"name":"w","emptyDir":{"medium":"Memory","sizeLimit":"4Mi"}}'
plain huge '"command":["sleep","1000"]' '{"name":"v","emptyDir":{"medium":"HugePages"}}'
plain recursive '"command":["sh","-c","touch /v/x; touch /v/below/x; touch /w/below/y && echo once; sleep 1000"],
 "volumeMounts":[{"name":"v","mountPath":"/v","readOnly":true,"recursiveReadOnly":"Enabled"},{"name":"v","mountPath":"/w","readOnly":true}]' \
        '{"name":"v","hostPath":{"path":"'"$work/host"'"}}'
plain slave '"command":["sh","-c","until [ -e /v/late/file ]; do sleep 0.1; done; echo seen; sleep 1000"],
 "volumeMounts":[{"name":"v","mountPath":"/v","mountPropagation":"HostToContainer"}]' '{"name":"v","hostPath":{"path":"'"$work/shared-mount"'"}}'

# --- what is not usable is said, and used once it is ---
mkdir -p "$work/folder" "$work/plain" "$work/shared"
echo precious >"$work/folder/kept"
volume pv-late '"hostPath":{"path":"'"$work/folder"'"}'
claim late pv-late
run late '"cat /v/kept; echo more > /v/written; sleep 1000"' late
run absent '"sleep 1000"' absent
api POST $core/persistentvolumeclaims '{"metadata":{"name":"thief-v"},"spec":{"storageClassName":"s","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"16Mi"}}}}' >/dev/null
api POST $core/pods '{"metadata":{"name":"thief"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"'"$box"'","command":["sleep","1000"]}],
 "volumes":[{"name":"v","ephemeral":{"volumeClaimTemplate":{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"16Mi"}}}}}}]}}' >/dev/null
bound elsewhere '"local":{"path":"'"$work/plain"'"}' "${here/n1/n2}"
bound server '"nfs":{"server":"192.0.2.1","path":"/x"}'
bound iscsi '"iscsi":{"targetPortal":"192.0.2.1","iqn":"iqn.2000-01.com.example:x","lun":0}'
bound nothing '"local":{"path":"'"$work/nothing"'"}' "$here"
for name in elsewhere server iscsi nothing; do run "$name" '"sleep 1000"' "$name"; done
process='Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: '
told "${process}error processing PVC default/late: PVC is not bound"
ok "a claim that is not bound: the pod waits, and that is said" $?
told "${process}error processing PVC default/absent: failed to fetch PVC from API server: "
ok "so is one that is not there" $?
told "${process}PVC default/thief-v was not created for pod default/thief (pod is not owner)"
ok "a claim with the name of an ephemeral volume's that is another's is not used" $?
told 'MountVolume.NodeAffinity check failed for volume "pv-elsewhere" : no matching NodeSelectorTerms'
ok "a volume of another node is not used here" $?
if grep -q nfs /proc/filesystems; then
        told 'MountVolume.SetUp failed for volume "pv-server" : mount failed'
else
        told 'MountVolume.SetUp failed for volume "pv-server" : the kernel of node "n1" has no NFS client'
fi
ok "NFS that cannot be had is said" $?
told 'iscsi volumes are not supported by this kubelet; a CSI driver may have them'
ok "a source that there is no plugin for is named" $?
told 'MountVolume.SetUp failed for volume "pv-nothing" : path "'"$work"'/nothing" does not exist'
ok "a local path that is not there is named" $?
bind_claim late pv-late
up late
ok "the pod starts once its claim is bound" $?
[ "$(k logs late)" = precious ] && [ "$(cat "$work/folder/written")" = more ]
ok "with the data that was there, and leaves its own" $?
for name in absent thief elsewhere server iscsi nothing; do delete "$name"; done

# --- what lies on the node ---
up slave
mkdir "$work/shared-mount/late" && mount -t tmpfs late "$work/shared-mount/late" && : >"$work/shared-mount/late/file"
until_true 30 eval 'k logs slave | grep -q seen'
ok "what the node mounts later reaches a container that asked for that" $?
up image && k logs image | grep -q fine
ok "an image's files are a volume, read-only and not to be run" $?
told 'absent:1" is not present with pull policy of Never'
ok "an image that is not to be pulled is missed" $?
up memory && [ "$(k logs memory | awk '/\/v$|\/w$/ {print $2}' | tr '\n' ' ')" = "32768 4096 " ]
ok "a volume in memory gets what its containers may have at most" $?
told 'emptyDir medium "HugePages" is not supported: the node has no huge pages'
ok "a medium that the node has not is named" $?
up recursive && k logs recursive | grep -q once && ! [ -e "$work/host/below/x" ] && ! [ -e "$work/host/x" ] && [ -e "$work/host/below/y" ]
ok "a mount is read-only all the way down when that is asked for" $?
[ "$(field recursive '[m.get("recursiveReadOnly") for m in p["status"]["containerStatuses"][0]["volumeMounts"] if m["mountPath"] in "/v/w"]')" = "['Enabled', 'Disabled']" ]
ok "and the status says so" $?
evicted() { is "$1" '"|".join(p["status"].get(x, "") for x in ("phase", "reason", "message"))' "Failed|Evicted|$2"; }
until_true 90 evicted big 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
ok "a pod with more in a volume than its limit is evicted" $?
until_true 90 evicted layers 'Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. '
ok "so is one that writes more to its layer than it may" $?
for name in big layers image never memory huge recursive slave; do delete "$name"; done

# --- file systems and devices ---
loop disk.img 320
disk=$loop
loop raw.img 16
raw=$loop
loop ext.img 16
ext=$loop
loop kept.img 16
kept=$loop
mkfs.ext4 -q -L mine "$kept"
# XFS, since a file system of ext4 that is mounted grows only with CAP_SYS_RESOURCE
bound disk '"local":{"path":"'"$disk"'","fsType":"xfs"},"mountOptions":["noatime"]' "$here"
bound ext '"local":{"path":"'"$ext"'"}' "$here"
bound mine '"local":{"path":"'"$kept"'","fsType":"xfs"}' "$here"
bound raw '"local":{"path":"'"$raw"'"},"volumeMode":"Block"' "$here" '"volumeMode":"Block"'
bound plain '"local":{"path":"'"$work/plain"'"}' "$here"
bound single '"local":{"path":"'"$work/shared"'"}' "$here,\"accessModes\":[\"ReadWriteOncePod\"]"
run disk '"echo one > /v/one; sleep 1000"' disk '' '"securityContext":{"fsGroup":1234}'
run disk-2 '"until [ -e /v/one ]; do sleep 0.1; done; sleep 1000"' disk
run read-only '"touch /v/x && exit 1; mount | grep \" /v \"; sleep 1000"' plain '"readOnly":true'
run mine '"sleep 1000"' mine
run ext '"sleep 1000"' ext
run single '"sleep 1000"' single
run mismatch '"sleep 1000"' raw
api POST $core/pods '{"metadata":{"name":"raw"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","image":"'"$box"'","command":["sh","-c","echo written | dd of=/dev/xvda conv=notrunc && ls -l /dev/xvda; sleep 1000"],
  "volumeDevices":[{"name":"v","devicePath":"/dev/xvda"}]}],
 "volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"raw"}}]}}' >/dev/null
up disk && up disk-2
ok "a device without a file system gets one, and pods share it" $?
[ "$(points "plugins/kubernetes.io/local-volume/mounts/pv-disk ")" = 1 ] && grep -F "mounts/pv-disk " /proc/self/mountinfo | grep -q noatime
ok "it is mounted once on the node, with the volume's options" $?
[ "$(stat -c %g:%a "$work/kubelet/pods/$(field disk 'p["metadata"]["uid"]')/volumes/kubernetes.io~local-volume/pv-disk")" = 1234:2775 ]
ok "and is the fsGroup's" $?
up ext && [ "$(blkid -p -s TYPE -o value "$ext")" = ext4 ]
ok "and is ext4 when nobody says otherwise" $?
up read-only && k logs read-only | grep -q 'ro,'
ok "a claim that is mounted read-only cannot be written to" $?
told 'holds ext4, and fsType is "xfs"'
ok "what holds another file system is not formatted" $?
[ "$(blkid -p -s LABEL -o value "$kept")" = mine ]
ok "and is as it was" $?
up raw && [ "$(head -c 7 "$work/raw.img")" = written ]
ok "a container writes to the device that it is given" $?
told 'volume v has volumeMode Block, but is specified in volumeMounts'
ok "a device is not mounted for want of a file system" $?
up single
run single-2 '"sleep 1000"' single
told 'volume uses the ReadWriteOncePod access mode and is already in use by another pod'
ok "what is one pod's is not given to a second" $?
for name in mine mismatch single-2 read-only ext; do delete "$name"; done

# --- growth ---
truncate -s 400M "$work/disk.img" && losetup -c "$disk"
before=$(k exec disk -- df -k /v | awk 'END {print $2}')
api PATCH $core/persistentvolumeclaims/disk/status '{"status":{"conditions":[{"type":"FileSystemResizePending","status":"True"}]}}' >/dev/null
api PATCH /api/v1/persistentvolumes/pv-disk '{"spec":{"capacity":{"storage":"64Mi"}}}' >/dev/null

# --- kills: what is mounted stays, once ---
mounts_before=$(grep -cF " $work/kubelet/" /proc/self/mountinfo)
kill -9 "$kubelet_pid"
wait "$kubelet_pid" 2>/dev/null
start_kubelet
grown() { [ "$(api GET $core/persistentvolumeclaims/disk | python3 -c 'import json,sys
s = json.load(sys.stdin)["status"]
print(s["capacity"]["storage"], len(s.get("conditions") or []))')" = "64Mi 0" ]; }
until_true 90 grown
ok "a volume that was made larger grows, and its claim says so" $?
[ "$(k exec disk -- df -k /v | awk 'END {print $2}')" -gt $((before + 16000)) ]
ok "its pod sees that without a restart" $?
told 'MountVolume.NodeExpandVolume succeeded for volume "pv-disk" n1'
ok "and an event tells" $?
[ "$(grep -cF " $work/kubelet/" /proc/self/mountinfo)" -le "$mounts_before" ] &&
        [ "$(points "plugins/kubernetes.io/local-volume/mounts/pv-disk ")" = 1 ] && up disk && up raw
ok "a kubelet that was killed mounts nothing twice" $?

# The end of one of two pods leaves the other its data.
delete disk
until_true 60 gone disk
[ "$(k exec disk-2 -- cat /v/one)" = one ] && [ "$(points "plugins/kubernetes.io/local-volume/mounts/pv-disk ")" = 1 ]
ok "one pod's end leaves the other its volume" $?
node_stats() { node_curl "https://$node_ip:10250/stats/summary" | grep -q '"pvcRef":{"name":"disk","namespace":"default"}'; }
until_true 30 node_stats
ok "the volume's figures name its claim" $?

# A mount that is in use stays whole until it is not, also for a kubelet that starts anew.
uid=$(field disk-2 'p["metadata"]["uid"]')
exec {busy}<"$work/kubelet/pods/$uid/volumes/kubernetes.io~local-volume/pv-disk"
for name in late disk-2 raw single; do delete "$name"; done
until_true 60 grep -q "cannot unmount .*pv-disk" "$work/kubelet.log"
ok "a volume in use is not ended" $?
kill -9 "$kubelet_pid"
wait "$kubelet_pid" 2>/dev/null
exec {busy}<&-
start_kubelet
for name in late disk-2 raw single; do until_true 90 gone "$name"; done
until_true 60 nothing_left
ok "in the end nothing is left of any pod" $?
! grep -qF " $work/kubelet/plugins/" /proc/self/mountinfo
ok "and no device is mounted" $?
[ "$(cat "$work/folder/kept")" = precious ] && [ "$(cat "$work/folder/written")" = more ]
ok "and what is in the volumes is there" $?
mkdir "$work/look" && mount "$disk" "$work/look" && [ "$(cat "$work/look/one")" = one ]
ok "on the device, too" $?
umount "$work/look"
stop "$kubelet_pid"
finish
