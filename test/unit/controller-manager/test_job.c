// SPDX-License-Identifier: Apache-2.0
// What a Job and its pods come to: what is counted, whether the Job is at its end, which pods are to be made and
// deleted. All of it without a server.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "controller-manager/batch/job_sync.h"
#include "controller-manager/controllers.h"
#include "libcommon/base/buf.h"
#include "test/unit/controller-manager/world.h"

#define NOW INT64_C(1795235340) // 2026-11-21T04:29:00Z
#define JOB_UID "job-uid"

// --- pods ------------------------------------------------------------------------------------------------------------

struct fixture {
        struct object_parts *parts;
        struct jobs jobs;
};

static void fixture_init(struct fixture *f)
{
        *f = (struct fixture){.parts = object_parts_new()};
        object_parts_add(f->parts, &pod_state_part);
        object_parts_add(f->parts, &job_pod_part);
        job_records_init(&f->jobs.records);
}

static void fixture_release(struct fixture *f)
{
        job_records_release(&f->jobs.records);
        object_parts_free(f->parts);
}

static void at(char to[CX_TIME_TEXT], int64_t seconds_ago)
{
        cx_time_format((NOW - seconds_ago) * CX_US_PER_S, to);
}

// A pod from a few words: "p1 Failed index=3 ago=20 deleted bare failures=1 ignored=1 exit=7 restarts=2 ready
// condition=DisruptionTarget". `ago` is when it finished; `bare` is without the finalizer.
static json_t *pod_json(const char *words)
{
        char text[CX_TIME_TEXT];
        CX_STRINGS list = CX_STRINGS_INIT;
        cx_strings_split(&list, words, ' ');
        json_t *pod =
                quoted_json("{'metadata': {'namespace': 'a', 'annotations': {}, 'finalizers': "
                            "['batch.kubernetes.io/job-tracking'], 'ownerReferences': [{'apiVersion': 'batch/v1', "
                            "'kind': 'Job', 'name': 'j', 'uid': '" JOB_UID "', 'controller': true}]}, 'status': "
                            "{'conditions': [], 'containerStatuses': [{'name': 'c', 'state': {}}]}}");
        json_t *annotations = cx_json_get(pod, "metadata.annotations"),
               *conditions = cx_json_get(pod, "status.conditions");
        json_t *container = json_array_get(cx_json_get(pod, "status.containerStatuses"), 0);
        cx_json_set_string(pod, "metadata.name", list.items[0]);
        cx_json_set_string(pod, "metadata.uid", list.items[0]);
        cx_json_set_string(pod, "status.phase", list.items[1]);
        for (size_t i = 2; i < list.count; i++) {
                const char *word = list.items[i], *value = strchr(word, '=') ? strchr(word, '=') + 1 : "";
                int64_t number = strtoll(value, NULL, 10);
                if (cx_has_prefix(word, "index="))
                        json_object_set_new(annotations, JOB_INDEX, json_string(value));
                else if (cx_has_prefix(word, "failures="))
                        json_object_set_new(annotations, JOB_INDEX_FAILURES, json_string(value));
                else if (cx_has_prefix(word, "ignored="))
                        json_object_set_new(annotations, JOB_INDEX_IGNORED, json_string(value));
                else if (cx_has_prefix(word, "ago="))
                        at(text, number), cx_json_set_string(container, "state.terminated.finishedAt", text);
                else if (cx_has_prefix(word, "exit="))
                        (void)cx_json_set(container, "state.terminated.exitCode", json_integer(number));
                else if (cx_has_prefix(word, "restarts="))
                        (void)cx_json_set(container, "restartCount", json_integer(number));
                else if (cx_has_prefix(word, "condition="))
                        json_array_append_new(conditions, json_pack("{s:s, s:s}", "type", value, "status", "True"));
                else if (strcmp(word, "ready") == 0)
                        json_array_append_new(conditions, json_pack("{s:s, s:s}", "type", "Ready", "status", "True"));
                else if (strcmp(word, "deleted") == 0)
                        at(text, 0), cx_json_set_string(pod, "metadata.deletionTimestamp", text);
                else if (strcmp(word, "bare") == 0)
                        cx_json_remove(pod, "metadata.finalizers");
                else
                        fail_msg("%s?", word);
        }
        return pod;
}

