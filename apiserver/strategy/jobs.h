// SPDX-License-Identifier: Apache-2.0
// Between the files of the strategy of Jobs.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

// Adds a cause for whatever the new status of a Job says that cannot be, or takes back that may not be taken back.
// Parts that were wrong before and do not change are let through.
void check_job_status(const json_t *object, const json_t *old, struct cx_error *causes);
