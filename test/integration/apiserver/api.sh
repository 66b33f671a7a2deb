#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kube-apiserver against real etcd, asked with curl: verbs, watches, bad input, credentials, and being killed. TAP.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib/tap.sh"
. "$here/../../lib/control-plane.sh"
. "$here/request.sh"
trap finish EXIT

cm() { printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s","labels":{%s}},"data":{"k":"%s"}}' "$1" "${3-}" "${2-v}"; }
pod() { printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s"},"spec":{"containers":[{"name":"c","image":"i"}]%s}}' "$1" "${2-}"; }
deployment() { printf '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"%s"},"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}}' "$1"; }
account() { req POST $ns/serviceaccounts '{"metadata":{"name":"default"}}' && [ "$code" = 201 ]; }

t_health() { req GET /readyz?verbose && want 200 && [[ $body == *'[+]etcd ok'* ]] && req GET /livez && want 200 && req GET /version && want 200 '.major == "1" and .minor == "35"' && req GET /metrics && [[ $body == *process_resident_memory_bytes* && $body == *'apiserver_request_total{code="200"'* ]]; }
t_create() {
        req POST $ns/configmaps "$(cm one)" && want 201 '.metadata.uid and .metadata.resourceVersion and .metadata.creationTimestamp' &&
                req GET $ns/configmaps/one && want 200 '.data.k == "v" and .kind == "ConfigMap"' &&
                req POST $ns/configmaps "$(cm one)" && want 409 '.reason == "AlreadyExists" and .message == "configmaps \"one\" already exists"' &&
                req POST $ns/configmaps '{"metadata":{"generateName":"gen-"}}' && want 201 '.metadata.name | test("^gen-[a-z0-9]{5}$")'
}
t_dry_run() { req POST "$ns/configmaps?dryRun=All" "$(cm dry)" && want 201 && req GET $ns/configmaps/dry && want 404 '.reason == "NotFound" and .details.name == "dry"'; }
t_update() {
        local v
        req GET $ns/configmaps/one && v=$(jq -r .metadata.resourceVersion <<<"$body")
        req PUT $ns/configmaps/one "$(jq '.data.k = "w"' <<<"$body")" && want 200 '.data.k == "w"' &&
                req PUT $ns/configmaps/one '{"metadata":{"name":"one","resourceVersion":"'"$v"'"},"data":{"k":"x"}}' && want 409 '.reason == "Conflict"' &&
                req GET $ns/configmaps/one && want 200 '.data.k == "w"' &&
                req PUT $ns/configmaps/other "$(cm one)" && want 400 && req PUT $ns/configmaps/none "$(cm none)" && want 404
}
t_patch() {
        req PATCH $ns/configmaps/one '{"data":{"a":"1","k":null}}' application/merge-patch+json && want 200 '.data == {"a":"1"}' &&
                req PATCH $ns/configmaps/one '[{"op":"test","path":"/data/a","value":"1"},{"op":"add","path":"/data/b","value":"2"}]' application/json-patch+json && want 200 '.data.b == "2"' &&
                req PATCH $ns/configmaps/one '[{"op":"test","path":"/data/a","value":"no"}]' application/json-patch+json && want 422 &&
                req POST /apis/apps/v1/namespaces/default/deployments "$(deployment web)" && want 201 &&
                req PATCH /apis/apps/v1/namespaces/default/deployments/web '{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i:2"},{"name":"d","image":"j"}]}}}}' application/strategic-merge-patch+json &&
                want 200 '(.spec.template.spec.containers | map(.image) | sort) == ["i:2","j"] and .metadata.generation == 2' &&
                req PATCH $ns/configmaps/one '{}' text/plain && want 415 '.reason == "UnsupportedMediaType"'
}
t_subresources() {
        local d=/apis/apps/v1/namespaces/default/deployments/web
        req GET $d/scale && want 200 '.kind == "Scale" and .spec.replicas == 2 and .status.selector == "a=b"' &&
                req PATCH $d/scale '{"spec":{"replicas":7}}' application/merge-patch+json && want 200 '.spec.replicas == 7' &&
                req GET $d && want 200 '.spec.replicas == 7 and .metadata.generation == 3' &&
                req PATCH $d/status '{"spec":{"replicas":1},"status":{"replicas":3}}' application/merge-patch+json && want 200 '.status.replicas == 3 and .spec.replicas == 7 and .metadata.generation == 3' &&
                req PATCH $d '{"status":{"replicas":9}}' application/merge-patch+json && want 200 '.status.replicas == 3'
}
t_defaults() { req GET /apis/apps/v1/namespaces/default/deployments/web && want 200 '.spec.strategy.type == "RollingUpdate" and .spec.template.spec.restartPolicy == "Always" and .spec.template.spec.containers[0].imagePullPolicy == "IfNotPresent" and .spec.revisionHistoryLimit == 10'; }
t_list() {
        local i token
        for i in $(seq 10); do req POST $ns/configmaps "$(cm "page-$i" v '"set":"pages","n":"'"$i"'"')"; done
        req GET "$ns/configmaps?labelSelector=set%3Dpages" && want 200 '.kind == "ConfigMapList" and (.items | length) == 10 and .metadata.resourceVersion' &&
                req GET "$ns/configmaps?labelSelector=set%3Dpages,n+notin+(1,2)" && want 200 '(.items | length) == 8' &&
                req GET "$ns/configmaps?fieldSelector=metadata.name%3Dpage-3" && want 200 '(.items | length) == 1' &&
                req GET "$ns/configmaps?labelSelector=set%3Dpages&limit=4" && want 200 '(.items | length) == 4 and .metadata.continue' || return 1
        token=$(jq -r .metadata.continue <<<"$body")
        req DELETE $ns/configmaps/page-9
        req GET "$ns/configmaps?labelSelector=set%3Dpages&limit=4&continue=$token" && want 200 '(.items | length) == 4' || return 1
        token=$(jq -r .metadata.continue <<<"$body")
        req GET "$ns/configmaps?labelSelector=set%3Dpages&limit=4&continue=$token" && want 200 '[.items[].metadata.name] == ["page-8","page-9"] and (.metadata.continue | not)' &&
                req GET "$ns/configmaps?resourceVersion=0" && want 200 && req GET "$ns/configmaps?continue=nonsense" && want 400 &&
                req GET "$ns/configmaps?labelSelector=a%3D%3D%3D" && want 400 '.reason == "BadRequest"' && req GET "$ns/configmaps?fieldSelector=data.k%3Dv" && want 400
}
t_forms() {
        req GET $ns/configmaps '' '' -H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json' && want 200 '.kind == "Table" and (.columnDefinitions | map(.name)) == ["Name","Data","Age"] and (.rows[0].cells | length) == 3' &&
                req GET $ns/configmaps '' '' -H 'Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' && want 200 '.kind == "PartialObjectMetadataList" and (.items[0].data | not)' &&
                req GET $ns/configmaps/one '' '' -H 'Accept: application/yaml' && [ "$code" = 200 ] && grep -q '^kind: ConfigMap' "$work/body" &&
                req GET $ns/configmaps/one '' '' -H 'Accept: text/html' && want 406
}
watching() { # in the background: becomes curl, so that its number is curl's
        exec curl -sN --cacert "$work/ca.crt" --cert "$work/admin.crt" --key "$work/admin.key" --max-time "${2:-60}" "$api$1"
}
watch_path() { (watching "$@"); }
events_are() { [ "$(wc -l <"$work/events")" -ge "$1" ]; }
t_watch() {
        local v pid
        req GET $ns/configmaps && v=$(jq -r .metadata.resourceVersion <<<"$body")
        watching "$ns/configmaps?watch=1&resourceVersion=$v&labelSelector=w%3D1" 120 >"$work/events" &
        pid=$!
        req POST $ns/configmaps "$(cm w1 a '"w":"1"')" && req POST $ns/configmaps "$(cm w2 a)" &&
                req PATCH $ns/configmaps/w1 '{"data":{"k":"b"}}' application/merge-patch+json &&
                req PATCH $ns/configmaps/w1 '{"metadata":{"labels":{"w":"2"}}}' application/merge-patch+json &&
                req PATCH $ns/configmaps/w2 '{"metadata":{"labels":{"w":"1"}}}' application/merge-patch+json && req DELETE $ns/configmaps/w2
        until_true 60 events_are 5
        kill $pid
        wait $pid
        equals "$(jq -r '.type + " " + .object.metadata.name' "$work/events" | tr '\n' ,)" "ADDED w1,MODIFIED w1,DELETED w1,ADDED w2,DELETED w2," || return 1
        # resumed from the second event: the rest comes again
        v=$(jq -r 'select(.type == "MODIFIED") | .object.metadata.resourceVersion' "$work/events")
        : >"$work/events" # the watch below may begin to write late
        watching "$ns/configmaps?watch=1&resourceVersion=$v&labelSelector=w%3D1" 120 >"$work/events" &
        pid=$!
        until_true 60 events_are 3
        kill $pid
        wait $pid
        equals "$(jq -r .type "$work/events" | tr '\n' ,)" "DELETED,ADDED,DELETED,"
}
t_watch_list() {
        watch_path "$ns/configmaps?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1" >"$work/events"
        jq -es 'map(.type) | (.[0] == "ADDED") and (.[-1] == "BOOKMARK")' "$work/events" && jq -es '.[-1].object.metadata.annotations["k8s.io/initial-events-end"] == "true"' "$work/events"
}
t_delete() {
        local uid
        req POST $ns/configmaps "$(cm gone)" && uid=$(jq -r .metadata.uid <<<"$body")
        req DELETE $ns/configmaps/gone '{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}' && want 409 &&
                req DELETE $ns/configmaps/gone '{"preconditions":{"uid":"'"$uid"'"}}' && want 200 '.status == "Success" and .details.uid == "'"$uid"'"' &&
                req DELETE $ns/configmaps/gone && want 404 &&
                req POST $ns/configmaps '{"metadata":{"name":"held","finalizers":["test/hold"]}}' && req DELETE $ns/configmaps/held && want 200 '.metadata.deletionTimestamp' &&
                req GET $ns/configmaps/held && want 200 && req PATCH $ns/configmaps/held '{"metadata":{"finalizers":null}}' application/merge-patch+json && want 200 &&
                req GET $ns/configmaps/held && want 404 &&
                req DELETE "$ns/configmaps?labelSelector=set%3Dpages" && want 200 && req GET "$ns/configmaps?labelSelector=set%3Dpages" && want 200 '.items == []' &&
                req POST $ns/configmaps "$(cm fore)" && req DELETE "$ns/configmaps/fore?propagationPolicy=Foreground" && want 200 '.metadata.finalizers == ["foregroundDeletion"]' &&
                req DELETE "$ns/configmaps/fore?propagationPolicy=Sideways" && want 422
}
t_grace() {
        req POST $ns/pods "$(pod graceful ',"nodeName":"n1"')" && want 201 '.status.phase == "Pending" and .spec.tolerations[0].tolerationSeconds == 300 and .spec.serviceAccountName == "default" and (.spec.volumes[0].name | startswith("kube-api-access-"))' &&
                req DELETE $ns/pods/graceful && want 200 '.metadata.deletionGracePeriodSeconds == 30 and .metadata.deletionTimestamp' &&
                req DELETE "$ns/pods/graceful?gracePeriodSeconds=0" && want 200 && req GET $ns/pods/graceful && want 404 &&
                req POST $ns/pods "$(pod unbound)" && want 201 && req DELETE $ns/pods/unbound && want 200 && req GET $ns/pods/unbound && want 404
}
t_binding() {
        req POST $ns/pods "$(pod bound)" && req POST $ns/pods/bound/binding '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"bound"},"target":{"kind":"Node","name":"n1"}}' && want 201 &&
                req GET $ns/pods/bound && want 200 '.spec.nodeName == "n1" and .metadata.generation == 1 and .status.conditions[0].type == "PodScheduled"' &&
                req POST $ns/pods/bound/binding '{"metadata":{"name":"bound"},"target":{"name":"n2"}}' && want 409 &&
                req PATCH $ns/pods/bound '{"spec":{"nodeName":"n2"}}' application/merge-patch+json && want 422 '.reason == "Invalid"' &&
                req POST $ns/pods/bound/eviction '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"bound"}}' && want 201 && req DELETE "$ns/pods/bound?gracePeriodSeconds=0" && want 200
}
service() { printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"%s"},"spec":{"selector":{"a":"b"},"ports":[{"port":80}]%s}}' "$1" "${2-}"; }
t_services() {
        local ip nodeport
        req POST $ns/services "$(service s1 ',"type":"NodePort"')" && want 201 '.spec.clusterIP | test("^10\\.96\\.")' || return 1
        ip=$(jq -r .spec.clusterIP <<<"$body") nodeport=$(jq -r '.spec.ports[0].nodePort' <<<"$body")
        [ "$nodeport" -ge 30000 ] && req POST $ns/services "$(service s2 ',"clusterIP":"'"$ip"'"')" && want 422 '.message | test("already allocated")' &&
                req POST $ns/services "$(service s3 ',"type":"NodePort","ports":[{"port":1,"nodePort":'"$nodeport"'}]' | sed 's/"ports":\[{"port":80}\],//')" && want 422 '.message | test("already allocated")' &&
                req POST $ns/services "$(service s4 ',"clusterIP":"None"')" && want 201 '.spec.clusterIPs == ["None"]' &&
                req DELETE $ns/services/s1 && want 200 && req POST $ns/services "$(service s2 ',"clusterIP":"'"$ip"'"')" && want 201 &&
                req POST $ns/services "$(service s5 ',"clusterIP":"9.9.9.9"')" && want 422 && req POST $ns/services "$(service 5bad)" && want 422
}
t_bad_json() {
        req POST $ns/configmaps '{"metadata":' && want 400 '.message | test("line 1")' &&
                req POST $ns/configmaps $'a: b\n  c: [' application/yaml && want 400 '.message | test("line")' &&
                req POST $ns/configmaps '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}' && want 400 &&
                req POST $ns/configmaps '{"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"x"}}' && want 400 &&
                req POST $ns/configmaps '{"metadata":{"name":"x"},"data":{"a":1}}' && want 400 '.message | test("cannot unmarshal number")' &&
                req POST $ns/configmaps 'x' text/plain && want 415 && req POST $ns/configmaps '' && want 400
}
t_unknown_field() {
        req POST "$ns/configmaps?fieldValidation=Strict" '{"metadata":{"name":"strict"},"foo":1}' && want 400 '.message | test("strict decoding error: unknown field \"foo\"")' &&
                req GET $ns/configmaps/strict && want 404 &&
                req POST "$ns/configmaps?fieldValidation=Warn" '{"metadata":{"name":"warn"},"foo":1}' && want 201 '.foo | not' && grep -qi '^warning: 299 - "unknown field' "$work/headers" &&
                req POST "$ns/configmaps?fieldValidation=Ignore" '{"metadata":{"name":"ignore"},"foo":1}' && want 201 && ! grep -qi '^warning:' "$work/headers"
}
t_invalid() {
        req POST $ns/configmaps '{"metadata":{"name":"Bad_Name"}}' && want 422 '.reason == "Invalid" and .details.causes[0].field == "metadata.name" and .details.causes[0].reason == "FieldValueInvalid"' &&
                req POST $ns/configmaps '{"metadata":{}}' && want 422 && req POST $ns/configmaps '{"metadata":{"name":"x","labels":{"a b":"c"}}}' && want 422 &&
                req POST $ns/pods '{"metadata":{"name":"p"},"spec":{"containers":[]}}' && want 422 '.details.causes[0].field == "spec.containers"' &&
                req POST $ns/pods '{"metadata":{"name":"p"},"spec":{"restartPolicy":"Sometimes","containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"2"},"limits":{"cpu":"1"}}}]}}' && want 422 '(.details.causes | length) >= 2' &&
                req POST /apis/apps/v1/namespaces/default/deployments "$(deployment x | sed 's/"labels":{"a":"b"}/"labels":{"c":"d"}/')" && want 422
}
# Server-side apply: owners, conflicts, what is given up goes, and what is nobody else's.
t_apply() {
        local path=/apis/apps/v1/namespaces/default/deployments/applied type=application/apply-patch+yaml
        local yaml='{apiVersion: apps/v1, kind: Deployment, metadata: {name: applied, labels: {x: "1"}}, spec: {replicas: 2, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: "i:1"}, {name: d, image: j}]}}}}'
        req PATCH $path "$yaml" $type && want 422 '.message | test("fieldManager: Required value")' &&
                req PATCH "$path?fieldManager=one" "$yaml" $type && want 201 '.metadata.managedFields | length == 1 and .[0].operation == "Apply" and .[0].fieldsV1["f:spec"]["f:selector"] == {}' &&
                local first && first=$(jq -r .metadata.resourceVersion "$work/body") &&
                req PATCH "$path?fieldManager=one" "$yaml" $type && want 200 '.metadata.resourceVersion == "'"$first"'"' &&
                req PATCH "$path?fieldManager=scaler" '{"spec":{"replicas":5}}' application/merge-patch+json && want 200 '.metadata.managedFields | length == 2' &&
                req PATCH "$path?fieldManager=one" "$yaml" $type && want 409 '.details.causes == [{"reason":"FieldManagerConflict","message":.details.causes[0].message,"field":".spec.replicas"}] and (.message | test("^Apply failed with 1 conflict: conflict with \"scaler\" using apps/v1 at .*: .spec.replicas$"))' &&
                req PATCH "$path?fieldManager=two" "${yaml//replicas: 2, /}" $type && want 200 '.spec.replicas == 5' &&
                req PATCH "$path?fieldManager=one&force=true" "$yaml" $type && want 200 '.spec.replicas == 2 and ([.metadata.managedFields[].manager] | sort == ["one", "two"])' || return 1
        # the container d: given up by one, kept by two, then gone
        yaml=${yaml/, \{name: d, image: j\}/}
        req PATCH "$path?fieldManager=one" "$yaml" $type && want 200 '.spec.template.spec.containers | length == 2' &&
                req PATCH "$path?fieldManager=two" "${yaml//replicas: 2, /}" $type && want 200 '.spec.template.spec.containers | length == 1' &&
                req PATCH "$path?fieldManager=one" "${yaml/, labels: \{x: \"1\"\}/}" $type && want 200 '.metadata.labels.x == "1"' &&
                req PATCH "$path?fieldManager=two" "${yaml/, labels: \{x: \"1\"\}/}" $type && want 200 '.metadata.labels == null' || return 1
        # an object from before
        req POST $ns/configmaps "$(cm before)" && want 201 &&
                req PATCH "$ns/configmaps/before?fieldManager=one" '{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"other"}}' $type && want 409 '.message | test("before-first-apply")' &&
                req PATCH "$ns/configmaps/before?fieldManager=one" '{"apiVersion":"v1","kind":"ConfigMap","data":{"l":"new"}}' $type && want 200 '.data == {"k":"v","l":"new"}' &&
                req PATCH "$ns/configmaps/before?fieldManager=one" '{"apiVersion":"v1","kind":"Secret","data":{}}' $type && want 400
}
t_immutable() {
        local apps=/apis/apps/v1/namespaces/default merge=application/merge-patch+json classes=/apis/storage.k8s.io/v1/storageclasses
        local template='"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}'
        req POST $apps/deployments "$(deployment fixed)" && want 201 &&
                req PATCH $apps/deployments/fixed '{"spec":{"selector":{"matchLabels":{"x":"y"}},"template":{"metadata":{"labels":{"x":"y"}}}}}' $merge &&
                want 422 '.details.causes[0].field == "spec.selector" and (.message | test("field is immutable"))' &&
                req PATCH $apps/deployments/fixed '{"spec":{"replicas":7}}' $merge && want 200 &&
                req POST $apps/statefulsets '{"metadata":{"name":"fixed"},"spec":{"serviceName":"s","selector":{"matchLabels":{"a":"b"}},'"$template"'}}' && want 201 &&
                req PATCH $apps/statefulsets/fixed '{"spec":{"serviceName":"t"}}' $merge && want 422 '.details.causes[0].message | test("updates to statefulset spec for fields other than")' &&
                req PATCH $apps/statefulsets/fixed '{"spec":{"replicas":3}}' $merge && want 200 &&
                req POST $classes '{"metadata":{"name":"fixed"},"provisioner":"p","parameters":{"a":"b"}}' && want 201 &&
                req PATCH $classes/fixed '{"parameters":{"a":"c"}}' $merge && want 422 '.message | test("updates to parameters are forbidden")' &&
                req PATCH $classes/fixed '{"volumeBindingMode":"WaitForFirstConsumer"}' $merge && want 422 '.message | test("field is immutable")' &&
                req POST $ns/persistentvolumeclaims '{"metadata":{"name":"fixed"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}' && want 201 &&
                req PATCH $ns/persistentvolumeclaims/fixed '{"spec":{"volumeName":"v"}}' $merge && want 200 &&
                req PATCH $ns/persistentvolumeclaims/fixed '{"spec":{"volumeName":"w"}}' $merge && want 422 '.message | test("spec is immutable after creation")'
}
t_privileged() {
        local c='"securityContext":{"privileged":true},"name":"c","image":"i"' why='disallowed by cluster policy'
        req POST $ns/pods '{"metadata":{"name":"p"},"spec":{"containers":[{'"$c"'}]}}' && want 422 '.details.causes[0].field == "spec.containers[0].securityContext.privileged" and (.message | test("'"$why"'"))' &&
                req POST /apis/apps/v1/namespaces/default/deployments "$(deployment x | sed 's/"name":"c","image":"i:1"/'"$c"'/')" && want 422 '.message | test("'"$why"'")'
}
t_too_large() { head -c 4000000 /dev/zero | tr '\0' a >"$work/big" && req POST $ns/configmaps "@$work/big" && want 413 '.reason == "RequestEntityTooLarge"'; }
t_missing() { req GET /api/v1/nonsense && want 404 && req GET /apis/none.example.com/v1/things && want 404 && req POST /api/v1/namespaces/absent/configmaps "$(cm x)" && want 404 '.message == "namespaces \"absent\" not found"' && req DELETE /api/v1/namespaces/default && want 403; }
t_credentials() {
        ANON=1 req GET $ns/configmaps && want 403 '.message | test("system:anonymous")' &&
                ANON=1 req GET $ns/configmaps '' '' -H 'Authorization: Bearer no.such.token' && want 401 '.reason == "Unauthorized"' || return 1
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/stranger.key" -out "$work/stranger.crt" -days 1 -subj /O=system:masters/CN=me 2>/dev/null
        WHO=stranger req GET $ns/configmaps
        [ "$code" = 401 ] || [ "$code" = 000 ] || { echo "a stranger's certificate: $code"; return 1; }
}
t_tokens() {
        local token
        req POST $ns/serviceaccounts/default/token '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":600}}' && want 201 '.status.token' || return 1
        token=$(jq -r .status.token <<<"$body")
        ANON=1 req GET $ns/configmaps '' '' -H "Authorization: Bearer $token" && want 403 '.message | test("system:serviceaccount:default:default")' &&
                ANON=1 req GET $ns/configmaps '' '' -H "Authorization: Bearer ${token%?????}AAAAA" && want 401 &&
                req POST /apis/authentication.k8s.io/v1/tokenreviews '{"spec":{"token":"'"$token"'"}}' && want 201 '.status.authenticated and .status.user.username == "system:serviceaccount:default:default"' &&
                req POST $ns/serviceaccounts/default/token '{"spec":{"audiences":["elsewhere"],"expirationSeconds":600}}' && want 201 || return 1
        ANON=1 req GET $ns/configmaps '' '' -H "Authorization: Bearer $(jq -r .status.token <<<"$body")" && want 401 &&
                req POST $ns/serviceaccounts/default/token '{"spec":{"expirationSeconds":1}}' && want 422
}
t_bootstrap() {
        req POST /api/v1/namespaces/kube-system/secrets '{"metadata":{"name":"bootstrap-token-abcdef"},"type":"bootstrap.kubernetes.io/token","stringData":{"token-id":"abcdef","token-secret":"0123456789abcdef","usage-bootstrap-authentication":"true","auth-extra-groups":"system:bootstrappers:x"}}' && want 201 &&
                ANON=1 req POST /apis/authentication.k8s.io/v1/selfsubjectreviews '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' '' -H 'Authorization: Bearer abcdef.0123456789abcdef' && want 201 '.status.userInfo.username == "system:bootstrap:abcdef" and (.status.userInfo.groups | index("system:bootstrappers:x"))' &&
                ANON=1 req GET /api '' '' -H 'Authorization: Bearer abcdef.fedcba9876543210' && want 401
}
rbac=/apis/rbac.authorization.k8s.io/v1
t_rbac() {
        kubeconfig_for "$work" jane jane developers
        WHO=jane req GET $ns/configmaps && want 403 '.message == "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\""' &&
                req POST $rbac/namespaces/default/roles '{"metadata":{"name":"reader"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list"]},{"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles"],"verbs":["create"]}]}' && want 201 &&
                req POST $rbac/namespaces/default/rolebindings '{"metadata":{"name":"reader"},"subjects":[{"kind":"Group","name":"developers"}],"roleRef":{"kind":"Role","name":"reader","apiGroup":"rbac.authorization.k8s.io"}}' && want 201 &&
                WHO=jane req GET $ns/configmaps && want 200 && WHO=jane req DELETE $ns/configmaps/one && want 403 && WHO=jane req GET /api/v1/namespaces/kube-system/configmaps && want 403 &&
                WHO=jane req POST $rbac/namespaces/default/roles '{"metadata":{"name":"more"},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}' && want 403 '.message | test("attempting to grant RBAC permissions not currently held")' &&
                req POST /apis/authorization.k8s.io/v1/subjectaccessreviews '{"spec":{"user":"jane","groups":["developers"],"resourceAttributes":{"namespace":"default","verb":"get","resource":"configmaps"}}}' && want 201 '.status.allowed' &&
                req GET $rbac/clusterroles/view && want 200 && req GET $rbac/clusterroles/cluster-admin && want 200
}
t_nodes() {
        kubeconfig_for "$work" node1 system:node:n1 system:nodes
        req POST $ns/secrets '{"metadata":{"name":"needed"},"data":{"a":"Yg=="}}' && req POST $ns/secrets '{"metadata":{"name":"private"}}' &&
                req POST $ns/pods "$(pod user ',"nodeName":"n1","volumes":[{"name":"s","secret":{"secretName":"needed"}}]')" && want 201 &&
                WHO=node1 req GET $ns/secrets/needed && want 200 && WHO=node1 req GET $ns/secrets/private && want 403 && WHO=node1 req GET $ns/secrets && want 403 &&
                WHO=node1 req POST /api/v1/nodes '{"metadata":{"name":"n1"}}' && want 201 '.spec.taints[0].key == "node.kubernetes.io/not-ready"' &&
                WHO=node1 req POST /api/v1/nodes '{"metadata":{"name":"n2"}}' && want 403 && WHO=node1 req PATCH $ns/pods/user/status '{"status":{"phase":"Running"}}' application/merge-patch+json && want 200 '.status.phase == "Running"' &&
                WHO=node1 req PATCH /api/v1/nodes/n1 '{"metadata":{"labels":{"node-restriction.kubernetes.io/x":"y"}}}' application/merge-patch+json && want 403
}
t_namespace() {
        req POST /api/v1/namespaces '{"metadata":{"name":"team"}}' && want 201 '.status.phase == "Active" and .spec.finalizers == ["kubernetes"]' &&
                req DELETE /api/v1/namespaces/team && want 200 '.status.phase == "Terminating"' &&
                req POST /api/v1/namespaces/team/configmaps "$(cm late)" && want 403 '.details.causes[0].reason == "NamespaceTerminating"' &&
                req PUT /api/v1/namespaces/team/finalize '{"metadata":{"name":"team"},"spec":{"finalizers":[]}}' && want 200 && req GET /api/v1/namespaces/team && want 404
}
t_events() {
        req POST $ns/events '{"metadata":{"name":"e1","namespace":"default"},"involvedObject":{"kind":"Pod","name":"x","namespace":"default"},"reason":"R","message":"M","type":"Normal"}' && want 201 &&
                req GET /apis/events.k8s.io/v1/namespaces/default/events/e1 && want 200 '.note == "M" and .regarding.name == "x" and .apiVersion == "events.k8s.io/v1"'
}
t_discovery() {
        req GET /apis && want 200 '.kind == "APIGroupList" and (.groups | map(.name) | index("apps"))' && req GET /apis/apps/v1 && want 200 '.resources | map(.name) | index("deployments/scale")' &&
                req GET /apis '' '' -H 'Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' && want 200 '.kind == "APIGroupDiscoveryList"' &&
                req GET /openapi/v3 && want 200 '.paths["apis/apps/v1"].serverRelativeURL' && req GET /openapi/v3/apis/apps/v1 && want 200 '.components.schemas["io.k8s.api.apps.v1.Deployment"]' && req GET /openapi/v2 && want 200 '.definitions'
}
# Empty lists and maps that are optional go, also when a patch takes the last entry; what Go writes anyway stays.
t_empties() {
        local merge=application/merge-patch+json
        req POST $ns/configmaps '{"metadata":{"name":"empty","ownerReferences":[],"finalizers":["a/b"],"labels":{},"annotations":{"x":"y"}},"data":{},"binaryData":{}}' && want 201 '(has("data") or has("binaryData") or (.metadata | has("ownerReferences") or has("labels"))) | not' &&
                req PATCH $ns/configmaps/empty '[{"op":"remove","path":"/metadata/finalizers/0"},{"op":"remove","path":"/metadata/annotations/x"}]' application/json-patch+json && want 200 '.metadata | (has("finalizers") or has("annotations")) | not' &&
                req POST $ns/services "$(service empty ',"externalIPs":[],"loadBalancerSourceRanges":[]' | sed 's/"selector":{"a":"b"}/"selector":{}/')" && want 201 '.spec | (has("selector") or has("externalIPs") or has("loadBalancerSourceRanges")) | not' &&
                req POST $ns/pods '{"metadata":{"name":"empty"},"spec":{"securityContext":{},"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"c","image":"i","env":[],"resources":{"limits":{}}}]}}' && want 201 '.spec.securityContext == {} and .spec.volumes[0].emptyDir == {} and .spec.containers[0].resources == {} and (.spec.containers[0] | has("env") | not)' &&
                req POST $rbac/namespaces/default/roles '{"metadata":{"name":"empty"},"rules":[]}' && want 201 '.rules == []' &&
                req POST /apis/networking.k8s.io/v1/namespaces/default/networkpolicies '{"metadata":{"name":"empty"},"spec":{"podSelector":{},"ingress":[{"from":[]}],"egress":[]}}' && want 201 '.spec.podSelector == {} and .spec.ingress == [{}] and (.spec | has("egress") | not)'
}
whoami() { req POST /apis/authentication.k8s.io/v1/selfsubjectreviews '{}' '' "$@"; }
t_impersonation() {
        whoami -H 'Impersonate-User: bob' -H 'Impersonate-Group: g' -H 'Impersonate-Uid: u1' -H 'Impersonate-Extra-Scopes: a' -H 'Impersonate-Extra-scopes: b' -H 'Impersonate-Extra-Example.com%2fKey: c' &&
                want 201 '.status.userInfo == {"username":"bob","uid":"u1","groups":["g","system:authenticated"],"extra":{"scopes":["a","b"],"example.com/key":["c"]}}' &&
                whoami -H 'Impersonate-User: system:serviceaccount:default:x' && want 201 '.status.userInfo.groups == ["system:serviceaccounts","system:serviceaccounts:default","system:authenticated"]' &&
                req GET $ns/configmaps '' '' -H 'Impersonate-Uid: u' && want 400 && req GET $ns/configmaps '' '' -H 'Impersonate-User: bob' && want 403 '.message | test("User \"bob\" cannot list")' || return 1
        kubeconfig_for "$work" actor actor
        req POST $rbac/clusterroles '{"metadata":{"name":"actor"},"rules":[{"apiGroups":[""],"resources":["users"],"verbs":["impersonate"],"resourceNames":["bob"]},{"apiGroups":["authentication.k8s.io"],"resources":["userextras/scopes"],"verbs":["impersonate"],"resourceNames":["a"]}]}' && want 201 &&
                req POST $rbac/clusterrolebindings '{"metadata":{"name":"actor"},"subjects":[{"kind":"User","name":"actor"}],"roleRef":{"kind":"ClusterRole","name":"actor","apiGroup":"rbac.authorization.k8s.io"}}' && want 201 &&
                WHO=actor whoami -H 'Impersonate-User: bob' -H 'Impersonate-Extra-Scopes: a' && want 201 '.status.userInfo.username == "bob"' &&
                WHO=actor whoami -H 'Impersonate-User: eve' && want 403 '.message == "users \"eve\" is forbidden: User \"actor\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"' &&
                WHO=actor whoami -H 'Impersonate-User: system:serviceaccount:team:x' && want 403 '.message | endswith("resource \"serviceaccounts\" in API group \"\" in the namespace \"team\"")' &&
                WHO=actor whoami -H 'Impersonate-User: bob' -H 'Impersonate-Extra-Scopes: b' && want 403 '.message == "userextras.authentication.k8s.io \"b\" is forbidden: User \"actor\" cannot impersonate resource \"userextras/scopes\" in API group \"authentication.k8s.io\" at the cluster scope"' &&
                WHO=actor whoami -H 'Impersonate-User: bob' -H 'Impersonate-Uid: u' && want 403 '.details.kind == "uids"' &&
                WHO=actor whoami -H 'Impersonate-User: bob' -H 'Impersonate-Group: system:masters' && want 403 '.details.kind == "groups"'
}
t_methods() {
        req HEAD $ns/configmaps '' '' --head && want 200 && req OPTIONS $ns/configmaps && want 405 '.reason == "MethodNotAllowed"' && req POST $ns/configmaps/one '{}' && want 405 &&
                req PUT $ns/configmaps '{}' && want 405 && req PATCH /api/v1/namespaces/default/events '{}' application/merge-patch+json && want 405
}
t_pretty() {
        local plain='{"kind":"ConfigMap","apiVersion":"v1",'
        req POST $ns/configmaps "$(cm pretty)" && req GET "$ns/configmaps/pretty?pretty=false" && [[ $body == "$plain"* ]] || return 1
        req GET $ns/configmaps/pretty '' '' -A client && [[ $body == "$plain"* ]] || return 1
        req GET "$ns/configmaps/pretty?pretty=true" '' '' -A client && [[ $body == $'{\n  "kind": "ConfigMap",\n  "apiVersion": "v1",\n  "metadata": {\n'* ]] || return 1
        req GET "$ns/configmaps?pretty=1" '' '' -A client && [[ $body == $'{\n  "kind": "ConfigMapList",\n'* ]] && want 200 || return 1
        req GET "$ns/configmaps/none?pretty=true" '' '' -A client && [[ $body == $'{\n  "kind": "Status",\n'* ]] && want 404
}
t_accept() {
        local table='application/json;as=Table;v=v1;g=meta.k8s.io'
        req GET $ns/configmaps/one '' '' -H 'Accept: application/foo, application/json' && want 200 && req GET $ns/configmaps/one '' '' -H 'Accept: application/foo' && want 406 '.reason == "NotAcceptable"' &&
                req GET $ns/configmaps/one '' '' -H 'Accept: application/json;as=Cards;v=v1;g=meta.k8s.io, */*' && want 200 '.kind == "ConfigMap"' &&
                req GET "$ns/configmaps?includeObject=Object&limit=1" '' '' -H "Accept: $table" && want 200 '.rows[0].object.kind == "ConfigMap" and .rows[0].object.data and .metadata.continue' &&
                req GET "$ns/configmaps?limit=1" '' '' -H "Accept: $table" && want 200 '.rows[0].object.kind == "PartialObjectMetadata"' &&
                req GET "$ns/configmaps?includeObject=None" '' '' -H "Accept: $table" && want 200 '[.rows[].object] | all(. == null)' &&
                req GET "$ns/configmaps?includeObject=Half" '' '' -H "Accept: $table" && want 400 '.message == "unrecognized includeObject value: \"Half\""'
}
etag() { sed -n 's/^[Ee][Tt][Aa][Gg]: *\(.*\)\r$/\1/p' "$work/headers"; }
# Documents that do not change are not sent twice.
t_documents() {
        local path type tag protobuf=application/com.github.proto-openapi.spec.v2@v1.0+protobuf
        for path in /openapi/v2 "/openapi/v2 $protobuf" /openapi/v3 /openapi/v3/apis/apps/v1 "/apis application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"; do
                type=${path#* }
                [ "$type" != "$path" ] || type=application/json
                path=${path%% *}
                req GET "$path" '' '' -H "Accept: $type" 2>/dev/null && [ "$code" = 200 ] && tag=$(etag) && [ -n "$tag" ] || { echo "no ETag of $path"; return 1; }
                req GET "$path" '' '' -H "Accept: $type" -H "If-None-Match: $tag" && [ "$code" = 304 ] || { echo "$path: $code"; return 1; }
                req GET "$path" '' '' -H "Accept: $type" -H 'If-None-Match: "other"' 2>/dev/null && [ "$code" = 200 ] || { echo "$path: $code"; return 1; }
        done
        req GET /openapi/v2 '' '' -H 'Accept: text/html' && want 406 && req GET /openapi/v3 '' '' -H "Accept: $protobuf" && want 406 &&
                req GET /openapi/v2 '' '' -H "Accept: $protobuf" 2>/dev/null && grep -qi '^content-type: application/com.github.proto-openapi.spec.v2.v1.0+protobuf' "$work/headers" &&
                [ "$(head -c 5 "$work/body")" = $'\n\x032.0' ] && req GET /openapi/v3 || return 1
        path=$(jq -r '.paths["apis/apps/v1"].serverRelativeURL' "$work/body")
        req GET "$path" && want 200 && grep -qi '^cache-control: public, immutable' "$work/headers" && equals "$(etag)" "\"${path#*hash=}\"" &&
                req GET "/openapi/v3/apis/apps/v1?hash=OLD" && [ "$code" = 301 ] && grep -qiF "location: $path" "$work/headers"
}
t_no_page() {
        local path
        for path in /nothing /apis/none.io /apis/none.io/v1 /apis/none.io/v1/things /apis/apps/v9/deployments /api/v2 /livez/none //api/v1 /openapi/v3/apis/none.io/v1; do
                req GET "$path" && [ "$code" = 404 ] && [ "$body" = "404 page not found" ] && grep -qi '^content-type: text/plain' "$work/headers" || { echo "$path: $code $body"; return 1; }
        done
        for path in /api/v1/nonsense /apis/apps/v1/nonsense $ns/pods/x/nonsense $ns/configmaps/a%2Fb; do
                req GET "$path" && want 404 '.kind == "Status" and .message == "the server could not find the requested resource"' || return 1
        done
        req GET ${ns/default/default%2F}configmaps && ANON=1 req GET /nothing && want 403
}
t_watch_paths() {
        local old=${ns/v1/v1\/watch}
        req POST $ns/configmaps "$(cm seen)" && req POST $ns/configmaps "$(cm seen2)" &&
                req GET "$old/configmaps/seen?timeoutSeconds=1" && want 200 && equals "$(jq -r .object.metadata.name "$work/body")" seen &&
                req GET "$old/configmaps?timeoutSeconds=1&fieldSelector=metadata.name%3Dseen2" && equals "$(jq -r .object.metadata.name "$work/body")" seen2 &&
                req GET "/api/v1/watch/namespaces/default?timeoutSeconds=1" && equals "$(jq -r .object.metadata.name "$work/body")" default &&
                req GET "/api/v1/watch/configmaps?timeoutSeconds=1&resourceVersion=0" && [ "$(wc -l <"$work/body")" -gt 1 ] && req GET "/apis/apps/v1/watch/deployments?timeoutSeconds=1" && [ "$code" = 200 ] &&
                req GET "$ns/configmaps?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dseen" && equals "$(jq -r .object.metadata.name "$work/body")" seen &&
                req GET "$ns/configmaps/seen?watch=1" && want 200 '.kind == "ConfigMap"' && req GET "$ns/configmaps?watch=false" && want 200 '.kind == "ConfigMapList"'
}
refused() { req GET "$ns/configmaps?$1" && want 422 '.reason == "Invalid" and .details.kind == "ListOptions" and .details.group == "meta.k8s.io" and (.message | startswith("ListOptions.meta.k8s.io \"\" is invalid: "))' && { [[ $body == *"$2"* ]] || { echo "$1: $body"; return 1; }; }; }
bad_service() { req POST $ns/services '{"metadata":{"name":"bad"},"spec":'"$1"'}' && want 422 '[.details.causes[].field] | index("'"$2"'")'; }
t_service_rules() {
        bad_service '{"externalTrafficPolicy":"Local","ports":[{"port":80}]}' spec.externalTrafficPolicy && bad_service '{"allocateLoadBalancerNodePorts":true,"ports":[{"port":80}]}' spec.allocateLoadBalancerNodePorts &&
                bad_service '{"loadBalancerClass":"a/b","ports":[{"port":80}]}' spec.loadBalancerClass && bad_service '{"healthCheckNodePort":30009,"ports":[{"port":80}]}' spec.healthCheckNodePort &&
                bad_service '{"type":"LoadBalancer","loadBalancerSourceRanges":["1.2.3.4"],"ports":[{"port":80}]}' 'spec.LoadBalancerSourceRanges[0]' && bad_service '{"externalIPs":["127.0.0.1"],"ports":[{"port":80}]}' 'spec.externalIPs[0]' &&
                bad_service '{"ipFamilies":["IPv6"],"ports":[{"port":80}]}' 'spec.ipFamilies[0]' && bad_service '{"ports":[{"port":80,"appProtocol":"a b"}]}' 'spec.ports[0].appProtocol' || return 1
        # What came with the type goes with it.
        local merge=application/merge-patch+json
        req POST $ns/services "$(service turns ',"type":"LoadBalancer"')" && want 201 '.spec.allocateLoadBalancerNodePorts and .spec.ports[0].nodePort' &&
                req PATCH $ns/services/turns '{"spec":{"type":"ClusterIP"}}' $merge && want 200 '.spec | has("allocateLoadBalancerNodePorts") or has("externalTrafficPolicy") or .ports[0].nodePort | not' &&
                req PATCH $ns/services/turns '{"spec":{"type":"NodePort"}}' $merge && want 200 '.spec.ports[0].nodePort and .spec.externalTrafficPolicy == "Cluster"' &&
                req PATCH $ns/services/turns '{"spec":{"type":"ExternalName","externalName":"a.b"}}' $merge && want 200 '.spec | has("clusterIP") or has("ipFamilies") or has("externalTrafficPolicy") or .ports[0].nodePort | not' &&
                req PATCH $ns/services/turns/status '{"metadata":{"finalizers":["example.com/held"]}}' $merge && want 200 '.metadata.finalizers == ["example.com/held"]' && # the right of service controllers
                req DELETE $ns/services/turns && want 200 &&
                req PATCH $ns/services/turns/status '{"metadata":{"finalizers":null}}' $merge && want 200 && req GET $ns/services/turns && want 404
}
bad_pod() { req POST $ns/pods '{"metadata":{"name":"bad"},"spec":'"$1"'}' && want 422 '[.details.causes[].field] | index("'"$2"'")'; }
bad_container() { bad_pod '{"containers":[{"name":"a","image":"x",'"$1"'}],"volumes":[{"name":"v","emptyDir":{}}]}' "spec.containers[0].$2"; }
t_pod_rules() {
        bad_container '"env":[{"name":"a","valueFrom":{"fieldRef":{"fieldPath":"metadata.nope"}}}]' 'env[0].valueFrom.fieldRef.fieldPath' &&
                bad_container '"env":[{"name":"a","valueFrom":{"resourceFieldRef":{"resource":"foo"}}}]' 'env[0].valueFrom.resourceFieldRef.resource' &&
                bad_container '"env":[{"name":"a","valueFrom":{"secretKeyRef":{"key":"a"}}}]' 'env[0].valueFrom.secretKeyRef.name' &&
                bad_container '"volumeMounts":[{"name":"v","mountPath":"/a","subPath":"a/../.."}]' 'volumeMounts[0].subPath' && bad_container '"volumeMounts":[{"name":"v","mountPath":"/a","subPath":"a","subPathExpr":"b"}]' 'volumeMounts[0].subPathExpr' &&
                bad_container '"resources":{"requests":{"foo":1}}' 'resources.requests[foo]' && bad_container '"resources":{"limits":{"example.com/gpu":"1500m"}}' 'resources.limits[example.com/gpu]' &&
                bad_container '"livenessProbe":{"httpGet":{"port":0}}' 'livenessProbe.httpGet.port' && bad_container '"readinessProbe":{"tcpSocket":{"port":1},"terminationGracePeriodSeconds":1}' 'readinessProbe.terminationGracePeriodSeconds' &&
                bad_container '"lifecycle":{"preStop":{}}' 'lifecycle.preStop' && bad_container '"lifecycle":{"preStop":{"sleep":{"seconds":100}}}' 'lifecycle.preStop.sleep' &&
                bad_container '"securityContext":{"privileged":true,"allowPrivilegeEscalation":false}' securityContext || return 1
        local one='"containers":[{"name":"a","image":"x"}]'
        bad_pod '{'"$one"',"securityContext":{"sysctls":[{"name":"a b","value":"x"}]}}' 'spec.securityContext.sysctls[0].name' && bad_pod '{'"$one"',"securityContext":{"supplementalGroups":[-1]}}' 'spec.securityContext.supplementalGroups[0]' &&
                bad_pod '{'"$one"',"dnsConfig":{"nameservers":["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]}}' spec.dnsConfig.nameservers && bad_pod '{'"$one"',"hostAliases":[{"ip":"x"}]}' 'spec.hostAliases[0].ip' &&
                bad_pod '{'"$one"',"nodeSelector":{"a b":"c"}}' spec.nodeSelector && bad_pod '{'"$one"',"hostPID":true,"shareProcessNamespace":true}' spec.shareProcessNamespace &&
                bad_pod '{'"$one"',"schedulingGates":[{"name":"a b"}]}' 'spec.schedulingGates[0].name' && bad_pod '{'"$one"',"initContainers":[{"name":"b","image":"x","livenessProbe":{"exec":{"command":["a"]}}}]}' 'spec.initContainers[0].livenessProbe' &&
                bad_pod '{'"$one"',"volumes":[{"name":"v","secret":{}}]}' 'spec.volumes[0].secret.secretName' && bad_pod '{'"$one"',"volumes":[{"name":"v","configMap":{"name":"a","items":[{"key":"a","path":"../a"}]}}]}' 'spec.volumes[0].configMap.items[0].path' &&
                bad_pod '{'"$one"',"volumes":[{"name":"v","downwardAPI":{"items":[{"path":"a"}]}}]}' 'spec.volumes[0].downwardAPI.items[0]' && bad_pod '{'"$one"',"volumes":[{"name":"v","hostPath":{"path":"/a/.."}}]}' 'spec.volumes[0].hostPath.path' &&
                bad_pod '{'"$one"',"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"In"}]}]}}}}' 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values' || return 1
        # Fine: what looks like it, and is not.
        req POST "$ns/pods?dryRun=All" '{"metadata":{"name":"good"},"spec":{"containers":[{"name":"a","image":"x","env":[{"name":"a","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['"'a'"']"}}}],"volumeMounts":[{"name":"v","mountPath":"/a","subPath":"a..b/..c"}],"resources":{"limits":{"example.com/gpu":2,"hugepages-2Mi":"2Mi","cpu":1}},"livenessProbe":{"httpGet":{"port":"http"},"periodSeconds":0}}],"volumes":[{"name":"v","emptyDir":{}}]}}' &&
                want 201 '.spec.containers[0].livenessProbe.periodSeconds == 10' && req POST $ns/pods '{"metadata":{"name":"nobody"},"spec":{"serviceAccountName":"none",'"$one"'}}' && want 403 '.message | startswith("pods \"nobody\" is forbidden: ")'
}
bad_rbac() { req POST "/apis/rbac.authorization.k8s.io/v1$1" "$2" && want 422 '[.details.causes[].field] | index("'"$3"'")'; }
t_rbac_rules() {
        local roles=/namespaces/default/roles ref='"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}'
        bad_rbac $roles '{"metadata":{"name":"bad"},"rules":[{"verbs":["get"],"resources":["pods"]}]}' 'rules[0].apiGroups' && bad_rbac $roles '{"metadata":{"name":"bad"},"rules":[{"verbs":["get"],"apiGroups":[""]}]}' 'rules[0].resources' &&
                bad_rbac $roles '{"metadata":{"name":"bad"},"rules":[{"verbs":["get"],"nonResourceURLs":["/a"]}]}' 'rules[0].nonResourceURLs' && bad_rbac $roles '{"metadata":{"name":"bad"},"rules":[{}]}' 'rules[0].verbs' &&
                bad_rbac /clusterroles '{"metadata":{"name":"bad"},"rules":[{"verbs":["get"],"nonResourceURLs":["/a"],"apiGroups":[""],"resources":["pods"]}]}' 'rules[0].nonResourceURLs' &&
                bad_rbac /clusterrolebindings '{"metadata":{"name":"bad"},'"$ref"',"subjects":[{"kind":"ServiceAccount","name":"a"}]}' 'subjects[0].namespace' && bad_rbac /clusterrolebindings '{"metadata":{"name":"bad"},'"${ref/ClusterRole/Role}"'}' roleRef.kind &&
                bad_rbac /clusterrolebindings '{"metadata":{"name":"bad"},'"$ref"',"subjects":[{"kind":"User","apiGroup":"x","name":"a"}]}' 'subjects[0].apiGroup' && bad_rbac /clusterrolebindings '{"metadata":{"name":"bad"},'"$ref"',"subjects":[{"kind":"Foo","name":"a"}]}' 'subjects[0].kind' &&
                req POST "/apis/rbac.authorization.k8s.io/v1/clusterroles?dryRun=All" '{"metadata":{"name":"good"},"rules":[{"verbs":["get"],"nonResourceURLs":["/a"]},{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]}' && want 201
}
t_list_options() {
        local v
        refused resourceVersionMatch=Exact 'forbidden unless resourceVersion is provided' && refused 'resourceVersionMatch=Exact&resourceVersion=0' 'is forbidden for resourceVersion' &&
                refused 'resourceVersionMatch=Near&resourceVersion=1' 'Unsupported value: \"Near\": supported values: \"Exact\", \"NotOlderThan\"' && refused 'resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x' 'forbidden when continue is provided' &&
                refused sendInitialEvents=true 'sendInitialEvents is forbidden for list' && refused 'watch=1&sendInitialEvents=true' 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan' &&
                refused 'watch=1&resourceVersionMatch=NotOlderThan' 'forbidden for watch unless sendInitialEvents' && req GET $ns/configmaps || return 1
        v=$(jq -r .metadata.resourceVersion "$work/body")
        req GET "$ns/configmaps?resourceVersionMatch=Exact&resourceVersion=$v" && want 200 '.metadata.resourceVersion == "'"$v"'"' && req GET "$ns/configmaps?resourceVersionMatch=NotOlderThan&resourceVersion=$v" && want 200 &&
                req GET "$ns/configmaps?limit=x" && want 400 && req GET "$ns/configmaps?timeoutSeconds=x" && want 400 && req GET "$ns/configmaps?limit=-1" && want 200 '.metadata.continue | not' &&
                req GET "$ns/configmaps?resourceVersion=999999999" && want 504 '.reason == "Timeout" and .details.causes[0].reason == "ResourceVersionTooLarge" and .details.retryAfterSeconds == 1' &&
                req GET "$ns/configmaps/one?resourceVersion=999999999" && want 504 && req GET "$ns/configmaps?resourceVersionMatch=Exact&resourceVersion=999999999" && want 504 && req GET "$ns/configmaps?watch=1&resourceVersion=999999999" && want 504 &&
                req POST "$ns/configmaps?dryRun=Some" "$(cm x)" && want 422 '.details.kind == "CreateOptions" and .details.causes[0].field == "dryRun"' && req PUT "$ns/configmaps/one?fieldValidation=Half" "$(cm one)" && want 422 '.details.kind == "UpdateOptions"' &&
                req PATCH "$ns/configmaps/one?force=true" '{}' application/merge-patch+json && want 422 '.message | test("force: Forbidden: may not be specified for non-apply patch")'
}
t_delete_options() {
        local o=$ns/configmaps/options
        req POST $ns/configmaps "$(cm options)" && req DELETE "$o?dryRun=All" && want 200 && req DELETE $o '{"dryRun":["All"]}' && want 200 && req DELETE $o '{"dryRun":["Some"]}' && want 422 '.details.kind == "DeleteOptions"' &&
                req DELETE "$o?dryRun=Some" && want 422 && req DELETE $o '{"kind":"Pod","apiVersion":"v1"}' && want 400 && req DELETE $o '[]' && want 400 && req DELETE $o '{"gracePeriodSeconds":"x"}' && want 400 &&
                req DELETE "$o?gracePeriodSeconds=x" && want 400 && req DELETE $o '{"propagationPolicy":"Orphan","orphanDependents":true}' && want 422 '.message | test("cannot be both set")' &&
                req DELETE $o '{"preconditions":{"resourceVersion":"1"}}' && want 409 && req DELETE $o x text/plain && want 415 && req GET $o && want 200 || return 1
        req DELETE $o $'apiVersion: v1\nkind: DeleteOptions\npropagationPolicy: Orphan' application/yaml && want 200 '.metadata.finalizers == ["orphan"]' &&
                req PATCH $o '{"metadata":{"finalizers":null}}' application/merge-patch+json && want 200 && req GET $o && want 404 || return 1
        req POST $ns/configmaps "$(cm options)" && req DELETE "$o?orphanDependents=true" && want 200 '.metadata.finalizers == ["orphan"]' && req PATCH $o '{"metadata":{"finalizers":null}}' application/merge-patch+json || return 1
        printf 'k8s\0\n\x13\n\x02v1\x12\x0dDeleteOptions\x12\x0c\x22\x0aForeground' >"$work/options"
        req POST $ns/configmaps "$(cm options)" && req DELETE $o "@$work/options" application/vnd.kubernetes.protobuf && want 200 '.metadata.finalizers == ["foregroundDeletion"]' && req PATCH $o '{"metadata":{"finalizers":null}}' application/merge-patch+json || return 1
        for i in 1 2 3 4 5; do req POST $ns/configmaps "$(cm "many$i" v '"set":"many"')"; done
        req DELETE "$ns/configmaps?labelSelector=set%3Dmany&limit=2" && want 200 '[.items[].metadata.name] == ["many1","many2"]' &&
                req DELETE "$ns/configmaps?labelSelector=set%3Dmany&fieldSelector=metadata.name%3Dmany4" && want 200 && req DELETE "$ns/configmaps?labelSelector=set%3Dmany&dryRun=All" && want 200 &&
                req GET "$ns/configmaps?labelSelector=set%3Dmany" && want 200 '[.items[].metadata.name] == ["many3","many5"]'
}
bind() { req POST "$ns/pods/$1/binding" "$2"; }
t_binding_errors() {
        req POST $ns/pods "$(pod unborn)" && bind unborn '{"metadata":{"name":"unborn"}}' && want 422 '.details.kind == "Binding" and .details.causes[0].field == "target.name"' &&
                bind unborn '{"metadata":{"name":"unborn"},"target":{"kind":"Service","name":"n1"}}' && want 422 '.details.causes[0].field == "target.kind"' && bind unborn '{"metadata":{"name":"other"},"target":{"name":"n1"}}' && want 400 &&
                bind none '{"metadata":{"name":"none"},"target":{"name":"n1"}}' && want 404 && bind unborn '{"metadata":{"name":"unborn","uid":"x"},"target":{"name":"n1"}}' && want 409 &&
                bind 'unborn' '{"metadata":{"name":"unborn"},"target":{"name":"n1"}}' && want 201 && req GET $ns/pods/unborn/binding && want 405 && req DELETE "$ns/pods/unborn?gracePeriodSeconds=0" && want 200
}
running() { req POST $ns/pods "$(pod "$1" ',"nodeName":"n1"' | sed 's/"metadata":{/&"labels":{"evict":"me"},/')" && req PATCH "$ns/pods/$1/status" '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"'"$2"'"}]}}' application/merge-patch+json && want 200; }
evict() { req POST "$ns/pods/$1/eviction" '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"'"${2-$1}"'"}}'; }
t_eviction() {
        local pdbs=/apis/policy/v1/namespaces/default/poddisruptionbudgets merge=application/merge-patch+json budget
        budget() { printf '{"metadata":{"name":"%s"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"evict":"me"}}}}' "$1"; }
        running e1 True && running e2 True && running e3 False && req POST $pdbs "$(budget b)" && want 201 &&
                evict e1 && want 429 '.details.retryAfterSeconds == 10 and (.details.causes[0].message | test("still being processed"))' && grep -qi '^retry-after: 10' "$work/headers" &&
                req PATCH $pdbs/b/status '{"status":{"observedGeneration":1,"disruptionsAllowed":1,"currentHealthy":1,"desiredHealthy":2,"expectedPods":3}}' $merge && want 200 &&
                evict e1 other && want 400 && evict none && want 404 &&
                req POST "$ns/pods/e1/eviction?dryRun=All" '{"metadata":{"name":"e1"}}' && want 201 && req GET $pdbs/b && want 200 '.status.disruptionsAllowed == 1' &&
                evict e1 && want 201 && req GET $pdbs/b && want 200 '.status.disruptionsAllowed == 0 and .status.disruptedPods["e1"]' && req GET $ns/pods/e1 && want 200 '.metadata.deletionTimestamp' &&
                evict e2 && want 429 '.details.causes[0].message == "The disruption budget b needs 2 healthy pods and has 1 currently"' &&
                evict e1 && want 201 && evict e3 && want 429 && req PATCH $pdbs/b '{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}' $merge && want 200 && evict e3 && want 201 &&
                req POST $pdbs "$(budget c)" && evict e2 && want 500 '.message | test("more than one PodDisruptionBudget")' &&
                req DELETE $pdbs && req DELETE "$ns/pods?labelSelector=evict%3Dme&gracePeriodSeconds=0" && want 200
}
t_token_edges() {
        local t=$ns/serviceaccounts/default/token
        req POST $t '{"spec":{"expirationSeconds":599}}' && want 422 '.details.causes[0].field == "spec.expirationSeconds" and (.message | test("less than 10 minutes"))' &&
                req POST $t '{"spec":{"expirationSeconds":4294967297}}' && want 422 '.message | test("larger than 2\\^32 seconds")' && req POST $t '{"metadata":{"name":"other"},"spec":{}}' && want 422 '.details.causes[0].field == "metadata.name"' &&
                req POST $t '{"spec":{"boundObjectRef":{"kind":"Pod","name":"none"}}}' && want 404 && req POST $t '{"spec":{"boundObjectRef":{"kind":"Cat","name":"none"}}}' && want 400 && req POST $ns/serviceaccounts/none/token '{"spec":{}}' && want 404 && req GET $t && want 405
}
t_reviews() {
        local a=/apis/authorization.k8s.io/v1 can='"resourceAttributes":{"namespace":"default","verb":"get","resource":"configmaps"}'
        req POST $a/subjectaccessreviews '{"spec":{}}' && want 422 '[.details.causes[].field] == ["spec.resourceAttributes","spec.user"] and .details.kind == "SubjectAccessReview"' &&
                req POST $a/subjectaccessreviews '{"spec":{"user":"bob",'"$can"'}}' && want 201 '.status.allowed == false' && req POST $a/subjectaccessreviews '{"spec":{"groups":["system:masters"],'"$can"'}}' && want 201 '.status.allowed' &&
                req POST $a/subjectaccessreviews '{"spec":{"user":"bob","groups":["system:authenticated"],"nonResourceAttributes":{"verb":"get","path":"/version"}}}' && want 201 '.status.allowed' &&
                req POST $a/subjectaccessreviews '{"spec":{"user":"bob",'"$can"',"nonResourceAttributes":{"verb":"get","path":"/"}}}' && want 422 &&
                req POST $a/namespaces/team/localsubjectaccessreviews '{"spec":{"user":"bob",'"$can"'}}' && want 400 '.message == "spec.resourceAttributes.namespace must match namespace: team"' && req POST $a/namespaces/default/localsubjectaccessreviews '{"spec":{"user":"bob",'"$can"'}}' && want 201 &&
                req POST $a/selfsubjectaccessreviews '{"spec":{'"$can"'}}' && want 201 '.status.allowed' && req POST $a/selfsubjectrulesreviews '{"spec":{"namespace":"default"}}' && want 201 '.status.resourceRules[0].verbs == ["*"] and (.status.nonResourceRules | length) > 0' &&
                req POST $a/selfsubjectrulesreviews '{"spec":{}}' && want 400 '.message == "no namespace on request"' && req GET $a/subjectaccessreviews && want 405 && whoami && want 201 '.status.userInfo.username == "admin"' && ANON=1 whoami && want 403
}
t_review_selectors() {
        local selector allowed ignored a=/apis/authorization.k8s.io/v1/subjectaccessreviews
        while IFS='|' read -r selector allowed ignored; do
                req POST $a '{"spec":{"user":"system:node:n1","groups":["system:nodes"],"resourceAttributes":{"verb":"list","resource":"pods"'"$selector"'}}}' &&
                        want 201 ".status.allowed == $allowed and ((.status.evaluationError // \"\") == \"$ignored\")" || return 1
        done <<'END'
|false|
,"fieldSelector":{"rawSelector":"spec.nodeName=n1"}|true|
,"fieldSelector":{"rawSelector":"spec.nodeName=n2"}|false|
,"fieldSelector":{"rawSelector":"spec.nodeName"}|false|spec.resourceAttributes.fieldSelector ignored due to parse error
,"fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"In","values":["n1"]}]}|true|
,"fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"NotIn","values":["n1"]}]}|false|
,"fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"In","values":["n1","n2"]}]}|false|spec.resourceAttributes.fieldSelector ignored due to parse error
,"fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"In","values":["n1"]},{"key":"x","operator":"Exists"}]}|true|spec.resourceAttributes.fieldSelector partially ignored due to parse error
,"labelSelector":{"rawSelector":"a in ("}|false|spec.resourceAttributes.labelSelector ignored due to parse error
,"labelSelector":{"rawSelector":"a in (b)"}|false|
END
}
t_health_checks() {
        req GET /livez/etcd && [ "$code $body" = "200 ok" ] && req GET '/readyz?verbose&exclude=etcd' && [[ $body == *'[+]etcd excluded: ok'*'readyz check passed'* ]] &&
                req GET '/healthz?verbose&exclude=nothing' && [[ $body == *'warn: some health checks cannot be excluded: no matches for "nothing"'* ]] && req GET /metrics && grep -qi '^content-type: text/plain; version=0.0.4' "$work/headers" &&
                req GET /version && want 200 '(.major + "." + .minor) == "1.35" and (.gitVersion | startswith("v1.35.")) and (.gitCommit | test("^[0-9a-f]{40}$")) and (.gitTreeState | test("^(clean|dirty)$")) and (.buildDate | test("^20[0-9-]{8}T[0-9:]{8}Z$")) and has("goVersion") and has("compiler") and .platform == "linux/amd64"' && ANON=1 req GET /version && want 200
}
# Bytes as they are, until the server closes.
raw() { timeout 10 openssl s_client -quiet -connect "${api#https://}" -CAfile "$work/ca.crt" -cert "$work/admin.crt" -key "$work/admin.key" 2>/dev/null; }
t_http() {
        local out
        out=$(printf 'GET /version HTTP/1.0\r\n\r\n' | raw) && [[ $out == 'HTTP/1.'*' 200 OK'*'"minor"'* ]] || { echo "1.0: $out"; return 1; }
        out=$(printf 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/namespaces/default HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' | raw | grep -o 'HTTP/1.1 [0-9]*' | tr '\n' ,)
        equals "$out" 'HTTP/1.1 200,HTTP/1.1 200,HTTP/1.1 404,' || return 1
        out=$({ printf 'GET /livez HTTP/1.1\r\nHost: x\r\nX: '; head -c 1000000 /dev/zero | tr '\0' a; printf '\r\n\r\n'; } | raw | head -1)
        [[ $out == 'HTTP/1.1 431'* ]] || { echo "1 MB of headers: $out"; return 1; }
        req GET /livez && want 200
}
t_protobuf() { # ConfigMap "pb" with data a=b, in Kubernetes' protobuf
        printf 'k8s\0\n\x0f\n\x02v1\x12\x09ConfigMap\x12\x10\n\x06\n\x02pb\x1a\x00\x12\x06\n\x01a\x12\x01b' >"$work/pb"
        req POST $ns/configmaps "@$work/pb" application/vnd.kubernetes.protobuf && want 201 '.data.a == "b" and .metadata.name == "pb"' &&
                head -c 30 "$work/pb" >"$work/cut" && req POST $ns/configmaps "@$work/cut" application/vnd.kubernetes.protobuf && want 400
}
t_two() { # a second apiserver beside the first: what one acknowledges the other shows
        "$BIN/kube-apiserver" --bind-address 127.0.0.1 --advertise-address 127.0.0.2 --secure-port $((port + 5)) \
                --etcd-servers "https://127.0.0.1:$((port + 1))" --etcd-cafile "$work/etcd-ca.crt" --etcd-certfile "$work/client.crt" --etcd-keyfile "$work/client.key" \
                --tls-cert-file "$work/server.crt" --tls-private-key-file "$work/server.key" --client-ca-file "$work/ca.crt" --authorization-mode Node,RBAC \
                --service-account-key-file "$work/sa.key" --service-account-signing-key-file "$work/sa.key" --service-cluster-ip-range 10.96.0.0/16 >"$work/second.log" 2>&1 &
        second=$!
        local first=$api other=https://127.0.0.1:$((port + 5)) i r=0
        until_true 60 curl -sf --cacert "$work/ca.crt" "$other/readyz" || return 1
        for i in $(seq 20); do
                api=$first; req POST $ns/configmaps "$(cm "two-$i")"
                api=$other; req GET "$ns/configmaps/two-$i"
                [ "$code" = 200 ] || { r=1; break; }
                req DELETE "$ns/configmaps/two-$i"
                api=$first; req GET "$ns/configmaps/two-$i"
                [ "$code" = 404 ] || { r=1; break; }
        done
        api=$first
        kill "$second"; wait "$second" 2>/dev/null; second=
        return $r
}
t_killed() { # kill -9 in the middle of writes: everything that was acknowledged is there afterwards
        (
                for i in $(seq 400); do
                        c=$(curl -s --cacert "$work/ca.crt" --cert "$work/admin.crt" --key "$work/admin.key" -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' --max-time 5 -d "$(cm "kill-$i" v '"set":"kill"')" "$api$ns/configmaps")
                        [ "$c" = 201 ] && echo "kill-$i"
                done
        ) >"$work/acknowledged" &
        local writer=$! victim
        for victim in apiserver etcd apiserver; do
                until_true 60 apiserver_ready "$work"
                read -rt 0.4 <> <(:) || :
                kill -9 "$(cat "$work/$victim.pid")"
                until_true 60 _gone "$(cat "$work/$victim.pid")" || return 1
                if [ $victim = etcd ]; then etcd_start "$work" "$port"; else apiserver_start "$work" "$port"; fi
        done
        wait $writer
        until_true 60 apiserver_ready "$work" || return 1
        req GET "$ns/configmaps?labelSelector=set%3Dkill" && want 200 || return 1
        jq -r '.items[].metadata.name' "$work/body" | sort >"$work/present"
        [ -s "$work/acknowledged" ] && req GET "$ns/configmaps?watch=1&resourceVersion=1" && want 200 '.type == "ERROR" and .object.code == 410 and .object.reason == "Expired"' && equals "$(sort "$work/acknowledged" | comm -23 - "$work/present" | grep -c .)" 0
}
# etcd silent, a read under way: neither keeps the server from ending.
t_shutdown_without_etcd() {
        local pid reader
        pid=$(cat "$work/apiserver.pid")
        kill -STOP "$(cat "$work/etcd.pid")"
        req GET $ns/configmaps &
        reader=$!
        kill "$pid"
        until_true 60 _gone "$pid"
        local ended=$?
        kill -CONT "$(cat "$work/etcd.pid")"
        wait "$reader"
        rm "$work/apiserver.pid"
        [ $ended -eq 0 ] && apiserver_start "$work" $port && wait_for apiserver_ready "$work"
}
t_shutdown() { local pid; pid=$(cat "$work/apiserver.pid"); kill "$pid"; until_true 60 _gone "$pid"; rm "$work/apiserver.pid"; }

control_plane_start "$work" $port || { cat "$work"/*.log; exit 1; }
t_tls() { # 1.2 and 1.3, with keys that are gone afterwards, and ciphers that authenticate
        hello() { openssl s_client -connect "127.0.0.1:$port" "$@" </dev/null 2>/dev/null | grep -q 'Cipher is [A-Z]'; }
        hello -tls1_2 && hello -tls1_3 && hello -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 && ! hello -tls1_1 -cipher 'ALL:@SECLEVEL=0' &&
                ! hello -tls1_2 -cipher 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0'
}
ok "health, version, metrics" t_health
ok "old protocols and weak ciphers are refused" t_tls
ok "a service account to begin with" account
for t in create dry_run update patch subresources defaults list forms watch watch_list delete grace binding services \
        bad_json unknown_field invalid apply immutable privileged too_large missing credentials tokens bootstrap rbac nodes namespace events discovery \
        service_rules pod_rules rbac_rules empties impersonation methods pretty accept documents no_page watch_paths list_options delete_options binding_errors \
        eviction token_edges reviews review_selectors health_checks http \
        protobuf two killed shutdown_without_etcd shutdown; do
        ok "$t" "t_$t"
done
tap_end
