// SPDX-License-Identifier: Apache-2.0
// Mirror pods: what the apiserver shows of the static pods here. Any thread may call.
#pragma once

#include "kubelet/pod/model.h"

// The watch shows a mirror pod, or that it is gone.
void mirror_seen(struct pods *pods, const json_t *object, bool gone);
// A static pod was added, removed or has another status: its mirror is looked at soon.
void mirror_changed(struct pod *pod);
void mirror_all(struct pods *pods);
// Keys of the status queue that are mirror pods', and what is done for one.
bool mirror_is_key(const char *key);
int mirror_sync(struct pods *pods, const char *key, struct cx_error *err) CX_CHECK;
void mirror_free(void *mirror);
