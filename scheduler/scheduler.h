// SPDX-License-Identifier: Apache-2.0
// The scheduler: informers feed the cache and the queue, one thread takes pods from the queue and decides, the binder
// writes. One lock guards cache, queue and framework; nothing that blocks happens under it.
#pragma once

#include "libcommon/base/metrics.h"
#include "libcommon/client/events.h"
#include "libcommon/client/informer.h"

struct extenders;
struct profiles;
struct scheduler;
struct scheduler_options { // all are borrowed and must outlive the scheduler
        struct cx_rest *rest;
        struct cx_informers *informers;
        struct cx_events *events;
        struct cx_metrics *metrics;
        const struct extenders *extenders;  // NULL: none
        const struct profiles *profiles;    // pods with their names as spec.schedulerName are ours
        int64_t backoff_first, backoff_max; // ns
};
struct scheduler *scheduler_new(const struct scheduler_options *options);
int scheduler_start(struct scheduler *scheduler, struct cx_error *err) CX_CHECK;
bool scheduler_synced(const struct scheduler *scheduler);
bool scheduler_alive(const struct scheduler *scheduler,
                     int64_t limit); // no pod has taken its thread more than `limit` ns
// Ends the scheduling thread and waits for the writes. The informers must be freed before scheduler_free: they hold
// what belongs to it.
void scheduler_stop(struct scheduler *scheduler);
void scheduler_free(struct scheduler *scheduler);
