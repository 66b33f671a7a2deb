// SPDX-License-Identifier: Apache-2.0
// Jobs and CronJobs: what goes together, and how much of it there may be.
#include "libcommon/api/cron.h"
#include "libcommon/api/indexes.h"
#include "libcommon/api/names.h"
#include "libcommon/api/pod.h"
#include "libcommon/schema/validate/validate.h"

#define MOST_INDEXES 100000        // of parallelism and of failed ones: they become a text in the status
#define MOST_OF_MANY 10000         // of both when there are more completions than that, each with a limit
#define MOST_RULES 20              // of a policy, and conditions of a rule
#define MOST_CODES 255             // exit codes of a rule
#define MOST_MANAGER 63            // bytes
#define MOST_INDEX_TEXT (64 << 10) // bytes

static const json_t *number_above(const json_t *object, const char *field, int64_t most)
{
        const json_t *value = json_object_get(object, field);
        return value && json_integer_value(value) > most ? value : NULL;
}

// --- policies --------------------------------------------------------------------------------------------------------

static void check_exit_codes(struct cx_validator *v, const json_t *codes, const json_t *template)
{
        const json_t *name = json_object_get(codes, "containerName"), *values = json_object_get(codes, "values");
        size_t count = json_array_size(values);
        if (name &&
            !cx_pod_container(json_object_get(template, "spec"), json_string_value(name), CX_POD_TEMPLATE, NULL))
                cx_invalid(v, "containerName", name,
                           "must be one of the container or initContainer names in the pod template");
        if (!count)
                cx_invalid(v, "values", values, "at least one value is required");
        else if (count > MOST_CODES)
                cx_too_many(v, "values", count, MOST_CODES);
        bool in = cx_streq(cx_json_string(codes, "operator"), "In"), ordered = true;
        for (size_t i = 0; i < count; i++) {
                const json_t *value = json_array_get(values, i);
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("values[%zu]", i);
                if (in && json_integer_value(value) == 0)
                        cx_invalid(v, field, value, "must not be 0 for the In operator");
                ordered = ordered &&
                          (!i || json_integer_value(json_array_get(values, i - 1)) <= json_integer_value(value));
        }
        if (!ordered)
                cx_invalid(v, "values", values, "must be ordered");
}

static void check_pod_conditions(struct cx_validator *v, const json_t *patterns)
{
        static const char *const statuses[] = {"False", "True", "Unknown", NULL};
        size_t i;
        const json_t *pattern;
        if (json_array_size(patterns) > MOST_RULES)
                cx_too_many(v, "", json_array_size(patterns), MOST_RULES);
        json_array_foreach (patterns, i, pattern) {
                size_t length = cx_enter(v, "[%zu]", i);
                const char *status = cx_json_string_or(pattern, "status", ""), *const *known = statuses;
                cx_check_text(v, pattern, "type", cx_check_qualified_name);
                while (*known && strcmp(*known, status) != 0)
                        known++;
                if (!*known)
                        cx_unsupported(v, "status", status, statuses);
                cx_leave(v, length);
        }
}

static void check_failure_rule(struct cx_validator *v, const json_t *rule, const json_t *spec)
{
        const json_t *codes = json_object_get(rule, "onExitCodes"),
                     *patterns = json_object_get(rule, "onPodConditions");
        const json_t *action = json_object_get(rule, "action");
        if (cx_streq(json_string_value(action), "FailIndex") && !json_object_get(spec, "backoffLimitPerIndex"))
                cx_invalid(v, "action", action, "requires the backoffLimitPerIndex to be set");
        if (codes) {
                size_t length = cx_enter(v, ".onExitCodes");
                check_exit_codes(v, codes, json_object_get(spec, "template"));
                cx_leave(v, length);
        }
        if (json_array_size(patterns)) {
                size_t length = cx_enter(v, ".onPodConditions");
                check_pod_conditions(v, patterns);
                cx_leave(v, length);
        }
        if (codes && json_array_size(patterns))
                cx_invalid_part(v, "", "specifying both OnExitCodes and OnPodConditions is not supported");
        if (!codes && !json_array_size(patterns))
                cx_invalid_part(v, "", "specifying one of OnExitCodes and OnPodConditions is required");
}

