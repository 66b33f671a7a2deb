// SPDX-License-Identifier: Apache-2.0
// The parts of a pod's spec that choose among nodes by labels: nodeSelector, affinity and spreading.
#include "scheduler/template.h"

#include "libcommon/base/log.h"
#include "libcommon/format/json.h"

#define MAX_NUMBER 1000000

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

static void add_requirement(struct cx_selector *to, const char *key, enum cx_operator op, const char *const *values,
                            size_t n_values)
{
        to->requirements = cx_realloc_array(to->requirements, to->count + 1, sizeof *to->requirements);
        struct cx_requirement *requirement = &to->requirements[to->count++];
        *requirement = (struct cx_requirement){
                .key = cx_strdup(key), .op = op, .values = cx_alloc_array(n_values + 1, sizeof(char *))};
        for (size_t i = 0; i < n_values; i++)
                requirement->values[requirement->n_values++] = cx_strdup(cx_str(values[i]));
}

// A requirement that cannot be read makes the term match nothing.
static void parse_expressions(const json_t *list, struct cx_selector *to)
{
        size_t i;
        json_t *from;
        json_array_foreach (list, i, from) {
                enum cx_operator op;
                const json_t *values = json_object_get(from, "values");
                const char **texts = cx_alloc_array(json_array_size(values) + 1, sizeof *texts);
                for (size_t j = 0; j < json_array_size(values); j++)
                        texts[j] = json_string_value(json_array_get(values, j));
                if (operator_of(cx_json_string(from, "operator"), &op))
                        add_requirement(to, cx_json_string_or(from, "key", ""), op, texts, json_array_size(values));
                else
                        to->nothing = true;
                free(texts);
        }
}

static void parse_node_term(const json_t *from, struct node_term *to)
{
        parse_expressions(json_object_get(from, "matchExpressions"), &to->labels);
        parse_expressions(json_object_get(from, "matchFields"), &to->fields);
        if (!to->labels.count && !to->fields.count)
                to->labels.nothing = true;
}

static void parse_node_affinity(const json_t *affinity, struct template *to)
{
        size_t i;
        json_t *from;
        const json_t *required = json_object_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
        to->has_node_terms = json_is_object(required);
        json_array_foreach (json_object_get(required, "nodeSelectorTerms"), i, from)
                parse_node_term(from, LIST_ADD(&to->node_terms));
        json_array_foreach (json_object_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"), i, from) {
                const json_t *preference = json_object_get(from, "preference");
                struct node_term *term = LIST_ADD(&to->preferred_nodes);
                parse_node_term(preference, term);
                // Unlike in a required term, an empty preference holds for every node.
                if (!term->labels.count && !term->fields.count)
                        term->labels.nothing = false;
                term->weight = cx_json_int(from, "weight", 0);
        }
}

static void parse_selector(const json_t *from, struct cx_selector *to)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_selector_from_json(from, to, &err) < 0)
                *to = (struct cx_selector){.nothing = true};
}

// The pod's own values of these keys become part of the selector. The API server does the same for what it stores, and
// doing it twice changes nothing.
static void add_label_keys(const json_t *keys, const struct template *pod, enum cx_operator op, struct cx_selector *to)
{
        size_t i;
        json_t *key;
        json_array_foreach (keys, i, key) {
                const char *name = cx_str(json_string_value(key)), *value = template_label(pod, name);
                if (value && !to->nothing)
                        add_requirement(to, name, op, &value, 1);
        }
}

static void parse_pod_term(const json_t *from, const struct template *pod, struct pod_term *to)
{
        size_t i;
        json_t *name;
        to->topology = cx_strdup(cx_json_string_or(from, "topologyKey", ""));
        parse_selector(json_object_get(from, "labelSelector"), &to->selector);
        add_label_keys(json_object_get(from, "matchLabelKeys"), pod, CX_OP_IN, &to->selector);
        add_label_keys(json_object_get(from, "mismatchLabelKeys"), pod, CX_OP_NOT_IN, &to->selector);
        json_array_foreach (json_object_get(from, "namespaces"), i, name)
                cx_strings_add(&to->namespaces, cx_str(json_string_value(name)));
        const json_t *selector = json_object_get(from, "namespaceSelector");
        to->has_namespace_selector = json_is_object(selector);
        if (to->has_namespace_selector)
                parse_selector(selector, &to->namespace_selector);
        else if (!to->namespaces.count)
                cx_strings_add(&to->namespaces, pod->namespace);
}

