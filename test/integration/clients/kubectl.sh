#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Upstream's kubectl, unmodified, where it depends on what the apiserver says about itself. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
clients=$("$here/../../lib/upstream-clients") || exit 1
work=$(mktemp -d /tmp/coxswain-kubectl.XXXXXX)
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
control_plane_start "$work" "$(free_port)" || { cat "$work"/*.log; exit 1; }
export KUBECONFIG=$work/admin.kubeconfig HOME=$work
kubectl() { "$clients/kubectl" "$@"; }
cd "$work" || exit 1

unknown=$'error: resource mapping not found for name: "w" namespace: "" from "w.yaml": no matches for kind "Widget" in version "example.com/v1"\nensure CRDs are installed first'
t_unknown_kind() { # it asks for OpenAPI v2 in protobuf
        printf 'apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n' >w.yaml
        local how
        for how in "apply" "apply --validate=false" "create --validate=true"; do
                # shellcheck disable=SC2086
                equals "$(kubectl $how -f w.yaml 2>&1)" "$unknown" || return 1
        done
}
t_unknown_field() {
        printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: w}\nsurprise: 1\n' >c.yaml
        ! kubectl apply -f c.yaml >out 2>&1 && grep -q 'unknown field "surprise"' out && kubectl apply --validate=false -f c.yaml
}
t_explain() {
        kubectl explain deployments.spec.replicas | grep -q 'FIELD: replicas <integer>' &&
                kubectl explain deployments.spec.replicas --output=plaintext-openapiv2 | grep -q 'FIELD:.*replicas <integer>'
}
t_discovery_cache() { # asked again with the ETag
        kubectl api-resources >first && kubectl api-resources >second && cmp first second && grep -q '^deployments ' first
}
for t in unknown_kind unknown_field explain discovery_cache; do ok "$t" "t_$t"; done
tap_end
