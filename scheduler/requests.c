// SPDX-License-Identifier: Apache-2.0
// What a pod asks for: the sum over its containers and sidecars, or what its init containers need at their peak (with the
// sidecars started before them), whichever is more, and the overhead. The request of the pod as a whole goes before.
#include "scheduler/template.h"

#include "libcommon/api/quantity.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

#define DEFAULT_CPU 100                             // thousandths
#define DEFAULT_MEMORY (INT64_C(200) * 1024 * 1024) // bytes

// Resources with the amounts that scoring takes for absent requests.
struct sum {
        struct resources requests;
        int64_t nonzero[2];
};

uint64_t resource_id(const char *name)
{
        return cx_hash(name, strlen(name));
}

static int base_index(const char *name)
{
        return strcmp(name, "cpu") == 0                 ? RESOURCE_CPU
               : strcmp(name, "memory") == 0            ? RESOURCE_MEMORY
               : strcmp(name, "ephemeral-storage") == 0 ? RESOURCE_EPHEMERAL
                                                        : -1;
}

static int64_t add_capped(int64_t a, int64_t b)
{
        int64_t sum;
        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t *amount_of(struct resources *resources, const char *name)
{
        int base = base_index(name);
        if (base >= 0)
                return &resources->base[base];
        uint64_t id = resource_id(name);
        for (size_t i = 0; i < resources->n_extended; i++)
                if (resources->extended[i].id == id)
                        return &resources->extended[i].amount;
        resources->extended =
                cx_realloc_array(resources->extended, resources->n_extended + 1, sizeof *resources->extended);
        resources->extended[resources->n_extended] = (struct resource_amount){id, cx_strdup(name), 0};
        return &resources->extended[resources->n_extended++].amount;
}

static void release(struct resources *resources)
{
        for (size_t i = 0; i < resources->n_extended; i++)
                free(resources->extended[i].name);
        free(resources->extended);
        *resources = (struct resources){0};
}

static void sum_release(struct sum *sum)
{
        release(&sum->requests);
}
#define SUM CX_CLEANUP(sum_release) struct sum

static void add_list(const json_t *requests, struct resources *to)
{
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)requests, name, value) {
                int64_t amount = strcmp(name, "cpu") == 0 ? cx_quantity_milli_of(value) : cx_quantity_value_of(value);
                int64_t *slot = amount_of(to, name);
                *slot = add_capped(*slot, amount > 0 ? amount : 0);
        }
}

static void add_container(const json_t *container, struct sum *to)
{
        const json_t *requests = cx_json_get(container, "resources.requests");
        add_list(requests, &to->requests);
        const json_t *cpu = json_object_get(requests, "cpu"), *memory = json_object_get(requests, "memory");
        to->nonzero[0] = add_capped(to->nonzero[0], cpu ? cx_quantity_milli_of(cpu) : DEFAULT_CPU);
        to->nonzero[1] = add_capped(to->nonzero[1], memory ? cx_quantity_value_of(memory) : DEFAULT_MEMORY);
}

static void add_sum(const struct sum *from, struct sum *to)
{
        for (int i = 0; i < RESOURCE_BASE; i++)
                to->requests.base[i] = add_capped(to->requests.base[i], from->requests.base[i]);
        for (size_t i = 0; i < from->requests.n_extended; i++) {
                int64_t *slot = amount_of(&to->requests, from->requests.extended[i].name);
                *slot = add_capped(*slot, from->requests.extended[i].amount);
        }
        for (int i = 0; i < 2; i++)
                to->nonzero[i] = add_capped(to->nonzero[i], from->nonzero[i]);
}

static int64_t larger(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

static void max_sum(const struct sum *from, struct sum *to)
{
        for (int i = 0; i < RESOURCE_BASE; i++)
                to->requests.base[i] = larger(to->requests.base[i], from->requests.base[i]);
        for (size_t i = 0; i < from->requests.n_extended; i++) {
                int64_t *slot = amount_of(&to->requests, from->requests.extended[i].name);
                *slot = larger(*slot, from->requests.extended[i].amount);
        }
        for (int i = 0; i < 2; i++)
                to->nonzero[i] = larger(to->nonzero[i], from->nonzero[i]);
}

static void add_init_containers(const json_t *containers, struct sum *total)
{
        SUM sidecars = {0}, peak = {0};
        size_t i;
        json_t *container;
        json_array_foreach (containers, i, container) {
                SUM own = {0};
                add_container(container, &own);
                if (cx_streq(cx_json_string(container, "restartPolicy"), "Always")) {
                        add_sum(&own, total);
                        add_sum(&own, &sidecars);
                        max_sum(&sidecars, &peak);
                } else {
                        add_sum(&sidecars, &own);
                        max_sum(&own, &peak);
                }
        }
        max_sum(&peak, total);
}

static bool asks_for_nothing(const struct resources *requests)
{
        for (int i = 0; i < RESOURCE_BASE; i++)
                if (requests->base[i])
                        return false;
        return requests->n_extended == 0;
}

void parse_requests(const json_t *spec, struct template *to)
{
        SUM total = {0};
        size_t i;
        json_t *container;
        json_array_foreach (json_object_get(spec, "containers"), i, container)
                add_container(container, &total);
        add_init_containers(json_object_get(spec, "initContainers"), &total);
        const char *name;
        json_t *value;
        json_object_foreach (cx_json_get(spec, "resources.requests"), name, value) {
                int base = base_index(name);
                if (base == RESOURCE_CPU || base == RESOURCE_MEMORY) {
                        total.requests.base[base] =
                                base == RESOURCE_CPU ? cx_quantity_milli_of(value) : cx_quantity_value_of(value);
                        total.nonzero[base] = total.requests.base[base];
                } else if (cx_has_prefix(name, "hugepages-")) {
                        *amount_of(&total.requests, name) = cx_quantity_value_of(value);
                }
        }
        struct sum overhead = {0};
        add_list(json_object_get(spec, "overhead"), &overhead.requests);
        overhead.nonzero[0] = overhead.requests.base[RESOURCE_CPU];
        overhead.nonzero[1] = overhead.requests.base[RESOURCE_MEMORY];
        add_sum(&overhead, &total);
        sum_release(&overhead);
        to->best_effort = asks_for_nothing(&total.requests);
        to->nonzero[0] = total.nonzero[0];
        to->nonzero[1] = total.nonzero[1];
        to->requests = total.requests;
        total.requests = (struct resources){0};
}
