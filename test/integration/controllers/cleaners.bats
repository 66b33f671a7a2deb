#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What keeps a cluster tidy: tokens in Secrets, bootstrap tokens, certificate requests, and how long nodes may keep things.

load ../../lib/plane

setup_file() {
        plane_begin
        plane_manage --root-ca-file "$CP/ca.crt" --service-account-private-key-file "$CP/sa.key" \
                --controllers '*,bootstrap-signer-controller,token-cleaner-controller'
}

gone() { [ -z "$(k get "$@" --ignore-not-found -o name)" ]; }

token_secret() { # NAME ACCOUNT
        printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s, annotations: {kubernetes.io/service-account.name: %s}}\ntype: kubernetes.io/service-account-token\n' "$1" "$2" | k apply -f -
}
token_of() { k get secret "$1" -o jsonpath='{.data.token}' | base64 -d; }

@test "a secret gets a token of its account, which holds as long as the secret and the account do" {
        k create serviceaccount robot
        token_secret robot robot
        has_token() { [ -n "$(token_of robot)" ]; }
        wait_for has_token
        [ "$(k get secret robot -o jsonpath='{.data.ca\.crt}' | base64 -d)" = "$(cat "$CP/ca.crt")" ]
        [ "$(k get secret robot -o jsonpath='{.data.namespace}' | base64 -d)" = default ]
        [ "$(k get secret robot -o jsonpath='{.metadata.annotations.kubernetes\.io/service-account\.uid}')" = "$(k get serviceaccount robot -o jsonpath='{.metadata.uid}')" ]
        local token
        token=$(token_of robot)
        knows() { curl -s -o /dev/null -w '%{http_code}' --cacert "$CP/ca.crt" -H "Authorization: Bearer $1" "https://127.0.0.1:$(cat "$CP/port")/api/v1/namespaces/default/pods"; }
        [ "$(knows "$token")" = 403 ] # known, and may do nothing
        k create clusterrolebinding robot --clusterrole=view --serviceaccount=default:robot
        allowed() { [ "$(knows "$token")" = 200 ]; }
        wait_for allowed
        # A token that the secret no longer has is nothing, and the secret gets a new one.
        k patch secret robot --type=merge -p '{"data":{"token":null}}'
        renewed() { [ -n "$(token_of robot)" ]; }
        wait_for renewed
        token_secret other robot
        has_other() { [ -n "$(token_of other)" ]; }
        wait_for has_other
        local second
        second=$(token_of other)
        k delete secret other
        refused() { [ "$(knows "$second")" = 401 ]; }
        wait_for refused
        # It goes with its account; one of the same name does not bring it back.
        token=$(token_of robot)
        k delete serviceaccount robot
        wait_for gone secret robot
        k create serviceaccount robot
        [ "$(knows "$token")" = 401 ]
        token_secret nobody nobody
        wait_for gone secret nobody
}

bootstrap_token() { # ID [EXPIRATION]
        k -n kube-system create secret generic "bootstrap-token-$1" --type bootstrap.kubernetes.io/token --from-literal=token-id="$1" \
                --from-literal=token-secret=0123456789abcdef --from-literal=usage-bootstrap-signing=true ${2:+--from-literal=expiration="$2"}
}

@test "cluster-info is signed with every bootstrap token that is meant for it, and those that expire go" {
        k -n kube-public create configmap cluster-info --from-literal=kubeconfig='apiVersion: v1'
        bootstrap_token aaaaaa
        bootstrap_token bbbbbb "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"
        bootstrap_token cccccc "$(date -u -d '-1 hour' +%Y-%m-%dT%H:%M:%SZ)"
        wait_for gone -n kube-system secret bootstrap-token-cccccc
        keys() { k -n kube-public get configmap cluster-info -o go-template='{{range $k, $v := .data}}{{$k}} {{end}}'; }
        wait_for is "jws-kubeconfig-aaaaaa jws-kubeconfig-bbbbbb kubeconfig " keys
        local head signature
        IFS=. read -r head _ signature <<<"$(k -n kube-public get configmap cluster-info -o jsonpath='{.data.jws-kubeconfig-aaaaaa}')"
        url() { base64 -w0 | tr '+/' '-_' | tr -d =; }
        [ "$signature" = "$(printf '%s.%s' "$head" "$(printf 'apiVersion: v1' | url)" | openssl dgst -sha256 -hmac aaaaaa.0123456789abcdef -binary | url)" ]
        k -n kube-system delete secret bootstrap-token-aaaaaa
        wait_for is "jws-kubeconfig-bbbbbb kubeconfig " keys
        k -n kube-system patch secret bootstrap-token-bbbbbb -p '{"stringData":{"usage-bootstrap-signing":"false"}}'
        wait_for is "kubeconfig " keys
        k -n kube-system patch secret bootstrap-token-bbbbbb -p '{"stringData":{"expiration":"sometime"}}'
        wait_for gone -n kube-system secret bootstrap-token-bbbbbb
}

@test "certificate requests that are done go" {
        openssl ecparam -name prime256v1 -genkey -noout -out "$CP/c.key"
        openssl req -new -key "$CP/c.key" -subj /CN=jane -out "$CP/c.csr"
        for name in denied approved waiting; do
                printf 'apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: %s}\nspec: {request: %s, signerName: example.com/s, usages: [client auth]}\n' $name "$(base64 -w0 "$CP/c.csr")" | k apply -f -
        done
        decide() { k patch csr "$1" --subresource=approval --type=merge -p '{"status":{"conditions":[{"type":"'"$2"'","status":"True","reason":"r","message":"m","lastUpdateTime":"'"$3"'"}]}}'; }
        decide denied Denied 2020-01-01T00:00:00Z
        decide approved Approved "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
        wait_for gone csr denied
        k get csr approved waiting
}

@test "nodes are told how long to keep what they read" {
        printf 'apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n' | k apply -f -
        wait_for is 0 k get node n1 -o jsonpath='{.metadata.annotations.node\.alpha\.kubernetes\.io/ttl}'
        k annotate node n1 node.alpha.kubernetes.io/ttl=7 --overwrite
        wait_for is 0 k get node n1 -o jsonpath='{.metadata.annotations.node\.alpha\.kubernetes\.io/ttl}'
}

@test "the controllers did all that with nothing but their roles" {
        run forbidden
        echo "$output"
        [ -z "$output" ]
}
