// SPDX-License-Identifier: Apache-2.0
// The controller: informers set a flag, one thread makes a plan of all that there is and applies what changed, at once after a
// quiet time.
#pragma once

#include "addons/ingress/apply.h"
#include "libcommon/client/component.h"

struct controller_options {
        struct plan_config plan;
        struct ingress_applier_options applier; // without `ended`
        const char *watch_namespace;            // NULL: all
        const struct cx_strings *addresses;     // of statuses, sorted
};
struct ingress_controller;
int ingress_controller_start(struct cx_component *component, const struct controller_options *options,
                             struct ingress_controller **ret_controller, struct cx_error *err) CX_CHECK;
bool ingress_controller_ready(const struct ingress_controller *controller);
void ingress_controller_stop(struct ingress_controller *controller); // ends the proxy as well
void ingress_controller_free(struct ingress_controller *controller); // after the informers
