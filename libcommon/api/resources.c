// SPDX-License-Identifier: Apache-2.0
// Sums of resources. Amounts stay exact until somebody asks for whole units; sums saturate, so that hostile amounts
// can only ever be too much, never negative.
#include "libcommon/api/resources.h"

#include "libcommon/api/pod.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/strings.h"
#include "libcommon/format/json.h"

#include <string.h>

#define NANO INT64_C(1000000000)
// More than any sum of real amounts, and far from the end of 128 bits.
#define LARGEST ((__int128)INT64_MAX * NANO)

void cx_resource_list_release(struct cx_resource_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i].name);
        free(list->items);
        *list = (struct cx_resource_list){0};
}

static struct cx_resource_amount *find(const struct cx_resource_list *list, const char *name)
{
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i].name, name) == 0)
                        return &list->items[i];
        return NULL;
}

static struct cx_quantity *slot(struct cx_resource_list *list, const char *name, enum cx_quantity_format format)
{
        struct cx_resource_amount *found = find(list, name);
        if (found)
                return &found->amount;
        list->items = cx_realloc_array(list->items, list->count + 1, sizeof *list->items);
        list->items[list->count] = (struct cx_resource_amount){cx_strdup(name), {.format = format}};
        return &list->items[list->count++].amount;
}

static void add_amount(struct cx_resource_list *to, const char *name, const struct cx_quantity *amount)
{
        struct cx_quantity *sum = slot(to, name, amount->format);
        cx_quantity_add(sum, amount);
        if (sum->nano > LARGEST)
                sum->nano = LARGEST;
}

void cx_resource_list_add_json(struct cx_resource_list *to, const json_t *map)
{
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)map, name, value) {
                struct cx_quantity amount;
                if (cx_quantity_from_json(value, &amount) == 0 && amount.nano >= 0)
                        add_amount(to, name, &amount);
        }
}

void cx_resource_list_add(struct cx_resource_list *to, const struct cx_resource_list *other)
{
        for (size_t i = 0; i < other->count; i++)
                add_amount(to, other->items[i].name, &other->items[i].amount);
}

void cx_resource_list_raise(struct cx_resource_list *to, const struct cx_resource_list *other)
{
        for (size_t i = 0; i < other->count; i++) {
                const struct cx_quantity *amount = &other->items[i].amount;
                struct cx_quantity *current = slot(to, other->items[i].name, amount->format);
                if (cx_quantity_compare(amount, current) > 0)
                        *current = *amount;
        }
}

const struct cx_quantity *cx_resource_list_get(const struct cx_resource_list *list, const char *name)
{
        const struct cx_resource_amount *found = find(list, name);
        return found ? &found->amount : NULL;
}

int64_t cx_resource_units(const char *name, const struct cx_quantity *amount)
{
        return strcmp(name, "cpu") == 0 ? cx_quantity_milli(amount) : cx_quantity_value(amount);
}

int64_t cx_resource_list_units(const struct cx_resource_list *list, const char *name)
{
        const struct cx_resource_amount *found = find(list, name);
        return found ? cx_resource_units(name, &found->amount) : 0;
}

// --- pods ------------------------------------------------------------------------------------------------------------

static void set_default(struct cx_resource_list *list, const char *name, __int128 nano, enum cx_quantity_format format)
{
        if (!find(list, name))
                *slot(list, name, format) = (struct cx_quantity){.nano = nano, .format = format};
}

// What the status says that the container holds.
static void add_held(const json_t *status, const char *name, struct cx_resource_list *to)
{
        static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
        const json_t *own = NULL;
        for (size_t i = 0; !own && i < CX_ARRAY_SIZE(lists); i++)
                own = cx_json_find(json_object_get(status, lists[i]), "name", name);
        const json_t *maps[] = {cx_json_get(own, "resources.requests"), json_object_get(own, "allocatedResources")};
        for (size_t i = 0; i < CX_ARRAY_SIZE(maps); i++) {
                CX_RESOURCE_LIST one = {0};
                cx_resource_list_add_json(&one, maps[i]);
                cx_resource_list_raise(to, &one);
        }
}

static bool resize_is_infeasible(const json_t *status)
{
        const json_t *pending = cx_json_find(json_object_get(status, "conditions"), "type", "PodResizePending");
        return cx_streq(cx_json_string(pending, "reason"), "Infeasible");
}

