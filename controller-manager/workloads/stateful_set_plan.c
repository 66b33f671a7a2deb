// SPDX-License-Identifier: Apache-2.0
// What a StatefulSet does next, from the observed members alone. In order (OrderedReady): one step at a time, from the first
// member up, and nothing beyond a member that is not available; then the members beyond the range from the last down; then
// the update from the last down. In parallel: all that are missing, all beyond the range, and the update all the same.
#include "controller-manager/workloads/stateful_set.h"

#include "libcommon/api/intstr.h"

// --- a set and its members -------------------------------------------------------------------------------------------

static int64_t resolve_unavailable(const json_t *value, int64_t replicas)
{
        int64_t most;
        if (!value)
                return ONE_BY_ONE;
        if (cx_int_or_percent(value, replicas, false, &most) < 0 || most < 1)
                return 1;
        return most;
}

void stateful_set_read(const struct cx_object *object, struct stateful_set *ret_set)
{
        json_t *json = cx_object_json(object);
        const json_t *rolling = cx_json_get(json, "spec.updateStrategy.rollingUpdate");
        const json_t *retention = cx_json_get(json, "spec.persistentVolumeClaimRetentionPolicy");
        *ret_set = (struct stateful_set){
                .json = json,
                .start = cx_json_int(json, "spec.ordinals.start", 0),
                .replicas = cx_json_int(json, "spec.replicas", 1),
                .min_ready = cx_json_int(json, "spec.minReadySeconds", 0),
                .parallel = cx_streq(cx_json_string(json, "spec.podManagementPolicy"), "Parallel"),
                .rolling = cx_streq(cx_json_string(json, "spec.updateStrategy.type"), "RollingUpdate"),
                .deleted = object->deleted != 0,
                .partition = cx_json_int(rolling, "partition", 0),
                .delete_with_set = cx_streq(cx_json_string(retention, "whenDeleted"), "Delete"),
                .delete_when_scaled = cx_streq(cx_json_string(retention, "whenScaled"), "Delete"),
        };
        ret_set->max_unavailable = resolve_unavailable(json_object_get(rolling, "maxUnavailable"), ret_set->replicas);
        if (ret_set->rolling && !rolling) // what is current stays, as far as it has come
                ret_set->partition = cx_json_int(json, "status.currentReplicas", 0);
}

void stateful_set_release(struct stateful_set *set)
{
        json_decref(set->json);
        set->json = NULL;
}

int64_t member_ordinal(const char *set, const char *pod)
{
        size_t length = strlen(set);
        int64_t ordinal;
        if (strncmp(pod, set, length) != 0 || pod[length] != '-')
                return -1;
        const char *digits = pod + length + 1;
        // As it is written: "web-01" is nobody's name.
        if (cx_parse_int(digits, 0, INT64_C(2) * INT32_MAX, &ordinal) < 0 || (digits[0] == '0' && digits[1]) ||
            digits[0] < '0' || digits[0] > '9')
                return -1;
        return ordinal;
}

bool member_in_range(const struct stateful_set *set, int64_t ordinal)
{
        return ordinal >= set->start && ordinal < set->start + set->replicas;
}

bool member_is_held_back(const struct stateful_set *set, int64_t ordinal)
{
        return set->rolling && ordinal < set->start + set->partition;
}

