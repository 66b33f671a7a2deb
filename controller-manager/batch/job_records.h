// SPDX-License-Identifier: Apache-2.0
// What the controller knows of Jobs beyond what the informers show: which pods it has let go that they still show as
// they were, and how often pods failed in a row. Lost when the process ends, and then nothing is counted wrong: the informers
// begin with what was written last. Any thread.
#pragma once

#include "controller-manager/batch/job_backoff.h"
#include "libcommon/base/map.h"
#include "libcontroller/manager.h"

#include <pthread.h>

struct job_records {
        pthread_mutex_t lock; // guards the map
        struct cx_map by_key; // key of the Job: its struct job_record, which another Job of the name does not inherit
};
void job_records_init(struct job_records *self);
void job_records_release(struct job_records *self);
void job_records_forget(struct job_records *self, const char *key);

// Pods whose finalizer is being taken off: remembered from before the request until they are seen without.
void job_records_releasing(struct job_records *self, const struct cx_object *job, const char *pod_uid);
void job_records_released(struct job_records *self, const char *key, const char *pod_uid);
// Their uids. To be asked before the pods are listed: what is seen in between must not count again.
void job_records_awaited(struct job_records *self, const struct cx_object *job, struct cx_map *ret_uids);

// False when there is none: the Job is new to this process.
bool job_records_backoff(struct job_records *self, const struct cx_object *job, struct job_backoff *ret_backoff);
void job_records_set_backoff(struct job_records *self, const struct cx_object *job, const struct job_backoff *backoff);
