#!/usr/bin/env bash
# What the kubelet does on its own as time goes by: it renews service account tokens in volumes before they expire, and
# removes images that no pod uses when the disk is full. Short lives come from a proxy in front of the apiserver
# (token_proxy.py), a full disk from thresholds below what is in use.
. "$(dirname "$0")/lib.sh"
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
kubelet_flags="--image-gc-high-threshold 0 --image-gc-low-threshold 0 --minimum-image-ttl-duration 3s --image-gc-period 1s"
start_all
kill -9 "$kubelet_pid"
wait "$kubelet_pid" 2>/dev/null
proxy_port=$((base + 5))
python3 "$here/token_proxy.py" "$host_ip" "$proxy_port" "$host_ip:$api_port" "$work/pki" 10 "$work/token-requests" >"$work/proxy.log" 2>&1 &
pids+=($!)
began $!
sed -i "s/:$api_port/:$proxy_port/" "$work/kubelet.conf"
until_true 60 curl -s -o /dev/null --cacert "$work/pki/ca.crt" "https://$host_ip:$proxy_port/readyz"
start_kubelet
make_pod() { # make_pod NAME IMAGE COMMAND EXTRA-CONTAINER EXTRA-SPEC
        api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":0'"$5"',
 "containers":[{"name":"c","image":"'"$registry/$2"'"'"${3:+,\"command\":$3}$4"'}]}}' >/dev/null
}
images() { api GET /api/v1/nodes/n1 | python3 -c 'import json, sys; print(sorted(n for i in json.load(sys.stdin)["status"].get("images", []) for n in i["names"]))'; }
records() { ls "$work/kubelet/images/images" | wc -l; }
layers() { find "$work/kubelet/images/layers" -mindepth 1 -maxdepth 1 | wc -l; }

make_pod token busybox:1.35 '["sleep","1000"]' ',"volumeMounts":[{"name":"t","mountPath":"/t"}]' \
        ',"volumes":[{"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"token","audience":"vault","expirationSeconds":600}}]}}]'
until_true 60 is token "$ready" True
ok "a pod with a token that lives for ten seconds" $?
in_pod() { node_curl -X POST "https://$node_ip:10250/run/default/token/c?cmd=cat%20/t/token"; }
one=$(in_pod)
[ -n "$one" ]
ok "has it" $?
renewed() { local now; now=$(in_pod) && [ -n "$now" ] && [ "$now" != "$one" ]; }
until_true 60 renewed
ok "the token is renewed in the running container" $?
# The proxy wrote down when each was asked for: not before 80 % of nine to ten seconds are over.
until_true 60 eval '[ "$(grep -c vault "$work/token-requests")" -ge 3 ]'
python3 - "$work/token-requests" <<'END'
import sys
times = [float(line.split()[0]) for line in open(sys.argv[1]) if "vault" in line]
assert min(b - a for a, b in zip(times, times[1:])) >= 6.5, times
END
ok "after 80 % of its life, not sooner" $?
touch "$work/token-requests.refuse"
one=$(in_pod)
until_true 60 grep -q 'Cannot renew a service account token' "$work/kubelet.log"
[ "$(in_pod)" = "$one" ]
ok "a renewal that is refused leaves the old token" $?
rm "$work/token-requests.refuse"
until_true 90 renewed
ok "and is tried again" $?

# Images: hello is run and gone; busybox is in use all the time.
make_pod web hello:v1 '' '' ''
until_true 60 is web "$ready" True
api DELETE /api/v1/namespaces/default/pods/web >/dev/null
until_true 60 eval '! pod web' && until_true 60 eval '[ "$(records)" = 1 ]'
ok "an image that no pod uses is removed when the disk is full" $?
used=$(python3 -c 'import json, sys; print(len(set(json.load(open(sys.argv[1]))["layers"])))' "$work"/kubelet/images/images/*.json)
until_true 60 eval '[ "$(layers)" = "$used" ]'
ok "with its layers" $?
is token "$ready" True && is token 'p["status"]["containerStatuses"][0]["restartCount"]' 0
ok "one that is in use stays" $?
hello_gone() { ! images | grep -q hello && images | grep -q busybox; }
until_true 60 hello_gone
ok "the node's status tells" $?
too_little() { api GET '/api/v1/events?fieldSelector=reason=FreeDiskSpaceFailed' | grep -q 'Failed to garbage collect required amount of images'; }
until_true 60 too_little
ok "an event says that it was not enough" $?
make_pod web hello:v1 '' '' ''
until_true 90 is web "$ready" True
ok "the image is pulled again when it is wanted" $?
for name in web token; do api DELETE "/api/v1/namespaces/default/pods/$name" >/dev/null; done
until_true 60 no_leaks
ok "nothing is left" $?
stop "$kubelet_pid"
finish