static void add_pod(struct fixture *f, struct job_sync *s, const char *words)
{
        json_auto_t *json = pod_json(words);
        struct cx_object *object = cx_object_new(json, NULL, 0);
        object->projection = object_parts_project(f->parts, json);
        object->free_projection = object_parts_free_projection;
        cx_objects_add(&s->pods, object);
        cx_object_unref(object);
}

// "p1 Failed; p2 Running ready"
static void add_pods(struct fixture *f, struct job_sync *s, const char *pods)
{
        CX_STRINGS list = CX_STRINGS_INIT;
        cx_strings_split(&list, pods, ';');
        for (size_t i = 0; *pods && i < list.count; i++)
                add_pod(f, s, list.items[i] + strspn(list.items[i], " "));
}

static char *names(const struct cx_objects *pods)
{
        CX_STRINGS list = CX_STRINGS_INIT;
        for (size_t i = 0; i < pods->count; i++)
                cx_strings_add(&list, pods->items[i]->name);
        return cx_strings_join(&list, " ");
}

// --- one look --------------------------------------------------------------------------------------------------------

#define TEMPLATE "'template': {'spec': {'restartPolicy': 'Never', 'containers': [{'name': 'c'}]}}"
struct look {
        const char *spec, *status, *pods; // spec: what goes before the template
        // What comes of it.
        const char *counts;            // "active ready terminating succeeded failed"
        const char *verdict;           // "Type/Reason"; NULL: none
        const char *surplus, *missing; // names; "2", "1,3" for indexes
        int64_t later;                 // s; 0: not by itself
};

