# SPDX-License-Identifier: Apache-2.0
# For tests, sourced by bash: a private etcd and kube-apiserver on loopback, in a folder of their own.
#
#   control_plane_start FOLDER PORT [FLAG...]    etcd on PORT+1 and PORT+2, kube-apiserver on PORT; writes FOLDER/admin.kubeconfig
#   aggregating_control_plane_start FOLDER PORT   the same, with a front-proxy certificate for aggregated API servers, whose
#                                      authority is FOLDER/front.crt
#   apiservice_add GROUP VERSION SERVICE CA ADDRESS PORT   a Service of that name at the address, and an APIService for it
#   own_address                        one of this machine's that is not the loopback's
#   component_start FOLDER NAME [FLAG...]   another component, under its own name
#   control_plane_stop FOLDER          ends what was started, by pid, and what FOLDER/pids lists
#   k WORDS...                         kubectl ($KUBECTL) as admin of the control plane in $CP
#   start_time PID                     of a process, which tells it from a later one with that pid; fails when there is none
#   free_port                          a port P of 127.0.0.1 with P+1 and P+2 free too
#   kubeconfig_for FOLDER NAME USER GROUP...   client certificate and kubeconfig FOLDER/NAME.kubeconfig
#
# BIN is where the executables are (default build/release/bin).
export BIN=${BIN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/release/bin}

_pki_ca() { # FOLDER NAME
        openssl ecparam -name prime256v1 -genkey -noout -out "$1/$2.key" 2>/dev/null
        openssl req -x509 -new -key "$1/$2.key" -days 2 -subj "/CN=test-$2" -out "$1/$2.crt" 2>/dev/null
}

_pki_cert() { # FOLDER NAME SUBJECT USAGE SAN [CA]
        openssl ecparam -name prime256v1 -genkey -noout -out "$1/$2.key" 2>/dev/null
        openssl req -new -key "$1/$2.key" -subj "$3" -out "$1/$2.csr" 2>/dev/null
        printf 'extendedKeyUsage=%s\n%s\n' "$4" "${5:+subjectAltName=$5}" >"$1/$2.ext"
        openssl x509 -req -in "$1/$2.csr" -CA "$1/${6:-ca}.crt" -CAkey "$1/${6:-ca}.key" -set_serial "0x$(openssl rand -hex 8)" \
                -days 2 -extfile "$1/$2.ext" -out "$1/$2.crt" 2>/dev/null
}

kubeconfig_for() { # FOLDER NAME USER GROUP...
        local folder=$1 name=$2 user=$3 subject="" group
        shift 3
        for group in "$@"; do subject+="/O=$group"; done
        _pki_cert "$folder" "$name" "$subject/CN=$user" clientAuth ""
        cat >"$folder/$name.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: "https://127.0.0.1:$(cat "$folder/port")", certificate-authority: $folder/ca.crt}
users:
- name: $name
  user: {client-certificate: $folder/$name.crt, client-key: $folder/$name.key}
contexts:
- name: test
  context: {cluster: test, user: $name}
current-context: test
YAML
}

etcd_start() { # FOLDER PORT
        local folder=$1 port=$2
        # ETCD_FLAGS: tests lose nothing by a machine that crashes; benchmarks set it to nothing
        etcd --name test --data-dir "$folder/etcd" ${ETCD_FLAGS---unsafe-no-fsync} --logger zap --log-level error \
                --listen-client-urls "https://127.0.0.1:$((port + 1))" \
                --advertise-client-urls "https://127.0.0.1:$((port + 1))" \
                --listen-peer-urls "http://127.0.0.1:$((port + 2))" \
                --initial-advertise-peer-urls "http://127.0.0.1:$((port + 2))" \
                --initial-cluster "test=http://127.0.0.1:$((port + 2))" \
                --cert-file "$folder/etcd.crt" --key-file "$folder/etcd.key" \
                --client-cert-auth --trusted-ca-file "$folder/etcd-ca.crt" >>"$folder/etcd.log" 2>&1 3>&- &
        echo $! >"$folder/etcd.pid"
}

apiserver_start() { # FOLDER PORT [FLAG...]
        local folder=$1 port=$2
        shift 2
        "$BIN/kube-apiserver" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "$port" \
                --etcd-servers "https://127.0.0.1:$(($(cat "$folder/port") + 1))" --etcd-cafile "$folder/etcd-ca.crt" \
                --etcd-certfile "$folder/client.crt" --etcd-keyfile "$folder/client.key" \
                --tls-cert-file "$folder/server.crt" --tls-private-key-file "$folder/server.key" \
                --client-ca-file "$folder/ca.crt" --authorization-mode Node,RBAC --enable-bootstrap-token-auth \
                --service-account-key-file "$folder/sa.key" --service-account-signing-key-file "$folder/sa.key" \
                --kubelet-client-certificate "$folder/admin.crt" --kubelet-client-key "$folder/admin.key" \
                --service-cluster-ip-range 10.96.0.0/16 "$@" >>"$folder/apiserver.log" 2>&1 3>&- &
        echo $! >"$folder/apiserver.pid"
}

