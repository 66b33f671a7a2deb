// SPDX-License-Identifier: Apache-2.0
// A pod's resolv.conf. Any thread.
#pragma once

#include "kubelet/base/kubelet.h"

// The text; owned by the caller.
char *pod_resolv_conf(const struct kubelet *kubelet, const json_t *object);
