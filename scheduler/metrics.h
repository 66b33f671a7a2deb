// SPDX-License-Identifier: Apache-2.0
// What /metrics says of scheduling, under upstream's names and labels. Any thread.
#pragma once

#include "libcommon/base/metrics.h"
#include "scheduler/queue.h"

enum attempt_result { ATTEMPT_SCHEDULED, ATTEMPT_UNSCHEDULABLE, ATTEMPT_ERROR, ATTEMPT_RESULTS };

struct scheduler_metrics;
struct scheduler_metrics *scheduler_metrics_new(struct cx_metrics *metrics, const struct profiles *profiles);
void scheduler_metrics_free(struct scheduler_metrics *self);

// An attempt is over; `started` (monotonic) is when it began.
void metrics_attempt(struct scheduler_metrics *self, const struct scheduler_profile *profile,
                     enum attempt_result result, int64_t started);
// A pod is bound, after so many attempts, the first of which could have been at `queued` (monotonic).
void metrics_bound(struct scheduler_metrics *self, int attempts, int64_t queued);
// What a decision took, and the victims that it chose.
void metrics_decision(struct scheduler_metrics *self, const struct scheduler_profile *profile,
                      const struct decision *decision, int64_t started);
void metrics_point(struct scheduler_metrics *self, const struct scheduler_profile *profile, enum extension_point point,
                   bool success, int64_t started); // those of binding
// What there is now: in the queue and in the cache. Under the scheduler's lock.
void metrics_show(struct scheduler_metrics *self, const struct queue *queue, const struct node_cache *cache);
