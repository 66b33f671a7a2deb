#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Disruption budgets: what the controller counts and what eviction makes of it. The test plays the kubelet.

load ../../lib/plane

setup_file() {
        plane_begin
        plane_manage
}

setup() {
        NS=b$BATS_TEST_NUMBER
        k create namespace "$NS" >/dev/null
        wait_for n get serviceaccount default
}

teardown() { # a test may have stopped it
        kill -CONT "$(cat "$CP/kube-controller-manager.pid")" 2>/dev/null || :
}

n() { k -n "$NS" "$@"; }

# budget NAME SPEC
budget() { printf 'apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: %s}\nspec: {selector: {matchLabels: {app: web}}, %s}\n' "$1" "$2" | n apply -f - >/dev/null; }

# counts NAME: expected desired healthy allowed, and the condition's reason
counts() { n get pdb "$1" -o jsonpath='{.status.expectedPods} {.status.desiredHealthy} {.status.currentHealthy} {.status.disruptionsAllowed} {.status.conditions[?(@.type=="DisruptionAllowed")].reason}'; }

# web REPLICAS: a Deployment, whose pods run and are ready.
web() {
        n apply -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: $1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {nodeName: none, terminationGracePeriodSeconds: 0, containers: [{name: c, image: i}]}}
YAML
        wait_for running "$1"
}
# running COUNT: makes every pod ready, until there are so many.
running() {
        local pod
        for pod in $(n get pods -l app=web --field-selector status.phase=Pending -o name); do
                n patch "$pod" --subresource=status --type=merge -p '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}' >/dev/null || :
        done
        [ "$(n get pods -l app=web --field-selector status.phase=Running -o name | wc -l)" = "$1" ]
}

# evict POD [QUERY] [MORE OF THE BODY]: prints the code; the answer is in $CP/answer.
evict() {
        curl -s -o "$CP/answer" -D "$CP/headers" -w '%{http_code}' --cacert "$CP/ca.crt" --cert "$CP/admin.crt" --key "$CP/admin.key" -H 'Content-Type: application/json' \
                -d '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"'"$1"'"}'"${3:+,$3}"'}' "https://127.0.0.1:$(cat "$CP/port")/api/v1/namespaces/$NS/pods/$1/eviction${2:-}"
}
names() { n get pods -l app=web -o jsonpath='{.items[*].metadata.name}'; }
answer() { jq -r "$1" "$CP/answer"; }

@test "a budget counts pods by number and by percentage of what their Deployment is meant to have" {
        budget number 'minAvailable: 2'
        wait_for is "0 2 0 0 InsufficientPods" counts number
        web 3
        wait_for is "3 2 3 1 SufficientPods" counts number
        budget percent 'minAvailable: "50%"'
        wait_for is "3 2 3 1 SufficientPods" counts percent
        budget most 'maxUnavailable: 1'
        wait_for is "3 2 3 1 SufficientPods" counts most
        n scale deployment web --replicas=4
        wait_for running 4
        wait_for is "4 3 4 1 SufficientPods" counts most
        wait_for is "4 2 4 2 SufficientPods" counts number
        n patch pdb most --type=merge -p '{"spec":{"maxUnavailable":"75%"}}'
        wait_for is "4 1 4 3 SufficientPods" counts most
        n patch pod "$(names | cut -d' ' -f1)" --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'
        wait_for is "4 1 3 2 SufficientPods" counts most
        # What somebody writes by hand does not last.
        n patch pdb most --subresource=status --type=merge -p '{"status":{"disruptionsAllowed":100}}'
        wait_for is "4 1 3 2 SufficientPods" counts most
}

@test "an eviction is charged, and refused when nothing is left; the pod says why it goes" {
        web 2
        budget one 'maxUnavailable: 1'
        wait_for is "2 1 2 1 SufficientPods" counts one
        local first second
        read -r first second <<<"$(names)"
        [ "$(evict "$first" '?dryRun=All')" = 201 ]
        is "2 1 2 1 SufficientPods" counts one
        n patch pod "$first" --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        [ "$(evict "$first")" = 201 ]
        [ "$(n get pod "$first" -o jsonpath='{.status.conditions[?(@.type=="DisruptionTarget")].reason}')" = EvictionByEvictionAPI ]
        [ "$(evict "$second")" = 429 ]
        [ "$(answer .details.causes[0].reason)" = DisruptionBudget ]
        [ "$(answer .message)" = "Cannot evict pod as it would violate the pod's disruption budget." ]
        [ "$(answer .details.causes[0].message)" = "The disruption budget one needs 1 healthy pods and has 1 currently" ]
        wait_for is "2 1 1 0 InsufficientPods" counts one
        wait_for is "" n get pdb one -o jsonpath='{.status.disruptedPods}' # it is being deleted: there is no need to remember
        [ "$(evict "$first")" = 201 ] # again, what goes already
        n patch pod "$first" --type=merge -p '{"metadata":{"finalizers":null}}'
        wait_for running 2
        wait_for is "2 1 2 1 SufficientPods" counts one
        [ "$(evict "$second")" = 201 ]
        [ "$(evict nobody)" = 404 ]
}

