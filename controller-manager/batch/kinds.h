// SPDX-License-Identifier: Apache-2.0
// The kinds that own what runs to an end.
#pragma once

#include "controller-manager/core/owner.h"

static const struct owner_kind job_kind = {"batch", "v1", "jobs", "Job"};
