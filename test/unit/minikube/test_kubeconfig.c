// SPDX-License-Identifier: Apache-2.0
// What minikube leaves of the user's kubeconfig.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/yaml.h"
#include "minikube/commands.h"

static const char own[] = "# mine\napiVersion: v1\nkind: Config\ncurrent-context: mine\n"
                          "clusters: [{name: mine, cluster: {server: 'https://1.2.3.4', extra: kept}}]\n"
                          "users: [{name: me, user: {token: abc}}]\n"
                          "contexts: [{name: mine, context: {cluster: mine, user: me}}]\n"
                          "preferences: {colors: true}\n";

struct place {
        char folder[64], *config;
};

static void make_place(struct place *place)
{
        snprintf(place->folder, sizeof place->folder, "/tmp/test-minikube-XXXXXX");
        assert_non_null(mkdtemp(place->folder));
        setenv("MINIKUBE_HOME", place->folder, 1);
        place->config = cx_sprintf("%s/config", place->folder);
        setenv("KUBECONFIG", place->config, 1);
}

static void remove_place(struct place *place)
{
        assert_int_equal(cx_remove_tree(place->folder, NULL), 0);
        free(place->config);
}

static json_t *read_config(const char *path)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *documents = NULL;
        if (cx_buf_read_file(&text, path) < 0)
                return NULL;
        assert_int_equal(cx_yaml_parse(text.data, text.length, &documents, NULL), 0);
        return json_incref(json_array_get(documents, 0));
}

static void start(const char *name, struct profile *profile)
{
        assert_int_equal(profile_open(name, profile, NULL), 0);
        assert_int_equal(profile_save(profile, NULL), 0);
        assert_int_equal(context_write(profile, NULL), 0);
        assert_true(context_present(profile));
}

static void end(struct profile *profile)
{
        assert_int_equal(context_remove(profile, NULL), 0);
        assert_false(context_present(profile));
        profile_contents_release(profile);
}

static void test_users_own_file_is_as_before(void **state CX_UNUSED)
{
        struct place place;
        struct profile profile;
        make_place(&place);
        assert_int_equal(cx_write_file(place.config, own, strlen(own), 0600, false, NULL), 0);
        json_auto_t *before = read_config(place.config);
        start("one", &profile);
        profile_contents_release(&profile);
        start("one", &profile); // again, as after a stop
        json_auto_t *during = read_config(place.config);
        assert_string_equal(json_string_value(json_object_get(during, "current-context")), "one");
        end(&profile);
        json_auto_t *after = read_config(place.config);
        assert_string_equal(json_string_value(json_object_get(after, "current-context")), "");
        json_object_del(before, "current-context");
        json_object_del(after, "current-context");
        assert_true(json_equal(before, after));
        remove_place(&place);
}

static void test_own_file_goes_with_the_last_profile(void **state CX_UNUSED)
{
        struct place place;
        struct profile one, two;
        make_place(&place);
        start("one", &one);
        start("two", &two);
        end(&one);
        json_auto_t *left = read_config(place.config);
        assert_string_equal(json_string_value(json_object_get(left, "current-context")), "two");
        end(&two);
        assert_true(access(place.config, F_OK) < 0);
        remove_place(&place);
}

static void test_empty_file_of_the_user_stays(void **state CX_UNUSED)
{
        struct place place;
        struct profile profile;
        make_place(&place);
        assert_int_equal(cx_write_file(place.config, "apiVersion: v1\nkind: Config\n", 28, 0600, false, NULL), 0);
        start("one", &profile);
        end(&profile);
        assert_true(access(place.config, F_OK) == 0);
        remove_place(&place);
}

static void test_no_other_context_becomes_current(void **state CX_UNUSED)
{
        struct place place;
        struct profile one, two;
        make_place(&place);
        start("one", &one);
        start("two", &two);
        end(&two);
        json_auto_t *left = read_config(place.config);
        assert_string_equal(json_string_value(json_object_get(left, "current-context")), "");
        end(&one);
        remove_place(&place);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_users_own_file_is_as_before),
                cmocka_unit_test(test_own_file_goes_with_the_last_profile),
                cmocka_unit_test(test_empty_file_of_the_user_stays),
                cmocka_unit_test(test_no_other_context_becomes_current),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
