#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Jobs against real etcd and our API server. The test plays scheduler and kubelets: a pod ends when the test
# says so.

load ../../lib/plane
. "$BATS_TEST_DIRNAME/../../lib/jobs.sh"

setup_file() {
        plane_begin
        plane_manage
}

@test "a job runs as many pods as asked for, counts them, and completes" {
        job a 'completions: 3, parallelism: 2,'
        wait_for is 2 active a
        wait_for is 2///0 counts a
        end_some a Succeeded 2
        wait_for is 1/2//0 counts a
        [ "$(pods a | wc -l)" = 3 ]
        end_some a Succeeded 1
        k wait --for=condition=complete job/a --timeout=60s
        is /3//0 counts a
        [ "$(of job/a '{.status.conditions[*].type}')" = "SuccessCriteriaMet Complete" ]
        [ "$(of job/a '{.status.conditions[*].reason}')" = "CompletionsReached CompletionsReached" ]
        [ -n "$(of job/a '{.status.completionTime}')" ]
        [ "$(of job/a '{.status.uncountedTerminatedPods}')" = "{}" ]
        is 0 holds a
        wait_for told a "Normal Completed: Job completed"
        wait_for told a "Normal SuccessfulCreate: Created pod: $(pods a | head -1)"
        k get job a | grep -E '^a +Complete +3/3 '
        # Nothing follows a job that is over.
        k delete pod -l job-name=a
        [ "$(pods a | wc -l)" = 0 ]
        is /3//0 counts a
        k delete job a
}

@test "a job without a number of completions ends with the first success and those that run with it" {
        job b 'parallelism: 3,'
        wait_for is 3 active b
        end_some b Succeeded 1
        wait_for is 2/1//0 counts b
        [ "$(pods b | wc -l)" = 3 ]
        end_some b Succeeded 2
        wait_for has Complete b
        is /3//0 counts b
        k delete job b
}

@test "failures are waited out, and a job that fails too often is ended; its condition comes when all pods have ended" {
        job c 'completions: 2, parallelism: 2, backoffLimit: 1,'
        wait_for is 2 active c
        local first second
        first=$(pods c | head -1) second=$(pods c | tail -1)
        # One of the two runs on a node, where it takes a while to end.
        k create -f - <<YAML
apiVersion: v1
kind: Binding
metadata: {name: $second}
target: {kind: Node, name: n1}
YAML
        end "$first" Failed 1
        wait_for is 2//1/0 counts c # it finished long ago, so another one begins at once
        first=$(pods c --field-selector status.phase=Pending | grep -v "$second")
        end "$first" Failed 1
        wait_for has FailureTarget c BackoffLimitExceeded
        wait_for is //3/1 counts c
        [ -z "$(of job/c '{.status.conditions[?(@.type=="Failed")].status}')" ]
        k get job c | grep -E '^c +FailureTarget +0/2 '
        k delete pod "$second" --force --grace-period=0
        wait_for has Failed c BackoffLimitExceeded
        is //3/0 counts c
        wait_for told c "Warning BackoffLimitExceeded: Job has reached the specified backoff limit"
        [ "$(k wait --for=condition=complete job/c --timeout=0s 2>&1 || :)" != "" ]
        k delete job c
        # The pause after a failure that has just been.
        job c2 'backoffLimit: 5,'
        wait_for is 1 active c2
        k patch pod "$(pods c2)" --subresource=status --type=merge -p '{"status":{"phase":"Failed"}}'
        wait_for is //1/0 counts c2
        [ "$(pods c2 | wc -l)" = 1 ]
        wait_for is 1//1/0 counts c2 # 10 s later
        k delete job c2
}

@test "containers that are started again count against the limit" {
        RESTART=OnFailure job r 'backoffLimit: 3,'
        wait_for is 1 active r
        local pod
        pod=$(pods r)
        restarts() { k patch pod "$pod" --subresource=status --type=merge -p '{"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"i","imageID":"","ready":false,"restartCount":'"$1"',"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}'; }
        restarts 2
        wait_for is 1 active r
        restarts 3
        wait_for has Failed r BackoffLimitExceeded
        k delete job r
}

