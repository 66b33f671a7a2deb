// SPDX-License-Identifier: Apache-2.0
// The tables of `kubectl top`, from what the Metrics API says. Pure.
#pragma once

#include "libcommon/base/buf.h"

#include <jansson.h>
#include <stdbool.h>

struct top_options {
        const char *sort_by; // "", "cpu" or "memory"
        bool no_headers, with_namespace, containers, sum, swap;
        bool capacity; // percentages are of a node's capacity, not of what it has for pods
};
// `metrics` is an array of NodeMetrics, `nodes` of the nodes: those without metrics are shown as unknown.
void top_print_nodes(const struct top_options *options, const json_t *metrics, const json_t *nodes, struct cx_buf *to);
void top_print_pods(const struct top_options *options, const json_t *metrics, struct cx_buf *to); // of PodMetrics
