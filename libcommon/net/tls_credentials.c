// SPDX-License-Identifier: Apache-2.0
#include "libcommon/net/tls_credentials.h"

#include "libcommon/base/alloc.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define MAX_CERTIFICATES 1000 // in one text

CX_DEFINE_CLEANUP(BIO, bio_freep, BIO_free_all)
CX_DEFINE_CLEANUP(PKCS8_PRIV_KEY_INFO, pkcs8_freep, PKCS8_PRIV_KEY_INFO_free)

struct cx_tls_credentials {
        STACK_OF(X509) * chain, *authorities; // the chain begins with the certificate itself; NULL: none
        EVP_PKEY *key;
};

static void free_certificates(STACK_OF(X509) * certificates)
{
        sk_X509_pop_free(certificates, X509_free);
}

void cx_tls_credentials_free(struct cx_tls_credentials *credentials)
{
        if (!credentials)
                return;
        free_certificates(credentials->chain);
        free_certificates(credentials->authorities);
        EVP_PKEY_free(credentials->key);
        free(credentials);
}

// All certificates of a text; NULL when there is none, or something else.
static STACK_OF(X509) * read_certificates(const char *pem)
{
        CX_CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem, -1);
        STACK_OF(X509) *all = sk_X509_new_null();
        X509 *one;
        while (sk_X509_num(all) < MAX_CERTIFICATES && (one = PEM_read_bio_X509_AUX(bio, NULL, NULL, (void *)"")))
                sk_X509_push(all, one);
        bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        ERR_clear_error();
        if (at_end && sk_X509_num(all) > 0)
                return all;
        free_certificates(all);
        return NULL;
}

// The common form says what kind of key it holds, and only decoders of that kind are looked for.
static EVP_PKEY *read_key(const char *pem)
{
        CX_CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem, -1);
        EVP_PKEY *key = NULL;
        if (strstr(pem, "-----BEGIN " PEM_STRING_PKCS8INF "-----")) {
                CX_CLEANUP(pkcs8_freep)
                PKCS8_PRIV_KEY_INFO *info = PEM_read_bio_PKCS8_PRIV_KEY_INFO(bio, NULL, NULL, (void *)"");
                key = info ? EVP_PKCS82PKEY(info) : NULL;
        } else {
                key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)""); // no password: nobody is asked for one
        }
        ERR_clear_error();
        return key;
}

struct cx_tls_credentials *cx_tls_credentials_new(const char *cert_pem, const char *key_pem, const char *ca_pem)
{
        struct cx_tls_credentials *credentials = cx_alloc(sizeof *credentials);
        bool good = true;
        if (cert_pem && key_pem) {
                credentials->chain = read_certificates(cert_pem);
                credentials->key = read_key(key_pem);
                good = credentials->chain && credentials->key;
        }
        if (ca_pem) {
                credentials->authorities = read_certificates(ca_pem);
                good = good && credentials->authorities;
        }
        if (good)
                return credentials;
        cx_tls_credentials_free(credentials);
        return NULL;
}

bool cx_tls_credentials_use(const struct cx_tls_credentials *credentials, SSL_CTX *context)
{
        X509_STORE *store = SSL_CTX_get_cert_store(context);
        for (int i = 0; i < sk_X509_num(credentials->authorities); i++)
                if (!X509_STORE_add_cert(store, sk_X509_value(credentials->authorities, i)))
                        return false;
        if (!credentials->chain)
                return true;
        for (int i = 1; i < sk_X509_num(credentials->chain); i++)
                if (!SSL_CTX_add1_chain_cert(context, sk_X509_value(credentials->chain, i)))
                        return false;
        return SSL_CTX_use_certificate(context, sk_X509_value(credentials->chain, 0)) == 1 &&
               SSL_CTX_use_PrivateKey(context, credentials->key) == 1;
}