@test "an indexed job gives each pod its index, host name and variable, and tells which are done" {
        job i 'completions: 5, parallelism: 3, completionMode: Indexed,'
        wait_for is 3 active i
        index_of() { k get pods -l job-name=i,batch.kubernetes.io/job-completion-index="$1" -o jsonpath='{.items[*].metadata.annotations.batch\.kubernetes\.io/job-completion-index} {.items[*].spec.hostname} {.items[*].spec.containers[0].env[0].name} {.items[*].spec.containers[0].env[0].valueFrom.fieldRef.fieldPath}'; }
        [ "$(index_of 1)" = "1 i-1 JOB_COMPLETION_INDEX metadata.labels['batch.kubernetes.io/job-completion-index']" ]
        pods i | grep -q '^i-1-'
        end "$(pods i | grep '^i-0-')" Succeeded
        end "$(pods i | grep '^i-2-')" Succeeded
        wait_for is "0,2 2" of job/i '{.status.completedIndexes} {.status.succeeded}'
        wait_for is 3 active i # 1, 3 and 4
        end_some i Succeeded 3
        wait_for has Complete i
        is "0-4 5" of job/i '{.status.completedIndexes} {.status.succeeded}'
        k describe job i | grep -E '^Completed Indexes: +0-4$'
        k delete job i
}

@test "an index has its own limit, and gives up alone" {
        job x 'completions: 3, parallelism: 3, completionMode: Indexed, backoffLimitPerIndex: 1, maxFailedIndexes: 1,'
        wait_for is 3 active x
        pod_of() { pods x --field-selector status.phase=Pending | grep "^x-$1-"; }
        end "$(pod_of 0)" Failed 1
        wait_for is 3 active x
        [ "$(of "pod/$(pod_of 0)" '{.metadata.annotations.batch\.kubernetes\.io/job-index-failure-count}')" = 1 ]
        end "$(pod_of 0)" Failed 1
        wait_for is 0 of job/x '{.status.failedIndexes}'
        wait_for is 2//2/0 counts x
        end "$(pod_of 1)" Succeeded
        end "$(pod_of 2)" Succeeded
        wait_for has Failed x FailedIndexes
        is "1,2 0" of job/x '{.status.completedIndexes} {.status.failedIndexes}'
        wait_for told x "Warning FailedIndexes: Job has failed indexes"
        is 0 holds x
        k delete job x
        job x2 'completions: 3, parallelism: 3, completionMode: Indexed, backoffLimitPerIndex: 0, maxFailedIndexes: 1,'
        wait_for is 3 active x2
        end_some x2 Failed 2
        wait_for has Failed x2 MaxFailedIndexesExceeded
        is 0 active x2
        k delete job x2
}

@test "a success policy ends a job early" {
        job s 'completions: 4, parallelism: 4, completionMode: Indexed, successPolicy: {rules: [{succeededIndexes: "0,2", succeededCount: 1}]},'
        wait_for is 4 active s
        end "$(pods s | grep '^s-1-')" Succeeded
        wait_for is 3/1//0 counts s
        end "$(pods s | grep '^s-2-')" Succeeded
        wait_for has SuccessCriteriaMet s SuccessPolicy
        wait_for has Complete s SuccessPolicy
        is "Matched rules at index 0" of job/s '{.status.conditions[?(@.type=="Complete")].message}'
        is /2//0 counts s
        wait_for is 0 active s
        k delete job s
}

