# SPDX-License-Identifier: Apache-2.0
# For end-to-end tests, sourced by bash: a profile of minikube in a home of its own, clients for it, and load on it. Sources
# tap.sh and control-plane.sh.
#
#   cluster_begin PROFILE [KUBECTL]   prepares $work (the home) and $profile; all of it goes when the script ends, or with the next
#                                     one when it was killed
#   mk WORDS..., k WORDS...           minikube and kubectl for the profile
#   pid_of SERVICE                    the process of a service that the profile supervises
#   nodes_ready COUNT                 there are so many nodes, and all are Ready
#   load_start, load_stop             one request to $url after the other, $LOAD_PAUSE seconds between them if it is set; load_stop
#                                     fails when any of them did
#   looked_up POD NAME                the last address that the pod's nslookup finds (busybox is static: its wget finds none)
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$top/build/release/bin
. "$top/test/lib/tap.sh"
. "$top/test/lib/control-plane.sh"

cluster_begin() {
        profile=$1
        KUBECTL=${2:-$bin/kubectl}
        cluster_clear
        work=$(mktemp -d "/tmp/coxswain-$profile.XXXXXX")
        echo "$$ $(start_time $$)" >"$work/owner"
        export MINIKUBE_HOME=$work HOME=$work KUBECONFIG=$work/kubeconfig
        trap cluster_end EXIT
        trap 'exit 1' INT TERM
        TAP_ON_FAILURE=cluster_show
}
cluster_clear() { # what scripts that are no more have left of this profile
        local folder pid start
        for folder in "/tmp/coxswain-$profile".*; do
                [ -O "$folder" ] && [ -f "$folder/owner" ] && read -r pid start <"$folder/owner" && [ "$(start_time "$pid")" != "$start" ] || continue
                MINIKUBE_HOME=$folder HOME=$folder mk delete >/dev/null 2>&1
                for pid in $(cat "$folder"/*.pid 2>/dev/null); do
                        ! grep -qsF "$folder/" "/proc/$pid/cmdline" || kill "$pid"
                done
                rm -rf "$folder"
        done
}
cluster_end() {
        touch "$work/load.stop"
        mk delete >/dev/null 2>&1
        kill $(cat "$work"/*.pid 2>/dev/null) 2>/dev/null
        rm -rf "$work"
}
cluster_show() {
        k get nodes,pods,services,deployments,statefulsets,daemonsets -A -o wide
        tail -qn 5 "$work/.minikube/profiles/$profile/logs"/*.log
}
mk() { "$bin/minikube" "$@" -p "$profile"; }
k() { "$KUBECTL" "$@"; }
pid_of() { cut -d' ' -f1 "$work/.minikube/profiles/$profile/run/$1.pid"; }
nodes_ready() { equals "$(k get nodes --no-headers | grep -cw Ready)" "$1"; }
node_not_ready() { k get node "$1" --no-headers | grep -q NotReady; }

load_start() {
        rm -f "$work"/load.{stop,over,failed}
        echo 0 >"$work/load.count"
        (
                n=0
                while [ ! -e "$work/load.stop" ]; do
                        curl -sSf --max-time 15 -o /dev/null -w '%{exitcode} after %{time_total} s, connected after %{time_connect} s: ' \
                                "$url" >"$work/load.last" 2>&1 || echo "$EPOCHREALTIME: $(tr '\n' ' ' <"$work/load.last")" >>"$work/load.failed"
                        n=$((n + 1))
                        echo "$n" >"$work/load.count"
                        [ -z "${LOAD_PAUSE:-}" ] || sleep "$LOAD_PAUSE"
                done
                touch "$work/load.over"
        ) &
}
enough_load() { [ "$(cat "$work/load.count")" -ge 20 ]; }
# Fails when any request failed. Whoever began the load may be another shell.
load_stop() {
        until_true 120 enough_load # what is over sooner than that proves nothing
        touch "$work/load.stop"
        until_true 60 test -e "$work/load.over"
        echo "requests: $(cat "$work/load.count")"
        cat "$work/load.failed" 2>/dev/null
        enough_load && [ ! -s "$work/load.failed" ]
}
looked_up() {
        k exec "$1" -- nslookup "$2" | awk '/^Address/ {a = $NF; sub(/:.*/, "", a)} END {print a}'
}
