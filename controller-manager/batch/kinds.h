// SPDX-License-Identifier: Apache-2.0
// The kinds that run to an end.
#pragma once

#include "controller-manager/core/owner.h"

static const struct owner_kind job_kind = {"batch", "v1", "jobs", "Job"};
static const struct owner_kind cronjob_kind = {"batch", "v1", "cronjobs", "CronJob"};

// The condition that ended a Job (of type Complete or Failed); borrowed. NULL: it goes on.
static inline const json_t *job_end(const json_t *job)
{
        if (condition_is(job, "Complete", "True"))
                return find_condition(job, "Complete");
        return condition_is(job, "Failed", "True") ? find_condition(job, "Failed") : NULL;
}