static const struct look looks[] = {
        // As many as are needed, and no more at once than are allowed.
        {"'completions': 1,", "{}", "", "0 0 0 0 0", NULL, "", "1", 0},
        {"'completions': 9, 'parallelism': 4,", "{}", "", "0 0 0 0 0", NULL, "", "4", 0},
        {"'completions': 9, 'parallelism': 4,", "{}", "a Running ready; b Pending", "2 1 0 0 0", NULL, "", "2", 0},
        {"'completions': 9, 'parallelism': 4,", "{'succeeded': 7}", "", "0 0 0 7 0", NULL, "", "2", 0},
        {"'completions': 9, 'parallelism': 0,", "{}", "a Running", "1 0 0 0 0", NULL, "a", "", 0},
        {"'completions': 9, 'parallelism': 1,", "{}", "a Running; b Pending", "2 0 0 0 0", NULL, "b", "", 0},
        {"'completions': 2147483647, 'parallelism': 2147483647,", "{}", "", "0 0 0 0 0", NULL, "", "500", 0},
        // Without a number of completions one success is enough; those that run are waited for.
        {"'parallelism': 2,", "{}", "a Running", "1 0 0 0 0", NULL, "", "1", 0},
        {"'parallelism': 2,", "{}", "a Running; b Succeeded", "1 0 0 1 0", NULL, "", "", 0},
        // A pod counts once, wherever it stands on the way to the number.
        {"'completions': 9, 'parallelism': 1,", "{}", "a Succeeded", "0 0 0 1 0", NULL, "", "1", 0},
        {"'completions': 9, 'parallelism': 1,", "{'uncountedTerminatedPods': {'succeeded': ['a']}}", "a Succeeded",
         "0 0 0 1 0", NULL, "", "1", 0},
        {"'completions': 9, 'parallelism': 1,", "{'uncountedTerminatedPods': {'succeeded': ['a']}}", "a Succeeded bare",
         "0 0 0 1 0", NULL, "", "1", 0},
        {"'completions': 9, 'parallelism': 1,", "{'succeeded': 1}", "a Succeeded bare", "0 0 0 1 0", NULL, "", "1", 0},
        {"'completions': 9, 'parallelism': 1,",
         "{'uncountedTerminatedPods': {'succeeded': ['gone'], 'failed': ['lost']}}", "", "0 0 0 1 1", NULL, "", "1", 0},
        // An active pod that nobody could count goes.
        {"'completions': 9, 'parallelism': 1,", "{}", "a Running bare", "1 0 0 0 0", NULL, "a", "", 0},
        // A deleted pod has failed, unless it is replaced only when it has ended.
        {"'completions': 1,", "{}", "a Running deleted", "0 0 1 0 1", NULL, "", "", 10},
        {"'completions': 1, 'podReplacementPolicy': 'Failed',", "{}", "a Running deleted", "0 0 1 0 0", NULL, "", "",
         0},
        {"'completions': 1, 'podReplacementPolicy': 'Failed',", "{}", "a Failed deleted ago=60", "0 0 0 0 1", NULL, "",
         "1", 0},
        // Back-off: 10 s, doubled for each failure, since the last success.
        {"'completions': 1,", "{}", "a Failed ago=0", "0 0 0 0 1", NULL, "", "", 10},
        {"'completions': 1,", "{}", "a Failed ago=4", "0 0 0 0 1", NULL, "", "", 6},
        {"'completions': 1,", "{}", "a Failed ago=11", "0 0 0 0 1", NULL, "", "1", 0},
        {"'completions': 1,", "{}", "a Failed ago=40; b Failed ago=5", "0 0 0 0 2", NULL, "", "", 15},
        {"'completions': 2,", "{}", "a Failed ago=40; b Succeeded ago=20; c Failed ago=5", "0 0 0 1 2", NULL, "", "",
         5},
        {"'completions': 2,", "{}", "a Failed ago=3; b Succeeded ago=1", "0 0 0 1 1", NULL, "", "1", 0},
        // A manager that has just begun remembers the failures by the pods that are left.
        {"'completions': 1,", "{'failed': 2}", "a Failed bare ago=40; b Failed bare ago=5", "0 0 0 0 2", NULL, "", "",
         15},
        // Limits.
        {"'completions': 1, 'backoffLimit': 0,", "{}", "a Failed ago=0", "0 0 0 0 1",
         "FailureTarget/BackoffLimitExceeded", "", "", 10},
        {"'completions': 1, 'backoffLimit': 2,", "{'failed': 2}", "a Failed ago=99", "0 0 0 0 3",
         "FailureTarget/BackoffLimitExceeded", "", "1", 0},
        {"'completions': 1, 'backoffLimit': 2,", "{'failed': 1}", "a Failed ago=99", "0 0 0 0 2", NULL, "", "1", 0},
        {"'completions': 1, 'activeDeadlineSeconds': 100,", "{'startTime': '2026-11-21T04:28:00Z'}", "a Running",
         "1 0 0 0 0", NULL, "", "", 40},
        {"'completions': 1, 'activeDeadlineSeconds': 60,", "{'startTime': '2026-11-21T04:28:00Z'}", "a Running",
         "1 0 0 0 0", "FailureTarget/DeadlineExceeded", "", "", 0},
        {"'completions': 1, 'activeDeadlineSeconds': 9223372036854775807,", "{'startTime': '2026-11-21T04:28:00Z'}",
         "a Running", "1 0 0 0 0", NULL, "", "", 365 * 86400},
        {"'completions': 1, 'suspend': true, 'activeDeadlineSeconds': 60,", "{'startTime': '2026-11-21T04:28:00Z'}",
         "a Running", "1 0 0 0 0", NULL, "a", "", 0},
        // What was decided stays, and a success weighs more.
        {"'completions': 1,",
         "{'conditions': [{'type': 'FailureTarget', 'status': 'True', 'reason': 'R', 'message': 'M'}]}", "",
         "0 0 0 0 0", "Failed/R", "", "1", 0},
        {"'completions': 1, 'backoffLimit': 0,",
         "{'conditions': [{'type': 'SuccessCriteriaMet', 'status': 'True', 'reason': 'R', 'message': 'M'}]}",
         "a Failed ago=99", "0 0 0 0 1", "SuccessCriteriaMet/R", "", "1", 0},
        // Indexes.
        {"'completionMode': 'Indexed', 'completions': 5, 'parallelism': 3,", "{}", "", "0 0 0 0 0", NULL, "", "0,1,2",
         0},
        {"'completionMode': 'Indexed', 'completions': 5, 'parallelism': 3,",
         "{'completedIndexes': '0,2', 'succeeded': 2}", "a Running index=1", "1 0 0 2 0", NULL, "", "3,4", 0},
        {"'completionMode': 'Indexed', 'completions': 5, 'parallelism': 3,", "{}",
         "a Succeeded index=1; b Succeeded index=1; c Succeeded index=9; d Succeeded", "0 0 0 1 0", NULL, "", "0,2,3",
         0},
        {"'completionMode': 'Indexed', 'completions': 5, 'parallelism': 3,", "{}",
         "a Running index=1; b Pending index=1; c Running index=5; d Running", "4 0 0 0 0", NULL, "c d b", "", 0},
        {"'completionMode': 'Indexed', 'completions': 3, 'parallelism': 3, 'podReplacementPolicy': 'Failed',", "{}",
         "a Running deleted index=1; b Running index=0", "1 0 1 0 0", NULL, "", "2", 0},
        {"'completionMode': 'Indexed', 'completions': 2, 'parallelism': 2,",
         "{'completedIndexes': '0-4', 'succeeded': 5}", "", "0 0 0 2 0", NULL, "", "", 0}, // scaled down
        // A limit for each index.
        {"'completionMode': 'Indexed', 'completions': 2, 'parallelism': 2, 'backoffLimitPerIndex': 1, 'backoffLimit': "
         "99,",
         "{}", "a Failed index=0 failures=0 ago=99; b Running index=1", "1 0 0 0 1", NULL, "", "0", 0},
        {"'completionMode': 'Indexed', 'completions': 2, 'parallelism': 2, 'backoffLimitPerIndex': 1, 'backoffLimit': "
         "99,",
         "{}", "a Failed index=0 failures=0 ago=3; b Running index=1", "1 0 0 0 1", NULL, "", "", 7},
        {"'completionMode': 'Indexed', 'completions': 2, 'parallelism': 2, 'backoffLimitPerIndex': 1, 'backoffLimit': "
         "99,",
         "{}", "a Failed index=0 failures=1 ago=3; b Running index=1", "1 0 0 0 1", NULL, "", "", 0},
        {"'completionMode': 'Indexed', 'completions': 2, 'parallelism': 2, 'backoffLimitPerIndex': 1, 'backoffLimit': "
         "99,",
         "{'failedIndexes': '0'}", "b Succeeded index=1", "0 0 0 1 0", "FailureTarget/FailedIndexes", "", "", 0},
        {"'completionMode': 'Indexed', 'completions': 3, 'parallelism': 2, 'backoffLimitPerIndex': 0, 'backoffLimit': "
         "99, "
         "'maxFailedIndexes': 1,",
         "{'failedIndexes': '0'}", "b Failed index=1", "0 0 0 0 1", "FailureTarget/MaxFailedIndexesExceeded", "", "2",
         0},
        // Success policies.
        {"'completionMode': 'Indexed', 'completions': 9, 'parallelism': 2, 'successPolicy': {'rules': "
         "[{'succeededIndexes': "
         "'1,3'}]},",
         "{'completedIndexes': '1'}", "a Running index=2", "1 0 0 1 0", NULL, "", "0", 0},
        {"'completionMode': 'Indexed', 'completions': 9, 'parallelism': 2, 'successPolicy': {'rules': "
         "[{'succeededIndexes': "
         "'7'}, {'succeededIndexes': '1,3'}]},",
         "{'completedIndexes': '1'}", "a Succeeded index=3; b Running index=2", "1 0 0 2 0",
         "SuccessCriteriaMet/SuccessPolicy", "", "0", 0},
        {"'completionMode': 'Indexed', 'completions': 9, 'parallelism': 1, 'successPolicy': {'rules': "
         "[{'succeededCount': 1, "
         "'succeededIndexes': '4-8'}]},",
         "{'completedIndexes': '0,5'}", "", "0 0 0 2 0", "SuccessCriteriaMet/SuccessPolicy", "", "1", 0},
        {"'completionMode': 'Indexed', 'completions': 9, 'parallelism': 1, 'successPolicy': {'rules': "
         "[{'succeededCount': "
         "3}]},",
         "{'completedIndexes': '0,5'}", "", "0 0 0 2 0", NULL, "", "1", 0},
        // Failure policies.
        {"'completions': 1, 'podFailurePolicy': {'rules': [{'action': 'FailJob', 'onExitCodes': {'operator': 'In', "
         "'values': [42]}}]},",
         "{}", "a Failed exit=42 ago=99", "0 0 0 0 1", "FailureTarget/PodFailurePolicy", "", "1", 0},
        {"'completions': 1, 'backoffLimit': 0, 'podFailurePolicy': {'rules': [{'action': 'Ignore', 'onPodConditions': "
         "[{'type': 'DisruptionTarget', 'status': 'True'}]}]},",
         "{}", "a Failed exit=42 ago=99 condition=DisruptionTarget", "0 0 0 0 0", NULL, "", "1", 0},
        {"'completionMode': 'Indexed', 'completions': 2, 'backoffLimitPerIndex': 9, 'podFailurePolicy': {'rules': "
         "[{'action': 'FailIndex', 'onExitCodes': {'operator': 'In', 'values': [42]}}]},",
         "{}", "a Failed index=0 exit=42 ago=99", "0 0 0 0 1", NULL, "", "1", 0},
};

