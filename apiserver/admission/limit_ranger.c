// SPDX-License-Identifier: Apache-2.0
// LimitRanger: containers get the defaults of the namespace's LimitRanges, and what pods and claims ask for has to be
// within their bounds.
#include "apiserver/admission/plugin.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/resources.h"
#include "libcommon/format/json.h"

#define ANNOTATION "kubernetes.io/limit-ranger"

static void each_range(const struct admission_request *request, struct stored_list *ret_ranges)
{
        const struct filter filter = {.namespace = request->scope->namespace};
        cache_list(builtin(request->scope->api, "", "v1", "limitranges")->cache, &filter, ret_ranges);
}

static bool is_about_pods(const struct admission_request *request)
{
        return strcmp(request->scope->resource->resource, "pods") == 0;
}

// --- defaults --------------------------------------------------------------------------------------------------------

// The defaults of one LimitRange: limits and requests, the last item of a resource counts.
static json_t *defaults_of(const json_t *range)
{
        json_t *defaults = json_pack("{s:{}, s:{}}", "requests", "limits");
        size_t i;
        const json_t *item;
        json_array_foreach (cx_json_get(range, "spec.limits"), i, item) {
                if (!cx_streq(cx_json_string(item, "type"), "Container"))
                        continue;
                json_object_update(json_object_get(defaults, "requests"), json_object_get(item, "defaultRequest"));
                json_object_update(json_object_get(defaults, "limits"), json_object_get(item, "default"));
        }
        return defaults;
}

// Adds what is missing to a container's requests or limits, and says so: "cpu, memory request for container a".
static void complete(json_t *container, const char *what, const json_t *defaults, const char *who,
                     struct cx_strings *notes)
{
        CX_STRINGS set = CX_STRINGS_INIT;
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)json_object_get(defaults, what), name, value) {
                json_t *map = cx_json_object_at(cx_json_object_at(container, "resources"), what);
                if (json_object_get(map, name))
                        continue;
                json_object_set(map, name, value);
                cx_strings_add(&set, name);
        }
        if (!set.count)
                return;
        cx_strings_sort(&set);
        CX_CLEANUP(cx_freep) char *names = cx_strings_join(&set, ", ");
        CX_CLEANUP(cx_freep)
        char *note = cx_sprintf("%s %.*s for %s %s", names, (int)strlen(what) - 1, what, who,
                                cx_json_string_or(container, "name", ""));
        cx_strings_add(notes, note);
}

static void apply_defaults(json_t *pod, const json_t *range)
{
        json_auto_t *defaults = defaults_of(range);
        CX_STRINGS notes = CX_STRINGS_INIT;
        static const struct {
                enum cx_pod_list list;
                const char *who;
        } kinds[] = {{CX_POD_MAIN, "container"}, {CX_POD_INIT, "init container"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++)
                CX_POD_FOREACH(walk, json_object_get(pod, "spec"), kinds[i].list)
                {
                        complete(walk.container, "requests", defaults, kinds[i].who, &notes);
                        complete(walk.container, "limits", defaults, kinds[i].who, &notes);
                }
        if (!notes.count)
                return;
        CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&notes, "; ");
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("LimitRanger plugin set: %s", joined);
        json_t *metadata = cx_json_object_at(pod, "metadata");
        json_object_set_new(cx_json_object_at(metadata, "annotations"), ANNOTATION, json_string(text));
}

static int mutate(const struct admission_request *request, struct cx_error *err CX_UNUSED)
{
        STORED_LIST ranges = {0};
        if (is_about_pods(request) && request->operation == ADMIT_CREATE)
                each_range(request, &ranges);
        for (size_t i = 0; i < ranges.count; i++) {
                json_auto_t *range = stored_parse(ranges.items[i]);
                apply_defaults(request->object, range);
        }
        return 0;
}

// --- bounds ----------------------------------------------------------------------------------------------------------

// What is measured: a container, a pod as a whole, a claim.
struct limited {
        const char *type; // of the limits
        struct cx_resource_list requests, limits;
        bool only_requests;
};

static void limited_release(struct limited *limited)
{
        cx_resource_list_release(&limited->requests);
        cx_resource_list_release(&limited->limits);
}

// One rule about one resource.
struct rule {
        const struct limited *of;
        const char *name;
        struct cx_quantity bound;
        const struct cx_quantity *request, *limit; // NULL: not said
        char bound_text[CX_QUANTITY_TEXT];
};

// Several containers may break a rule in the same words.
static void tell(struct cx_strings *why, const char *sentence)
{
        if (!cx_strings_has(why, sentence))
                cx_strings_add(why, sentence);
}

static void add_sentence(struct cx_strings *why, const struct rule *rule, const char *most, const char *what,
                         const struct cx_quantity *amount)
{
        char text[CX_QUANTITY_TEXT];
        cx_quantity_format(amount, text);
        CX_CLEANUP(cx_freep)
        char *sentence = cx_sprintf("%s %s usage per %s is %s, but %s is %s", most, rule->name, rule->of->type,
                                    rule->bound_text, what, text);
        tell(why, sentence);
}

static void add_unsaid(struct cx_strings *why, const struct rule *rule, const char *most, const char *what)
{
        CX_CLEANUP(cx_freep)
        char *sentence = cx_sprintf("%s %s usage per %s is %s.  No %s is specified", most, rule->name, rule->of->type,
                                    rule->bound_text, what);
        tell(why, sentence);
}

static void check_min(const struct rule *rule, struct cx_strings *why)
{
        if (!rule->request)
                add_unsaid(why, rule, "minimum", "request");
        else if (cx_quantity_compare(rule->request, &rule->bound) < 0)
                add_sentence(why, rule, "minimum", "request", rule->request);
        else if (rule->limit && cx_quantity_compare(rule->limit, &rule->bound) < 0)
                add_sentence(why, rule, "minimum", "limit", rule->limit);
}

