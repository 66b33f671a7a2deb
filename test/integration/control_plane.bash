# SPDX-License-Identifier: Apache-2.0
# Starts real etcd and our own control plane on free ports of 127.0.0.1, below $CP (a folder that the caller made). For bats
# and for shells: start_etcd; start_apiserver; start_component NAME [flags]; stop_all. kubectl: k.
# Executables come from $BIN (build/release/bin); kubectl from $KUBECTL or the PATH.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${BIN:-$ROOT/build/release/bin}

free_port() {
        local port
        while :; do
                port=$((20000 + RANDOM % 20000))
                (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null || { echo $port; return; }
        done
}

# make_cert NAME SUBJECT [extension lines]
make_cert() {
        openssl ecparam -name prime256v1 -genkey -noout -out "$CP/$1.key" 2>/dev/null
        openssl req -new -key "$CP/$1.key" -subj "$2" -out "$CP/$1.csr" 2>/dev/null
        openssl x509 -req -in "$CP/$1.csr" -CA "$CP/ca.crt" -CAkey "$CP/ca.key" -CAcreateserial -days 2 \
                -extfile <(printf '%s\n' "subjectAltName=IP:127.0.0.1,DNS:localhost" "extendedKeyUsage=serverAuth,clientAuth") \
                -out "$CP/$1.crt" 2>/dev/null
}

make_kubeconfig() {
        cat >"$CP/$1.kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority: $CP/ca.crt}}]
users: [{name: test, user: {client-certificate: $CP/$1.crt, client-key: $CP/$1.key}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
EOF
}

wait_for() {
        local deadline=$((SECONDS + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $deadline ] || { echo "timed out: $*" >&2; return 1; }
                sleep 0.1
        done
}

start_etcd() {
        openssl ecparam -name prime256v1 -genkey -noout -out "$CP/ca.key" 2>/dev/null
        openssl req -x509 -new -key "$CP/ca.key" -subj /CN=test-ca -days 2 -out "$CP/ca.crt" 2>/dev/null
        openssl genrsa -out "$CP/sa.key" 2048 2>/dev/null
        make_cert server /CN=server
        make_cert admin /O=system:masters/CN=admin
        make_cert kube-controller-manager /CN=system:kube-controller-manager
        make_cert kube-scheduler /CN=system:kube-scheduler
        ETCD_PORT=$(free_port) API_PORT=$(free_port)
        etcd --name test --data-dir "$CP/etcd" --listen-client-urls "https://127.0.0.1:$ETCD_PORT" \
                --advertise-client-urls "https://127.0.0.1:$ETCD_PORT" --listen-peer-urls "http://127.0.0.1:$(free_port)" \
                --cert-file "$CP/server.crt" --key-file "$CP/server.key" --trusted-ca-file "$CP/ca.crt" --client-cert-auth \
                --unsafe-no-fsync >"$CP/etcd.log" 2>&1 3>&- &
        echo $! >>"$CP/pids"
}

start_apiserver() {
        "$BIN/kube-apiserver" --bind-address 127.0.0.1 --secure-port "$API_PORT" --etcd-servers "https://127.0.0.1:$ETCD_PORT" \
                --etcd-cafile "$CP/ca.crt" --etcd-certfile "$CP/server.crt" --etcd-keyfile "$CP/server.key" \
                --tls-cert-file "$CP/server.crt" --tls-private-key-file "$CP/server.key" --client-ca-file "$CP/ca.crt" \
                --service-account-key-file "$CP/sa.key" --service-account-signing-key-file "$CP/sa.key" \
                --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.96.0.0/16 \
                --authorization-mode Node,RBAC "$@" >"$CP/kube-apiserver.log" 2>&1 3>&- &
        echo $! >>"$CP/pids"
        for user in admin kube-controller-manager kube-scheduler; do make_kubeconfig $user; done
        wait_for 20 k get --raw /readyz
}

start_component() {
        local name=$1
        shift
        [ "$name" != kube-controller-manager ] || set -- --use-service-account-credentials --v 2 "$@"
        "$BIN/$name" --kubeconfig "$CP/$name.kubeconfig" --secure-port 0 --leader-elect=false "$@" >"$CP/$name.log" 2>&1 3>&- &
        echo $! >>"$CP/pids"
}

k() {
        ${KUBECTL:-kubectl} --kubeconfig "$CP/admin.kubeconfig" "$@"
}

# What a component was told that it may not do.
forbidden() {
        grep -h 'forbidden: User' "$CP"/kube-*.log
}

stop_all() {
        local pid
        for pid in $(tac "$CP/pids" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
        for pid in $(tac "$CP/pids" 2>/dev/null); do
                for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
                kill -9 "$pid" 2>/dev/null || true
        done
}

# With sanitizers: what they have said so far, which is a failure.
no_complaints() {
        ! grep -hA 30 -E 'Sanitizer|runtime error:' "$CP"/kube-*.log
}
