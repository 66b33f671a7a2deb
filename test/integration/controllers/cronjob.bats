#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# CronJobs against real etcd and our API server.

load ../../lib/plane
. "$BATS_TEST_DIRNAME/../../lib/jobs.sh"

setup_file() {
        plane_begin
        plane_manage
}

setup() {
        MINUTE=$(printf %02d $(((10#$(date +%M) + 30) % 60))) # of the schedules: half an hour from the next time
}

# cron NAME SPEC: runs hourly unless SPEC says else.
cron() {
        k create -f - <<YAML
apiVersion: batch/v1
kind: CronJob
metadata: {name: $1}
spec:
  {schedule: "$MINUTE * * * *", ${2:-} jobTemplate: {metadata: {labels: {cron: $1}, annotations: {note: b}}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}
YAML
}
# ran NAME MOMENT: lets it believe that it ran last then.
ran() { k patch cronjob "$1" --subresource=status --type=merge -p '{"status":{"lastScheduleTime":"'"$(date -u -d "$2" +%FT%TZ)"'"}}'; }
jobs() { k get jobs -l cron="$1" -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}'; }
last() { echo $((($(date +%s) / 60 - 10#$MINUTE) / 60 * 60 + 10#$MINUTE)); } # the last time, in minutes since the epoch

@test "a cron job makes the job of its time once, and follows it" {
        cron a ''
        ran a '3 hours ago'
        wait_for is 1 number jobs a
        local job minutes
        job=$(jobs a) minutes=$(last)
        [ "$job" = "a-$minutes" ]
        [ "$(of cronjob/a '{.status.lastScheduleTime}')" = "$(date -u -d @$((minutes * 60)) +%FT%TZ)" ]
        [ "$(of "job/$job" '{.metadata.annotations.batch\.kubernetes\.io/cronjob-scheduled-timestamp} {.metadata.annotations.note} {.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}')" = \
                "$(date -u -d @$((minutes * 60)) +%FT%TZ) b CronJob/a" ]
        [ "$(of cronjob/a '{.status.active[*].name} {.status.active[0].kind} {.status.active[0].apiVersion} {.status.active[0].namespace}')" = "$job Job batch/v1 default" ]
        wait_for told a "Normal SuccessfulCreate: Created job $job"
        k get cronjob a | grep -E "^a +$MINUTE \* \* \* \* +<none> +False +1 "
        k describe cronjob a | grep -E "^Active Jobs: +$job$"
        wait_for is 1 active "$job"
        end_some "$job" Succeeded 1
        wait_for is "" of cronjob/a '{.status.active}'
        wait_for told a "Normal SawCompletedJob: Saw completed job: $job, status: Complete"
        wait_for is "$(of "job/$job" '{.status.completionTime}')" of cronjob/a '{.status.lastSuccessfulTime}'
        [ "$(number jobs a)" = 1 ]
        k delete cronjob a
        wait_for gone jobs -l cron=a
}

@test "a cron job that was killed between the job and the list takes it up" {
        cron b 'suspend: true,'
        ran b '3 hours ago'
        k create job b-seed --image=i
        # The job that a manager made before it died: the name says whose it is.
        k create -f - <<YAML
apiVersion: batch/v1
kind: Job
metadata:
  name: b-$(last)
  labels: {cron: b}
  ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: b, uid: $(of cronjob/b '{.metadata.uid}'), controller: true, blockOwnerDeletion: true}]
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}
YAML
        wait_for told b "Warning UnexpectedJob: Saw a job that the controller did not create or forgot: $(jobs b)"
        k patch cronjob b -p '{"spec":{"suspend":false}}'
        wait_for is "$(jobs b)" of cronjob/b '{.status.active[*].name}'
        [ "$(number jobs b)" = 1 ]
        k delete cronjob b
        k delete job b-seed
}

@test "forbidding, replacing, suspending, and being too late" {
        cron forbid 'concurrencyPolicy: Forbid,'
        cron replace 'concurrencyPolicy: Replace,'
        cron allow ''
        local name old
        for name in forbid replace allow; do
                ran $name '3 hours ago'
                wait_for is 1 number jobs $name
        done
        old=$(jobs replace)
        # Another time comes while the first job runs.
        for name in forbid replace allow; do
                k patch cronjob $name -p '{"spec":{"schedule":"* * * * *"}}'
                ran $name '2 minutes ago'
        done
        wait_for told forbid "Normal JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid"
        wait_for gone job "$old"
        wait_for at_least 1 number jobs replace
        wait_for at_least 2 number jobs allow
        [ "$(number jobs forbid)" = 1 ]
        wait_for told replace "Normal SuccessfulDelete: Deleted job $old"
        k delete cronjob forbid replace allow
        cron late 'startingDeadlineSeconds: 1,'
        ran late '3 hours ago'
        late() { events late | grep -q '^Warning MissSchedule: Missed scheduled time to start a job: '; }
        wait_for late
        [ "$(number jobs late)" = 0 ]
        k delete cronjob late
        cron many ''
        ran many '9 days ago'
        wait_for is 1 number jobs many
        wait_for told many "Warning TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        k delete cronjob many
}

@test "the history of a cron job is as long as asked for" {
        cron hist 'successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0,'
        local uid n
        uid=$(of cronjob/hist '{.metadata.uid}')
        for n in 1 2 3; do
                k create -f - <<YAML
apiVersion: batch/v1
kind: Job
metadata:
  name: hist-$n
  labels: {cron: hist}
  ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: hist, uid: $uid, controller: true, blockOwnerDeletion: true}]
spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}
YAML
                wait_for is 1 active hist-$n
                end_some hist-$n "$([ $n = 3 ] && echo Failed || echo Succeeded)" 1
                [ $n = 3 ] || wait_for has Complete hist-$n
        done
        wait_for is 1 number jobs hist
        at_least 1 number jobs hist
        wait_for told hist "Normal SuccessfulDelete: Deleted job hist-3"
        k delete cronjob hist
}

@test "a job is made by hand from a cron job, and its list of active jobs cannot be used to delete others" {
        cron hand 'concurrencyPolicy: Replace,'
        k create job by-hand --from=cronjob/hand
        [ "$(of job/by-hand '{.metadata.annotations.cronjob\.kubernetes\.io/instantiate} {.metadata.ownerReferences[0].name} {.metadata.labels.cron}')" = "manual hand hand" ]
        job foreign 'suspend: true,'
        k patch cronjob hand --subresource=status --type=merge -p '{"status":{"active":[{"kind":"Job","apiVersion":"batch/v1","namespace":"default","name":"foreign","uid":"'"$(of job/foreign '{.metadata.uid}')"'"}]}}'
        ran hand '3 hours ago'
        wait_for is 2 number jobs hand
        wait_for told hand "Normal MissingJob: Active job went missing: foreign"
        [ -n "$(of job/foreign '{.metadata.uid}')" ]
        k delete cronjob hand
        k delete job foreign
        wait_for gone jobs -l cron=hand
}

@test "schedules and time zones that make no sense are refused" {
        refused() { # refused MESSAGE SPEC
                run cron bad "$2"
                [ "$status" -ne 0 ]
                [[ "$output" = *"$1"* ]] || { echo "$output"; return 1; }
        }
        refused 'spec.schedule: Invalid value: "60 * * * *": end of range (60) above maximum (59): 60' 'schedule: "60 * * * *",'
        refused 'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead' 'schedule: "TZ=UTC * * * * *",'
        refused 'spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base' 'timeZone: Mars/Base,'
        refused 'spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string' 'timeZone: "",'
        refused 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones' 'timeZone: Local,'
        run k create cronjob "$(printf 'a%.0s' {1..53})" --image=i --schedule='* * * * *'
        [[ "$output" = *"must be no more than 52 characters"* ]]
        cron zone 'timeZone: Asia/Tokyo,'
        ran zone '3 hours ago'
        wait_for is 1 number jobs zone
        [[ "$(of "job/$(jobs zone)" '{.metadata.annotations.batch\.kubernetes\.io/cronjob-scheduled-timestamp}')" = *":$MINUTE:00+09:00" ]]
        k delete cronjob zone
}
