#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# @kubernetes/client-node, unmodified, against our apiserver. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
client=$("$here/../../lib/node-client") || exit 1
work=$(mktemp -d /tmp/coxswain-node.XXXXXX)
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
control_plane_start "$work" "$(free_port)" || { cat "$work"/*.log; exit 1; }
ln -s "$client/node_modules" "$work/node_modules"
cp "$here/client.mjs" "$work" # modules are looked for beside the file
node "$work/client.mjs" "$work/admin.kubeconfig"
