# SPDX-License-Identifier: Apache-2.0
# For the kubelet's tests with a CSI driver: starts etcd, apiserver and kubelet, as lib.sh does, and has the driver's processes,
# claims, pods, and what is left of them. Pods are named by their node: there is no scheduler.
# shellcheck shell=bash
. "$(dirname "$0")/lib.sh"
. "$root/test/lib/csi.bash"
driver=test.csi.coxswain
folder=$work/csi
mkdir -p "$folder"
start_all
k() { "$bin/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
box=$registry/busybox:1.35
core=/api/v1/namespaces/default

csi_top=$root csi_driver=$driver csi_folder=$folder csi_node=n1 csi_kubelet=$work/kubelet csi_log=$work/driver.log
csi_api=(--server "https://$host_ip:$api_port" --ca "$work/pki/ca.crt" --cert "$work/pki/admin.crt" --key "$work/pki/admin.key")
start_part() { # PART...
        local part
        csi_start "$@"
        for part in "$@"; do began "$(cat "$folder.$part.pid")"; done
}
start_driver() { start_part "${csi_parts[@]}"; }
kill_driver() { csi_kill "${csi_parts[@]}"; }
mode() { csi_mode "$@"; }
called() { csi_called "$@"; }
forget_calls() { csi_forget_calls; }
registered() { csi_registered; }
start_controllers() { # the real ones: they bind, attach and detach
        local list=persistentvolume-binder-controller,persistentvolume-attach-detach-controller
        list+=,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller
        "$bin/kube-controller-manager" --kubeconfig "$work/admin.conf" --secure-port 0 --leader-elect=false \
                --controllers "$list,persistentvolume-expander-controller" >>"$work/controllers.log" 2>&1 &
        pids+=($!)
        began $!
}
kill_kubelet() {
        kill -9 "$kubelet_pid"
        wait "$kubelet_pid" 2>/dev/null
}
claim() { # claim NAME [MORE] [CLASS]
        api POST $core/persistentvolumeclaims '{"metadata":{"name":"'"$1"'","annotations":{"volume.kubernetes.io/storage-provisioner":"'"$driver"'"}},
 "spec":{"storageClassName":"'"${3:-csi}"'","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"320Mi"}}'"${2:+,$2}"'}}' >/dev/null
}
run() { # run POD COMMAND CLAIM [MORE OF THE SPEC]
        api POST $core/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1'"${4:+,$4}"',
 "containers":[{"name":"c","image":"'"$box"'","command":["sh","-c",'"$2"'],"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
 "volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"'"$3"'"}}]}}' >/dev/null
}
class() { # class NAME [PARAMETERS]
        api POST /apis/storage.k8s.io/v1/storageclasses '{"metadata":{"name":"'"$1"'"},"provisioner":"'"$driver"'","allowVolumeExpansion":true,
 "parameters":{'"${2:-}"'}}' >/dev/null
}
up() { until_true 90 is "$1" "$ready" True; }
event() { k get events -o json | grep -qF "$(python3 -c 'import json,sys; print(json.dumps(sys.argv[1])[1:-1])' "$1")"; }
told() { until_true 60 event "$1"; }
delete() { api DELETE "$core/pods/$1" >/dev/null; }
gone() { ! pod "$1" >/dev/null; }
loops() { losetup -n -O BACK-FILE | grep -cF "$folder/"; }
staged() { grep -F " $work/kubelet/" /proc/self/mountinfo | grep -cF "/globalmount "; }
csi_mounts() { grep -F " $work/kubelet/" /proc/self/mountinfo | grep -cE 'globalmount|kubernetes.io~csi'; }
node_status() { api GET /api/v1/nodes/n1 | python3 -c "import json,sys; print(len(json.load(sys.stdin)['status'].get('$1') or []))"; }
in_use_is() { [ "$(node_status volumesInUse)" = "$1" ]; }
csi_node() { api GET /apis/storage.k8s.io/v1/csinodes/n1 | python3 -c 'import json,sys
d = json.load(sys.stdin)["spec"]["drivers"]
for x in d: print(x["name"], x["nodeID"], x.get("topologyKeys"), x.get("allocatable"))'; }
