// SPDX-License-Identifier: Apache-2.0
// intstr.IntOrString: a count, or a part of a total.
#pragma once

#include "libcommon/base/macro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

// A number as it is, or a percentage of `total` ("25%", rounded up or down). -EINVAL when malformed. Any thread.
int cx_int_or_percent(const json_t *value, int64_t total, bool round_up, int64_t *ret_value) CX_CHECK;
