#!/usr/bin/env bash
# kill -9 of the kubelet, a monitor, runc or a container in the middle of a pull, of pod starts and of pod ends, at moments
# from a fixed seed: the pods come up all the same, a running container is not touched, and nothing is left behind.
. "$(dirname "$0")/lib.sh"
start_all
rounds=${ROUNDS:-10}
RANDOM=${SEED:-42}
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
first='p["status"]["containerStatuses"][0]'
box=$registry/busybox:1.35
pause() { read -rt "$(printf '0.%03d' "$1")" <> <(:) || true; } # pause MILLISECONDS
kill_kubelet() {
        kill -9 "$kubelet_pid"
        wait "$kubelet_pid" 2>/dev/null
}
make_pod() { # make_pod NAME EXTRA-SPEC
        api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1'"$2"',
 "containers":[{"name":"c","image":"'"$registry"'/hello:v1","volumeMounts":[{"name":"v","mountPath":"/v"},{"name":"w","mountPath":"/w","subPath":"x"},{"name":"m","mountPath":"/m"}]}],
 "volumes":[{"name":"v","emptyDir":{}},{"name":"w","emptyDir":{}},{"name":"m","emptyDir":{"medium":"Memory"}}]}}' >/dev/null
}
make_two() {
        make_pod "plain-$1" ',"initContainers":[{"name":"i","image":"'"$box"'","command":["true"]}]'
        make_pod "shared-$1" ',"shareProcessNamespace":true'
}
both_ready() { is "plain-$1" "$ready" True && is "shared-$1" "$ready" True; }
both_gone() { ! pod "plain-$1" && ! pod "shared-$1"; }
# A process that is at work below the test's folder, by what its command line has.
processes() { pgrep -f -- "$1.*$work/kubelet/state"; }
# runc's init processes of this test's containers
inits() {
        local pid
        for pid in $(pgrep -f -- '^runc init'); do grep -qs "cxk-$id/" "/proc/$pid/cgroup" && echo "$pid"; done
}

pulled=0
for round in $(seq 5); do
        kill_kubelet
        rm -rf "$work/kubelet/images"
        start_kubelet
        make_pod "pull-$round" ""
        pause $((RANDOM % 250))
        kill_kubelet
        start_kubelet
        until_true 20 is "pull-$round" "$ready" True || { pulled=1 && echo "# pull of round $round"; }
        api DELETE "/api/v1/namespaces/default/pods/pull-$round?gracePeriodSeconds=0" >/dev/null
        until_true 10 eval "! pod pull-$round"
done
[ $pulled -eq 0 ] && until_true 10 eval '[ -z "$(find "$work/kubelet/images" -name "tmp-*" -o -name "*.blob")" ]'
ok "pulls cut off by kill -9 are done again, and leave no half layers" $?

make_pod stable ',"restartPolicy":"Always"'
until_true 20 is stable "$ready" True
stable=$(field stable "$first[\"containerID\"]")
came=0 went=0
for round in $(seq "$rounds"); do
        make_two "$round"
        pause $((RANDOM % 160))
        case $((RANDOM % 4)) in
        0 | 1) what=kubelet; kill_kubelet ;;
        2) what=conmon; for pid in $(processes "conmon.*-n c"); do grep -qs "${stable#*://}" "/proc/$pid/cmdline" || kill -9 "$pid" 2>/dev/null; done ;;
        3) what=runc; for pid in $(processes "runc.*create") $(inits); do kill -9 "$pid" 2>/dev/null; done ;;
        esac
        [ $what != kubelet ] || start_kubelet
        until_true 40 both_ready "$round" || { came=1 && echo "# round $round: $what killed during the start"; }
        for name in plain shared; do api DELETE "/api/v1/namespaces/default/pods/$name-$round" >/dev/null; done
        pause $((RANDOM % 900))
        kill_kubelet
        start_kubelet
        until_true 30 both_gone "$round" || { went=1 && echo "# round $round: kubelet killed during the end"; }
done
ok "pods whose start was cut off come up" $came
ok "pods whose end was cut off go" $went
[ "$(field stable "$first[\"containerID\"]")" = "$stable" ] && is stable "$first[\"restartCount\"]" 0
ok "the container that ran all the time was not touched" $?
pid=$(cat "$work/kubelet/state/containers/${stable#*://}/pidfile")
kill -9 "$pid"
until_true 10 is stable "$first[\"restartCount\"]" 1 && until_true 10 is stable "$ready" True
ok "a container that is killed is started again" $?
stable=$(field stable "$first[\"containerID\"]")
kill -9 "$(cat "$work/kubelet/state/containers/${stable#*://}/conmon.pid")"
kill -9 "$(cat "$work/kubelet/state/containers/${stable#*://}/pidfile")"
until_true 40 is stable "$first[\"restartCount\"]" 2 && until_true 20 is stable "$ready" True
ok "and so is one that ends with its monitor" $?
api DELETE /api/v1/namespaces/default/pods/stable >/dev/null
until_true 20 eval '! pod stable' && until_true 20 nothing_left
ok "nothing is left: files, mounts, leases, control groups" $?
until_true 5 eval '[ "$(in_ns ip -o link | grep -c veth)" = 0 ]'
ok "no interface" $?
! pgrep -f -- "$work/kubelet/state" >/dev/null && ! find /proc/[0-9]*/cgroup -exec grep -l "cxk-$id" {} + 2>/dev/null | grep -q .
ok "and no process" $?
stop "$kubelet_pid"
! grep -q " $work/kubelet/state " /proc/self/mountinfo
ok "a kubelet that stops without pods takes its state folder's memory along" $?
finish
