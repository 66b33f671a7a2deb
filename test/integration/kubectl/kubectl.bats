#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Our kubectl against real etcd, API server and controllers: what it prints, where, and its exit codes.

load ../../lib/plane

setup_file() {
        export HOME=$BATS_FILE_TMPDIR
        plane_begin
        export KUBECTL=$BIN/kubectl
        plane_manage --root-ca-file "$CP/ca.crt"
}

setup() {
        KUBECTL=$BIN/kubectl
        cd "$BATS_TEST_TMPDIR"
        cat >app.yaml <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: hello, image: "hello:v1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1", b: "2"}
YAML
}

words() { # STATUS TEXT: what `run` must have seen
        [ "$status" -eq "$1" ] && [ "$output" = "$2" ] || { echo "status $status: $output"; return 1; }
}

@test "apply creates, leaves alone, changes, and removes what left the file" {
        run k apply -f app.yaml
        words 0 $'deployment.apps/web created\nconfigmap/settings created'
        run k apply -f app.yaml
        words 0 $'deployment.apps/web unchanged\nconfigmap/settings unchanged'
        k patch configmap settings -p '{"data":{"live":"x"}}'
        sed -i 's/a: "1", //; s/hello:v1/hello:v2/' app.yaml
        run k apply -f app.yaml
        words 0 $'deployment.apps/web configured\nconfigmap/settings configured'
        run k get configmap settings -o 'jsonpath={.data}'
        words 0 '{"b":"2","live":"x"}'
        run k get deployment web -o 'jsonpath={.spec.template.spec.containers[*].image}'
        words 0 hello:v2
}

@test "apply reads folders and standard input, and says what a dry run would do" {
        mkdir -p folder/below
        printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n' >folder/one.yaml
        printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"two"}}' >folder/below/two.json
        run k apply -f folder --dry-run=server
        words 0 'configmap/one created (server dry run)'
        run k apply -R -f folder
        words 0 $'configmap/two created\nconfigmap/one created'
        run bash -c "cat folder/one.yaml | '$KUBECTL' --kubeconfig '$CP/admin.kubeconfig' apply -f -"
        words 0 'configmap/one unchanged'
        run k delete -R -f folder
        words 0 $'configmap "two" deleted from default namespace\nconfigmap "one" deleted from default namespace'
}

@test "bad input has upstream's words and exit code" {
        printf 'apiVersion: v1\nkind: Pod\n bad: [\n' >bad.yaml
        run k apply -f bad.yaml
        [ "$status" -eq 1 ]
        [[ "$output" == "error: error parsing bad.yaml: error converting YAML to JSON: yaml: line "* ]]
        printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nfoo: 1\n' >strict.yaml
        run k apply -f strict.yaml
        [ "$status" -eq 1 ]
        [[ "$output" == 'Error from server (BadRequest): error when creating "strict.yaml": '*'unknown field "foo"' ]]
        run k get pods nosuch
        words 1 'Error from server (NotFound): pods "nosuch" not found'
        run k get nosuch
        words 1 "error: the server doesn't have a resource type \"nosuch\""
        run k get pods --nosuch
        words 1 $'error: unknown flag: --nosuch\nSee \'kubectl get --help\' for usage.'
        run k delete pods
        words 1 'error: resource(s) were provided, but no name was specified'
        run k -s https://127.0.0.1:1 get pods
        words 1 'The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?'
}

@test "get in every form" {
        k apply -f app.yaml
        run k get configmap settings -o name
        words 0 configmap/settings
        run k get configmap settings -o custom-columns=NAME:.metadata.name,B:.data.b,NONE:.x
        words 0 $'NAME       B     NONE\nsettings   2     <none>'
        run k get configmap settings nosuch --ignore-not-found -o name
        words 0 configmap/settings
        run k get pods -n empty
        words 0 'No resources found in empty namespace.'
        run k get deploy,cm -l app=web
        [[ "${lines[0]}" == "NAME "*"READY"* && "${lines[1]}" == "deployment.apps/web "* ]] || [[ "${lines[1]}" == "web "* ]]
        k get all >/dev/null
}