static char *missing_text(const struct job_plan *plan)
{
        if (!plan->missing)
                return cx_strdup("");
        if (!plan->indexes)
                return cx_sprintf("%zu", plan->missing);
        CX_BUF text = CX_BUF_INIT;
        for (size_t i = 0; i < plan->missing; i++)
                cx_buf_printf(&text, "%s%lld", i ? "," : "", (long long)plan->indexes[i]);
        return cx_buf_detach(&text);
}

static struct cx_object *job_object(json_t *job)
{
        cx_json_set_string(job, "metadata.name", "j");
        cx_json_set_string(job, "metadata.namespace", "a");
        cx_json_set_string(job, "metadata.uid", JOB_UID);
        return cx_object_new(job, NULL, 0);
}

static void expect(const struct look *look, const char *what, const char *is, const char *wanted)
{
        if (!cx_streq(is, wanted))
                fail_msg("{%s} %s [%s]: %s is %s, not %s", look->spec, look->status, look->pods, what, cx_str(is),
                         cx_str(wanted));
}

static void test_looks(void **state CX_UNUSED)
{
        struct fixture f;
        fixture_init(&f);
        for (size_t i = 0; i < CX_ARRAY_SIZE(looks); i++) {
                const struct look *look = &looks[i];
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("{'spec': {%s " TEMPLATE "}, 'status': %s}", look->spec, look->status);
                json_t *json = quoted_json(text);
                CX_OBJECT *object = job_object(json);
                const struct owner owner = {&job_kind, object};
                struct job_sync s = {.jobs = &f.jobs, .owner = &owner, .json = json, .now = NOW * CX_US_PER_S};
                add_pods(&f, &s, look->pods);
                job_sync_read(&s);
                job_judge(&s);
                struct job_plan plan = {0};
                job_plan(&s, &plan);
                CX_CLEANUP(cx_freep)
                char *counts = cx_sprintf("%lld %lld %lld %lld %lld", (long long)s.n_active, (long long)s.ready,
                                          (long long)s.terminating, (long long)s.succeeded, (long long)s.failed);
                CX_CLEANUP(cx_freep)
                char *verdict = s.verdict.type ? cx_sprintf("%s/%s", s.verdict.type, s.verdict.reason) : NULL;
                CX_CLEANUP(cx_freep) char *surplus = names(&plan.surplus);
                CX_CLEANUP(cx_freep) char *missing = missing_text(&plan);
                expect(look, "counts", counts, look->counts);
                expect(look, "verdict", verdict, look->verdict);
                expect(look, "surplus", surplus, look->surplus);
                expect(look, "missing", missing, look->missing);
                CX_CLEANUP(cx_freep) char *later = cx_sprintf("%lld", (long long)(s.retry_after / CX_NS_PER_S));
                CX_CLEANUP(cx_freep) char *wanted = cx_sprintf("%lld", (long long)look->later);
                expect(look, "later", later, wanted);
                job_plan_release(&plan);
                job_sync_release(&s);
        }
        fixture_release(&f);
}

