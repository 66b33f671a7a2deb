#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kube-apiserver while etcd is in trouble: it does not answer, is killed in the middle of writes, has forgotten what the
# apiserver was watching, or is full. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-etcd.XXXXXX)
port=$(free_port)
ns=https://127.0.0.1:$port/api/v1/namespaces/default
finish() {
        kill -CONT "$(cat "$work/etcd.pid")" "$(cat "$work/apiserver.pid")" 2>/dev/null
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT

ask() { curl -s --cacert "$work/ca.crt" --cert "$work/admin.crt" --key "$work/admin.key" --max-time 120 -H 'Content-Type: application/json' "$@"; }
code= # of the last request; its body is in $work/body
req() { # METHOD PATH [BODY]
        code=$(ask -X "$1" -o "$work/body" -w '%{http_code}' ${3+--data-binary "$3"} "$ns$2")
}
want() { # CODE [JQ FILTER]
        [[ $code =~ ^($1)$ ]] || { echo "HTTP $code, want $1: $(head -c 600 "$work/body")"; return 1; }
        [ -z "${2-}" ] || jq -e "$2" "$work/body" >/dev/null || { echo "not so: $2 in $(head -c 600 "$work/body")"; return 1; }
}
cm() { printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s","labels":{"set":"%s"}},"data":{"k":"%s"}}' "$1" "${2:-none}" "${3:-v}"; }
ctl() {
        ETCDCTL_API=3 etcdctl --endpoints "https://127.0.0.1:$((port + 1))" --cacert "$work/etcd-ca.crt" --cert "$work/client.crt" \
                --key "$work/client.key" --command-timeout 60s "$@"
}
ready() { apiserver_ready "$work"; }
etcd_healthy() { ctl endpoint health; }
etcd_again() { # [FLAGS]: kill -9 and start
        kill -9 "$(cat "$work/etcd.pid")"
        until_true 30 _gone "$(cat "$work/etcd.pid")" || return 1
        ETCD_FLAGS="--unsafe-no-fsync ${1-}" etcd_start "$work" "$port"
}
watch_from() { # REVISION FILE
        ask -N --max-time 600 "$ns/configmaps?watch=1&resourceVersion=$1" >"$2" 2>/dev/null &
        echo $! >>"$work/pids"
}
has_event() { jq -e "select($2)" "$1" | grep -q .; }

t_silent() {
        local revision
        req POST /configmaps "$(cm before)" && want 201 && revision=$(jq -r .metadata.resourceVersion "$work/body") || return 1
        watch_from "$revision" "$work/silent.watch"
        kill -STOP "$(cat "$work/etcd.pid")"
        req GET '/configmaps?resourceVersion=0' && want 200 '[.items[].metadata.name] | contains(["before"])' &&
                req GET /configmaps/before && want '50[034]' '.kind == "Status" and .status == "Failure"' &&
                req POST /configmaps "$(cm unsure)" && want 504 '.kind == "Status" and .reason == "Timeout"' &&
                req DELETE /configmaps/before && want '50[034]' '.kind == "Status"' &&
                { ! ready; }
        local result=$?
        kill -CONT "$(cat "$work/etcd.pid")"
        until_true 60 ready && req POST /configmaps "$(cm after)" && want 201 || return 1
        until_true 60 has_event "$work/silent.watch" '.type == "ADDED" and .object.metadata.name == "after"' || return 1
        # What is there is there for everyone.
        req GET /configmaps/unsure
        equals "$code" "$(req GET '/configmaps?resourceVersion=0'; jq -r 'if [.items[].metadata.name] | contains(["unsure"]) then 200 else 404 end' "$work/body")" || return 1
        return $result
}

# Creates, changes and deletes, one after another; notes what was acknowledged.
writer() { # NUMBER
        local i last=0
        put() { ask --max-time 30 -o /dev/null -w '%{http_code}' "$@"; }
        for i in $(seq 120); do
                [ "$(put -d "$(cm "w$1-$i" kept)" "$ns/configmaps")" = 201 ] && echo "w$1-$i" >>"$work/created"
                [ "$(put -d "$(cm "d$1-$i" dropped)" "$ns/configmaps")" = 201 ] &&
                        [ "$(put -X DELETE "$ns/configmaps/d$1-$i")" = 200 ] && echo "d$1-$i" >>"$work/deleted"
                [ "$(put -X PUT -d "$(cm "counter$1" counter "$i")" "$ns/configmaps/counter$1")" = 200 ] && last=$i
        done
        echo "counter$1 $last" >>"$work/counters"
}
lines() { [ "$(wc -l <"$work/created")" -ge "$1" ]; }
t_killed_in_writes() {
        local n writers=()
        for n in 1 2 3; do
                req POST /configmaps "$(cm "counter$n" counter 0)" && want 201 || return 1
                (writer $n) 2>/dev/null &
                writers+=($!)
        done
        : >"$work/created"
        for n in 40 90 150; do
                until_true 120 lines $n && etcd_again || return 1
        done
        wait "${writers[@]}"
        until_true 60 ready && req GET /configmaps && want 200 || return 1
        jq -r '.items[].metadata.name' "$work/body" | sort >"$work/present"
        echo "acknowledged: $(wc -l <"$work/created") created, $(wc -l <"$work/deleted") deleted"
        equals "$(sort "$work/created" | comm -23 - "$work/present" | tr '\n' ' ')" "" &&
                equals "$(sort "$work/deleted" | comm -12 - "$work/present" | tr '\n' ' ')" "" || return 1
        while read -r name least; do
                jq -e --arg name "$name" --argjson least "$least" '.items[] | select(.metadata.name == $name) | (.data.k | tonumber) >= $least' "$work/body" || return 1
        done <"$work/counters"
        # and the caches show what etcd has
        ctl get --prefix --keys-only /registry/configmaps/default/ | sed -n 's,.*/,,p' | sort | comm -3 - "$work/present" | { ! grep .; }
}

# The apiserver was away while etcd forgot the revision that its watch must go on from: it reads everything again. Until
# then a list of any age shows what it showed before, never a part.
listed() { [ "$(wc -l <"$work/sizes")" -ge "$1" ]; }
t_compacted() {
        local revision whole i n lists
        for i in $(seq 60); do
                for n in $(seq 25); do printf '%s\n' "$(cm "many-$i-$n" many)"; done >"$work/many"
                jq -s '{apiVersion:"v1",kind:"List",items:.}' "$work/many" >"$work/list.json"
                k create --validate=false -f "$work/list.json" >/dev/null || return 1
        done
        req POST /configmaps "$(cm leaves)" && want 201 && req GET '/configmaps?limit=1' && revision=$(jq -r .metadata.resourceVersion "$work/body") || return 1
        watch_from "$revision" "$work/compacted.watch"
        whole=$(ask "$ns/configmaps?labelSelector=set%3Dmany&resourceVersion=0" | jq '.items | length')
        equals "$whole" 1500 || return 1
        (while :; do ask --max-time 60 -o /dev/null -w '%{size_download}\n' "$ns/configmaps?labelSelector=set%3Dmany&resourceVersion=0&n=[1-40]"; done >"$work/sizes" 2>/dev/null) &
        lists=$!
        echo $lists >>"$work/pids"
        until_true 60 listed 40 && kill -STOP "$(cat "$work/apiserver.pid")" || return 1
        etcd_again && until_true 60 etcd_healthy || return 1 # what is written now is not on its way already
        ctl get --print-value-only /registry/configmaps/default/leaves | sed 's/"leaves"/"comes"/' | ctl put /registry/configmaps/default/comes >/dev/null &&
                ctl del /registry/configmaps/default/leaves >/dev/null &&
                ctl compact "$(ctl get / -w json | jq .header.revision)" >/dev/null || return 1
        kill -CONT "$(cat "$work/apiserver.pid")"
        until_true 60 has_event "$work/compacted.watch" '.type == "ERROR" and .object.code == 410 and .object.reason == "Expired"' || return 1
        until_true 60 ready && req GET /configmaps/comes && want 200 && req GET /configmaps/leaves && want 404 || return 1
        req GET "/configmaps?watch=1&resourceVersion=$revision" && want 200 '.type == "ERROR" and .object.code == 410' || return 1
        until_true 60 listed $(($(wc -l <"$work/sizes") + 80))
        kill $lists
        until_true 30 _gone $lists || return 1
        sort -n "$work/sizes" | awk 'NR == 1 { least = $1 } END { exit !(least > $1 - 20) }' || { echo "a list was not whole: $(sort -n "$work/sizes" | uniq -c | head)"; return 1; }
        # clients that list and watch go on
        req GET '/configmaps?limit=1' && revision=$(jq -r .metadata.resourceVersion "$work/body")
        watch_from "$revision" "$work/again.watch"
        req POST /configmaps "$(cm anew)" && want 201 && until_true 60 has_event "$work/again.watch" '.object.metadata.name == "anew"'
}
page() { req GET "/configmaps?labelSelector=set%3Dpaged&limit=2${1:+&continue=$1}" && next=$(jq -r '.metadata.continue // ""' "$work/body"); }
t_compacted_page() { # the rest of a list whose revision is forgotten can be had as it is now
        local i next
        for i in 1 2 3 4; do req POST /configmaps "$(cm "page-$i" paged)" && want 201 || return 1; done
        page && want 200 '[.items[].metadata.name] == ["page-1", "page-2"]' && req DELETE /configmaps/page-3 && want 200 &&
                ctl compact "$(ctl get / -w json | jq .header.revision)" >/dev/null || return 1
        page "$next" && want 410 '.reason == "Expired" and (.message | contains("use the continue token in this response"))' &&
                [ -n "$next" ] && page "$next" && want 200 '[.items[].metadata.name] == ["page-4"]' && equals "$next" ""
}

apiserver_again() { # [FLAGS]
        kill "$(cat "$work/apiserver.pid")"
        until_true 30 _gone "$(cat "$work/apiserver.pid")" && apiserver_start "$work" "$port" "$@" && until_true 60 ready
}
forgotten() { req POST /configmaps "$(cm "later-$RANDOM$RANDOM" later)" && ctl get / --rev "$1" 2>&1 | grep 'has been compacted'; } # REVISION
t_short_history() {
        local revision n
        apiserver_again --etcd-compaction-interval=1s --default-watch-cache-size=128 || return 1
        req POST /configmaps "$(cm oldest)" && want 201 && revision=$(jq -r .metadata.resourceVersion "$work/body") || return 1
        for n in $(seq 130); do printf '%s\n' "$(cm "more-$n" more)"; done >"$work/more"
        jq -s '{apiVersion:"v1",kind:"List",items:.}' "$work/more" >"$work/list.json"
        k create --validate=false -f "$work/list.json" >/dev/null || return 1
        req GET "/configmaps?watch=1&resourceVersion=$revision" && want 200 '.type == "ERROR" and .object.code == 410' || return 1
        until_true 60 forgotten "$revision" || return 1
        apiserver_again
}
t_refused_flags() {
        ! "$BIN/kube-apiserver" --etcd-servers https://127.0.0.1:1 --tls-cert-file "$work/server.crt" --tls-private-key-file "$work/server.key" \
                --etcd-compaction-interval=10ms >"$work/refused" 2>&1 && grep 'etcd-compaction-interval has to be a second at least' "$work/refused" &&
                ! "$BIN/kube-apiserver" --default-watch-cache-size=1 >"$work/refused" 2>&1 && grep 'default-watch-cache-size' "$work/refused"
}

t_full() {
        local i size large
        req POST /configmaps "$(cm kept)" && want 201 || return 1
        ctl compact "$(ctl get / -w json | jq .header.revision)" >/dev/null && ctl defrag >/dev/null
        size=$(ctl endpoint status -w json | jq '.[0].Status.dbSize')
        etcd_again "--quota-backend-bytes $((size + 8000000))" && until_true 60 ready || return 1
        large=$(head -c 700000 /dev/zero | tr '\0' x)
        for i in $(seq 40); do
                cm "large-$i" large "$large" >"$work/large"
                req POST /configmaps "@$work/large"
                [ "$code" = 201 ] || break
        done
        want 500 '.kind == "Status" and .status == "Failure" and (.message | test("database space exceeded"))' &&
                req POST /configmaps "$(cm small)" && want 500 '.message | test("database space exceeded")' &&
                req GET /configmaps/kept && want 200 && req GET '/configmaps?limit=1' && want 200 && ready || return 1
        # deleting is the way out
        req DELETE '/configmaps?labelSelector=set%3Dlarge' && want 200 && ctl compact "$(ctl get / -w json | jq .header.revision)" >/dev/null &&
                ctl defrag >/dev/null && ctl alarm disarm >/dev/null && req POST /configmaps "$(cm small)" && want 201
}

control_plane_start "$work" "$port" || { cat "$work"/*.log; exit 1; }
CP=$work
for t in ${ONLY:-silent killed_in_writes compacted compacted_page short_history refused_flags full}; do
        ok "$t" "t_$t"
done
ok "no complaints" no_complaints
tap_end
