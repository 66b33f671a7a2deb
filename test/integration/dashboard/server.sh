#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The dashboard's server before a real API server: who gets in, what is passed on, and what a browser that somebody else
# steers cannot do. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-dashboard.XXXXXX)
CP=$work
finish() {
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
control_plane_start "$work" "$(free_port)" || { cat "$work"/*.log; exit 1; }
api=https://127.0.0.1:$(cat "$work/port")

port=$(free_port)
url=https://127.0.0.1:$port
start() { # FLAG...
        "$BIN/dashboard" --server "$api" --certificate-authority "$work/ca.crt" --bind-address 127.0.0.1 --secure-port "$port" \
                --login-socket "$work/login.sock" "$@" >>"$work/dashboard.log" 2>&1 3>&- &
        echo $! | tee "$work/server" >>"$work/pids"
        wait_for curl -skf "$url/healthz"
}
end() { kill "$(cat "$work/server")" && wait_for _gone "$(cat "$work/server")"; }
start || { cat "$work/dashboard.log"; exit 1; }
token_of() { k create token "$1" 2>/dev/null || { k create serviceaccount "$1" >/dev/null && k create token "$1"; }; }
admin_json() { jq -n --rawfile c "$work/admin.crt" --rawfile k "$work/admin.key" '{certificate: $c, key: $k}'; }

# ask METHOD PATH [CURL WORDS...]: as the page would; the status goes to $work/code, the answer to standard output.
ask() {
        local method=$1 path=$2 proof=none i
        shift 2
        for ((i = 1; i < $#; i++)); do
                [ "${!i}" != -b ] || { local jar=$((i + 1)); proof=$(cat "${!jar}.proof"); }
        done
        curl -sk -X "$method" -H "X-Dashboard-Request: $proof" -w '%{stderr}%{http_code}' "$@" "$url$path" 2>"$work/code"
}
code_is() { # WANTED METHOD PATH [CURL WORDS...]
        local wanted=$1
        shift
        ask "$@" >"$work/answer"
        equals "$(cat "$work/code")" "$wanted" || { cat "$work/answer"; return 1; }
}
log_in() { # JAR BODY
        code_is 200 POST /session -c "$1" --data-binary "$2" && jq -r .proof "$work/answer" >"$1.proof"
}

# --- who gets in ---
reader=$(token_of reader)
k create clusterrole reader --verb=get,list,watch --resource=pods,configmaps >/dev/null
k create clusterrolebinding reader --clusterrole=reader --serviceaccount=default:reader >/dev/null
t_token() {
        log_in "$work/reader" "{\"token\": \"$reader\"}" && jq -e '.user == "system:serviceaccount:default:reader" and .idleSeconds > 3000' "$work/answer" &&
                code_is 200 GET /session -b "$work/reader" && jq -e '.user | test("reader$")' "$work/answer"
}
t_cookie() {
        ask POST /session -D "$work/head" --data-binary "{\"token\": \"$reader\"}" >/dev/null &&
                grep -iE '^set-cookie: __Host-dashboard=[A-Za-z0-9_-]{43}; Path=/; Secure; HttpOnly; SameSite=Strict' "$work/head"
}
t_bad_token() {
        code_is 401 POST /session --data-binary '{"token": "nobody"}' && grep -q 'wrong, has expired' "$work/answer" && code_is 400 POST /session --data-binary '{"token": "a b"}' &&
                code_is 400 POST /session --data-binary '{"token": "x", "code": "y"}' && code_is 400 POST /session --data-binary '{"token": 3}' && code_is 400 POST /session --data-binary '{'
}
kubeconfig_json() { jq -n --arg k "$(k config view --flatten --minify --raw)" '{kubeconfig: $k}'; }
t_kubeconfig() { log_in "$work/admin" "$(kubeconfig_json)" && jq -e '.user == "admin"' "$work/answer"; }
t_kubeconfig_is_only_text() { # neither files that it names nor programs are used
        code_is 400 POST /session --data-binary "$(jq -n --rawfile k "$work/admin.kubeconfig" '{kubeconfig: $k}')" && grep -q 'client-key-data' "$work/answer" &&
                code_is 400 POST /session --data-binary "$(jq -n --arg k "$(printf '%s\n' 'current-context: c' 'contexts: [{name: c, context: {user: u}}]' "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [$work/ran]}}}]")" '{kubeconfig: $k}')" &&
                grep -q 'a program' "$work/answer" && [ ! -e "$work/ran" ]
}
t_logout() {
        log_in "$work/gone" "{\"token\": \"$reader\"}" && cp "$work/gone" "$work/kept" && cp "$work/gone.proof" "$work/kept.proof" && code_is 200 DELETE /session -b "$work/gone" -c "$work/gone" &&
                code_is 401 GET /api/v1/pods -b "$work/kept"
}
t_relogin_ends_the_old_one() {
        log_in "$work/first" "{\"token\": \"$reader\"}" && code_is 200 POST /session -b "$work/first" -c "$work/second" --data-binary "{\"token\": \"$reader\"}" && jq -r .proof "$work/answer" >"$work/second.proof" &&
                code_is 401 GET /api/v1/pods -b "$work/first" && code_is 200 GET /api/v1/pods -b "$work/second"
}
t_cookie_alone() { # as a server on another port of the host would get it
        log_in "$work/half" "{\"token\": \"$reader\"}" && echo none >"$work/half.proof" && code_is 401 GET /api/v1/pods -b "$work/half" && cp "$work/reader.proof" "$work/half.proof" && code_is 401 GET /api/v1/pods -b "$work/half" && code_is 200 GET /session -b "$work/half" && jq -e '.user == null' "$work/answer"
}
t_large_login() { head -c 300000 /dev/zero | tr '\0' ' ' >"$work/blanks" && code_is 413 POST /session --data-binary "@$work/blanks"; }
ok "a token logs in, and the server says who it is" t_token
ok "the cookie is for HTTPS, for this host, and for no script" t_cookie
ok "the cookie is of no use without what the page keeps" t_cookie_alone
ok "a login that is too large is refused" t_large_login
ok "what is no token, or nobody's, is refused with the reason" t_bad_token
ok "a kubeconfig logs in with the certificate inside" t_kubeconfig
ok "a kubeconfig's files and programs are not used" t_kubeconfig_is_only_text
ok "logging out ends the session" t_logout
ok "logging in again ends the session before" t_relogin_ends_the_old_one

# --- links ---
code_from() { printf '%s' "$1" | socat -t 5 - "UNIX-CONNECT:$work/login.sock" | jq -r '.code // .error'; }
t_link_once() {
        local code
        code=$(code_from "$(admin_json)")
        log_in "$work/link" "{\"code\": \"$code\"}" && jq -e '.user == "admin"' "$work/answer" && code_is 401 POST /session --data-binary "{\"code\": \"$code\"}" && grep -q 'has been used' "$work/answer"
}
t_link_guess() { code_is 401 POST /session --data-binary '{"code": ""}' && code_is 401 POST /session --data-binary '{"code": "AAAA"}'; }
t_link_many() { # the oldest goes when there are too many
        local first last i
        first=$(code_from "$(admin_json)")
        for i in $(seq 16); do last=$(code_from "$(admin_json)"); done
        code_is 401 POST /session --data-binary "{\"code\": \"$first\"}" && code_is 200 POST /session --data-binary "{\"code\": \"$last\"}"
}
t_link_garbage() { [[ $(code_from 'no json') != "" ]] && [[ $(code_from '{"certificate": "x", "key": "y"}') == *PEM* ]] && [[ $(code_from '{}') == *token* ]]; }
t_link_socket() { equals "$(stat -c %a "$work/login.sock")" 600; }
ok "a code of the socket is good once" t_link_once
ok "codes cannot be guessed" t_link_guess
ok "only so many codes wait" t_link_many
ok "the socket says what is wrong with what it is handed" t_link_garbage
ok "the socket is its owner's" t_link_socket

# --- what is passed on ---
t_rights() { code_is 200 GET /api/v1/namespaces/default/pods -b "$work/reader" && code_is 403 GET /api/v1/secrets -b "$work/reader" && jq -e '.reason == "Forbidden"' "$work/answer" && code_is 401 GET /api/v1/pods; }
t_no_impersonation() { # neither this header nor a token of the browser's reaches the API server
        code_is 403 GET /api/v1/secrets -b "$work/reader" -H 'Impersonate-User: admin' -H 'Impersonate-Group: system:masters' && code_is 401 GET /api/v1/pods -H "Authorization: Bearer $reader"
}
t_write() {
        code_is 201 POST /api/v1/namespaces/default/configmaps -b "$work/admin" -H 'Content-Type: application/json' --data-binary '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}' &&
                code_is 200 PATCH /api/v1/namespaces/default/configmaps/a -b "$work/admin" -H 'Content-Type: application/merge-patch+json' --data-binary '{"data": {"x": "2"}}' &&
                equals "$(k get configmap a -o 'jsonpath={.data.x}')" 2 && code_is 403 DELETE /api/v1/namespaces/default/configmaps/a -b "$work/reader" && code_is 200 DELETE /api/v1/namespaces/default/configmaps/a -b "$work/admin"
}
t_table() { ask GET /api/v1/pods -b "$work/admin" -H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io' | jq -e '.kind == "Table"'; }
t_large() { # longer than any buffer on the way
        local i
        for i in 1 2 3 4; do
                head -c 700000 /dev/zero | tr '\0' x >"$work/large" && k create configmap "large-$i" --from-file="$work/large" >/dev/null || return 1
        done
        ask GET /api/v1/namespaces/default/configmaps -b "$work/admin" >"$work/list" && equals "$(jq '[.items[] | select(.metadata.name | startswith("large")) | .data.large | length] | add' "$work/list")" 2800000
}
t_paths() {
        code_is 404 GET /metrics.json -b "$work/admin" && code_is 404 GET /logs -b "$work/admin" && code_is 404 GET /apisx -b "$work/admin" && code_is 400 GET /api/v1//pods --path-as-is -b "$work/admin" &&
                code_is 400 GET /api/v1/../v1/pods --path-as-is -b "$work/admin" && code_is 400 GET /api/%2e%2e/metrics --path-as-is -b "$work/admin" && code_is 400 GET /api/v1/pods%0d%0aX:y -b "$work/admin"
}
t_yaml() {
        code_is 200 POST /yaml -b "$work/reader" --data-binary $'a: [1, yes]\n---\nb: "c"\n' && equals "$(jq -c . "$work/answer")" '[{"a":[1,true]},{"b":"c"}]' && code_is 400 POST /yaml -b "$work/reader" --data-binary 'a: [' && grep -q line "$work/answer" && code_is 401 POST /yaml --data-binary 'a: 1'
}
ok "requests are made with the user's rights, and without a session not at all" t_rights
ok "nobody becomes somebody else by a header" t_no_impersonation
ok "writes pass, with their content type" t_write
ok "tables pass, by the Accept header" t_table
ok "a long answer passes whole" t_large
ok "only paths of the API are passed on, and none that can be read in two ways" t_paths
ok "YAML is read for those who are logged in" t_yaml

# --- other pages, other names ---
t_header() { equals "$(curl -sk -o /dev/null -w '%{http_code}' -b "$work/admin" "$url/api/v1/pods")" 403 && equals "$(curl -sk -o /dev/null -w '%{http_code}' --data '{}' "$url/session")" 403; }
t_origin() { code_is 403 GET /api/v1/pods -b "$work/admin" -H 'Origin: https://evil.example' && code_is 403 GET /api/v1/pods -b "$work/admin" -H 'Origin: null' && code_is 403 GET /api/v1/pods -b "$work/admin" -H "Origin: http://127.0.0.1:$port" &&
        code_is 403 GET /api/v1/pods -b "$work/admin" -H 'Sec-Fetch-Site: same-site' && code_is 200 GET /api/v1/pods -b "$work/admin" -H "Origin: $url" -H 'Sec-Fetch-Site: same-origin'; }
t_preflight() { ask OPTIONS /api/v1/pods -D "$work/head" -H 'Origin: https://evil.example' -H 'Access-Control-Request-Headers: x-dashboard-request' >/dev/null; ! grep -qi '^access-control' "$work/head"; }
t_rebinding() { code_is 403 GET / -H 'Host: evil.example' && code_is 403 GET /api/v1/pods -b "$work/admin" -H "Host: evil.example:$port" && code_is 403 GET / -H 'Host: 127.0.0.1.evil.example' && code_is 403 GET / -H 'Host: [::1' && code_is 200 GET / -H "Host: localhost:$port" && code_is 200 GET / -H 'Host: [::1]:443'; }
t_headers() {
        ask GET / -D "$work/head" >/dev/null && grep -qi "^content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'" "$work/head" && grep -qi '^x-content-type-options: nosniff' "$work/head" && grep -qi '^x-frame-options: DENY' "$work/head" && ! grep -qi unsafe "$work/head" &&
                ask GET /api/v1/pods -b "$work/admin" -D "$work/head" >/dev/null && grep -qi "^content-security-policy: default-src 'none'; sandbox" "$work/head" && grep -qi '^cache-control: no-store' "$work/head"
}
t_page() { curl -sk --compressed "$url/" >"$work/page" && ! grep -qE '<script>|<style|style=|onclick' "$work/page" && for asset in $(grep -oE '/assets/[a-z.]+' "$work/page" | sort -u); do equals "$(curl -sk --compressed -o /dev/null -w '%{http_code}' "$url$asset")" 200 || return 1; done; }
t_etag() { tag=$(curl -skI "$url/assets/app.js" | tr -d '\r' | sed -n 's/^ETag: //Ip') && [ -n "$tag" ] && equals "$(curl -sk -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "$url/assets/app.js")" 304; }
t_metrics() { curl -sk "$url/metrics" | grep -E '^dashboard_sessions [1-9]'; }
ok "without the page's own header nothing is done" t_header
ok "requests of other origins are refused" t_origin
ok "no other origin is allowed anything" t_preflight
ok "a name that somebody made to lead here is refused" t_rebinding
ok "answers say what a browser may do with them: little" t_headers
ok "the page has no script or style inside, and all its files" t_page
ok "what the browser has already is not sent again" t_etag
ok "metrics are told" t_metrics

t_memory() {
        grep -qa __asan_init "$BIN/dashboard" || equals "$(awk '/VmRSS/ {print ($2 < 40960)}' "/proc/$(cat "$work/server")/status")" 1
}
ok "it is small" t_memory

# --- WebSockets ---
t_watch() { python3 "$here/sockets.py" "$port" "$work/admin" watch; }
t_watch_refused() { python3 "$here/sockets.py" "$port" "$work/reader" refused; }
t_socket_origin() { python3 "$here/sockets.py" "$port" "$work/admin" origins; }
t_socket_logout() { log_in "$work/leaving" "$(kubeconfig_json)" && python3 "$here/sockets.py" "$port" "$work/leaving" logout; }
t_socket_close() { python3 "$here/sockets.py" "$port" "$work/admin" close; }
t_socket_many() { python3 "$here/sockets.py" "$port" "$work/admin" many; }
ok "a watch comes as messages, after its status" t_watch
ok "a watch that is not allowed says so" t_watch_refused
ok "no other origin, and no unknown protocol, gets a WebSocket" t_socket_origin
ok "logging out ends the session's streams" t_socket_logout
ok "a watch that the browser closes ends" t_socket_close
t_socket_user() {
        local i
        for i in 1 2 3; do log_in "$work/user$i" "$(kubeconfig_json)" || return 1; done
        python3 "$here/sockets.py" "$port" "$work/user1" user "$work/user2" "$work/user3"
}
ok "one session has so many streams and no more" t_socket_many
ok "a user with many sessions has only so many streams" t_socket_user

# --- ports that lead to pods: with real pods in test/e2e/dashboard.sh ---
t_forwards() {
        local body='{"namespace": "default", "pod": "nobody", "port": 80}'
        code_is 401 POST /forwards --data "$body" && code_is 404 POST /forwards -b "$work/admin" --data "$body" && grep -qF 'pods \"nobody\" not found' "$work/answer" &&
                code_is 403 POST /forwards -b "$work/reader" --data "$body" && code_is 200 GET /forwards -b "$work/admin" && equals "$(cat "$work/answer")" '[]' &&
                code_is 400 POST /forwards -b "$work/admin" --data '{"namespace": "default", "pod": "a/b", "port": 80}' && code_is 400 POST /forwards -b "$work/admin" --data '{"namespace": "..", "pod": "a", "port": 80}' &&
                code_is 400 POST /forwards -b "$work/admin" --data '{"namespace": "default", "pod": "a", "port": 65536}' && code_is 404 DELETE '/forwards?at=80' -b "$work/admin" && code_is 400 DELETE '/forwards?at=x' -b "$work/admin"
}
ok "ports lead to pods that there are, for those who may" t_forwards

# --- lifetimes, trouble ---
t_bodies() { # strangers whose bodies do not end take nothing of what those who are logged in need
        python3 - "$port" <<'END' >"$work/bodies" 2>&1 &
import signal, socket, ssl, sys
tls = ssl._create_unverified_context()
held = []
for i in range(80):
    s = tls.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    size = 4 << 20 if i < 4 else 256 << 10
    s.sendall(b"POST /yaml HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size + b"x" * (size - 1))
    held.append(s)
print("held", flush=True)
signal.pause()
END
        local holder=$! result
        until_true 30 grep -q held "$work/bodies" && code_is 200 POST /yaml -b "$work/admin" --data 'a: 1' &&
                head -c 3000000 /dev/zero | tr '\0' '#' >"$work/large" && code_is 200 POST /yaml -b "$work/admin" --data-binary @"$work/large"
        result=$?
        kill "$holder"
        wait "$holder"
        return $result
}
t_sessions_are_bounded() { # who opens too many loses their own, not somebody else's
        local i
        for i in $(seq 260); do printf 'next\nurl = "%s/session"\ninsecure\nsilent\nheader = "X-Dashboard-Request: 1"\ndata = "{\\"token\\": \\"%s\\"}"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\n' "$url" "$reader"; done | sed 1d >"$work/many.curl"
        curl -K "$work/many.curl" | sort | uniq -c >"$work/codes"
        equals "$(awk '{print $2}' "$work/codes")" 200 && equals "$(curl -sk "$url/metrics" | sed -n 's/^dashboard_sessions //p')" 256 &&
                code_is 200 GET /api/v1/pods -b "$work/admin" && code_is 401 GET /api/v1/pods -b "$work/reader" &&
                log_in "$work/other" "{\"token\": \"$(token_of other)\"}" && code_is 200 GET /version -b "$work/other" && code_is 200 GET /api/v1/pods -b "$work/admin"
}
t_locked_key() { # a key with a password, which nobody is there to type
        local key
        key=$(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:secret 2>/dev/null | base64 -w0)
        printf 'current-context: c\ncontexts: [{name: c, context: {user: u, cluster: c}}]\nclusters: [{name: c, cluster: {server: "https://x"}}]\nusers: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]\n' "$(base64 -w0 "$work/admin.crt")" "$key" >"$work/locked"
        jq -n --rawfile k "$work/locked" '{kubeconfig: $k}' >"$work/locked.json"
        # At a terminal, where OpenSSL would ask.
        end && { script -qfec "$BIN/dashboard --server $api --certificate-authority $work/ca.crt --bind-address 127.0.0.1 --secure-port $port" /dev/null </dev/null >"$work/typescript" 2>&1 3>&- & }
        echo $! | tee "$work/server" >>"$work/pids"
        wait_for curl -skf "$url/healthz" && code_is 503 POST /session -m 5 --data-binary @"$work/locked.json" && ! grep -qi 'pass phrase' "$work/typescript"
        local result=$?
        end
        start && return $result
}
t_dead_server() {
        kill "$(cat "$work/apiserver.pid")" && wait_for _gone "$(cat "$work/apiserver.pid")" && code_is 503 GET /api/v1/pods -b "$work/admin" && grep -q 'does not answer' "$work/answer" &&
                apiserver_start "$work" "$(cat "$work/port")" && wait_for apiserver_ready "$work" && code_is 200 GET /api/v1/pods -b "$work/admin"
}
t_idle() {
        end && start --session-idle-timeout 1500ms && log_in "$work/idle" "{\"token\": \"$reader\"}" && until_true 20 code_is_idle
}
code_is_idle() { read -rt 2 <> <(:) || :; code_is 401 GET /api/v1/pods -b "$work/idle"; }
t_lifetime() { # used all the time, it ends all the same
        end && start --session-lifetime 2s && log_in "$work/idle" "{\"token\": \"$reader\"}" && until_true 20 code_is 401 GET /api/v1/pods -b "$work/idle"
}
requests() { curl -sk "$url/metrics" | sed -n "s/^dashboard_requests_total{kind=\"${1:-api}\"} //p"; } # [KIND]
more_requests_than() { [ "$(requests "${2:-api}")" -gt "$1" ]; }                                     # COUNT [KIND]
t_stop_waits_for_nobody() { # such as for a request that the API server does not answer
        local before result
        end && start && log_in "$work/last" "{\"token\": \"$reader\"}" && code_is 200 GET /api/v1/pods -b "$work/last" || return 1
        before=$(requests)
        kill -STOP "$(cat "$work/apiserver.pid")"
        ask GET /api/v1/pods -b "$work/last" >/dev/null &
        until_true 20 more_requests_than "$before" && end
        result=$?
        kill -CONT "$(cat "$work/apiserver.pid")"
        wait $!
        start && return $result
}
t_logout_waits_for_nobody() { # what was asked in the session ends with it
        local asked before code
        log_in "$work/last" "{\"token\": \"$reader\"}" && code_is 200 GET /api/v1/pods -b "$work/last" || return 1
        before=$(requests)
        kill -STOP "$(cat "$work/apiserver.pid")"
        curl -sk -m 60 -o /dev/null -w '%{http_code}' -H "X-Dashboard-Request: $(cat "$work/last.proof")" -b "$work/last" "$url/api/v1/pods" >"$work/asked" &
        asked=$!
        until_true 20 more_requests_than "$before" && code_is 200 DELETE /session -b "$work/last" && wait $asked && code=$(cat "$work/asked")
        kill -CONT "$(cat "$work/apiserver.pid")"
        wait $asked
        equals "$code" 503
}
t_login_slots() { # one address leaves a slot to others
        local i before
        before=$(requests session)
        kill -STOP "$(cat "$work/apiserver.pid")"
        for i in 1 2 3 4; do curl -sk -m 60 --interface 127.0.0.1 -o /dev/null -w '%{http_code}\n' -H 'X-Dashboard-Request: none' --data "{\"token\": \"$reader\"}" "$url/session" >"$work/slot$i" & done
        turned_away() { equals "$(cat "$work"/slot? | grep -c 429)" 2; }
        until_true 20 turned_away
        curl -sk -m 60 --interface 127.0.0.2 -o /dev/null -w '%{http_code}' -H 'X-Dashboard-Request: none' --data "{\"token\": \"$reader\"}" "$url/session" >"$work/slot5" &
        until_true 20 more_requests_than $((before + 4)) session
        kill -CONT "$(cat "$work/apiserver.pid")"
        wait
        turned_away && equals "$(cat "$work/slot5")" 200
}
t_stop() { end && [ ! -e "$work/login.sock" ]; }
t_flags() { "$BIN/dashboard" 2>&1 | grep -q -- '--server' && ! "$BIN/dashboard" --server http://x 2>/dev/null && "$BIN/dashboard" --server https://x --tls-cert-file y 2>&1 | grep -q belong; }
ok "an API server that is gone is told, and found again" t_dead_server
ok "bodies of strangers leave room for others" t_bodies
ok "there are only so many sessions" t_sessions_are_bounded
ok "a key with a password is refused, and nobody is asked for it" t_locked_key
ok "a session that nobody uses ends" t_idle
ok "a session ends at the end of its lifetime" t_lifetime
ok "it ends also while requests wait" t_stop_waits_for_nobody
ok "logging out ends what the session has asked" t_logout_waits_for_nobody
ok "logins of one address leave room for another" t_login_slots
ok "it ends in good order" t_stop
ok "flags that do not go together are refused" t_flags
ok "no complaints of sanitizers" no_complaints
tap_end
