#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Announcers on two nodes, which are network namespaces on a bridge, and a neighbour who looks where addresses are. The
# control plane runs on the host; nodes are objects of the test.

load ../../lib/plane

NS=loadbalancer-system

setup_file() {
        export CP=$(mktemp -d) N=la$$ NET=198.18.$(($$ % 250)) NET6=fd00:9:$(($$ % 9999))
        ip link add $N type bridge
        ip addr add $NET.1/24 dev $N
        ip link set $N up
        local i
        for i in 1 2 3; do # two nodes and the neighbour
                ip netns add $N-$i
                ip link add $N-v$i type veth peer name eth0 netns $N-$i
                ip link set $N-v$i master $N up
                ip -n $N-$i link set lo up
                ip netns exec $N-$i sysctl -qw net.ipv6.conf.eth0.accept_dad=0
                ip -n $N-$i addr add $NET.$((10 + i))/24 dev eth0
                ip -n $N-$i addr add $NET6::$((10 + i))/64 dev eth0 nodad
                ip -n $N-$i link set eth0 up
        done
        control_plane_start "$CP" "$(free_port)" --bind-address 0.0.0.0
        sed "s#@BALANCERS@#$NET.128-$NET.140#" "$BATS_TEST_DIRNAME/../../../addons/loadbalancer/addon.yaml" |
                k apply -f -
        component_start "$CP" cloud-controller-manager --cloud-provider=bare --use-service-account-credentials
        kubeconfig_for "$CP" announcer system:loadbalancer-announcer
        sed -i "s#https://127.0.0.1:#https://$NET.1:#; s#certificate-authority:#tls-server-name: localhost, &#" "$CP/announcer.kubeconfig"
        for i in 1 2; do
                k create -f - <<EOF
apiVersion: v1
kind: Node
metadata: {name: n$i}
status: {addresses: [{type: InternalIP, address: $NET.1$i}], conditions: [{type: Ready, status: "True"}]}
EOF
                announcer_start $i
        done
}

announcer_start() {
        ip netns exec $N-$1 "$BIN/loadbalancer-announcer" --kubeconfig "$CP/announcer.kubeconfig" --node-name n$1 \
                >>"$CP/announcer-$1.log" 2>&1 3>&- &
        echo $! >"$CP/announcer-$1.pid"
}
announcer_kill() {
        kill -KILL "$(cat "$CP/announcer-$1.pid")"
        wait_for _gone "$(cat "$CP/announcer-$1.pid")"
}

teardown_file() {
        local i
        for i in cloud-controller-manager announcer-1 announcer-2; do _end "$(cat "$CP/$i.pid")" 10; done
        for i in 1 2 3; do ip netns del $N-$i; done
        ip link del $N
        plane_end
}
teardown() {
        [ -n "$BATS_TEST_COMPLETED" ] || tail -n 30 "$CP"/announcer-?.log
        k delete services --all >/dev/null
        k delete endpointslices --all >/dev/null
        k -n $NS delete lease lb-by-hand --ignore-not-found >/dev/null
}

# service [LINE of the spec]: makes the Service "web"; ADDRESS is what it gets. Cluster IPs are IPv4, so what a Service of
# IPv6 would get is written down by hand: ADDRESS6.
service() {
        k apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  ports: [{port: 80}]
  $1
EOF
        has_address() { ADDRESS=$(of service/web '{.status.loadBalancer.ingress[*].ip}') && [ -n "$ADDRESS" ]; }
        wait_for has_address
        ADDRESS6=$NET6::80
        k apply -f - <<EOF
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: lb-by-hand
  namespace: $NS
  labels: {loadbalancer.coxswain.dev/kind: address}
  annotations: {loadbalancer.coxswain.dev/address: "$ADDRESS6", loadbalancer.coxswain.dev/services: "[]"}
EOF
}
lease() { k -n $NS get leases -o json | jq -r --arg a "$1" '.items[] | select(.metadata.annotations["loadbalancer.coxswain.dev/address"] == $a) | .spec.holderIdentity // ""'; }
held_by() { [ "$(lease "$1")" = "n$2" ]; } # ADDRESS NODE
holder() { lease "$1" | tr -d n; }
is_held() { [ -n "$(lease "$1")" ]; }
mac_of() { ip netns exec $N-$1 cat /sys/class/net/eth0/address; }
# Where the neighbour finds an address; he asks when he does not know.
found() {
        ip netns exec $N-3 bash -c "echo >/dev/udp/$1/9" 2>/dev/null || :
        ip -n $N-3 neigh show "$1" | sed -n 's/.* lladdr \([^ ]*\) .*/\1/p'
}
found_at() { [ "$(found "$1")" = "$(mac_of "$2")" ]; } # ADDRESS NODE
known_at() { ip -n $N-3 neigh show "$1" | grep -q "lladdr $(mac_of "$2")"; } # without asking