static void add_container(const json_t *container, const struct cx_pod_resources_options *options,
                          struct cx_resource_list *to)
{
        CX_RESOURCE_LIST own = {0};
        const json_t *resources = json_object_get(container, "resources");
        CX_RESOURCE_LIST held = {0};
        if (options->status)
                add_held(options->status, cx_json_string_or(container, "name", ""), &held);
        if (!held.count || !resize_is_infeasible(options->status))
                cx_resource_list_add_json(&own, json_object_get(resources, options->limits ? "limits" : "requests"));
        cx_resource_list_raise(&own, &held);
        if (options->nonzero) {
                set_default(&own, "cpu", (__int128)CX_DEFAULT_MILLI_CPU * (NANO / 1000), CX_QUANTITY_DECIMAL);
                set_default(&own, "memory", (__int128)CX_DEFAULT_MEMORY * NANO, CX_QUANTITY_BINARY);
        }
        cx_resource_list_add(to, &own);
}

// Each init container runs beside the sidecars that were started before it.
static void add_initialization(const json_t *spec, const struct cx_pod_resources_options *options,
                               struct cx_resource_list *total)
{
        CX_RESOURCE_LIST sidecars = {0}, peak = {0};
        CX_POD_FOREACH(walk, spec, CX_POD_INIT)
        {
                CX_RESOURCE_LIST own = {0};
                add_container(walk.container, options, &own);
                if (cx_container_is_sidecar(walk.container)) {
                        cx_resource_list_add(total, &own);
                        cx_resource_list_add(&sidecars, &own);
                        cx_resource_list_raise(&peak, &sidecars);
                } else {
                        cx_resource_list_add(&own, &sidecars);
                        cx_resource_list_raise(&peak, &own);
                }
        }
        cx_resource_list_raise(total, &peak);
}

static bool is_pod_level(const char *name)
{
        return strcmp(name, "cpu") == 0 || strcmp(name, "memory") == 0 || cx_has_prefix(name, "hugepages-");
}

// Overhead raises a limit that there is; it does not make one.
static void add_overhead(const json_t *spec, bool limits, struct cx_resource_list *total)
{
        CX_RESOURCE_LIST overhead = {0};
        cx_resource_list_add_json(&overhead, json_object_get(spec, "overhead"));
        for (size_t i = 0; i < overhead.count; i++)
                if (!limits || find(total, overhead.items[i].name))
                        add_amount(total, overhead.items[i].name, &overhead.items[i].amount);
}

void cx_pod_resources(const json_t *spec, const struct cx_pod_resources_options *options,
                      struct cx_resource_list *ret_list)
{
        static const struct cx_pod_resources_options defaults = {0};
        options = options ? options : &defaults;
        CX_POD_FOREACH(walk, spec, CX_POD_MAIN)
        add_container(walk.container, options, ret_list);
        add_initialization(spec, options, ret_list);
        CX_RESOURCE_LIST own = {0};
        cx_resource_list_add_json(&own, cx_json_get(spec, options->limits ? "resources.limits" : "resources.requests"));
        for (size_t i = 0; i < own.count; i++)
                if (is_pod_level(own.items[i].name))
                        *slot(ret_list, own.items[i].name, own.items[i].amount.format) = own.items[i].amount;
        if (!options->without_overhead)
                add_overhead(spec, options->limits, ret_list);
}

// --- quality of service ----------------------------------------------------------------------------------------------

static const char *const qos_resources[] = {"cpu", "memory"};

struct qos_sums {
        struct cx_quantity requests[CX_ARRAY_SIZE(qos_resources)], limits[CX_ARRAY_SIZE(qos_resources)];
        bool all_limited; // everything that was added has limits of both
};

// An explicit 0 counts as nothing asked.
static bool add_positive(const json_t *map, size_t resource, struct cx_quantity *sum)
{
        struct cx_quantity amount;
        if (cx_quantity_from_json(json_object_get(map, qos_resources[resource]), &amount) < 0 || amount.nano <= 0)
                return false;
        cx_quantity_add(sum, &amount);
        return true;
}

static void add_to_qos(const json_t *resources, struct qos_sums *sums)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(qos_resources); i++) {
                add_positive(json_object_get(resources, "requests"), i, &sums->requests[i]);
                if (!add_positive(json_object_get(resources, "limits"), i, &sums->limits[i]))
                        sums->all_limited = false;
        }
}

const char *cx_pod_qos(const json_t *spec)
{
        struct qos_sums sums = {.all_limited = true};
        const json_t *own = json_object_get(spec, "resources");
        if (json_is_object(own)) {
                add_to_qos(own, &sums);
        } else {
                CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
                add_to_qos(json_object_get(walk.container, "resources"), &sums);
        }
        bool any = false, equal = true;
        for (size_t i = 0; i < CX_ARRAY_SIZE(qos_resources); i++) {
                any = any || sums.requests[i].nano || sums.limits[i].nano;
                equal = equal && cx_quantity_compare(&sums.requests[i], &sums.limits[i]) == 0;
        }
        return !any ? "BestEffort" : sums.all_limited && equal ? "Guaranteed" : "Burstable";
}
