#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Jobs and a CronJob on two real nodes, while the controller manager is killed again and again. Prints TAP.
#   test/e2e/batch.sh [KUBECTL]       KUBECTL: ours by default; upstream's judges the same
set -u
. "$(dirname "$0")/../lib/cluster.sh"
cluster_begin batch "${1:-}"

load_image() {
        "$top/test/images/build" "$work/images" && tar -C "$work/images/busybox-1.35" -cf "$work/busybox.tar" . &&
                mk image load "$work/busybox.tar"
}

# job NAME SPEC COMMAND [POD SPEC]: SPEC and POD SPEC are the insides of flow mappings, with a comma at the end.
job() {
        k create -f - <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: $1}
spec: {$2 template: {spec: {${4:-} restartPolicy: ${RESTART:-Never}, terminationGracePeriodSeconds: 1, volumes: [{name: shared, hostPath: {path: $work/shared}}],
  containers: [{name: c, image: "busybox:1.35", command: [sh, -c, '$3'], volumeMounts: [{name: shared, mountPath: /shared}]}]}}}
YAML
}
of() { k get "$1" -o jsonpath="$2"; }
counts() { of "job/$1" '{.status.succeeded}/{.status.failed}'; }
counts_are() { equals "$(counts "$1")" "$2"; }
ended() { k wait --for=condition="$2" "job/$1" --timeout=240s; }
reason_is() { equals "$(of "job/$1" "{.status.conditions[?(@.type==\"$2\")].reason}")" "$3"; }
no_finalizers() { equals "$(k get pods -l job-name="$1" -o jsonpath='{.items[*].metadata.finalizers}')" ""; }

# The manager dies every few seconds, at whatever it is doing, until the calm.
manager_dies() {
        while [ -d "$work" ] && [ ! -e "$work/calm" ]; do
                read -rt $((RANDOM % 6 + 2)).$((RANDOM % 10)) <> <(:) || :
                kill -9 "$(pid_of kube-controller-manager 2>/dev/null)" 2>/dev/null && echo . >>"$work/deaths"
        done
}
calm() {
        touch "$work/calm"
        until_true 60 ended_process "$killer"
        [ "$(wc -l <"$work/deaths")" -ge 5 ]
}
ended_process() { ! kill -0 "$1"; }

t_third_time_lucky() { # two pods that fail at once would leave more lines
        job lucky 'backoffLimit: 4,' 'echo x >>/shared/lucky; [ $(wc -l </shared/lucky) -gt 3 ]' && ended lucky complete &&
                counts_are lucky 1/3 && equals "$(wc -l <"$work/shared/lucky")" 4 && until_true 60 no_finalizers lucky &&
                k get job lucky | grep -E '^lucky +Complete +1/1 '
}
t_restarted() { # the same container again, in one pod
        RESTART=OnFailure job again 'backoffLimit: 6,' 'echo x >>/shared/again; [ $(wc -l </shared/again) -gt 3 ]' &&
                ended again complete && counts_are again 1/ &&
                equals "$(k get pods -l job-name=again -o jsonpath='{.items[*].status.containerStatuses[0].restartCount}')" 3
}
t_gives_up() {
        job hopeless 'backoffLimit: 1,' 'exit 7' && ended hopeless failed && reason_is hopeless Failed BackoffLimitExceeded &&
                counts_are hopeless /2 && equals "$(k get pods -l job-name=hopeless --no-headers | grep -c .)" 2 &&
                until_true 60 no_finalizers hopeless
}
t_indexed() {
        local logs
        job numbers 'completions: 12, parallelism: 5, completionMode: Indexed,' 'echo $JOB_COMPLETION_INDEX $(hostname)' &&
                ended numbers complete && counts_are numbers 12/ &&
                equals "$(of job/numbers '{.status.completedIndexes}')" 0-11 || return 1
        logs=$(for pod in $(k get pods -l job-name=numbers -o name); do k logs "$pod"; done | sort -n | xargs)
        equals "$logs" "$(for i in $(seq 0 11); do echo "$i numbers-$i"; done | xargs)" &&
                equals "$(k get pods -l job-name=numbers -o jsonpath='{range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort -u | grep -c .)" 2
}
t_sidecar() {
        job helped '' 'until [ -e /shared/helped ]; do sleep 0.2; done' \
                'initContainers: [{name: side, image: "busybox:1.35", restartPolicy: Always, command: [sh, -c, "touch /shared/helped; exec sleep 100000"], volumeMounts: [{name: shared, mountPath: /shared}]}],' &&
                ended helped complete && counts_are helped 1/
}
t_failure_policy() {
        job strict 'backoffLimit: 6, podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]},' 'exit 42' &&
                ended strict failed && reason_is strict Failed PodFailurePolicy && counts_are strict /1
}
t_suspend() {
        job pause 'parallelism: 2, completions: 2,' 'until [ -e /shared/go ]; do sleep 0.2; done' || return 1
        running() { equals "$(k get pods -l job-name=pause --field-selector status.phase=Running --no-headers | grep -c .)" "$1"; }
        until_true 120 running 2 && k patch job pause -p '{"spec":{"suspend":true}}' && k wait --for=condition=suspended job/pause --timeout=60s &&
                until_true 120 running 0 && counts_are pause / && k patch job pause -p '{"spec":{"suspend":false}}' &&
                until_true 120 running 2 && touch "$work/shared/go" && ended pause complete && counts_are pause 2/
}

# --- each minute ---
cron_runs() { grep -c . "$work/shared/minutes" 2>/dev/null; }
cron_ran() { [ "$(cron_runs)" -ge "$1" ]; }
t_cron() {
        k create -f - <<YAML
apiVersion: batch/v1
kind: CronJob
metadata: {name: minutely}
spec:
  schedule: "* * * * *"
  timeZone: Europe/Berlin
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, volumes: [{name: shared, hostPath: {path: $work/shared}}],
    containers: [{name: c, image: "busybox:1.35", command: [sh, -c, 'date +%H%M >>/shared/minutes'], volumeMounts: [{name: shared, mountPath: /shared}]}]}}}}