// A pod whose finalizer this process has just taken off is not looked at again, whatever the informer shows.
static void test_awaited(void **state CX_UNUSED)
{
        struct fixture f;
        fixture_init(&f);
        json_t *json = quoted_json("{'spec': {'completions': 9, " TEMPLATE "}, 'status': {'succeeded': 1}}");
        CX_OBJECT *object = job_object(json);
        const struct owner owner = {&job_kind, object};
        struct job_sync s = {.jobs = &f.jobs, .owner = &owner, .json = json, .now = NOW * CX_US_PER_S};
        add_pods(&f, &s, "a Succeeded");
        job_records_releasing(&f.jobs.records, object, "a");
        job_records_awaited(&f.jobs.records, object, &s.awaited);
        job_sync_read(&s);
        assert_int_equal(s.succeeded, 1);
        job_sync_release(&s);
        // Another Job of the name has nothing to do with it.
        json_auto_t *other = quoted_json("{'metadata': {'name': 'j', 'namespace': 'a', 'uid': 'other'}}");
        CX_OBJECT *another = cx_object_new(other, NULL, 0);
        CX_MAP awaited = CX_MAP_INIT;
        job_records_awaited(&f.jobs.records, another, &awaited);
        assert_int_equal(awaited.count, 0);
        job_records_released(&f.jobs.records, "a/j", "a");
        job_records_awaited(&f.jobs.records, object, &awaited);
        assert_int_equal(awaited.count, 0);
        fixture_release(&f);
}

