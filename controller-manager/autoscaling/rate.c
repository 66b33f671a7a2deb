// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/autoscaling/rate.h"

#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <math.h>

#define LONGEST (INT64_C(3600) * CX_US_PER_S) // that a rule can look back

// --- notes -----------------------------------------------------------------------------------------------------------

static void add_note(struct rate_notes *notes, int64_t now, int64_t value)
{
        size_t kept = 0;
        for (size_t i = 0; i < notes->count; i++)
                if (notes->items[i].at >= now - LONGEST)
                        notes->items[kept++] = notes->items[i];
        notes->items = cx_realloc_array(notes->items, kept + 1, sizeof *notes->items);
        notes->items[kept] = (struct rate_note){now, value};
        notes->count = kept + 1;
}

void rate_memory_release(struct rate_memory *memory)
{
        free(memory->recommendations.items);
        free(memory->added.items);
        free(memory->removed.items);
        *memory = (struct rate_memory){0};
}

void rate_note_scaling(struct rate_memory *memory, int64_t now, int64_t before, int64_t after)
{
        if (after > before)
                add_note(&memory->added, now, after - before);
        else if (after < before)
                add_note(&memory->removed, now, before - after);
}

void rate_note_first(struct rate_memory *memory, int64_t now, int64_t current)
{
        if (!memory->recommendations.count)
                add_note(&memory->recommendations, now, current);
}

static int64_t sum_since(const struct rate_notes *notes, int64_t since)
{
        int64_t sum = 0;
        for (size_t i = 0; i < notes->count; i++)
                if (notes->items[i].at > since)
                        sum += notes->items[i].value;
        return sum;
}

// The lowest or the highest of a value and the notes since then.
static int64_t extreme(const struct rate_notes *notes, int64_t since, int64_t value, bool highest)
{
        for (size_t i = 0; i < notes->count; i++) {
                int64_t other = notes->items[i].value;
                if (notes->items[i].at > since && (highest ? other > value : other < value))
                        value = other;
        }
        return value;
}

// --- stabilization ---------------------------------------------------------------------------------------------------

static const char lower[] = "recent recommendations were lower than current one, applying the lowest recent "
                            "recommendation";
static const char higher[] = "recent recommendations were higher than current one, applying the highest recent "
                             "recommendation";

static int64_t window_of(const json_t *rules, int64_t otherwise)
{
        int64_t seconds = cx_json_int(rules, "stabilizationWindowSeconds", -1);
        return seconds < 0 ? otherwise : seconds * CX_US_PER_S;
}

static int64_t stabilize(struct rate_memory *memory, const struct rate_question *q, struct rate_answer *ret)
{
        const struct rate_notes *notes = &memory->recommendations;
        const json_t *rules_up = json_object_get(q->behavior, "scaleUp");
        int64_t window_up = window_of(rules_up, 0);
        int64_t window_down = window_of(json_object_get(q->behavior, "scaleDown"), q->down_stabilization);
        int64_t low = extreme(notes, q->now - window_up, q->wanted, false);
        int64_t high = extreme(notes, q->now - window_down, q->wanted, true), stable = q->current;
        if (!q->behavior)
                stable = high;
        else if (stable < low)
                stable = low;
        else if (stable > high)
                stable = high;
        add_note(&memory->recommendations, q->now, q->wanted);
        ret->able_reason = "ReadyForNewScale";
        ret->able_message = "recommended size matches current size";
        if (stable != q->wanted) {
                bool held_up = stable < q->wanted;
                ret->able_reason = held_up ? "ScaleUpStabilized" : "ScaleDownStabilized";
                ret->able_message = held_up ? lower : higher;
        }
        return stable;
}

// --- rules -----------------------------------------------------------------------------------------------------------

static int64_t propose(const struct rate_memory *memory, const struct rate_question *q, const json_t *policy, bool up)
{
        int64_t since = q->now - cx_json_int(policy, "periodSeconds", 0) * CX_US_PER_S;
        int64_t start = q->current - sum_since(&memory->added, since) + sum_since(&memory->removed, since);
        double value = (double)cx_json_int(policy, "value", 0);
        if (cx_streq(cx_json_string(policy, "type"), "Pods"))
                return up ? start + (int64_t)value : start - (int64_t)value;
        double share = (double)start * (up ? 1 + value / 100 : 1 - value / 100);
        // Sums of hundredths are not exact in binary.
        return (int64_t)(up ? ceil(share - 1e-9) : floor(share + 1e-9));
}

// As far as the rules let it go in that direction; the current size where they disable it.
static int64_t limit_of(const struct rate_memory *memory, const struct rate_question *q, const json_t *rules, bool up)
{
        const char *select = cx_json_string_or(rules, "selectPolicy", "Max");
        bool highest = (strcmp(select, "Min") != 0) == up, any = false;
        int64_t limit = q->current;
        size_t i;
        const json_t *policy;
        if (strcmp(select, "Disabled") == 0)
                return q->current;
        json_array_foreach (json_object_get(rules, "policies"), i, policy) {
                int64_t proposed = propose(memory, q, policy, up);
                if (!any || (highest ? proposed > limit : proposed < limit))
                        limit = proposed;
                any = true;
        }
        return up ? (limit < q->current ? q->current : limit) : (limit > q->current ? q->current : limit);
}

struct rate_bound {
        int64_t value;
        const char *reason, *message;
};
static const struct rate_bound too_few = {0, "TooFewReplicas",
                                          "the desired replica count is less than the minimum replica count"};
static const struct rate_bound too_many = {0, "TooManyReplicas",
                                           "the desired replica count is more than the maximum replica count"};
static const struct rate_bound too_fast = {
        0, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"};
static const struct rate_bound too_fast_down = {
        0, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"};

static struct rate_bound at(struct rate_bound bound, int64_t value)
{
        bound.value = value;
        return bound;
}

// Without a behavior: twice the size, or four.
static int64_t usual_limit(int64_t current)
{
        return current * 2 > 4 ? current * 2 : 4;
}

static struct rate_bound most(const struct rate_memory *memory, const struct rate_question *q)
{
        int64_t limit = q->behavior ? limit_of(memory, q, json_object_get(q->behavior, "scaleUp"), true)
                                    : usual_limit(q->current);
        return q->max > limit ? at(too_fast, limit) : at(too_many, q->max);
}

static struct rate_bound least(const struct rate_memory *memory, const struct rate_question *q)
{
        int64_t limit = q->behavior ? limit_of(memory, q, json_object_get(q->behavior, "scaleDown"), false) : q->min;
        return q->min < limit ? at(too_fast_down, limit) : at(too_few, q->min);
}

void rate_apply(struct rate_memory *memory, const struct rate_question *q, struct rate_answer *ret)
{
        int64_t stable = stabilize(memory, q, ret);
        bool always = !q->behavior; // bounds hold in both directions then
        struct rate_bound upper = most(memory, q), bottom = least(memory, q);
        ret->replicas = stable;
        ret->limited_reason = "DesiredWithinRange";
        ret->limited_message = "the desired count is within the acceptable range";
        const struct rate_bound *hit = (always || stable < q->current) && stable < bottom.value  ? &bottom
                                       : (always || stable > q->current) && stable > upper.value ? &upper
                                                                                                 : NULL;
        ret->limited = hit != NULL;
        if (hit) {
                ret->replicas = hit->value;
                ret->limited_reason = hit->reason;
                ret->limited_message = hit->message;
        }
}
