// SPDX-License-Identifier: Apache-2.0
// One look at one autoscaler, and what its metrics propose: autoscaler.c is the control loop, sources.c reads the metrics.
#pragma once

#include "controller-manager/autoscaling/rate.h"
#include "controller-manager/core/discovery.h"
#include "libcontroller/manager.h"

struct autoscalers; // the controller

struct look {
        struct autoscalers *self;
        struct manager *manager;
        const struct cx_object *object;
        json_t *hpa; // as it is, with the status that is being made
        struct rate_memory *memory;
        char group[64], version[32]; // of the target
        struct kind_names target;
        json_t *scale; // of the target; owned
        const char *selector;
        int64_t now, current, min, max;
};

// What one metric asks for.
struct proposal {
        int64_t replicas;
        char *metric;   // what it is called in reasons; owned
        json_t *status; // MetricStatus; owned
};
void proposal_release(struct proposal *proposal);

// `metric`: one of spec.metrics. *ret_failure is set also on failure: the reason for the event and the condition, NULL for
// a type that is not known. Blocks.
int propose_replicas(const struct look *look, const json_t *metric, struct proposal *ret_proposal,
                     const char **ret_failure, struct cx_error *err) CX_CHECK;
