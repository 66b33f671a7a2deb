// SPDX-License-Identifier: Apache-2.0
// A namespace has three standards. `enforce` is for pods alone, which are refused; `audit` goes to the audit log and `warn` to whoever
// asked, for pods and for what makes pods, so that one learns of it where it can be mended. Where a namespace has no label of ours,
// and that is most often, nothing is looked at.
#include "apiserver/admission/pod_security.h"

#include "libcommon/base/metrics.h"
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"

#define ANNOTATION(name) POD_SECURITY name
#define SECCOMP "container.seccomp.security.alpha.kubernetes.io/"

static bool is_pod(const struct admission_request *request)
{
        return strcmp(request->scope->resource->resource, "pods") == 0;
}

// --- what is counted -------------------------------------------------------------------------------------------------

static const char *operation_of(const struct admission_request *request)
{
        return request->operation == ADMIT_CREATE ? "create" : "update";
}

static const char *resource_of(const struct admission_request *request)
{
        return is_pod(request) ? "pod" : "controller";
}

static void count_evaluation(const struct pod_security *security, const struct admission_request *request,
                             enum pod_mode mode, const struct pod_standard *standard, bool allowed)
{
        char text[POD_STANDARD_TEXT];
        int64_t newest = strtoll(CX_VERSION_MINOR, NULL, 10);
        if (!security->evaluations)
                return;
        pod_standard_text(standard, text);
        const char *version = standard->level == POD_PRIVILEGED ? "latest"
                              : standard->minor > newest        ? "future"
                                                                : strchr(text, ':') + 1;
        cx_metric_add(security->evaluations, 1, allowed ? "allow" : "deny", pod_level_names[standard->level], version,
                      pod_mode_names[mode], operation_of(request), resource_of(request),
                      cx_str(request->scope->subresource));
}

static void count_error(const struct pod_security *security, const struct admission_request *request, bool fatal)
{
        if (security->errors)
                cx_metric_add(security->errors, 1, fatal ? "true" : "false", operation_of(request),
                              resource_of(request), cx_str(request->scope->subresource));
}

static void exempt(const struct pod_security *security, const struct admission_request *request, const char *why)
{
        scope_annotate(request->scope, ANNOTATION("exempt"), why);
        if (security->exemptions)
                cx_metric_add(security->exemptions, 1, operation_of(request), resource_of(request),
                              cx_str(request->scope->subresource));
}

// --- what may be passed over -----------------------------------------------------------------------------------------

static bool is_exempt(const struct pod_security *security, const struct admission_request *request)
{
        const char *why = cx_strings_has(&security->namespaces, request->scope->namespace)           ? "namespace"
                          : cx_strings_has(&security->usernames, cx_str(request->scope->user->name)) ? "user"
                                                                                                     : NULL;
        if (why)
                exempt(security, request, why);
        return why;
}

bool pod_security_is_exempt_class(const struct pod_security *security, const char *class)
{
        return *class && cx_strings_has(&security->runtime_classes, class);
}

static bool is_new_to(const json_t *container, const json_t *old, const json_t *pod, const json_t *old_pod)
{
        if (!cx_streq(cx_json_string(container, "image"), cx_json_string(old, "image")))
                return true;
        // What a kubelet of long ago took for the field.
        CX_CLEANUP(cx_freep) char *key = cx_sprintf(SECCOMP "%s", cx_json_string_or(container, "name", ""));
        const json_t *annotations = cx_json_get(pod, "metadata.annotations"),
                     *before = cx_json_get(old_pod, "metadata.annotations");
        return strcmp(cx_str(json_string_value(json_object_get(annotations, key))),
                      cx_str(json_string_value(json_object_get(before, key)))) != 0;
}

static bool is_changed(const struct admission_request *request, const char *list)
{
        const json_t *now = json_object_get(json_object_get(request->object, "spec"), list),
                     *before = json_object_get(json_object_get(request->old, "spec"), list);
        size_t i;
        const json_t *container;
        if (json_array_size(now) != json_array_size(before))
                return true;
        json_array_foreach (now, i, container)
                if (is_new_to(container, json_array_get(before, i), request->object, request->old))
                        return true;
        return false;
}

