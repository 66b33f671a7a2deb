#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What our kubectl does beyond what the differential run compares: own commands, completion in a shell, plugins, the details of
# Statuses.

setup_file() {
        export CP=$(mktemp -d) HOME=$BATS_FILE_TMPDIR
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        control_plane_start "$CP" "$(free_port)"
        component_start "$CP" kube-controller-manager --root-ca-file "$CP/ca.crt"
        export KUBECTL=$BIN/kubectl
        wait_for k get serviceaccount default
}

teardown_file() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        control_plane_stop "$CP"
        rm -rf "$CP"
}

setup() {
        . "$BATS_TEST_DIRNAME/../../lib/control-plane.sh"
        KUBECTL=$BIN/kubectl
        cd "$BATS_TEST_TMPDIR"
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
