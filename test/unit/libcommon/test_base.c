// SPDX-License-Identifier: Apache-2.0
// Maps, flags, errors, buffers, running programs.
#include "libcommon/base/flags.h"
#include "libcommon/base/map.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_map(void **state)
{
        CX_MAP map = CX_MAP_INIT_FREE(free);
        char key[16];
        (void)state;
        for (int i = 0; i < 1000; i++) {
                snprintf(key, sizeof key, "k%d", i);
                cx_map_set(&map, key, cx_strdup(key));
        }
        for (int i = 0; i < 1000; i += 2) {
                snprintf(key, sizeof key, "k%d", i);
                assert_true(cx_map_remove(&map, key));
        }
        assert_int_equal(map.count, 500);
        size_t seen = 0;
        CX_MAP_FOREACH (&map, entry) {
                assert_string_equal(entry->value, entry->key);
                seen++;
        }
        assert_int_equal(seen, 500);
        assert_null(cx_map_get(&map, "k0"));
        assert_string_equal(cx_map_get(&map, "k999"), "k999");
}

static int parse(int argc, const char **argv, struct cx_strings *args, const struct cx_flag *flags,
                 struct cx_error *err)
{
        const struct cx_flag *const tables[] = {flags};
        return cx_flags_parse(tables, 1, argc, (char **)argv, args, NULL, err);
}

static void test_suggestions(void **state)
{
        static const struct cx_flag one[] = {{.name = "nodes"}, {.name = "v"}, {0}};
        static const struct cx_flag two[] = {{.name = "namespace"}, {0}};
        const struct cx_flag *const tables[] = {one, two};
        (void)state;
        assert_string_equal(cx_flags_suggest(tables, 2, "unknown flag: --node"), "nodes");
        assert_string_equal(cx_flags_suggest(tables, 2, "unknown flag: --namespaces\nmore"), "namespace");
        assert_null(cx_flags_suggest(tables, 2, "unknown flag: --w")); // nothing of it is right
        assert_null(cx_flags_suggest(tables, 2, "unknown flag: --entirely-different"));
        assert_null(cx_flags_suggest(tables, 2, "flag needs an argument: --node"));
        assert_int_equal(cx_edit_distance("kitten", "sitting"), 3);
        assert_int_equal(cx_edit_distance("", "abc"), 3);
}

static void test_flags(void **state)
{
        bool yes = false, tty = false;
        const char *name = "default", *dry = "none";
        int64_t count = 1, wait = 0;
        CX_STRINGS list = CX_STRINGS_INIT, args = CX_STRINGS_INIT, more = CX_STRINGS_INIT;
        const struct cx_flag flags[] = {
                {.name = "yes", .shorthand = 'i', .kind = CX_FLAG_BOOL, .target = &yes},
                {.name = "tty", .shorthand = 't', .kind = CX_FLAG_BOOL, .target = &tty},
                {.name = "namespace", .shorthand = 'n', .kind = CX_FLAG_STRING, .target = &name},
                {.name = "dry-run", .kind = CX_FLAG_STRING, .target = &dry, .bare_value = "unchanged"},
                {.name = "count", .kind = CX_FLAG_INT, .target = &count, .min = 0, .max = 9},
                {.name = "wait", .kind = CX_FLAG_DURATION, .target = &wait},
                {.name = "list", .kind = CX_FLAG_CSV, .target = &list},
                {0},
        };
        const char *argv[] = {"x",      "-it", "a",      "-nkube", "--count=3", "--dry-run",
                              "--wait", "1m",  "--list", "p,q",    "--",        "--yes"};
        CX_ERROR err = CX_ERROR_INIT, unknown = CX_ERROR_INIT, missing = CX_ERROR_INIT, range = CX_ERROR_INIT;
        (void)state;
        assert_int_equal(parse(12, argv, &args, flags, &err), 0);
        assert_true(yes && tty);
        assert_string_equal(name, "kube");
        assert_string_equal(dry, "unchanged");
        assert_int_equal(count, 3);
        assert_true(wait == 60 * CX_NS_PER_S);
        assert_int_equal(list.count, 2);
        assert_int_equal(args.count, 2);
        assert_string_equal(args.items[1], "--yes");
        assert_int_not_equal(parse(2, (const char *[]){"x", "--nope"}, &more, flags, &unknown), 0);
        assert_string_equal(unknown.message, "unknown flag: --nope");
        assert_int_not_equal(parse(2, (const char *[]){"x", "--namespace"}, &more, flags, &missing), 0);
        assert_string_equal(missing.message, "flag needs an argument: --namespace");
        assert_int_not_equal(parse(2, (const char *[]){"x", "--count=10"}, &more, flags, &range), 0);
}

