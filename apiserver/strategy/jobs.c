// SPDX-License-Identifier: Apache-2.0
// Jobs: the labels and the selector by which a Job's pods are its own, and what of a Job may change. CronJobs: names and
// time zones.
#include "apiserver/strategy/jobs.h"

#include "apiserver/strategy/strategy.h"
#include "libcommon/api/names.h"
#include "libcommon/api/selector.h"
#include "libcommon/base/strings.h"
#include "libcommon/base/timezone.h"
#include "libcommon/format/json.h"

// --- new Jobs --------------------------------------------------------------------------------------------------------

static const struct {
        const char *label, *from; // the member of the metadata that it is equal to
} own_labels[] = {{"batch.kubernetes.io/controller-uid", "uid"},
                  {"controller-uid", "uid"},
                  {"batch.kubernetes.io/job-name", "name"},
                  {"job-name", "name"}};

static bool is_manual(const json_t *job)
{
        return cx_json_bool(job, "spec.manualSelector", false);
}

// A Job's pods are its own by its uid, which nobody can choose: labels of the template and the selector are made here,
// unless the client says that it knows better. What it says itself is judged below.
static int prepare_create(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        json_t *spec = json_object_get(object, "spec"), *template = json_object_get(spec, "template");
        json_t *metadata = json_object_get(object, "metadata");
        if (!json_is_object(template) || is_manual(object))
                return 0;
        json_t *labels = cx_json_object_at(cx_json_object_at(template, "metadata"), "labels");
        for (size_t i = 0; i < CX_ARRAY_SIZE(own_labels); i++)
                if (!json_object_get(labels, own_labels[i].label))
                        json_object_set(labels, own_labels[i].label, json_object_get(metadata, own_labels[i].from));
        json_t *wanted = cx_json_object_at(cx_json_object_at(spec, "selector"), "matchLabels");
        if (!json_object_get(wanted, own_labels[0].label))
                json_object_set(wanted, own_labels[0].label, json_object_get(metadata, "uid"));
        return 0;
}

static void invalid(struct cx_error *causes, const char *field, const json_t *value, const char *detail)
{
        CX_CLEANUP(cx_freep) char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : cx_strdup("null");
        cx_error_cause(causes, "FieldValueInvalid", field, "Invalid value: %.4096s: %s", text, detail);
}

static void check_own_labels(const json_t *object, struct cx_error *causes)
{
        const json_t *labels = cx_json_get(object, "spec.template.metadata.labels"), *selector;
        json_auto_t *expected = json_object();
        for (size_t i = 0; i < CX_ARRAY_SIZE(own_labels); i++) {
                const json_t *wanted = json_object_get(json_object_get(object, "metadata"), own_labels[i].from);
                const json_t *label = json_object_get(labels, own_labels[i].label);
                CX_CLEANUP(cx_freep)
                char *field = cx_sprintf("spec.template.metadata.labels[%s]", own_labels[i].label);
                CX_CLEANUP(cx_freep) char *detail = cx_sprintf("must be '%s'", cx_str(json_string_value(wanted)));
                json_object_set(expected, own_labels[i].label, (json_t *)wanted);
                if (!label)
                        cx_error_cause(causes, "FieldValueRequired", field, "Required value: %s", detail);
                else if (!json_equal(label, wanted))
                        invalid(causes, field, labels, detail);
        }
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        selector = cx_json_get(object, "spec.selector");
        if (selector && cx_selector_from_json(selector, &parsed, NULL) == 0 && !cx_selector_matches(&parsed, expected))
                invalid(causes, "spec.selector", selector, "`selector` not auto-generated");
}

