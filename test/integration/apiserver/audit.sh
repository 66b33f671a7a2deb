#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The audit log: which requests it tells of, at which level and stages, and what an event holds; who failed to log in; rotation; a
# disk that is full; policies and flags that cannot be meant. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
. "$here/request.sh"
trap finish EXIT
CP=$work
log=$work/audit/audit.log

policy() { # RULE...
        printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n'
        printf -- '- %s\n' "$@"
}
policy '{level: None, nonResourceURLs: ["/healthz*", /livez, /readyz]}' \
        '{level: None, userGroups: ["system:masters"], resources: [{resources: [events]}]}' \
        '{level: Metadata, resources: [{resources: [secrets, serviceaccounts/token]}, {group: authentication.k8s.io}]}' \
        '{level: RequestResponse, namespaces: [default], resources: [{resources: [configmaps]}], omitManagedFields: true}' \
        '{level: Request, resources: [{resources: [pods, pods/*]}], omitStages: []}' \
        '{level: Metadata, verbs: [watch], users: [kubernetes-admin, test-admin, admin]}' \
        '{level: Metadata, nonResourceURLs: ["/version", "/no-such/*"]}' \
        '{level: Metadata, resources: [{resources: [configmaps, namespaces]}]}' \
        '{level: Metadata, userGroups: ["system:masters"], nonResourceURLs: [/metrics], omitStages: []}' >"$work/policy.yaml"
flags=(--audit-policy-file "$work/policy.yaml" --audit-log-path "$log")

restart() { # [FLAG...]
        _end "$(cat "$work/apiserver.pid")" 10
        apiserver_start "$work" "$port" "$@"
        wait_for apiserver_ready "$work"
}
# asked METHOD PATH [BODY [TYPE [CURL FLAG...]]]: a request whose events are found by its id
id=
asked() {
        id=t-$RANDOM-$RANDOM-$RANDOM
        req "$1" "$2" "${3-}" "${4:-application/json}" -H "Audit-ID: $id" "${@:5}"
}
events() { jq -c --arg id "$id" 'select(.auditID == $id)' "$log"; }
event() { # JQ FILTER that must hold of the one event
        local found
        found=$(events)
        [ -n "$found" ] && [ "$(wc -l <<<"$found")" = 1 ] && jq -e "$1" <<<"$found" >/dev/null || { echo "not so: $1 in $found"; return 1; }
}
none() { local found; found=$(events); [ -z "$found" ] || { echo "told: $found"; return 1; }; }

