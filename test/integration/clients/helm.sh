#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Helm 4, unmodified and with its defaults (server-side apply), against our apiserver. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
clients=$("$here/../../lib/upstream-clients") || exit 1
work=$(mktemp -d /tmp/coxswain-helm.XXXXXX)
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
control_plane_start "$work" "$(free_port)" || { cat "$work"/*.log; exit 1; }
export KUBECONFIG=$work/admin.kubeconfig HOME=$work
helm() { "$clients/helm" "$@"; }
image() { "$BIN/kubectl" get deployment web -o 'jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}'; }
cd "$work" || exit 1

t_install() { helm create web && helm install web ./web && equals "$(image)" "1 nginx:1.16.0" && "$BIN/kubectl" get service/web serviceaccount/web; }
t_upgrade() { helm upgrade web ./web --set replicaCount=3 --set image.tag=2 && equals "$(image)" "3 nginx:2"; }
# Somebody else's value is not overwritten in silence, and is when Helm is told to.
t_conflict() {
        "$BIN/kubectl" scale deployment web --replicas=7 || return 1
        ! helm upgrade web ./web --set replicaCount=4 >"$work/out" 2>&1 && grep -q 'conflict with "kubectl"' "$work/out" || { cat "$work/out"; return 1; }
        helm upgrade web ./web --set replicaCount=4 --force-conflicts && equals "$(image)" "4 nginx:1.16.0"
}
t_rollback() { helm rollback web 2 && equals "$(image)" "3 nginx:2"; }
t_history() { helm history web -o json | jq -e '[.[].status] | last == "deployed"' && helm list -o json | jq -e '.[0].name == "web"' && helm get manifest web | grep -q 'kind: Deployment'; }
t_uninstall() { helm uninstall web && [ -z "$("$BIN/kubectl" get deployments,services,serviceaccounts,secrets -l app.kubernetes.io/instance=web -o name)" ]; }
for t in install upgrade conflict rollback history uninstall; do ok "$t" "t_$t"; done
tap_end