@test "a failure policy ignores disruptions, and ends the job for an exit code" {
        job f 'backoffLimit: 0, podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}, {action: FailJob, onExitCodes: {containerName: c, operator: In, values: [42]}}]},'
        wait_for is 1 active f
        local pod
        pod=$(pods f)
        k patch pod "$pod" --subresource=status --type=merge -p '{"status":{"phase":"Failed","conditions":[{"type":"DisruptionTarget","status":"True"},{"type":"Ready","status":"False","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}'
        wait_for is 1///0 counts f
        wait_for is 1 active f
        pod=$(pods f --field-selector status.phase=Pending)
        end "$pod" Failed 42
        wait_for has Failed f PodFailurePolicy
        is "Container c for pod default/$pod failed with exit code 42 matching FailJob rule at index 1" of job/f '{.status.conditions[?(@.type=="Failed")].message}'
        is //1/0 counts f
        k delete job f
}

@test "a failure policy gives up an index, or counts and replaces only what has failed" {
        job fi 'completions: 3, parallelism: 3, completionMode: Indexed, backoffLimitPerIndex: 5, podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: NotIn, values: [1]}}]},'
        wait_for is 3 active fi
        [ "$(of job/fi '{.spec.podReplacementPolicy} {.spec.backoffLimit}')" = "Failed 2147483647" ]
        pod_of() { pods fi --field-selector status.phase=Pending | grep "^fi-$1-"; }
        end "$(pod_of 0)" Failed 42 # at once
        wait_for is 0 of job/fi '{.status.failedIndexes}'
        end "$(pod_of 1)" Failed 1 # by its own limit: it has another try
        wait_for is "2//2/0" counts fi
        wait_for is 2 active fi
        end "$(pod_of 1)" Succeeded
        end "$(pod_of 2)" Succeeded
        wait_for has Failed fi FailedIndexes
        is "1,2 0" of job/fi '{.status.completedIndexes} {.status.failedIndexes}'
        k delete job fi
}

@test "a job is suspended and resumed; its pods do not count as failed" {
        job p 'parallelism: 2, completions: 2, suspend: true,'
        wait_for has Suspended p JobSuspended
        [ "$(pods p | wc -l)" = 0 ]
        [ -z "$(of job/p '{.status.startTime}')" ]
        # What may still be changed before it begins.
        k patch job p -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"fast"},"tolerations":[{"key":"a","operator":"Exists"}]},"metadata":{"labels":{"more":"yes"},"annotations":{"a":"b"}}}}}'
        not k patch job p -p '{"spec":{"template":{"spec":{"hostNetwork":true}}}}'
        k patch job p -p '{"spec":{"suspend":false}}'
        wait_for is 2 active p
        [ "$(of "pod/$(pods p | head -1)" '{.spec.nodeSelector.disk} {.metadata.labels.more}')" = "fast yes" ]
        wait_for is "False JobResumed" of job/p '{.status.conditions[?(@.type=="Suspended")].status} {.status.conditions[?(@.type=="Suspended")].reason}'
        [ -n "$(of job/p '{.status.startTime}')" ]
        not k patch job p -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"slow"}}}}}'
        k patch job p -p '{"spec":{"suspend":true}}'
        wait_for is ///0 counts p
        wait_for is 0 holds p
        wait_for told p "Normal Suspended: Job suspended"
        wait_for told p "Normal Resumed: Job resumed"
        k get job p | grep -E '^p +Suspended '
        k patch job p -p '{"spec":{"suspend":false}}'
        wait_for is 2 active p
        end_some p Succeeded 2
        wait_for has Complete p
        is /2//0 counts p
        k delete job p
}

@test "a job is ended by its deadline, and removed with its pods some time after its end" {
        job d 'activeDeadlineSeconds: 1, ttlSecondsAfterFinished: 2,'
        wait_for has Failed d DeadlineExceeded
        wait_for told d "Warning DeadlineExceeded: Job was active longer than specified deadline"
        wait_for gone job d
        wait_for gone pods -l job-name=d
}