static void test_buffers(void **state)
{
        CX_BUF buf = CX_BUF_INIT_MAX(8);
        (void)state;
        cx_buf_add(&buf, "1234");
        cx_buf_add(&buf, "56789");
        assert_true(buf.overflow);
        assert_string_equal(buf.data, "1234");
        cx_buf_consume(&buf, 2);
        assert_string_equal(buf.data, "34");
}

static void test_errors(void **state)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)state;
        assert_int_equal(cx_error_reason(&err, CX_REASON_NOT_FOUND, "pods \"%s\" not found", "x"), -ENOENT);
        assert_int_equal(cx_error_wrap(&err, "context"), -ENOENT);
        assert_string_equal(err.message, "context: pods \"x\" not found");
        assert_int_equal(cx_reason_http_code(err.reason), 404);
        assert_int_equal(cx_reason_by_name("NotFound"), CX_REASON_NOT_FOUND);
}

static void test_run(void **state)
{
        CX_BUF out = CX_BUF_INIT;
        CX_ERROR late = CX_ERROR_INIT, gone = CX_ERROR_INIT;
        int status = -1;
        (void)state;
        const char *const cat[] = {"cat", NULL};
        assert_int_equal(cx_run(&(struct cx_run_options){.argv = cat, .input = "hello", .input_length = 5}, &out, NULL,
                                &status, NULL),
                         0);
        assert_string_equal(out.data, "hello");
        assert_int_equal(status, 0);
        const char *const slow[] = {"sleep", "60", NULL};
        assert_int_equal(
                cx_run(&(struct cx_run_options){.argv = slow, .timeout = CX_NS_PER_S / 20}, NULL, NULL, &status, &late),
                -ETIMEDOUT);
        const char *const absent[] = {"/nonexistent/program", NULL};
        assert_int_not_equal(cx_run_ok(absent, NULL, &gone), 0);
}

// A library's sockets stay open when a program is executed, as far as the library is concerned.
static void test_run_inherits_nothing(void **state)
{
        CX_BUF out = CX_BUF_INIT;
        int fds[2], status = -1;
        (void)state;
        assert_int_equal(pipe(fds), 0);
        const char *const list[] = {"ls", "/proc/self/fd", NULL}; // ls has the folder open, too
        assert_int_equal(cx_run(&(struct cx_run_options){.argv = list}, &out, NULL, &status, NULL), 0);
        assert_string_equal(out.data, "0\n1\n2\n3\n");
        close(fds[0]);
        close(fds[1]);
}

// But for the four that are handed over.
static void test_spawn_hands_over(void **state)
{
        CX_BUF out = CX_BUF_INIT;
        int own[2], handed[2], status = -1;
        pid_t pid = -1;
        (void)state;
        assert_int_equal(pipe(own), 0);
        assert_int_equal(pipe(handed), 0);
        const char *const list[] = {"ls", "/proc/self/fd", NULL};
        const struct cx_spawn_options options = {.argv = list, .fds = {-1, own[1], -1, handed[0]}};
        assert_int_equal(cx_spawn(&options, &pid), 0);
        close(own[1]);
        assert_int_equal(cx_buf_read_fd(&out, own[0]), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_string_equal(out.data, "0\n1\n2\n3\n4\n");
        close(own[0]);
        close(handed[0]);
        close(handed[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_map),
                                           cmocka_unit_test(test_suggestions),
                                           cmocka_unit_test(test_flags),
                                           cmocka_unit_test(test_buffers),
                                           cmocka_unit_test(test_errors),
                                           cmocka_unit_test(test_run),
                                           cmocka_unit_test(test_run_inherits_nothing),
                                           cmocka_unit_test(test_spawn_hands_over)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