YAML
        until_true 180 cron_ran 2 && [ -n "$(of cronjob/minutely '{.status.lastScheduleTime}')" ]
}
minute_over() { [ "$(date +%M)" != "$1" ]; }
t_cron_suspended() {
        local runs
        k patch cronjob minutely -p '{"spec":{"suspend":true}}' || return 1
        idle() { equals "$(of cronjob/minutely '{.status.active}')" ""; }
        until_true 120 idle && runs=$(cron_runs) && until_true 90 minute_over "$(date +%M)" && until_true 90 minute_over "$(date +%M)" &&
                equals "$(cron_runs)" "$runs" && k patch cronjob minutely -p '{"spec":{"suspend":false}}' && until_true 150 cron_ran $((runs + 1))
}
t_cron_once() { # no minute twice, three Jobs are kept
        equals "$(sort "$work/shared/minutes" | uniq -d)" "" || return 1
        kept() { [ "$(k get jobs --no-headers | grep -c '^minutely-')" -le 3 ]; }
        until_true 60 kept && k create job by-hand --from=cronjob/minutely && ended by-hand complete && k delete cronjob minutely
        gone() { equals "$(k get jobs --no-headers | grep -c '^minutely-')" 0; }
        until_true 60 gone
}
t_ttl() {
        job brief 'ttlSecondsAfterFinished: 1,' 'true' || return 1
        gone() { ! k get job brief && equals "$(k get pods -l job-name=brief --no-headers 2>/dev/null | grep -c .)" 0; }
        until_true 120 gone
}

mkdir -p "$work/shared"
must "minikube start --nodes 2" mk start --nodes 2
ok "both nodes are Ready" until_true 60 nodes_ready 2
ok "the image is there" load_image
manager_dies &
killer=$!
ok "a job fails three times and then succeeds" t_third_time_lucky
ok "a container fails three times and then succeeds" t_restarted
ok "a job exceeds its back-off" t_gives_up
ok "an indexed job of twelve" t_indexed
ok "a job with a sidecar" t_sidecar
ok "a job that a failure policy ends" t_failure_policy
ok "a job is suspended and resumed" t_suspend
ok "a cron job runs each minute" t_cron
ok "it is suspended and resumed" t_cron_suspended
ok "it has run once a time" t_cron_once
ok "a job goes when its time is over" t_ttl
ok "the manager was killed meanwhile" calm
tap_end
