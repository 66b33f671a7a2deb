#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kube-proxy in network namespaces of its own: a node (with the proxy and a bridge), two pods on it with real web servers,
# and an outsider. The control plane is real and runs on the node; the endpoints are written by the test.

setup_file() {
        export CP=$(mktemp -d) NS=kp$$
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        . "$BATS_TEST_DIRNAME/inside.bash"
        make_network
        control_plane_start "$CP" "$(free_port)"
        kubeconfig_for "$CP" kube-proxy system:kube-proxy
        start_proxy
}

make_network() {
        for name in node a b out; do
                ip netns add $NS-$name
                ip -n $NS-$name link set lo up
        done
        ip -n $NS-node link add br0 type bridge
        ip -n $NS-node addr add 10.200.0.1/24 dev br0
        ip -n $NS-node link set br0 up
        local i=1 name
        for name in a b; do
                i=$((i + 1))
                ip link add $NS-v$name netns $NS-node type veth peer name eth0 netns $NS-$name
                ip -n $NS-node link set $NS-v$name master br0 up
                ip netns exec $NS-node sh -c "echo 1 >/sys/class/net/$NS-v$name/brport/hairpin_mode"
                ip -n $NS-$name addr add 10.200.0.$i/24 dev eth0
                ip -n $NS-$name link set eth0 up
                ip -n $NS-$name route add default via 10.200.0.1
                mkdir -p "$CP/www-$name"
                echo $name >"$CP/www-$name/index.html"
                mkdir -p "$CP/www-$name/cgi-bin"
                printf '#!/bin/sh\necho; echo "$REMOTE_ADDR"\n' >"$CP/www-$name/cgi-bin/who"
                chmod +x "$CP/www-$name/cgi-bin/who"
                ip netns exec $NS-$name busybox httpd -f -p 10.200.0.$i:8080 -h "$CP/www-$name" 3>&- &
                echo $! >>"$CP/pids"
        done
        # The node's default route leads back to the outsider. The kernel would send redirects for what it forwards that way,
        # and count them against its limit of ICMP answers to one peer, so that none is left to refuse a connection.
        ip netns exec $NS-node sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
        ip link add eth1 netns $NS-node type veth peer name eth0 netns $NS-out
        ip -n $NS-node addr add 10.201.0.1/24 dev eth1
        ip -n $NS-node link set eth1 up
        ip -n $NS-out addr add 10.201.0.2/24 dev eth0
        ip -n $NS-out link set eth0 up
        ip -n $NS-out route add default via 10.201.0.1
        ip -n $NS-node route add default via 10.201.0.2
}

start_proxy() {
        ip netns exec $NS-node "$REAL_BIN/kube-proxy" --kubeconfig "$CP/kube-proxy.kubeconfig" --hostname-override node \
                --cluster-cidr 10.200.0.0/16 --iptables-sync-period 4s --v 2 >>"$CP/kube-proxy.log" 2>&1 3>&- &
        echo $! | tee "$CP/proxy.pid" >>"$CP/pids"
        wait_for node curl -sf http://127.0.0.1:10256/healthz
}

teardown_file() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        control_plane_stop "$CP"
        for name in node a b out; do ip netns del $NS-$name; done
        rm -rf "$CP"
}

setup() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        . "$BATS_TEST_DIRNAME/inside.bash"
}

teardown() {
        k delete services --all >/dev/null 2>&1
        k delete endpointslices --all >/dev/null 2>&1
}

node() { ip netns exec $NS-node "$@"; }
get() { ip netns exec $NS-$1 curl -s --max-time "${SECONDS_AT_MOST:-20}" "${@:2}"; } # get NAMESPACE URL
no_answer() { ! SECONDS_AT_MOST=2 get "$@"; }

# service NAME IP [further lines of the spec]
service() {
        k apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: $1}
spec:
  clusterIP: $2
  ports: [{name: http, port: 80, targetPort: 8080${PORT_MORE:-}}]
$(printf '%s\n' "${@:3}" | sed 's/^/  /')
EOF
}

