#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cluster-dns on loopback against etcd and kube-apiserver, asked with dig: records, absence, TCP, forwarding. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-dns.XXXXXX)
port=$(free_port)
dns=$((port + 7)) upstream=$((port + 8)) metrics=$((port + 9))
pids=()
finish() {
        kill "${pids[@]}" 2>/dev/null
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
ask() { dig +time=20 +tries=1 @127.0.0.1 -p $dns "$@"; }
short() { ask +short "$@"; }
post() { curl -sf --cacert "$work/ca.crt" --cert "$work/admin.crt" --key "$work/admin.key" -H 'Content-Type: application/json' -o /dev/null -d "$2" "https://127.0.0.1:$port$1"; }
control_plane_start "$work" $port || { cat "$work"/*.log; exit 1; }
"$BIN/cluster-dns" --kubeconfig "$work/admin.kubeconfig" --address 127.0.0.1 --port $upstream --cluster-domain other.test 2>"$work/up.log" &
pids+=($!)
"$BIN/cluster-dns" --kubeconfig "$work/admin.kubeconfig" --address 127.0.0.1 --port $dns --forward 127.0.0.1:$upstream \
        --secure-port $metrics --bind-address 127.0.0.1 --client-ca-file "$work/ca.crt" 2>"$work/dns.log" &
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
ok "a service's address" until_true 60 is 10.96.5.5 web.$d
ok "upper case is the same name" is 10.96.5.5 WEB.$d
ok "a headless service: the ready endpoints" until_true 60 is 10.244.0.9 db.$d
ok "an endpoint by its host name" is 10.244.0.9 db-0.db.$d
ok "SRV of a named port" is "0 100 80 web.$d." _http._tcp.web.$d SRV
ok "SRV of a headless service" is "0 100 5432 db-0.db.$d." _sql._tcp.db.$d SRV
ok "ExternalName is an alias" is example.org. out.$d CNAME
ok "a pod by its address" is 10.1.2.3 10-1-2-3.default.pod.cluster.local
ok "from address to name" is web.$d. -x 10.96.5.5
ok "no such service" status_is NXDOMAIN nonesuch.$d
ok "no such data" status_is NOERROR web.$d AAAA
ok "over TCP" is 10.96.5.5 +tcp web.$d
counted() { # SERIES COUNT: at least as many
        local have
        have=$(curl -skf --cert "$work/admin.crt" --key "$work/admin.key" "https://127.0.0.1:$metrics/metrics" | awk -v "series=$1" 'index($0, series) == 1 {print $NF}')
        [ "${have:-0}" -ge "$2" ] || { echo "$1 ${have:-is not there}"; return 1; }
}
ok "what was asked is counted, under CoreDNS' names" eval 'counted "coredns_dns_requests_total{server=\"dns://:$dns\",zone=\".\",view=\"\",proto=\"udp\",family=\"1\",type=\"SRV\"}" 2 &&
        counted "coredns_dns_requests_total{server=\"dns://:$dns\",zone=\".\",view=\"\",proto=\"tcp\",family=\"1\",type=\"A\"}" 1 &&
        counted "coredns_dns_responses_total{server=\"dns://:$dns\",zone=\".\",view=\"\",rcode=\"NXDOMAIN\",plugin=\"kubernetes\"}" 1 &&
        counted "coredns_dns_request_duration_seconds_count{server=\"dns://:$dns\",zone=\".\",view=\"\"}" 10'
ok "other domains are forwarded" until_true 60 is 10.96.5.5 web.default.svc.other.test
ok "and over TCP" is 10.96.5.5 +tcp web.default.svc.other.test
kill "${pids[0]}"
wait "${pids[0]}"
ok "a forwarded answer was kept" is 10.96.5.5 web.default.svc.other.test
ok "both are counted" eval 'counted "coredns_cache_misses_total{" 1 && counted "coredns_cache_hits_total{server=\"dns://:$dns\",type=\"success\"" 1'
ok "without an upstream: SERVFAIL, and own names go on" status_is SERVFAIL db.default.svc.other.test
ok "own names" is 10.96.5.5 web.$d
# An upstream that misbehaves, found by a resolv.conf that changes.
bad=$((port + 9))
python3 "$here/upstream.py" $bad 2>"$work/bad.log" &
pids+=($!)
printf 'nameserver 127.0.0.2\n' >"$work/resolv.conf"
kill "${pids[1]}"
wait "${pids[1]}"
"$BIN/cluster-dns" --kubeconfig "$work/admin.kubeconfig" --address 127.0.0.1 --port $dns --resolv-conf "$work/resolv.conf" 2>>"$work/dns.log" &
pids+=($!)
ok "started again" until_true 60 is 10.96.5.5 web.$d
ok "a server that is not there: SERVFAIL" status_is SERVFAIL a.example.org
printf 'nameserver 127.0.0.2\nnameserver 127.0.0.1:%s\n' $bad >"$work/resolv.conf"
answers() { short "$@" | grep -q '^192\.0\.2\.'; }
ok "a changed resolv.conf counts" until_true 60 answers a.example.org
quick() { ask b.example.org | awk '/Query time/ {exit !($4 < 500)}'; }
ok "the server that does not answer is not asked first again" quick
ok "the target of an ExternalName comes with its address" answers out.$d
alias_first() { equals "$(short out.$d | head -1)" example.org.; }
ok "after the alias" alias_first
forged() { equals "$(short forged.example.org | cut -d. -f1)" 192; }
ok "forged answers are not taken" forged
ok "a malformed answer: SERVFAIL" status_is SERVFAIL garbage.example.org
ok "a name that points to itself: SERVFAIL" status_is SERVFAIL loop.example.org
ok "truncated over UDP, whole over TCP" answers large.example.org
same() { equals "$(short same.example.org)" "$(short same.example.org)"; }
ok "answers are kept" same
case_kept() { ask SaMe.example.org | grep -q '^SaMe.example.org.*IN.*A'; }
ok "the letters' case comes back as it was sent" case_kept
no_opt() { ask +noedns same.example.org >/dev/null; ! ask +noedns same.example.org | grep -q 'OPT PSEUDOSECTION'; }
ok "no EDNS for who did not speak it" no_opt
expired() { [ "$(short short.example.org)" != "$first" ]; }
first=$(short short.example.org)
ok "but not beyond their time" until_true 60 expired

endpoints=$(python3 -c 'import json; print(json.dumps([{"addresses": ["10.244.1.%d" % i]} for i in range(1, 101)]))')
ok "a service of 100 endpoints" post /apis/discovery.k8s.io/v1/namespaces/default/endpointslices '{"metadata":{"name":"db-2","labels":{"kubernetes.io/service-name":"db"}},"addressType":"IPv4","ports":[{"name":"sql","port":5432}],"endpoints":'"$endpoints"'}'
cut_off() { ask +ignore +noedns db.$d | grep -q 'flags:.* tc'; }
ok "its answer is truncated over UDP" until_true 60 cut_off
whole() { equals "$(short +tcp db.$d | wc -l)" 101; }
ok "and whole over TCP" whole
more_room() { equals "$(short +ignore +bufsize=1232 db-0.db.$d)" 10.244.0.9; }
ok "EDNS" more_room
ok "NODATA has the zone's SOA" eval 'ask web.$d MX | grep -q "status: NOERROR" && ask web.$d MX | grep -q "IN.*SOA"'
ok "NXDOMAIN too" eval 'ask no.$d | grep -q "status: NXDOMAIN" && ask no.$d | grep -q "IN.*SOA"'
ok "a namespace exists, another does not" eval 'status_is NOERROR default.svc.cluster.local && status_is NXDOMAIN nope.svc.cluster.local'
ok "names with odd bytes" status_is NXDOMAIN 'a\000b.default.svc.cluster.local'

# Queries that nobody should send: no answer, or an error, and the server goes on.
hostile() {
        python3 - "$dns" <<-'END'
		import os, random, socket, struct, sys
		server = ("127.0.0.1", int(sys.argv[1]))
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		header = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0)
		for body in (b"", b"\xc0\x0c\0\1\0\1", b"\x3f" + b"a" * 20, b"\x40" + b"a" * 64 + b"\0\0\1\0\1", b"\1a" * 200 + b"\0\0\1\0\1",
		             b"\xff\xff\0\1\0\1", b"\3web\xc0\x0c\0\1\0\1"):
		    s.sendto(header + body, server)
		random.seed(1)
		for i in range(3000):
		    s.sendto(random.randbytes(random.randrange(0, 600)), server)
		slow = [socket.create_connection(server) for i in range(100)]
		for c in slow:
		    try:
		        c.send(b"\xff")
		    except OSError:
		        pass
		huge = socket.create_connection(server)
		huge.send(b"\xff\xff" + b"x" * 5000)
		t = socket.create_connection(server)
		t.settimeout(5)
		query = header + b"\3web\7default\3svc\7cluster\5local\0\0\1\0\1"
		t.sendall(struct.pack(">H", len(query)) + query)
		assert t.recv(1000)[-4:] == bytes([10, 96, 5, 5])
	END
}
ok "hostile queries and slow clients" hostile
ok "own names after all that" is 10.96.5.5 web.$d
kill "${pids[@]}" 2>/dev/null
for pid in "${pids[@]}"; do wait "$pid"; done 2>/dev/null
quiet() { ! grep -hE -A25 'Sanitizer|runtime error:' "$work"/{up,dns}.log; }
ok "sanitizers, if built in, find nothing" quiet
tap_end
