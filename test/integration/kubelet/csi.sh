#!/usr/bin/env bash
# CSI: a driver with loop devices (test/csi), from its registration to the last loop device; and what becomes of a pod when
# somebody is killed in the middle of a step, or when the driver hangs, lies or dies. The controllers that bind claims and
# attach volumes are the cluster's own; the driver, its registrar and what calls its controller service are processes apart.
. "$(dirname "$0")/csi.bash"
# --- registration ---
until_true 60 test -d "$work/kubelet/plugins_registry"
api POST /apis/storage.k8s.io/v1/csidrivers '{"metadata":{"name":"'"$driver"'"},"spec":{"attachRequired":true,"podInfoOnMount":true,
 "volumeLifecycleModes":["Persistent","Ephemeral"],"tokenRequests":[{"audience":"vault","expirationSeconds":3600}]}}' >/dev/null
class csi
class csi-secret '"secret":"sesame","csi.storage.k8s.io/node-stage-secret-name":"key","csi.storage.k8s.io/node-stage-secret-namespace":"default"'
start_controllers
silent=("$work"/kubelet/plugins_registry/0-silent-{1..8}.sock)
/usr/bin/python3 -c 'import signal, socket, sys
sockets = [socket.socket(socket.AF_UNIX) for _ in sys.argv[1:]]
for s, path in zip(sockets, sys.argv[1:]): s.bind(path), s.listen(64)
signal.pause()' "${silent[@]}" &
silent_pid=$!
began $silent_pid
until_true 60 test -S "${silent[7]}"
start_driver
until_true 60 registered # they take ten seconds each, and then again
ok "a driver registers by its socket, and is told so, while the registrars of others hang" $?
called Probe 2 && called GetPluginInfo 2 && called GetPluginCapabilities 1
ok "those who stand between it and Kubernetes know it by its identity service" $?
csi_node | grep -qF "$driver id-of-n1 ['topology.$driver/node'] {'count': 7}"
ok "CSINode has its id, topology and limit" $?
api GET /api/v1/nodes/n1 | python3 -c "import json,sys
m = json.load(sys.stdin)['metadata']
sys.exit(m['labels'].get('topology.$driver/node') != 'n1' or 'id-of-n1' not in m['annotations'].get('csi.volume.kubernetes.io/nodeid', ''))"
ok "and the Node its label and annotation" $?

# --- from claim to data ---
api POST $core/secrets '{"metadata":{"name":"key"},"stringData":{"key":"sesame"}}' >/dev/null
claim data '' csi-secret
claim raw '"volumeMode":"Block"'
run one '"echo first > /v/first; sleep 1000"' data '"securityContext":{"fsGroup":4321}'
run two '"until [ -e /v/first ]; do sleep 0.1; done; sleep 1000"' data
api POST $core/pods '{"metadata":{"name":"raw"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","image":"'"$box"'","command":["sh","-c","echo written | dd of=/dev/xvda conv=notrunc; sleep 1000"],
  "volumeDevices":[{"name":"v","devicePath":"/dev/xvda"}]}],"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"raw"}}]}}' >/dev/null
api POST $core/pods '{"metadata":{"name":"inline"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","image":"'"$box"'","command":["sh","-c","cat /v/context; sleep 1000"],"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
 "volumes":[{"name":"v","csi":{"driver":"'"$driver"'","volumeAttributes":{"say":"hello"}}}]}}' >/dev/null
up one && up two
ok "a claim is provisioned, attached, staged and published to two pods" $?
[ "$(staged)" = 1 ] && [ "$(grep -c '^NodeStageVolume vol-' "$folder/calls")" = 2 ] # of both claims, each once
ok "staged once" $?
k exec one -- stat -c %g:%a /v | grep -q '^4321:2775'
ok "and given to the fsGroup" $?
up raw
ok "a block volume becomes a container's device" $?
up inline && k logs inline | python3 -c 'import json,sys
c = json.load(sys.stdin)
tokens = json.loads(c["csi.storage.k8s.io/serviceAccount.tokens"])
sys.exit(c["say"] != "hello" or c["csi.storage.k8s.io/pod.name"] != "inline" or not tokens["vault"]["token"])'
ok "an inline volume gets the pod's information and a token" $?
in_use_is 2
ok "the node says which volumes it uses" $?
metrics() { node_curl "https://$node_ip:10250/metrics" | grep -qF 'kubelet_volume_stats_capacity_bytes{namespace="default",persistentvolumeclaim="data"}'; }
until_true 30 metrics
ok "the driver's figures are served" $?

