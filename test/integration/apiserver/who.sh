#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may do what: everything in who.table, asked as everybody (who.py). TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-who.XXXXXX)
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
port=$(free_port)
control_plane_start "$work" "$port" || { cat "$work"/*.log; exit 1; }
python3 "$here/who.py" "$work" "$port"
status=$?
[ $status = 0 ] || tail -n 20 "$work/apiserver.log" | sed 's/^/#   /'
exit $status
