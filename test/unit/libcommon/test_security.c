// SPDX-License-Identifier: Apache-2.0
// Certificates, tokens, base64.
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/jwt.h"
#include "libcommon/net/pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>

static void test_certificates(void **state)
{
        CX_CLEANUP(cx_freep) char *ca = NULL, *ca_key = NULL, *key = NULL, *csr = NULL, *cert = NULL;
        CX_STRINGS groups = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        struct cx_certificate_spec spec = {.common_name = "ca", .is_ca = true, .lifetime = 3600};
        CX_ERROR err = CX_ERROR_INIT;
        (void)state;
        assert_int_equal(cx_pki_issue(&spec, NULL, NULL, &ca, &ca_key, &err), 0);
        cx_strings_add(&groups, "system:nodes");
        cx_strings_add(&addresses, "10.0.0.1");
        spec = (struct cx_certificate_spec){.common_name = "system:node:n1",
                                            .organizations = &groups,
                                            .ip_addresses = &addresses,
                                            .lifetime = 3600};
        assert_int_equal(cx_pki_new_key(&key, &err), 0);
        assert_int_equal(cx_pki_new_csr(&spec, key, &csr, &err), 0);
        struct cx_csr_info info = {0};
        assert_int_equal(cx_pki_parse_csr(csr, &info, &err), 0);
        assert_string_equal(info.common_name, "system:node:n1");
        assert_string_equal(info.organizations.items[0], "system:nodes");
        assert_string_equal(info.ip_addresses.items[0], "10.0.0.1");
        cx_csr_info_release(&info);
        assert_int_equal(cx_pki_sign_csr(csr, ca, ca_key, false, true, 3600, &cert, &err), 0);
        int64_t end = 0;
        assert_int_equal(cx_pki_not_after(cert, &end, &err), 0);
        assert_true(end > 0);
        assert_int_not_equal(cx_pki_parse_csr("nonsense", &info, NULL), 0);
}

// Readers differ in which of two common names is the user's: a request with two is nobody's to approve.
static void test_two_names(void **state)
{
        (void)state;
        CX_CLEANUP(cx_freep) char *pem = NULL, *csr = NULL;
        CX_CLEANUP(cx_csr_info_release) struct cx_csr_info info = {0};
        static const char *const names[] = {"system:node:n1", "system:kube-controller-manager"};
        EVP_PKEY *key = NULL;
        X509_REQ *request = X509_REQ_new();
        BIO *bio = BIO_new(BIO_s_mem());
        assert_int_equal(cx_pki_new_key(&pem, NULL), 0);
        assert_int_equal(cx_pki_load_private_key(pem, &key, NULL), 0);
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                                           (const unsigned char *)names[i], -1, -1, 0);
        X509_REQ_set_pubkey(request, key);
        assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
        assert_true(PEM_write_bio_X509_REQ(bio, request));
        char *text;
        long length = BIO_get_mem_data(bio, &text);
        csr = cx_strndup(text, (size_t)length);
        assert_int_equal(cx_pki_parse_csr(csr, &info, NULL), 0);
        assert_true(info.odd);
        BIO_free(bio);
        X509_REQ_free(request);
        EVP_PKEY_free(key);
}

static void test_tokens(void **state)
{
        CX_CLEANUP(cx_freep) char *pem = NULL, *other_pem = NULL, *token = NULL;
        EVP_PKEY *key = NULL, *public = NULL, *other = NULL;
        json_auto_t *claims = json_pack("{s:s,s:i}", "sub", "me", "exp", 2000);
        (void)state;
        assert_int_equal(cx_pki_new_key(&pem, NULL), 0);
        assert_int_equal(cx_pki_new_key(&other_pem, NULL), 0);
        assert_int_equal(cx_pki_load_private_key(pem, &key, NULL), 0);
        assert_int_equal(cx_pki_load_public_key(pem, &public, NULL), 0);
        assert_int_equal(cx_pki_load_public_key(other_pem, &other, NULL), 0);
        assert_int_equal(cx_jwt_sign(claims, key, &token, NULL), 0);
        json_t *back = NULL;
        assert_int_equal(cx_jwt_verify(token, &public, 1, 1000, &back, NULL), 0);
        assert_true(json_equal(back, claims));
        json_decref(back);
        CX_ERROR expired = CX_ERROR_INIT;
        assert_int_not_equal(cx_jwt_verify(token, &public, 1, 2000, &back, &expired), 0);
        assert_int_equal(expired.reason, CX_REASON_UNAUTHORIZED);
        assert_int_not_equal(cx_jwt_verify(token, &other, 1, 1000, &back, NULL), 0);
        token[strlen(token) / 2]++; // somewhere in the claims or the signature
        assert_int_not_equal(cx_jwt_verify(token, &public, 1, 1000, &back, NULL), 0);
        assert_int_not_equal(cx_jwt_verify("a.b", &public, 1, 1000, &back, NULL), 0);
        // "none" is no algorithm
        assert_int_not_equal(cx_jwt_verify("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.", &public, 1, 1000, &back, NULL), 0);
        EVP_PKEY_free(key);
        EVP_PKEY_free(public);
        EVP_PKEY_free(other);
}

static void test_base64(void **state)
{
        static const char *const texts[][2] = {
                {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++) {
                CX_BUF encoded = CX_BUF_INIT, decoded = CX_BUF_INIT;
                cx_base64_encode(texts[i][0], strlen(texts[i][0]), &encoded);
                assert_string_equal(encoded.data, texts[i][1]);
                assert_int_equal(cx_base64_decode(encoded.data, encoded.length, &decoded), 0);
                assert_string_equal(decoded.data, texts[i][0]);
        }
        CX_BUF rest = CX_BUF_INIT;
        assert_int_not_equal(cx_base64_decode("a", 1, &rest), 0);
        assert_int_not_equal(cx_base64_decode("a*b=", 4, &rest), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_certificates), cmocka_unit_test(test_two_names),
                                           cmocka_unit_test(test_tokens), cmocka_unit_test(test_base64)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
