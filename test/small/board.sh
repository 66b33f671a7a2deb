#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A cluster of one node on a small board: master, node, etcd, DNS and ten pods of hello have 192 MB, in a memory control group, and
# the cluster's processes no more than 110 of it (memory.py says how that is measured), while the tutorials are typed round after
# round for MINUTES (60). Clients are beside the board: kubectl, curl, and what types. Prints TAP. Needs root, and cgroup v1's
# memory controller.
. "$(dirname "$0")/../lib/cluster.sh"
. "$top/test/small/lib.bash"
MINUTES=${MINUTES:-60}
size=192 goal=110 growth=5 # MB
[ -n "${BOARD_NAME:-}" ] || board_enter "$(realpath "$0")" $((size << 20))

board_begin || exit 1
cluster_begin board
mkdir "$work/bin"
export MINIKUBE_PROFILE=$profile PATH=$work/bin:$bin:$PATH LANG=C.UTF-8

# What is on the board: minikube and all that it starts.
printf '#!/bin/sh\necho 0 >%s/cgroup.procs && exec %s/minikube "$@"\n' "$board" "$bin" >"$work/bin/minikube"
chmod +x "$work/bin/minikube"

ready() {
        own_files "$bin"/* "$(command -v etcd)" "$(command -v runc)" "$(command -v conmon)" &&
                minikube start && nodes_ready 1
}
images() {
        IMAGES=small "$top/test/images/build" "$work/images" || return 1
        for image in hello-v1 web-v1 web-v2; do
                tar -C "$work/images/$image" -cf "$work/images/$image.tar" . && minikube image load "$work/images/$image.tar" || return 1
        done
        rm -r "$work/images"
}
ten_pods() {
        k create namespace board && k apply -n board -f "$top/manifests/hello" && k scale -n board deployment/hello --replicas=10 &&
                k rollout status -n board deployment/hello --timeout=180s &&
                k wait -n board --for=jsonpath='{.status.loadBalancer.ingress}' service/hello --timeout=60s &&
                minikube service hello -n board --url >"$work/url" && until_true 30 curl -sf --max-time 5 "$(cat "$work/url")" &&
                names >"$work/names"
}
names() { k get pods -n board -o 'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort; }
dns_answers() { k exec -n board deployment/hello -- wget -qO- http://hello.board.svc.cluster.local | grep 'Hello from'; }
services() { head -qn 1 "$work/.minikube/profiles/$profile/run"/*.pid; }
watched() { # starts what measures, and the load
        services >"$work/services"
        "$top/test/small/memory.py" sample "$work/samples" 5 2>"$work/measure.log" &
        measurer=$!
        echo $measurer >"$work/measurer.pid"
        url=$(cat "$work/url") LOAD_PAUSE=0.2
        load_start
}
measured() { kill $measurer || { cat "$work/measure.log"; return 1; }; }
rounds() { "$top/test/small/rounds.py" "$work" $((MINUTES * 60)) >"$work/rounds" 2>&1 || { cat "$work/rounds"; return 1; }; }
logs_and_exec() {
        k logs -n board deployment/hello --tail=1 | grep GET && equals "$(k exec -n board deployment/hello -- sh -c 'echo "$HELLO_VERSION"')" v1
}
nobody_killed() { # by the kernel for want of memory
        local killed
        killed=$(find $memory -name memory.oom_control -exec cat {} + | awk '$1 == "oom_kill" {n += $2} END {print n + 0}')
        equals "$killed" 0 && ! dmesg | grep "oom_memcg=/$BOARD_NAME[,/]"
}
nobody_restarted() { diff "$work/services" <(services) && ! grep 'ended and will be started again' "$work/.minikube/profiles/$profile/logs/supervisor.log"; }
judged() { awk -v name="$1" '$1 == name {print $2}' "$work/report"; }
at_most() { awk -v have="$1" -v most="$2" 'BEGIN {exit !(have != "" && have <= most)}' || { echo "have $1 MB, want $2 at most"; return 1; }; }

ok "a cluster starts on a board of $size MB" ready
[ $tap_failed = 0 ] || exit 1
ok "images are loaded" images
ok "ten pods of hello run there" ten_pods
ok "DNS answers" dns_answers
watched
ok "the tutorials are typed for $MINUTES minutes, and every command does what the page shows" rounds
echo "# $(grep -c '^round' "$work/rounds") rounds, the longest of $(sed -n 's/^round.*: \([0-9]*\) s/\1/p' "$work/rounds" | sort -n | tail -n 1) s"
ok "memory was measured all the time" measured
wait $measurer
rm "$work/measurer.pid"
"$top/test/small/memory.py" report "$work/samples" >"$work/report"
grep '^#' "$work/report"
echo "# the board's highest: $(($(cat $memory/memory.max_usage_in_bytes) >> 20)) MB of $size, files' pages given back: $(cat $memory/memory.failcnt) times"
ok "logs and exec reach a pod of hello" logs_and_exec
ok "no request to hello failed" load_stop
echo "# $(cat "$work/load.count") requests"
ok "the kernel killed nobody for want of memory" nobody_killed
ok "no process of the cluster was started again" nobody_restarted
ok "no pod of hello was started again" diff "$work/names" <(names)
ok "the cluster's processes have $(judged highest) MB at most: no more than $goal" at_most "$(judged highest)" $goal
ok "and do not grow: $(judged first) MB at first, $(judged last) at last" at_most "$(judged last)" "$(($(printf %.0f "$(judged first)") + growth))"
tap_end
