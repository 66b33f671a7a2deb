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

client=ours
# A service and a deployment stand for a pod; the service's port for the pod's.
api PATCH /api/v1/namespaces/default/pods/x '{"metadata":{"labels":{"app":"x"}}}' >/dev/null
api POST /api/v1/namespaces/default/services '{"metadata":{"name":"s"},"spec":{"selector":{"app":"x"},"ports":[{"name":"echo","port":80,"targetPort":7000}]}}' >/dev/null
for words in "service/s :80" "svc/s :echo" "x :7000" "pods/x :7000"; do
        # shellcheck disable=SC2086
        forward_start $words && timeout 100 python3 "$clients/forward.py" "$port" 3 100000
        ok "port-forward $words" $?
        kill "$forwarder"
        wait "$forwarder" 2>/dev/null
done
forward_start x :7000 :7001 --address 127.0.0.1,127.0.0.2
[ "$(grep -c '^Forwarding from 127.0.0.[12]:[0-9]* -> 700[01]$' "$work/forward.out")" = 4 ]
ok "several ports on several addresses" $?
k port-forward x "$port:7000" --address 127.0.0.1 >"$work/out" 2>&1
[ $? -eq 1 ] && grep -q "^Unable to listen on port $port: .*ddress already in use" "$work/out" &&
        grep -q "^error: unable to listen on any of the requested ports: \[{$port 7000}\]" "$work/out"
ok "a port that is taken" $?
kill "$forwarder"
wait "$forwarder" 2>/dev/null

# Through kubectl proxy, whose filter has to be opened for it.
"${kubectls[ours]}" proxy --port=0 --reject-paths='^$' >"$work/proxy.out" 2>&1 &
proxy=$!
began "$proxy"
until_true 30 grep -q '^Starting to serve on ' "$work/proxy.out"
at=http://$(sed -n 's/^Starting to serve on //p' "$work/proxy.out")
for client in ours 1.28 1.35; do
        k -s "$at" exec -i x -- cat <"$work/data" | cmp - "$work/data"
        ok "$client: exec through proxy" $?
        forward_start -s "$at" pod/x :7000 && timeout 100 python3 "$clients/forward.py" "$port" 3 1000000
        ok "$client: port-forward through proxy" $?
        kill "$forwarder"
        wait "$forwarder" 2>/dev/null
done
client=ours
kill "$proxy"
wait "$proxy" 2>/dev/null

# debug attaches to what it made, and shows what one said that has ended already.
for client in ours 1.35; do
        [ "$(echo "of $client" | k debug x -i -q --profile=general --image="$registry/busybox:1.35" --target=c -- cat 2>"$work/err")" = "of $client" ]
        ok "$client: debug by an ephemeral container" $?
        k debug x -q --profile=general --attach --image="$registry/busybox:1.35" -- echo "over of $client" 2>"$work/err" | grep -qx "over of $client"
        ok "$client: debug by one that ends at once" $?
done
client=ours

