// SPDX-License-Identifier: Apache-2.0
// Why a pod is not as it should be, in plain words.
#pragma once

#include "libcommon/base/buf.h"

#include <jansson.h>

// One page about the pod: what is wrong, what was said of it lately (`events`, an array, the oldest first) and the next
// command to type. false: nothing is wrong.
bool why_page(const json_t *pod, const json_t *events, struct cx_buf *to);
