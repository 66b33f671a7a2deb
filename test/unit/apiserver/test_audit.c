// SPDX-License-Identifier: Apache-2.0
// The audit log's policy: which rule a request meets, and what is refused; where requests came from; and the file that is set
// aside when it is full.
#include "apiserver/audit/event.h"
#include "apiserver/audit/log_file.h"
#include "apiserver/audit/text.h"
#include "libcommon/base/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#define HEAD "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: ["
#define POLICY(rules) HEAD rules "]}"

static struct audit_policy *policy_of(const char *text)
{
        struct audit_policy *policy = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (audit_policy_parse(text, strlen(text), &policy, &err) < 0)
                fail_msg("%s: %s", text, cx_error_text(&err));
        return policy;
}

static void test_matching(void **state)
{
        (void)state;
        static const struct {
                const char *rule;
                const char *user, *verb, *group, *resource, *subresource, *namespace, *name,
                        *path; // no resource: a path
                bool matches;
        } cases[] = {
                {"level: Metadata", "a", "get", "", "pods", "", "ns", "x", "", true},
                {"level: Metadata", NULL, "get", NULL, NULL, NULL, NULL, NULL, "/x", true},
                {"level: Metadata, users: [a]", "a", "get", "", "pods", "", "ns", "x", "", true},
                {"level: Metadata, users: [a]", "b", "get", "", "pods", "", "ns", "x", "", false},
                {"level: Metadata, users: [\"\"]", NULL, "get", "", "pods", "", "ns", "x", "", false},
                {"level: Metadata, userGroups: [g]", "a", "get", "", "pods", "", "ns", "x", "", true},
                {"level: Metadata, userGroups: [h]", "a", "get", "", "pods", "", "ns", "x", "", false},
                {"level: Metadata, userGroups: [g]", NULL, "get", "", "pods", "", "ns", "x", "", false},
                {"level: Metadata, verbs: [list, get]", "a", "get", "", "pods", "", "ns", "x", "", true},
                {"level: Metadata, verbs: [list]", "a", "get", "", "pods", "", "ns", "x", "", false},
                {"level: Metadata, verbs: [\"*\"]", "a", "get", "", "pods", "", "ns", "x", "", false},
                {"level: Metadata, namespaces: [ns]", "a", "get", "", "pods", "", "ns", "x", "", true},
                {"level: Metadata, namespaces: [ns]", "a", "get", "", "pods", "", "m", "x", "", false},
                {"level: Metadata, namespaces: [\"\"]", "a", "get", "", "nodes", "", "", "x", "", true},
                {"level: Metadata, namespaces: [\"\"]", "a", "get", NULL, NULL, NULL, NULL, NULL, "/x", false},
                {"level: Metadata, resources: [{}]", "a", "get", "", "pods", "", "ns", "x", "", true},
                {"level: Metadata, resources: [{group: apps}]", "a", "get", "", "pods", "", "ns", "x", "", false},
                {"level: Metadata, resources: [{group: apps}]", "a", "get", "apps", "deployments", "scale", "ns", "x",
                 "", true},
                {"level: Metadata, resources: [{resources: [pods]}]", "a", "get", "", "pods", "", "ns", "x", "", true},
                {"level: Metadata, resources: [{resources: [pods]}]", "a", "get", "", "pods", "log", "ns", "x", "",
                 false},
                {"level: Metadata, resources: [{resources: [pods]}]", "a", "get", "", "podsx", "", "ns", "x", "",
                 false},
                {"level: Metadata, resources: [{resources: [pods/log]}]", "a", "get", "", "pods", "log", "ns", "x", "",
                 true},
                {"level: Metadata, resources: [{resources: [pods/log]}]", "a", "get", "", "pods", "", "ns", "x", "",
                 false},
                {"level: Metadata, resources: [{resources: [pods/log]}]", "a", "get", "", "pods", "lo", "ns", "x", "",
                 false},
                {"level: Metadata, resources: [{resources: [\"pods/*\"]}]", "a", "get", "", "pods", "", "ns", "x", "",
                 true},
                {"level: Metadata, resources: [{resources: [\"pods/*\"]}]", "a", "get", "", "pods", "log", "ns", "x",
                 "", true},
                {"level: Metadata, resources: [{resources: [\"*/log\"]}]", "a", "get", "", "pods", "log", "ns", "x", "",
                 true},
                {"level: Metadata, resources: [{resources: [\"*/log\"]}]", "a", "get", "", "pods", "", "ns", "x", "",
                 false},
                {"level: Metadata, resources: [{resources: [\"*\"]}]", "a", "get", "", "pods", "log", "ns", "x", "",
                 true},
                {"level: Metadata, resources: [{resources: [pods], resourceNames: [x]}]", "a", "get", "", "pods", "",
                 "ns", "x", "", true},
                {"level: Metadata, resources: [{resources: [pods], resourceNames: [x]}]", "a", "get", "", "pods", "",
                 "ns", "y", "", false},
                {"level: Metadata, resources: [{resources: [pods]}]", "a", "get", NULL, NULL, NULL, NULL, NULL, "/pods",
                 false},
                {"level: Metadata, nonResourceURLs: [/x]", "a", "get", NULL, NULL, NULL, NULL, NULL, "/x", true},
                {"level: Metadata, nonResourceURLs: [/x]", "a", "get", NULL, NULL, NULL, NULL, NULL, "/x/y", false},
                {"level: Metadata, nonResourceURLs: [\"/x*\"]", "a", "get", NULL, NULL, NULL, NULL, NULL, "/x/y", true},
                {"level: Metadata, nonResourceURLs: [\"*\"]", "a", "get", NULL, NULL, NULL, NULL, NULL, "/y", true},
                {"level: Metadata, nonResourceURLs: [\"*\"]", "a", "get", "", "pods", "", "ns", "x", "/api", false},
        };
        CX_STRINGS groups = CX_STRINGS_INIT;
        cx_strings_add(&groups, "f");
        cx_strings_add(&groups, "g");
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf(POLICY("{%s}"), cases[i].rule);
                CX_CLEANUP(audit_policy_freep) struct audit_policy *policy = policy_of(text);
                const struct audit_subject subject = {.user = cases[i].user,
                                                      .groups = cases[i].user ? &groups : NULL,
                                                      .is_resource = cases[i].resource != NULL,
                                                      .verb = cases[i].verb,
                                                      .group = cx_str(cases[i].group),
                                                      .resource = cx_str(cases[i].resource),
                                                      .subresource = cx_str(cases[i].subresource),
                                                      .namespace = cx_str(cases[i].namespace),
                                                      .name = cx_str(cases[i].name),
                                                      .path = cases[i].path};
                if ((audit_policy_judge(policy, &subject).level == AUDIT_METADATA) != cases[i].matches)
                        fail_msg("case %zu: %s", i, cases[i].rule);
        }
}

