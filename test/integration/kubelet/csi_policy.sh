#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a CSIDriver object asks of the kubelet (publishing again and again, tokens, whose group a volume is given to), and what
# the pods of CSI drivers need: mounts that go from their container to the node and into other pods.
kubelet_flags="--sync-frequency 2s"
. "$(dirname "$0")/csi.bash"
bind=$work/private
kill_kubelet
proxy_port=$((base + 5))
python3 "$here/token_proxy.py" "$host_ip" "$proxy_port" "$host_ip:$api_port" "$work/pki" 10 "$work/token-requests" >"$work/proxy.log" 2>&1 &
pids+=($!)
began $!
sed -i "s/:$api_port/:$proxy_port/" "$work/kubelet.conf"
until_true 60 curl -s -o /dev/null --cacert "$work/pki/ca.crt" "https://$host_ip:$proxy_port/readyz"
start_kubelet
start_controllers
start_driver
until_true 60 registered
ok "a driver registers" $?
driver_object() { # [MORE OF ITS SPEC]: anew
        api DELETE "/apis/storage.k8s.io/v1/csidrivers/$driver" >/dev/null
        api POST /apis/storage.k8s.io/v1/csidrivers '{"metadata":{"name":"'"$driver"'"},"spec":{"attachRequired":true,"podInfoOnMount":true,
 "volumeLifecycleModes":["Persistent","Ephemeral"]'"${1:+,$1}"'}}' >/dev/null
}

# --- published again and again, with tokens that are good ---
driver_object '"requiresRepublish":true,"tokenRequests":[{"audience":"vault"}]'
inline() { # POD
        api POST $core/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","image":"'"$box"'","command":["sleep","1000"],"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
 "volumes":[{"name":"v","csi":{"driver":"'"$driver"'"}}]}}' >/dev/null
}
token() { k exec "$1" -- cat /v/context | python3 -c 'import json,sys
print(json.loads(json.load(sys.stdin)["csi.storage.k8s.io/serviceAccount.tokens"])["vault"]["token"])'; }
inline again
up again
called NodePublishVolume 1
until_true 60 called NodePublishVolume 4
ok "a driver that asks for it publishes again and again" $?
first=$(token again)
renewed() { now=$(token again) && [ -n "$now" ] && [ "$now" != "$first" ]; }
until_true 60 renewed
ok "with a new token before the old one expires" $?
mode NodePublishVolume fail
told 'told to fail'
ok "when it fails, an event says so" $?
is again "$ready" True && [ "$(k exec again -- ls /v)" = context ]
ok "and the pod keeps what it has" $?
forget_calls
mode
until_true 60 called NodePublishVolume 2
ok "and it is published again" $?
[ "$(csi_mounts)" = 1 ]
ok "mounted once all the while" $?
driver_object
inline once
up once
delete again
until_true 60 gone again
forget_calls
inline other # a round of the kubelet
up other
[ "$(grep -c '^NodePublishVolume' "$folder/calls")" = 1 ]
ok "one that does not ask for it publishes once" $?
for name in once other; do delete $name; done

# --- whose group a volume is given to ---
class typed
class untyped '"csi.storage.k8s.io/fstype":"none"'
group() { # NAME POLICY CLASS ACCESS
        driver_object '"fsGroupPolicy":"'"$2"'"'
        api POST $core/persistentvolumeclaims '{"metadata":{"name":"'"$1"'","annotations":{"volume.kubernetes.io/storage-provisioner":"'"$driver"'"}},
 "spec":{"storageClassName":"'"$3"'","accessModes":["'"$4"'"],"resources":{"requests":{"storage":"320Mi"}}}}' >/dev/null
        run "$1" '"sleep 1000"' "$1" '"securityContext":{"fsGroup":4321}'
        up "$1" && k exec "$1" -- stat -c %g /v
}
[ "$(group g1 None typed ReadWriteOnce)" = 0 ]
ok "fsGroupPolicy None: a volume stays as it is" $?
[ "$(group g2 File untyped ReadWriteMany)" = 4321 ]
ok "File: it is given to the fsGroup, whatever it is" $?
[ "$(group g3 ReadWriteOnceWithFSType typed ReadWriteOnce)" = 4321 ]
ok "ReadWriteOnceWithFSType: of one node, with a type of file system" $?
[ "$(group g4 ReadWriteOnceWithFSType untyped ReadWriteOnce)" = 0 ]
ok "not without a type" $?
[ "$(group g5 ReadWriteOnceWithFSType typed ReadWriteMany)" = 0 ]
ok "nor of many nodes" $?
for name in g1 g2 g3 g4 g5; do delete $name; done
for name in g1 g2 g3 g4 g5; do
        until_true 60 gone $name
        api DELETE "$core/persistentvolumeclaims/$name" >/dev/null
done

# --- the pods of drivers ---
mkdir -p "$bind" "$work/kubelet/plugins/seen"
mount -t tmpfs private "$bind"
mount --make-private "$bind"
user() { # NAME PROPAGATION PATH COMMAND [PRIVILEGED]
        api POST $core/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","image":"'"$box"'","command":["sh","-c","'"$4"'"],"securityContext":{"privileged":'"${5:-false}"'},
  "volumeMounts":[{"name":"k","mountPath":"/k","mountPropagation":"'"$2"'"}]}],
 "volumes":[{"name":"k","hostPath":{"path":"'"$3"'"}}]}}'
}
user refused Bidirectional "$work/kubelet" 'sleep 1000' |
        grep -qF 'spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers'
ok "Bidirectional is refused to a container that is not privileged" $?
user follower HostToContainer "$work/kubelet/plugins" 'sleep 1000' >/dev/null
user alone None "$work/kubelet/plugins" 'sleep 1000' >/dev/null
up follower && up alone
user mounter Bidirectional "$work/kubelet" 'mount -t tmpfs own /k/plugins/seen && echo there > /k/plugins/seen/file; sleep 1000' true >/dev/null
up mounter && until_true 30 test -e "$work/kubelet/plugins/seen/file"
ok "what a driver mounts in its container is on the node" $?
[ "$(k exec follower -- cat /k/seen/file)" = there ]
ok "and in a pod that follows the node's mounts" $?
[ -z "$(k exec alone -- ls /k/seen)" ]
ok "and in no other" $?
k exec follower -- mount -t tmpfs x /k/seen 2>/dev/null
[ "$(grep -cF "$work/kubelet/plugins/seen " /proc/self/mountinfo)" = 1 ]
ok "a pod that follows mounts nothing on the node" $?
k exec mounter -- umount /k/plugins/seen && [ -z "$(ls "$work/kubelet/plugins/seen")" ] && [ -z "$(k exec follower -- ls /k/seen)" ]
ok "what it unmounts is gone everywhere" $?
user private Bidirectional "$bind" 'sleep 1000' true >/dev/null
told "path \"$bind\" is mounted on \"$bind\" but it is not a shared mount"
ok "where the node's mount is private, an event says so" $?
for name in follower alone mounter private; do delete $name; done
for name in follower alone mounter private; do until_true 60 gone $name; done
umount "$bind"
until_true 60 nothing_left && [ "$(csi_mounts)" = 0 ]
ok "nothing of any pod is left" $?
kill_driver
stop "$kubelet_pid"
finish