# Waits until a command succeeds, a minute at most (or $WAIT seconds).
wait_for() {
        local end=$((SECONDS + ${WAIT:-60}))
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $end ] || { echo "timed out waiting for: $*" >&2; return 1; }
                read -rt 0.05 <> <(:) || :
        done
}

apiserver_ready() { # FOLDER
        curl -sf --cacert "$1/ca.crt" "https://127.0.0.1:$(cat "$1/port")/readyz"
}

free_port() {
        local port i
        while :; do
                port=$((20000 + RANDOM % 12000))
                for i in 0 1 2; do
                        (exec 3<>"/dev/tcp/127.0.0.1/$((port + i))") 2>/dev/null && continue 2
                done
                echo $port
                return
        done
}

component_start() { # FOLDER NAME [FLAG...]
        local folder=$1 name=$2
        shift 2
        [ -f "$folder/$name.kubeconfig" ] || kubeconfig_for "$folder" "$name" "system:$name"
        [ "$name" != kube-controller-manager ] || set -- --use-service-account-credentials --v 2 "$@"
        "$BIN/$name" --kubeconfig "$folder/$name.kubeconfig" --secure-port 0 --client-ca-file "$folder/ca.crt" --leader-elect=false "$@" \
                >>"$folder/$name.log" 2>&1 3>&- &
        echo $! >"$folder/$name.pid"
}

control_plane_prepare() { # FOLDER PORT: its certificates and keys, and the administrator's kubeconfig
        local folder=$1 port=$2
        mkdir -p "$folder"
        echo "$port" >"$folder/port"
        _pki_ca "$folder" ca
        _pki_ca "$folder" etcd-ca
        _pki_cert "$folder" server /CN=server serverAuth,clientAuth "IP:127.0.0.1,DNS:localhost"
        _pki_cert "$folder" etcd /CN=etcd serverAuth "IP:127.0.0.1,DNS:localhost" etcd-ca
        _pki_cert "$folder" client /CN=etcd-client clientAuth "" etcd-ca
        openssl ecparam -name prime256v1 -genkey -noout -out "$folder/sa.key" 2>/dev/null
        kubeconfig_for "$folder" admin admin system:masters
}

control_plane_start() { # FOLDER PORT [FLAG of the apiserver...]
        local folder=$1 port=$2
        shift 2
        control_plane_prepare "$folder" "$port"
        etcd_start "$folder" "$port"
        apiserver_start "$folder" "$port" "$@"
        wait_for apiserver_ready "$folder"
}

aggregating_control_plane_start() { # FOLDER PORT
        mkdir -p "$1"
        _pki_ca "$1" front
        _pki_cert "$1" front-client /CN=front-proxy-client clientAuth "" front
        control_plane_start "$1" "$2" --proxy-client-cert-file "$1/front-client.crt" --proxy-client-key-file "$1/front-client.key" \
                --requestheader-client-ca-file "$1/front.crt" --requestheader-allowed-names front-proxy-client
}
own_address() { ip -4 route get 203.0.113.1 | sed -n 's/.* src \([0-9.]*\).*/\1/p'; }
apiservice_add() { # GROUP VERSION SERVICE CA ADDRESS PORT
        k apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: $3}
spec: {ports: [{name: https, port: 443, targetPort: $6}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: $3}
subsets: [{addresses: [{ip: $5}], ports: [{name: https, port: $6}]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: $2.$1}
spec:
  group: $1
  version: $2
  groupPriorityMinimum: 100
  versionPriority: 100
  caBundle: $(base64 -w0 <"$4")
  service: {namespace: default, name: $3}
YAML
}

k() {
        "${KUBECTL:-$BIN/kubectl}" --kubeconfig "$CP/admin.kubeconfig" "$@"
}

# What a component in $CP was told that it may not do.
forbidden() {
        grep -h 'forbidden: User' "$CP"/kube-*.log
}

# With sanitizers: what they have said so far, which is a failure.
no_complaints() {
        ! grep -hA 30 -E 'Sanitizer|runtime error:' "$CP"/*.log
}

_end() { # PID SECONDS
        kill "$1" 2>/dev/null || return 0
        WAIT=$2 wait_for _gone "$1" || kill -9 "$1" 2>/dev/null || :
}

control_plane_stop() { # FOLDER
        local name pid
        for pid in $(tac "$1/pids" 2>/dev/null); do
                _end "$pid" 5
        done
        rm -f "$1/pids"
        for name in kube-controller-manager kube-scheduler apiserver etcd; do
                [ -f "$1/$name.pid" ] || continue
                pid=$(cat "$1/$name.pid")
                _end "$pid" 10
                rm -f "$1/$name.pid"
        done
}
start_time() {
        local stat
        stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
        # shellcheck disable=SC2086 # fields
        set -- ${stat##*) }
        [ "$1" != Z ] && echo "${20}"
}
# Ended: also when its parent has not asked for its status yet.
_gone() { ! grep -qs '^State:.[^Z]' "/proc/$1/status"; }