static int compare_members(const void *a, const void *b)
{
        const struct member *x = a, *y = b;
        return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

void members_read(const struct stateful_set *set, const struct cx_objects *pods, int64_t now,
                  struct members *ret_members)
{
        const char *name = cx_json_string_or(set->json, "metadata.name", "");
        *ret_members = (struct members){cx_alloc_array(pods->count + 1, sizeof *ret_members->items), 0};
        for (size_t i = 0; i < pods->count; i++) {
                const struct cx_object *pod = pods->items[i];
                const struct pod_state *state = POD_STATE(pod);
                const char *revision = cx_str(cx_object_label(pod, MEMBER_REVISION));
                bool ready = state->phase == POD_RUNNING && state->ready;
                ret_members->items[ret_members->count++] =
                        (struct member){.ordinal = member_ordinal(name, pod->name),
                                        .pod = pod,
                                        .over = pod_is_terminal(pod),
                                        .going = pod->deleted != 0,
                                        .pending = state->phase == POD_PENDING,
                                        .ready = ready,
                                        .available = ready && pod_is_available(pod, set->min_ready, now),
                                        .current = cx_streq(revision, set->current),
                                        .updated = cx_streq(revision, set->update)};
        }
        qsort(ret_members->items, ret_members->count, sizeof *ret_members->items, compare_members);
}

void members_release(struct members *members)
{
        free(members->items);
        *members = (struct members){0};
}

struct stateful_counts stateful_count(const struct stateful_set *set, const struct members *members)
{
        struct stateful_counts counts = {.replicas = (int64_t)members->count};
        for (size_t i = 0; i < members->count; i++) {
                const struct member *member = &members->items[i];
                counts.ready += member->ready;
                counts.available += member->available;
                counts.current += !member->going && member->current;
                counts.updated += !member->going && member->updated;
        }
        counts.complete = set->rolling && counts.updated == set->replicas && counts.ready == set->replicas &&
                          counts.replicas == set->replicas;
        if (counts.complete)
                counts.current = counts.updated;
        return counts;
}

// --- the plan --------------------------------------------------------------------------------------------------------

struct range {
        size_t from, to; // the members of the range, in the list
};

static struct range find_range(const struct stateful_set *set, const struct members *members)
{
        struct range range = {0};
        while (range.from < members->count && members->items[range.from].ordinal < set->start)
                range.from++;
        range.to = range.from;
        while (range.to < members->count && member_in_range(set, members->items[range.to].ordinal))
                range.to++;
        return range;
}

static bool is_unavailable(const struct member *member)
{
        return member->going || !member->available;
}

static bool can_be_replaced(const struct member *member)
{
        return !member->updated && !member->going && !member->over; // what is over has been ended already
}

static void settle(struct stateful_plan *plan, const struct members *members, size_t i)
{
        if (!members->items[i].over)
                plan->settle[plan->n_settle++] = i;
}

static void end(struct stateful_plan *plan, const struct members *members, size_t i)
{
        if (!members->items[i].going)
                plan->end[plan->n_end++] = i;
}

// In order, the range: false when there is nothing to be done beyond it yet.
static bool plan_range_in_order(const struct stateful_set *set, const struct members *members, struct range range,
                                struct stateful_plan *plan)
{
        int64_t expected = set->start;
        for (size_t i = range.from; i < range.to; i++, expected++) {
                const struct member *member = &members->items[i];
                if (member->ordinal != expected)
                        break;
                if (member->over) { // whatever its exit code: it comes back when it has gone
                        end(plan, members, i);
                        return false;
                }
                settle(plan, members, i);
                if (is_unavailable(member))
                        return false;
        }
        if (member_in_range(set, expected)) {
                plan->create[plan->n_create++] = expected;
                return false;
        }
        return true;
}

// In order, what is beyond the range, from the last one down. One that is not available holds up the others, unless it is
// the first such of all.
static bool plan_scaling_in_order(const struct members *members, struct range range, struct stateful_plan *plan)
{
        bool unhealthy_before = false; // in what comes before in the list, that is, goes later
        size_t last = SIZE_MAX;
        for (size_t i = 0; i < members->count; i++) {
                if (i >= range.from && i < range.to)
                        continue;
                settle(plan, members, i);
                unhealthy_before = unhealthy_before || (last != SIZE_MAX && is_unavailable(&members->items[last]));
                last = i;
        }
        if (last == SIZE_MAX)
                return true;
        const struct member *member = &members->items[last];
        if (!member->going && (member->available || !unhealthy_before))
                end(plan, members, last);
        return false;
}

// One after the other: the last that is not up to date goes, unless one after it is not available.
static void plan_one_by_one(const struct stateful_set *set, const struct members *members, struct range range,
                            struct stateful_plan *plan)
{
        int64_t ordinal = set->start + set->replicas;
        for (size_t i = range.to; i-- > range.from;) {
                const struct member *member = &members->items[i];
                if (member->ordinal != --ordinal || member_is_held_back(set, ordinal))
                        return; // one is missing, or held back
                if (can_be_replaced(member)) {
                        plan->replace[plan->n_replace++] = i;
                        return;
                }
                if (is_unavailable(member))
                        return;
        }
}

// As many as may be unavailable at a time. In parallel, one that serves nobody and has still to be updated is no loss, and
// must not keep the update from mending it.
static void plan_several(const struct stateful_set *set, const struct members *members, struct range range,
                         struct stateful_plan *plan)
{
        int64_t budget = set->max_unavailable - (set->replicas - (int64_t)(range.to - range.from));
        for (size_t i = range.from; i < range.to; i++) {
                const struct member *member = &members->items[i];
                bool free_to_go = set->parallel && !member->updated && !member->going &&
                                  !member_is_held_back(set, member->ordinal);
                budget -= is_unavailable(member) && !free_to_go;
        }
        for (size_t i = range.to; i-- > range.from && !member_is_held_back(set, members->items[i].ordinal);) {
                const struct member *member = &members->items[i];
                if (!can_be_replaced(member))
                        continue;
                if (!set->parallel || member->available) {
                        if (budget <= 0)
                                continue;
                        budget--;
                }
                plan->replace[plan->n_replace++] = i;
        }
}

static void plan_in_parallel(const struct stateful_set *set, const struct members *members, struct range range,
                             struct stateful_plan *plan)
{
        int64_t expected = set->start;
        for (size_t i = 0; i < members->count; i++) {
                settle(plan, members, i);
                if (i < range.from || i >= range.to || members->items[i].over)
                        end(plan, members, i);
        }
        for (size_t i = range.from; plan->n_create < POD_BURST && member_in_range(set, expected); expected++) {
                if (i < range.to && members->items[i].ordinal == expected)
                        i++;
                else
                        plan->create[plan->n_create++] = expected;
        }
}

void stateful_plan_make(const struct stateful_set *set, const struct members *members, struct stateful_plan *ret_plan)
{
        size_t most = members->count + 1;
        *ret_plan = (struct stateful_plan){.settle = cx_alloc_array(most, sizeof(size_t)),
                                           .end = cx_alloc_array(most, sizeof(size_t)),
                                           .replace = cx_alloc_array(most, sizeof(size_t)),
                                           .create = cx_alloc_array(POD_BURST, sizeof(int64_t))};
        struct range range = find_range(set, members);
        if (set->deleted)
                return;
        if (set->parallel)
                plan_in_parallel(set, members, range, ret_plan);
        else if (!plan_range_in_order(set, members, range, ret_plan) ||
                 !plan_scaling_in_order(members, range, ret_plan))
                return;
        if (set->rolling && set->max_unavailable == ONE_BY_ONE)
                plan_one_by_one(set, members, range, ret_plan);
        else if (set->rolling)
                plan_several(set, members, range, ret_plan);
}

void stateful_plan_release(struct stateful_plan *plan)
{
        free(plan->settle);
        free(plan->end);
        free(plan->replace);
        free(plan->create);
        *plan = (struct stateful_plan){0};
}