@test "a neighbour finds both addresses where their holders are" {
        service
        wait_for is_held $ADDRESS
        wait_for is_held $ADDRESS6
        wait_for found_at $ADDRESS "$(holder $ADDRESS)"
        wait_for found_at $ADDRESS6 "$(holder $ADDRESS6)"
        # Who looks whether an address is free learns that it is not.
        ! ip netns exec $N-3 busybox arping -D -q -c 2 -I eth0 $ADDRESS
        # An address of the pool that nobody has is found nowhere.
        ip netns exec $N-3 busybox arping -D -q -c 1 -I eth0 $NET.140
        k delete service web
        k -n $NS delete lease lb-by-hand
        wait_for is "" k -n $NS get leases -l loadbalancer.coxswain.dev/kind=address -o name
        free() { ip netns exec $N-3 busybox arping -D -q -c 1 -I eth0 $ADDRESS; }
        wait_for free
}

@test "when a holder dies another takes over, and neighbours are told" {
        local first other start
        service
        wait_for is_held $ADDRESS
        first=$(holder $ADDRESS)
        other=$((3 - first))
        wait_for found_at $ADDRESS $first
        start=${EPOCHREALTIME/./}
        announcer_kill $first
        wait_for known_at $ADDRESS $other
        echo "# takeover: $(((${EPOCHREALTIME/./} - start) / 1000)) ms" >&3
        wait_for found_at $ADDRESS6 $other
        announcer_start $first # and it does not want it back
        wait_for grep -q "Speaking on an interface" "$CP/announcer-$first.log"
        held_by $ADDRESS $other
        # One that is asked to end gives up what it has.
        kill "$(cat "$CP/announcer-$other.pid")"
        wait_for known_at $ADDRESS $first
        announcer_start $other
}

@test "a node that must not have addresses gives them up" {
        service
        wait_for is_held $ADDRESS
        local first=$(holder $ADDRESS)
        wait_for found_at $ADDRESS $first
        k label node n$first node.kubernetes.io/exclude-from-external-load-balancers=
        wait_for known_at $ADDRESS $((3 - first))
        k label node n$first node.kubernetes.io/exclude-from-external-load-balancers-
}

slice() { # NODE: where the endpoint of the Service is
        k apply -f - <<EOF
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [10.1.1.1], nodeName: $1, conditions: {ready: true}}]
EOF
}

@test "with externalTrafficPolicy Local an address goes where the endpoints are" {
        service 'externalTrafficPolicy: Local'
        ! is_held $ADDRESS
        slice n2
        wait_for held_by $ADDRESS 2
        wait_for found_at $ADDRESS 2
        slice n1
        wait_for known_at $ADDRESS 1
        slice elsewhere
        wait_for is "" lease $ADDRESS
}

@test "while the API server is away its addresses are answered for" {
        service
        wait_for is_held $ADDRESS
        local first=$(holder $ADDRESS)
        wait_for found_at $ADDRESS $first
        kill -STOP "$(cat "$CP/apiserver.pid")"
        # For longer than a holder counts as alive that does not renew.
        ip netns exec $N-3 busybox arping -c 4 -I eth0 $ADDRESS >"$CP/heard" || :
        kill -CONT "$(cat "$CP/apiserver.pid")"
        [ "$(grep -c "$(mac_of $first)" "$CP/heard")" -ge 3 ]
        wait_for found_at $ADDRESS "$(holder $ADDRESS)"
}

@test "a holder that is cut off from the API server, but not from the neighbours, gives way" {
        service
        wait_for is_held $ADDRESS
        local first=$(holder $ADDRESS) other
        other=$((3 - first))
        wait_for found_at $ADDRESS $first
        ip netns exec $N-$first iptables -A OUTPUT -p tcp -d $NET.1 -j DROP
        wait_for held_by $ADDRESS $other
        wait_for grep -q "Announcing an address no more.*$ADDRESS\"" "$CP/announcer-$first.log"
        wait_for found_at $ADDRESS $other
        ip netns exec $N-3 busybox arping -c 2 -I eth0 $ADDRESS >"$CP/heard" || :
        ! grep "$(mac_of $first)" "$CP/heard"
        ip netns exec $N-$first iptables -F OUTPUT
}

@test "nobody was told that it may not do what it does" {
        ! grep 'forbidden: User' "$CP"/announcer-?.log "$CP/cloud-controller-manager.log"
}