static void test_verdict(void **state)
{
        (void)state;
        CX_CLEANUP(audit_policy_freep)
        struct audit_policy *policy = policy_of(
                "{apiVersion: audit.k8s.io/v1, kind: Policy, metadata: {name: p}, omitStages: [RequestReceived], "
                "omitManagedFields: true, rules: [{level: None, verbs: [get]}, {level: RequestResponse, verbs: [get, "
                "put], "
                "omitManagedFields: false, omitStages: [Panic]}, {level: Request, verbs: [post]}]}");
        struct audit_subject subject = {.verb = "get", .path = "/"};
        assert_int_equal(audit_policy_judge(policy, &subject).level, AUDIT_NONE);
        subject.verb = "put";
        struct audit_verdict verdict = audit_policy_judge(policy, &subject);
        assert_int_equal(verdict.level, AUDIT_REQUEST_RESPONSE);
        assert_int_equal(verdict.omitted, 1U << AUDIT_REQUEST_RECEIVED | 1U << AUDIT_PANIC);
        assert_false(verdict.omit_managed_fields);
        subject.verb = "post";
        assert_true(audit_policy_judge(policy, &subject).omit_managed_fields);
        subject.verb = "delete";
        assert_int_equal(audit_policy_judge(policy, &subject).level, AUDIT_NONE);
}

