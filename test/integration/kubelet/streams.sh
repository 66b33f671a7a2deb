#!/usr/bin/env bash
# exec and attach by our kubectl through the apiserver: data both ways, half-closes, exit statuses, sizes of terminals, and
# what becomes of a command whose peer has gone.
. "$(dirname "$0")/lib.sh"
start_all
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"x"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","stdin":true,"image":"'"$registry"'/busybox:1.35","command":["sh","-c","while read -r l; do echo got $l; done; sleep 1000"]}]}}' >/dev/null
until_true 60 is x "$ready" True
ok "a pod that reads its input" $?
k() { timeout 60 "$bin/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
[ "$(echo hello | k exec -i x -- cat)" = hello ]
ok "the end of standard input arrives, and what was written before" $?
k exec x -- sh -c 'exit 7' 2>/dev/null
[ $? -eq 7 ]
ok "the command's exit code is kubectl's" $?
[ "$(k exec x -- sh -c 'echo out; echo err >&2' 2>"$work/err")" = out ] && [ "$(cat "$work/err")" = err ]
ok "standard error is apart" $?
head -c 2000000 /dev/urandom >"$work/data"
k exec -i x -- cat <"$work/data" | cmp - "$work/data"
ok "two megabytes come back as they went" $?
[ "$(k exec x -- head -c 5000000 /dev/zero | wc -c)" = 5000000 ]
ok "five megabytes of output" $?
out=$(timeout 60 script -qec "stty cols 91 rows 33; $bin/kubectl --kubeconfig $work/admin.conf exec -it x -- sh -c 'until [ \"\$(stty size)\" = \"33 91\" ]; do :; done; echo sized'" /dev/null </dev/null)
[[ $out == *sized* ]]
ok "the terminal's size is the command's" $?
mkfifo "$work/input"
timeout 60 "$bin/kubectl" --kubeconfig "$work/admin.conf" attach -i x --quiet <"$work/input" >"$work/attached" 2>&1 &
attached=$!
exec {input}>"$work/input"
echo one >&$input
until_true 30 grep -q "got one" "$work/attached"
ok "attach passes input and output on" $?
exec {input}>&-
kill "$attached"
"$bin/kubectl" --kubeconfig "$work/admin.conf" exec x -- sh -c 'while :; do echo line; sleep 0.1; done' >"$work/lines" 2>/dev/null &
left=$!
until_true 30 grep -q line "$work/lines"
kill -9 "$left"
no_exec() { ! pgrep -f "$work/kubelet/state/runc exec" >/dev/null; }
until_true 30 no_exec
ok "a command whose peer has gone ends" $?
stop "$kubelet_pid"
finish
