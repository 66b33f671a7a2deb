// SPDX-License-Identifier: Apache-2.0
// The status of Jobs, which controllers of others may write as well (spec.managedBy): clients rely on its order.
#include "apiserver/strategy/jobs.h"

#include "libcommon/api/indexes.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

static bool holds(const json_t *job, const char *type)
{
        return cx_streq(cx_json_string(cx_json_find(cx_json_get(job, "status.conditions"), "type", type), "status"),
                        "True");
}

static bool is_finished(const json_t *job)
{
        return holds(job, "Complete") || holds(job, "Failed");
}

static bool is_indexed(const json_t *job)
{
        return cx_streq(cx_json_string(job, "spec.completionMode"), "Indexed");
}

static bool differs(const json_t *object, const json_t *old, const char *path)
{
        const json_t *now = cx_json_get(object, path), *before = cx_json_get(old, path);
        return !now != !before || (now && !json_equal(now, before));
}

static void invalid(struct cx_error *causes, const char *field, const json_t *value, const char *detail)
{
        CX_CLEANUP(cx_freep) char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        cx_error_cause(causes, "FieldValueInvalid", field, "Invalid value: %.1024s%s%s", cx_str(text), text ? ": " : "",
                       detail);
}

static void required(struct cx_error *causes, const char *field, const char *detail)
{
        cx_error_cause(causes, "FieldValueRequired", field, "Required value: %s", detail);
}

// --- numbers and names -----------------------------------------------------------------------------------------------

static void check_numbers(const json_t *object, const json_t *old, struct cx_error *causes)
{
        static const char *const fields[] = {"status.active", "status.succeeded", "status.failed", "status.ready",
                                             "status.terminating"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fields); i++)
                if (cx_json_int(object, fields[i], 0) < 0)
                        invalid(causes, fields[i], cx_json_get(object, fields[i]),
                                "must be greater than or equal to 0");
        if (cx_json_int(object, "status.failed", 0) < cx_json_int(old, "status.failed", 0))
                invalid(causes, "status.failed", cx_json_get(object, "status.failed"),
                        "cannot decrease the failed counter");
        // An indexed Job that grows with its parallelism also shrinks with it.
        bool elastic = is_indexed(object) &&
                       cx_json_int(object, "spec.completions", -1) == cx_json_int(object, "spec.parallelism", -2);
        if (!elastic && cx_json_int(object, "status.succeeded", 0) < cx_json_int(old, "status.succeeded", 0))
                invalid(causes, "status.succeeded", cx_json_get(object, "status.succeeded"),
                        "cannot decrease the succeeded counter");
}

static void check_names(const json_t *object, struct cx_error *causes)
{
        static const char *const lists[] = {"succeeded", "failed"};
        const json_t *uncounted = cx_json_get(object, "status.uncountedTerminatedPods");
        json_auto_t *seen = json_object();
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                size_t i;
                const json_t *name;
                json_array_foreach (json_object_get(uncounted, lists[l]), i, name) {
                        const char *uid = cx_str(json_string_value(name));
                        CX_CLEANUP(cx_freep)
                        char *field = cx_sprintf("status.uncountedTerminatedPods.%s[%zu]", lists[l], i);
                        if (!*uid)
                                invalid(causes, field, name, "must not be empty");
                        else if (json_object_get(seen, uid))
                                cx_error_cause(causes, "FieldValueDuplicate", field, "Duplicate value: \"%s\"", uid);
                        else
                                json_object_set_new(seen, uid, json_true());
                }
        }
}

// --- indexes ---------------------------------------------------------------------------------------------------------

static void check_index_text(const json_t *object, const char *name, struct cx_error *causes)
{
        CX_CLEANUP(cx_freep) char *field = cx_sprintf("status.%s", name);
        const json_t *value = json_object_get(json_object_get(object, "status"), name);
        int64_t total;
        CX_CLEANUP(cx_freep)
        char *why = cx_indexes_check(cx_str(json_string_value(value)),
                                     cx_json_int(object, "spec.completions", INT32_MAX), &total);
        CX_CLEANUP(cx_freep) char *detail = cx_sprintf("error parsing %s: %s", name, cx_str(why));
        if (why)
                invalid(causes, field, value, detail);
}

