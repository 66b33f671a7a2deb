// SPDX-License-Identifier: Apache-2.0
// The condition of a budget.
#include "libcommon/api/budget.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define TYPE "DisruptionAllowed"

void cx_budget_set_condition(json_t *status, const char *reason, const char *message)
{
        const char *value = strcmp(reason, CX_BUDGET_SUFFICIENT) == 0 ? "True" : "False";
        json_t *conditions = cx_json_array_at(status, "conditions"),
               *condition = cx_json_find(conditions, "type", TYPE);
        if (!condition) {
                condition = json_pack("{s:s}", "type", TYPE);
                json_array_append_new(conditions, condition);
        }
        if (!cx_streq(cx_json_string(condition, "status"), value)) {
                char now[CX_TIME_TEXT];
                cx_time_format(cx_time_now(), now);
                json_object_set_new(condition, "status", json_string(value));
                json_object_set_new(condition, "lastTransitionTime", json_string(now));
        }
        json_object_set_new(condition, "reason", json_string(reason));
        json_object_set_new(condition, "message", json_string(message));
        json_object_set_new(condition, "observedGeneration",
                            json_integer(cx_json_int(status, "observedGeneration", 0)));
}

void cx_budget_update_condition(json_t *status)
{
        bool allowed = cx_json_int(status, "disruptionsAllowed", 0) > 0;
        cx_budget_set_condition(status, allowed ? CX_BUDGET_SUFFICIENT : CX_BUDGET_INSUFFICIENT, "");
}
