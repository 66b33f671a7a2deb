#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# exec, attach, cp and port-forward by our kubectl and by upstream's of several ages: SPDY/3.1 up to 1.28, WebSocket and
# SPDY within it after that. TAP.
. "$(dirname "$0")/../kubelet/lib.sh"
clients=$(realpath "$(dirname "$0")")
declare -A kubectls=([ours]=$bin/kubectl)
for minor in 20 24 28 35; do
        kubectls[1.$minor]=$("$root/test/lib/upstream-clients" "$minor")/kubectl || exit 1
done
start_all
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"x"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1,
 "containers":[{"name":"c","stdin":true,"image":"'"$registry"'/busybox:1.35","command":["sh","-c",
 "while read -r l; do echo got $l; echo lost $l >&2; done; sleep 1000"]}]}}' >/dev/null
until_true 60 is x "$ready" True
ok "a pod that reads its input" $?
nsenter --net="$(echo "$work"/kubelet/state/sandboxes/*/ns/net)" python3 "$clients/echo.py" 7000 2>"$work/echo.log" &
pids+=($!)
began $!
export KUBECONFIG=$work/admin.conf HOME=$work
head -c 3000000 /dev/urandom >"$work/data"
k() { timeout 60 "${kubectls[$client]}" "$@"; }

# forward_start ARGUMENTS...: sets forwarder and port.
port=0
forward_start() {
        timeout 200 "${kubectls[$client]}" port-forward "$@" >"$work/forward.out" 2>&1 &
        forwarder=$!
        began "$forwarder"
        until_true 60 grep -q 'Forwarding from 127.0.0.1' "$work/forward.out" &&
                port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\) .*/\1/p' "$work/forward.out" | head -n 1)
}

for client in ${CLIENTS:-ours 1.20 1.24 1.28 1.35}; do
        [ "$(echo hello | k exec -i x -- cat)" = hello ]
        ok "$client: exec passes input, its end and output" $?
        k exec x -- sh -c 'exit 7' 2>/dev/null
        [ $? -eq 7 ]
        ok "$client: exec's exit code" $?
        [ "$(k exec x -- sh -c 'echo out; echo err >&2' 2>"$work/err")" = out ] && [ "$(cat "$work/err")" = err ]
        ok "$client: standard error is apart" $?
        k exec -i x -- cat <"$work/data" | cmp - "$work/data"
        ok "$client: three megabytes there and back" $?
        out=$(timeout 60 script -qec "stty cols 91 rows 33; ${kubectls[$client]} exec -it x -- sh -c 'until [ \"\$(stty size)\" = \"33 91\" ]; do :; done; echo sized'" /dev/null </dev/null)
        [[ $out == *sized* ]]
        ok "$client: the terminal's size" $?

        rm -f "$work/input"
        mkfifo "$work/input"
        timeout 60 "${kubectls[$client]}" attach -i x <"$work/input" >"$work/attached" 2>"$work/attached.err" &
        attached=$!
        exec {input}>"$work/input"
        # what is written before the server has attached goes nowhere but into the container
        both() { echo "of $client" >&$input && grep -q "got of $client" "$work/attached" && grep -q "lost of $client" "$work/attached.err"; }
        until_true 30 both
        ok "$client: attach passes input and both outputs on" $?
        kill "$attached"
        exec {input}>&-

        forward_start pod/x :7000
        ok "$client: port-forward listens" $?
        timeout 100 python3 "$clients/forward.py" "$port" 1 2000000
        ok "$client: a connection with half-closes, both ways at once" $?
        timeout 100 python3 "$clients/forward.py" "$port" 100 40000
        ok "$client: a hundred at once" $?
        kill "$forwarder" 2>/dev/null
        wait "$forwarder" 2>/dev/null
        forward_start pod/x :7001
        timeout 20 python3 "$clients/forward.py" "$port" 1 10 >/dev/null
        until_true 30 grep -q 'failed to connect to localhost:7001 inside namespace .*Connection refused' "$work/forward.out"
        ok "$client: a port where nobody listens is told" $?
        kill "$forwarder" 2>/dev/null
        wait "$forwarder" 2>/dev/null

        rm -rf "$work/there" "$work/back"
        mkdir -p "$work/there/sub" && cp "$work/data" "$work/there/sub/data" && echo small >"$work/there/small"
        k cp "$work/there" "x:/tmp/of-$client" >/dev/null 2>"$work/err" &&
                k cp "x:/tmp/of-$client" "$work/back" >/dev/null 2>"$work/err" && diff -r "$work/there" "$work/back"
        ok "$client: cp of a folder there and back" $?
done
none() { [ -z "$(pgrep -f "$work/kubelet/state/runc exec")" ]; }
until_true 30 none
ok "no command is left" $?
stop "$kubelet_pid"
finish