static void parse_pod_affinity(const json_t *affinity, bool anti, struct template *to)
{
        size_t i;
        json_t *from;
        json_array_foreach (json_object_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"), i, from)
                parse_pod_term(from, to, anti ? LIST_ADD(&to->anti_affinity) : LIST_ADD(&to->affinity));
        json_array_foreach (json_object_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution"), i, from) {
                struct pod_term *term = LIST_ADD(&to->preferred_pods);
                parse_pod_term(json_object_get(from, "podAffinityTerm"), to, term);
                term->weight = cx_json_int(from, "weight", 0) * (anti ? -1 : 1);
        }
}

void parse_affinity(const json_t *spec, struct template *to)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)json_object_get(spec, "nodeSelector"), key, value) {
                const char *text = cx_str(json_string_value(value));
                add_requirement(&to->node_selector, key, CX_OP_IN, &text, 1);
        }
        parse_node_affinity(cx_json_get(spec, "affinity.nodeAffinity"), to);
        parse_pod_affinity(cx_json_get(spec, "affinity.podAffinity"), false, to);
        parse_pod_affinity(cx_json_get(spec, "affinity.podAntiAffinity"), true, to);
}

static int limited(const json_t *from, const char *field, int fallback)
{
        int64_t value = cx_json_int(from, field, fallback);
        return value < 0 ? fallback : value > MAX_NUMBER ? MAX_NUMBER : (int)value;
}

// What the system asks for on behalf of pods with a controller that do not ask for themselves.
static void add_default(struct template *to, const char *topology, int max_skew)
{
        struct spread_constraint *constraint = LIST_ADD(&to->spread);
        constraint->topology = cx_strdup(topology);
        constraint->max_skew = max_skew;
        constraint->by_owner = constraint->self_match = constraint->honor_affinity = true;
}

void parse_spread(const json_t *spec, struct template *to)
{
        size_t i;
        json_t *from;
        const json_t *list = json_object_get(spec, "topologySpreadConstraints");
        json_array_foreach (list, i, from) {
                struct spread_constraint *constraint = LIST_ADD(&to->spread);
                constraint->topology = cx_strdup(cx_json_string_or(from, "topologyKey", ""));
                constraint->max_skew = limited(from, "maxSkew", 1);
                constraint->min_domains = limited(from, "minDomains", 1);
                constraint->required = !cx_streq(cx_json_string(from, "whenUnsatisfiable"), "ScheduleAnyway");
                constraint->honor_affinity = !cx_streq(cx_json_string(from, "nodeAffinityPolicy"), "Ignore");
                constraint->honor_taints = cx_streq(cx_json_string(from, "nodeTaintsPolicy"), "Honor");
                parse_selector(json_object_get(from, "labelSelector"), &constraint->selector);
                add_label_keys(json_object_get(from, "matchLabelKeys"), to, CX_OP_IN, &constraint->selector);
                constraint->self_match = template_matches(to, &constraint->selector);
        }
        if (!to->spread.count && *to->owner_uid) {
                to->default_spread = true;
                add_default(to, "topology.kubernetes.io/zone", 5);
                add_default(to, "kubernetes.io/hostname", 3);
        }
}

static void release_pod_term(struct pod_term *term)
{
        free(term->topology);
        cx_selector_release(&term->selector);
        cx_selector_release(&term->namespace_selector);
        cx_strings_release(&term->namespaces);
}

#define RELEASE_LIST(list, release)                                                                                    \
        do {                                                                                                           \
                for (size_t at_ = 0; at_ < (list)->count; at_++)                                                       \
                        release(&(list)->items[at_]);                                                                  \
                free((list)->items);                                                                                   \
        } while (0)

static void release_node_term(struct node_term *term)
{
        cx_selector_release(&term->labels);
        cx_selector_release(&term->fields);
}

static void release_constraint(struct spread_constraint *constraint)
{
        free(constraint->topology);
        cx_selector_release(&constraint->selector);
}

void release_affinity(struct template *template)
{
        cx_selector_release(&template->node_selector);
        RELEASE_LIST(&template->node_terms, release_node_term);
        RELEASE_LIST(&template->preferred_nodes, release_node_term);
        RELEASE_LIST(&template->spread, release_constraint);
        RELEASE_LIST(&template->affinity, release_pod_term);
        RELEASE_LIST(&template->anti_affinity, release_pod_term);
        RELEASE_LIST(&template->preferred_pods, release_pod_term);
}
