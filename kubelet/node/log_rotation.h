// SPDX-License-Identifier: Apache-2.0
// Keeps containers' logs within bounds: a log over `max_bytes` is renamed with a time stamp, conmon opens a new one, and the
// oldest renamed ones go until `max_files` are left (the current one counted).
#pragma once

#include "kubelet/base/kubelet.h"

void logs_rotate(const struct kubelet *kubelet, int64_t max_bytes, int max_files);
