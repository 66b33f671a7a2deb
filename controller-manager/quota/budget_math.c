// SPDX-License-Identifier: Apache-2.0
// The numbers of a budget.
#include "controller-manager/quota/budget.h"

#include "libcommon/api/intstr.h"

#define DELETION_TIMEOUT (INT64_C(120) * CX_US_PER_S) // until a pod that was let go must have been deleted

bool budget_needs_scale(const json_t *spec)
{
        return json_object_get(spec, "maxUnavailable") || json_is_string(json_object_get(spec, "minAvailable"));
}

int budget_count(const json_t *spec, int64_t count, int64_t healthy, struct budget_counts *ret_counts,
                 struct cx_error *err)
{
        const json_t *most = json_object_get(spec, "maxUnavailable"), *least = json_object_get(spec, "minAvailable");
        int64_t amount = 0;
        if ((most || least) && cx_int_or_percent(most ? most : least, count, true, &amount) < 0)
                return cx_error_set(err, -EINVAL,
                                    "invalid value for IntOrString: invalid type: string is not a "
                                    "percentage");
        struct budget_counts counts = {.expected = most || least ? count : 0, .healthy = healthy};
        counts.desired = most ? count - amount : amount;
        if (counts.desired < 0)
                counts.desired = 0;
        if (counts.expected > 0 && healthy > counts.desired)
                counts.allowed = healthy - counts.desired;
        *ret_counts = counts;
        return 0;
}

json_t *budget_disrupted(const json_t *status, const struct cx_objects *pods, int64_t now, int64_t *ret_next,
                         struct cx_strings *ret_late)
{
        const json_t *before = json_object_get(status, "disruptedPods");
        json_t *left = json_object();
        *ret_next = INT64_MAX;
        for (size_t i = 0; i < pods->count; i++) {
                const struct cx_object *pod = pods->items[i];
                const char *text = json_string_value(json_object_get(before, pod->name));
                int64_t since;
                if (pod->deleted || !text || cx_time_parse(text, &since) < 0)
                        continue;
                if (since + DELETION_TIMEOUT < now) {
                        cx_strings_add(ret_late, pod->key);
                        continue;
                }
                if (since + DELETION_TIMEOUT < *ret_next)
                        *ret_next = since + DELETION_TIMEOUT;
                json_object_set(left, pod->name, json_object_get(before, pod->name));
        }
        return left;
}

int64_t budget_healthy(const struct cx_objects *pods, const json_t *disrupted)
{
        int64_t healthy = 0;
        for (size_t i = 0; i < pods->count; i++)
                healthy += !pods->items[i]->deleted && POD_STATE(pods->items[i])->ready &&
                           !json_object_get(disrupted, pods->items[i]->name);
        return healthy;
}
