// SPDX-License-Identifier: Apache-2.0
// The labels of a namespace. What cannot be read is refused; where more is to be enforced than before, whoever asks is warned of the
// pods that are there and would be refused now. They go on to run.
#include "apiserver/admission/pod_security.h"

#include "apiserver/request/errors.h"
#include "libcommon/base/map.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define MOST_PODS 3000
#define MOST_TIME CX_NS_PER_S

char *pod_security_causes(const struct cx_error *causes)
{
        CX_BUF text = CX_BUF_INIT;
        cx_buf_add(&text, causes->n_causes > 1 ? "[" : "");
        for (size_t i = 0; i < causes->n_causes; i++)
                cx_buf_printf(&text, "%s%s: %s", i ? ", " : "", causes->causes[i].field, causes->causes[i].message);
        cx_buf_add(&text, causes->n_causes > 1 ? "]" : "");
        return cx_buf_detach(&text);
}

// --- pods that are there ---------------------------------------------------------------------------------------------

// The uid of what controls the pod; NULL: nothing does. Owned by the caller.
static char *controller_of(const struct stored *pod)
{
        struct cx_slice text = {pod->json, pod->length}, owner;
        struct cx_scan scan;
        for (bool more = cx_scan_array(&scan, cx_scan_path(text, "metadata.ownerReferences"));
             more && cx_scan_element(&scan, &owner);)
                if (cx_slice_equals(cx_scan_path(owner, "controller"), "true"))
                        return cx_scan_string(cx_scan_path(owner, "uid"));
        return NULL;
}

static bool is_of_exempt_class(const struct pod_security *security, const struct stored *pod)
{
        struct cx_slice text = {pod->json, pod->length};
        if (!security->runtime_classes.count)
                return false;
        CX_CLEANUP(cx_freep) char *class = cx_scan_string(cx_scan_path(text, "spec.runtimeClassName"));
        return pod_security_is_exempt_class(security, cx_str(class));
}

// Borrowed pods that are not exempt: one of each controller first, as its others are most often like it. Their number.
static size_t in_order(const struct pod_security *security, const struct stored_list *pods, const struct stored **to)
{
        CX_MAP seen = CX_MAP_INIT;
        CX_CLEANUP(cx_freep) const struct stored **others = cx_alloc_array(pods->count + 1, sizeof *others);
        size_t count = 0, n_others = 0;
        for (size_t i = 0; i < pods->count; i++) {
                const struct stored *pod = pods->items[i];
                if (is_of_exempt_class(security, pod))
                        continue;
                CX_CLEANUP(cx_freep) char *controller = controller_of(pod);
                if (controller && cx_map_has(&seen, controller)) {
                        others[n_others++] = pod;
                        continue;
                }
                if (controller)
                        cx_map_set(&seen, controller, (void *)pod);
                to[count++] = pod;
        }
        memcpy(to + count, others, n_others * sizeof *others);
        return count + n_others;
}

struct alike {             // pods of which the same is forbidden
        const char *first; // the name that comes first
        size_t count;
};

static void add_verdict(struct cx_map *found, const struct pod_verdict *verdict, const struct stored *pod)
{
        if (pod_verdict_allows(verdict))
                return;
        struct alike *alike = cx_map_get(found, verdict->reasons.data);
        if (!alike) {
                alike = cx_alloc(sizeof *alike);
                cx_map_set(found, verdict->reasons.data, alike);
        }
        if (!alike->count++ || strcmp(pod->name, alike->first) < 0)
                alike->first = pod->name;
}

static void add_warnings(const struct cx_map *found, const char *namespace, const struct pod_standard *standard,
                         struct cx_strings *ret_warnings)
{
        CX_STRINGS lines = CX_STRINGS_INIT;
        char name[POD_STANDARD_TEXT];
        CX_MAP_FOREACH (found, entry) {
                const struct alike *alike = entry->value;
                CX_BUF line = CX_BUF_INIT;
                cx_buf_add(&line, alike->first);
                if (alike->count > 1)
                        cx_buf_printf(&line, " (and %zu other pod%s)", alike->count - 1, alike->count > 2 ? "s" : "");
                cx_buf_printf(&line, ": %s", entry->key);
                cx_strings_add(&lines, line.data);
        }
        if (!lines.count)
                return;
        pod_standard_text(standard, name);
        CX_CLEANUP(cx_freep)
        char *head = cx_sprintf("existing pods in namespace \"%s\" violate the new PodSecurity enforce level \"%s\"",
                                namespace, name);
        cx_strings_add(ret_warnings, head);
        cx_strings_sort(&lines);
        for (size_t i = 0; i < lines.count; i++)
                cx_strings_add(ret_warnings, lines.items[i]);
}