// --- parts -----------------------------------------------------------------------------------------------------------

static void test_backoff(void **state CX_UNUSED)
{
        static const int64_t delays[] = {0, 10, 20, 40, 80, 160, 320, 360, 360};
        for (size_t i = 0; i < CX_ARRAY_SIZE(delays); i++) {
                struct job_backoff backoff = {(int64_t)i, NOW * CX_US_PER_S};
                assert_int_equal(job_backoff_left(&backoff, NOW * CX_US_PER_S), delays[i] * CX_NS_PER_S);
                if (i)
                        assert_int_equal(job_backoff_left(&backoff, (NOW + delays[i] - 1) * CX_US_PER_S), CX_NS_PER_S);
                assert_int_equal(job_backoff_left(&backoff, (NOW + delays[i]) * CX_US_PER_S), 0);
        }
        struct job_backoff many = {INT64_MAX, NOW * CX_US_PER_S};
        assert_int_equal(job_backoff_left(&many, NOW * CX_US_PER_S), 360 * CX_NS_PER_S);
        assert_int_equal(job_backoff_left(&many, 0), 360 * CX_NS_PER_S); // the clock went back
        assert_int_equal(job_backoff_left(&many, INT64_MAX), 0);
}

static void test_failure_policy(void **state CX_UNUSED)
{
        static const struct {
                const char *rules, *outcome;
                enum failure_action action;
                const char *message;
        } cases[] = {
                {"[]", "{'exits': [{'name': 'c', 'code': 1}]}", FAILURE_NO_RULE, NULL},
                {"[{'action': 'Ignore', 'onExitCodes': {'operator': 'In', 'values': [1, 2]}}]",
                 "{'exits': [{'name': 'c', 'code': 2}]}", FAILURE_IGNORE, NULL},
                {"[{'action': 'Ignore', 'onExitCodes': {'operator': 'NotIn', 'values': [1, 2]}}]",
                 "{'exits': [{'name': 'c', 'code': 2}]}", FAILURE_NO_RULE, NULL},
                {"[{'action': 'Count', 'onExitCodes': {'operator': 'NotIn', 'values': [1, 2]}}]",
                 "{'exits': [{'name': 'c', 'code': 3}]}", FAILURE_COUNT, NULL},
                {"[{'action': 'FailJob', 'onExitCodes': {'containerName': 'main', 'operator': 'In', 'values': [2]}}]",
                 "{'exits': [{'name': 'c', 'code': 2}]}", FAILURE_NO_RULE, NULL},
                {"[{'action': 'Count', 'onExitCodes': {'operator': 'In', 'values': [9]}}, {'action': 'FailJob', "
                 "'onExitCodes': {'containerName': 'main', 'operator': 'In', 'values': [2]}}]",
                 "{'exits': [{'name': 'c', 'code': 2}, {'name': 'main', 'code': 2}]}", FAILURE_FAIL_JOB,
                 "Container main for pod a/p failed with exit code 2 matching FailJob rule at index 1"},
                {"[{'action': 'FailJob', 'onPodConditions': [{'type': 'X', 'status': 'True'}, {'type': "
                 "'DisruptionTarget', "
                 "'status': 'True'}]}]",
                 "{'conditions': [{'type': 'DisruptionTarget', 'status': 'True'}]}", FAILURE_FAIL_JOB,
                 "Pod a/p has condition DisruptionTarget matching FailJob rule at index 0"},
                {"[{'action': 'FailIndex', 'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'False'}]}]",
                 "{'conditions': [{'type': 'DisruptionTarget', 'status': 'True'}]}", FAILURE_NO_RULE, NULL},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("{'rules': %s}", cases[i].rules);
                json_auto_t *policy = quoted_json(text);
                json_auto_t *outcome = quoted_json(cases[i].outcome);
                CX_CLEANUP(cx_freep) char *message = NULL;
                assert_int_equal(match_failure_policy(policy, outcome, "a/p", &message), cases[i].action);
                assert_true(cx_streq(message, cases[i].message));
        }
        assert_int_equal(match_failure_policy(NULL, NULL, "a/p", NULL), FAILURE_NO_RULE);
}

