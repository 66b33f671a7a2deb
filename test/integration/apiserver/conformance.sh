#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kube-apiserver where Kubernetes' conformance tests look: sentences, subresources and conversions that clients count on.
# TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
. "$here/request.sh"
trap finish EXIT

deployments=/apis/apps/v1/namespaces/default/deployments
deployment() { # NAME [MORE OF ITS SPEC [MORE OF ITS CONTAINER]]
        printf '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"%s"},"spec":{%s"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"%s}]}}}}' "$1" "${2-}" "${3-}"
}
account() { req POST $ns/serviceaccounts '{"metadata":{"name":"default"}}' && want 201; }
warned() { grep -qix "warning: 299 - \"$1\".*" "$work/headers" || { echo "no warning '$1' in"; cat "$work/headers"; return 1; }; }

t_twice() {
        local sent why='Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: '
        sent=$(deployment twice '"unknown":1,"unknown":2,"replicas":2,"replicas":3,' ',"imagePullPolicy":"Always","imagePullPolicy":"Never"')
        req POST "$deployments?fieldValidation=Strict" "$sent" && want 400 '.reason == "BadRequest" and .message == "'"${why}"'unknown field \"spec.unknown\", duplicate field \"spec.replicas\", duplicate field \"spec.template.spec.containers[0].imagePullPolicy\""' &&
                req POST "$deployments?fieldValidation=Warn" "$sent" && want 201 '.spec.replicas == 3 and .spec.template.spec.containers[0].imagePullPolicy == "Never"' &&
                warned 'unknown field \\"spec.unknown\\"' && warned 'duplicate field \\"spec.replicas\\"' &&
                req POST "$deployments?fieldValidation=Ignore&dryRun=All" "${sent/twice/other}" && want 201 && ! grep -qi ^warning "$work/headers" || return 1
        local patch='{"spec":{"new":1,"new":2,"paused":true,"paused":false}}' type
        for type in application/merge-patch+json application/strategic-merge-patch+json; do
                req PATCH "$deployments/twice?fieldValidation=Strict" "$patch" $type && want 400 '.message | test("strict decoding error: unknown field \"spec.new\", duplicate field \"spec.paused\"$")' || return 1
        done
        sent=$'apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: twice\n  odd: 1\nspec:\n  paused: true\n  paused: false\n'
        req PATCH "$deployments/twice?fieldValidation=Strict&fieldManager=m" "$sent" application/apply-patch+yaml && want 400 '.message | test("strict decoding error: yaml: unmarshal errors:\n  line 8: key \"paused\" already set in map, unknown field \"metadata.odd\"$")' &&
                req PATCH "$deployments/twice?fieldValidation=Warn&fieldManager=m" "$sent" application/apply-patch+yaml && want 200 && warned 'line 8: key \\"paused\\" already set in map'
}
t_version() { req GET /version && want 200 && grep -qx '  "major": "1",' "$work/body"; }
t_reviews_are_no_tables() {
        local table='application/json;as=Table;v=v1;g=meta.k8s.io' sent='{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}'
        req POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews "$sent" application/json -H "Accept: $table" && want 406 '.reason == "NotAcceptable"' &&
                req POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews "$sent" application/json -H "Accept: $table,application/json" && want 201 '.status.allowed'
}
t_terminating() {
        req POST /api/v1/namespaces '{"metadata":{"name":"going"}}' && req DELETE /api/v1/namespaces/going && want 200 '.status.phase == "Terminating"' &&
                req POST /api/v1/namespaces/going/configmaps '{"metadata":{"name":"late"}}' && want 403 '.message == "configmaps \"late\" is forbidden: unable to create new content in namespace going because it is being terminated" and .details.name == "late"'
}
t_audiences() {
        req POST $ns/serviceaccounts/default/token '{"spec":{}}' && want 201 '.spec.audiences == ["https://kubernetes.default.svc.cluster.local"] and .spec.expirationSeconds == 3600'
}
t_generation() { # of a Deployment, and of another kind
        req POST $deployments "$(deployment counted)" && want 201 '.metadata.generation == 1' &&
                req PATCH $deployments/counted '{"metadata":{"annotations":{"a":"b"}}}' application/merge-patch+json && want 200 '.metadata.generation == 2' &&
                req PATCH $deployments/counted '{"metadata":{"labels":{"a":"b"}}}' application/merge-patch+json && want 200 '.metadata.generation == 2' &&
                req PATCH $deployments/counted/status '{"metadata":{"annotations":{"a":"c"}}}' application/merge-patch+json && want 200 '.metadata.generation == 2 and .metadata.annotations.a == "c"'
}
event() { printf '{"metadata":{"name":"%s"},"eventTime":"2026-01-01T00:00:00.123456Z","action":"Do","reason":"Test","type":"Normal","note":"n","reportingController":"test/c","reportingInstance":"i","regarding":{"namespace":"default","kind":"Pod"}}' "$1"; }
t_events() {
        local new=/apis/events.k8s.io/v1/namespaces/default/events
        req POST $new '{"metadata":{"name":"poor"}}' && want 422 '[.details.causes[].field] == ["eventTime","reportingController","reportingInstance","action","reason","type"]' &&
                req POST $new "$(event new)" && want 201 && req POST $ns/events '{"metadata":{"name":"old"},"source":{"component":"test/o"},"involvedObject":{"namespace":"default","kind":"Node"}}' && want 201 &&
                req GET "$new?fieldSelector=reportingController%3Dtest/c,regarding.kind%3DPod" && want 200 '[.items[].metadata.name] == ["new"]' &&
                req GET "$ns/events?fieldSelector=source%3Dtest/c" && want 200 '[.items[].metadata.name] == ["new"]' &&
                req GET "$ns/events?fieldSelector=source%3Dtest/o,involvedObject.kind%3DNode" && want 200 '[.items[].metadata.name] == ["old"]'
}
t_resize() { # resources change by their own subresource, which changes nothing else
        local p=$ns/pods/whole type=application/strategic-merge-patch+json
        to() { req PATCH $p/resize "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":$1}]}}" $type; }
        req POST $ns/pods '{"metadata":{"name":"whole"},"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"10m"}}}]}}' && want 201 &&
                req GET $p/resize && want 200 '.metadata.name == "whole"' &&
                req PATCH $p/resize '{"metadata":{"labels":{"a":"b"}},"status":{"phase":"Failed"},"spec":{"nodeName":"n","containers":[{"name":"c","image":"other","resources":{"requests":{"cpu":"15m"}}}]}}' $type &&
                want 200 '.metadata.labels == null and .metadata.generation == 2 and .status.phase == "Pending" and .spec.nodeName == null and .spec.containers[0].image == "i" and .spec.containers[0].resources.requests.cpu == "15m"' &&
                to '{"limits":{"memory":"1Gi"}}' && want 200 '.metadata.generation == 3 and .spec.containers[0].resources.requests.memory == "1Gi"' &&
                to '{"limits":{"memory":null}}' && want 422 '.message | contains("resource limits cannot be removed")' &&
                to '{"requests":{"cpu":"15m","memory":"1Gi"},"limits":{"cpu":"15m"}}' && want 422 '.message | contains("Pod QOS Class may not change as a result of resizing")' &&
                to '{"requests":{"example.com/x":"1"},"limits":{"example.com/x":"1"}}' && want 422 '.message | contains("only cpu and memory resources are mutable")' &&
                req POST $ns/limitranges '{"metadata":{"name":"small"},"spec":{"limits":[{"type":"Container","max":{"cpu":"20m"}}]}}' && want 201 &&
                to '{"requests":{"cpu":"18m"},"limits":{"cpu":"30m"}}' && want 403 '.message | contains("maximum cpu usage per Container is 20m")' &&
                req DELETE $ns/limitranges/small && want 200 &&
                req PATCH $p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"16m"}}}]}}' $type && want 422 &&
                req PATCH $p '{"spec":{"ephemeralContainers":[{"name":"g","image":"k"}]}}' $type && want 422
}
t_ephemeral_containers() { # they are only added, by their own subresource, which changes nothing else
        local p=$ns/pods/debugged type=application/strategic-merge-patch+json f=spec.ephemeralContainers
        add() { req PATCH $p/ephemeralcontainers "{\"spec\":{\"ephemeralContainers\":[$1]}}" $type; }
        req POST $ns/pods '{"metadata":{"name":"early"},"spec":{"containers":[{"name":"c","image":"i"}],"ephemeralContainers":[{"name":"e","image":"j"}]}}' &&
                want 422 '.details.causes[0].field == "'$f'" and (.message | contains("cannot be set on create"))' &&
                req POST $ns/pods '{"metadata":{"name":"debugged"},"spec":{"containers":[{"name":"c","image":"i"}]}}' && want 201 &&
                req GET $p/ephemeralcontainers && want 200 '.metadata.name == "debugged"' &&
                req PATCH $p/ephemeralcontainers '{"metadata":{"labels":{"a":"b"}},"status":{"phase":"Failed"},"spec":{"nodeName":"n","containers":[{"name":"c","image":"other"}],"ephemeralContainers":[{"name":"e","image":"j","targetContainerName":"c"}]}}' $type &&
                want 200 '.metadata.labels == null and .metadata.generation == 2 and .status.phase == "Pending" and .spec.nodeName == null and .spec.containers[0].image == "i" and .spec.ephemeralContainers[0].terminationMessagePath == "/dev/termination-log" and .spec.ephemeralContainers[0].imagePullPolicy == "Always"' &&
                add '{"name":"g","image":"k:1"}' && want 200 '[.spec.ephemeralContainers[].name] | sort == ["e","g"]' &&
                add '{"name":"e","image":"changed"}' && want 422 '.message | contains("existing ephemeral containers \"e\" may not be changed")' &&
                add '{"name":"e","$patch":"delete"}' && want 422 '.message | contains("existing ephemeral containers \"e\" may not be removed")' &&
                add '{"name":"c","image":"k"}' && want 422 '.details.causes[0].reason == "FieldValueDuplicate"' &&
                add '{"name":"h","image":"k","targetContainerName":"none"}' && want 422 '.details.causes[0].field == "'$f'[2].targetContainerName" or .details.causes[0].field == "'$f'[0].targetContainerName"' &&
                add '{"name":"h","image":"k","ports":[{"containerPort":1}],"resources":{"limits":{"cpu":"1"}},"livenessProbe":{"exec":{"command":["x"]}},"lifecycle":{"preStop":{"exec":{"command":["x"]}}}}' &&
                want 422 '[.details.causes[] | select(.message == "Forbidden: cannot be set for an Ephemeral Container") | .field | split(".")[-1]] | sort == ["lifecycle","livenessProbe","ports","resources"]' &&
                req PATCH $p '{"spec":{"ephemeralContainers":[{"name":"z","image":"k"}]}}' $type && want 422
}
t_certificates() {
        local c=/apis/certificates.k8s.io/v1/certificatesigningrequests merge=application/merge-patch+json
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/csr.key" -subj /CN=x -out "$work/x.csr" 2>/dev/null
        req POST $c '{"metadata":{"name":"x"},"spec":{"request":"'"$(base64 -w0 "$work/x.csr")"'","signerName":"example.com/s","usages":["server auth"]}}' && want 201 '.spec.username == "admin"' &&
                req PATCH $c/x/status '{"status":{"conditions":[{"type":"Approved","status":"True"}]}}' $merge && want 422 '.message | test("updates may not add a condition of type \"Approved\"")' &&
                req PATCH $c/x/approval '{"metadata":{"annotations":{"a":"b"}},"status":{"conditions":[{"type":"Approved","status":"True","reason":"r"}],"certificate":"YQ=="}}' $merge &&
                want 200 '.metadata.annotations.a == "b" and .status.certificate == null and (.status.conditions[0] | .lastUpdateTime and .lastTransitionTime)' &&
                req PATCH $c/x/approval '{"status":{"conditions":[]}}' $merge && want 422 '.message | test("updates may not remove a condition of type \"Approved\"")' &&
                req PATCH $c/x/status '{"status":{"certificate":"'"$(base64 -w0 "$work/ca.crt")"'"}}' $merge && want 200 '.status.certificate and (.status.conditions | length) == 1' &&
                req PATCH $c/x/status '{"status":{"certificate":"YQ=="}}' $merge && want 422 '.message | test("may not modify existing certificate content")'
}
t_jobs() {
        local jobs=/apis/batch/v1/namespaces/default/jobs job='{"metadata":{"name":"j"},"spec":{"template":{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}'
        req POST $jobs "$job" && want 201 '.metadata.uid as $uid | .spec.selector == {"matchLabels":{"batch.kubernetes.io/controller-uid":$uid}} and .spec.template.metadata.labels == {"a":"b","batch.kubernetes.io/controller-uid":$uid,"controller-uid":$uid,"batch.kubernetes.io/job-name":"j","job-name":"j"}' &&
                req PATCH $jobs/j '{"spec":{"parallelism":2}}' application/merge-patch+json && want 200 '.spec.parallelism == 2' &&
                req POST $jobs "$(jq '.metadata.name = "own" | .spec.manualSelector = true | .spec.selector.matchLabels = {"a":"b"}' <<<"$job")" && want 201 '.spec.selector.matchLabels == {"a":"b"} and .spec.template.metadata.labels == {"a":"b"}'
}

control_plane_start "$work" "$port" || { cat "$work"/*.log; exit 1; }
ok "a service account to begin with" account
for t in twice version reviews_are_no_tables terminating audiences generation events resize ephemeral_containers certificates jobs; do
        ok "$t" "t_$t"
done
ok "no sanitizer has complained" eval 'CP=$work no_complaints'
tap_end
