// SPDX-License-Identifier: Apache-2.0
// Parsing selectors, and the facts of a node.
#include "scheduler/plugins/terms.h"

#include "libcommon/format/json.h"

void terms_parse_selector(const json_t *from, struct cx_selector *to)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_selector_from_json(from, to, &err) < 0)
                *to = (struct cx_selector){.nothing = true};
}

void terms_add_label_keys(const json_t *keys, const json_t *pod_labels, enum cx_operator op, struct cx_selector *to)
{
        size_t i;
        json_t *key;
        json_array_foreach (keys, i, key) {
                const char *name = cx_str(json_string_value(key));
                const char *value = json_string_value(json_object_get(pod_labels, name));
                if (value && !to->nothing)
                        cx_requirement_add_value(cx_selector_add(to, name, strlen(name), op), value, strlen(value));
        }
}

static const char *label_of(void *node, const char *key)
{
        return node_label(node, key);
}

struct cx_node_facts terms_node_facts(const struct node *node)
{
        return (struct cx_node_facts){.name = node->name, .label = label_of, .node = (void *)node};
}