// Ephemeral containers are only added, so each is most often where it was.
static bool has_new_ephemeral(const struct admission_request *request)
{
        const json_t *now = cx_json_get(request->object, "spec.ephemeralContainers"),
                     *before = cx_json_get(request->old, "spec.ephemeralContainers");
        size_t i;
        const json_t *container;
        json_array_foreach (now, i, container) {
                const char *name = cx_json_string_or(container, "name", "");
                const json_t *old = json_array_get(before, i);
                if (!cx_streq(cx_json_string(old, "name"), name))
                        old = cx_json_find(before, "name", name);
                if (!old || is_new_to(container, old, request->object, request->old))
                        return true;
        }
        return false;
}

// Of a pod that is there only the images may change, and what is added to it.
static bool matters(const struct admission_request *request)
{
        return request->operation == ADMIT_CREATE || is_changed(request, "containers") ||
               is_changed(request, "initContainers") || has_new_ephemeral(request);
}

// The pod itself, or the template of what makes pods; NULL: it has none.
static const json_t *template_of(const struct admission_request *request)
{
        static const struct {
                const char *resource, *path;
        } places[] = {{"podtemplates", "template"}, {"cronjobs", "spec.jobTemplate.spec.template"}};
        const char *resource = request->scope->resource->resource;
        if (is_pod(request))
                return request->object;
        for (size_t i = 0; i < CX_ARRAY_SIZE(places); i++)
                if (strcmp(resource, places[i].resource) == 0)
                        return cx_json_get(request->object, places[i].path);
        return cx_json_get(request->object, "spec.template");
}

// --- the standards ---------------------------------------------------------------------------------------------------

static const char *label_of(const void *namespace, const char *key)
{
        return stored_label(namespace, key);
}

static bool is_labelled(const struct stored *namespace)
{
        for (uint32_t i = 0; i < namespace->n_labels; i++)
                if (cx_has_prefix(namespace->labels[i].key, POD_SECURITY))
                        return true;
        return false;
}

// Modes that have a standard in common share a verdict.
struct judgement {
        const struct pod_policy *policy;
        struct pod_verdict verdicts[POD_MODES];
        bool judged[POD_MODES];
};

static const struct pod_verdict *judge(struct judgement *judgement, enum pod_mode mode, const json_t *pod)
{
        const struct pod_standard *standard = &judgement->policy->of[mode];
        for (size_t i = 0; i < POD_MODES; i++)
                if (judgement->judged[i] && pod_standard_equal(&judgement->policy->of[i], standard))
                        return &judgement->verdicts[i];
        pod_standard_check(standard, pod, &judgement->verdicts[mode]);
        judgement->judged[mode] = true;
        return &judgement->verdicts[mode];
}

static int enforce(const struct pod_security *security, const struct admission_request *request,
                   struct judgement *judgement, struct cx_error *err)
{
        const struct pod_standard *standard = &judgement->policy->of[POD_ENFORCE];
        char name[POD_STANDARD_TEXT];
        pod_standard_text(standard, name);
        scope_annotate(request->scope, ANNOTATION("enforce-policy"), name);
        const struct pod_verdict *verdict = judge(judgement, POD_ENFORCE, request->object);
        count_evaluation(security, request, POD_ENFORCE, standard, pod_verdict_allows(verdict));
        if (pod_verdict_allows(verdict))
                return 0;
        CX_CLEANUP(cx_freep) char *why = cx_sprintf("violates PodSecurity \"%s\": %s", name, verdict->details.data);
        return admission_forbid(request, why, err);
}

// What would be forbidden, said to the audit log or to who asked.
static void tell(const struct pod_security *security, const struct admission_request *request,
                 struct judgement *judgement, enum pod_mode mode, const json_t *pod)
{
        const struct pod_standard *standard = &judgement->policy->of[mode];
        const struct pod_verdict *verdict = judge(judgement, mode, pod);
        char name[POD_STANDARD_TEXT];
        if (pod_verdict_allows(verdict))
                return;
        pod_standard_text(standard, name);
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("would violate PodSecurity \"%s\": %s", name, verdict->details.data);
        if (mode == POD_AUDIT)
                scope_annotate(request->scope, ANNOTATION("audit-violations"), text);
        else
                scope_warn(request->scope, text);
        count_evaluation(security, request, mode, standard, false);
}

static int check_pod(const struct pod_security *security, const struct admission_request *request,
                     const struct pod_policy *policy, const json_t *pod, struct cx_error *err)
{
        struct judgement judgement = {.policy = policy,
                                      .verdicts = {POD_VERDICT_INIT, POD_VERDICT_INIT, POD_VERDICT_INIT}};
        int r = is_pod(request) ? enforce(security, request, &judgement, err) : 0;
        tell(security, request, &judgement, POD_AUDIT, pod);
        if (r == 0)
                tell(security, request, &judgement, POD_WARN, pod);
        for (size_t i = 0; i < POD_MODES; i++)
                pod_verdict_release(&judgement.verdicts[i]);
        return r;
}