@test "parallelism is scaled, and an indexed job with its completions" {
        job e 'completions: 4, parallelism: 4, completionMode: Indexed,'
        wait_for is 4 active e
        k patch job e -p '{"spec":{"parallelism":1}}'
        wait_for is 1///0 counts e
        wait_for is 1 active e
        wait_for is 1 holds e
        k patch job e -p '{"spec":{"parallelism":6,"completions":6}}'
        wait_for is 6 active e
        end "$(pods e | grep '^e-5-')" Succeeded
        end "$(pods e | grep '^e-0-')" Succeeded
        wait_for is 0,5 of job/e '{.status.completedIndexes}'
        k patch job e -p '{"spec":{"parallelism":3,"completions":3}}'
        wait_for is "0 1" of job/e '{.status.completedIndexes} {.status.succeeded}'
        wait_for is 2 active e
        not k patch job e -p '{"spec":{"completions":9}}'
        end_some e Succeeded 2
        wait_for has Complete e
        is 0-2 of job/e '{.status.completedIndexes}'
        k delete job e
}

@test "a pod is replaced when it has ended, if so asked for" {
        job g 'podReplacementPolicy: Failed,'
        wait_for is 1 active g
        local pod
        pod=$(pods g)
        k create -f - <<YAML
apiVersion: v1
kind: Binding
metadata: {name: $pod}
target: {kind: Node, name: n1}
YAML
        k delete pod "$pod" --wait=false
        wait_for is ///1 counts g
        [ "$(pods g | wc -l)" = 1 ]
        end "$pod" Failed 1
        k delete pod "$pod" --force --grace-period=0 --ignore-not-found
        wait_for is 1//1/0 counts g
        k delete job g
}

@test "jobs of other controllers are left alone" {
        job m 'managedBy: example.com/other,'
        job m2 ''
        wait_for is 1 active m2
        [ "$(pods m | wc -l)" = 0 ]
        [ "$(of job/m '{.status}')" = "{}" ]
        k delete job m m2
}

@test "pods are adopted by a selector, and let go" {
        local name
        for name in own other; do
                k create -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $name, labels: {app: $name}}
spec: {restartPolicy: Never, containers: [{name: c, image: i}]}
YAML
                job adopts-$name "manualSelector: true, selector: {matchLabels: {app: $name}}," "metadata: {labels: {app: $name}},"
                wait_for is "adopts-$name batch.kubernetes.io/job-tracking" of pod/$name '{.metadata.ownerReferences[0].name} {.metadata.finalizers[0]}'
                wait_for is 1///0 counts adopts-$name
        done
        k label pod other app=none --overwrite
        wait_for is " " of pod/other '{.metadata.ownerReferences[0].name} {.metadata.finalizers[0]}'
        wait_for is 1 number k get pods -l app=other -o name # another one in its place
        end own Succeeded
        wait_for has Complete adopts-own
        is /1//0 counts adopts-own
        k delete job adopts-own adopts-other
        k delete pod other
}

@test "pods of a deleted job lose their finalizer, whether they go or stay" {
        local policy
        for policy in background foreground orphan; do
                job del-$policy 'completions: 2, parallelism: 2,'
                wait_for is 2 active del-$policy
                end_some del-$policy Succeeded 1
                k delete job del-$policy --cascade=$policy --wait=false
                wait_for gone job del-$policy
                [ $policy = orphan ] || wait_for gone pods -l job-name=del-$policy
        done
        wait_for is 0 holds del-orphan
        [ "$(pods del-orphan | wc -l)" -ge 2 ]
        k delete pods -l job-name=del-orphan
        # Somebody takes a pod that has not been counted away from its job.
        job del ''
        wait_for is 1 active del
        k patch pod "$(pods del)" --type=json -p '[{"op":"remove","path":"/metadata/ownerReferences"},{"op":"remove","path":"/metadata/labels"}]'
        stray() { k get pods -o jsonpath='{range .items[?(@.metadata.finalizers)]}{.metadata.labels.job-name}{"\n"}{end}' | grep -cv . ; }
        wait_for is 0 stray
        k delete job del
        k delete pods --all
}