t_levels() {
        asked POST $ns/secrets '{"metadata":{"name":"s"},"stringData":{"password":"correct-horse"}}' && want 201 &&
                event '.kind == "Event" and .apiVersion == "audit.k8s.io/v1" and .level == "Metadata" and .stage == "ResponseComplete"
                        and .verb == "create" and .requestURI == "/api/v1/namespaces/default/secrets" and .responseStatus.code == 201
                        and .objectRef == {resource: "secrets", namespace: "default", name: "s", apiVersion: "v1"}
                        and (has("requestObject") or has("responseObject") | not)' &&
                asked POST $ns/configmaps '{"metadata":{"name":"c"},"data":{"a":"b"}}' && want 201 &&
                event '.level == "RequestResponse" and .requestObject.data.a == "b" and .requestObject.kind == "ConfigMap"
                        and (.responseObject.metadata | has("uid") and (has("managedFields") | not))' &&
                asked GET $ns/configmaps && want 200 && event '.verb == "list" and .responseObject.kind == "ConfigMapList"' &&
                asked PATCH $ns/configmaps/c '{"data":{"a":"c"}}' application/merge-patch+json && want 200 &&
                event '.verb == "patch" and .requestObject == {data: {a: "c"}} and .responseObject.data.a == "c"' &&
                asked DELETE $ns/configmaps/c '{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}' && want 200 &&
                event '.requestObject.kind == "DeleteOptions" and .responseStatus.status == "Success" and .objectRef.name == "c"' &&
                asked GET /api/v1/nodes && want 200 && none && ! grep -q correct-horse "$log"
}
t_request() { # the policy's omitted stages count beside the rule's
        asked POST $ns/pods '{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}}' && want 403 &&
                event '.level == "Request" and .requestObject.spec.restartPolicy == "Always" and (has("responseObject") | not)
                        and .responseStatus.reason == "Forbidden" and .responseStatus.status == "Failure"
                        and (.responseStatus.message | contains("serviceaccount"))'
}
t_matching() {
        asked GET /readyz && want 200 && none && asked GET "$ns/events" && want 200 && none &&
                asked GET /version && want 200 && event '.requestURI == "/version" and .verb == "get" and (has("objectRef") | not)' &&
                asked GET '/no-such/%41%2Fb?x=%20y' && want 404 && event '.requestURI == "/no-such/%41%2Fb?x=%20y" and .responseStatus.code == 404' &&
                asked GET '/api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3Dnone' && want 200 && event '.verb == "list" and .objectRef.name == "none"' &&
                asked GET /api/v1/namespaces/kube-system/configmaps/none && want 404 &&
                event '.level == "Metadata" and .objectRef.namespace == "kube-system" and .objectRef.name == "none"
                        and .responseStatus.details.name == "none" and (has("responseObject") | not)'
}
t_id() {
        asked GET /version && grep -qi "^audit-id: $id" "$work/headers" &&
                req GET /version '' '' -H 'Audit-ID: with a blank' && id=$(sed -n 's/^audit-id: \([^ ]*\)\r$/\1/Ip' "$work/headers") &&
                [[ $id =~ ^[0-9a-f]{8}-.*[0-9a-f]{12}$ ]] && event '.requestURI == "/version"'
}
t_who() {
        WHO=admin asked GET $ns/secrets '' '' -H 'X-Forwarded-For: 192.0.2.7, x, 2001:DB8:0::1' -H 'X-Real-Ip: 192.0.2.9' &&
                event '.sourceIPs == ["192.0.2.7", "2001:db8::1", "192.0.2.9", "127.0.0.1"] and (.user.groups | index("system:masters"))' &&
                asked GET $ns/secrets '' '' -A "$(printf 'a%.0s' $(seq 1 2000))" && event '.userAgent | length == 1024 + 12 and endswith("...TRUNCATED")' &&
                asked GET $ns/secrets '' '' -A $'x\xffy' && event '.userAgent == "x\ufffdy"' &&
                asked GET $ns/secrets '' '' -H 'Impersonate-User: jane' -H 'Impersonate-Group: developers' && want 403 &&
                event '(.user.groups | index("system:masters")) and .impersonatedUser.username == "jane"
                        and (.impersonatedUser.groups | index("developers")) and .annotations["authorization.k8s.io/decision"] == "forbid"'
}
t_reason() {
        k create clusterrole reader --verb=get --resource=secrets >/dev/null && k create clusterrolebinding reader --clusterrole=reader --user=ro >/dev/null &&
                kubeconfig_for "$work" ro ro
        may() { WHO=ro asked GET $ns/secrets/s && [ "$code" = 200 ]; }
        until_true 60 may && event '.user.username == "ro" and .annotations["authorization.k8s.io/decision"] == "allow"
                and (.annotations["authorization.k8s.io/reason"] | contains("reader"))'
}
t_failed() {
        ANON=1 asked GET $ns/secrets '' '' -H 'Authorization: Bearer wrong' && want 401 &&
                event '.stage == "ResponseStarted" and .user == {} and .responseStatus.code == 401
                        and .responseStatus.message == "Authentication failed, attempted: bearer"'
}
t_watch() {
        asked GET "$ns/secrets?watch=1&timeoutSeconds=1" && want 200 &&
                over() { [ "$(events | jq -r .stage | paste -sd' ')" = "ResponseStarted ResponseComplete" ]; } && until_true 60 over &&
                [ "$(events | jq -r .verb | sort -u)" = watch ] && asked GET $ns/pods/none/log && want 404 && until_true 60 over &&
                [ "$(events | jq -r '.objectRef.subresource, .responseStatus.reason' | sort -u | paste -sd' ')" = 'NotFound log' ]
}
t_metrics() {
        req GET /metrics && want 200 && grep -q '^apiserver_audit_event_total [1-9]' "$work/body" &&
                grep -q '^apiserver_audit_level_total{level="None"} [1-9]' "$work/body" &&
                ! grep -q '^apiserver_audit_error_total.*[1-9]' "$work/body"
}
t_mode() { equals "$(stat -c '%a %F' "$log")" '600 regular file' && equals "$(stat -c %a "$work/audit")" 700; }
t_stages() { # and the folder is there already
        policy '{level: Metadata}' | grep -v omitStages >"$work/stages.yaml" &&
                restart --audit-policy-file "$work/stages.yaml" --audit-log-path "$log" --audit-log-mode blocking-strict &&
                asked GET $ns/secrets && want 200 && equals "$(events | jq -r '[.stage, .responseStatus.code] | join(" ")' | paste -sd,)" 'RequestReceived ,ResponseComplete 200' &&
                [ "$(events | jq -s '.[0].stageTimestamp == .[0].requestReceivedTimestamp and .[0].stageTimestamp < .[1].stageTimestamp')" = true ]
}
t_refused_long() { # whoever is refused cannot fill the log
        WHO=ro asked DELETE "$ns/secrets/none?x=$(printf 'x%.0s' $(seq 1 20000))" && want 403 &&
                event '(.requestURI | length == 512) and .annotations["audit.k8s.io/truncated"] == "true" and .objectRef.name == "none"'
}
t_truncated() {
        restart "${flags[@]}" --audit-log-truncate-enabled --audit-log-truncate-max-event-size 2000 &&
                asked POST $ns/configmaps '{"metadata":{"name":"large"},"data":{"a":"'"$(printf 'x%.0s' $(seq 1 3000))"'"}}' && want 201 &&
                event '(has("requestObject") | not) and .annotations["audit.k8s.io/truncated"] == "true"' &&
                asked GET "$ns/secrets?limit=1&x=$(printf 'x%.0s' $(seq 1 3000))" && want 200 && # is no way past the log
                event '(.requestURI | startswith("/api/v1/namespaces/default/secrets?limit=1&x=xx") and length == 512)
                        and .annotations["audit.k8s.io/truncated"] == "true"'
}
t_larger_than_file() {
        restart "${flags[@]}" --audit-log-maxsize 1 || return 1
        printf '{"metadata":{"name":"file"},"data":{"a":"%s"}}' "$(head -c 900000 /dev/zero | tr '\0' x)" >"$work/fill"
        asked POST $ns/configmaps "@$work/fill" && want 201 &&
                event '(has("requestObject") | not) and .objectRef.name == "file" and .annotations["audit.k8s.io/truncated"] == "true"'
}
t_rotation() { # by 1 MB; what is set aside is packed, and two are kept
        restart "${flags[@]}" --audit-log-maxsize 1 --audit-log-maxbackup 2 --audit-log-compress || return 1
        local i data='{"metadata":{"name":"fill"},"data":{"a":"'"$(head -c 300000 /dev/zero | tr '\0' x)"'"}}'
        printf %s "$data" >"$work/fill"
        for i in 1 2 3 4 5 6; do req PUT $ns/configmaps/fill "@$work/fill" >/dev/null; req POST $ns/configmaps "@$work/fill"; done
        set_aside() {
                local names
                names=$(cd "$work/audit" && ls audit-* | paste -sd' ') &&
                        [[ $names =~ ^audit-[0-9-]{10}T[0-9-]{8}\.[0-9]{3}\.log\.gz\ audit-[0-9-]{10}T[0-9-]{8}\.[0-9]{3}\.log\.gz$ ]]
        }
        until_true 60 set_aside && [ "$(stat -c %s "$log")" -le 1048576 ] && zcat "$work"/audit/audit-*.gz | jq -e .auditID >/dev/null &&
                equals "$(stat -c %a "$work"/audit/audit-* | sort -u)" 600
}
t_full() { # the server goes on, says so, and counts; strictly, it serves nobody
        restart --audit-policy-file "$work/policy.yaml" --audit-log-path /dev/full && req GET $ns/secrets && want 200 &&
                req GET /metrics && grep -q '^apiserver_audit_error_total{plugin="log"} [1-9]' "$work/body" &&
                grep -q 'Events of the audit log are lost' "$work/apiserver.log" &&
                restart --audit-policy-file "$work/stages-but-probes.yaml" --audit-log-path /dev/full --audit-log-mode blocking-strict &&
                req GET $ns/secrets && want 500 '.message | contains("failed to store audit event")'
}
t_batch() { # and what was queued is written before the server ends
        restart "${flags[@]}" --audit-log-mode batch --audit-log-batch-max-size 1000 --audit-log-batch-max-wait 1h || return 1
        asked POST $ns/configmaps '{"metadata":{"name":"batch"}}' && want 201 && none && _end "$(cat "$work/apiserver.pid")" 10
        event '.objectRef.name == "batch"'
}
t_stdout() {
        apiserver_start "$work" "$port" --audit-policy-file "$work/policy.yaml" --audit-log-path - && wait_for apiserver_ready "$work" &&
                asked GET /version && grep -q "\"auditID\":\"$id\"" "$work/apiserver.log"
}
t_without() { # a policy alone is read, and nothing is told; a path alone likewise
        restart --audit-policy-file "$work/policy.yaml" && asked GET /version && want 200 && ! grep -qi ^audit-id "$work/headers" &&
                rm -rf "$work/audit" && restart --audit-log-path "$log" && asked GET /version && want 200 && [ ! -e "$log" ]
}
refuses() { # TEXT FLAG...: the server does not start, and says so
        local text=$1
        shift
        _end "$(cat "$work/apiserver.pid")" 10
        : >"$work/apiserver.log"
        apiserver_start "$work" "$port" "$@"
        wait_for _gone "$(cat "$work/apiserver.pid")" && grep -qF -- "$text" "$work/apiserver.log" || { cat "$work/apiserver.log"; return 1; }
}
t_refused() {
        local bad=$work/bad.yaml
        policy '{level: metadata}' >"$bad"
        refuses 'rules[0].level: Unsupported value: ' --audit-policy-file "$bad" --audit-log-path "$log" || return 1
        policy '{level: Metadata, verb: [get]}' >"$bad"
        refuses 'rules[0].verb' --audit-policy-file "$bad" || return 1
        refuses 'loading audit policy file' --audit-policy-file "$work/none" || return 1
        refuses 'invalid audit log mode fast' --audit-policy-file "$work/policy.yaml" --audit-log-path "$log" --audit-log-mode fast || return 1
        refuses 'invalid audit log format legacy' --audit-policy-file "$work/policy.yaml" --audit-log-path "$log" --audit-log-format legacy || return 1
        refuses '--audit-webhook-*' --audit-webhook-config-file "$work/x" || return 1
        refuses '--audit-log-path: cannot make the folder' --audit-policy-file "$work/policy.yaml" --audit-log-path /proc/none/audit.log
}

