// SPDX-License-Identifier: Apache-2.0
// Ending containers and pods. Called by the pod's worker.
#pragma once

#include "kubelet/pod/model.h"

// One step of ending a container: `grace` seconds after the first the container is killed. True when it has ended.
bool pod_kill(struct pod *pod, const json_t *object, struct container *container, int64_t grace, const char *why);
// When (monotonic ns) a container is killed whose end is as far as this: when its grace is over, but not within two seconds
// after its stop signal, which it gets late after a long preStop hook. With no grace at once.
int64_t kill_deadline(const struct ending *end);
// One step of ending all; true when nothing runs any more.
bool pod_kill_all(struct pod *pod, const json_t *object, int64_t grace);
// Removes the sandbox, volumes and control group of a pod whose containers have ended.
int pod_tear_down(struct pod *pod, struct cx_error *err) CX_CHECK;
// Removes the containers of a pod whose end is complete.
int pod_forget_containers(struct pod *pod, struct cx_error *err) CX_CHECK;
