// SPDX-License-Identifier: Apache-2.0
// What the files of the disruption controller share: the arithmetic of a budget, and how large the owners of its pods are
// meant to be.
#pragma once

#include "controller-manager/core/discovery.h"
#include "controller-manager/pods/pods.h"

// --- budget_math.c: pure ---------------------------------------------------------------------------------------------
struct budget_counts {
        int64_t expected, desired, healthy, allowed;
};
// Whether what is expected is the sum of what the pods' owners are meant to be; else it is the number of the pods.
bool budget_needs_scale(const json_t *spec);
// `count` is what the above says. -EINVAL when an amount is neither a number nor a percentage.
int budget_count(const json_t *spec, int64_t count, int64_t healthy, struct budget_counts *ret_counts,
                 struct cx_error *err) CX_CHECK;
// Pods that the API server let go and that are still there: those of status.disruptedPods whose time (µs) is not up yet.
// ret_next: when the next one's is (INT64_MAX: none); ret_late: names of those that were not deleted in time.
json_t *budget_disrupted(const json_t *status, const struct cx_objects *pods, int64_t now, int64_t *ret_next,
                         struct cx_strings *ret_late);
// Pods that are ready, not being deleted, and not about to be.
int64_t budget_healthy(const struct cx_objects *pods, const json_t *disrupted);

// --- budget_scale.c --------------------------------------------------------------------------------------------------
#define SCALED_KINDS 4
struct scales {
        struct manager *manager;
        struct cx_informer *informers[SCALED_KINDS];
};
void scales_init(struct scales *self, struct manager *manager);
// The sum of what the controllers of the pods are meant to be; ret_bare: how many pods have none. An error when a
// controller is not there, or has no size.
int scales_sum(const struct scales *self, const struct cx_objects *pods, int64_t *ret_sum, size_t *ret_bare,
               struct cx_error *err) CX_CHECK;