# --- kubelet and driver are killed; the volume grows ---
before=$(csi_mounts)
kill_kubelet
kill_driver
api PATCH $core/persistentvolumeclaims/data '{"spec":{"resources":{"requests":{"storage":"400Mi"}}}}' >/dev/null
start_kubelet
start_driver
grown() { [ "$(api GET $core/persistentvolumeclaims/data | python3 -c 'import json,sys
s = json.load(sys.stdin)["status"]
print(s["capacity"]["storage"], len(s.get("conditions") or []))')" = "400Mi 0" ]; }
until_true 90 grown
ok "after both were killed, a claim that was expanded meanwhile grows in use" $?
[ "$(k exec one -- df -k /v | awk 'END {print $2}')" -gt 340000 ]
ok "as its pod sees" $?
[ "$(csi_mounts)" = "$before" ] && [ "$(loops)" = 2 ] && up one && up two && up raw && up inline
ok "nothing is mounted twice" $?

# --- kill -9 in the middle of each step ---
steps=(CreateVolume ControllerPublishVolume NodeStageVolume NodePublishVolume ControllerExpandVolume NodeExpandVolume
        NodeUnpublishVolume NodeUnstageVolume ControllerUnpublishVolume DeleteVolume)
begin_step() { # NUMBER: from now on the driver hangs there
        forget_calls
        mode "${steps[$1]}" hang
}
kill_at() { # NUMBER WHO [NEXT]: ends a step by killing "kubelet", or a process of the driver, and begins the next one
        until_true 90 called "${steps[$1]}" 1 || return 1
        [ "$2" = kubelet ] && kill_kubelet || csi_kill "$2"
        if [ -n "${3:-}" ]; then begin_step "$3"; else mode; fi
        if [ "$2" = kubelet ]; then start_kubelet; else start_part "$2"; fi
}
has_grown() { # CLAIM
        [ "$(api GET "$core/persistentvolumeclaims/$1" | python3 -c 'import json,sys; print(json.load(sys.stdin)["status"]["capacity"]["storage"])')" = 400Mi ]
}
detached_from() { ! ls "$folder"/vol-pvc-"$1".attached; }
removed() { ! ls "$folder"/vol-pvc-"$1".* && ! api GET "/api/v1/persistentvolumes/pvc-$1" | grep -q '"capacity"'; }
life() { # NAME WHOM KILLED...: a volume's whole life, with one who is killed at each of the ten steps
        local name=$1 whom=$2 uid
        local -a killed=("${@:3}")
        begin_step 0
        claim "$name"
        uid=$(api GET "$core/persistentvolumeclaims/$name" | python3 -c 'import json,sys; print(json.load(sys.stdin)["metadata"]["uid"])')
        run "$name" '"echo here > /v/here; sleep 1000"' "$name"
        kill_at 0 "${killed[0]}" 1 && kill_at 1 "${killed[1]}" 2 && kill_at 2 "${killed[2]}" 3 && kill_at 3 "${killed[3]}" && up "$name"
        ok "$whom killed while a volume is created, attached, staged and published: the pod comes up" $?
        begin_step 4
        api PATCH "$core/persistentvolumeclaims/$name" '{"spec":{"resources":{"requests":{"storage":"400Mi"}}}}' >/dev/null
        kill_at 4 "${killed[4]}" 5 && kill_at 5 "${killed[5]}" && until_true 90 has_grown "$name" && [ "$(k exec "$name" -- cat /v/here)" = here ]
        ok "$whom killed while it grows, at both ends: it grows, and keeps its data" $?
        [ "$(loops)" = 3 ] && [ "$(staged)" = 2 ]
        ok "it is there once" $?
        begin_step 6
        delete "$name"
        kill_at 6 "${killed[6]}" 7 && kill_at 7 "${killed[7]}" 8 && until_true 90 gone "$name" && kill_at 8 "${killed[8]}" 9 &&
                until_true 90 detached_from "$uid"
        ok "$whom killed while it is unpublished, unstaged and detached: the pod goes" $?
        api DELETE "$core/persistentvolumeclaims/$name" >/dev/null
        kill_at 9 "${killed[9]}" && until_true 90 removed "$uid"
        ok "$whom killed while it is deleted: nothing of it is left" $?
        [ "$(loops)" = 2 ] && [ "$(staged)" = 1 ] && until_true 30 in_use_is 2
        ok "on the node either" $?
}
life one-life "the driver is" controller controller node node controller node node node controller controller
life other-life "whoever calls the driver is" external external kubelet kubelet external kubelet kubelet kubelet external external

# --- a driver that hangs, lies or dies ---
for name in stage publish; do claim "$name"; done
forget_calls
mode NodePublishVolume hang
run hung '"sleep 1000"' stage
until_true 60 called NodePublishVolume 1
api POST $core/pods '{"metadata":{"name":"other"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,"containers":[{"name":"c","image":"'"$box"'","command":["sleep","1000"]}]}}' >/dev/null
up other
ok "while a driver hangs, other pods start" $?
mode
up hung
ok "and its pod, once it answers" $?
mode NodePublishVolume lie
run lied '"sleep 1000"' publish
told "the driver says that the volume is published, and "
ok "a driver that lies gets no pod to write to the node's disk" $?
mode
up lied
ok "and is taken at its deeds" $?
delete lied
until_true 60 gone lied
mode NodeStageVolume die
run died '"sleep 1000"' publish
told "MountVolume.MountDevice failed for volume "
ok "a driver that dies is told on" $?
mode
csi_kill node
start_part node
up died
ok "and its pod starts when it is back" $?

# --- the end ---
mode NodeUnpublishVolume lie
for name in one two raw inline hung died other; do delete "$name"; done
for name in one two raw inline hung died other; do until_true 90 gone "$name"; done
ok "pods go, also when the driver only says that it unpublished" $?
mode
for name in data raw stage publish; do api DELETE "$core/persistentvolumeclaims/$name" >/dev/null; done
until_true 60 nothing_left
ok "nothing of any pod is left" $?
[ "$(csi_mounts)" = 0 ] && [ "$(loops)" = 0 ]
ok "no mount and no loop device" $?
until_true 30 in_use_is 0
ok "the node uses nothing" $?
detached() { [ "$(api GET /apis/storage.k8s.io/v1/volumeattachments | grep -c '"attacher"')" = 0 ] && ! ls "$folder"/*.img 2>/dev/null; }
until_true 60 detached
ok "volumes are detached and removed" $?
api DELETE /api/v1/nodes/n1 >/dev/null
api DELETE /apis/storage.k8s.io/v1/csinodes/n1 >/dev/null
again() { csi_node 2>/dev/null | grep -qF "$driver id-of-n1"; }
until_true 90 again
ok "a node that is made anew has its drivers" $?
kill_driver
csi_driver=other.$driver csi_socket=$driver-reg.sock
start_part node registrar
replaced() { csi_node | grep -q "^other.$driver " && [ "$(csi_node | wc -l)" = 1 ]; }
until_true 60 replaced
ok "another driver behind a socket of the same name takes its place" $?
kill_driver
rm -f "$work/kubelet/plugins_registry/$driver-reg.sock" "${silent[@]}"
kill "$silent_pid"
forgotten() { [ -z "$(csi_node)" ]; }
until_true 60 forgotten
ok "a driver whose socket is gone leaves CSINode" $?
stop "$kubelet_pid"
finish
