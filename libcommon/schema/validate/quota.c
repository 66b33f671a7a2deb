// SPDX-License-Identifier: Apache-2.0
// ResourceQuotas and LimitRanges: names of resources, amounts, scopes, and bounds that contradict each other.
#include "libcommon/api/quota.h"
#include "libcommon/api/names.h"
#include "libcommon/schema/validate/validate.h"

// --- ResourceQuota ---------------------------------------------------------------------------------------------------

// A name without a domain that quotas know.
static bool is_standard(const char *name)
{
        struct cx_quota_kind kind;
        return !strchr(name, '/') && cx_quota_kind_of(name, &kind);
}

static bool is_in(const char *name, const char *list)
{
        CX_CLEANUP(cx_freep) char *word = cx_sprintf(" %s ", name);
        return strstr(list, word);
}

// Counts of objects and resources with a domain of their own come in whole units.
static bool is_counted(const char *name)
{
        return is_in(name, " pods services replicationcontrollers resourcequotas secrets configmaps "
                           "persistentvolumeclaims services.nodeports services.loadbalancers ") ||
               (strchr(name, '/') && !strstr(name, "kubernetes.io/") && !cx_has_prefix(name, "requests."));
}

// A map of amounts: "hard", "used".
static void check_amounts(struct cx_validator *v, const json_t *object, const char *field)
{
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)json_object_get(object, field), name, value) {
                struct cx_quantity quantity;
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s[%s]", field, name);
                const char *wrong = cx_check_qualified_name(name);
                if (wrong)
                        cx_invalid_text(v, path, name, wrong);
                else if (!strchr(name, '/') && !is_standard(name))
                        cx_invalid_text(v, path, name, "must be a standard resource for quota");
                if (cx_quantity_from_json(value, &quantity) < 0)
                        continue;
                if (quantity.nano < 0)
                        cx_invalid(v, path, value, "must be greater than or equal to 0");
                if (is_counted(name) && !cx_quantity_is_whole(&quantity))
                        cx_invalid(v, path, value, "must be an integer");
        }
}

#define PODS " pods "
#define COMPUTE PODS "cpu memory limits.cpu limits.memory requests.cpu requests.memory "
static const struct scope_rule {
        const char *name, *resources; // those of the standard ones that it may be combined with
        bool only_exists;
} scopes[] = {
        {"Terminating", COMPUTE, true},
        {"NotTerminating", COMPUTE, true},
        {"BestEffort", PODS, true},
        {"NotBestEffort", COMPUTE, true},
        {"PriorityClass", COMPUTE, false},
        {"CrossNamespacePodAffinity", COMPUTE, true},
        {"VolumeAttributesClass", " persistentvolumeclaims requests.storage ", false},
};

static const struct scope_rule *find_scope(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(scopes); i++)
                if (strcmp(scopes[i].name, name) == 0)
                        return &scopes[i];
        return NULL;
}

// `field` is where `name` was found, `name_field` where the name itself is; `whole` is what the field holds.
static void check_scope(struct cx_validator *v, const json_t *spec, const char *name, const char *field,
                        const char *name_field, const json_t *whole)
{
        const struct scope_rule *scope = find_scope(name);
        const char *resource;
        json_t *value;
        if (!scope && strcmp(field, name_field) == 0)
                cx_invalid(v, field, whole, "unsupported scope");
        else if (!scope)
                cx_invalid_text(v, name_field, name, "unsupported scope");
        json_object_foreach ((json_t *)json_object_get(spec, "hard"), resource, value)
                if (scope && is_standard(resource) && !is_in(resource, scope->resources))
                        cx_invalid(v, field, whole, "unsupported scope applied to resource");
}

static void check_pairs(struct cx_validator *v, const struct cx_strings *names, const char *field, const json_t *whole)
{
        if ((cx_strings_has(names, "BestEffort") && cx_strings_has(names, "NotBestEffort")) ||
            (cx_strings_has(names, "Terminating") && cx_strings_has(names, "NotTerminating")))
                cx_invalid(v, field, whole, "conflicting scopes");
}