static void test_refused(void **state)
{
        (void)state;
        static const struct {
                const char *text, *message;
        } cases[] = {
                {POLICY(""), "loaded illegal policy with 0 rules"},
                {"{apiVersion: audit.k8s.io/v1, kind: Policy}", "loaded illegal policy with 0 rules"},
                {"{apiVersion: audit.k8s.io/v1beta1, kind: Policy, rules: [{level: None}]}",
                 "apiVersion audit.k8s.io/v1"},
                {POLICY("{level: None}") "\n---\n" POLICY("{level: None}"), "one document"},
                {POLICY("{}"), "rules[0].level: Required value"},
                {POLICY("{level: none}"),
                 "rules[0].level: Unsupported value: \"none\": supported values: \"None\", \"Metadata\""},
                {POLICY("{level: None, omitStages: [Received]}"),
                 "rules[0].omitStages[0]: Invalid value: \"Received\": allowed stages are "
                 "RequestReceived,ResponseStarted,ResponseComplete,Panic"},
                {POLICY("{level: None, nonResourceURLs: [x]}"),
                 "rules[0].nonResourceURLs[0]: Invalid value: \"x\": non-resource URL rules must begin with a '/' "
                 "character"},
                {POLICY("{level: None, nonResourceURLs: [\"/*/x\"]}"),
                 "wildcards '*' must be the final character of the rule"},
                {POLICY("{level: None, nonResourceURLs: [/x], namespaces: [ns]}"),
                 "rules cannot apply to both regular resources and non-resource URLs"},
                {POLICY("{level: None, resources: [{group: Apps}]}"),
                 "rules[0].resources.group: Invalid value: \"Apps\": a "},
                {POLICY("{level: None, resources: [{resourceNames: [x]}]}"),
                 "using resourceNames requires at least one resource"},
                {POLICY("{level: None, resource: []}"), "unknown field \"rules[0].resource\""},
                {POLICY("{level: 1}"), "level"},
                {POLICY("{level: x}, {}"), "[rules[0].level: "},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                struct audit_policy *policy = NULL;
                CX_ERROR err = CX_ERROR_INIT;
                if (audit_policy_parse(cases[i].text, strlen(cases[i].text), &policy, &err) == 0)
                        fail_msg("taken: %s", cases[i].text);
                if (!strstr(cx_error_text(&err), cases[i].message))
                        fail_msg("%s: %s", cases[i].text, cx_error_text(&err));
        }
}

