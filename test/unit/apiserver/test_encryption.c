// SPDX-License-Identifier: Apache-2.0
// Encryption at rest: what providers write is read again, by the right key of etcd only, and configurations that cannot be
// meant are refused.
#include "apiserver/storage/encryption.h"

#include "libcommon/base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
#define K32 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define L32 "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI="
#define K16 "MDEyMzQ1Njc4OTAxMjM0NQ=="
#define SECRETS(providers) HEAD "- resources: [secrets]\n  providers: [" providers "]\n"
#define KEYS(provider, keys) "{" provider ": {keys: [" keys "]}}"
#define KEY(name, secret) "{name: " name ", secret: " secret "}"
#define IDENTITY "{identity: {}}"
#define VALUE "{\"kind\":\"Secret\",\"data\":{\"a\":\"hush\"}}"
#define ETCD_KEY "/registry/secrets/default/s"

static struct encryption *parse(const char *text)
{
        struct encryption *encryption = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (encryption_parse(text, strlen(text), &encryption, &err) < 0)
                fail_msg("%s", cx_error_text(&err));
        return encryption;
}

static void seal(const struct encryption *encryption, const char *group, const char *resource, struct cx_buf *to)
{
        assert_int_equal(encryption_seal(encryption, group, resource, ETCD_KEY, VALUE, strlen(VALUE), to, NULL), 0);
}

static int open_as(const struct encryption *encryption, const char *key, const struct cx_buf *sealed, uint32_t *writer)
{
        CX_BUF plain = CX_BUF_INIT;
        int r = encryption_open(encryption, "", "secrets", key, sealed->data, sealed->length, &plain, writer, NULL);
        if (r == 0)
                assert_string_equal(plain.data, VALUE);
        else
                assert_int_equal(plain.length, 0);
        return r;
}

static void test_providers(void **state)
{
        static const struct {
                const char *config, *prefix;
                bool bound; // to the key of etcd
        } cases[] = {
                {SECRETS(KEYS("aescbc", KEY("k", K32))), "k8s:enc:aescbc:v1:k:", false},
                {SECRETS(KEYS("aescbc", KEY("k", K16))), "k8s:enc:aescbc:v1:k:", false},
                {SECRETS(KEYS("aesgcm", KEY("k", K32))), "k8s:enc:aesgcm:v1:k:", true},
                {SECRETS(KEYS("aesgcm", KEY("k", K16))), "k8s:enc:aesgcm:v1:k:", true},
                {SECRETS(KEYS("secretbox", KEY("k", K32))), "k8s:enc:secretbox:v1:k:", false},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(encryption_freep) struct encryption *encryption = parse(cases[i].config);
                CX_BUF sealed = CX_BUF_INIT, again = CX_BUF_INIT;
                uint32_t writer = 0;
                seal(encryption, "", "secrets", &sealed);
                seal(encryption, "", "secrets", &again);
                assert_memory_equal(sealed.data, cases[i].prefix, strlen(cases[i].prefix));
                assert_true(encryption_is_sealed(sealed.data, sealed.length));
                assert_null(memmem(sealed.data, sealed.length, "hush", 4));
                assert_false(sealed.length == again.length && memcmp(sealed.data, again.data, sealed.length) == 0);
                assert_int_equal(open_as(encryption, ETCD_KEY, &sealed, &writer), 0);
                assert_int_equal(writer, encryption_writer(encryption, "", "secrets"));
                assert_true(writer != 0);
                assert_int_equal(open_as(encryption, "/registry/secrets/default/other", &sealed, NULL) < 0,
                                 cases[i].bound);
                // cut anywhere, it is refused and nothing is read past its end
                for (size_t length = strlen(cases[i].prefix); length < sealed.length; length++) {
                        struct cx_buf cut = {.data = sealed.data, .length = length};
                        CX_BUF plain = CX_BUF_INIT;
                        int r = encryption_open(encryption, "", "secrets", ETCD_KEY, cut.data, cut.length, &plain, NULL,
                                                NULL);
                        assert_true(r < 0 || strcmp(plain.data, VALUE) != 0);
                }
                sealed.data[sealed.length - 1] ^= 1;
                assert_true(open_as(encryption, ETCD_KEY, &sealed, NULL) < 0);
        }
}

