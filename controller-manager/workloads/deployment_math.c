// SPDX-License-Identifier: Apache-2.0
// The arithmetic of rollouts, without any I/O.
#include "controller-manager/workloads/deployment.h"

#include "controller-manager/core/name_hash.h"
#include "libcommon/api/intstr.h"

#include <math.h>

static int64_t least(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

void rollout_fenceposts(const json_t *rolling_update, int64_t replicas, int64_t *ret_surge, int64_t *ret_unavailable)
{
        if (cx_int_or_percent(json_object_get(rolling_update, "maxSurge"), replicas, true, ret_surge) < 0)
                *ret_surge = 0;
        if (cx_int_or_percent(json_object_get(rolling_update, "maxUnavailable"), replicas, false, ret_unavailable) < 0)
                *ret_unavailable = 0;
        if (!*ret_surge && !*ret_unavailable) // both zero (by rounding): there would be no way forward
                *ret_unavailable = 1;
        if (*ret_unavailable > replicas)
                *ret_unavailable = replicas;
}

static int64_t total(const struct replica_sets *sets, int except)
{
        int64_t sum = 0;
        for (size_t i = 0; i < sets->count; i++)
                if ((int)i != except)
                        sum += sets->items[i].replicas;
        return sum;
}

int64_t rollout_fresh_replicas(const struct deployment *d, const struct replica_sets *sets, int fresh)
{
        int64_t have = fresh >= 0 ? sets->items[fresh].replicas : 0;
        if (d->recreate || have > d->replicas)
                return d->replicas;
        int64_t room = d->replicas + d->max_surge - total(sets, -1);
        if (room <= 0)
                return have;
        return have + least(room, d->replicas - have);
}

bool rollout_scale_down_old(const struct deployment *d, const struct replica_sets *sets, int fresh, int64_t *ret_sizes)
{
        int64_t available = 0, floor = d->replicas - d->max_unavailable;
        for (size_t i = 0; i < sets->count; i++) {
                ret_sizes[i] = sets->items[i].replicas;
                available += sets->items[i].available;
        }
        int64_t fresh_missing = fresh >= 0 ? sets->items[fresh].replicas - sets->items[fresh].available : 0;
        int64_t may_go = total(sets, -1) - floor - fresh_missing;
        if (may_go <= 0 || !total(sets, fresh))
                return false;
        bool changed = false;
        // First those that serve nobody: they cost no availability.
        int64_t left = may_go;
        for (size_t i = 0; i < sets->count && left > 0; i++) {
                int64_t unhealthy = ret_sizes[i] - sets->items[i].available;
                if ((int)i == fresh || unhealthy <= 0)
                        continue;
                int64_t n = least(left, unhealthy);
                ret_sizes[i] -= n;
                left -= n;
                changed = true;
        }
        left = available - floor;
        for (size_t i = 0; i < sets->count && left > 0; i++) {
                if ((int)i == fresh || ret_sizes[i] <= 0)
                        continue;
                int64_t n = least(left, ret_sizes[i]);
                ret_sizes[i] -= n;
                left -= n;
                changed = true;
        }
        return changed;
}

// The share of a change of the whole that falls to one ReplicaSet.
static int64_t proportion(const struct deployment *d, const struct replica_set *set, int64_t to_add, int64_t added)
{
        if (!set->replicas || !to_add || to_add == added)
                return 0;
        int64_t share;
        if (!d->replicas) {
                share = -set->replicas;
        } else {
                int64_t was = annotation_int(set->json, MAX_REPLICAS, cx_json_int(d->json, "status.replicas", 0));
                if (was <= 0)
                        return 0;
                double size = (double)(set->replicas * (d->replicas + d->max_surge)) / (double)was;
                share = (int64_t)round(size) - set->replicas;
        }
        int64_t allowed = to_add - added;
        return to_add > 0 ? least(share, allowed) : share > allowed ? share : allowed;
}

static void order_by_size(const struct replica_sets *sets, bool newest_first, size_t *order, size_t *ret_count)
{
        size_t n = 0;
        for (size_t i = 0; i < sets->count; i++) {
                if (sets->items[i].replicas <= 0)
                        continue;
                size_t at = n++;
                // Larger first; among equals by age. `sets` is oldest first.
                while (at > 0) {
                        int64_t before = sets->items[order[at - 1]].replicas, size = sets->items[i].replicas;
                        if (before > size || (before == size && !newest_first))
                                break;
                        order[at] = order[at - 1];
                        at--;
                }
                order[at] = i;
        }
        *ret_count = n;
}

bool rollout_scale(const struct deployment *d, const struct replica_sets *sets, int fresh, int64_t *ret_sizes)
{
        size_t active = 0, only = 0;
        for (size_t i = 0; i < sets->count; i++) {
                ret_sizes[i] = sets->items[i].replicas;
                if (sets->items[i].replicas > 0) {
                        active++;
                        only = i;
                }
        }
        if (active == 0 && sets->count)
                only = fresh >= 0 ? (size_t)fresh : sets->count - 1;
        if (active <= 1) {
                if (!sets->count || ret_sizes[only] == d->replicas)
                        return false;
                ret_sizes[only] = d->replicas;
                return true;
        }
        bool changed = false;
        const struct replica_set *set = fresh >= 0 ? &sets->items[fresh] : NULL;
        if (set && set->replicas == d->replicas && set->available == d->replicas &&
            annotation_int(set->json, DESIRED, -1) == d->replicas) { // saturated: the old ones have done their duty
                for (size_t i = 0; i < sets->count; i++) {
                        changed = changed || ((int)i != fresh && ret_sizes[i]);
                        ret_sizes[i] = (int)i == fresh ? ret_sizes[i] : 0;
                }
                return changed;
        }
        if (d->recreate)
                return false;
        int64_t to_add = (d->replicas ? d->replicas + d->max_surge : 0) - total(sets, -1), added = 0;
        CX_CLEANUP(cx_freep) size_t *order = cx_alloc_array(sets->count, sizeof *order);
        size_t n = 0;
        order_by_size(sets, to_add > 0, order, &n);
        for (size_t k = 0; k < n; k++) {
                int64_t share = proportion(d, &sets->items[order[k]], to_add, added);
                ret_sizes[order[k]] += share;
                added += share;
        }
        ret_sizes[order[0]] += to_add - added; // what rounding left over
        for (size_t i = 0; i < sets->count; i++) {
                ret_sizes[i] = ret_sizes[i] < 0 ? 0 : ret_sizes[i];
                changed = changed || ret_sizes[i] != sets->items[i].replicas;
        }
        return changed;
}

static json_t *without_hash(const json_t *template)
{
        json_t *copy = json_deep_copy(template);
        json_t *labels = cx_json_get(copy, "metadata.labels");
        json_object_del(labels, HASH_LABEL);
        if (labels && !json_object_size(labels))
                json_object_del(json_object_get(copy, "metadata"), "labels");
        json_object_del(json_object_get(copy, "metadata"), "creationTimestamp");
        if (!json_object_size(json_object_get(copy, "metadata")))
                json_object_del(copy, "metadata");
        return copy;
}

bool templates_equal(const json_t *a, const json_t *b)
{
        json_auto_t *x = without_hash(a), *y = without_hash(b);
        return json_equal(x, y);
}

void template_hash(const json_t *template, int64_t collisions, char to[11])
{
        json_auto_t *plain = without_hash(template);
        name_hash_write(name_hash_json(plain, collisions), to);
}

const char *annotation(const json_t *object, const char *name)
{
        return json_string_value(cx_json_at(object, (const char *const[]){"metadata", "annotations", name}, 3));
}

int64_t annotation_int(const json_t *object, const char *name, int64_t fallback)
{
        const char *text = annotation(object, name);
        int64_t value;
        return text && cx_parse_int(text, 0, INT64_MAX - 1, &value) == 0 ? value : fallback;
}
