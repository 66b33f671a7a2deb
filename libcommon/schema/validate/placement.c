// SPDX-License-Identifier: Apache-2.0
// Where pods and volumes may be: selectors of nodes, affinity between pods, how pods are spread, topologies of storage.
#include "libcommon/api/names.h"
#include "libcommon/schema/validate/validate.h"

#define MAX_WEIGHT 100

static bool is_operator(const json_t *requirement, const char *one, const char *other)
{
        const char *op = cx_json_string_or(requirement, "operator", "");
        return strcmp(op, one) == 0 || strcmp(op, other) == 0;
}

static void check_node_expression(struct cx_validator *v, const json_t *requirement)
{
        size_t values = cx_json_count(requirement, "values");
        cx_check_text(v, requirement, "key", cx_check_qualified_name);
        if (is_operator(requirement, "In", "NotIn") && values == 0)
                cx_required(v, "values", "must be specified when `operator` is 'In' or 'NotIn'");
        else if (is_operator(requirement, "Exists", "DoesNotExist") && values > 0)
                cx_forbidden(v, "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        else if (is_operator(requirement, "Gt", "Lt") && values != 1)
                cx_required(v, "values", "must be specified single value when `operator` is 'Lt' or 'Gt'");
}

// The one field that nodes are selected by is their name.
static void check_node_field(struct cx_validator *v, const json_t *requirement)
{
        const char *key = cx_json_string_or(requirement, "key", "");
        const json_t *values = json_object_get(requirement, "values");
        if (!is_operator(requirement, "In", "NotIn"))
                cx_invalid(v, "operator", json_object_get(requirement, "operator"), "not a valid selector operator");
        else if (json_array_size(values) != 1)
                cx_required(v, "values",
                            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        if (strcmp(key, "metadata.name") == 0)
                cx_check_texts(v, requirement, "values", cx_check_dns1123_subdomain);
        else
                cx_invalid_text(v, "key", key, "not a valid field selector key");
}

static void check_node_term(struct cx_validator *v, const json_t *term)
{
        static const struct {
                const char *list;
                cx_check_fn *check;
        } lists[] = {{"matchExpressions", check_node_expression}, {"matchFields", check_node_field}};
        for (size_t k = 0; k < CX_ARRAY_SIZE(lists); k++) {
                size_t i;
                const json_t *requirement;
                json_array_foreach (json_object_get(term, lists[k].list), i, requirement) {
                        size_t length = cx_enter(v, ".%s[%zu]", lists[k].list, i);
                        lists[k].check(v, requirement);
                        cx_leave(v, length);
                }
        }
}

// What nodes must have is compared with labels, so it must be able to be one; preferences may be of any text.
static void check_node_selector(struct cx_validator *v, const json_t *selector)
{
        size_t i, j;
        const json_t *term, *requirement;
        const json_t *terms = json_object_get(selector, "nodeSelectorTerms");
        if (!json_array_size(terms))
                cx_required(v, "nodeSelectorTerms", "must have at least one node selector term");
        json_array_foreach (terms, i, term)
                json_array_foreach (json_object_get(term, "matchExpressions"), j, requirement) {
                        size_t length = cx_enter(v, ".nodeSelectorTerms[%zu].matchExpressions[%zu]", i, j);
                        cx_check_texts(v, requirement, "values", cx_check_label_value);
                        cx_leave(v, length);
                }
}

static void check_volume_affinity(struct cx_validator *v, const json_t *affinity)
{
        if (!json_object_get(affinity, "required"))
                cx_required(v, "required", "must specify required node constraints");
}

static void check_weight(struct cx_validator *v, const json_t *preference)
{
        int64_t weight = cx_json_int(preference, "weight", 0);
        json_auto_t *value = json_integer(weight);
        if (weight < 1 || weight > MAX_WEIGHT)
                cx_invalid(v, "weight", value, "must be in the range 1-100");
}

static bool selects_by(const json_t *selector, const char *key)
{
        return json_object_get(json_object_get(selector, "matchLabels"), key) ||
               cx_json_find(json_object_get(selector, "matchExpressions"), "key", key);
}

// Keys whose values the pod itself has are added to the selector of labels.
static void check_label_keys(struct cx_validator *v, const json_t *object, const char *list, bool may_be_selected)
{
        const json_t *selector = json_object_get(object, "labelSelector"), *keys = json_object_get(object, list);
        size_t i;
        const json_t *item;
        if (json_array_size(keys) && !selector)
                cx_forbidden(v, list, "must not be specified when labelSelector is not set");
        cx_check_texts(v, object, list, cx_check_qualified_name);
        json_array_foreach (keys, i, item) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s[%zu]", list, i);
                if (!may_be_selected && selects_by(selector, cx_str(json_string_value(item))))
                        cx_invalid(v, field, item, "exists in both matchLabelKeys and labelSelector");
        }
}

static void check_topology_key(struct cx_validator *v, const json_t *object)
{
        if (!*cx_json_string_or(object, "topologyKey", ""))
                cx_required(v, "topologyKey", "can not be empty");
        cx_check_text(v, object, "topologyKey", cx_check_qualified_name);
}

static void check_pod_term(struct cx_validator *v, const json_t *term)
{
        size_t i, j;
        const json_t *key, *other;
        check_topology_key(v, term);
        cx_check_texts(v, term, "namespaces", cx_check_dns1123_label);
        check_label_keys(v, term, "matchLabelKeys", false);
        check_label_keys(v, term, "mismatchLabelKeys", true);
        json_array_foreach (json_object_get(term, "matchLabelKeys"), i, key)
                json_array_foreach (json_object_get(term, "mismatchLabelKeys"), j, other) {
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("matchLabelKeys[%zu]", i);
                        if (json_equal(key, other))
                                cx_invalid(v, field, key, "exists in both matchLabelKeys and mismatchLabelKeys");
                }
}

static void check_spread(struct cx_validator *v, const json_t *constraint)
{
        int64_t skew = cx_json_int(constraint, "maxSkew", 0);
        json_auto_t *value = json_integer(skew);
        const json_t *domains = json_object_get(constraint, "minDomains");
        const char *action = cx_json_string_or(constraint, "whenUnsatisfiable", "");
        if (skew < 1)
                cx_invalid(v, "maxSkew", value, "must be greater than zero");
        check_topology_key(v, constraint);
        if (domains && json_integer_value(domains) < 1)
                cx_invalid(v, "minDomains", domains, "must be greater than zero");
        if (domains && strcmp(action, "DoNotSchedule") != 0) {
                CX_CLEANUP(cx_freep)
                char *detail = cx_sprintf("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s", action);
                cx_invalid(v, "minDomains", domains, detail);
        }
        check_label_keys(v, constraint, "matchLabelKeys", false);
}

static void check_topology(struct cx_validator *v, const json_t *requirement)
{
        const json_t *values = json_object_get(requirement, "values");
        json_auto_t *seen = json_object();
        size_t i;
        const json_t *value;
        cx_check_text(v, requirement, "key", cx_check_qualified_name);
        if (!json_array_size(values))
                cx_required(v, "values", NULL);
        json_array_foreach (values, i, value) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("values[%zu]", i);
                const char *text = cx_str(json_string_value(value));
                if (json_object_get(seen, text))
                        cx_duplicate(v, field, value);
                json_object_set_new(seen, text, json_true());
        }
}

const struct cx_check cx_checks_placement[] = {
        {"core.v1.NodeSelector", check_node_selector},
        {"core.v1.NodeSelectorTerm", check_node_term},
        {"core.v1.VolumeNodeAffinity", check_volume_affinity},
        {"core.v1.PreferredSchedulingTerm", check_weight},
        {"core.v1.WeightedPodAffinityTerm", check_weight},
        {"core.v1.PodAffinityTerm", check_pod_term},
        {"core.v1.TopologySpreadConstraint", check_spread},
        {"core.v1.TopologySelectorLabelRequirement", check_topology},
        {NULL, NULL},
};
