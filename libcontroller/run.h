// SPDX-License-Identifier: Apache-2.0
// Runs a table of controllers as a component (libcommon/client/component.h): informers are filled first; then every
// controller's workers start. The hooks of the component call these.
#pragma once

#include "libcontroller/manager.h"

struct controllers_table {
        const struct controller *const *items;
        size_t count;
};
struct controllers_options {
        const struct controllers_table *table;
        const struct cx_strings *chosen; // what --controllers says
        const void *options;             // for struct manager
        bool use_service_accounts;       // each acts as the account that it names
        // Makes what the controllers share with `manager`, before the first of them; may be NULL.
        int (*prepare)(struct manager *manager, struct cx_error *err);
};
struct controllers_run;
int controllers_start(struct cx_component *component, const struct controllers_options *options,
                      struct controllers_run **ret_self, struct cx_error *err) CX_CHECK;
// Ends the workers, then the component's informers; what controllers used can be freed afterwards.
void controllers_stop(struct controllers_run *self, struct cx_component *component);
bool controllers_ready(const struct controllers_run *self); // the informers have filled and the workers run
void controllers_tend(struct controllers_run *self);
