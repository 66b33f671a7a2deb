// SPDX-License-Identifier: Apache-2.0
// Ending a pod that could have gone on: its condition DisruptionTarget says why before it is deleted.
#pragma once

#include "controller-manager/pods/pods.h"

struct disruption {
        const char *reason, *message; // of the condition
        bool failed;                  // nobody is left to confirm the end: the phase becomes Failed as well
        int64_t grace;                // seconds; -1: the pod's own
};
// Does nothing to another pod of the name. A pod that has gone is not an error.
int pod_disrupt(struct cx_rest *rest, const struct cx_object *pod, const struct disruption *disruption,
                struct cx_error *err) CX_CHECK;