#define EXPRESSIONS "scopeSelector.matchExpressions"
static void check_expression(struct cx_validator *v, const json_t *expression)
{
        const struct scope_rule *scope = find_scope(cx_json_string_or(expression, "scopeName", ""));
        const char *operator= cx_json_string_or(expression, "operator", "");
        bool of_values = is_in(operator, " In NotIn ");
        const json_t *values = json_object_get(expression, "values");
        if (scope && scope->only_exists && strcmp(operator, "Exists") != 0)
                cx_invalid_text(v, EXPRESSIONS ".operator", operator,
                                "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                                "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
        if (of_values && !json_array_size(values))
                cx_required(v, EXPRESSIONS ".values",
                            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
        if (!of_values && json_array_size(values))
                cx_invalid(v, EXPRESSIONS ".values", values,
                           "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
}

static void check_quota(struct cx_validator *v, const json_t *spec)
{
        const json_t *list = json_object_get(spec, "scopes"), *selector = json_object_get(spec, "scopeSelector"), *item;
        CX_STRINGS names = CX_STRINGS_INIT, selected = CX_STRINGS_INIT;
        size_t i;
        check_amounts(v, spec, "hard");
        json_array_foreach (list, i, item) {
                const char *name = cx_str(json_string_value(item));
                check_scope(v, spec, name, "scopes", "scopes", list);
                cx_strings_add(&names, name);
        }
        check_pairs(v, &names, "scopes", list);
        json_array_foreach (json_object_get(selector, "matchExpressions"), i, item) {
                const char *name = cx_json_string_or(item, "scopeName", "");
                check_scope(v, spec, name, EXPRESSIONS, EXPRESSIONS ".scopeName", selector);
                check_expression(v, item);
                cx_strings_add(&selected, name);
        }
        check_pairs(v, &selected, EXPRESSIONS, selector);
}

static void check_quota_status(struct cx_validator *v, const json_t *status)
{
        check_amounts(v, status, "hard");
        check_amounts(v, status, "used");
}

// --- LimitRange ------------------------------------------------------------------------------------------------------

static const char *const maps[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"};
enum { MAX, MIN, DEFAULT, DEFAULT_REQUEST, RATIO, MAPS };

static void check_resource_name(struct cx_validator *v, const char *field, const char *name, bool of_containers)
{
        bool container =
                strchr(name, '/') || is_in(name, " cpu memory ephemeral-storage ") || cx_has_prefix(name, "hugepages-");
        const char *wrong = cx_check_qualified_name(name);
        if (wrong)
                cx_invalid_text(v, field, name, wrong);
        else if (!strchr(name, '/') && !is_standard(name) && strcmp(name, "storage") != 0)
                cx_invalid_text(v, field, name, "must be a standard resource type or fully qualified");
        if (!wrong && of_containers && !container)
                cx_invalid_text(v, field, name, "must be a standard resource for containers");
}

// What the maps of an item say of one resource.
struct bounds {
        const char *name;
        struct cx_quantity amounts[MAPS];
        const json_t *values[MAPS]; // NULL: nothing
};

// Of the first map no more than of the second.
static const struct {
        int small, large, told; // told: where it is reported
        const char *words;      // what both are called
} orders[] = {
        {MIN, MAX, MIN, "min value %s is greater than max value %s"},
        {MIN, DEFAULT_REQUEST, DEFAULT_REQUEST, "min value %s is greater than default request value %s"},
        {DEFAULT_REQUEST, MAX, DEFAULT_REQUEST, "default request value %s is greater than max value %s"},
        {DEFAULT_REQUEST, DEFAULT, DEFAULT_REQUEST, "default request value %s is greater than default limit value %s"},
        {MIN, DEFAULT, DEFAULT, "min value %s is greater than default value %s"},
        {DEFAULT, MAX, DEFAULT, "default value %s is greater than max value %s"},
};

static void tell(struct cx_validator *v, const struct bounds *bounds, int map, const char *detail)
{
        CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s[%s]", maps[map], bounds->name);
        cx_invalid(v, field, bounds->values[map], detail);
}

static void check_orders(struct cx_validator *v, const struct bounds *bounds)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(orders); i++) {
                const struct cx_quantity *small = &bounds->amounts[orders[i].small];
                const struct cx_quantity *large = &bounds->amounts[orders[i].large];
                char texts[2][CX_QUANTITY_TEXT], detail[256];
                if (!bounds->values[orders[i].small] || !bounds->values[orders[i].large] ||
                    cx_quantity_compare(small, large) <= 0)
                        continue;
                cx_quantity_format(small, texts[0]);
                cx_quantity_format(large, texts[1]);
                (void)snprintf(detail, sizeof detail, orders[i].words, texts[0], texts[1]);
                tell(v, bounds, orders[i].told, detail);
        }
}

static void check_ratio(struct cx_validator *v, const struct bounds *bounds)
{
        const struct cx_quantity *ratio = &bounds->amounts[RATIO], *min = &bounds->amounts[MIN];
        char text[CX_QUANTITY_TEXT];
        if (!bounds->values[RATIO])
                return;
        cx_quantity_format(ratio, text);
        CX_CLEANUP(cx_freep) char *detail = NULL;
        double most = min->nano ? (double)bounds->amounts[MAX].nano / (double)min->nano : 0;
        if (ratio->nano < 1000000000)
                detail = cx_sprintf("ratio %s is less than 1", text);
        else if (bounds->values[MAX] && bounds->values[MIN] && min->nano && (double)ratio->nano / 1e9 > most)
                detail = cx_sprintf("ratio %s is greater than max/min = %f", text, most);
        if (detail)
                tell(v, bounds, RATIO, detail);
}

// Resources that nobody can share are given as they are asked for.
static void check_equal_defaults(struct cx_validator *v, const struct bounds *bounds)
{
        const struct cx_quantity *limit = &bounds->amounts[DEFAULT], *request = &bounds->amounts[DEFAULT_REQUEST];
        bool shared = !strchr(bounds->name, '/') || strstr(bounds->name, "kubernetes.io/");
        char texts[2][CX_QUANTITY_TEXT];
        if ((shared && !cx_has_prefix(bounds->name, "hugepages-")) || !bounds->values[DEFAULT] ||
            !bounds->values[DEFAULT_REQUEST] || cx_quantity_compare(limit, request) == 0)
                return;
        cx_quantity_format(limit, texts[0]);
        cx_quantity_format(request, texts[1]);
        CX_CLEANUP(cx_freep)
        char *detail = cx_sprintf("default value %s must equal to defaultRequest value %s in %s", texts[0], texts[1],
                                  bounds->name);
        tell(v, bounds, DEFAULT_REQUEST, detail);
}

static void check_resource(struct cx_validator *v, const json_t *item, const char *name)
{
        struct bounds bounds = {.name = name};
        bool is_pod = cx_streq(cx_json_string(item, "type"), "Pod");
        for (int i = 0; i < MAPS; i++) {
                const json_t *value = json_object_get(json_object_get(item, maps[i]), name);
                bool counts = !is_pod || (i != DEFAULT && i != DEFAULT_REQUEST);
                if (counts && value && cx_quantity_from_json(value, &bounds.amounts[i]) == 0)
                        bounds.values[i] = value;
        }
        check_orders(v, &bounds);
        check_ratio(v, &bounds);
        check_equal_defaults(v, &bounds);
}

static void check_limit_type(struct cx_validator *v, const char *type)
{
        const char *wrong = *type ? cx_check_qualified_name(type) : NULL;
        if (!wrong && *type && !strchr(type, '/') && !is_in(type, " Pod Container PersistentVolumeClaim "))
                wrong = "must be a standard limit type or fully qualified";
        if (wrong)
                cx_invalid_text(v, "type", type, wrong);
}

static void check_limit_item(struct cx_validator *v, const json_t *item)
{
        const char *type = cx_json_string_or(item, "type", "");
        bool is_pod = strcmp(type, "Pod") == 0;
        json_auto_t *seen = json_object();
        const char *name;
        json_t *value;
        check_limit_type(v, type);
        for (int i = 0; i < MAPS; i++) {
                const json_t *map = json_object_get(item, maps[i]);
                if (is_pod && (i == DEFAULT || i == DEFAULT_REQUEST)) {
                        if (json_object_size(map))
                                cx_forbidden(v, maps[i], "may not be specified when `type` is 'Pod'");
                        continue;
                }
                json_object_foreach ((json_t *)map, name, value) {
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s[%s]", maps[i], name);
                        check_resource_name(v, field, name, is_pod || strcmp(type, "Container") == 0);
                        json_object_set_new(seen, name, json_true());
                }
        }
        if (strcmp(type, "PersistentVolumeClaim") == 0 && !cx_json_get(item, "min.storage") &&
            !cx_json_get(item, "max.storage"))
                cx_required(v, "limits",
                            "either minimum or maximum storage value is required, but neither was provided");
        json_object_foreach (seen, name, value)
                check_resource(v, item, name);
}

static void check_limits(struct cx_validator *v, const json_t *spec)
{
        CX_STRINGS types = CX_STRINGS_INIT;
        size_t i;
        const json_t *item;
        json_array_foreach (json_object_get(spec, "limits"), i, item) {
                const char *type = cx_json_string_or(item, "type", "");
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("limits[%zu].type", i);
                if (cx_strings_has(&types, type))
                        cx_duplicate(v, field, json_object_get(item, "type"));
                cx_strings_add(&types, type);
        }
}

const struct cx_check cx_checks_quota[] = {
        {"core.v1.ResourceQuotaSpec", check_quota},
        {"core.v1.ResourceQuotaStatus", check_quota_status},
        {"core.v1.LimitRangeSpec", check_limits},
        {"core.v1.LimitRangeItem", check_limit_item},
        {NULL, NULL},
};
