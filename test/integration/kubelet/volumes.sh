#!/usr/bin/env bash
# The end of volumes: what is deep goes, what is in use or mounted stays until it is not, and nothing else is touched.
. "$(dirname "$0")/lib.sh"
start_all
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
pods=$work/kubelet/pods
state_pods=$work/kubelet/state/pods

make_pod() { # make_pod NAME
        api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","image":"'"$registry"'/busybox:1.35","command":["sleep","1000"],
  "volumeMounts":[{"name":"disk","mountPath":"/disk"},{"name":"memory","mountPath":"/memory"}]}],
 "volumes":[{"name":"disk","emptyDir":{}},{"name":"memory","emptyDir":{"medium":"Memory"}}]}}' >/dev/null
        until_true 60 is "$1" "$ready" True
}
delete() { api DELETE "/api/v1/namespaces/default/pods/$1" >/dev/null; }
gone() { ! pod "$1" >/dev/null; }

make_pod deep
ok "a pod with volumes becomes ready" $?
uid=$(field deep 'p["metadata"]["uid"]')
[ "$(stat -c %a "$work/kubelet" "$pods" "$pods/$uid" "$state_pods" "$state_pods/$uid" | sort -u)" = 750 ]
ok "nobody but root comes near what pods have" $?
python3 - "$pods/$uid/volumes/kubernetes.io~empty-dir/disk" <<'END'
import os, sys
os.chdir(sys.argv[1])
for _ in range(60):
    os.mkdir("n" * 200)
    os.chdir("n" * 200)
open("file", "w").close()
END
delete deep
until_true 60 gone deep
ok "a pod whose folders are nested beyond any path goes" $?
! [ -e "$pods/$uid" ]
ok "and so do its folders" $?

make_pod busy
uid=$(field busy 'p["metadata"]["uid"]')
memory=$state_pods/$uid/volumes/kubernetes.io~empty-dir/memory
inner=$pods/$uid/volumes/kubernetes.io~empty-dir/disk/inner
mkdir -p "$inner" "$work/elsewhere"
echo precious >"$work/elsewhere/data"
mount --bind "$work/elsewhere" "$inner"
exec {in_memory}<"$memory" {in_inner}<"$inner"
delete busy
until_true 60 grep -q "cannot end the volumes: cannot unmount" "$work/kubelet.log"
ok "a volume that is in use is not ended, and that is said" $?
mountpoint -q "$memory" && mountpoint -q "$inner" && [ "$(cat "$work/elsewhere/data")" = precious ]
ok "what is mounted in it is whole" $?
pod busy >/dev/null
ok "and the pod is still there" $?
kill -9 "$kubelet_pid"
wait "$kubelet_pid" 2>/dev/null
exec {in_memory}<&- {in_inner}<&-
start_kubelet
until_true 90 gone busy
ok "once nobody uses them, a restarted kubelet ends them and the pod goes" $?
! [ -e "$pods/$uid" ] && ! [ -e "$state_pods/$uid" ] && [ "$(cat "$work/elsewhere/data")" = precious ]
ok "and nothing is lost but what was the pod's" $?
stop "$kubelet_pid"
finish