static void check_selector(const json_t *object, struct cx_error *causes)
{
        const json_t *selector = cx_json_get(object, "spec.selector");
        const json_t *labels = cx_json_get(object, "spec.template.metadata.labels");
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        if (!is_manual(object))
                check_own_labels(object, causes);
        if (!selector)
                cx_error_cause(causes, "FieldValueRequired", "spec.selector", "Required value");
        else if (cx_selector_from_json(selector, &parsed, NULL) == 0 && !cx_selector_matches(&parsed, labels))
                invalid(causes, "spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
}

static void warn_of_name(const struct scope *scope, const json_t *object)
{
        const char *wrong = cx_check_dns1123_label(cx_json_string_or(object, "metadata.name", ""));
        CX_CLEANUP(cx_freep)
        char *warning = cx_sprintf("metadata.name: this is used in Pod names and hostnames, which can result in "
                                   "surprising behavior; a DNS label is recommended: [%s]",
                                   cx_str(wrong));
        if (wrong)
                scope_warn(scope, warning);
}

// The host name of the pod of the last index has to be one.
static void check_host_names(const json_t *object, struct cx_error *causes)
{
        int64_t completions = cx_json_int(object, "spec.completions", 0);
        const char *name = cx_json_string_or(object, "metadata.name", "");
        if (!cx_streq(cx_json_string(object, "spec.completionMode"), "Indexed") || completions <= 0)
                return;
        CX_CLEANUP(cx_freep) char *last = cx_sprintf("%s-%lld", name, (long long)(completions - 1));
        CX_CLEANUP(cx_freep) char *detail = cx_sprintf("will not able to create pod with invalid DNS label: %s", last);
        if (cx_check_dns1123_label(last))
                invalid(causes, "metadata.name", cx_json_get(object, "metadata.name"), detail);
}

// --- changes ---------------------------------------------------------------------------------------------------------

static void check_completions(const json_t *object, const json_t *old, struct cx_error *causes)
{
        const json_t *now = cx_json_get(object, "spec.completions"), *before = cx_json_get(old, "spec.completions");
        bool indexed = cx_streq(cx_json_string(object, "spec.completionMode"), "Indexed");
        if (!now == !before && (!now || json_equal(now, before)))
                return;
        if (!indexed)
                invalid(causes, "spec.completions", now, "field is immutable");
        else if (now && !json_equal(now, cx_json_get(object, "spec.parallelism")))
                invalid(causes, "spec.completions", now, "can only be modified in tandem with spec.parallelism");
}

// The template without what says where pods may run. New.
static json_t *without_placement(const json_t *template)
{
        static const char *const of_metadata[] = {"labels", "annotations"};
        static const char *const of_spec[] = {"nodeSelector", "tolerations", "schedulingGates"};
        json_t *copy = json_deep_copy(template), *spec = json_object_get(copy, "spec");
        json_t *affinity = json_object_get(spec, "affinity");
        for (size_t i = 0; i < CX_ARRAY_SIZE(of_metadata); i++)
                json_object_del(json_object_get(copy, "metadata"), of_metadata[i]);
        for (size_t i = 0; i < CX_ARRAY_SIZE(of_spec); i++)
                json_object_del(spec, of_spec[i]);
        json_object_del(affinity, "nodeAffinity");
        if (!json_object_size(affinity))
                json_object_del(spec, "affinity");
        if (!json_object_size(json_object_get(copy, "metadata")))
                json_object_del(copy, "metadata");
        return copy;
}

// A Job that waits to be begun may still be placed.
static void check_template(const json_t *object, const json_t *old, struct cx_error *causes)
{
        const json_t *now = cx_json_get(object, "spec.template"), *before = cx_json_get(old, "spec.template");
        bool waits = cx_json_bool(old, "spec.suspend", false) && !cx_json_string(old, "status.startTime");
        if (json_equal(now, before))
                return;
        json_auto_t *a = without_placement(now);
        json_auto_t *b = without_placement(before);
        if (!waits || !json_equal(a, b))
                invalid(causes, "spec.template", now, "field is immutable");
}

static void validate_job(const struct scope *scope, const json_t *object, const json_t *old, struct cx_error *causes)
{
        if (scope->subresource) {
                check_job_status(object, old, causes);
                return;
        }
        check_selector(object, causes);
        check_host_names(object, causes);
        if (!old) {
                warn_of_name(scope, object);
                return;
        }
        check_completions(object, old, causes);
        check_template(object, old, causes);
}

const struct strategy strategy_jobs = {.group = "batch",
                                       .resource = "jobs",
                                       .prepare_create = prepare_create,
                                       .validate = validate_job,
                                       .orphans_dependents = true};

// --- CronJobs --------------------------------------------------------------------------------------------------------

#define LONGEST_NAME 52 // a Job's has ten digits and a dash more

static bool is_zone_name(const char *name)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_+";
        for (const char *part = name;; part++) {
                size_t length = strspn(part, letters);
                if (length == 0 || length > 14 || *part == '-' || (part[length] && part[length] != '/') ||
                    (length <= 2 && strspn(part, ".") == length))
                        return false;
                part += length;
                if (!*part)
                        return true;
        }
}

static void check_zone(const json_t *zone, struct cx_error *causes)
{
        const char *name = json_string_value(zone);
        CX_CLEANUP(cx_timezone_freep) struct cx_timezone *loaded = NULL;
        CX_CLEANUP(cx_freep) char *unknown = cx_sprintf("unknown time zone %s", name);
        if (!*name)
                invalid(causes, "spec.timeZone", zone, "timeZone must be nil or non-empty string");
        else if (!is_zone_name(name))
                invalid(causes, "spec.timeZone", zone, unknown);
        else if (strcasecmp(name, "Local") == 0)
                invalid(causes, "spec.timeZone", zone,
                        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
        else if (cx_timezone_load(name, &loaded) < 0)
                invalid(causes, "spec.timeZone", zone, unknown);
}

static void validate_cronjob(const struct scope *scope, const json_t *object, const json_t *old,
                             struct cx_error *causes)
{
        const json_t *zone = cx_json_get(object, "spec.timeZone"), *before = cx_json_get(old, "spec.timeZone");
        if (scope->subresource)
                return;
        if (json_is_string(zone) && !(before && json_equal(zone, before)))
                check_zone(zone, causes);
        if (!old)
                warn_of_name(scope, object);
        if (!old && strlen(cx_json_string_or(object, "metadata.name", "")) > LONGEST_NAME)
                invalid(causes, "metadata.name", cx_json_get(object, "metadata.name"),
                        "must be no more than 52 characters");
}

const struct strategy strategy_cronjobs = {.group = "batch", .resource = "cronjobs", .validate = validate_cronjob};
