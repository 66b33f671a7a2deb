#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pod Security: a namespace's labels as upstream's kubectl sets them, what is refused, warned of and told to the audit log, exemptions and
# defaults by the file of --admission-control-config-file, and files that cannot be meant. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
. "$here/request.sh"
trap finish EXIT
CP=$work
log=$work/audit.log
upstream=$("$here/../../lib/upstream-clients") || exit 1
printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- {level: Metadata, resources: [{resources: [pods, pods/*]}, {group: apps}]}\n' >"$work/policy.yaml"
flags=(--allow-privileged --audit-policy-file "$work/policy.yaml" --audit-log-path "$log")
u() { "$upstream/kubectl" --kubeconfig "$work/admin.kubeconfig" "$@"; }
both() { # TEXT COMMAND...: both kubectls print it
        local kubectl text=$1 said
        shift
        for kubectl in "$upstream/kubectl" "$BIN/kubectl"; do
                said=$("$kubectl" --kubeconfig "$work/admin.kubeconfig" "$@" 2>&1)
                [[ $said == *"$text"* ]] || { echo "$kubectl says: $said"; return 1; }
        done
}
new_namespace() { # NAME [LABEL...]
        u create namespace "$1" && u create serviceaccount default -n "$1" && { [ $# = 1 ] || u label namespace "$1" "${@:2}"; }
}
# An event of the request that had this id.
asked() {
        id=t-$RANDOM-$RANDOM-$RANDOM
        req "$1" "$2" "${3-}" "${4:-application/json}" -H "Audit-ID: $id"
}
event() { jq -c --arg id "$id" 'select(.auditID == $id)' "$log" | jq -e "$1" >/dev/null || { jq -c --arg id "$id" 'select(.auditID == $id)' "$log"; return 1; }; }
ps=pod-security.kubernetes.io

plain='{"containers":[{"name":"c","image":"i"}]}'
host='{"hostPID":true,"containers":[{"name":"c","image":"i"}]}'
safe='{"securityContext":{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}},"containers":[{"name":"c","image":"i",
        "securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}'
pod() { printf '{"metadata":{"name":"%s"},"spec":%s}' "$1" "$2"; } # NAME SPEC
deployment() { printf '{"metadata":{"name":"%s"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":%s}}}' "$1" "$2"; }

t_enforce() {
        new_namespace strict $ps/enforce=restricted && both 'Error from server (Forbidden): pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")' \
                run a --image=i -n strict &&
                asked POST /api/v1/namespaces/strict/pods "$(pod a "$plain")" && want 403 '.reason == "Forbidden" and .details == {name: "a", kind: "pods"}' &&
                event '.annotations["pod-security.kubernetes.io/enforce-policy"] == "restricted:latest" and .annotations["authorization.k8s.io/decision"] == "allow"' &&
                asked POST "/api/v1/namespaces/strict/pods?dryRun=All" "$(pod a "$plain")" && want 403 &&
                asked POST /api/v1/namespaces/strict/pods "$(pod good "$safe")" && want 201
}
t_apply() { # by server-side apply, and by a patch that makes of a good pod a bad one
        req PATCH "/api/v1/namespaces/strict/pods/applied?fieldManager=t" "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",$(pod applied "$host" | cut -c2-)" application/apply-patch+yaml && want 403 &&
                req PATCH /api/v1/namespaces/strict/pods/good/ephemeralcontainers '{"spec":{"ephemeralContainers":[{"name":"debug","image":"i"}]}}' application/strategic-merge-patch+json &&
                want 403 '.message | contains("container \"debug\" must set securityContext.allowPrivilegeEscalation=false")' &&
                req PATCH /api/v1/namespaces/strict/pods/good '{"metadata":{"labels":{"a":"b"}}}' application/merge-patch+json && want 200
}
t_windows() { # Pod Security asks nothing of what Windows has not, so that must not be there
        req POST /api/v1/namespaces/strict/pods "$(pod w '{"os":{"name":"windows"},"securityContext":{"runAsNonRoot":true},"containers":[{"name":"c","image":"i"}]}')" && want 201 &&
                req POST /api/v1/namespaces/strict/pods "$(pod x '{"os":{"name":"windows"},"securityContext":{"runAsNonRoot":true},"containers":[{"name":"c","image":"i","securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}]}')" &&
                want 422 '.message | contains("spec.containers[0].securityContext.capabilities: Forbidden: cannot be set for a windows pod")'
}
t_warn() { # what makes pods is made, and whoever makes it is told
        both 'Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "i" must set' create deployment d --image=i -n strict --dry-run=server &&
                new_namespace watched $ps/warn=baseline $ps/warn-version=v1.30 $ps/audit=restricted &&
                asked POST /apis/apps/v1/namespaces/watched/deployments "$(deployment d "$host")" && want 201 &&
                grep -qi '^warning: 299 - "would violate PodSecurity \\"baseline:v1.30\\": host namespaces (hostPID=true)"' "$work/headers" &&
                event '.annotations["pod-security.kubernetes.io/audit-violations"] | startswith("would violate PodSecurity \"restricted:latest\": host namespaces (hostPID=true), allowPriv")' &&
                event '.annotations | has("pod-security.kubernetes.io/enforce-policy") | not' &&
                asked POST /apis/apps/v1/namespaces/watched/deployments "$(deployment e "$safe")" && want 201 && ! grep -qi ^warning "$work/headers" &&
                event '.annotations | has("pod-security.kubernetes.io/audit-violations") | not' &&
                asked POST /api/v1/namespaces/watched/pods "$(pod p "$host")" && want 201 && grep -qi '^warning: 299 - "would violate' "$work/headers" &&
                event '.annotations["pod-security.kubernetes.io/enforce-policy"] == "privileged:latest"'
}
t_labels() { # as upstream's pages have it
        both 'The Namespace "watched" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "no": must be one of privileged, baseline, restricted' \
                label namespace watched --overwrite $ps/enforce=no &&
                both 'Invalid value: "1.30": must be "latest" or "v1.x"' label namespace watched --overwrite $ps/warn-version=1.30 &&
                new_namespace busy && u run -n busy one --image=i && u run -n busy two --image=i && req POST /api/v1/namespaces/busy/pods "$(pod three "$host")" && want 201 || return 1
        local kubectl said
        for kubectl in "$upstream/kubectl" "$BIN/kubectl"; do
                said=$("$kubectl" --kubeconfig "$work/admin.kubeconfig" label --dry-run=server --overwrite ns --all $ps/enforce=baseline 2>&1) &&
                        grep -qx 'Warning: existing pods in namespace "busy" violate the new PodSecurity enforce level "baseline:latest"' <<<"$said" &&
                        grep -qx 'Warning: three: host namespaces' <<<"$said" && grep -qx 'namespace/busy labeled (server dry run)' <<<"$said" &&
                        grep -qx 'namespace/kube-system labeled (server dry run)' <<<"$said" || { echo "$said"; return 1; }
        done
        both 'Warning: one (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile' \
                label --dry-run=server --overwrite ns busy $ps/enforce=restricted
}
t_once() { # kubectl tells each warning once
        deployment x "$plain" | jq '.kind = "Deployment" | .apiVersion = "apps/v1"' >"$work/x.json" && jq '.metadata.name = "y"' "$work/x.json" >"$work/y.json"
        local kubectl
        for kubectl in "$upstream/kubectl" "$BIN/kubectl"; do
                equals "$("$kubectl" --kubeconfig "$work/admin.kubeconfig" create -n strict --dry-run=server -f "$work/x.json" -f "$work/y.json" 2>&1 | grep -c '^Warning: would violate')" 1 || return 1
        done
}
t_metrics() {
        req GET /metrics && want 200 &&
                grep -q '^pod_security_evaluations_total{decision="deny",policy_level="restricted",policy_version="latest",mode="enforce",request_operation="create",resource="pod",subresource=""} [1-9]' "$work/body" &&
                grep -q '^pod_security_evaluations_total{decision="deny",policy_level="baseline",policy_version="v1.30",mode="warn",request_operation="create",resource="controller",subresource=""} [1-9]' "$work/body"
}
# Who is let do what he asks for cannot keep it out of the log by asking for much.
t_long() {
        jq -nc '{metadata: {name: "many"}, spec: {hostPID: true, containers: [range(3000) | {name: "c\(.)-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", image: "i"}]}}' >"$work/many"
        asked POST /api/v1/namespaces/watched/pods "@$work/many" && want 201 &&
                event '.annotations["audit.k8s.io/truncated"] == "true" and (.annotations["pod-security.kubernetes.io/audit-violations"] | length == 512)' &&
                asked POST /api/v1/namespaces/strict/pods "@$work/many" && want 403 && event '.responseStatus.message | length == 512'
}

t_cis() { # `coxswain cis` sees every kind of container
        local init='{"securityContext":{"runAsNonRoot":true},"containers":[{"name":"c","image":"i","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}],
                "initContainers":[{"name":"d","image":"i","ports":[{"containerPort":80,"hostPort":80}],"securityContext":{"privileged":true,"capabilities":{"add":["NET_RAW"]}}}]}'
        new_namespace cis && req POST /api/v1/namespaces/cis/pods "$(pod by-init "$init")" && want 201 && req POST /api/v1/namespaces/cis/pods "$(pod by-none "$safe")" && want 201 &&
                req POST /api/v1/namespaces/cis/pods "$(pod by-debug "$safe")" && want 201 &&
                req PATCH /api/v1/namespaces/cis/pods/by-debug/ephemeralcontainers '{"spec":{"ephemeralContainers":[{"name":"e","image":"i","securityContext":{"privileged":true,"runAsNonRoot":false}}]}}' application/strategic-merge-patch+json && want 200 || return 1
        (
                . "$here/../../../scripts/cluster.d/cis.bash"
                k() { "$BIN/kubectl" --kubeconfig "$work/admin.kubeconfig" "${@/#-A/--namespace=cis}"; }
                found() { # NAMES FUNCTION...
                        local names=$1
                        shift
                        "$@" || :
                        equals "$why" "$names"
                }
                found 'cis/by-debug cis/by-init' no_pods '{range_.spec.containers[*]}{.securityContext.privileged}' true &&
                        found cis/by-init no_pods '{.spec.containers[*].securityContext.capabilities.add}' && found cis/by-init no_pods '{.spec.containers[*].ports[*].hostPort}' &&
                        found '' no_pods '{.spec.hostPID}' true && found 'cis/by-debug cis/by-init' all_containers '{.securityContext.allowPrivilegeEscalation}' false &&
                        found 'cis/by-debug cis/by-init' all_containers '{.securityContext.capabilities.drop}' ALL && found cis/by-debug all_containers '{.securityContext.runAsNonRoot}' true
        )
}

# --- the file ---
restart() { # [FLAG...]
        _end "$(cat "$work/apiserver.pid")" 10
        apiserver_start "$work" "$port" "${flags[@]}" "$@"
        wait_for apiserver_ready "$work"
}
configuration() { # SETTINGS
        printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration:\n    apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n%s' "$1" >"$work/admission.yaml"
}
t_file() {
        configuration '    defaults: {enforce: baseline, enforce-version: latest, audit: restricted, audit-version: latest, warn: restricted, warn-version: latest}
    exemptions: {usernames: [trusted], runtimeClasses: [], namespaces: [kube-system, let-be]}
' && kubeconfig_for "$work" trusted trusted system:masters && restart --admission-control-config-file "$work/admission.yaml" && new_namespace let-be && new_namespace plain &&
                both 'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)' run p --image=i -n plain --overrides '{"spec":{"hostPID":true}}' --dry-run=server &&
                both 'Warning: would violate PodSecurity "restricted:latest": ' run p --image=i -n plain --dry-run=server &&
                asked POST /api/v1/namespaces/let-be/pods "$(pod p "$host")" && want 201 && ! grep -qi ^warning "$work/headers" && event '.annotations["pod-security.kubernetes.io/exempt"] == "namespace"' &&
                WHO=trusted asked POST /api/v1/namespaces/plain/pods "$(pod p "$host")" && want 201 && event '.annotations["pod-security.kubernetes.io/exempt"] == "user"' &&
                both 'Warning: namespace "let-be" is exempt from Pod Security, and the policy (enforce=restricted:latest) will be ignored' label --dry-run=server ns let-be $ps/enforce=restricted
}
t_off() {
        restart --disable-admission-plugins PodSecurity && req POST /api/v1/namespaces/strict/pods "$(pod unseen "$host")" && want 201
}
refuses() { # TEXT: the file, which a server does not start with
        local text=$1
        _end "$(cat "$work/apiserver.pid")" 10
        : >"$work/apiserver.log"
        apiserver_start "$work" "$port" --admission-control-config-file "$work/admission.yaml"
        wait_for _gone "$(cat "$work/apiserver.pid")" && grep -qF -- "$text" "$work/apiserver.log" || { cat "$work/apiserver.log"; return 1; }
}
t_refused() {
        configuration '    default: {}
' && refuses 'unknown field \"default\"' && configuration '    defaults: {enforce: most}
' && refuses 'defaults.enforce: Invalid value: \"most\": must be one of privileged, baseline, restricted' &&
                sed -i 's/name: PodSecurity/name: PodNodeSelector/' "$work/admission.yaml" && refuses 'plugin \"PodNodeSelector\": there is no such plugin' &&
                sed -i 's/name: PodNodeSelector/name: ResourceQuota/' "$work/admission.yaml" && refuses 'plugin \"ResourceQuota\": this plugin has no settings' &&
                rm "$work/admission.yaml" && refuses '--admission-control-config-file: cannot read'
}

ok "a control plane starts, PodSecurity is on" control_plane_start "$work" "$port" "${flags[@]}"
ok "a pod that its namespace's level forbids is refused, in upstream's sentence" t_enforce
ok "however it is made, and what is added to it; its labels may change" t_apply
ok "what is not asked of pods for Windows cannot be had by them" t_windows
ok "what makes pods is warned of and told to the audit log" t_warn
ok "labels that cannot be read are refused, and those that ask for more tell which pods are in the way" t_labels
ok "a warning is shown once" t_once
ok "judgements are counted" t_metrics
ok "the benchmark looks at every kind of container, and at what the pod says for all" t_cis
restart --audit-log-truncate-enabled --audit-log-truncate-max-event-size 20000
ok "a long verdict is cut, and not left out of the log" t_long
ok "a file says what holds without labels, and who is exempt" t_file
ok "without the plugin nothing is looked at" t_off
ok "a file that cannot be meant is refused" t_refused
tap_end
