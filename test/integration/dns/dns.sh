#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cluster-dns on loopback against etcd and kube-apiserver, asked with dig: records, absence, TCP, forwarding. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-dns.XXXXXX)
port=$((20000 + RANDOM % 20000))
dns=$((port + 7)) upstream=$((port + 8))
pids=()
finish() {
        kill "${pids[@]}" 2>/dev/null
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
ask() { dig +time=2 +tries=1 @127.0.0.1 -p $dns "$@"; }
short() { ask +short "$@"; }
post() { curl -sf --cacert "$work/ca.crt" --cert "$work/admin.crt" --key "$work/admin.key" -H 'Content-Type: application/json' -o /dev/null -d "$2" "https://127.0.0.1:$port$1"; }
control_plane_start "$work" $port || { cat "$work"/*.log; exit 1; }
"$BIN/cluster-dns" --kubeconfig "$work/admin.kubeconfig" --address 127.0.0.1 --port $upstream --cluster-domain other.test 2>"$work/up.log" &
pids+=($!)
"$BIN/cluster-dns" --kubeconfig "$work/admin.kubeconfig" --address 127.0.0.1 --port $dns --forward 127.0.0.1:$upstream 2>"$work/dns.log" &
pids+=($!)
ns=/api/v1/namespaces/default
make_objects() {
        post $ns/services '{"metadata":{"name":"web"},"spec":{"clusterIP":"10.96.5.5","selector":{"a":"b"},"ports":[{"name":"http","port":80}]}}' &&
                post $ns/services '{"metadata":{"name":"db"},"spec":{"clusterIP":"None","ports":[{"name":"sql","port":5432}]}}' &&
                post $ns/services '{"metadata":{"name":"out"},"spec":{"type":"ExternalName","externalName":"example.org"}}' &&
                post /apis/discovery.k8s.io/v1/namespaces/default/endpointslices '{"metadata":{"name":"db-1","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4","ports":[{"name":"sql","port":5432}],"endpoints":[{"addresses":["10.244.0.9"],"hostname":"db-0","conditions":{"ready":true}},{"addresses":["10.244.0.10"],"conditions":{"ready":false}}]}'
}
is() { equals "$(short "${@:2}")" "$1"; }
status_is() { ask "${@:2}" | grep -q "status: $1"; }
d=default.svc.cluster.local
ok "objects" make_objects
ok "a service's address" until_true 10 is 10.96.5.5 web.$d
ok "upper case is the same name" is 10.96.5.5 WEB.$d
ok "a headless service: the ready endpoints" until_true 10 is 10.244.0.9 db.$d
ok "an endpoint by its host name" is 10.244.0.9 db-0.db.$d
ok "SRV of a named port" is "0 100 80 web.$d." _http._tcp.web.$d SRV
ok "SRV of a headless service" is "0 100 5432 db-0.db.$d." _sql._tcp.db.$d SRV
ok "ExternalName is an alias" is example.org. out.$d CNAME
ok "a pod by its address" is 10.1.2.3 10-1-2-3.default.pod.cluster.local
ok "from address to name" is web.$d. -x 10.96.5.5
ok "no such service" status_is NXDOMAIN nonesuch.$d
ok "no such data" status_is NOERROR web.$d AAAA
ok "over TCP" is 10.96.5.5 +tcp web.$d
ok "other domains are forwarded" until_true 10 is 10.96.5.5 web.default.svc.other.test
ok "and over TCP" is 10.96.5.5 +tcp web.default.svc.other.test
kill "${pids[0]}"
wait "${pids[0]}"
ok "a forwarded answer was kept" is 10.96.5.5 web.default.svc.other.test
ok "without an upstream: SERVFAIL, and own names go on" status_is SERVFAIL db.default.svc.other.test
ok "own names" is 10.96.5.5 web.$d
tap_end