@test "evictions at once do not spend more than there is" {
        web 6
        budget two 'maxUnavailable: 2'
        wait_for is "6 4 6 2 SufficientPods" counts two
        local codes
        export -f evict
        export NS
        # The manager sleeps, so that nothing is given back.
        kill -STOP "$(cat "$CP/kube-controller-manager.pid")"
        codes=$(for pod in $(names); do echo "$pod"; done | xargs -P 6 -I{} bash -c 'echo "$(evict {})"' | sort | uniq -c | xargs)
        kill -CONT "$(cat "$CP/kube-controller-manager.pid")"
        echo "$codes"
        [ "$codes" = "2 201 4 429" ]
}

@test "pods that are not ready go by the policy; pending ones and those that are over always" {
        web 3
        budget strict 'minAvailable: 3'
        wait_for is "3 3 3 0 InsufficientPods" counts strict
        local a b c
        read -r a b c <<<"$(names)"
        ready() { n patch pod "$1" --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"'"$2"'"}]}}'; }
        ready "$a" False
        wait_for is "3 3 2 0 InsufficientPods" counts strict
        [ "$(evict "$a")" = 429 ]
        n patch pdb strict --type=merge -p '{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}'
        observed() { [ "$(n get pdb strict -o jsonpath='{.status.observedGeneration}')" = "$(n get pdb strict -o jsonpath='{.metadata.generation}')" ]; }
        wait_for observed
        [ "$(evict "$a")" = 201 ]
        n patch pod "$b" --subresource=status --type=merge -p '{"status":{"phase":"Succeeded"}}'
        [ "$(evict "$b")" = 201 ]
        pending() { n get pods -l app=web --field-selector status.phase=Pending -o name | grep .; }
        wait_for pending
        [ "$(evict "$(pending | head -1 | sed 's,pod/,,')")" = 201 ]
        [ "$(evict "$c")" = 429 ]
        # Preconditions are the client's.
        [ "$(evict "$c" '' '"deleteOptions":{"preconditions":{"uid":"other"}}')" = 429 ]
        n delete pdb strict
        [ "$(evict "$c" '' '"deleteOptions":{"preconditions":{"uid":"other"}}')" = 409 ]
        [ -z "$(n get pod "$c" -o jsonpath='{.status.conditions[?(@.type=="DisruptionTarget")].reason}')" ]
        [ "$(evict "$c")" = 201 ]
}

@test "several budgets are an error; pods without a controller, or with one that has no size, are told of" {
        budget percent 'minAvailable: "50%"'
        printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: bare, labels: {app: web}}\nspec: {nodeName: none, containers: [{name: c, image: i}]}\n' | n apply -f -
        wait_for running 1
        said() { n get events -o jsonpath='{.items[*].reason}' | grep -qw "$1"; }
        wait_for said UnmanagedPods
        wait_for is "0 0 1 0 InsufficientPods" counts percent
        budget number 'minAvailable: 0'
        wait_for is "1 0 1 1 SufficientPods" counts number
        [ "$(evict bare)" = 500 ]
        [ "$(answer .message)" = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support." ]
        n delete pdb number
        printf 'apiVersion: apps/v1\nkind: ControllerRevision\nmetadata: {name: r}\nrevision: 1\n' | n apply -f -
        n patch pod bare --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ControllerRevision","name":"r","uid":"'"$(n get controllerrevision r -o jsonpath='{.metadata.uid}')"'","controller":true}]}}'
        n patch pod bare --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'
        wait_for is SyncFailed n get pdb percent -o jsonpath='{.status.conditions[0].reason}'
        [ "$(n get pdb percent -o jsonpath='{.status.conditions[0].message}')" = "controllerrevisions.apps does not implement the scale subresource" ]
}

@test "a pod that was said to be disrupted and was not is told so" {
        web 2
        local fresh stale
        read -r fresh stale <<<"$(names)"
        said() { n patch pod "$1" --subresource=status -p '{"status":{"conditions":[{"type":"DisruptionTarget","status":"True","reason":"'"$3"'","message":"m","lastTransitionTime":"'"$2"'"}]}}'; }
        of() { n get pod "$1" -o jsonpath='{.status.conditions[?(@.type=="DisruptionTarget")].status}{.status.conditions[?(@.type=="DisruptionTarget")].reason}'; }
        said "$fresh" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" PreemptionByScheduler
        said "$stale" 2020-01-01T00:00:00Z TerminationByKubelet
        said "$stale" 2020-01-01T00:00:00Z PreemptionByScheduler
        wait_for is False of "$stale"
        is TruePreemptionByScheduler of "$fresh"
}

@test "the controller did all that with nothing but its role" {
        run forbidden
        echo "$output"
        [ -z "$output" ]
}
