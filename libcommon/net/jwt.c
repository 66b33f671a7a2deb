// SPDX-License-Identifier: Apache-2.0
// JSON Web Tokens (RFC 7519) as compact JWS (RFC 7515): RS256 and ES256 by OpenSSL; nothing else is signed or believed.
#include "libcommon/net/jwt.h"

#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#include <openssl/ecdsa.h>
#include <openssl/x509.h>

char *cx_jwt_key_id(EVP_PKEY *key)
{
        unsigned char *der = NULL, digest[32];
        int length = i2d_PUBKEY(key, &der);
        CX_BUF text = CX_BUF_INIT;
        if (length > 0 && EVP_Digest(der, (size_t)length, digest, NULL, EVP_sha256(), NULL))
                cx_base64url_encode(digest, sizeof digest, &text);
        OPENSSL_free(der);
        return cx_buf_detach(&text);
}

static const char *algorithm_of(EVP_PKEY *key)
{
        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 256 ? "ES256"
               : EVP_PKEY_is_a(key, "RSA")                               ? "RS256"
                                                                         : NULL;
}

// JOSE's ECDSA signatures are R and S, 32 bytes each; OpenSSL's are DER (RFC 7518, section 3.4).
static bool der_to_jose(const unsigned char *der, size_t length, unsigned char to[64])
{
        ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
        bool good = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), to, 32) == 32 &&
                    BN_bn2binpad(ECDSA_SIG_get0_s(signature), to + 32, 32) == 32;
        ECDSA_SIG_free(signature);
        return good;
}

static unsigned char *jose_to_der(const unsigned char from[64], size_t *ret_length)
{
        ECDSA_SIG *signature = ECDSA_SIG_new();
        unsigned char *der = NULL;
        int length = -1;
        BIGNUM *r = BN_bin2bn(from, 32, NULL), *s = BN_bin2bn(from + 32, 32, NULL);
        if (ECDSA_SIG_set0(signature, r, s))
                length = i2d_ECDSA_SIG(signature, &der);
        ECDSA_SIG_free(signature);
        *ret_length = length > 0 ? (size_t)length : 0;
        return der;
}

int cx_jwt_sign(const json_t *claims, EVP_PKEY *key, char **ret_token, struct cx_error *err)
{
        const char *algorithm = algorithm_of(key);
        if (!algorithm)
                return cx_error_set(err, -EINVAL, "the signing key must be RSA or ECDSA P-256");
        CX_CLEANUP(cx_freep) char *id = cx_jwt_key_id(key);
        CX_CLEANUP(cx_freep) char *header = cx_sprintf("{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithm, id);
        CX_CLEANUP(cx_freep) char *payload = cx_json_text(claims);
        CX_BUF token = CX_BUF_INIT;
        cx_base64url_encode(header, strlen(header), &token);
        cx_buf_add_char(&token, '.');
        cx_base64url_encode(payload, strlen(payload), &token);
        unsigned char signature[1024], jose[64];
        size_t length = sizeof signature;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool good = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                    EVP_DigestSign(context, signature, &length, (unsigned char *)token.data, token.length) == 1;
        EVP_MD_CTX_free(context);
        bool is_ec = algorithm[0] == 'E';
        if (!good || (is_ec && !der_to_jose(signature, length, jose)))
                return cx_error_set(err, -EIO, "cannot sign token");
        cx_buf_add_char(&token, '.');
        cx_base64url_encode(is_ec ? jose : signature, is_ec ? sizeof jose : length, &token);
        *ret_token = cx_buf_detach(&token);
        return 0;
}

static bool verify_with(EVP_PKEY *key, const char *algorithm, const char *text, size_t length,
                        const struct cx_buf *signature)
{
        const char *expected = algorithm_of(key);
        if (!expected || strcmp(expected, algorithm) != 0)
                return false;
        unsigned char *der = NULL;
        const unsigned char *bytes = (const unsigned char *)signature->data;
        size_t n = signature->length;
        if (expected[0] == 'E') {
                if (n != 64)
                        return false;
                bytes = der = jose_to_der(bytes, &n);
        }
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool good = bytes && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                    EVP_DigestVerify(context, bytes, n, (const unsigned char *)text, length) == 1;
        EVP_MD_CTX_free(context);
        OPENSSL_free(der);
        return good;
}

static json_t *decode_part(const char *text, size_t length)
{
        CX_BUF bytes = CX_BUF_INIT_MAX(CX_JWT_MAX);
        json_t *json = NULL;
        if (cx_base64_decode(text, length, &bytes) < 0 ||
            cx_json_parse(bytes.data, bytes.length, true, &json, NULL) < 0)
                return NULL;
        if (!json_is_object(json)) {
                json_decref(json);
                return NULL;
        }
        return json;
}

static int malformed(struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token is malformed");
}

int cx_jwt_verify(const char *token, EVP_PKEY *const *keys, size_t n_keys, int64_t now, json_t **ret_claims,
                  struct cx_error *err)
{
        size_t length = strlen(token);
        const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
        if (length > CX_JWT_MAX || !second || strchr(second + 1, '.'))
                return malformed(err);
        json_auto_t *header = decode_part(token, (size_t)(first - token));
        json_auto_t *claims = decode_part(first + 1, (size_t)(second - first - 1));
        CX_BUF signature = CX_BUF_INIT_MAX(2048);
        const char *algorithm = cx_json_string(header, "alg");
        if (!algorithm || !claims ||
            cx_base64_decode(second + 1, length - (size_t)(second + 1 - token), &signature) < 0)
                return malformed(err);
        bool good = false;
        for (size_t i = 0; i < n_keys && !good; i++)
                good = verify_with(keys[i], algorithm, token, (size_t)(second - token), &signature);
        if (!good)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token's signature is not valid");
        const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
        if ((exp && !json_is_number(exp)) || (nbf && !json_is_number(nbf)))
                return malformed(err);
        if (exp && (int64_t)json_number_value(exp) <= now)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token has expired");
        if (nbf && (int64_t)json_number_value(nbf) > now + 60)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "token is not valid yet");
        *ret_claims = cx_steal(&claims);
        return 0;
}
