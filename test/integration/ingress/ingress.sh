#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The ingress controller with a real control plane and a real HAProxy, before pods that pods.py plays. Prints TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
work=$(mktemp -d /tmp/coxswain-ingress.XXXXXX)
CP=$work
finish() {
        touch "$work/load.stop"
        end_controller TERM
        kill -9 $(pids_of "$work/ingress/haproxy.cfg") 2>/dev/null
        control_plane_stop "$work"
        rm -rf "$work"
}
trap finish EXIT
TAP_LINES=15 TAP_ON_FAILURE=show
show() { tail -qn 5 "$work"/*.log | cut -c1-300; }
pids_of() { pgrep -f -- "$1"; } # of this test's own folder
control_plane_start "$work" "$(free_port)" || { cat "$work"/*.log; exit 1; }

address=$(own_address)
base=$(free_port) http=$(free_port) pods=$((RANDOM % 20000 + 32000))
https=$((http + 1))
python3 "$here/pods.py" "$address" a=$pods b=$((pods + 1)) c=$((pods + 2)) >"$work/pods.log" 2>&1 3>&- &
echo $! >>"$work/pids"
wait_for grep -q ready "$work/pods.log" || exit 1

start_controller() { # FLAG...
        # As its manifest lets it: no more than that.
        [ -f "$work/ingress.kubeconfig" ] || kubeconfig_for "$work" ingress system:ingress-controller
        "$BIN/ingress-controller" --kubeconfig "$work/ingress.kubeconfig" --secure-port "$base" --bind-address 127.0.0.1 --client-ca-file "$work/ca.crt" --http-port "$http" --https-port "$https" \
                --publish-status-address 192.0.2.7 --folder "$work/ingress" "$@" >>"$work/ingress.log" 2>&1 3>&- &
        echo $! >"$work/controller.pid"
}
end_controller() { # SIGNAL
        local pid
        pid=$(cat "$work/controller.pid" 2>/dev/null) || return 0
        kill "-$1" "$pid" 2>/dev/null
        WAIT=20 wait_for _gone "$pid"
}
controller_ready() { curl -skf "https://127.0.0.1:$base/readyz"; }
metric() { curl -sk --cert "$work/admin.crt" --key "$work/admin.key" "https://127.0.0.1:$base/metrics" | awk -v name="$1" '$1 == name {print $2}'; }

# --- objects ---
class() { # NAME CONTROLLER [DEFAULT]
        k apply -f - <<<"{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: $1, annotations: {ingressclass.kubernetes.io/is-default-class: '${3:-false}'}}, spec: {controller: $2}}"
}
service() { # NAME: a Service with a named port, and a port of another number
        k apply -f - <<<"{apiVersion: v1, kind: Service, metadata: {name: $1}, spec: {ports: [{name: web, port: 80, targetPort: 8080}, {name: other, port: 81, targetPort: 8081}]}}"
}
slice() { # SERVICE PORT [CONDITIONS] [NAME]: one endpoint, ready
        k apply -f - <<<"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${4:-$1-1}, labels: {kubernetes.io/service-name: $1}}, addressType: IPv4, ports: [{name: web, port: $2}, {name: other, port: $2}], endpoints: [{addresses: [$address], conditions: {${3:-ready: true}}}]}"
}
ingress() { # NAME SPEC [ANNOTATION: VALUE...]: flow mappings' insides; of annotations without their prefix
        local name=$1 spec=$2 annotations="" text
        shift 2
        for text in "$@"; do annotations+="nginx.ingress.kubernetes.io/${text%%: *}: '${text#*: }', "; done
        k apply -f - <<<"{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: $name, annotations: {$annotations}}, spec: {$spec}}"
}
path() { echo "{path: $1, pathType: ${3:-Prefix}, backend: {service: {name: $2, port: {number: 80}}}}"; } # PATH SERVICE [TYPE]
rule() { # HOST PATHS...
        local host=$1
        shift
        local IFS=,
        echo "{${host:+host: '$host', }http: {paths: [$*]}}"
}
rules() { local IFS=,; echo "ingressClassName: haproxy, rules: [$*]"; }
secret() { # NAME HOST: a certificate for the host
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/$1.key" -out "$work/$1.crt" -days 3 \
                -subj "/O=$1/CN=$2" -addext "subjectAltName=DNS:$2" 2>/dev/null
        k create secret tls "$1" --cert="$work/$1.crt" --key="$work/$1.key" --dry-run=client -o yaml | k apply -f -
}
events() { k get events --field-selector "involvedObject.name=$1" -o jsonpath='{range .items[*]}{.type} {.reason}: {.message}{"\n"}{end}'; }
told() { events "$1" | grep -F "$2"; } # INGRESS TEXT

# --- requests ---
ask() { # HOST PATH [CURL'S...]
        local host=$1 path=$2
        shift 2
        curl -s --path-as-is --max-time 10 --noproxy '*' --resolve "$host:$http:127.0.0.1" --resolve "$host:$https:127.0.0.1" "$@" "http://$host:$http$path"
}
ask_tls() { # HOST PATH [CURL'S...]
        local host=$1 path=$2
        shift 2
        curl -sk --max-time 10 --noproxy '*' --resolve "$host:$https:127.0.0.1" "$@" "https://$host:$https$path"
}
pod_of() { ask "$@" | jq -r .pod; }
code_of() { ask "$@" -o /dev/null -w '%{http_code}'; }
goes_to() { equals "$(pod_of "$1" "$2" "${@:4}")" "$3"; } # HOST PATH POD
answers() { equals "$(code_of "$1" "$2" "${@:4}")" "$3"; } # HOST PATH CODE
soon() { until_true 30 "$@"; }
subject() { echo | openssl s_client -connect "127.0.0.1:$https" -servername "$1" 2>/dev/null | sed -n 's/^subject=//p'; }
presents() { subject "$1" | grep -q "$2" || { subject "$1"; return 1; }; } # HOST NAME

# One request after the other until load_ends; that fails when any of them did.
load_begins() { # COMMAND...: prints the status
        rm -f "$work/load.stop" "$work/load.log"
        (until [ -e "$work/load.stop" ]; do "$@" >>"$work/load.log"; echo >>"$work/load.log"; done) >/dev/null 2>&1 &
        load=$!
}
load_count() { [ "$(wc -l <"$work/load.log")" -gt "$1" ]; }
load_ends() {
        until_true 60 load_count $(($(wc -l <"$work/load.log") + 20))
        touch "$work/load.stop"
        wait "$load"
        ! grep -vnx 200 "$work/load.log"
}

k apply -f "$here/../../../addons/ingress/addon.yaml" >/dev/null || exit 1
for name in a b c; do
        service $name
        slice $name $((pods + $(printf '%d' "'$name") - 97))
done >/dev/null
start_controller --default-backend-service default/none
WAIT=30 wait_for controller_ready || { cat "$work/ingress.log"; exit 1; }

t_routes() {
        ingress shop "$(rules "$(rule shop.example.com "$(path / a)" "$(path /cart b)" "$(path /cart c Exact)" "$(path /cart/old/ c)")")" &&
                soon goes_to shop.example.com / a && goes_to shop.example.com /x a && goes_to shop.example.com /cart c &&
                goes_to shop.example.com /cart/ b && goes_to shop.example.com /cart/x?y=z b && goes_to shop.example.com /cartoon a &&
                goes_to shop.example.com /cart/old c && goes_to shop.example.com /cart/old/x c && goes_to shop.example.com /cart/older b &&
                goes_to SHOP.example.com. /cart c && answers other.example.com / 503
}
t_hosts() {
        ingress wild "$(rules "$(rule '*.wild.example.com' "$(path / a)")" "$(rule one.wild.example.com "$(path /only b)")" "$(rule '' "$(path /any c)")")" &&
                soon goes_to x.wild.example.com / a && answers wild.example.com / 503 && answers y.x.wild.example.com / 503 &&
                goes_to one.wild.example.com /only b && answers one.wild.example.com / 503 && goes_to elsewhere.org /any/thing c
}
t_ports() {
        ingress ports "$(rules "{host: ports.example.com, http: {paths: [{path: /named, pathType: Prefix, backend: {service: {name: a, port: {name: other}}}}, {path: /numbered, pathType: ImplementationSpecific, backend: {service: {name: b, port: {number: 81}}}}, {path: /wrong, pathType: Prefix, backend: {service: {name: b, port: {number: 82}}}}]}}")" &&
                soon goes_to ports.example.com /named a && goes_to ports.example.com /numbered/x b && answers ports.example.com /wrong 503 &&
                soon told ports 'Warning PortNotFound: host ports.example.com, path /wrong: the Service default/b has no TCP port 82'
}
t_clean() { # what a server would take for another path is looked up as that, and passed on as it came
        ingress clean "$(rules "$(rule clean.example.com "$(path / a)" "$(path /private b)" "$(path /caf%C3%A9 c)")")" &&
                soon goes_to clean.example.com / a || return 1
        local path
        for path in /private //private /./private /x/../private /%70rivate /x/%2e%2e/private /x//../../private /private%2Fx; do
                goes_to clean.example.com "$path" b && equals "$(ask clean.example.com "$path" | jq -r .path)" "$path" || { echo "$path"; return 1; }
        done
        for path in /x/..%2fprivate /x%2f..%2fprivate /%2fprivate /x/%2e%2e%2fprivate; do
                answers clean.example.com "$path" 400 || { echo "$path"; return 1; }
        done
        goes_to clean.example.com /café c && goes_to clean.example.com /caf%c3%a9 c && goes_to clean.example.com '/x;y=(1)' a
}
t_default() {
        ingress fallback "ingressClassName: haproxy, defaultBackend: {service: {name: c, port: {number: 80}}}, rules: [$(rule fallback.example.com "$(path /a a)")]" &&
                soon goes_to fallback.example.com /b c && goes_to fallback.example.com /a a && goes_to unknown.example.com / c && answers one.wild.example.com / 503 &&
                service none && slice none $((pods + 1)) && soon goes_to one.wild.example.com / b && k delete ingress fallback && soon goes_to unknown.example.com / b &&
                k delete service none && soon answers unknown.example.com / 503
}
t_conflict() { # the oldest has it
        ingress second "$(rules "$(rule shop.example.com "$(path /cart a)" "$(path /new b)")")" && soon goes_to shop.example.com /new b &&
                goes_to shop.example.com /cart/x b && soon told second 'Warning Conflict: host shop.example.com, path /cart: the older Ingress default/shop has it already' &&
                k delete ingress shop && soon goes_to shop.example.com /cart/x a && k delete ingress second && soon answers shop.example.com /cart 503
}
t_missing() {
        ingress missing "$(rules "$(rule missing.example.com "$(path / nobody)" "$(path /elsewhere outside)" '{path: /thing, pathType: Prefix, backend: {resource: {apiGroup: x.io, kind: Thing, name: t}}}')")" &&
                k apply -f - <<<'{apiVersion: v1, kind: Service, metadata: {name: outside}, spec: {type: ExternalName, externalName: kubernetes.default.svc}}' &&
                soon answers missing.example.com / 503 && soon answers missing.example.com /elsewhere 503 && answers missing.example.com /thing 503 &&
                soon told missing 'Warning ServiceNotFound: host missing.example.com, path /: there is no Service default/nobody' &&
                soon told missing 'Warning ExternalName:' && soon told missing 'Warning ResourceBackend:' &&
                service nobody && slice nobody "$pods" && soon goes_to missing.example.com / a
}
t_endpoints() { # ready ones; when there is none, those that still serve; then nothing
        service moving && slice moving "$pods" && ingress moving "$(rules "$(rule moving.example.com "$(path / moving)")")" && soon goes_to moving.example.com / a &&
                slice moving $((pods + 1)) 'ready: true' moving-2 && slice moving "$pods" 'ready: false, serving: true, terminating: true' || return 1
        both() { equals "$(for _ in 1 2 3 4; do pod_of moving.example.com /; done | sort -u | xargs)" "$1"; }
        soon both b && slice moving $((pods + 1)) 'ready: false, serving: false' moving-2 && soon both a &&
                slice moving "$pods" 'ready: false, serving: false' && soon answers moving.example.com / 503 && slice moving $((pods + 2)) && soon both c
}
t_special() { # nobody sends requests to where the controller runs
        service inside && k apply -f - <<<"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: inside, labels: {kubernetes.io/service-name: inside}}, addressType: IPv4, ports: [{name: web, port: 80}], endpoints: [{addresses: [127.0.0.1]}]}"
        ingress inside "$(rules "$(rule inside.example.com "$(path / inside)")")" && soon answers inside.example.com / 503
}
t_tls() {
        secret cert secure.example.com && ingress secure "$(rules "$(rule secure.example.com "$(path / a)")"), tls: [{hosts: [secure.example.com], secretName: cert}]" &&
                soon presents secure.example.com cert && presents nosuch.example.com Fake && equals "$(ask_tls secure.example.com / | jq -r '.headers["x-forwarded-proto"]')" https &&
                equals "$(ask_tls secure.example.com / --http2 -o /dev/null -w '%{http_version}')" 2 && equals "$(ask_tls secure.example.com / --http1.1 -o /dev/null -w '%{http_version}')" 1.1 &&
                equals "$(ask secure.example.com /x?y -o /dev/null -w '%{http_code} %{redirect_url}')" "308 https://secure.example.com:$http/x?y" &&
                ingress secure "$(rules "$(rule secure.example.com "$(path / a)")"), tls: [{hosts: [secure.example.com], secretName: cert}]" 'ssl-redirect: false' && soon goes_to secure.example.com / a
}
t_tls_changes() { # under load, without a request that fails
        local loads
        loads=$(metric ingress_controller_proxy_loads)
        load_begins ask_tls secure.example.com / -o /dev/null -w '%{http_code}'
        openssl req -x509 -key "$work/cert.key" -out "$work/cert.crt" -days 3 -subj /O=renewed -addext subjectAltName=DNS:secure.example.com 2>/dev/null
        k create secret tls cert --cert="$work/cert.crt" --key="$work/cert.key" --dry-run=client -o yaml | k apply -f - && soon presents secure.example.com renewed &&
                secret other secure.example.com && ingress secure "$(rules "$(rule secure.example.com "$(path / a)")"), tls: [{hosts: [secure.example.com], secretName: other}]" 'ssl-redirect: false' &&
                soon presents secure.example.com other && load_ends && equals "$(metric ingress_controller_proxy_loads)" "$loads"
}
t_tls_wrong() {
        k create secret generic broken --type=kubernetes.io/tls --from-literal=tls.crt=no --from-file=tls.key="$work/cert.key"
        secret stranger elsewhere.example.com
        ingress broken "$(rules "$(rule broken.example.com "$(path / a)")"), tls: [{hosts: [broken.example.com], secretName: broken}, {hosts: [later.example.com], secretName: later}, {hosts: [strange.example.com], secretName: stranger}]" &&
                soon told broken 'Warning CertificateProblem: the Secret default/broken has no certificate in tls.crt (PEM): the host broken.example.com gets the default certificate' &&
                soon told broken 'Warning CertificateProblem: the Secret default/later does not exist' &&
                soon told broken 'Warning CertificateMismatch: the certificate of the Secret default/stranger is not for the host strange.example.com' &&
                presents broken.example.com Fake && secret later later.example.com && soon presents later.example.com later &&
                ingress thief "$(rules "$(rule later.example.com "$(path /t b)")"), tls: [{hosts: [later.example.com], secretName: stranger}]" &&
                soon told thief 'Warning Conflict: the host later.example.com has its certificate from the Secret default/later of an older Ingress' && presents later.example.com later &&
                k delete secret later && soon presents later.example.com Fake
}
t_wild_tls() {
        secret wildcert '*.tls.example.com' && ingress wildtls "$(rules "$(rule '*.tls.example.com' "$(path / a)")"), tls: [{hosts: ['*.tls.example.com'], secretName: wildcert}]" &&
                soon presents x.tls.example.com wildcert && presents y.x.tls.example.com Fake && answers x.tls.example.com / 308 &&
                k delete ingress wildtls && soon presents x.tls.example.com Fake
}
t_headers() {
        local got
        got=$(ask moving.example.com / -H 'X-Forwarded-For: 1.2.3.4' -H 'X-Real-IP: 1.2.3.4' -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-User: root' -H 'Forwarded: for=1.2.3.4' -H 'X_Forwarded_For: 1.2.3.4' -H 'X-Original-URI: /x' -H 'Proxy: x' | jq -cS '.headers | del(.["user-agent"], .accept)')
        equals "$got" '{"host":"moving.example.com:'"$http"'","x-forwarded-for":"127.0.0.1","x-forwarded-host":"moving.example.com:'"$http"'","x-forwarded-port":"'"$http"'","x-forwarded-proto":"http","x-forwarded-scheme":"http","x-real-ip":"127.0.0.1","x-scheme":"http"}'
}
t_upgrade() {
        local got
        exec 5<>"/dev/tcp/127.0.0.1/$http"
        printf 'GET /upgrade HTTP/1.1\r\nHost: moving.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n' >&5
        until read -rt 10 got <&5 && [ "$got" = $'\r' ]; do [ -n "$got" ] || return 1; done
        echo hello >&5 && read -rt 10 got <&5
        exec 5>&-
        equals "$got" hello
}
plain() { ingress plain "$(rules "$(rule plain.example.com "$(path / a)")")" "$@"; }
t_users() {
        local hash
        for hash in m B s 5; do htpasswd -b$hash"$([ -s "$work/auth" ] || echo c)" "$work/auth" "user$hash" "pass $hash:" || return 1; done 2>/dev/null
        plain 'auth-type: basic' 'auth-secret: users' 'auth-realm: The back room' && soon answers plain.example.com / 401 &&
                soon told plain 'Warning AuthSecret: the Secret default/users of the users does not exist' && answers plain.example.com / 401 -u userm:x &&
                k create secret generic users --from-file=auth="$work/auth" || return 1
        for hash in m B s 5; do soon answers plain.example.com / 200 -u "user$hash:pass $hash:" && answers plain.example.com / 401 -u "user$hash:pass" || return 1; done
        answers plain.example.com / 401 -u nobody: && answers plain.example.com / 401 -H 'Authorization: Basic !!!' && answers plain.example.com / 401 -H 'Authorization: Bearer x' &&
                ask plain.example.com / -i | grep -qi '^www-authenticate: Basic realm="The back room"' &&
                k create secret generic users --from-literal=auth="new:$(openssl passwd -6 word)" --dry-run=client -o yaml | k apply -f - &&
                soon answers plain.example.com / 200 -u new:word && answers plain.example.com / 401 -u "userm:pass m:" &&
                plain 'auth-type: basic' 'auth-secret: usermap' 'auth-secret-type: auth-map' && k create secret generic usermap --from-literal=ann="$(openssl passwd -apr1 word)" &&
                soon answers plain.example.com / 200 -u ann:word && answers plain.example.com / 401 -u new:word
}
t_auth_elsewhere() { # a Secret of another namespace is not this one's to use
        plain 'auth-type: basic' 'auth-secret: kube-system/users' && soon answers plain.example.com / 503 && soon told plain "must be in the Ingress' own namespace"
}
t_networks() {
        plain 'whitelist-source-range: 10.0.0.0/8, 192.0.2.0/25' && soon answers plain.example.com / 403 && plain 'whitelist-source-range: 10.0.0.0/8,126.0.0.0/7' && soon goes_to plain.example.com / a &&
                plain 'denylist-source-range: 127.0.0.1' && soon answers plain.example.com / 403 && plain 'denylist-source-range: 128.0.0.0/1' && soon goes_to plain.example.com / a &&
                plain 'whitelist-source-range: 10.0.0.0/8,nonsense' && soon answers plain.example.com / 503 && soon told plain 'whitelist-source-range: the value must be addresses or networks' &&
                plain 'allowlist-source-range: 0.0.0.0/0' && soon goes_to plain.example.com / a
}
t_refused() { # what might keep strangers out is never left out silently
        local name
        for name in auth-url configuration-snippet auth-tls-secret enable-modsecurity no-such-thing canary; do
                ingress "with-$name" "$(rules "$(rule "$name.example.com" "$(path / a)")")" "$name: \"true\"" && soon answers "$name.example.com" / 503 &&
                        soon told "with-$name" "Warning Refused: annotation nginx.ingress.kubernetes.io/$name is not supported: remove it; until then all its paths answer 503" || { echo "$name"; return 1; }
        done
        ingress tuned "$(rules "$(rule tuned.example.com "$(path / a)")")" 'proxy-buffering: on' && soon goes_to tuned.example.com / a &&
                soon told tuned 'Warning AnnotationIgnored: annotation nginx.ingress.kubernetes.io/proxy-buffering is not supported: it has no effect'
}
t_limits() {
        codes() { for _ in $(seq "$1"); do code_of plain.example.com /; echo; done | sort | uniq -c | xargs; }
        plain 'limit-rps: 1' && soon eval 'codes 8 | grep -q 429' && plain 'limit-rpm: 1000' && soon eval 'equals "$(codes 8)" "8 200"' && plain 'limit-connections: 1' || return 1
        at_once() { (for _ in 1 2 3; do code_of plain.example.com /sleep/1 & done; wait) | fold -w 3 | sort | uniq -c | xargs; }
        soon eval 'equals "$(at_once)" "1 200 2 429"' && plain && soon eval 'equals "$(at_once)" "3 200"'
}
t_body() {
        head -c 3000 /dev/zero >"$work/3k"
        plain 'proxy-body-size: 2k' && soon answers plain.example.com / 413 --data-binary "@$work/3k" && answers plain.example.com / 200 -d small && answers plain.example.com / 200 &&
                answers plain.example.com / 413 -H 'Transfer-Encoding: chunked' --data-binary "@$work/3k" && answers plain.example.com / 411 -H 'Transfer-Encoding: chunked' -d small && plain 'proxy-body-size: 0' && soon answers plain.example.com / 200 --data-binary "@$work/3k"
}
t_timeouts() { plain 'proxy-read-timeout: 1' && soon answers plain.example.com /sleep/3 504 && plain 'proxy-read-timeout: 10s' && soon answers plain.example.com /sleep/2 200; }
t_rewrite() {
        local to
        to() { equals "$(ask rewrite.example.com "$1" | jq -r .path)" "$2"; }
        rewritten() { ingress rewrite "$(rules "$(rule rewrite.example.com "$(path "$1" a ImplementationSpecific)" "$(path /plain b)")")" "${@:2}"; }
        rewritten '/api/v1(/|$)(.*)' 'rewrite-target: /$2' 'use-regex: true' && soon to /api/v1/x/y?z=1 /x/y?z=1 && to /api/v1 / && to /api/v1/ / && to /api/v1/a%20b/../c%2Fd /c%2Fd && to /plain/x / && answers rewrite.example.com /api/v10 503 &&
                rewritten '/api/(.*)' 'rewrite-target: /root/$1' && soon to /api/x /root/x && rewritten /fixed 'rewrite-target: /there' && soon to /fixed/x /there &&
                rewritten '/(a|b)' 'rewrite-target: /$1' && soon answers rewrite.example.com /a 503 && answers rewrite.example.com /plain 503 && soon told rewrite 'Warning Refused: path /(a|b)'
}
t_redirects() {
        local at
        at() { equals "$(ask plain.example.com "$1" -o /dev/null -w '%{http_code} %{redirect_url}')" "$2"; }
        plain 'permanent-redirect: https://example.org/new?a=b' && soon at /x '301 https://example.org/new?a=b' && plain 'temporal-redirect: http://example.org/' && soon at / '302 http://example.org/' &&
                plain 'permanent-redirect: https://example.org/' 'permanent-redirect-code: 308' && soon at /x '308 https://example.org/' && plain 'app-root: /app' && soon at / "302 http://plain.example.com:$http/app" && goes_to plain.example.com /app a &&
                plain 'force-ssl-redirect: true' && soon at / "308 https://plain.example.com:$http/" && plain 'permanent-redirect: javascript:x' && soon answers plain.example.com / 503
}
t_sticky() {
        service many && slice many "$pods" && slice many $((pods + 1)) 'ready: true' many-2 && slice many $((pods + 2)) 'ready: true' many-3 || return 1
        ingress sticky "$(rules "$(rule sticky.example.com "$(path / many)")")" 'affinity: cookie' 'session-cookie-name: whom' 'session-cookie-max-age: 60' 'session-cookie-samesite: Lax' || return 1
        has_cookie() { ask sticky.example.com / -i | grep -qiE '^set-cookie: whom=[0-9a-f]{16}; path=/; HttpOnly; Max-Age=60; SameSite=Lax'; }
        soon has_cookie || { ask sticky.example.com / -i; return 1; }
        first=$(pod_of sticky.example.com / -c "$work/jar")
        same() { equals "$(for _ in 1 2 3 4 5 6; do pod_of sticky.example.com / -b "$work/jar"; done | sort -u)" "$first"; }
        same && slice many "$pods" 'ready: true' many-4 && same # a fourth comes
}
t_classes() {
        local status
        status() { equals "$(k get ingress "$1" -o 'jsonpath={.status.loadBalancer.ingress[*].ip}')" "$2"; }
        plain && soon goes_to plain.example.com / a && soon status plain 192.0.2.7 && class other example.com/other && k patch ingress plain -p '{"spec":{"ingressClassName":"other"}}' && soon status plain '' && soon answers plain.example.com / 503 &&
                k patch ingress plain -p '{"spec":{"ingressClassName":null},"metadata":{"annotations":{"kubernetes.io/ingress.class":"haproxy"}}}' && soon status plain 192.0.2.7 && soon goes_to plain.example.com / a || return 1
        plain && soon goes_to plain.example.com / a && k annotate ingress plain kubernetes.io/ingress.class=other --overwrite && k patch ingress plain --type=json -p '[{"op":"remove","path":"/spec/ingressClassName"}]' && soon answers plain.example.com / 503
        k delete ingress plain && k apply -f - <<<"{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: plain}, spec: {rules: [$(rule plain.example.com "$(path / a)")]}}" && soon goes_to plain.example.com / a &&
                equals "$(k get ingress plain -o 'jsonpath={.spec.ingressClassName}')" haproxy
}
t_rolling() { # pods come and go under load; the proxy loads nothing anew
        local loads turn
        loads=$(metric ingress_controller_proxy_loads)
        load_begins code_of moving.example.com /
        for turn in 0 1 2 0 1 2; do
                slice moving $((pods + turn)) 'ready: true' moving-2 && soon goes_to moving.example.com / "$(printf 'abc' | cut -c$((turn + 1)))" && slice moving $((pods + turn)) || return 1
                k delete endpointslice moving-2
        done
        load_ends && equals "$(metric ingress_controller_proxy_loads)" "$loads"
}
t_many() { # more than there are free backends: the proxy loads a larger configuration under load
        local loads
        loads=$(metric ingress_controller_proxy_loads)
        load_begins code_of moving.example.com /
        for i in $(seq 80); do
                printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"s%d"},"spec":{"ports":[{"name":"web","port":80}]}}\n---\n{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s%d","labels":{"kubernetes.io/service-name":"s%d"}},"addressType":"IPv4","ports":[{"name":"web","port":%d}],"endpoints":[{"addresses":["%s"]}]}\n---\n' $i $i $i "$pods" "$address"
                printf '{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"many-%d"},"spec":{"ingressClassName":"haproxy","rules":[{"host":"h%d.many.example.com","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"s%d","port":{"number":80}}}}]}}]}}\n---\n' $i $i $i
        done >"$work/many.yaml"
        k apply -f "$work/many.yaml" >/dev/null && soon goes_to h80.many.example.com / a && goes_to h1.many.example.com / a && load_ends &&
                [ "$(metric ingress_controller_proxy_loads)" -gt "$loads" ] && k delete -f "$work/many.yaml" --wait=false >/dev/null && soon answers h80.many.example.com / 503
}
t_killed() { # the proxy goes on, and the next controller takes it over
        local proxy
        proxy=$(cat "$work/ingress/haproxy.pid")
        load_begins code_of moving.example.com /
        end_controller KILL
        touch "$work/ingress/certs/stale.pem" "$work/ingress/secrets/stale.pem"
        goes_to moving.example.com / c && start_controller --default-backend-service default/none && WAIT=30 wait_for controller_ready && goes_to moving.example.com / c &&
                slice moving "$pods" && soon goes_to moving.example.com / a && load_ends && equals "$(cat "$work/ingress/haproxy.pid")" "$proxy" &&
                equals "$(find "$work/ingress" -name stale.pem)" ""
}
t_proxy_killed() {
        kill -9 "$(cat "$work/ingress/haproxy.pid")" && soon goes_to moving.example.com / a && grep -q 'The proxy ended' "$work/ingress.log" || return 1
        kill -9 $(pids_of "$work/ingress/haproxy.cfg" | grep -vx "$(cat "$work/ingress/haproxy.pid")") && soon goes_to moving.example.com / a
}
t_private() { # keys and the way to rule the proxy are root's alone; the proxy itself is somebody else
        local worker
        worker=$(pids_of "$work/ingress/haproxy.cfg" | grep -vx "$(cat "$work/ingress/haproxy.pid")" | tail -n 1)
        equals "$(stat -c %a "$work/ingress")" 700 && equals "$(stat -c %a "$work/ingress/control.sock")" 600 && equals "$(find "$work/ingress" -name '*.pem' -perm /077)" "" &&
                equals "$(find "$work/ingress" -name '*.cfg' -perm /077)" "" && { [ "$(id -u)" -ne 0 ] || equals "$(ps -o user= -p "$worker")" haproxy; } && equals "$(readlink "/proc/$worker/root")" "$work/ingress/jail"
}
t_port_taken() { # why the proxy does not start is said, and it starts once it can
        python3 "$here/pods.py" 0.0.0.0 taker="$http" >/dev/null 2>&1 3>&- &
        local taker=$!
        until_true 20 curl -s "http://127.0.0.1:$http/" && start_controller && soon grep -q "Cannot bring the Ingresses into the proxy.*$http" "$work/ingress.log"
        kill "$taker"
        WAIT=20 wait_for controller_ready && goes_to moving.example.com / a && end_controller TERM
}
t_stopped() {
        end_controller TERM
        equals "$(find "$work/ingress" -name '*.pem')" "" && ! pids_of "$work/ingress/haproxy.cfg" && ! curl -s --max-time 2 "http://127.0.0.1:$http/"
}
t_allowed() { ! grep -h 'forbidden: User' "$work/ingress.log"; }
ok "paths: exact before prefixes, the longest prefix, by elements" t_routes
ok "hosts: exact before wildcards of one label, and any host" t_hosts
ok "ports by name and by number" t_ports
ok "paths are looked up as servers understand them" t_clean
ok "default backends: of the Ingress, then of the controller" t_default
ok "of two the older has it" t_conflict
ok "Services that are missing, outside, or none" t_missing
ok "endpoints: ready, else serving, else 503" t_endpoints
ok "no endpoint leads to the controller's own machine" t_special
ok "TLS by SNI, HTTP/2, redirect to HTTPS" t_tls
ok "certificates change under load" t_tls_changes
ok "Secrets that are missing, broken, of another host, or of two" t_tls_wrong
ok "wildcard certificates" t_wild_tls
ok "headers of clients are not believed" t_headers
ok "connections are upgraded" t_upgrade
ok "users and passwords" t_users
ok "users of another namespace are refused" t_auth_elsewhere
ok "source ranges" t_networks
ok "what is not supported is refused, or told" t_refused
ok "limits" t_limits
ok "the size of bodies" t_body
ok "timeouts" t_timeouts
ok "rewriting" t_rewrite
ok "redirects" t_redirects
ok "sticky sessions" t_sticky
ok "classes, and the status" t_classes
ok "endpoints change under load, and nothing is loaded" t_rolling
ok "more backends than there is room for" t_many
ok "the controller is killed" t_killed
ok "the proxy is killed" t_proxy_killed
ok "what is private" t_private
ok "the controller may do what it does" t_allowed
ok "the controller ends, and the proxy with it" t_stopped
ok "the port is somebody else's" t_port_taken
ok "nothing was complained about" no_complaints
tap_end