@test "jobs are listed, changed and deleted together, and their status is written by itself" {
        job l1 'managedBy: example.com/other,'
        job l2 'managedBy: example.com/other,'
        k label job l1 l2 set=l
        [ "$(k get jobs -l set=l -o name | xargs)" = "job.batch/l1 job.batch/l2" ]
        k patch job l1 --subresource=status --type=merge -p '{"metadata":{"annotations":{"patched":"yes"}},"spec":{"parallelism":9},"status":{"startTime":"2026-01-01T00:00:00Z","conditions":[{"type":"CustomConditionType","status":"True"}]}}'
        [ "$(of job/l1 '{.metadata.annotations.patched} {.spec.parallelism} {.status.conditions[0].type} {.metadata.generation}')" = "yes 1 CustomConditionType 1" ]
        k patch job l1 -p '{"spec":{"parallelism":3},"status":{"active":3}}'
        [ "$(of job/l1 '{.spec.parallelism} {.status.active} {.metadata.generation}')" = "3  2" ]
        not k patch job l1 --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Complete","status":"True"}]}}'
        k delete jobs -l set=l
        wait_for gone jobs -l set=l
        # Who says nothing about the pods keeps them.
        job l3 ''
        wait_for is 1 active l3
        k delete --raw /apis/batch/v1/namespaces/default/jobs/l3
        wait_for gone job l3
        wait_for is 0 holds l3
        [ "$(pods l3 | wc -l)" = 1 ]
        k delete pods -l job-name=l3
}

@test "what somebody writes into a status does no harm" {
        job h 'completions: 2, completionMode: Indexed,'
        wait_for is 1 active h
        k patch job h --subresource=status --type=merge -p '{"status":{"uncountedTerminatedPods":{"failed":["nobody"]}}}'
        wait_for is "1//1/0" counts h
        wait_for is "{}" of job/h '{.status.uncountedTerminatedPods}'
        end_some h Succeeded 1
        wait_for is "0" of job/h '{.status.completedIndexes}'
        wait_for is 1 active h
        end_some h Succeeded 1
        wait_for has Complete h
        k delete job h
}

@test "no pod is counted twice or lost while the manager is killed again and again" {
        job crash 'completions: 60, parallelism: 12, backoffLimit: 1000000,'
        job crash-i 'completions: 40, parallelism: 10, completionMode: Indexed, backoffLimit: 1000000,'
        local manager round pod
        for round in $(seq 12); do
                manager=$(cat "$CP/kube-controller-manager.pid")
                # Some fail, the others succeed, at any moment.
                for pod in $(pods crash --field-selector status.phase=Pending | head -8); do
                        if [ $((RANDOM % 4)) = 0 ]; then end "$pod" Failed 1; else end "$pod" Succeeded; fi
                done &
                read -rt 0.$((RANDOM % 6 + 1)) <> <(:) || :
                kill -9 "$manager"
                wait
                component_start "$CP" kube-controller-manager
        done
        finish() {
                end_some crash Succeeded 20
                end_some crash-i Succeeded 20
                has Complete crash && has Complete crash-i
        }
        wait_for finish
        # Every pod that ended stands in the count, and nothing else does.
        ended() { k get pods -l job-name="$1" -o jsonpath='{range .items[*]}{.status.phase}{"\n"}{end}' | grep -c "$2"; }
        [ "$(ended crash Succeeded)" = "$(of job/crash '{.status.succeeded}')" ]
        [ "$(of job/crash '{.status.succeeded}')" = 60 ]
        [ "$(ended crash Failed)" = "$(of job/crash '{.status.failed}')" ]
        [ "$(of job/crash-i '{.status.succeeded} {.status.completedIndexes}')" = "40 0-39" ]
        is 0 holds crash
        is 0 holds crash-i
        [ "$(forbidden)" = "" ]
}
