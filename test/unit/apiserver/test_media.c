// SPDX-License-Identifier: Apache-2.0
// Accept headers, taken apart.
#include "apiserver/request/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_parts(void **state)
{
        const char *header = "application/json;as=Table;v=v1;g=meta.k8s.io, Application/YAML ; as = \"X\";q=0.5,,*/*;v";
        struct media media;
        (void)state;
        assert_true(media_next(&header, &media));
        assert_true(media_is(&media, "application/json") && media_is_json(&media));
        assert_string_equal(media.as, "Table");
        assert_string_equal(media.group, "meta.k8s.io");
        assert_string_equal(media.version, "v1");
        assert_true(media_next(&header, &media));
        assert_true(media_is(&media, "application/yaml") && !media_is_json(&media));
        assert_string_equal(media.as, "X");
        assert_string_equal(media.version, "");
        assert_true(media_next(&header, &media));
        assert_true(media_is_json(&media));
        assert_string_equal(media.as, "");
        assert_false(media_next(&header, &media));
}

static void test_odd_headers(void **state)
{
        static const struct {
                const char *header;
                int parts;
        } cases[] = {{"", 0}, {",", 0}, {" , ,", 0}, {";", 1}, {"a;;;=;b=", 1}, {"a,b", 2}, {"as=Table", 1}};
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                const char *header = cases[i].header;
                struct media media;
                int parts = 0;
                while (media_next(&header, &media))
                        parts++;
                assert_int_equal(parts, cases[i].parts);
        }
        // a value that is too long is not cut: it is not there
        char longer[256] = "a;v=v1234567890123456789012345678901234567890";
        const char *header = longer;
        struct media media;
        assert_true(media_next(&header, &media));
        assert_string_equal(media.version, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_odd_headers)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
