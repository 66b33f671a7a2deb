# SPDX-License-Identifier: Apache-2.0
# Sourced: a control plane of the test's own in $work, on $port, which a Python script beside the test judges. TAP.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d "/tmp/coxswain-$(basename "$0" .sh).XXXXXX")
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
port=$(free_port)

judge_start() {
        control_plane_start "$work" "$port" || { cat "$work"/*.log; exit 1; }
}

# Ends the test with the script's exit status; shows the server's last words when it is not 0.
judge() { # SCRIPT [ARG...]
        python3 "$here/$1" "$work" "$port" "${@:2}"
        local status=$?
        [ $status = 0 ] || tail -n 20 "$work/apiserver.log" | sed 's/^/#   /'
        exit $status
}
