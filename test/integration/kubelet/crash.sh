#!/usr/bin/env bash
# kill -9 of the kubelet, of monitors, runc, network plugins, pause processes or containers in the middle of a pull, of pod
# starts and of pod ends, at moments from a seed (SEED; ROUNDS of them): the pods come up all the same, a running container
# is not touched, and after each round nothing is left behind. (faults.sh has one exact moment for each.)
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
# Processes whose command line or environment has a pattern, but not those of the container that must not be touched
stable=none stable_uid=none
with() { # with FILE PATTERN
        local file
        for file in /proc/[0-9]*/"$1"; do
                tr '\0' ' ' <"$file" 2>/dev/null | grep -v "${stable#*://}" | grep -qE "$2" && basename "$(dirname "$file")"
        done 2>/dev/null
}
in_groups() { find /sys/fs/cgroup -path "*/cxk-$id/*/pod*/cgroup.procs" -not -path "*pod$stable_uid*" -exec cat {} + 2>/dev/null | sort -u; }
strike() { # strike WHAT: kills all that are at work for the round's pods
        local pid
        case $1 in
        kubelet)
                kill_kubelet
                start_kubelet
                return
                ;;
        conmon) set -- $(with cmdline "conmon.*-n [ci] .*$work/kubelet/state") ;;
        runc) set -- $(with cmdline "runc.*$work/kubelet/state.* create") $(comm -12 <(with cmdline '^runc init' | sort) <(in_groups | sort)) ;;
        runc-only) set -- $(with cmdline "runc.*$work/kubelet/state.* create") ;;
        plugin) set -- $(with environ "CNI_NETNS=$work/kubelet/state") ;;
        pause) set -- $(with cmdline "internal-pause $work/kubelet/state") ;;
        container) set -- $(in_groups) ;;
        esac
        for pid in "$@"; do kill -9 "$pid" 2>/dev/null; done
}
targets=(kubelet kubelet conmon runc runc-only plugin pause container)

pulled=0
for round in $(seq 5); do
        kill_kubelet
        rm -rf "$work/kubelet/images"
        start_kubelet
        make_pod "pull-$round" ""
        pause $((RANDOM % 250))
        kill_kubelet
        start_kubelet
        until_true 60 is "pull-$round" "$ready" True || { pulled=1 && echo "# pull of round $round"; }
        api DELETE "/api/v1/namespaces/default/pods/pull-$round?gracePeriodSeconds=0" >/dev/null
        until_true 60 eval "! pod pull-$round"
done
[ $pulled -eq 0 ] && until_true 60 eval '[ -z "$(find "$work/kubelet/images" -name "tmp-*" -o -name "*.blob")" ]'
ok "pulls cut off by kill -9 are done again, and leave no half layers" $?

make_pod stable ',"restartPolicy":"Always"'
until_true 60 is stable "$ready" True
stable=$(field stable "$first[\"containerID\"]")
stable_uid=$(field stable 'p["metadata"]["uid"]')
came=0 went=0 left=0
for round in $(seq "$rounds"); do
        make_two "$round"
        pause $((RANDOM % 300))
        what=${targets[RANDOM % ${#targets[@]}]}
        strike "$what"
        until_true 90 both_ready "$round" || { came=1 && echo "# round $round: $what killed during the start"; }
        for name in plain shared; do api DELETE "/api/v1/namespaces/default/pods/$name-$round" >/dev/null; done
        pause $((RANDOM % 900))
        what=${targets[RANDOM % ${#targets[@]}]}
        strike "$what"
        until_true 90 both_gone "$round" || { went=1 && echo "# round $round: $what killed during the end"; }
        until_true 30 no_leaks "$stable_uid" || { left=1 && echo "# round $round: left" && leaks "$stable_uid" | sed 's/^/# /'; }
done
ok "pods whose start was cut off come up" $came
ok "pods whose end was cut off go" $went
ok "nothing is left after each round" $left
[ "$(field stable "$first[\"containerID\"]")" = "$stable" ] && is stable "$first[\"restartCount\"]" 0
ok "the container that ran all the time was not touched" $?
pid=$(cat "$work/kubelet/state/containers/${stable#*://}/pidfile")
kill -9 "$pid"
until_true 60 is stable "$first[\"restartCount\"]" 1 && until_true 60 is stable "$ready" True
ok "a container that is killed is started again" $?
stable=$(field stable "$first[\"containerID\"]")
kill -9 "$(cat "$work/kubelet/state/containers/${stable#*://}/conmon.pid")"
kill -9 "$(cat "$work/kubelet/state/containers/${stable#*://}/pidfile")"
until_true 60 is stable "$first[\"restartCount\"]" 2 && until_true 60 is stable "$ready" True
ok "and so is one that ends with its monitor" $?
api DELETE /api/v1/namespaces/default/pods/stable >/dev/null
until_true 60 eval '! pod stable' && until_true 60 no_leaks
ok "nothing is left: files, mounts, leases, control groups, interfaces, processes" $?
stop "$kubelet_pid"
! grep -q " $work/kubelet/state " /proc/self/mountinfo
ok "a kubelet that stops without pods takes its state folder's memory along" $?
finish
