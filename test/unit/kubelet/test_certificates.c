// SPDX-License-Identifier: Apache-2.0
// Certificates of a node on disk, and when they are to be renewed.
#include "kubelet/certificates/pair.h"
#include "kubelet/certificates/request.h"
#include "kubelet/certificates/rotation.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/net/pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void make(int64_t lifetime, char **ret_cert, char **ret_key)
{
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_certificate_spec spec = {.common_name = "system:node:n1", .client = true, .lifetime = lifetime};
        assert_int_equal(cx_pki_issue(&spec, NULL, NULL, ret_cert, ret_key, &err), 0);
}

static void test_pair(void **state CX_UNUSED)
{
        CX_ERROR err = CX_ERROR_INIT;
        char folder[] = "/tmp/cx-pair-XXXXXX";
        assert_non_null(mkdtemp(folder));
        CX_CLEANUP(cx_freep) char *cert = NULL, *key = NULL, *other = NULL, *other_key = NULL, *read = NULL;
        CX_CLEANUP(cx_freep) char *path = pair_path(folder, PAIR_CLIENT);
        assert_int_equal(pair_read(folder, PAIR_CLIENT, &read, &err), -ENOENT);
        cx_error_release(&err);
        make(3600, &cert, &key);
        make(3600, &other, &other_key);
        CX_CLEANUP(cx_freep) char *old = cx_sprintf("%s/kubelet-client-2020-01-01-00-00-00.pem", folder);
        CX_CLEANUP(cx_freep) char *foreign = cx_sprintf("%s/kubelet-client-mine.pem", folder);
        assert_int_equal(cx_write_file(old, "x", 1, 0600, false, &err), 0);
        assert_int_equal(cx_write_file(foreign, "x", 1, 0600, false, &err), 0);
        assert_int_equal(pair_write(folder, PAIR_CLIENT, cert, key, &err), 0);
        struct stat st;
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(access(old, F_OK), -1); // no link leads there
        assert_int_equal(access(foreign, F_OK), 0);
        assert_int_equal(pair_read(folder, PAIR_CLIENT, &read, &err), 0);
        assert_int_equal(cx_pki_fits(read, read, &err), 0);
        assert_true(pair_is_valid(read));
        // What the link led to until now stays, also when it says the whole path.
        assert_int_equal(cx_write_file(old, "x", 1, 0600, false, &err), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(old, path), 0);
        assert_int_equal(pair_write(folder, PAIR_CLIENT, cert, key, &err), 0);
        assert_int_equal(access(old, F_OK), 0);
        // A key that is not the certificate's is no pair.
        assert_int_equal(pair_write(folder, PAIR_SERVER, cert, other_key, &err), 0);
        CX_CLEANUP(cx_freep) char *none = NULL;
        assert_int_equal(pair_read(folder, PAIR_SERVER, &none, &err), -EINVAL);
        assert_false(pair_is_valid("x"));
        CX_CLEANUP(cx_freep) char *past = NULL, *past_key = NULL;
        make(-1, &past, &past_key);
        assert_false(pair_is_valid(past));
        assert_int_equal(cx_remove_tree(folder, NULL), 0);
}

static void test_due(void **state CX_UNUSED)
{
        static const struct {
                int64_t begin, end;
                int64_t share, due;
        } rows[] = {{0, 1000, 0, 700},
                    {0, 1000, 1000, 900},
                    {0, 1000, 500, 800},
                    {100, 160, 0, 142},
                    {100, 160, 1000, 154}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++)
                assert_int_equal(rotation_due(rows[i].begin, rows[i].end, rows[i].share), rows[i].due);
}

// The same key asks by the same name, and nothing of it is in there.
static void test_name(void **state CX_UNUSED)
{
        const struct certificate_want a = {.node_name = "n1"}, b = {.node_name = "n2"};
        CX_CLEANUP(cx_freep)
        char *one = certificate_request_name(&a, "key"), *same = certificate_request_name(&a, "key"),
             *node = certificate_request_name(&b, "key"), *key = certificate_request_name(&a, "yek");
        assert_string_equal(one, same);
        assert_string_not_equal(one, node);
        assert_string_not_equal(one, key);
        assert_int_equal(strlen(one), strlen("node-csr-") + 40);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_pair), cmocka_unit_test(test_due),
                                           cmocka_unit_test(test_name)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
