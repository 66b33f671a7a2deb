#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipes of CONTRIBUTING.md, followed to the letter in a copy of the tree: what they promise is there afterwards. TAP.
set -u
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/test/lib/tap.sh"
. "$top/test/lib/control-plane.sh"
scratch=$(mktemp -d /tmp/coxswain-recipes.XXXXXX)
CP=$scratch/cp
finish() {
        control_plane_stop "$CP"
        rm -rf "$scratch"
}
trap finish EXIT

# The text of a recipe's block: what is indented by four below its heading.
block() { # HEADING
        awk -v heading="## $1" '$0 == heading {on = 1; next} /^## / {on = 0}
                on && /^    / {print substr($0, 5); text = 1; next} on && /^$/ && text {print ""}' "$top/CONTRIBUTING.md"
}

copy_tree() {
        mkdir -p "$scratch/tree"
        (cd "$top" && git ls-files -co --exclude-standard -z | xargs -0 cp --parents -a -t "$scratch/tree" &&
                cp --parents -a build/release/obj build/release/gen build/release/libcommon.a -t "$scratch/tree")
}
build() { make -s -C "$scratch/tree" -j"$(nproc)" "$@"; }

ok "a copy of the tree" copy_tree

# --- a kind ---
add_kind() {
        block "Add a kind" >"$scratch/tree/libcommon/schema/example.api"
        build build/release/bin/kube-apiserver build/release/bin/kubectl
}
widget() { printf 'apiVersion: example.io/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: %s}\n' "$1" | k apply -f -; }
at() { k get widget w -o "jsonpath={$1}"; }
field() { equals "$(at "$1")" "$2"; }
t_kind_served() {
        k api-resources --api-group=example.io | grep -qE '^widgets +wd +example.io/v1 +true +Widget$' &&
                widget '' && field .spec.size 1 && field .metadata.generation 1
}
t_kind_changes() {
        widget 3 && field .spec.size 3 && field .metadata.generation 2 &&
                k label widget w a=b && k patch wd w --subresource=status --type=merge -p '{"status":{"seen":3},"spec":{"size":9}}' &&
                field .metadata.generation 2 && field .spec.size 3 && field .status.seen 3
}
t_kind_validated() {
        widget 0 >"$scratch/out" 2>&1 && return 1
        grep -q 'spec.size: Invalid value: 0: must be greater than or equal to 1' "$scratch/out" || { cat "$scratch/out"; return 1; }
}
t_kind_shown() {
        k get wd | grep -q '^NAME *AGE$' && k explain widget.spec.size | grep -q 'FIELD: size <integer>' &&
                k get --raw /openapi/v3/apis/example.io/v1 | grep -q WidgetSpec && k delete wd w
}
ok "a kind is added as CONTRIBUTING.md says" add_kind
BIN=$scratch/tree/build/release/bin
ok "the server with it starts" control_plane_start "$CP" "$(free_port)"
ok "the kind is served, with its defaults and its first generation" t_kind_served
ok "its spec counts generations, labels and status do not; status is apart" t_kind_changes
ok "its bounds hold" t_kind_validated
ok "it is printed, explained and documented" t_kind_shown
tap_end