{ policy '{level: None, nonResourceURLs: ["/readyz"]}' '{level: Metadata}' | grep -v omitStages; } >"$work/stages-but-probes.yaml"
ok "a control plane with an audit log starts" control_plane_start "$work" "$port" "${flags[@]}"
ok "levels decide what is shown: a Secret's content never is" t_levels
ok "a refused object is told of with its defaults and the reason" t_request
ok "the first rule that matches decides, and what none matches is not told of" t_matching
ok "an id of the client's is taken where it can be, and always answered" t_id
ok "events say who asked, from where, and for whom" t_who
ok "and by which binding it was allowed" t_reason
ok "who fails to log in is told of" t_failed
ok "a watch is told of when it begins and when it ends, as whatever may take long" t_watch
ok "events and requests are counted" t_metrics
ok "the file and its folder are the server's alone" t_mode
ok "of who is refused not all is told that they say" t_refused_long
ok "a request is told of when it comes, unless the policy leaves that out" t_stages
ok "bodies of events that are too large are left out, and the end of a long URI" t_truncated
ok "and of those that are larger than the file may be" t_larger_than_file
ok "a full file is set aside and packed, and old ones go" t_rotation
ok "a full disk stops nobody, unless that was asked for" t_full
ok "batches are written when they are due, or at the end" t_batch
ok "- is standard output" t_stdout
ok "a policy without a log, and a log without a policy, tell nothing" t_without
ok "what cannot be meant is refused" t_refused
tap_end
