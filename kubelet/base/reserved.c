// SPDX-License-Identifier: Apache-2.0
#include "kubelet/base/reserved.h"

#include "libcommon/api/quantity.h"

static const struct {
        const char *name;
        size_t offset;
} resources[] = {{"cpu", offsetof(struct node_reserved, milli_cpu)},
                 {"memory", offsetof(struct node_reserved, memory)},
                 {"ephemeral-storage", offsetof(struct node_reserved, storage)},
                 {"pid", offsetof(struct node_reserved, pids)}};

static const struct {
        const char *name;
        size_t offset;
} signals[] = {{"memory.available", offsetof(struct node_reserved, memory_available)},
               {"nodefs.available", offsetof(struct node_reserved, disk_available)},
               {"nodefs.inodesFree", offsetof(struct node_reserved, inodes_free)},
               {"pid.available", offsetof(struct node_reserved, pids_available)}};

static int parse_quantity(const char *text, bool cpu, int64_t *ret_value)
{
        struct cx_quantity quantity;
        if (cx_quantity_parse(text, &quantity) < 0 || quantity.nano < 0)
                return -EINVAL;
        *ret_value = cpu ? cx_quantity_milli(&quantity) : cx_quantity_value(&quantity);
        return *ret_value < INT64_MAX / 4 ? 0 : -ERANGE;
}

static int add_reservation(const char *what, const char *pair, struct node_reserved *to, struct cx_error *err)
{
        size_t length = strcspn(pair, "="), i = 0;
        int64_t value;
        while (i < CX_ARRAY_SIZE(resources) &&
               (strlen(resources[i].name) != length || strncmp(resources[i].name, pair, length) != 0))
                i++;
        if (i == CX_ARRAY_SIZE(resources))
                return cx_error_set(err, -EINVAL,
                                    "%s: \"%.*s\" cannot be reserved, only cpu, memory, ephemeral-storage, pid", what,
                                    (int)length, pair);
        if (!pair[length] || parse_quantity(pair + length + 1, i == 0, &value) < 0)
                return cx_error_set(err, -EINVAL, "%s: \"%s\" must be %s=quantity, not below zero", what, pair,
                                    resources[i].name);
        *(int64_t *)(void *)((char *)to + resources[i].offset) += value;
        return 0;
}

static int parse_threshold(const char *text, struct threshold *to)
{
        char *end;
        size_t length = strlen(text);
        if (!length || text[length - 1] != '%')
                return parse_quantity(text, false, &to->amount);
        to->share = strtod(text, &end) / 100;
        return end == text + length - 1 && to->share >= 0 && to->share < 1 ? 0 : -EINVAL;
}

static int add_threshold(const char *pair, struct node_reserved *to, struct cx_error *err)
{
        size_t length = strcspn(pair, "<="), i = 0;
        while (i < CX_ARRAY_SIZE(signals) &&
               (strlen(signals[i].name) != length || strncmp(signals[i].name, pair, length) != 0))
                i++;
        if (i == CX_ARRAY_SIZE(signals))
                return cx_error_set(err, -EINVAL,
                                    "evictionHard: signal \"%.*s\" is not supported, only memory.available, "
                                    "nodefs.available, nodefs.inodesFree, pid.available",
                                    (int)length, pair);
        struct threshold threshold = {0};
        if (!pair[length] || parse_threshold(pair + length + 1, &threshold) < 0)
                return cx_error_set(err, -EINVAL, "evictionHard: \"%s\" must be %s<quantity or a percentage below 100",
                                    pair, signals[i].name);
        *(struct threshold *)(void *)((char *)to + signals[i].offset) = threshold;
        return 0;
}

int reserved_parse(const struct cx_strings *for_system, const struct cx_strings *for_kube,
                   const struct cx_strings *eviction, struct node_reserved *ret_reserved, struct cx_error *err)
{
        struct node_reserved reserved = {.evicts = eviction->count};
        int r = 0;
        if (!eviction->count) {
                reserved.memory_available.amount = 100 << 20;
                reserved.disk_available.share = 0.10;
                reserved.inodes_free.share = 0.05;
                reserved.pids_available.amount = 500;
        }
        for (size_t i = 0; i < for_system->count && r == 0; i++)
                r = add_reservation("systemReserved", for_system->items[i], &reserved, err);
        for (size_t i = 0; i < for_kube->count && r == 0; i++)
                r = add_reservation("kubeReserved", for_kube->items[i], &reserved, err);
        for (size_t i = 0; i < eviction->count && r == 0; i++)
                r = add_threshold(eviction->items[i], &reserved, err);
        if (r == 0)
                *ret_reserved = reserved;
        return r;
}

int64_t threshold_of(const struct threshold *threshold, int64_t capacity)
{
        return threshold->share > 0 ? (int64_t)((double)capacity * threshold->share) : threshold->amount;
}

static int64_t leave(int64_t capacity, int64_t taken)
{
        return taken < capacity ? capacity - taken : 0;
}

int64_t reserved_leave_memory(const struct node_reserved *r, int64_t capacity)
{
        return leave(capacity, r->memory + (r->evicts ? threshold_of(&r->memory_available, capacity) : 0));
}

int64_t reserved_leave_storage(const struct node_reserved *r, int64_t capacity)
{
        return leave(capacity, r->storage + (r->evicts ? threshold_of(&r->disk_available, capacity) : 0));
}

int64_t reserved_leave_cpu(const struct node_reserved *r, int64_t milli)
{
        return leave(milli, r->milli_cpu);
}