static void check_indexes(const json_t *object, const json_t *old, struct cx_error *causes)
{
        const json_t *done = cx_json_get(object, "status.completedIndexes"),
                     *failed = cx_json_get(object, "status.failedIndexes");
        bool done_changed = differs(object, old, "status.completedIndexes"),
             failed_changed = differs(object, old, "status.failedIndexes");
        if (done_changed)
                check_index_text(object, "completedIndexes", causes);
        if (failed_changed)
                check_index_text(object, "failedIndexes", causes);
        if (done_changed && json_string_length(done) && !is_indexed(object))
                invalid(causes, "status.completedIndexes", done,
                        "cannot set non-empty completedIndexes when non-indexed completion mode");
        if (failed_changed && failed && !cx_json_get(object, "spec.backoffLimitPerIndex"))
                invalid(causes, "status.failedIndexes", failed,
                        "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
        if (!done_changed && !failed_changed)
                return;
        CX_INDEXES a = CX_INDEXES_INIT, b = CX_INDEXES_INIT;
        cx_indexes_parse(&a, json_string_value(done), INT32_MAX);
        cx_indexes_parse(&b, json_string_value(failed), INT32_MAX);
        if (cx_indexes_common(&a, &b))
                invalid(causes, "status.failedIndexes", failed, "failedIndexes and completedIndexes overlap");
}

// --- conditions ------------------------------------------------------------------------------------------------------

static void check_conditions(const json_t *object, const json_t *old, struct cx_error *causes)
{
        static const struct {
                const char *type, *other;
                bool together; // the type needs the other one; else they exclude each other
                const char *detail;
        } pairs[] = {
                {"Complete", "Failed", false, "cannot set Complete=True and Failed=true conditions"},
                {"Complete", "FailureTarget", false, "cannot set Complete=True and FailureTarget=true conditions"},
                {"SuccessCriteriaMet", "Failed", false,
                 "cannot set SuccessCriteriaMet=True and Failed=true conditions"},
                {"SuccessCriteriaMet", "FailureTarget", false,
                 "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
                {"Failed", "FailureTarget", true,
                 "cannot set Failed=True condition without the FailureTarget=true condition"},
                {"Complete", "SuccessCriteriaMet", true,
                 "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
        };
        static const char *const lasting[] = {"Failed", "Complete", "FailureTarget", "SuccessCriteriaMet"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(pairs); i++) {
                bool changed = holds(object, pairs[i].type) != holds(old, pairs[i].type) ||
                               holds(object, pairs[i].other) != holds(old, pairs[i].other);
                if (changed && holds(object, pairs[i].type) && holds(object, pairs[i].other) != pairs[i].together)
                        invalid(causes, "status.conditions", NULL, pairs[i].detail);
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(lasting); i++) {
                CX_CLEANUP(cx_freep)
                char *detail =
                        cx_sprintf("cannot disable the %s%s=True condition", i < 3 ? "terminal " : "", lasting[i]);
                if (holds(old, lasting[i]) && !holds(object, lasting[i]))
                        invalid(causes, "status.conditions", NULL, detail);
        }
}

// --- the end ---------------------------------------------------------------------------------------------------------

static void check_end(const json_t *object, const json_t *old, struct cx_error *causes)
{
        bool ended = is_finished(object), just_ended = ended != is_finished(old);
        static const struct {
                const char *path, *detail;
        } zeros[] = {{"status.active", "active>0 is invalid for finished job"},
                     {"status.terminating", "terminating>0 is invalid for finished job"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(zeros); i++)
                if (ended && (just_ended || differs(object, old, zeros[i].path)) &&
                    cx_json_int(object, zeros[i].path, 0) > 0)
                        invalid(causes, zeros[i].path, cx_json_get(object, zeros[i].path), zeros[i].detail);
        if (ended && (just_ended || differs(object, old, "status.startTime")) &&
            !cx_json_string(object, "status.startTime"))
                required(causes, "status.startTime", "startTime is required for finished job");
        if (ended && (just_ended || differs(object, old, "status.uncountedTerminatedPods")) &&
            cx_json_count(object, "status.uncountedTerminatedPods.succeeded") +
                    cx_json_count(object, "status.uncountedTerminatedPods.failed"))
                invalid(causes, "status.uncountedTerminatedPods", cx_json_get(object, "status.uncountedTerminatedPods"),
                        "uncountedTerminatedPods needs to be empty for finished job");
        if ((differs(object, old, "status.ready") || differs(object, old, "status.active")) &&
            cx_json_int(object, "status.ready", 0) > cx_json_int(object, "status.active", 0))
                invalid(causes, "status.ready", cx_json_get(object, "status.ready"),
                        "cannot set more ready pods than active");
}

static void check_times(const json_t *object, const json_t *old, struct cx_error *causes)
{
        const json_t *start = cx_json_get(object, "status.startTime"),
                     *end = cx_json_get(object, "status.completionTime");
        bool complete = holds(object, "Complete"), end_changed = differs(object, old, "status.completionTime");
        bool start_changed = differs(object, old, "status.startTime");
        int64_t from, to;
        if (complete != holds(old, "Complete") || end_changed) {
                if (end && !complete)
                        invalid(causes, "status.completionTime", end,
                                "cannot set completionTime when there is no Complete=True condition");
                if (!end && complete)
                        required(causes, "status.completionTime", "completionTime is required for Complete jobs");
        }
        if ((start_changed || end_changed) && start && end &&
            cx_time_parse(cx_str(json_string_value(start)), &from) == 0 &&
            cx_time_parse(cx_str(json_string_value(end)), &to) == 0 && to < from)
                invalid(causes, "status.completionTime", end, "completionTime cannot be set before startTime");
        if (end_changed && end && cx_json_get(old, "status.completionTime"))
                invalid(causes, "status.completionTime", end, "completionTime cannot be mutated");
}

void check_job_status(const json_t *object, const json_t *old, struct cx_error *causes)
{
        check_numbers(object, old, causes);
        check_names(object, causes);
        check_conditions(object, old, causes);
        check_times(object, old, causes);
        check_end(object, old, causes);
        check_indexes(object, old, causes);
}