static void test_addresses(void **state)
{
        (void)state;
        static const struct {
                const char *forwarded, *real, *peer, *list;
        } cases[] = {
                {NULL, NULL, "10.0.0.1", "10.0.0.1"},
                {"", "", "10.0.0.1", "10.0.0.1"},
                {"192.0.2.1", NULL, "10.0.0.1", "192.0.2.1 10.0.0.1"},
                {" 192.0.2.1 ,, x,\t::1", NULL, "10.0.0.1", "192.0.2.1 ::1 10.0.0.1"},
                {"192.0.2.1, 10.0.0.1", "192.0.2.1", "10.0.0.1", "192.0.2.1 10.0.0.1"},
                {"10.0.0.1, 192.0.2.1", "192.0.2.2", "10.0.0.1", "10.0.0.1 192.0.2.1 192.0.2.2 10.0.0.1"},
                {"1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21", "x", "10.0.0.1", "10.0.0.1"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_STRINGS list = CX_STRINGS_INIT;
                audit_source_addresses(cases[i].forwarded, cases[i].real, cases[i].peer, &list);
                char *text = cx_strings_join(&list, " ");
                assert_string_equal(text, cases[i].list);
                free(text);
        }
}

static void test_text(void **state)
{
        (void)state;
        static const struct {
                const char *text, *json;
        } cases[] = {
                {"", "\"\""},
                {"a/b?c=d", "\"a/b?c=d\""},
                {"a\"b\\c\n\x7f", "\"a\\\"b\\\\c\\u000a\\u007f\""},
                {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
                {"x\xff", "\"x\xef\xbf\xbd\""},
                {"\xc3", "\"\xef\xbf\xbd\""},
                {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
                {"\xed\xa0\x80y", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\""},
                {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
                {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_BUF to = CX_BUF_INIT;
                text_string(&to, cases[i].text);
                assert_string_equal(to.data, cases[i].json);
                json_auto_t *parsed = json_loads(to.data, JSON_DECODE_ANY, NULL);
                assert_non_null(parsed);
        }
}

static size_t count_files(const char *folder, const char *suffix)
{
        size_t count = 0;
        DIR *dir = opendir(folder);
        const struct dirent *entry;
        while ((entry = readdir(dir)))
                count += entry->d_name[0] != '.' && cx_has_suffix(entry->d_name, suffix);
        closedir(dir);
        return count;
}

static void test_file(void **state)
{
        (void)state;
        char folder[] = "/tmp/coxswain-audit.XXXXXX";
        assert_non_null(mkdtemp(folder));
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/a/b/audit.log", folder), *in = cx_sprintf("%s/a/b", folder);
        struct log_file *file;
        struct stat stat_of;
        CX_ERROR err = CX_ERROR_INIT;
        const struct log_file_options options = {.path = path, .max_size = 10};
        assert_int_equal(log_file_open(&options, &file, NULL), 0);
        assert_int_equal(log_file_write(file, "12345\n", 6, NULL), 0);
        assert_int_equal(log_file_write(file, "123\n", 4, NULL), 0);
        assert_int_equal(count_files(in, ".log"), 1); // full, not over it
        assert_int_equal(log_file_write(file, "x\n", 2, NULL), 0);
        assert_int_equal(log_file_write(file, "123456789\n", 10, NULL), 0); // in the same millisecond, for all we know
        assert_int_equal(count_files(in, ".log"), 3);
        assert_int_equal(log_file_write(file, "1234567890\n", 11, &err), -EFBIG);
        assert_int_equal(stat(path, &stat_of), 0);
        assert_int_equal(stat_of.st_size, 10);
        assert_int_equal(stat_of.st_mode & 07777, 0600);
        assert_int_equal(unlink(path), 0); // somebody takes it away
        assert_int_equal(log_file_write(file, "y\n", 2, NULL), 0);
        assert_int_equal(stat(path, &stat_of), 0);
        log_file_close(file);
        // What is there is gone on with; what is too much goes.
        assert_int_equal(
                log_file_open(&(struct log_file_options){.path = path, .max_size = 10, .max_backups = 1}, &file, NULL),
                0);
        assert_int_equal(log_file_write(file, "z\n", 2, NULL), 0);
        for (int i = 0; i < 6000 && count_files(in, ".log") > 2; i++)
                usleep(10000);
        assert_int_equal(count_files(in, ".log"), 2);
        assert_int_equal(stat(path, &stat_of), 0);
        assert_int_equal(stat_of.st_size, 4);
        log_file_close(file);
        assert_int_equal(cx_remove_tree(folder, NULL), 0);
        // A device stays what and where it is.
        assert_int_equal(log_file_open(&(struct log_file_options){.path = "/dev/null", .max_size = 3}, &file, NULL), 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(log_file_write(file, "123\n", 4, NULL), 0);
        log_file_close(file);
        assert_int_equal(stat("/dev/null", &stat_of), 0);
        assert_true(S_ISCHR(stat_of.st_mode));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_matching),  cmocka_unit_test(test_verdict), cmocka_unit_test(test_refused),
                cmocka_unit_test(test_addresses), cmocka_unit_test(test_text),    cmocka_unit_test(test_file),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
