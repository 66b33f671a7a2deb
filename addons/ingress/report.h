// SPDX-License-Identifier: Apache-2.0
// What users see of the controller's work in their Ingresses: events and the address in the status. Statuses are written by a
// small pool of threads of its own.
#pragma once

#include "addons/ingress/plan.h"
#include "libcommon/client/component.h"

struct reporter;
struct reporter_options {
        struct cx_rest *rest;
        struct cx_events *events;
        struct cx_informer *ingresses, *classes;
        const struct plan_config *plan;
        const struct cx_strings *addresses; // sorted
};
struct reporter *reporter_new(const struct reporter_options *options);
// Before the informers start, and after they have synced.
void reporter_watch(struct reporter *reporter);
void reporter_start(struct reporter *reporter);
// After the plan is in the proxy.
void reporter_tell(struct reporter *reporter, const struct plan *plan);
void reporter_stop(struct reporter *reporter);
void reporter_free(struct reporter *reporter);