# slice SERVICE ADDRESS[,NODE[,CONDITIONS]]...
slice() {
        local name=$1 item ip where conditions
        shift
        {
                printf 'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n'
                printf 'metadata: {name: %s-1, labels: {kubernetes.io/service-name: %s}}\n' $name $name
                printf 'ports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n'
                [ $# -gt 0 ] || printf '  []\n'
                for item; do
                        IFS=, read -r ip where conditions <<<"$item"
                        printf -- '- {addresses: [%s], nodeName: %s, conditions: {%s}}\n' $ip ${where:-node} \
                                "${conditions:-ready: true}"
                done
        } | k apply -f -
}

answers() { [ "$(get "${@:2}")" = "$1" ]; } # answers TEXT NAMESPACE URL
always() { # always TEXT NAMESPACE URL: ten requests get this answer
        local _
        for _ in $(seq 10); do answers "$@" || return 1; done
}
both() { # both NAMESPACE URL: within forty requests both pods answer
        local seen=$(for _ in $(seq 40); do get "$@"; done | sort -u | tr -d '\n')
        [ "$seen" = ab ]
}
refused() {
        SECONDS_AT_MOST=2 get "$@" -v -o /dev/null 2>&1 | grep -q 'Connection refused'
}
chains() { node iptables-save -t nat | grep -c "^:KUBE-$1-" || true; }

@test "a cluster IP leads to its endpoints, from node and pods, and from outside with the node's address" {
        service web 10.96.10.1
        slice web 10.200.0.2 10.200.0.3
        wait_for both node http://10.96.10.1/
        both a http://10.96.10.1/
        both out http://10.96.10.1/
        slice web 10.200.0.3
        wait_for answers 10.200.0.2 a http://10.96.10.1/cgi-bin/who # pods keep their address
        [ "$(get out http://10.96.10.1/cgi-bin/who)" = 10.200.0.1 ]
}

@test "a pod reaches itself through its service" {
        service self 10.96.10.2
        slice self 10.200.0.2
        wait_for answers a a http://10.96.10.2/
        [ "$(get a http://10.96.10.2/cgi-bin/who)" = 10.200.0.1 ]
}

@test "no endpoints: refused at once, and served as soon as there is one" {
        service empty 10.96.10.3
        wait_for refused node http://10.96.10.3/
        wait_for refused a http://10.96.10.3/
        slice empty 10.200.0.2
        wait_for answers a a http://10.96.10.3/
        slice empty
        wait_for refused a http://10.96.10.3/
}

@test "node ports, also on localhost" {
        PORT_MORE=", nodePort: 30080" service np 10.96.10.4 "type: NodePort"
        slice np 10.200.0.2
        wait_for answers a out http://10.201.0.1:30080/
        [ "$(get node http://127.0.0.1:30080/)" = a ]
        [ "$(get b http://10.201.0.1:30080/)" = a ]
        slice np
        wait_for refused out http://10.201.0.1:30080/
}

@test "external traffic policy Local keeps the client's address, and its health port tells" {
        PORT_MORE=", nodePort: 30081" service lo 10.96.10.5 "type: LoadBalancer" "externalTrafficPolicy: Local" "healthCheckNodePort: 31081"
        slice lo 10.200.0.2 10.200.9.9,elsewhere
        wait_for answers 10.201.0.2 out http://10.201.0.1:30081/cgi-bin/who
        always a out http://10.201.0.1:30081/
        wait_for get node -f http://127.0.0.1:31081/
        get node http://127.0.0.1:31081/ | grep -q '"localEndpoints": *1'
        slice lo 10.200.9.9,elsewhere
        no_local() { [ "$(get node -o /dev/null -w '%{http_code}' http://127.0.0.1:31081/)" = 503 ]; }
        wait_for no_local
        no_answer out http://10.201.0.1:30081/
}

@test "balancer addresses, with source ranges; external IPs" {
        service lb 10.96.10.6 "type: LoadBalancer" "externalIPs: [10.202.0.9]"
        slice lb 10.200.0.3
        k patch service lb --subresource=status --type=merge -p '{"status":{"loadBalancer":{"ingress":[{"ip":"10.202.0.1"}]}}}'
        wait_for answers b out http://10.202.0.1/
        wait_for answers b out http://10.202.0.9/
        k patch service lb --type=merge -p '{"spec":{"loadBalancerSourceRanges":["10.7.0.0/16"]}}'
        wait_for no_answer out http://10.202.0.1/
        k patch service lb --type=merge -p '{"spec":{"loadBalancerSourceRanges":["10.201.0.0/16"]}}'
        wait_for answers b out http://10.202.0.1/
}

@test "internal traffic policy Local: the node's own endpoints or none" {
        service inner 10.96.10.13 "internalTrafficPolicy: Local"
        slice inner 10.200.0.2 10.200.0.3,elsewhere
        wait_for answers a b http://10.96.10.13/
        always a b http://10.96.10.13/
        slice inner 10.200.0.3,elsewhere
        wait_for no_answer b http://10.96.10.13/
}

@test "an endpoint in the node's zone is preferred when all have hints" {
        k apply -f - <<<'{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node", "labels": {"topology.kubernetes.io/zone": "z1"}}}'
        service zoned 10.96.10.14
        k apply -f - <<EOF
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: zoned-1, labels: {kubernetes.io/service-name: zoned}}
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.200.0.2], zone: z1, hints: {forZones: [{name: z1}]}}
- {addresses: [10.200.0.3], zone: z2, hints: {forZones: [{name: z2}]}}
EOF
        wait_for always a out http://10.96.10.14/
        k delete node node
        wait_for both out http://10.96.10.14/
}

