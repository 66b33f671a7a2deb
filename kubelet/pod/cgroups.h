// SPDX-License-Identifier: Apache-2.0
// A pod's control group: kubepods[/burstable|/besteffort]/pod<uid>, by its quality of service. Any thread.
#pragma once

#include "kubelet/base/kubelet.h"

// The weights of the tiers among each other and against the rest of the machine: all pods together have what the node gives to
// pods, Burstable ones what `pods` (an array of objects) ask for, BestEffort ones what is left over.
int pod_tiers_weigh(const struct kubelet *kubelet, const json_t *pods, struct cx_error *err) CX_CHECK;

// Its path; owned by the caller.
char *pod_cgroup(const struct kubelet *kubelet, const json_t *object);
// Makes it, with the limits of the pod as a whole.
int pod_cgroup_make(const struct kubelet *kubelet, const json_t *object, struct cx_error *err) CX_CHECK;
// Removes it from whichever tier it is in: the object may be unknown.
int pod_cgroup_remove(const struct kubelet *kubelet, const char *uid, struct cx_error *err) CX_CHECK;
// Removes those of pods that `known` does not know (made before a crash, say).
void pod_cgroups_remove_orphans(const struct kubelet *kubelet, bool (*known)(void *context, const char *uid),
                                void *context);
