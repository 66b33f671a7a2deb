// SPDX-License-Identifier: Apache-2.0
// How many replicas a metric asks for: the arithmetic of the HorizontalPodAutoscaler, without I/O. Pods without figures and
// pods that are not ready yet count against the direction in which the others point. Values are thousandths.
#pragma once

#include "libcommon/base/error.h"

#include <stdint.h>

// Figures are what other servers say: sums of them stay within 64 bits.
static inline int64_t sum_of(int64_t a, int64_t b)
{
        int64_t sum;
        return __builtin_add_overflow(a, b, &sum) ? b < 0 ? INT64_MIN : INT64_MAX : sum;
}

enum pod_group {
        POD_COUNTS,  // it is running, and has a figure
        POD_UNREADY, // not running, or too young for its figure to say something
        POD_MISSING, // it has no figure
        POD_IGNORED  // it is going, or has failed
};
struct scaled_pod {
        bool going, failed, pending;  // the last two: its phase
        bool has_ready, ready;        // the condition Ready: whether there is one, and whether it is True
        int64_t ready_since, started; // µs since the epoch; started 0: not told
        int64_t request;              // of the resource, of all containers or of the one that counts
        bool measured;
        int64_t value, at, window; // what was measured, when (µs), and over how long (ns)
        enum pod_group group;      // out
};
struct scaled_pods {
        struct scaled_pod *items;
        size_t count;
};

struct replica_settings {
        double tolerance_up, tolerance_down;
        int64_t now;                               // µs
        int64_t initialization, initial_readiness; // µs: of CPU figures (--horizontal-pod-autoscaler-…)
};
struct replica_answer {
        int64_t replicas;
        int64_t average;     // of a pod, thousandths
        int64_t utilization; // percent of the requests; of a utilization only
};

// Sets the group of each pod. `cpu`: of a CPU figure, which means nothing while a pod starts.
void group_pods(const struct replica_settings *settings, bool cpu, struct scaled_pods *pods);
// From grouped pods, for a target in percent of what they request. -ENOENT with upstream's sentence when nothing can be
// said.
int replicas_by_utilization(const struct replica_settings *settings, const struct scaled_pods *pods, int64_t current,
                            int64_t target, struct replica_answer *ret_answer, struct cx_error *err) CX_CHECK;
// From grouped pods, for a target of each pod's value.
int replicas_by_average(const struct replica_settings *settings, const struct scaled_pods *pods, int64_t current,
                        int64_t target, struct replica_answer *ret_answer, struct cx_error *err) CX_CHECK;
// From one value, that should be `target` in all; `ready` pods are ready.
int64_t replicas_by_value(const struct replica_settings *settings, int64_t value, int64_t target, int64_t current,
                          int64_t ready);
// From one value, that should be `target` for each of the replicas (`replicas`: as the status tells them).
int64_t replicas_by_share(const struct replica_settings *settings, int64_t value, int64_t target, int64_t replicas);