static void check_success_rule(struct cx_validator *v, const json_t *rule, const json_t *spec)
{
        const json_t *indexes = json_object_get(rule, "succeededIndexes"),
                     *least = json_object_get(rule, "succeededCount");
        int64_t completions = cx_json_int(spec, "completions", 0), total = 0;
        if (!indexes && !least)
                cx_required(v, "", "at least one of succeededCount or succeededIndexes must be specified");
        if (indexes && json_string_length(indexes) > MOST_INDEX_TEXT)
                cx_too_long(v, "succeededIndexes", MOST_INDEX_TEXT);
        CX_CLEANUP(cx_freep)
        char *why = indexes ? cx_indexes_check(cx_str(json_string_value(indexes)), completions, &total) : NULL;
        CX_CLEANUP(cx_freep) char *detail = cx_sprintf("error parsing succeededIndexes: %s", cx_str(why));
        if (why)
                cx_invalid(v, "succeededIndexes", indexes, detail);
        if (!least)
                return;
        if (json_integer_value(least) < 0)
                cx_invalid(v, "succeededCount", least, "must be greater than or equal to 0");
        CX_CLEANUP(cx_freep)
        char *most = cx_sprintf("must be less than or equal to %lld (the number of specified completions)",
                                (long long)completions);
        if (json_integer_value(least) > completions)
                cx_invalid(v, "succeededCount", least, most);
        CX_CLEANUP(cx_freep)
        char *listed = cx_sprintf(
                "must be less than or equal to %lld (the number of indexes in the specified succeededIndexes field)",
                (long long)total);
        if (indexes && json_integer_value(least) > total)
                cx_invalid(v, "succeededCount", least, listed);
}

static void check_rules(struct cx_validator *v, const json_t *spec, const char *policy,
                        void (*check)(struct cx_validator *v, const json_t *rule, const json_t *spec))
{
        const json_t *rules = json_object_get(json_object_get(spec, policy), "rules"), *rule;
        size_t i, length = cx_enter(v, ".%s.rules", policy);
        if (json_array_size(rules) > MOST_RULES)
                cx_too_many(v, "", json_array_size(rules), MOST_RULES);
        json_array_foreach (rules, i, rule) {
                size_t inner = cx_enter(v, "[%zu]", i);
                check(v, rule, spec);
                cx_leave(v, inner);
        }
        cx_leave(v, length);
}

// --- Jobs ------------------------------------------------------------------------------------------------------------

static void check_indexed(struct cx_validator *v, const json_t *spec)
{
        const json_t *too_many, *completions = json_object_get(spec, "completions");
        if (!completions)
                cx_required(v, "completions", "when completion mode is Indexed");
        if ((too_many = number_above(spec, "parallelism", MOST_INDEXES)))
                cx_invalid(v, "parallelism", too_many,
                           "must be less than or equal to 100000 when completion mode is Indexed");
        if (completions && (too_many = number_above(spec, "maxFailedIndexes", json_integer_value(completions))))
                cx_invalid(v, "maxFailedIndexes", too_many, "must be less than or equal to completions");
        if ((too_many = number_above(spec, "maxFailedIndexes", MOST_INDEXES)))
                cx_invalid(v, "maxFailedIndexes", too_many, "must be less than or equal to 100000");
        if (!number_above(spec, "completions", MOST_INDEXES) || !json_object_get(spec, "backoffLimitPerIndex"))
                return;
        static const char detail[] =
                "must be less than or equal to 10000 when completions are above 100000 and used with "
                "backoff limit per index";
        if (!json_object_get(spec, "maxFailedIndexes"))
                cx_required(v, "maxFailedIndexes", "must be specified when completions is above 100000");
        if ((too_many = number_above(spec, "parallelism", MOST_OF_MANY)))
                cx_invalid(v, "parallelism", too_many, detail);
        if ((too_many = number_above(spec, "maxFailedIndexes", MOST_OF_MANY)))
                cx_invalid(v, "maxFailedIndexes", too_many, detail);
}

