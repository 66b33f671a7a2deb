// SPDX-License-Identifier: Apache-2.0
// Pods as Jobs see them: which index a pod is for, what it ended with, and what the Job's policy makes of a failure.
#pragma once

#include "controller-manager/pods/pods.h"

#define JOB_FINALIZER "batch.kubernetes.io/job-tracking"
#define JOB_INDEX "batch.kubernetes.io/job-completion-index" // an annotation and a label
#define JOB_INDEX_FAILURES "batch.kubernetes.io/job-index-failure-count"
#define JOB_INDEX_IGNORED "batch.kubernetes.io/job-index-ignored-failure-count"

struct job_pod {
        int32_t index;             // -1: none
        int32_t failures, ignored; // of earlier pods of the index: those that count, and those that do not
        int32_t restarts;          // of all containers
        int64_t finished;          // µs; 0: not known
        char *outcome;             // of a failed pod: its "exits" and "conditions", as JSON; else NULL
};
extern const struct object_part job_pod_part;
#define JOB_POD(pod) ((const struct job_pod *)object_part(pod, &job_pod_part))

// When the pod finished, or was deleted, as well as can be told; µs.
int64_t job_pod_finished(const struct cx_object *pod);
// Whether it has the finalizer; an adopted pod, which the informer shows without a reference yet, got both together.
bool job_pod_held(const struct cx_object *pod);
void job_pods_sort(struct cx_objects *pods); // by index

enum failure_action { FAILURE_NO_RULE, FAILURE_COUNT, FAILURE_IGNORE, FAILURE_FAIL_INDEX, FAILURE_FAIL_JOB };
// What the first rule of spec.podFailurePolicy that fits a failed pod says (NULL: there is no policy). For FAIL_JOB,
// `ret_message` (may be NULL) says why; owned by the caller.
enum failure_action job_failure_action(const json_t *policy, const struct cx_object *pod, char **ret_message);

// The same of an outcome; `pod_key` is how the pod is called in the message. Pure.
enum failure_action match_failure_policy(const json_t *policy, const json_t *outcome, const char *pod_key,
                                         char **ret_message);
