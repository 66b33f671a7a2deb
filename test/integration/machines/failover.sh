#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three API servers on one etcd, and a client that knows all of them: a server that is gone, or that nothing comes back from,
# is left for the next. In a network of its own, so that packets may be dropped. The client's figures are printed.
set -u
if [ -z "${IN_NETWORK:-}" ]; then exec env IN_NETWORK=1 unshare -n "$0" "$@"; fi
cd "$(dirname "$0")/../../.."
. test/lib/tap.sh
. test/lib/control-plane.sh
variant=$(basename "$(dirname "$BIN")")
make -s BUILD="$variant" "build/$variant/bench/failover" || exit 1
CP=$(mktemp -d /tmp/coxswain-failover.XXXXXX)
trap 'control_plane_stop "$CP"; rm -rf "$CP"' EXIT
ip link set lo up

server_start() { # NUMBER: the first is that of control_plane_start
        mv "$CP/apiserver.pid" "$CP/kept"
        apiserver_start "$CP" "${ports[$1]}"
        cp "$CP/apiserver.pid" "$CP/server-$1.pid"
        cat "$CP/apiserver.pid" >>"$CP/pids"
        mv "$CP/kept" "$CP/apiserver.pid"
        wait_for curl -sf --cacert "$CP/ca.crt" "https://127.0.0.1:${ports[$1]}/readyz"
}
server_kill() { # NUMBER
        disown -a
        kill -9 "$(cat "$CP/server-$1.pid")"
        wait_for _gone "$(cat "$CP/server-$1.pid")"
}
network() { # -A|-D NUMBER: nothing goes to its port, nor comes from it
        iptables "$1" INPUT -p tcp --dport "${ports[$2]}" -j DROP
        iptables "$1" INPUT -p tcp --sport "${ports[$2]}" -j DROP
}
# The client's kubeconfig: the first server as all clients know it, the others as the extension that ours know.
knows() { # PORT...
        local others
        others=$(printf '"https://127.0.0.1:%s", ' "${@:2}")
        sed "s|cluster: {server: [^,]*,|cluster: {extensions: [{name: coxswain/servers, extension: {servers: [${others%, }]}}], server: \"https://127.0.0.1:$1\",|" \
                "$CP/admin.kubeconfig" >"$CP/servers.kubeconfig"
}
client_start() { # NAME
        "build/$variant/bench/failover" "$CP/servers.kubeconfig" "$1" >"$CP/$1.out" 2>"$CP/$1.log" 3>&- &
        echo $! >"$CP/$1.pid"
        wait_for grep -q ready "$CP/$1.out"
        goes_on "$1"
}
written() { k --server "https://127.0.0.1:${ports[3]}" get configmap "$1" -o jsonpath='{.data.n}'; }
further() { [ "$(written "$1")" -gt "$2" ]; }
goes_on() { wait_for further "$1" "$(($(written "$1") + 20))"; } # NAME
client_end() {                                                   # NAME
        local pid
        pid=$(cat "$CP/$1.pid")
        kill "$pid"
        wait_for _gone "$pid"
        sed "s/^/# $1: /" "$CP/$1.out"
}
value() { awk -v what="$2" -v at="$3" '$1 == what {print $at}' "$CP/$1.out"; } # NAME WHAT FIELD
all_went_well() {                                                           # NAME: but for a write that was on its way
        cat "$CP/$1.out"
        equals "$(value "$1" reads 4)" 0 && [ "$(value "$1" writes 4)" -le 1 ] && [ "$(value "$1" events 2)" -ge 20 ] &&
                equals "$(value "$1" at 2)" "https://127.0.0.1:${ports[3]}"
}

# loses NAME NUMBER COMMAND...: a client's first server, which is that one, is taken away by COMMAND NUMBER
loses() {
        knows "${ports[$2]}" "${ports[3]}"
        client_start "$1"
        "${@:3}" "$2"
        goes_on "$1"
        client_end "$1"
}

control_plane_start "$CP" "$(free_port)" || exit 1
ports=(0 "$(cat "$CP/port")")
cp "$CP/apiserver.pid" "$CP/server-1.pid"
for n in 2 3; do
        ports+=($((ports[1] + 10 * n)))
        server_start $n
done

loses killed 1 server_kill
ok "a server that was killed: the next is asked" all_went_well killed
server_start 1
loses cut 1 network -A
ok "a server that nothing comes back from: the next is asked" all_went_well cut
network -D 1

knows "${ports[1]}" "${ports[2]}" "${ports[3]}"
client_start twice
network -A 1
network -A 2
goes_on twice
client_end twice
for n in 1 2; do network -D $n; done
ok "two servers that nothing comes back from: the third is asked" all_went_well twice

# What has just begun, with the network already cut, has no connection to lose.
network -A 1
knows "${ports[1]}" "${ports[3]}"
client_start late
client_end late
network -D 1
ok "a client that begins while its first server cannot be reached" all_went_well late

knows "${ports[3]}" "${ports[1]}"
client_start back
server_kill 3
wait_for curl -sf --cacert "$CP/ca.crt" "https://127.0.0.1:${ports[1]}/readyz"
server_start 3
goes_on back
server_kill 1
goes_on back
client_end back
ok "and the first again, once the second is lost" all_went_well back

wrong_extension() {
        sed 's|servers: \[[^]]*\]|servers: 7|' "$CP/servers.kubeconfig" >"$CP/wrong.kubeconfig"
        k --kubeconfig "$CP/wrong.kubeconfig" get nodes 2>&1 | grep 'coxswain/servers of a cluster: servers must be a list'
}
ok "an extension that is none is refused by its name" wrong_extension
extension_is_kept() {
        k --kubeconfig "$CP/servers.kubeconfig" config set-context test --namespace other &&
                grep -q coxswain/servers "$CP/servers.kubeconfig"
}
ok "kubectl keeps the extension" extension_is_kept
tap_end
