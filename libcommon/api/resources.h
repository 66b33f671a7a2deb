// SPDX-License-Identifier: Apache-2.0
// Lists of resources (v1.ResourceList) as exact numbers, what a pod as a whole requests and is limited to, and its quality
// of service. The arithmetic is upstream's (component-helpers/resource; KEP-753 sidecars, KEP-2837 pod level).
// Any thread may call.
#pragma once

#include "libcommon/api/quantity.h"

#include <stdbool.h>
#include <stddef.h>

struct cx_resource_amount {
        char *name;
        struct cx_quantity amount;
};
struct cx_resource_list { // in the order in which the names were first added
        struct cx_resource_amount *items;
        size_t count;
};
#define CX_RESOURCE_LIST CX_CLEANUP(cx_resource_list_release) struct cx_resource_list
void cx_resource_list_release(struct cx_resource_list *list);

// Adds the amounts of a JSON map of quantities (NULL: none). What is not a quantity counts as nothing.
void cx_resource_list_add_json(struct cx_resource_list *to, const json_t *map);
void cx_resource_list_add(struct cx_resource_list *to, const struct cx_resource_list *other);
// Of each resource the larger amount of the two.
void cx_resource_list_raise(struct cx_resource_list *to, const struct cx_resource_list *other);
// NULL when the list does not name it.
const struct cx_quantity *cx_resource_list_get(const struct cx_resource_list *list, const char *name);
// As schedulers and kubelets count: cpu in thousandths, all else in whole units, both rounded up; 0 when absent.
int64_t cx_resource_list_units(const struct cx_resource_list *list, const char *name);
int64_t cx_resource_units(const char *name, const struct cx_quantity *amount);

// What a container asks for that does not say so, in scoring.
#define CX_DEFAULT_MILLI_CPU 100
#define CX_DEFAULT_MEMORY (INT64_C(200) * 1024 * 1024)

struct cx_pod_resources_options {
        bool limits;           // its limits, not its requests
        bool without_overhead; // of the runtime class
        bool nonzero;          // containers without a request of cpu or memory count with the defaults above
        // The pod's status; may be NULL. What its containers hold while they are resized counts where it is more, and alone
        // when what is asked for can never be had. For requests.
        const json_t *status;
};
// The sum over containers and sidecars, or what initialization needs at its peak, whichever is more; the pod's own figures
// go before; then the overhead. Adds to an empty list. `options` NULL: requests, everything counted.
void cx_pod_resources(const json_t *spec, const struct cx_pod_resources_options *options,
                      struct cx_resource_list *ret_list);

// "Guaranteed", "Burstable" or "BestEffort", from the spec.
const char *cx_pod_qos(const json_t *spec);
