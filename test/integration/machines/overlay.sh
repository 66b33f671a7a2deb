#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three nodes in two subnets, and a router between them that drops what it does not know: pods of other nodes are reached directly
# on the same link and by VXLAN behind the router. Machines are network namespaces; an address of the podCIDR on each stands for
# its pods.
#
#     a 10.1.0.2, b 10.1.0.3 ── 10.1.0.1 router 10.2.0.1 ── c 10.2.0.2
set -u
if [ -z "${IN_NETWORK:-}" ]; then exec env IN_NETWORK=1 unshare -n -m "$0" "$@"; fi
cd "$(dirname "$0")/../../.."
. test/lib/tap.sh
. test/lib/control-plane.sh
CP=$(mktemp -d /tmp/coxswain-overlay.XXXXXX)
group=cxo-${CP##*.}
declare -A address=([a]=10.1.0.2 [b]=10.1.0.3 [c]=10.2.0.2) pods=([a]=10.244.1 [b]=10.244.2 [c]=10.244.3)
TAP_ON_FAILURE=show
show() { for n in a b c; do in_node $n ip route; in_node $n ip -d neigh show dev cx-vxlan; in_node $n bridge fdb show dev cx-vxlan; tail -n 5 "$CP/kubelet-$n.log"; done; }
finish() {
        local n folder
        for n in a b c; do _end "$(cat "$CP/kubelet-$n.pid")" 10; done
        control_plane_stop "$CP"
        for n in a b c; do umount -R "$CP/$n" 2>/dev/null; done
        for folder in $(find /sys/fs/cgroup -depth -type d -path "*/$group*"); do rmdir "$folder"; done
        rm -rf "$CP"
}
trap finish EXIT
mount -t tmpfs none /run/netns 2>/dev/null || { mkdir -p /run/netns && mount -t tmpfs none /run/netns; }
in_node() { ip netns exec "$1" "${@:2}"; }

# This namespace is the router, and has the control plane.
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 0 2>/dev/null >/proc/sys/net/bridge/bridge-nf-call-iptables # a bridge is a switch here
for n in 1 2; do
        ip link add "net$n" type bridge
        ip addr add "10.$n.0.1/24" dev "net$n"
        ip link set "net$n" up
done
iptables -A FORWARD -s 10.244.0.0/16 -j DROP
iptables -A FORWARD -d 10.244.0.0/16 -j DROP
for n in a b c; do
        net=${address[$n]#10.} net=${net%%.*}
        ip netns add $n
        ip link add "to-$n" type veth peer name eth0 netns $n
        ip link set "to-$n" master "net$net" up
        in_node $n ip link set lo up
        in_node $n ip addr add "${address[$n]}/24" dev eth0
        in_node $n ip link set eth0 up
        in_node $n ip route add default via "10.$net.0.1"
        in_node $n ip link add pods type bridge
        in_node $n ip addr add "${pods[$n]}.5/32" dev pods
        in_node $n ip link set pods up
done

port=$(free_port)
control_plane_prepare "$CP" "$port"
_pki_cert "$CP" server /CN=server serverAuth,clientAuth IP:127.0.0.1,IP:10.1.0.1,IP:10.2.0.1
etcd_start "$CP" "$port"
apiserver_start "$CP" "$port" --bind-address 0.0.0.0
wait_for apiserver_ready "$CP" || exit 1

kubelet_start() { # NODE; not by in_node, whose process would be a shell
        ip netns exec "$1" "$BIN/kubelet" --root-dir "$CP/$1" --kubeconfig "$CP/$1.kubeconfig" --cgroup-root "/$group-$1" --hostname-override "$1" \
                --node-ip "${address[$1]}" --healthz-port 0 --pod-network-overlay vxlan --v 2 >>"$CP/kubelet-$1.log" 2>&1 3>&- &
        echo $! >"$CP/kubelet-$1.pid"
}
for n in a b c; do
        kubeconfig_for "$CP" $n system:node:$n system:nodes
        sed -i "s/127.0.0.1/${address[$n]%.*}.1/" "$CP/$n.kubeconfig"
        kubelet_start $n
done
for n in a b c; do
        wait_for k get node $n
        k patch node $n --type merge -p "{\"spec\":{\"podCIDR\":\"${pods[$n]}.0/24\",\"podCIDRs\":[\"${pods[$n]}.0/24\"]}}" >/dev/null
done

reaches() { in_node "$1" busybox ping -c 1 -W 5 -I "${pods[$1]}.5" "${pods[$2]}.5"; } # FROM TO
# datagram FROM TO BYTES: one that must not be cut into pieces, and whose size comes back
datagram() {
        in_node "$1" python3 - "${pods[$1]}.5" "${pods[$2]}.5" "$3" <<'PY'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: IP_PMTUDISC_DO
s.bind((sys.argv[1], 0))
s.settimeout(5)
s.sendto(b"x" * int(sys.argv[3]), (sys.argv[2], 7000))
assert s.recv(100).decode() == sys.argv[3]
PY
}
listen() { # NODE: answers each datagram with its size
        in_node "$1" python3 - "${pods[$1]}.5" <<'PY' 3>&- &
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7000))
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(str(len(data)).encode(), peer)
PY
        echo $! >>"$CP/pids"
}
route_of() { in_node "$1" ip route get "${pods[$2]}.5"; }                               # FROM TO
direct() { until_true 60 reaches a b && route_of a b | grep -q "via ${address[b]} dev eth0"; }
ok "on the same link the way is direct" direct
over_vxlan() {
        until_true 60 reaches a c && until_true 60 reaches c b && until_true 60 reaches b c && route_of a c | grep -q "via ${pods[c]}.0 dev cx-vxlan"
}
ok "behind the router it is the overlay, both ways" over_vxlan
from_node() { in_node a busybox ping -c 1 -W 5 "${pods[c]}.5"; }
ok "from the node itself, too" from_node
sizes() {
        equals "$(in_node a cat /sys/class/net/cx-vxlan/mtu)" 1450 && until_true 60 datagram a c 1422 && ! datagram a c 1423
}
listen c
ok "packets of 1450 bytes go through whole, larger ones are refused at once" sizes

