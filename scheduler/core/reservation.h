// SPDX-License-Identifier: Apache-2.0
// What plugins reserved for a pod that was given a node: made with the decision, acted on before the pod is bound, then
// settled or undone.
#pragma once

#include "scheduler/core/cycle.h"

struct reservation {
        struct reserved {
                const struct plugin *plugin;
                void *state; // the plugin's own
        } * items;
        size_t count; // 0: nothing has to be done
};
// Under the lock. When a plugin fails, what was reserved is undone, and the cycle knows who failed.
int reservation_make(struct cycle *cycle, const struct node *node, struct reservation *ret_reservation,
                     struct cx_error *err) CX_CHECK;
// On a thread of its own, without the lock: may block.
int reservation_pre_bind(const struct reservation *reservation, const struct placement *placement, struct cx_error *err)
        CX_CHECK;
// Under the lock; both empty it. The last that was reserved is the first that is undone.
void reservation_undo(struct reservation *reservation);
void reservation_settle(struct reservation *reservation); // the pod is bound
