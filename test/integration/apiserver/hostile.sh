#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kube-apiserver against clients that are slow, greedy, or speak HTTP wrongly on purpose (hostile.py). TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-hostile.XXXXXX)
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
port=$(free_port)
ulimit -Sn 1024 # half of it is for connections
control_plane_start "$work" "$port" || { cat "$work"/*.log; exit 1; }
ulimit -Sn "$(ulimit -Hn)"
python3 "$here/hostile.py" "$work" "$port" "$(cat "$work/apiserver.pid")"
status=$?
[ $status = 0 ] || tail -n 20 "$work/apiserver.log" | sed 's/^/#   /'
exit $status
