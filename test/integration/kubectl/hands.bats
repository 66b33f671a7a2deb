#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What our kubectl does beyond what the differential run compares: own commands, completion in a shell, plugins, the details of
# Statuses.

load ../../lib/plane

setup_file() {
        export HOME=$BATS_FILE_TMPDIR
        export KUBECTL=$BIN/kubectl
        plane_begin
        plane_manage --root-ca-file "$CP/ca.crt"
}

setup() {
        KUBECTL=$BIN/kubectl
        cd "$BATS_TEST_TMPDIR"
}

teardown() {
        [ -z "${proxy:-}" ] || kill "$proxy" 2>/dev/null || :
        [ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null || :
}

raw() { # PATH: the body of the answer
        curl -s --cacert "$CP/ca.crt" --cert "$CP/admin.crt" --key "$CP/admin.key" "https://127.0.0.1:$(cat "$CP/port")$1"
}

@test "a 404 of an unknown subresource or resource has details" {
        for path in pods/x/nosuch nosuch nosuch/x pods/x; do
                [ "$(raw "/api/v1/namespaces/default/$path" | jq 'has("details")')" = true ]
        done
        [ "$(raw /api/v1/namespaces/default/pods/x/nosuch | jq -c .details)" = '{}' ]
        [ "$(raw /api/v1/namespaces/default/pods/x | jq -c .details)" = '{"name":"x","kind":"pods"}' ]
}

@test "tree shows owners and what is owned, from anywhere in it" {
        k create deployment web --image=x --replicas=2
        wait_for eval '[ "$(k get pods -o name | wc -l)" = 2 ]'
        run k tree deployment web
        [ "$status" -eq 0 ]
        [[ ${lines[1]} == Deployment/web* && ${lines[2]} == '`-ReplicaSet/web-'* ]]
        [[ ${lines[3]} == '  |-Pod/web-'* && ${lines[4]} == '  `-Pod/web-'* ]]
        run k tree "$(k get pods -o name | tail -1)"
        [[ ${lines[1]} == Deployment/web* && $output == *'Pod/web-'*' *'* ]]
        k delete deployment web
}

@test "why says what a pod waits for, and what to type next" {
        k run lonely --image=x
        run k why lonely
        [ "$status" -eq 0 ]
        [[ $output == *"Pod default/lonely is Pending"*"No scheduler has looked at it"*"Next:"*"kubectl "* ]]
        run k why nosuch
        [ "$status" -eq 1 ]
        k delete pod lonely --force --grace-period=0
}

@test "bash completes commands, types, names and values" {
        k create configmap alpha
        k create configmap beta
        printf '%s\n' '#!/bin/sh' "exec $KUBECTL --kubeconfig $CP/admin.kubeconfig"' "$@"' >kubectl
        chmod +x kubectl
        PATH=$PWD:$PATH
        printf '#!/bin/sh\ncase $1 in __complete) shift; exec %s __complete --kubeconfig %s "$@" ;; esac\nexec %s "$@"\n' \
                "$KUBECTL" "$CP/admin.kubeconfig" "$KUBECTL" >kubectl
        cat >ask.bash <<'BASH'
source <(kubectl completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"$1"
[[ $1 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
__kubectl_complete
printf '%s\n' "${COMPREPLY[@]}"
BASH
        [ "$(bash ask.bash 'kubectl roll')" = rollout ]
        [ "$(bash ask.bash 'kubectl rollout und')" = undo ]
        [ "$(bash ask.bash 'kubectl get configmap al')" = alpha ]
        [ "$(bash ask.bash 'kubectl get configmap/be')" = configmap/beta ]
        [ "$(bash ask.bash 'kubectl -n kube-p')" = kube-public ]
        [ "$(bash ask.bash 'kubectl get pods -n kube-pub')" = kube-public ]
        [ "$(bash ask.bash 'kubectl get pods --out')" = '--output=
--output-watch-events' ]
        [ "$(bash ask.bash 'kubectl get pods -o jsonpath-f')" = jsonpath-file ]
}

@test "scripts of the other shells are made" {
        for shell in zsh fish powershell; do
                run k completion $shell
                [ "$status" -eq 0 ]
                [[ $output == *__complete* ]]
        done
}

@test "apply --overwrite=false is refused" {
        printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n' >c.yaml
        run k apply -f c.yaml --overwrite=false
        [ "$status" -eq 1 ]
        [[ $output == *"--overwrite=false is not supported"* ]]
}

# proxy_start FLAG...: sets proxy (its pid) and at (where it listens)
proxy_start() {
        "${KUBECTL:-$BIN/kubectl}" --kubeconfig "$CP/admin.kubeconfig" proxy "$@" >proxy.out 2>proxy.err 3>&- & # not k: it is its pid that counts
        proxy=$!
        wait_for grep -q '^Starting to serve on ' proxy.out
        at=$(sed -n 's/^Starting to serve on //p' proxy.out)
}
proxy_end() { kill "$proxy" && ! wait "$proxy" && proxy=; }
code() { curl -s -o body -w '%{http_code}' --max-time 10 "$@"; }
is() { [ "$1" = "$2" ] || { echo "have \"$1\", want \"$2\""; return 1; }; }

@test "proxy passes on what its filter takes" {
        proxy_start --port=0
        is "$(code "$at/api/v1/namespaces/default")" 200
        is "$(jq -r .metadata.name body)" default
        is "$(code -H 'Host: evil.example' "$at/version")" 403
        is "$(code -H 'Host: [::1]:8001' "$at/version")" 200
        is "$(code "$at/api/v1/namespaces/default/pods/x/%65xec")" 403
        is "$(code --path-as-is "$at/api/v1/namespaces/default/pods/x//exec")" 403
        is "$(code "$at/api/v1/namespaces/default/pods/x/attach")" 403
        is "$(code --path-as-is "$at/apis/../api")" 301
        # Two requests on one connection, and one that hides in the body of another.
        is "$(curl -s -o a "$at/api" -o b "$at/apis" -w '%{num_connects}')" 10
        head -c 2000000 /dev/zero | tr '\0' x >big
        k create configmap big --from-file=big --dry-run=client -o json >big.json
        is "$(code -X POST -H 'Content-Type: application/json' --data-binary @big.json "$at/api/v1/namespaces/default/configmaps")" 422
        is "$(code -X POST -H 'Transfer-Encoding: chunked' -H 'Content-Type: application/json' -d '{"metadata":{"name":"chunks"}}' "$at/api/v1/namespaces/default/configmaps")" 201
        printf 'GET /version HTTP/1.1\r\nHost: evil.example\r\n\r\n' >hidden
        { printf 'GET /version HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n' "$(wc -c <hidden)"; cat hidden; } >smuggled
        exec 7<>"/dev/tcp/${at%:*}/${at#*:}"
        cat smuggled >&7
        printf 'GET /version HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n' >&7
        run cat <&7
        exec 7<&-
        is "$(grep -o 'HTTP/1.1 ' <<<"$output" | wc -l)" 2
        is "$(grep -o 'HTTP/1.1 403' <<<"$output" | wc -l)" 1
        # An old client gets no chunks.
        is "$(code -0 "$at/api/v1/namespaces")" 200
        jq -e .items body
        proxy_end
}

@test "proxy lets a watch flow, and ends it with its client" {
        proxy_start --port=0 --keepalive=5s
        curl -sN --max-time 30 "$at/api/v1/namespaces/default/configmaps?watch=true" >events 3>&- &
        watcher=$!
        k create configmap seen
        wait_for grep -q '"ADDED".*"name":"seen"' events
        kill "$watcher"
        is "$(k -s "http://$at" get configmap seen -o name)" configmap/seen
        proxy_end
}

@test "proxy at another prefix, with files, on a Unix socket, for somebody else" {
        mkdir -p www/sub
        echo hello >www/file.txt
        ln -s /etc/passwd www/out
        ln -s file.txt www/in
        proxy_start --port=0 --api-prefix=/k --www=www --www-prefix=files
        is "$(code "$at/k/api/v1/namespaces/default")" 200
        is "$(code "$at/api/v1/namespaces/default")" 404
        is "$(code "$at/files/file.txt")" 200
        is "$(cat body)" hello
        is "$(code "$at/files/in")" 200
        is "$(code "$at/files/out")" 404
        is "$(code --path-as-is "$at/files/../../etc/passwd")" 404
        is "$(code "$at/files/sub")" 301
        is "$(code "$at/files/")" 200
        grep -q '<a href="sub/">sub/</a>' body
        is "$(code -H 'Host: evil.example' "$at/files/file.txt")" 403
        proxy_end
        proxy_start -u "$PWD/socket" --reject-methods=POST,DELETE --as=nobody-known
        is "$at" "$PWD/socket"
        is "$(stat -c %a socket)" 700
        is "$(code --unix-socket socket http://localhost/api/v1/namespaces/default/secrets)" 403
        grep -q 'User \\"nobody-known\\" cannot list' body
        # Who it is for does not get lost on the way because the client says so.
        is "$(code --unix-socket socket -H 'Impersonate-User: x' -H 'Connection: Impersonate-User' http://localhost/api/v1/namespaces/default/secrets)" 403
        grep -q 'User \\"nobody-known\\" cannot list' body
        is "$(code --unix-socket socket -X DELETE http://localhost/api/v1/namespaces/default)" 403
        is "$(cat body)" Forbidden
        proxy_end
}

@test "what an object says does nothing to a terminal" {
        k apply -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: hostile, annotations: {note: "\\e[31mred"}}
spec: {containers: [{name: c, image: x}]}
YAML
        k patch pod hostile --subresource=status --type=merge -p '{"status":{"reason":"\u001b[2J","message":"\u001b[31mgone","phase":"Failed"}}'
        for words in "describe pod hostile" "get pod hostile" "why hostile" "get pod hostile -o custom-columns=N:.metadata.annotations.note"; do
                run k $words
                [ "$status" -eq 0 ]
                [[ $output == *'^['* ]]
                [[ $output != *$'\e'* ]]
        done
}

@test "what the system owns comes back when it is deleted" {
        k delete service --all
        k delete serviceaccount default
        k delete clusterrole view system:node
        k delete clusterrolebinding system:kube-scheduler
        k -n kube-system delete role --all
        k label clusterrole edit of=user
        k patch clusterrole system:basic-user --type=json -p '[{"op":"replace","path":"/rules","value":[]}]'
        local object
        for object in service/kubernetes serviceaccount/default clusterrole/view clusterrole/system:node \
                clusterrolebinding/system:kube-scheduler "-n kube-system role/extension-apiserver-authentication-reader"; do
                wait_for k get $object
        done
        [ "$(k get service kubernetes -o 'jsonpath={.spec.clusterIP}')" = 10.96.0.1 ]
        # What was changed is the user's.
        [ "$(k get clusterrole edit -o 'jsonpath={.metadata.labels.of}')" = user ]
        [ "$(k get clusterrole system:basic-user -o 'jsonpath={.rules}')" = "[]" ]
}

@test "the system's priority classes stay, and there is one default" {
        run k delete priorityclass system-node-critical
        [ "$status" -eq 1 ]
        [[ $output == *'priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted' ]]
        run k create priorityclass system-mine --value=1
        [ "$status" -eq 1 ]
        [[ $output == *"metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class" ]]
        run k create priorityclass mine --value=1000000001
        [[ $output == *'maximum allowed value of a user defined priority is 1000000000' ]]
        k create priorityclass low --value=1 --global-default
        k create priorityclass low2 --value=1
        run k create priorityclass high --value=2 --global-default
        [ "$status" -eq 1 ]
        [[ $output == *'priorityclasses.scheduling.k8s.io "high" is forbidden: PriorityClass low is already marked as default. Only one default can exist' ]]
        k delete priorityclass low low2
}