static void check_max(const struct rule *rule, struct cx_strings *why)
{
        bool only_requests = rule->of->only_requests;
        if (only_requests ? !rule->request : !rule->limit)
                add_unsaid(why, rule, "maximum", only_requests ? "request" : "limit");
        else if (rule->limit && cx_quantity_compare(rule->limit, &rule->bound) > 0)
                add_sentence(why, rule, "maximum", "limit", rule->limit);
        else if (rule->request && cx_quantity_compare(rule->request, &rule->bound) > 0)
                add_sentence(why, rule, "maximum", "request", rule->request);
}

static void check_ratio(const struct rule *rule, struct cx_strings *why)
{
        CX_BUF text = CX_BUF_INIT;
        cx_buf_printf(&text, "%s max limit to request ratio per %s is %s, but ", rule->name, rule->of->type,
                      rule->bound_text);
        if (!rule->request || rule->request->nano == 0) {
                cx_buf_add(&text, "no request is specified or request is 0");
        } else if (!rule->limit || rule->limit->nano == 0) {
                cx_buf_add(&text, "no limit is specified or limit is 0");
        } else {
                double ratio = (double)rule->limit->nano / (double)rule->request->nano;
                if (ratio <= (double)rule->bound.nano / 1e9)
                        return;
                cx_buf_printf(&text, "provided ratio is %f", ratio);
        }
        tell(why, text.data);
}

static const struct {
        const char *field;
        void (*check)(const struct rule *rule, struct cx_strings *why);
} checks[] = {{"min", check_min}, {"max", check_max}, {"maxLimitRequestRatio", check_ratio}};

static void check_item(const json_t *item, const struct limited *of, struct cx_strings *why)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(checks); i++) {
                const char *name;
                json_t *bound;
                json_object_foreach ((json_t *)json_object_get(item, checks[i].field), name, bound) {
                        struct rule rule = {.of = of,
                                            .name = name,
                                            .request = cx_resource_list_get(&of->requests, name),
                                            .limit = cx_resource_list_get(&of->limits, name)};
                        if (cx_quantity_from_json(bound, &rule.bound) < 0)
                                continue;
                        cx_quantity_format(&rule.bound, rule.bound_text);
                        checks[i].check(&rule, why);
                }
        }
}

static void check_pod(const json_t *item, const json_t *pod, struct cx_strings *why)
{
        const char *type = cx_json_string_or(item, "type", "");
        const json_t *spec = json_object_get(pod, "spec");
        if (strcmp(type, "Container") == 0) {
                static const enum cx_pod_list lists[] = {CX_POD_MAIN, CX_POD_INIT};
                for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                        CX_POD_FOREACH(walk, spec, lists[i])
                        {
                                CX_CLEANUP(limited_release) struct limited of = {.type = type};
                                cx_resource_list_add_json(&of.requests,
                                                          cx_json_get(walk.container, "resources.requests"));
                                cx_resource_list_add_json(&of.limits, cx_json_get(walk.container, "resources.limits"));
                                check_item(item, &of, why);
                        }
        } else if (strcmp(type, "Pod") == 0) {
                CX_CLEANUP(limited_release) struct limited of = {.type = type};
                cx_pod_resources(spec, &(struct cx_pod_resources_options){.without_overhead = true}, &of.requests);
                cx_pod_resources(spec, &(struct cx_pod_resources_options){.limits = true, .without_overhead = true},
                                 &of.limits);
                check_item(item, &of, why);
        }
}

static void check_claim(const json_t *item, const json_t *claim, struct cx_strings *why)
{
        CX_CLEANUP(limited_release) struct limited of = {.type = cx_json_string(item, "type"), .only_requests = true};
        if (!cx_streq(of.type, "PersistentVolumeClaim"))
                return;
        cx_resource_list_add_json(&of.requests, cx_json_get(claim, "spec.resources.requests"));
        static const char *const bounds[] = {"min", "max"};
        json_auto_t *both = json_object();
        for (size_t i = 0; i < CX_ARRAY_SIZE(bounds); i++)
                json_object_set(both, bounds[i], json_object_get(item, bounds[i]));
        check_item(both, &of, why);
}

static int validate(const struct admission_request *request, struct cx_error *err)
{
        bool is_pod = is_about_pods(request);
        STORED_LIST ranges = {0};
        each_range(request, &ranges);
        for (size_t i = 0; i < ranges.count; i++) {
                json_auto_t *range = stored_parse(ranges.items[i]);
                CX_STRINGS why = CX_STRINGS_INIT;
                size_t j;
                const json_t *item;
                json_array_foreach (cx_json_get(range, "spec.limits"), j, item)
                        (is_pod ? check_pod : check_claim)(item, request->object, &why);
                if (!why.count)
                        continue;
                CX_CLEANUP(cx_freep) char *joined = cx_strings_join(&why, ", ");
                CX_CLEANUP(cx_freep) char *text = why.count > 1 ? cx_sprintf("[%s]", joined) : cx_steal(&joined);
                return admission_forbid(request, text, err);
        }
        return 0;
}

// What pods ask for changes by the subresource alone.
static const struct admission_want wants[] = {{ADMIT_CREATE, "", "pods", ""},
                                              {ADMIT_UPDATE, "", "pods", "resize"},
                                              {ADMIT_CREATE | ADMIT_UPDATE, "", "persistentvolumeclaims", ""},
                                              {0}};
const struct admission_plugin admission_limit_ranger = {
        .name = "LimitRanger", .wants = wants, .mutate = mutate, .validate = validate};