@test "tables that somebody flushes are written again" {
        service flushed 10.96.10.15
        slice flushed 10.200.0.2
        wait_for answers a out http://10.96.10.15/
        node iptables -t nat -F
        node iptables -t nat -X
        wait_for answers a out http://10.96.10.15/
}

@test "no endpoints: refused on every kind of address" {
        PORT_MORE=", nodePort: 30082" service none 10.96.10.16 "type: LoadBalancer" "externalIPs: [10.202.0.10]"
        k patch service none --subresource=status --type=merge -p '{"status":{"loadBalancer":{"ingress":[{"ip":"10.202.0.11"}]}}}'
        wait_for refused node http://10.96.10.16/
        for url in 10.96.10.16 10.202.0.10 10.202.0.11 10.201.0.1:30082; do wait_for refused out http://$url/; done
}

written() { node curl -s http://127.0.0.1:10249/metrics | awk '/^kubeproxy_sync_proxy_rules_iptables_last/ {print $2}'; }

@test "with 1,000 services a change of endpoints writes a few rules" {
        for i in $(seq 1000); do
                printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: many-%s}\nspec: {clusterIP: 10.96.%s.%s, ports: [{name: http, port: 80}]}\n' $i $((20 + i / 200)) $((1 + i % 200))
                printf -- '---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata: {name: many-%s-1, labels: {kubernetes.io/service-name: many-%s}}\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.200.0.2]}, {addresses: [10.200.9.9]}]\n' $i $i
        done >"$CP/many.yaml"
        k create -f "$CP/many.yaml" >/dev/null
        all_there() { [ "$(chains SVC)" -ge 1000 ]; }
        wait_for all_there
        # once all 1,000 are written, a change by itself writes a few; a first one may have come with the last of them
        settled() {
                slice many-500 10.200.0.2 10.200.0.3 && both out http://10.96.22.101/ && [ "$(written)" -lt 10 ] ||
                        { slice many-500 10.200.0.2 && false; }
        }
        wait_for settled
        for i in 1 2 3 4 5; do
                slice many-500 10.200.0.3
                wait_for answers b out http://10.96.22.101/
                [ "$(written)" -lt 10 ]
                slice many-500 10.200.0.2
                wait_for answers a out http://10.96.22.101/
        done
}

@test "session affinity keeps a client with its pod" {
        service sticky 10.96.10.7 "sessionAffinity: ClientIP"
        slice sticky 10.200.0.2 10.200.0.3
        wait_for get out -f http://10.96.10.7/
        [ "$(for _ in $(seq 20); do get out http://10.96.10.7/; done | sort -u | wc -l)" = 1 ]
}

@test "endpoints that terminate serve when there is no other" {
        service drain 10.96.10.8
        slice drain "10.200.0.2,node,ready: false, serving: true, terminating: true" 10.200.0.3
        wait_for answers b node http://10.96.10.8/
        always b node http://10.96.10.8/
        slice drain "10.200.0.2,node,ready: false, serving: true, terminating: true"
        wait_for answers a node http://10.96.10.8/
}