static void test_rotation(void **state)
{
        (void)state;
        CX_CLEANUP(encryption_freep)
        struct encryption *old = parse(SECRETS(KEYS("secretbox", KEY("one", K32)) ", " IDENTITY));
        CX_CLEANUP(encryption_freep)
        struct encryption *both = parse(SECRETS(KEYS("secretbox", KEY("two", L32) ", " KEY("one", K32))));
        CX_CLEANUP(encryption_freep) struct encryption *lost = parse(SECRETS(KEYS("secretbox", KEY("two", L32))));
        CX_CLEANUP(encryption_freep)
        struct encryption *plain = parse(SECRETS(IDENTITY ", " KEYS("secretbox", KEY("one", K32))));
        CX_BUF sealed = CX_BUF_INIT, open = CX_BUF_INIT;
        uint32_t writer;
        seal(old, "", "secrets", &sealed);
        assert_int_equal(open_as(both, ETCD_KEY, &sealed, &writer), 0);
        assert_true(writer != encryption_writer(both, "", "secrets")); // to be written anew
        assert_int_equal(open_as(plain, ETCD_KEY, &sealed, &writer), 0);
        assert_int_equal(encryption_writer(plain, "", "secrets"), 0);
        assert_true(open_as(NULL, ETCD_KEY, &sealed, NULL) < 0);
        seal(plain, "", "secrets", &open);
        assert_string_equal(open.data, VALUE);
        assert_int_equal(open_as(lost, ETCD_KEY, &open, &writer), 0); // plain text is always read
        CX_ERROR err = CX_ERROR_INIT;
        CX_BUF nothing = CX_BUF_INIT;
        assert_true(encryption_open(lost, "", "secrets", ETCD_KEY, sealed.data, sealed.length, &nothing, NULL, &err) <
                    0);
        assert_non_null(strstr(cx_error_text(&err), ETCD_KEY));
        assert_non_null(strstr(cx_error_text(&err), "\"k8s:enc:secretbox:v1:one:\""));
}

static void test_rules(void **state)
{
        static const struct {
                const char *group, *resource;
                const char *prefix; // NULL: plain
        } cases[] = {
                {"", "secrets", "k8s:enc:aescbc:v1:s:"},
                {"", "configmaps", "k8s:enc:aescbc:v1:core:"},
                {"apps", "deployments", "k8s:enc:aescbc:v1:d:"},
                {"apps", "daemonsets", "k8s:enc:aescbc:v1:apps:"},
                {"batch", "jobs", NULL},
                {"example.io", "secrets", NULL},
        };
        (void)state;
        CX_CLEANUP(encryption_freep)
        struct encryption *encryption = parse(HEAD "- resources: [secrets]\n  providers: [" KEYS(
                "aescbc",
                KEY("s", K32)) "]\n"
                               "- resources: [deployments.apps]\n  providers: [" KEYS(
                                       "aescbc",
                                       KEY("d", K32)) "]\n"
                                                      "- resources: ['*.apps']\n  providers: [" KEYS(
                                                              "aescbc",
                                                              KEY("apps",
                                                                  K32)) "]\n"
                                                                        "- resources: ['*.']\n  providers: [" KEYS(
                                                                                "aescbc",
                                                                                KEY("core",
                                                                                    K32)) "]\n"
                                                                                          "- resources: ['*.*']\n  "
                                                                                          "providers: [" IDENTITY
                                                                                          "]\n");
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_BUF sealed = CX_BUF_INIT;
                seal(encryption, cases[i].group, cases[i].resource, &sealed);
                const char *wanted = cases[i].prefix ? cases[i].prefix : VALUE;
                assert_memory_equal(sealed.data, wanted, strlen(wanted));
        }
}

static void test_refused(void **state)
{
        static const char *const texts[] = {
                "",
                "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v2\nresources: []\n",
                HEAD "[]\n",
                HEAD "- resources: []\n  providers: [" IDENTITY "]\n",
                HEAD "- resources: ['*']\n  providers: [" IDENTITY "]\n",
                HEAD "- resources: [secrets]\n  providers: []\n",
                SECRETS("{kms: {name: a}}"),
                SECRETS("{aescbc: {keys: []}}"),
                SECRETS("{identity: {}, aescbc: {keys: [" KEY("k", K32) "]}}"),
                SECRETS(KEYS("secretbox", KEY("k", K16))),
                SECRETS(KEYS("aescbc", KEY("k", "YWJj"))),
                SECRETS(KEYS("aescbc", KEY("k", "'no base64'"))),
                SECRETS(KEYS("aescbc", KEY("'a:b'", K32))),
                SECRETS(KEYS("aescbc", "{secret: " K32 "}")),
                SECRETS(KEYS("aescbc", KEY("k", K32) ", " KEY("k", L32))),
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++) {
                struct encryption *encryption = NULL;
                if (encryption_parse(texts[i], strlen(texts[i]), &encryption, NULL) == 0)
                        fail_msg("%s", texts[i]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_providers),
                cmocka_unit_test(test_rotation),
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