static void test_made_pods(void **state CX_UNUSED)
{
        struct fixture f;
        fixture_init(&f);
        json_t *json = quoted_json(
                "{'spec': {'completions': 3, 'completionMode': 'Indexed', 'backoffLimitPerIndex': 5, "
                "'podFailurePolicy': "
                "{'rules': [{'action': 'Ignore', 'onPodConditions': [{'type': 'X', 'status': 'True'}]}]}, 'template': "
                "{'metadata': {'labels': {'l': 'v'}, 'finalizers': ['own/one']}, 'spec': {'initContainers': [{'name': "
                "'i', "
                "'env': [{'name': 'JOB_COMPLETION_INDEX', 'value': 'mine'}]}], 'containers': [{'name': 'c'}]}}}}");
        CX_OBJECT *object = job_object(json);
        const struct owner owner = {&job_kind, object};
        struct job_sync s = {.jobs = &f.jobs, .owner = &owner, .json = json, .now = NOW * CX_US_PER_S};
        add_pods(&f, &s, "a Failed index=1 failures=2 ignored=1; b Failed index=2 failures=2 condition=X");
        job_sync_read(&s);
        json_auto_t *first = job_make_pod(&s, 1);
        json_auto_t *wanted = quoted_json(
                "{'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'generateName': 'j-1-', 'ownerReferences': "
                "[{'apiVersion': "
                "'batch/v1', 'kind': 'Job', 'name': 'j', 'uid': 'job-uid', 'controller': true, 'blockOwnerDeletion': "
                "true}], "
                "'labels': {'l': 'v', 'batch.kubernetes.io/job-completion-index': '1'}, 'finalizers': ['own/one', "
                "'batch.kubernetes.io/job-tracking'], 'annotations': {'batch.kubernetes.io/job-completion-index': '1', "
                "'batch.kubernetes.io/job-index-failure-count': '3', "
                "'batch.kubernetes.io/job-index-ignored-failure-count': "
                "'1'}}, 'spec': {'hostname': 'j-1', 'initContainers': [{'name': 'i', 'env': [{'name': "
                "'JOB_COMPLETION_INDEX', 'value': 'mine'}]}], 'containers': [{'name': 'c', 'env': [{'name': "
                "'JOB_COMPLETION_INDEX', 'valueFrom': {'fieldRef': {'fieldPath': "
                "\"metadata.labels[\\u0027batch.kubernetes.io/job-completion-index\\u0027]\"}}}]}]}}");
        if (!json_equal(first, wanted)) {
                CX_CLEANUP(cx_freep) char *text = cx_json_text(first);
                fail_msg("%s", text);
        }
        json_auto_t *second = job_make_pod(&s, 2);
        const json_t *annotations = cx_json_get(second, "metadata.annotations");
        assert_string_equal(json_string_value(json_object_get(annotations, JOB_INDEX_FAILURES)), "2");
        assert_string_equal(json_string_value(json_object_get(annotations, JOB_INDEX_IGNORED)), "1");
        json_auto_t *fresh = job_make_pod(&s, 0);
        annotations = cx_json_get(fresh, "metadata.annotations");
        assert_string_equal(json_string_value(json_object_get(annotations, JOB_INDEX_FAILURES)), "0");
        assert_null(json_object_get(annotations, JOB_INDEX_IGNORED));
        job_sync_release(&s);
        fixture_release(&f);
}