# udp_slice ADDRESS...
udp_slice() {
        local ip
        {
                printf 'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n'
                printf 'metadata: {name: dns-1, labels: {kubernetes.io/service-name: dns}}\n'
                printf 'ports: [{name: dns, port: 5353, protocol: UDP}]\nendpoints:\n'
                for ip; do printf -- '- {addresses: [%s], conditions: {ready: true}}\n' "$ip"; done
        } | k apply -f -
}

tracked() { node conntrack -L -p udp --orig-dst 10.96.10.12 2>/dev/null | grep -q "src=$1 "; }

@test "UDP clients leave an endpoint that is gone" {
        k apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: dns}
spec: {clusterIP: 10.96.10.12, ports: [{name: dns, port: 53, protocol: UDP}]}
EOF
        send() { ip netns exec $NS-out bash -c 'echo x >/dev/udp/10.96.10.12/53'; }
        led_to() { send && tracked "$1"; }
        udp_slice 10.200.0.2
        wait_for led_to 10.200.0.2
        udp_slice 10.200.0.3
        left() { ! tracked 10.200.0.2; }
        wait_for left
        wait_for led_to 10.200.0.3
}

@test "a TCP client that an endpoint never answered gets to another when that is gone" {
        service silent 10.96.10.13
        ip -n $NS-node neigh replace 10.200.0.99 lladdr 02:00:00:00:00:99 dev br0 nud permanent # as of a pod that has just died
        slice silent 10.200.0.99
        waits() { node conntrack -L -p tcp --orig-dst 10.96.10.13 2>/dev/null | grep -q "SYN_SENT.*src=10.200.0.99 "; }
        begins() { (ip netns exec $NS-out curl -s --max-time 60 http://10.96.10.13/ >"$CP/late" 2>&1 &); wait_for waits; }
        leads() { node iptables-save -t nat | grep -q -- '--to-destination 10.200.0.99:'; }
        wait_for leads
        begins
        slice silent 10.200.0.2
        wait_for grep -qx a "$CP/late"
}

@test "no request is lost while endpoints change" {
        service roll 10.96.10.9
        slice roll 10.200.0.2 10.200.0.3
        wait_for both out http://10.96.10.9/
        (for _ in $(seq 300); do get out -f http://10.96.10.9/ || echo lost; done >"$CP/load") &
        local load=$!
        while kill -0 $load 2>/dev/null; do
                slice roll 10.200.0.2
                slice roll 10.200.0.3
                slice roll 10.200.0.2 10.200.0.3
        done
        ! grep -q lost "$CP/load" || false
        [ "$(wc -l <"$CP/load")" = 300 ]
}

@test "what is deleted leaves no chain behind; flushed and left-over rules are repaired; cleanup removes all" {
        service gone 10.96.10.10
        slice gone 10.200.0.2
        wait_for answers a node http://10.96.10.10/
        k delete service gone
        # The service kubernetes, which the teardown has deleted, comes back within seconds.
        own() { node iptables-save -t nat | grep -c -- '^-A KUBE-SEP-.*"default/kubernetes:.*-j DNAT' || true; }
        none() { [ "$(chains SEP)" = "$(own)" ] && ! node iptables-save -t nat | grep -q default/gone; }
        wait_for none
        kill "$(cat "$CP/proxy.pid")"
        service again 10.96.10.11
        slice again 10.200.0.2
        node iptables -t nat -N KUBE-SVC-OOOOOOOOOOOOOOOO
        node iptables -t nat -F KUBE-SERVICES
        start_proxy
        wait_for answers a node http://10.96.10.11/
        ! node iptables -t nat -S KUBE-SVC-OOOOOOOOOOOOOOOO 2>/dev/null || false
        [ "$(node iptables-save -t nat | grep -c -- '-A PREROUTING.*-j KUBE-SERVICES')" = 1 ]
        kill "$(cat "$CP/proxy.pid")"
        node "$REAL_BIN/kube-proxy" --cleanup
        ! node iptables-save | grep -q KUBE || false
        start_proxy
}
