#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian's python3-kubernetes, unmodified, against our apiserver and controllers. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-python.XXXXXX)
finish() {
        [ -z "${manager:-}" ] || kill "$manager" 2>/dev/null
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
control_plane_start "$work" "$(free_port)" || { cat "$work"/*.log; exit 1; }
"$BIN/kube-controller-manager" --kubeconfig "$work/admin.kubeconfig" --leader-elect=false --secure-port 0 2>"$work/manager.log" &
manager=$!
/usr/bin/python3 "$here/client.py" "$work/admin.kubeconfig"
