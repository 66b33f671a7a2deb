// SPDX-License-Identifier: Apache-2.0
// Reporting statuses to the apiserver.
#pragma once

#include "kubelet/pod/model.h"

// Makes the pod's status anew, and has it sent when it is news. Called by the pod's worker.
void pod_publish(struct pod *pod, const json_t *object, const struct sandbox *sandbox);
// What the status queue's workers do: `pods` is the context, the key a pod's uid or one of mirror.h's.
int pod_write_status(void *pods, const char *key, int64_t *retry_after, struct cx_error *err);
