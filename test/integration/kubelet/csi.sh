#!/usr/bin/env bash
# CSI: a driver with loop devices (test/csi/driver.py), from its registration to the last loop device; and what becomes of a
# pod when kubelet or driver are killed in the middle of a step, or when the driver hangs, lies or dies. The controllers that
# bind claims and attach volumes are the cluster's own.
. "$(dirname "$0")/lib.sh"
driver=test.csi.coxswain
folder=$work/csi
mkdir -p "$folder"
start_all
k() { "$bin/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
box=$registry/busybox:1.35
core=/api/v1/namespaces/default

start_driver() {
        rm -f "$folder/registered"
        /usr/bin/python3 "$root/test/csi/driver.py" --name "$driver" --folder "$folder" --node n1 --kubelet-root "$work/kubelet" \
                --server "https://$host_ip:$api_port" --ca "$work/pki/ca.crt" --cert "$work/pki/admin.crt" \
                --key "$work/pki/admin.key" >>"$work/driver.log" 2>&1 &
        driver_pid=$!
        began "$driver_pid"
}
start_controllers() { # the real ones: they bind, attach and detach
        local list=persistentvolume-binder-controller,persistentvolume-attach-detach-controller
        list+=,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller
        "$bin/kube-controller-manager" --kubeconfig "$work/admin.conf" --secure-port 0 --leader-elect=false \
                --controllers "$list,persistentvolume-expander-controller" >>"$work/controllers.log" 2>&1 &
        pids+=($!)
        began $!
}
kill_driver() {
        kill -9 "$driver_pid" 2>/dev/null
        wait "$driver_pid" 2>/dev/null
}
kill_kubelet() {
        kill -9 "$kubelet_pid"
        wait "$kubelet_pid" 2>/dev/null
}
registered() { [ "$(cat "$folder/registered" 2>/dev/null)" = yes ]; }
mode() { echo "{${1:+\"$1\": \"$2\"}}" >"$folder/mode.new" && mv "$folder/mode.new" "$folder/mode"; }
called() { # called METHOD COUNT: so often, at least, since the last forget_calls
        [ "$(grep -c "^$1 " "$folder/calls" 2>/dev/null)" -ge "$2" ]
}
forget_calls() { : >"$folder/calls"; }
claim() { # claim NAME [MORE] [ANNOTATION]
        api POST $core/persistentvolumeclaims '{"metadata":{"name":"'"$1"'","annotations":{"volume.kubernetes.io/storage-provisioner":"'"$driver"'"'"${3:+,$3}"'}},
 "spec":{"storageClassName":"csi","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"320Mi"}}'"${2:+,$2}"'}}' >/dev/null
}
run() { # run POD COMMAND CLAIM [MORE OF THE SPEC]
        api POST $core/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1'"${4:+,$4}"',
 "containers":[{"name":"c","image":"'"$box"'","command":["sh","-c",'"$2"'],"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
 "volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"'"$3"'"}}]}}' >/dev/null
}
up() { until_true 90 is "$1" "$ready" True; }
event() { k get events -o json | grep -qF "$(python3 -c 'import json,sys; print(json.dumps(sys.argv[1])[1:-1])' "$1")"; }
told() { until_true 60 event "$1"; }
delete() { api DELETE "$core/pods/$1" >/dev/null; }
gone() { ! pod "$1" >/dev/null; }
loops() { losetup -n -O BACK-FILE | grep -cF "$folder/"; }
staged() { grep -cF "/globalmount " /proc/self/mountinfo; }
csi_mounts() { grep -F " $work/kubelet/" /proc/self/mountinfo | grep -cE 'globalmount|kubernetes.io~csi'; }
node_status() { api GET /api/v1/nodes/n1 | python3 -c "import json,sys; print(len(json.load(sys.stdin)['status'].get('$1') or []))"; }
in_use_is() { [ "$(node_status volumesInUse)" = "$1" ]; }
csi_node() { api GET /apis/storage.k8s.io/v1/csinodes/n1 | python3 -c 'import json,sys
d = json.load(sys.stdin)["spec"]["drivers"]
for x in d: print(x["name"], x["nodeID"], x.get("topologyKeys"), x.get("allocatable"))'; }

# --- registration ---
until_true 60 test -d "$work/kubelet/plugins_registry"
api POST /apis/storage.k8s.io/v1/csidrivers '{"metadata":{"name":"'"$driver"'"},"spec":{"attachRequired":true,"podInfoOnMount":true,
 "volumeLifecycleModes":["Persistent","Ephemeral"],"tokenRequests":[{"audience":"vault","expirationSeconds":3600}]}}' >/dev/null
api POST /apis/storage.k8s.io/v1/storageclasses '{"metadata":{"name":"csi"},"provisioner":"'"$driver"'","allowVolumeExpansion":true}' >/dev/null
start_controllers
start_driver
until_true 60 registered
ok "a driver registers by its socket, and is told so" $?
csi_node | grep -qF "$driver id-of-n1 ['topology.$driver/node'] {'count': 7}"
ok "CSINode has its id, topology and limit" $?
api GET /api/v1/nodes/n1 | python3 -c "import json,sys
m = json.load(sys.stdin)['metadata']
sys.exit(m['labels'].get('topology.$driver/node') != 'n1' or 'id-of-n1' not in m['annotations'].get('csi.volume.kubernetes.io/nodeid', ''))"
ok "and the Node its label and annotation" $?

# --- from claim to data ---
api POST $core/secrets '{"metadata":{"name":"key"},"stringData":{"key":"sesame"}}' >/dev/null
claim data '' '"test/secret":"key"'
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

# --- kills in the middle of each step ---
for name in stage publish; do claim "$name"; done
step() { # step METHOD POD CLAIM: the kubelet is killed while the driver is at it, then the driver
        forget_calls
        mode "$1" hang
        run "$2" '"echo here > /v/here; sleep 1000"' "$3"
        until_true 60 called "$1" 1
        kill_kubelet
        kill_driver
        mode
        start_driver
        start_kubelet
        up "$2"
}
step NodeStageVolume stage stage
ok "killed while staging: the pod comes up" $?
step NodePublishVolume publish publish
ok "killed while publishing: the pod comes up" $?
[ "$(loops)" = 4 ] && [ "$(staged)" = 3 ]
ok "each volume once" $?
for method in NodeUnpublishVolume NodeUnstageVolume; do
        name=stage
        [ $method = NodeUnpublishVolume ] || name=publish
        forget_calls
        mode $method hang
        delete $name
        until_true 60 called $method 1
        kill_kubelet
        kill_driver
        mode
        start_driver
        start_kubelet
        until_true 90 gone $name
        ok "killed in the middle of $method: the pod goes" $?
done
[ "$(loops)" = 2 ] && [ "$(staged)" = 1 ] && until_true 30 in_use_is 2
ok "and its volume with it" $?

# --- a driver that hangs, lies or dies ---
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
kill_driver
start_driver
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
rm -f "$work/kubelet/plugins_registry/$driver-reg.sock"
forgotten() { [ -z "$(csi_node)" ]; }
until_true 60 forgotten
ok "a driver whose socket is gone leaves CSINode" $?
stop "$kubelet_pid"
finish