void pod_security_try(const struct pod_security *security, struct cache *pods, const char *namespace,
                      const struct pod_standard *standard, size_t most, int64_t time, struct cx_strings *ret_warnings)
{
        const struct filter filter = {.namespace = namespace};
        int64_t deadline = cx_time_monotonic() + time;
        STORED_LIST list = {0};
        CX_MAP found = CX_MAP_INIT_FREE(free);
        cache_list(pods, &filter, &list);
        CX_CLEANUP(cx_freep) const struct stored **ordered = cx_alloc_array(list.count + 1, sizeof *ordered);
        size_t count = in_order(security, &list, ordered), checked = 0;
        while (checked < count && checked < most) {
                POD_VERDICT verdict = POD_VERDICT_INIT;
                json_auto_t *pod = stored_parse(ordered[checked]);
                pod_standard_check(standard, pod, &verdict);
                add_verdict(&found, &verdict, ordered[checked++]);
                if (cx_time_monotonic() >= deadline)
                        break;
        }
        if (checked < count) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("new PodSecurity enforce level only checked against the first %zu of %zu "
                                        "existing pods",
                                        checked, count);
                cx_strings_add(ret_warnings, text);
        }
        add_warnings(&found, namespace, standard, ret_warnings);
}

// --- the labels ------------------------------------------------------------------------------------------------------

static const char *label_of(const void *labels, const char *key)
{
        return json_string_value(json_object_get(labels, key));
}

static struct pod_policy policy_of(const struct pod_security *security, const json_t *namespace, struct cx_error *wrong)
{
        return pod_policy_of(label_of, cx_json_get(namespace, "metadata.labels"), &security->defaults, wrong);
}

// Labels of a namespace that is exempt do nothing.
static void warn_of_exemption(const struct admission_request *request, const struct pod_security *security,
                              const struct pod_policy *policy)
{
        CX_BUF text = CX_BUF_INIT;
        if (pod_policy_is_privileged(policy) || pod_policy_equal(policy, &security->defaults))
                return;
        for (size_t mode = 0; mode < POD_MODES; mode++) {
                char name[POD_STANDARD_TEXT];
                if (policy->of[mode].level == POD_PRIVILEGED || !policy->said[mode])
                        continue;
                pod_standard_text(&policy->of[mode], name);
                cx_buf_printf(&text, "%s%s=%s", text.length ? ", " : "", pod_mode_names[mode], name);
        }
        CX_CLEANUP(cx_freep)
        char *warning = cx_sprintf("namespace \"%s\" is exempt from Pod Security, and the policy (%s) will be ignored",
                                   cx_json_string_or(request->object, "metadata.name", ""), text.data);
        scope_warn(request->scope, warning);
}

static bool is_stricter(const struct pod_standard *now, const struct pod_standard *before)
{
        return !pod_standard_equal(now, before) && now->level != POD_PRIVILEGED &&
               (now->minor != before->minor || now->level > before->level);
}

static void warn_of_pods(const struct admission_request *request, const struct pod_security *security,
                         const struct pod_standard *standard)
{
        CX_STRINGS warnings = CX_STRINGS_INIT;
        if (!request->scope->warnings)
                return;
        pod_security_try(security, builtin(request->scope->api, "", "v1", "pods")->cache,
                         cx_json_string_or(request->object, "metadata.name", ""), standard, MOST_PODS, MOST_TIME,
                         &warnings);
        for (size_t i = 0; i < warnings.count; i++)
                scope_warn(request->scope, warnings.items[i]);
}

int pod_security_check_namespace(const struct admission_request *request, struct cx_error *err)
{
        const struct pod_security *security = pod_security_of(request->scope->api);
        const char *name = cx_json_string_or(request->object, "metadata.name", "");
        CX_ERROR wrong = CX_ERROR_INIT, wrong_before = CX_ERROR_INIT;
        struct pod_policy now = policy_of(security, request->object, &wrong), before = security->defaults;
        if (request->old)
                before = policy_of(security, request->old, &wrong_before);
        CX_CLEANUP(cx_freep) char *causes = pod_security_causes(&wrong);
        CX_CLEANUP(cx_freep) char *causes_before = pod_security_causes(&wrong_before);
        if (wrong.n_causes && strcmp(causes, causes_before) != 0)
                return object_invalid("", "Namespace", name, &wrong, err);
        if (request->old && !is_stricter(&now.of[POD_ENFORCE], &before.of[POD_ENFORCE]))
                return 0;
        if (cx_strings_has(&security->namespaces, name))
                warn_of_exemption(request, security, &now);
        else if (request->old)
                warn_of_pods(request, security, &now.of[POD_ENFORCE]);
        return 0;
}