# logs -f of what has pods goes on through restarts and over the pods that come.
talker() { # NAME COMMAND
        api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"'"$1"'","labels":{"app":"talk"}},"spec":{"nodeName":"n1",
         "terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":"'"$registry"'/busybox:1.35","command":["sh","-c","'"$2"'"]}]}}' >/dev/null
}
api POST /apis/apps/v1/namespaces/default/replicasets '{"metadata":{"name":"talk"},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"talk"}},
 "template":{"metadata":{"labels":{"app":"talk"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}}' >/dev/null
talker one 'echo run of one; until [ -e /tmp/go ]; do sleep 0.1; done; exit 1'
until_true 60 is one "$ready" True
"$bin/kubectl" logs -f rs/talk >"$work/follow" 2>"$work/follow.err" &
follower=$!
began "$follower"
"$bin/kubectl" logs -f -l app=talk --prefix >"$work/all" 2>"$work/all.err" &
all=$!
began "$all"
until_true 30 grep -q 'run of one' "$work/follow" && until_true 30 grep -q 'run of one' "$work/all" && k exec one -- touch /tmp/go
times() { [ "$(grep -c "$1" "$2")" = "$3" ]; }
until_true 60 times 'run of one' "$work/follow" 2 && until_true 30 times '^\[pod/one/c\] run of one$' "$work/all" 2
ok "logs -f goes on through a restart" $?
on_terminal() { # SETTING: logs with prefixes as a terminal gets them
        script -qec "env $1 $bin/kubectl logs one --previous --prefix" /dev/null </dev/null | tr -d '\r' >"$work/screen"
}
on_terminal TERM=xterm && grep -qxF "$(printf '\033[36m[pod/one/c]\033[0m run of one')" "$work/screen" &&
        on_terminal "TERM=xterm NO_COLOR=1" && grep -qxF '[pod/one/c] run of one' "$work/screen" &&
        on_terminal TERM=dumb && grep -qxF '[pod/one/c] run of one' "$work/screen"
ok "prefixes have colours on a terminal that shows them" $?
talker two 'echo run of two; sleep 1000'
until_true 60 times '^\[pod/two/c\] run of two$' "$work/all" 1 && ! grep -q 'run of two' "$work/follow"
ok "logs -f of a selector reads a pod that came, that of an owner its one" $?
api DELETE /api/v1/namespaces/default/pods/one '{"gracePeriodSeconds":0}' >/dev/null
until_true 60 grep -qx 'run of two' "$work/follow" && grep -qx 'Now using pod/two' "$work/follow.err"
ok "logs -f of an owner goes on with another of its pods" $?
api DELETE /api/v1/namespaces/default/pods/two '{"gracePeriodSeconds":0}' >/dev/null
wait "$all"
ok "logs -f of a selector ends when no pod is left" $?
kill "$follower"
wait "$follower" 2>/dev/null

# Of tar in a container that means harm nothing is written outside, and no link is made.
k exec x -- sh -c 'mkdir -p /tmp/evil/d && cd /tmp/evil && ln -s /etc d/link && echo bad >escaped && tar cf d/../e.tar d escaped' 2>/dev/null
rm -rf "$work/place" && mkdir "$work/place" && k cp x:/tmp/evil "$work/place/got" 2>"$work/err" >/dev/null &&
        grep -q 'warning: skipping symlink: "got/d/link" -> "/etc"' "$work/err" && [ ! -e "$work/place/got/d/link" ] && [ -f "$work/place/got/escaped" ]
ok "cp leaves links out" $?
k cp --retries=3 "x:/tmp/evil/escaped" "$work/place/one" && [ "$(cat "$work/place/one")" = bad ]
ok "cp of a file, with retries" $?
chmod 600 "$work/there/small" && k cp --no-preserve "$work/there/small" x:/tmp/evil -c c && [ "$(k exec x -- cat /tmp/evil/small)" = small ]
ok "cp into a folder, by container" $?
k cp "$work/nothing" x:/tmp/a 2>"$work/err"
[ $? -eq 1 ] && grep -qxF "error: $work/nothing doesn't exist in local filesystem" "$work/err"
ok "cp of what is not there" $?
k cp x:/nothing "$work/place/two" >/dev/null 2>"$work/err"
[ $? -eq 1 ] && grep -q "command terminated with exit code 1" "$work/err"
ok "cp of what is not in the container" $?

# An ephemeral container sees the processes of the one that it is for, and is attached to and asked as others are.
client=1.35
k debug x --image="$registry/busybox:1.35" --target=c --container=dbg -- sh -c 'echo begun; read -r l; sleep 1000' >/dev/null 2>"$work/err"
until_true 60 is x '[s["state"].get("running") is not None for s in p["status"]["ephemeralContainerStatuses"] if s["name"] == "dbg"]' "[True]"
ok "kubectl debug starts an ephemeral container" $?
k exec x -c dbg -- ps | grep -q 'while read'
ok "it sees the target's processes" $?
out=$(timeout 60 script -qec "${kubectls[1.35]} debug x --image=$registry/busybox:1.35 --container=asked -it -- sh -c 'echo is it; read l; echo it is \$l'" /dev/null < <(sleep 0.5; for _ in $(seq 50); do echo so; read -rt 0.2 <> <(:); done))
[[ $out == *"it is so"* ]] && until_true 60 is x '[s["state"]["terminated"]["exitCode"] for s in p["status"]["ephemeralContainerStatuses"] if s["name"] == "asked"]' "[0]"
ok "kubectl debug -it talks with it, and it runs once" $?
is x "$ready" True && is x 'p["status"]["containerStatuses"][0]["restartCount"]' 0 && [ "$(k logs x -c dbg)" = begun ]
ok "the pod is as it was" $?

none() { [ -z "$(pgrep -f "$work/kubelet/state/runc exec")" ]; }
until_true 30 none
ok "no command is left" $?

# A stream that is cut is an error.
"$bin/kubectl" exec x -- sh -c 'echo begun; sleep 1000' >"$work/out" 2>"$work/err" &
cut=$!
forward_start x :7000
until_true 30 grep -q begun "$work/out"
kill -9 "$kubelet_pid"
wait "$cut"
[ $? -eq 1 ] && grep -q '^error: error reading from error stream: ' "$work/err"
ok "exec that is cut off exits with 1 and says so" $?
wait "$forwarder"
[ $? -eq 1 ] && grep -q '^error: lost connection to pod$' "$work/forward.out"
ok "port-forward that is cut off exits with 1 and says so" $?
finish