@test "rollout: history, undo, pause, restart" {
        k apply -f app.yaml
        run k set image deployment/web hello=hello:v3
        words 0 'deployment.apps/web image updated'
        wait_for bash -c "'$KUBECTL' --kubeconfig '$CP/admin.kubeconfig' rollout history deployment/web | grep -q '^3 \|^2 '"
        run k rollout undo deployment/web
        words 0 'deployment.apps/web rolled back'
        run k rollout pause deployment/web
        words 0 'deployment.apps/web paused'
        run k rollout pause deployment/web
        words 1 'error: deployments.apps "web" is already paused'
        run k rollout resume deployment/web
        words 0 'deployment.apps/web resumed'
        run k rollout restart deployment/web
        words 0 'deployment.apps/web restarted'
        run k rollout status deployment/web --timeout=1s
        [ "$status" -eq 1 ]
        [[ "$output" == *'error: timed out waiting for the condition' ]]
}

@test "scale, label, annotate, patch, wait" {
        k apply -f app.yaml
        run k scale deployment/web --replicas=3 --current-replicas=9
        words 1 'error: Expected replicas to be 9, was 2'
        run k scale deployment/web --replicas=3
        words 0 'deployment.apps/web scaled'
        run k wait deployment/web --for=jsonpath='{.spec.replicas}'=3 --timeout=20s
        words 0 'deployment.apps/web condition met'
        run k label configmap settings x=1
        words 0 'configmap/settings labeled'
        run k label configmap settings x=2
        words 1 "error: 'x' already has a value (1), and --overwrite is false"
        run k label configmap settings x-
        words 0 'configmap/settings unlabeled'
        run k patch configmap settings --type=json -p '[{"op":"replace","path":"/data/b","value":"9"}]'
        words 0 'configmap/settings patched'
        run k patch configmap settings -p '{"data":{"b":"9"}}'
        words 0 'configmap/settings patched (no change)'
}

@test "describe, explain and discovery agree with what is there" {
        k apply -f app.yaml
        run k describe deployment web
        [ "$status" -eq 0 ]
        [[ "${lines[0]}" == "Name:  "*web && "$output" == *"Pod Template:"*"Image:  "* ]]
        # a type that holds itself is entered once
        timeout 60 "${KUBECTL:-$BIN/kubectl}" --kubeconfig "$CP/admin.kubeconfig" explain crd --recursive | grep -q allOf
        run k explain pod.spec
        [[ "$output" != *"<no description>"* && "$output" != *"<empty>"* ]]
        run k explain deployment.spec.replicas
        [[ "$output" == *"FIELD: replicas <integer>"* ]]
        k api-resources -o name | grep -qx deployments.apps
        k api-versions | grep -qx apps/v1
        k auth can-i create pods
}

@test "delete waits for finalizers" {
        k create configmap held --from-literal=a=b
        k patch configmap held -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        k delete configmap held >deleted 2>&1 &
        local deleting=$! # waiting sets $! anew
        wait_for bash -c "'$KUBECTL' --kubeconfig '$CP/admin.kubeconfig' get cm held -o jsonpath={.metadata.deletionTimestamp} | grep -q T"
        kill -0 $deleting # still waiting
        k patch configmap held --type=merge -p '{"metadata":{"finalizers":null}}'
        wait $deleting
        grep -qx 'configmap "held" deleted from default namespace' deleted
}

@test "watch shows changes as they come" {
        k create namespace watched
        k get configmap -n watched --watch-only -o name >seen 2>&1 &
        pid=$!
        wait_for bash -c "'$KUBECTL' --kubeconfig '$CP/admin.kubeconfig' create configmap \"c\$RANDOM\" -n watched >/dev/null; grep -q '^configmap/c' seen"
        kill $pid
}

@test "config edits the file and keeps the rest" {
        cp "$CP/admin.kubeconfig" config
        run "$KUBECTL" --kubeconfig config config set-context other --cluster=test --user=admin --namespace=ns1
        words 0 'Context "other" created.'
        run "$KUBECTL" --kubeconfig config config use-context other
        words 0 'Switched to context "other".'
        run "$KUBECTL" --kubeconfig config config current-context
        words 0 other
        run "$KUBECTL" --kubeconfig config config rename-context other third
        words 0 'Context "other" renamed to "third".'
        run "$KUBECTL" --kubeconfig config config view -o 'jsonpath={.contexts[*].name}'
        [[ "$output" == *third* && "$output" == *test* ]]
}