// Labels that are wrong and were there before the plugin was: the strictest is enforced then.
static void tell_of_labels(const struct pod_security *security, const struct admission_request *request,
                           const struct cx_error *wrong)
{
        CX_CLEANUP(cx_freep) char *causes = pod_security_causes(wrong);
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("Failed to parse policy: %s", causes);
        scope_annotate(request->scope, ANNOTATION("error"), text);
        count_error(security, request, false);
}

static bool is_let_go(const struct admission_request *request, const struct pod_policy *policy)
{
        if (is_pod(request))
                return pod_policy_is_privileged(policy);
        return policy->of[POD_AUDIT].level == POD_PRIVILEGED && policy->of[POD_WARN].level == POD_PRIVILEGED;
}

static void let_go(const struct pod_security *security, const struct admission_request *request,
                   const struct pod_policy *policy)
{
        if (!is_pod(request))
                return;
        scope_annotate(request->scope, ANNOTATION("enforce-policy"), "privileged:latest");
        if (security->evaluations && !request->scope->subresource)
                cx_series_add(security->usual[request->operation == ADMIT_UPDATE], 1);
        else
                count_evaluation(security, request, POD_ENFORCE, &policy->of[POD_ENFORCE], true);
}

// The namespace went meanwhile. What makes pods is let be, since its pods will be refused.
static int no_namespace(const struct pod_security *security, const struct admission_request *request,
                        struct cx_error *err)
{
        const char *name = request->scope->namespace;
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("failed to lookup namespace \"%s\"", name);
        count_error(security, request, true);
        scope_annotate(request->scope, ANNOTATION("error"), text);
        return is_pod(request) ? cx_error_reason(err, CX_REASON_INTERNAL, "Internal error occurred: %s", text) : 0;
}

static int validate(const struct admission_request *request, struct cx_error *err)
{
        const struct scope *scope = request->scope;
        const struct pod_security *security = pod_security_of(scope->api);
        if (strcmp(scope->resource->resource, "namespaces") == 0)
                return pod_security_check_namespace(request, err);
        if (is_exempt(security, request))
                return 0;
        STORED *namespace =
                admission_lookup(request, builtin(scope->api, "", "v1", "namespaces"), NULL, scope->namespace);
        if (!namespace)
                return no_namespace(security, request, err);
        CX_ERROR wrong = CX_ERROR_INIT;
        struct pod_policy policy = security->defaults;
        if (is_labelled(namespace))
                policy = pod_policy_of(label_of, namespace, &security->defaults, &wrong);
        if (!wrong.n_causes && is_let_go(request, &policy)) {
                let_go(security, request, &policy);
                return 0;
        }
        const json_t *pod = template_of(request);
        if (!pod || (is_pod(request) && !matters(request)))
                return 0;
        if (pod_security_is_exempt_class(security, cx_json_string_or(pod, "spec.runtimeClassName", ""))) {
                exempt(security, request, "runtimeClass");
                return 0;
        }
        if (wrong.n_causes)
                tell_of_labels(security, request, &wrong);
        return check_pod(security, request, &policy, pod, err);
}

static int configure(struct apiserver *api, const json_t *settings, struct cx_error *err)
{
        return pod_security_new(settings, api->metrics, &api->pod_security, err);
}

#define WRITTEN (ADMIT_CREATE | ADMIT_UPDATE)
static const struct admission_want wants[] = {{WRITTEN, "", "pods", ""},
                                              {WRITTEN, "", "pods", "ephemeralcontainers"},
                                              {WRITTEN, "", "pods", "resize"},
                                              {WRITTEN, "", "namespaces", ""},
                                              {WRITTEN, "", "podtemplates", ""},
                                              {WRITTEN, "", "replicationcontrollers", ""},
                                              {WRITTEN, "apps", "deployments", ""},
                                              {WRITTEN, "apps", "daemonsets", ""},
                                              {WRITTEN, "apps", "replicasets", ""},
                                              {WRITTEN, "apps", "statefulsets", ""},
                                              {WRITTEN, "batch", "jobs", ""},
                                              {WRITTEN, "batch", "cronjobs", ""},
                                              {0}};
const struct admission_plugin admission_pod_security = {
        .name = "PodSecurity", .wants = wants, .validate = validate, .configure = configure};
