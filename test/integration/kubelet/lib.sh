# Shared by the kubelet's integration tests: etcd, kube-apiserver, a registry with the test images, and a kubelet as node
# n1 in a network namespace of its own. Everything is under $work and is gone after the test; what a test that was itself
# killed left behind, the next one removes. Deadlines are long, for a machine that is busy with other things: a wait
# that succeeds ends at once.
# shellcheck shell=bash
set -u
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
root=$(realpath "$here/../../..")
BUILD=${BUILD:-release}
bin=$root/build/$BUILD/bin
work=$(mktemp -d /tmp/coxswain-kubelet-test.XXXXXX)
id=${work##*.}
ns=cxk-$id
host_if=cxk$(echo "$id" | cut -c1-5)a
subnet=10.251.$((RANDOM % 250)).
pids=()
tests=0 failures=0
. "$root/test/lib/control-plane.sh"
base=$(free_port)
etcd_port=$base peer_port=$((base + 1)) api_port=$((base + 2)) registry_port=$((base + 3))
host_ip=${subnet}1 node_ip=${subnet}2
registry=$host_ip:$registry_port

ok() { # ok NAME STATUS
        tests=$((tests + 1))
        if [ "$2" -eq 0 ]; then
                echo "ok $tests - $1"
        else
                failures=$((failures + 1))
                echo "not ok $tests - $1"
        fi
}

# until_true SECONDS COMMAND...: waits until the command succeeds.
until_true() {
        local end=$(($(date +%s) + $1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ "$(date +%s)" -lt "$end" ] || return 1
                read -rt 0.1 <> <(:) || true
        done
}

stop() { # stop PID
        kill "$1" 2>/dev/null
        wait "$1" 2>/dev/null
}

# began PID: it belongs to this test and is ended with it, or by a later one.
began() { echo "$1 $(start_time "$1")" >>"$work/pids"; }

# clean_up FOLDER: ends and removes all of the test whose folder it is, from what is recorded there.
clean_up() {
        local work=$1 id=${1##*.} pid start mount
        kill_recorded() { # "PID START" lines
                while read -r pid start; do
                        [ -n "$start" ] && [ "$(start_time "$pid")" = "$start" ] && kill -9 "$pid" 2>/dev/null
                done
        }
        kill_recorded < <(tac "$work/pids" 2>/dev/null)
        kill_recorded < <(cat "$work"/kubelet/state/sandboxes/*/pause.pid 2>/dev/null)
        for pid in $(cat "$work"/kubelet/state/containers/*/conmon.pid 2>/dev/null); do
                grep -qsF "$work/" "/proc/$pid/cmdline" && kill -9 "$pid" 2>/dev/null
        done
        for pid in $(find /sys/fs/cgroup -path "*/cxk-$id/*/cgroup.procs" -exec cat {} + 2>/dev/null | sort -u); do
                kill -9 "$pid" 2>/dev/null
        done
        # What no record has: a tool in the making of a container, whose arguments have this folder's name
        for pid in $(grep -lsF "$work/kubelet/state" /proc/[0-9]*/cmdline | cut -d/ -f3); do
                [ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
        done
        while read -r mount; do umount -l "$mount" 2>/dev/null; done < <(awk -v p="$work/" 'index($5, p) == 1 {print $5}' /proc/self/mountinfo | sort -r)
        losetup -n -O NAME,BACK-FILE 2>/dev/null | awk -v p="$work/" 'index($2, p) == 1 {print $1}' | xargs -r -n1 losetup -d
        ip link del "cxk$(echo "$id" | cut -c1-5)a" 2>/dev/null
        ip netns del "cxk-$id" 2>/dev/null
        until_true 10 no_group "$id"
        if [ ! -e "$work/kept" ]; then rm -rf "$work"; fi
}
no_group() {
        find /sys/fs/cgroup -depth -type d -path "*/cxk-$1*" -exec rmdir {} + 2>/dev/null
        [ -z "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "cxk-$1")" ]
}

# Folders whose test is no more.
clean_up_earlier() {
        local folder pid start
        for folder in /tmp/coxswain-kubelet-test.*; do
                [ -O "$folder" ] && [ -f "$folder/owner" ] && [ ! -e "$folder/kept" ] || continue
                read -r pid start <"$folder/owner"
                [ "$(start_time "$pid")" = "$start" ] && continue
                echo "# removing what an earlier test left: $folder"
                clean_up "$folder"
        done
}

cleanup() {
        local pid
        if [ "$failures" -gt 0 ] && [ -n "${KEEP:-}" ]; then
                echo "# kept: $work"
                touch "$work/kept"
        fi
        if [ -n "${kubelet_pid:-}" ]; then kill -9 "$kubelet_pid" 2>/dev/null; fi
        for pid in "${pids[@]}"; do stop "$pid"; done
        clean_up "$work"
}

finish() {
        if grep -qsE 'Sanitizer|runtime error:' "$work"/*.log; then # of executables built with them
                ok "sanitizers find nothing" 1
                grep -hE -A25 'Sanitizer|runtime error:' "$work"/*.log | head -60 | sed 's/^/# /'
        fi
        echo "1..$tests"
        if [ "$failures" -gt 0 ] && [ -f "$work/kubelet.log" ]; then sed 's/^/# /' "$work/kubelet.log" | tail -80; fi
        cleanup
        trap - EXIT
        [ "$failures" -eq 0 ]
}
trap cleanup EXIT
echo "$$ $(start_time $$)" >"$work/owner"
clean_up_earlier

certificates() {
        local pki=$work/pki
        mkdir -p "$pki"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=ca \
                -keyout "$pki/ca.key" -out "$pki/ca.crt" 2>/dev/null
        local name subject
        while read -r name subject; do
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
                        -keyout "$pki/$name.key" -out "$pki/$name.csr" 2>/dev/null
                openssl x509 -req -in "$pki/$name.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 1 \
                        -extfile <(echo "subjectAltName=DNS:localhost,DNS:n1,IP:127.0.0.1,IP:$host_ip,IP:$node_ip") \
                        -out "$pki/$name.crt" 2>/dev/null
        done <<-END
		server /CN=server
		admin /O=system:masters/CN=admin
		kubelet /O=system:nodes/CN=system:node:n1
		apiserver-kubelet /O=system:masters/CN=apiserver-kubelet
		END
        openssl ecparam -genkey -name prime256v1 -noout -out "$pki/sa.key" 2>/dev/null
}

kubeconfig() { # kubeconfig NAME
        cat >"$work/$1.conf" <<-END
		apiVersion: v1
		kind: Config
		current-context: c
		contexts: [{name: c, context: {cluster: c, user: u}}]
		clusters: [{name: c, cluster: {server: "https://$host_ip:$api_port", certificate-authority: $work/pki/ca.crt}}]
		users: [{name: u, user: {client-certificate: $work/pki/$1.crt, client-key: $work/pki/$1.key}}]
		END
}

start_network() {
        ip netns add "$ns"
        ip link add "$host_if" type veth peer name eth0 netns "$ns"
        ip addr add "$host_ip/24" dev "$host_if"
        ip link set "$host_if" up
        ip netns exec "$ns" ip link set lo up
        ip netns exec "$ns" ip addr add "$node_ip/24" dev eth0
        ip netns exec "$ns" ip link set eth0 up
        ip netns exec "$ns" ip route add default via "$host_ip"
}

start_registry() {
        cat >"$work/registry.yml" <<-END
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $work/registry}}
		http: {addr: "$registry"}
		END
        docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
        pids+=($!)
        began $!
        until_true 60 curl -sf "http://$registry/v2/"
        "$root/test/images/build" "$work/images" "$registry"
        printf 'mirrors:\n  "%s": {endpoint: ["http://%s"]}\n' "$registry" "$registry" >"$work/registries.yaml"
}

start_apiserver() {
        local pki=$work/pki
        etcd --data-dir "$work/etcd" --listen-client-urls "https://127.0.0.1:$etcd_port" \
                --advertise-client-urls "https://127.0.0.1:$etcd_port" --listen-peer-urls "http://127.0.0.1:$peer_port" \
                --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" --initial-cluster "default=http://127.0.0.1:$peer_port" \
                --cert-file "$pki/server.crt" --key-file "$pki/server.key" --client-cert-auth --trusted-ca-file "$pki/ca.crt" \
                >"$work/etcd.log" 2>&1 &
        pids+=($!)
        began $!
        until_true 60 curl -sf --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" \
                "https://127.0.0.1:$etcd_port/health"
        "$bin/kube-apiserver" --bind-address 0.0.0.0 --secure-port "$api_port" --etcd-servers "https://127.0.0.1:$etcd_port" \
                --etcd-cafile "$pki/ca.crt" --etcd-certfile "$pki/admin.crt" --etcd-keyfile "$pki/admin.key" \
                --tls-cert-file "$pki/server.crt" --tls-private-key-file "$pki/server.key" --client-ca-file "$pki/ca.crt" \
                --service-account-key-file "$pki/sa.key" --service-account-signing-key-file "$pki/sa.key" \
                --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.96.0.0/16 \
                --kubelet-client-certificate "$pki/apiserver-kubelet.crt" --kubelet-client-key "$pki/apiserver-kubelet.key" \
                --authorization-mode Node,RBAC --allow-privileged >"$work/apiserver.log" 2>&1 &
        pids+=($!)
        began $!
        until_true 60 api GET /readyz
}

start_kubelet() {
        # shellcheck disable=SC2086 # more flags of a test
        nsenter --net="/run/netns/$ns" "$bin/kubelet" --root-dir "$work/kubelet" --cgroup-root "/cxk-$id" \
                --kubeconfig "$work/kubelet.conf" --hostname-override n1 --node-ip "$node_ip" --pod-cidr 10.250.1.0/24 \
                --cni-conf-dir "$work/nothing" --registry-config "$work/registries.yaml" --cluster-dns 10.96.0.10 \
                --client-ca-file "$work/pki/ca.crt" --tls-cert-file "$work/pki/server.crt" \
                --tls-private-key-file "$work/pki/server.key" --authentication-token-webhook --authorization-mode Webhook \
                --container-log-max-bytes 65536 --v 2 ${kubelet_flags:-} >>"$work/kubelet.log" 2>&1 &
        kubelet_pid=$!
        began "$kubelet_pid"
}

api() { # api METHOD PATH [BODY]: the body of a good answer
        local type=application/json
        [ "$1" = PATCH ] && type=application/merge-patch+json
        curl -s --fail-with-body --max-time 20 --cacert "$work/pki/ca.crt" --cert "$work/pki/admin.crt" --key "$work/pki/admin.key" \
                -X "$1" -H "Content-Type: $type" ${3:+--data-binary "$3"} "https://$host_ip:$api_port$2"
}
pod() { api GET "/api/v1/namespaces/default/pods/$1"; }
field() { # field POD JQ-like python expression on p
        pod "$1" 2>/dev/null | python3 -c "import json,sys
p = json.load(sys.stdin)
print($2)" 2>/dev/null
}
is() { # is POD EXPRESSION VALUE
        [ "$(field "$1" "$2")" = "$3" ]
}
in_ns() { nsenter --net="/run/netns/$ns" "$@"; }
node_curl() {
        in_ns curl -s --max-time 20 --cacert "$work/pki/ca.crt" --cert "$work/pki/admin.crt" --key "$work/pki/admin.key" "$@"
}

# leaks [POD-UID...]: what there is on this node (files, mounts, control groups, leases, interfaces, processes) that is not of
# these pods.
leaks() {
        local state=$work/kubelet/state keep='^$' uid file kept=0
        for uid in "$@"; do
                keep+="|$uid"
                for file in $(grep -lsF "$uid" "$state"/{sandboxes,containers}/*/{sandbox,container}.json); do
                        keep+="|$(basename "$(dirname "$file")")"
                        case $file in */sandboxes/*) kept=$((kept + 1)) ;; esac
                done
        done
        {
                for file in "$work"/kubelet/{,state/}{containers,sandboxes,pods,exits,runc}/*; do [ ! -e "$file" ] || echo "$file"; done
                for file in "$state"/cni/networks/cbr0/[0-9]*; do [ ! -e "$file" ] || echo "$file $(tr -d '\r\n' <"$file")"; done
                grep -F "$work/kubelet/" /proc/self/mountinfo | grep -v "$state "
                find /sys/fs/cgroup -type d -path "*/cxk-$id/*/pod*" 2>/dev/null
                for file in /proc/[0-9]*; do
                        grep -qsF "cxk-$id/" "$file/cgroup" && echo "process $file $(tr '\0' ' ' <"$file/cmdline") $(cat "$file/cgroup")" | tr '\n' ' ' && echo
                        case $(tr '\0' ' ' <"$file/cmdline" 2>/dev/null) in
                        *grep* | *"--root-dir $work/kubelet "*) ;;
                        *"$state/"*) echo "process $file: $(tr '\0' ' ' <"$file/cmdline")" ;;
                        esac
                done 2>/dev/null
        } | grep -vE "$keep"
        [ "$(in_ns ip -o link | grep -c veth)" -le "$kept" ] || in_ns ip -o link | grep veth
}
no_leaks() { [ -z "$(leaks "$@")" ]; }
nothing_left() { no_leaks; }

start_all() {
        certificates
        kubeconfig kubelet
        kubeconfig admin
        start_network
        start_registry
        start_apiserver
        api POST /api/v1/namespaces/default/serviceaccounts '{"metadata":{"name":"default"}}' >/dev/null
        api POST /api/v1/namespaces/default/configmaps "$(python3 -c 'import json, sys
print(json.dumps({"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": open(sys.argv[1]).read()}}))' "$work/pki/ca.crt")" >/dev/null
        start_kubelet
        until_true 60 api GET /api/v1/nodes/n1
}
