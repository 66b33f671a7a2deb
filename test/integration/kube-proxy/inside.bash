# SPDX-License-Identifier: Apache-2.0
# Sourced after control-plane.sh: the control plane and kubectl run in the network namespace $NS-node.
REAL_BIN=${REAL_BIN:-$BIN}
export REAL_BIN
mkdir -p "$CP/bin"
printf '#!/bin/sh\nexec ip netns exec %s-node %s/kube-apiserver "$@"\n' "$NS" "$REAL_BIN" >"$CP/bin/kube-apiserver"
chmod +x "$CP/bin/kube-apiserver"
BIN=$CP/bin

etcd() { # called in the background, so this replaces the subshell
        exec ip netns exec "$NS-node" "$(type -P etcd)" "$@"
}

apiserver_ready() { # FOLDER
        ip netns exec "$NS-node" curl -sf --cacert "$1/ca.crt" "https://127.0.0.1:$(cat "$1/port")/readyz"
}

k() {
        ip netns exec "$NS-node" "${KUBECTL:-$REAL_BIN/kubectl}" --kubeconfig "$CP/admin.kubeconfig" "$@"
}
