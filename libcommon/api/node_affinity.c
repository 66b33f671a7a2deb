// SPDX-License-Identifier: Apache-2.0
// Node selectors: terms of requirements over a node's labels (with Gt and Lt) and its name.
#include "libcommon/api/node_affinity.h"

#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"

#include <string.h>

static bool operator_of(const char *text, enum cx_operator *ret_operator)
{
        static const struct {
                const char *text;
                enum cx_operator op;
        } names[] = {{"In", CX_OP_IN},         {"NotIn", CX_OP_NOT_IN},
                     {"Exists", CX_OP_EXISTS}, {"DoesNotExist", CX_OP_NOT_EXISTS},
                     {"Gt", CX_OP_GT},         {"Lt", CX_OP_LT}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                if (cx_streq(text, names[i].text)) {
                        *ret_operator = names[i].op;
                        return true;
                }
        return false;
}

static void add_expression(struct cx_selector *to, const json_t *from, enum cx_operator op)
{
        const json_t *values = json_object_get(from, "values");
        const char *key = cx_json_string_or(from, "key", "");
        struct cx_requirement *requirement = cx_selector_add(to, key, strlen(key), op);
        for (size_t i = 0; i < json_array_size(values); i++) {
                const char *value = cx_str(json_string_value(json_array_get(values, i)));
                cx_requirement_add_value(requirement, value, strlen(value));
        }
}

static void parse_expressions(const json_t *list, struct cx_selector *to)
{
        size_t i;
        json_t *from;
        json_array_foreach (list, i, from) {
                enum cx_operator op;
                if (operator_of(cx_json_string(from, "operator"), &op))
                        add_expression(to, from, op);
                else
                        to->nothing = true;
        }
}

static bool is_empty(const struct cx_node_term *term)
{
        return !term->labels.count && !term->fields.count && !term->labels.nothing && !term->fields.nothing;
}

static struct cx_node_term *add_empty_term(struct cx_node_terms *to)
{
        to->items = cx_realloc_array(to->items, to->count + 1, sizeof *to->items);
        struct cx_node_term *term = &to->items[to->count++];
        *term = (struct cx_node_term){0};
        return term;
}

static struct cx_node_term *add_term(struct cx_node_terms *to, const json_t *from)
{
        struct cx_node_term *term = add_empty_term(to);
        parse_expressions(json_object_get(from, "matchExpressions"), &term->labels);
        parse_expressions(json_object_get(from, "matchFields"), &term->fields);
        return term;
}

void cx_node_terms_parse(const json_t *node_selector, struct cx_node_terms *ret_terms)
{
        size_t i;
        json_t *from;
        *ret_terms = (struct cx_node_terms){0};
        json_array_foreach (json_object_get(node_selector, "nodeSelectorTerms"), i, from) {
                struct cx_node_term *term = add_term(ret_terms, from);
                if (is_empty(term))
                        term->labels.nothing = true;
        }
}

void cx_topology_terms_parse(const json_t *list, struct cx_node_terms *ret_terms)
{
        size_t i, j;
        json_t *from, *expression;
        *ret_terms = (struct cx_node_terms){0};
        json_array_foreach (list, i, from) {
                struct cx_node_term *term = add_empty_term(ret_terms);
                json_array_foreach (json_object_get(from, "matchLabelExpressions"), j, expression)
                        add_expression(&term->labels, expression, CX_OP_IN);
                if (is_empty(term))
                        term->labels.nothing = true;
        }
}

void cx_node_terms_release(struct cx_node_terms *terms)
{
        for (size_t i = 0; i < terms->count; i++) {
                cx_selector_release(&terms->items[i].labels);
                cx_selector_release(&terms->items[i].fields);
        }
        free(terms->items);
        *terms = (struct cx_node_terms){0};
}

void cx_node_affinity_parse(const json_t *pod_spec, struct cx_node_affinity *ret_affinity)
{
        *ret_affinity = (struct cx_node_affinity){0};
        const json_t *selector = json_object_get(pod_spec, "nodeSelector");
        if (json_object_size(selector)) // an empty one holds for every node
                cx_selector_from_map(selector, &ret_affinity->selector);
        const json_t *affinity = cx_json_get(pod_spec, "affinity.nodeAffinity");
        const json_t *required = json_object_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
        ret_affinity->has_required = json_is_object(required);
        cx_node_terms_parse(required, &ret_affinity->required);
        size_t i;
        json_t *from;
        // Unlike a required term, an empty preference holds for every node.
        json_array_foreach (json_object_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"), i, from)
                add_term(&ret_affinity->preferred, json_object_get(from, "preference"))->weight =
                        cx_json_int(from, "weight", 0);
}

void cx_node_affinity_release(struct cx_node_affinity *affinity)
{
        cx_selector_release(&affinity->selector);
        cx_node_terms_release(&affinity->required);
        cx_node_terms_release(&affinity->preferred);
        *affinity = (struct cx_node_affinity){0};
}

static const char *field_of(void *facts, const char *key)
{
        return strcmp(key, "metadata.name") == 0 ? ((const struct cx_node_facts *)facts)->name : NULL;
}

bool cx_node_term_matches(const struct cx_node_term *term, const struct cx_node_facts *facts)
{
        return cx_selector_matches_with(&term->labels, facts->label, facts->node) &&
               cx_selector_matches_with(&term->fields, field_of, (void *)facts);
}

bool cx_node_terms_match(const struct cx_node_terms *terms, const struct cx_node_facts *facts)
{
        for (size_t i = 0; i < terms->count; i++)
                if (cx_node_term_matches(&terms->items[i], facts))
                        return true;
        return false;
}

bool cx_node_affinity_matches(const struct cx_node_affinity *affinity, const struct cx_node_facts *facts)
{
        return cx_selector_matches_with(&affinity->selector, facts->label, facts->node) &&
               (!affinity->has_required || cx_node_terms_match(&affinity->required, facts));
}

static const char *label_of(void *labels, const char *key)
{
        return json_string_value(json_object_get(labels, key));
}

struct cx_node_facts cx_node_facts_of(const json_t *node)
{
        return (struct cx_node_facts){.name = cx_json_string_or(node, "metadata.name", ""),
                                      .label = label_of,
                                      .node = cx_json_get(node, "metadata.labels")};
}
