#!/usr/bin/env bash
# Images from a registry that misbehaves, one way a repository (registry.py says which): what can be pulled is, and what
# cannot says why and harms nobody.
. "$(dirname "$0")/lib.sh"
start_all
bad=$host_ip:$((base + 4))
kill -9 "$kubelet_pid"
wait "$kubelet_pid" 2>/dev/null
python3 "$here/registry.py" "$host_ip" $((base + 4)) "$(command -v busybox)" >"$work/bad.log" 2>&1 &
pids+=($!)
began $!
until_true 60 curl -s -o /dev/null "http://$bad/v2/"
cat >"$work/registries.yaml" <<END
mirrors:
  "$registry": {endpoint: ["http://$registry"]}
  "$bad": {endpoint: ["http://$bad"]}
  docker.io: {endpoint: ["http://127.0.0.1:1", "http://$bad/mirror/v2"], rewrite: {"^library/(.*)": "\$1"}}
configs:
  "$bad": {auth: {username: user, password: secret}}
END
start_kubelet
make_pod() { # make_pod REPOSITORY [IMAGE]
        api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":"'"${2:-$bad/$1:v1}"'"}]}}' >/dev/null
}
good=(token broken norange index zstd plain twice absolute whiteout redirect device)
evil=(lies short many dotdot link hardlink sparse diff claims fewer nosize endless cut loop both document deep)
for name in "${good[@]}" "${evil[@]}"; do make_pod "$name"; done
make_pod mirrored mirrored:v1
says() { api GET "/api/v1/namespaces/default/pods/$1/log" | grep -q "$2"; }
for name in "${good[@]}" mirrored; do
        until_true 60 says "$name" "hello $name"
        ok "$name: pulled and run" $?
done
says absolute '^inside'
ok "an absolute path is one inside" $?
says device "dev-of-image'*: Operation not permitted"
ok "a device of an image cannot be used" $?
! grep 'credentials went elsewhere' "$work/bad.log"
ok "credentials stay with their registry" $?
why() { field "$1" 'p["status"]["containerStatuses"][0]["state"]["waiting"]["message"]'; }
refused() { why "$1" | grep -qE "$2"; }
while read -r name pattern; do
        until_true 60 refused "$name" "$pattern"
        ok "$name: refused" $? || why "$name"
done <<END
lies digest is sha256:
short is longer than its descriptor
many the answer is too large|100001 layers
dotdot leaves the root of its image
link layer entry .*in/escaped
hardlink leaves the root of its image
sparse File too large|layer is damaged
diff unpacks to sha256:.*and its configuration says sha256:
claims unpacks to sha256:.*and its configuration says sha256:
fewer has 1 layers, and its configuration names 2
nosize without a valid digest and size
endless is longer than its descriptor
cut digest is sha256:|transfer closed|end of response
loop is not an image manifest
both is not an image manifest
document answer is too large
deep File name too long
END
make_pod nowhere nowhere:v1
until_true 60 refused nowhere "nowhere:v1.*: http://127.0.0.1:1/v2: .*; http://$bad/mirror/v2: .*; https://"
ok "each place that was asked is named with its answer" $? || why nowhere
[ ! -e /tmp/escaped ]
ok "nothing left its image" $?
api DELETE /api/v1/namespaces/default/pods/plain >/dev/null
gone() { ! pod "$1" >/dev/null 2>&1; }
until_true 60 gone plain
make_pod plain
until_true 60 says plain 'hello plain'
ok "an image that another claimed to be is what it was" $?
is plain 'p["status"]["containerStatuses"][0]["imageID"].split("@")[0]' "$bad/plain"
ok "its status names its repository and digest" $?
no_rest() { [ -z "$(find "$work/kubelet/images/layers" -maxdepth 1 -name 'tmp-*')" ]; }
until_true 60 no_rest
ok "no half layer is kept" $?
for name in "${good[@]}" "${evil[@]}" mirrored nowhere; do api DELETE "/api/v1/namespaces/default/pods/$name" >/dev/null; done
until_true 60 nothing_left
ok "nothing is left" $?
stop "$kubelet_pid"
finish