kill -9 "$(cat "$CP/kubelet-a.pid")"
wait_for _gone "$(cat "$CP/kubelet-a.pid")"
index=$(in_node a cat /sys/class/net/cx-vxlan/ifindex)
ok "what is set up stays when the kubelet is killed" reaches a c
k delete node c >/dev/null
kubelet_start a
forgotten() { ! in_node "$1" ip route | grep "${pods[c]}" && ! in_node "$1" bridge fdb show dev cx-vxlan | grep "${address[c]}" && ! in_node "$1" ip neigh show dev cx-vxlan | grep "${pods[c]}"; }
gone_meanwhile() { until_true 60 forgotten a && equals "$(in_node a cat /sys/class/net/cx-vxlan/ifindex)" "$index" && reaches a b; }
ok "a node that went meanwhile is forgotten by the next kubelet, and nothing else is disturbed" gone_meanwhile
ok "and by one that saw it go" until_true 60 forgotten b

# The node is made again by its kubelet, with another range.
pods[c]=10.244.9
comes_back() {
        wait_for k get node c && in_node c ip addr add 10.244.9.5/32 dev pods &&
                k patch node c --type merge -p '{"spec":{"podCIDR":"10.244.9.0/24","podCIDRs":["10.244.9.0/24"]}}' &&
                until_true 60 reaches a c && until_true 60 reaches c b
}
ok "a node that comes back with another range is reached there" comes_back
foreign() {
        k apply -f - <<<'{apiVersion: v1, kind: Node, metadata: {name: odd}, spec: {podCIDR: "10.244.1.0/25", podCIDRs: ["10.244.1.0/25"]}}' &&
                k patch node odd --subresource status --type merge -p '{"status":{"addresses":[{"type":"InternalIP","address":"10.2.0.9"}]}}' &&
                until_true 60 grep -q 'cannot set the route to 10.244.1.0/25 of node 10.2.0.9' "$CP/kubelet-a.log" &&
                ! in_node a ip route | grep 10.244.1.0/25 && k delete node odd
}
ok "a range that is part of the own one gets no route, and is said" foreign
refused() {
        in_node a "$BIN/kubelet" --root-dir "$CP/x" --pod-network-overlay geneve 2>&1 | grep -- '--pod-network-overlay must be none or vxlan' &&
                in_node a timeout 20 "$BIN/kubelet" --root-dir "$CP/x" --cgroup-root "/$group-x" --port 0 --healthz-port 0 --node-ip fd00::1 \
                        --pod-network-overlay vxlan 2>&1 | grep 'the overlay needs an IPv4 address of the node'
}
ok "another kind of overlay, and an address that it does not take, are refused" refused
umount -R "$CP/x" 2>/dev/null
tap_end