static void check_not_indexed(struct cx_validator *v, const json_t *spec)
{
        static const char *const fields[] = {"backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fields); i++)
                if (json_object_get(spec, fields[i]))
                        cx_invalid(v, fields[i], json_object_get(spec, fields[i]), "requires indexed completion mode");
}

static const char *check_manager(const char *name)
{
        const char *slash = strchr(name, '/');
        if (!slash || slash == name || !slash[1])
                return "must be a domain-prefixed path (such as \"acme.io/foo\")";
        CX_CLEANUP(cx_freep) char *host = cx_strndup(name, (size_t)(slash - name));
        const char *wrong = cx_check_dns1123_subdomain(host);
        static const char letters[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~%!$&'()*+,;=:";
        if (!wrong && strspn(slash + 1, letters) != strlen(slash + 1))
                return "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        return wrong;
}

static void check_restarts(struct cx_validator *v, const json_t *spec)
{
        const char *policy = cx_json_string_or(spec, "template.spec.restartPolicy", "");
        if (strcmp(policy, "OnFailure") != 0 && strcmp(policy, "Never") != 0)
                cx_required(v, "template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\"");
        else if (json_object_get(spec, "podFailurePolicy") && strcmp(policy, "Never") != 0)
                cx_invalid_text(v, "template.spec.restartPolicy", policy,
                                "only \"Never\" is supported when podFailurePolicy is specified");
}

static void check_job(struct cx_validator *v, const json_t *spec)
{
        static const char *const with_policy[] = {"Failed", NULL};
        bool indexed = cx_streq(cx_json_string(spec, "completionMode"), "Indexed");
        const json_t *manager = json_object_get(spec, "managedBy"), *policy = json_object_get(spec, "podFailurePolicy");
        if (json_object_get(spec, "maxFailedIndexes") && !json_object_get(spec, "backoffLimitPerIndex"))
                cx_required(v, "backoffLimitPerIndex", "when maxFailedIndexes is specified");
        if (manager && !json_string_length(manager))
                cx_required(v, "managedBy", NULL);
        cx_check_text(v, spec, "managedBy", check_manager);
        if (json_string_length(manager) > MOST_MANAGER)
                cx_too_long(v, "managedBy", MOST_MANAGER);
        (indexed ? check_indexed : check_not_indexed)(v, spec);
        if (policy)
                check_rules(v, spec, "podFailurePolicy", check_failure_rule);
        if (indexed && json_object_get(spec, "successPolicy")) {
                if (!cx_json_count(spec, "successPolicy.rules"))
                        cx_required(v, "successPolicy.rules",
                                    "at least one rules must be specified when the successPolicy is specified");
                check_rules(v, spec, "successPolicy", check_success_rule);
        }
        const char *replacement = cx_json_string_or(spec, "podReplacementPolicy", "");
        if (policy && *replacement && strcmp(replacement, "Failed") != 0)
                cx_unsupported(v, "podReplacementPolicy", replacement, with_policy);
        check_restarts(v, spec);
}

// --- CronJobs --------------------------------------------------------------------------------------------------------

static void check_job_template(struct cx_validator *v, const json_t *template)
{
        static const char *const not_manual[] = {"nil", "false", NULL};
        const json_t *selector = cx_json_get(template, "spec.selector");
        if (selector)
                cx_invalid(v, "spec.selector", selector, "`selector` will be auto-generated");
        if (cx_json_bool(template, "spec.manualSelector", false))
                cx_unsupported(v, "spec.manualSelector", "true", not_manual);
}

static void check_cron_job(struct cx_validator *v, const json_t *spec)
{
        const char *schedule = cx_json_string_or(spec, "schedule", "");
        struct cx_cron cron;
        CX_ERROR err = CX_ERROR_INIT;
        if (strstr(schedule, "TZ"))
                cx_invalid_text(v, "schedule", schedule,
                                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
        else if (*schedule && cx_cron_parse(schedule, &cron, &err) < 0)
                cx_invalid_text(v, "schedule", schedule, cx_error_text(&err));
}

const struct cx_check cx_checks_batch[] = {
        {"batch.v1.JobSpec", check_job},
        {"batch.v1.JobTemplateSpec", check_job_template},
        {"batch.v1.CronJobSpec", check_cron_job},
        {NULL, NULL},
};
