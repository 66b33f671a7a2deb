#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a service manager hears of real components: that they are ready when they serve and not before, that they live, that
# they stop.

load ../../lib/plane

setup_file() {
        export CP=$(mktemp -d)
}
teardown_file() {
        local pid
        for pid in $(cat "$CP"/*.hears 2>/dev/null); do kill "$pid" 2>/dev/null || :; done
        plane_end
}

# told NAME COMMAND...: runs it with a socket of its own, whose messages are in $CP/NAME.said
told() {
        local name=$1
        shift
        rm -f "$CP/$name.socket"
        socat -u "UNIX-RECV:$CP/$name.socket" "CREATE:$CP/$name.said" 3>&- &
        echo $! >"$CP/$name.hears"
        wait_for test -S "$CP/$name.socket"
        NOTIFY_SOCKET=$CP/$name.socket WATCHDOG_USEC=1000000 "$@"
}
said() { grep -q "$2" "$CP/$1.said"; }        # NAME WORDS
silent() { [ ! -s "$CP/$1.said" ]; }          # NAME
lives() { [ "$(grep -o WATCHDOG=1 "$CP/$1.said" | wc -l)" -ge 3 ]; } # NAME
etcd_accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$(($(cat "$CP/port") + 1))"); }
asks_etcd() { [ -n "$(ss -Htn state established "dport = :$(($1 + 1))")" ]; }
ends() { # NAME: by SIGTERM, and says so
        kill "$(cat "$CP/$1.pid")"
        wait_for said "$1" STOPPING=1
        wait_for _gone "$(cat "$CP/$1.pid")"
}

@test "an API server is ready once /readyz says so, not while its etcd is away" {
        local port
        port=$(free_port)
        control_plane_prepare "$CP" "$port"
        etcd_start "$CP" "$port"
        wait_for etcd_accepts
        kill -STOP "$(cat "$CP/etcd.pid")"
        told apiserver apiserver_start "$CP" "$port"
        wait_for asks_etcd "$port"
        silent apiserver
        kill -CONT "$(cat "$CP/etcd.pid")"
        wait_for said apiserver READY=1
        [ "$(curl -sf --cacert "$CP/ca.crt" "https://127.0.0.1:$port/readyz")" = ok ]
        wait_for lives apiserver
}

@test "a component is ready once its informers have filled; a candidate once it has seen the lease" {
        local name
        kubeconfig_for "$CP" kube-scheduler system:kube-scheduler
        kubeconfig_for "$CP" stranger nobody
        cp "$CP/stranger.kubeconfig" "$CP/cluster-dns.kubeconfig" # may list nothing: never ready
        told kube-scheduler component_start "$CP" kube-scheduler
        told cluster-dns start_dns
        wait_for said kube-scheduler READY=1
        wait_for lives kube-scheduler
        for name in first second; do
                cp "$CP/kube-scheduler.kubeconfig" "$CP/$name.kubeconfig"
                told $name start_candidate $name
                wait_for said $name READY=1
                wait_for lives $name
        done
        silent cluster-dns
        for name in first second kube-scheduler apiserver; do ends $name; done
        kill "$(cat "$CP/cluster-dns.pid")"
}
start_dns() {
        "$BIN/cluster-dns" --kubeconfig "$CP/cluster-dns.kubeconfig" --secure-port 0 --address 127.0.0.1 --port "$(free_port)" \
                >>"$CP/cluster-dns.log" 2>&1 3>&- &
        echo $! >"$CP/cluster-dns.pid"
        echo $! >>"$CP/pids"
}
start_candidate() {
        "$BIN/kube-scheduler" --kubeconfig "$CP/kube-scheduler.kubeconfig" --secure-port 0 >>"$CP/$1.log" 2>&1 3>&- &
        echo $! >"$CP/$1.pid"
        echo $! >>"$CP/pids"
}