// --- pods that nobody will count -------------------------------------------------------------------------------------

#define HELD "/api/v1/namespaces/a/pods/p"
#define RELEASED "metadata.$deleteFromPrimitiveList/finalizers" // how the server in memory shows the patch

// The server has a Job that no event tells of, as if the informer were late.
static void put_silently(struct world *w, const char *uid)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata': {'name': 'j', 'namespace': 'a', 'uid': '%s'}, 'status': {}}", uid);
        json_t *job = quoted_json(text);
        cx_json_set_string(job, "metadata.resourceVersion", "1");
        pthread_mutex_lock(&w->api->lock);
        cx_map_set(&w->api->objects, "/apis/batch/v1/namespaces/a/jobs/j", job);
        pthread_mutex_unlock(&w->api->lock);
}

static bool is_released(struct world *w)
{
        CX_CLEANUP(cx_freep) char *text = world_text(w, HELD, RELEASED);
        return *text;
}

static void look_again(void *self)
{
        int64_t later = 0;
        CX_ERROR err = CX_ERROR_INIT;
        if (job_controller.reconcile(self, "a/j", &later, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
}

// A pod is let go when its Job is gone, and not while the informer has only not seen the Job yet.
static void test_leftovers(void **state CX_UNUSED)
{
        struct world w;
        world_init(&w);
        struct cx_workqueue *queue = cx_workqueue_new("test");
        void *self = job_controller.init(&w.manager, queue);
        world_start(&w, 2);
        put_silently(&w, "job");
        world_put(&w, HELD,
                  "{'metadata': {'name': 'p', 'namespace': 'a', 'uid': 'p', 'finalizers': "
                  "['batch.kubernetes.io/job-tracking'], 'ownerReferences': [{'apiVersion': 'batch/v1', 'kind': 'Job', "
                  "'name': 'j', 'uid': 'job', 'controller': true}]}}");
        char *key = cx_workqueue_get(queue, 20 * CX_NS_PER_S); // the informer shows it
        assert_string_equal(key, "a/j");
        cx_workqueue_done(queue, key);
        look_again(self);
        assert_false(is_released(&w));
        put_silently(&w, "another");
        look_again(self);
        assert_true(is_released(&w));
        cx_informers_free(w.manager.informers);
        w.manager.informers = NULL;
        job_controller.free(self);
        cx_workqueue_free(queue);
        world_stop(&w);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_looks),     cmocka_unit_test(test_awaited),
                cmocka_unit_test(test_backoff),   cmocka_unit_test(test_failure_policy),
                cmocka_unit_test(test_made_pods), cmocka_unit_test(test_leftovers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
