// SPDX-License-Identifier: Apache-2.0
// What several plugins make of a pod's rules: selectors of other pods, and a node as node affinity sees it.
#pragma once

#include "libcommon/api/node_affinity.h"
#include "scheduler/core/cycle.h"

// From a metav1.LabelSelector; one that cannot be read selects nothing.
void terms_parse_selector(const json_t *label_selector, struct cx_selector *ret_selector);
// Adds the pod's own values of the label keys in the array `keys`. The API server does the same for what it stores, and
// doing it twice changes nothing.
void terms_add_label_keys(const json_t *keys, const json_t *pod_labels, enum cx_operator op, struct cx_selector *to);

struct cx_node_facts terms_node_facts(const struct node *node);
