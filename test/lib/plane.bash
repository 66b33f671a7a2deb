# SPDX-License-Identifier: Apache-2.0
# For bats files that share one control plane among their tests: `load ../../lib/plane` at the top gives them what
# control-plane.sh has, a teardown_file, and
#
#   plane_begin               etcd and kube-apiserver, in a new folder $CP
#   plane_manage [FLAG...]    a controller manager, once it has made the default service account
#   plane_end                 ends all of it; fails when a sanitizer has complained
#   is WANTED COMMAND...      whether that is what it prints
#   of TYPE/NAME PATH         what an object says there
. "$(dirname "${BASH_SOURCE[0]}")/control-plane.sh"

plane_begin() {
        export CP=$(mktemp -d)
        control_plane_start "$CP" "$(free_port)"
}
plane_manage() {
        component_start "$CP" kube-controller-manager "$@"
        wait_for k get serviceaccount default
}
plane_end() {
        control_plane_stop "$CP"
        no_complaints
        rm -rf "$CP"
}
teardown_file() { plane_end; }
is() { [ "$("${@:2}")" = "$1" ]; }
of() { k get "$1" -o jsonpath="$2"; }
