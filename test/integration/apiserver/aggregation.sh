#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# API servers behind the aggregator: a real one beside the cluster (aggregated.py), reached by its Service. TAP.
set -u
. "$(dirname "$0")/judge.sh"
here=$(cd "$(dirname "$0")" && pwd)
CP=$work
TAP_ON_FAILURE=show TAP_LINES=12
show() { k get apiservice v1.wares.test.example -o "jsonpath={.status}"; tail -qn 4 "$work"/*.log | cut -c1-300; }

aggregating_control_plane_start "$work" "$port" || { cat "$work"/*.log; exit 1; }
_pki_cert "$work" wares /CN=wares serverAuth "DNS:wares.default.svc"
address=$(own_address)
wares_port=$(free_port)
wares_start() {
        python3 "$here/aggregated.py" "$work" "$address" "$wares_port" >>"$work/wares.log" 2>&1 3>&- &
        echo $! | tee "$work/wares.pid" >>"$work/pids"
}
wares_stop() { kill -9 "$(cat "$work/wares.pid")"; }
ask() { # PATH [CURL FLAG...]: as the admin
        curl -s --cacert "$work/ca.crt" --cert "$work/admin.crt" --key "$work/admin.key" "https://127.0.0.1:$port$1" "${@:2}"
}

service() { # with endpoints of its own, as nobody runs controllers here
        k apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: wares}
spec: {ports: [{name: https, port: 443, targetPort: $wares_port}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: wares}
subsets: [{addresses: [{ip: $address}], ports: [{name: https, port: $wares_port}]}]
YAML
}
register() { # CA
        k apply -f - <<YAML
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.wares.test.example}
spec:
  group: wares.test.example
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  caBundle: $(base64 -w0 <"$1")
  service: {namespace: default, name: wares}
YAML
}
condition() { k get apiservice v1.wares.test.example -o "jsonpath={.status.conditions[?(@.type=='Available')].$1}"; }
reason_is() { equals "$(condition reason)" "$1"; }
message_is() { equals "$(condition message)" "$1"; }

t_local() {
        until_true 30 k get apiservice v1.apps && equals "$(k get apiservice v1.apps --no-headers | awk '{print $1, $2, $3}')" "v1.apps Local True" &&
                equals "$(k get apiservice v1. -o 'jsonpath={.metadata.labels.kube-aggregator\.kubernetes\.io/automanaged} {.spec.groupPriorityMinimum}')" "onstart 18000" &&
                ! k get apiservice v1.apiregistration.k8s.io
}
t_local_again() { k delete apiservice v1.batch && until_true 30 k get apiservice v1.batch; }
t_config() {
        equals "$(k -n kube-system get configmap extension-apiserver-authentication -o 'jsonpath={.data.requestheader-client-ca-file}')" "$(cat "$work/front.crt")" &&
                equals "$(k -n kube-system get configmap extension-apiserver-authentication -o 'jsonpath={.data.requestheader-allowed-names}')" '["front-proxy-client"]' &&
                equals "$(k -n kube-system get configmap extension-apiserver-authentication -o 'jsonpath={.data.client-ca-file}')" "$(cat "$work/ca.crt")"
}
refused() { # WORDS YAML
        local out
        out=$(k create -f - <<<"$2" 2>&1) && return 1
        grep -qF "$1" <<<"$out" || { echo "$out"; return 1; }
}
remote() { echo "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: $1}, spec: {group: g.test, version: v1, groupPriorityMinimum: 1, versionPriority: 1, $2}}"; }
t_validation() {
        refused 'must be `spec.version+"."+spec.group`: "v1.g.test"' "$(remote v1.other "service: {namespace: a, name: b}")" &&
                refused 'spec.service.name: Required value' "$(remote v1.g.test "service: {namespace: a}")" &&
                refused 'may not be true if caBundle is present' "$(remote v1.g.test "caBundle: YQ==, insecureSkipTLSVerify: true, service: {namespace: a, name: b}")" &&
                refused 'local APIServices may not have insecureSkipTLSVerify' "$(remote v1.g.test "insecureSkipTLSVerify: true")"
}
t_absent() { register "$work/ca.crt" && until_true 30 reason_is ServiceNotFound && message_is 'service/wares in "default" is not present'; }
t_unserved() { # says so, harms nobody else, and keeps its place
        local out
        out=$(k get --raw /apis/wares.test.example/v1 2>&1)
        grep -q 'currently unable to handle the request' <<<"$out" || { echo "$out"; return 1; }
        k get --raw /apis | grep -q '"wares.test.example"' && k get deployments -A &&
                ask /apis -H 'Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' | jq -e '.items[] | select(.metadata.name == "wares.test.example") | .versions[0].freshness == "Stale"'
}
t_dead() { service && until_true 30 reason_is FailedDiscoveryCheck; }
t_available() { wares_start; until_true 60 reason_is Passed && message_is 'all checks passed'; }
t_round() {
        until_true 30 k get wares -A || return 1
        k create -f - <<<'{"apiVersion":"wares.test.example/v1","kind":"Ware","metadata":{"name":"hammer"},"price":900}' &&
                equals "$(k get wa hammer -o 'jsonpath={.price}')" 900 && equals "$(k get wares -A -o name)" ware.wares.test.example/hammer &&
                ! k get wares saw && k delete ware hammer && equals "$(k get wares -o name)" ""
}
wares=/apis/wares.test.example/v1/wares
header_is() { grep -qixF "$1: $2" "$work/headers" || { cat "$work/headers"; return 1; }; }
t_identity() {
        ask $wares -f -H 'Impersonate-User: jane' -H 'Impersonate-Group: system:masters' -H 'Impersonate-Group: sales' \
                -H 'Impersonate-Uid: 17' -H 'Impersonate-Extra-acme.example%2fno%201: 7' || return 1
        header_is X-Remote-User jane && header_is X-Remote-Group sales && header_is X-Remote-Group system:authenticated && header_is X-Remote-Uid 17 &&
                header_is X-Remote-Extra-acme.example%2Fno%201 7 && ! grep -i '^Authorization\|^Impersonate' "$work/headers"
}
t_forged() { # who asks says who they are
        ask $wares -f -H 'X-Remote-User: root' -H 'X-Remote-Group: root' -H 'X-Remote-Extra-Scopes: all' || return 1
        header_is X-Remote-User admin && ! grep -i 'root\|scopes' "$work/headers"
}
whoami() { # CERTIFICATE [CURL FLAG...]: the user that the API server sees; or the code of its refusal
        curl -s --cacert "$work/ca.crt" --cert "$work/$1.crt" --key "$work/$1.key" -H 'Content-Type: application/json' \
                "https://127.0.0.1:$port/apis/authentication.k8s.io/v1/selfsubjectreviews" \
                -d '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}' "${@:2}" | jq -cS 'if .kind == "Status" then .code else .status.userInfo end'
}
t_front_proxy() { # the API server behind a front proxy
        local jane=(-H 'X-Remote-User: jane' -H 'X-Remote-Group: sales' -H 'X-Remote-Group: ops' -H 'X-Remote-Uid: 17' -H 'X-Remote-Extra-Acme.example%2fno: 7') token
        equals "$(whoami front-client "${jane[@]}")" '{"extra":{"acme.example/no":["7"]},"groups":["sales","ops","system:authenticated"],"uid":"17","username":"jane"}' &&
                equals "$(whoami front-client -H 'X-Remote-User: system:anonymous' -H 'X-Remote-Group: system:unauthenticated')" 403 &&
                equals "$(whoami front-client)" 401 && equals "$(whoami front-client -H 'X-Remote-Group: system:masters')" 401 &&
                equals "$(whoami admin "${jane[@]}" | jq -r .username)" admin || return 1
        _pki_cert "$work" other /CN=other clientAuth "" front && _pki_ca "$work" nobody && _pki_cert "$work" stranger /CN=front-proxy-client clientAuth "" nobody &&
                equals "$(whoami other "${jane[@]}")" 401 && equals "$(whoami stranger "${jane[@]}")" 401 || return 1
        k create serviceaccount proxied && token=$(k create token proxied) || return 1
        # A certificate that says nothing here does no harm to a token that does.
        equals "$(whoami stranger -H "Authorization: Bearer $token" | jq -r .username)" system:serviceaccount:default:proxied &&
                equals "$(whoami stranger -H 'Authorization: Bearer none')" 401
}
t_injection() { # an extra value that would begin a header of its own is not passed on
        rm -f "$work/headers"
        equals "$(ask $wares -o /dev/null -w '%{http_code}' -H 'Impersonate-User: jane' -H 'Impersonate-Group: system:masters' \
                -H 'Impersonate-Extra-x%0d%0aX-Remote-Group: root')" 200 &&
                header_is X-Remote-Extra-x%0D%0Ax-remote-group root && ! grep -i '^X-Remote-Group: root' "$work/headers"
}
t_rbac() { # our own authorization comes first
        local out
        kubeconfig_for "$work" joe joe
        out=$("${KUBECTL:-$BIN/kubectl}" --kubeconfig "$work/joe.kubeconfig" get wares 2>&1)
        grep -q 'cannot list resource "wares" in API group "wares.test.example"' <<<"$out" || { echo "$out"; return 1; }
}
t_path() { # what was encoded stays so
        k get --raw '/apis/wares.test.example/v1/namespaces/a%20b%3Fc/wares?limit=5' >/dev/null
        head -1 "$work/headers" | grep -qxF 'GET /apis/wares.test.example/v1/namespaces/a%20b%3Fc/wares?limit=5' || { cat "$work/headers"; return 1; }
}
t_watch() {
        k get wares --watch-only -o name >"$work/watched" 2>&1 &
        local pid=$!
        until_true 30 grep -q w2 "$work/watched"
        local r=$?
        touch "$work/end-watch"
        kill $pid 2>/dev/null
        wait $pid
        return $r
}
document() { k get --raw "$1"; }
t_documents() {
        until_true 30 eval 'document /openapi/v2 | jq -e ".definitions[\"example.test.Ware\"]"' &&
                document /openapi/v2 >"$work/v2" &&
                jq -e '.definitions["example.test.Ware"].properties.metadata["$ref"] == "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2"' "$work/v2" &&
                jq -e '.definitions["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2"].description == "Ours."' "$work/v2" &&
                jq -e '.definitions["example.test.Unused"] == null' "$work/v2" &&
                jq -e '.paths["/apis/apps/v1/deployments"] == null or .paths["/apis/apps/v1/deployments"].get.responses["200"].description != "stolen"' "$work/v2" &&
                equals "$(document /openapi/v3 | jq -r '.paths["apis/wares.test.example/v1"].serverRelativeURL')" '/openapi/v3/apis/wares.test.example/v1?hash=ABC' &&
                document '/openapi/v3/apis/wares.test.example/v1?hash=ABC' | grep -q 'Something for sale' &&
                k explain ware --api-version=wares.test.example/v1 | grep -q 'Something for sale'
}
t_discovery() {
        k api-resources --api-group=wares.test.example --no-headers | grep -q '^wares *wa *wares.test.example/v1 *true *Ware' &&
                document /apis/wares.test.example | jq -e '.preferredVersion.version == "v1"' && document /apis/wares.test.example/v1 | jq -e '.resources[1].name == "wares/stock"'
}
t_hangs() { # one that hangs is told, and holds up nobody
        touch "$work/hang"
        t_endpoints_leave && service && until_true 90 reason_is FailedDiscoveryCheck && k get --raw /apis >/dev/null && k get pods -A && document /openapi/v2 >/dev/null
        local r=$?
        rm -f "$work/hang"
        until_true 60 reason_is Passed && [ $r -eq 0 ]
}
namespace_condition() { equals "$(k get namespace shop -o "jsonpath={.status.conditions[?(@.type=='NamespaceDeletionDiscoveryFailure')].status}")" "$1"; }
t_namespace() {
        component_start "$work" kube-controller-manager --controllers namespace-controller
        k create namespace shop && t_endpoints_leave && k delete namespace shop --wait=false && until_true 60 namespace_condition True &&
                k get namespace shop -o yaml | grep -q 'wares.test.example/v1: stale GroupVersion discovery: wares.test.example/v1' &&
                service && until_true 60 gone namespace shop
}
gone() { ! k get "$@"; }
t_killed() { # and one that dies answers nobody, until it is back
        wares_stop
        ! k get wares && wares_start && until_true 60 k get wares
}
t_other_ca() { # its certificate is verified, and for the Service's name
        _pki_ca "$work" other
        register "$work/other.crt" && until_true 60 reason_is FailedDiscoveryCheck && register "$work/ca.crt" && until_true 60 reason_is Passed
}
t_endpoints_leave() { k patch endpoints wares -p '{"subsets":[]}' --type=merge && until_true 30 reason_is MissingEndpoints; }
t_endpoints() { t_endpoints_leave && service && until_true 60 reason_is Passed; }
t_gone() { k delete apiservice v1.wares.test.example && until_true 30 eval '! document /apis | grep -q wares.test.example' && ! k get wares; }
t_loopback() { # what only this machine can reach is not proxied to, whoever writes it
        k patch endpoints wares --type=merge -p "{\"subsets\":[{\"addresses\":[{\"ip\":\"127.0.0.1\"}],\"ports\":[{\"name\":\"https\",\"port\":$port}]}]}" && return 1
        return 0
}

ok "every group of our own has an APIService" t_local
ok "one that is deleted comes back" t_local_again
ok "aggregated servers are told whom to believe" t_config
ok "APIServices are validated" t_validation
ok "a Service that is not there is told" t_absent
ok "a group that nobody serves is refused, and stays listed" t_unserved
ok "a server that does not run is told" t_dead
ok "a server that answers becomes available" t_available
ok "objects are made, read, listed and deleted" t_round
ok "the user, groups and extra values are passed on" t_identity
ok "nobody can name another user by headers" t_forged
ok "a front proxy says who its client is, and nobody else does" t_front_proxy
ok "no header can be smuggled in" t_injection
ok "RBAC comes first" t_rbac
ok "paths arrive as they were" t_path
ok "a watch flows" t_watch
ok "discovery lists its resources" t_discovery
ok "OpenAPI v2 and v3 have its types" t_documents
ok "a server that hangs is told, and holds up nobody" t_hangs
ok "a namespace waits for it, says so, and goes" t_namespace
ok "a server that dies is back when it is" t_killed
ok "its certificate is verified" t_other_ca
ok "endpoints that leave and come back are told" t_endpoints
ok "loopback is not proxied to" t_loopback
ok "an APIService that goes takes its group along" t_gone
ok "nothing was complained about" no_complaints
tap_end
