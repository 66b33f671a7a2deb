// SPDX-License-Identifier: Apache-2.0
// A certificate as the proxy would load it: with the same library, at the same level of security. One that it refused would keep
// it from loading anything.
#include "addons/ingress/grammar.h"
#include "addons/ingress/secrets.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define MAX_CHAIN 10

CX_DEFINE_CLEANUP(BIO, bio_freep, BIO_free_all)
CX_DEFINE_CLEANUP(X509, x509_freep, X509_free)
CX_DEFINE_CLEANUP(EVP_PKEY, pkey_freep, EVP_PKEY_free)
CX_DEFINE_CLEANUP(SSL_CTX, ssl_ctx_freep, SSL_CTX_free)

static int no_password(char *to CX_UNUSED, int size CX_UNUSED, int writes CX_UNUSED, void *context CX_UNUSED)
{
        return 0; // nobody is there to be asked
}

static void add_name(const char *text, size_t length, struct cx_strings *to)
{
        CX_CLEANUP(cx_freep) char *name = cx_strndup(text, length);
        for (char *p = name; *p; p++)
                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        if (strlen(name) == length && grammar_is_host(name))
                cx_strings_add(to, name);
}

static void take_names(X509 *certificate, struct cx_strings *to)
{
        GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
                if (name->type == GEN_DNS)
                        add_name((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                 (size_t)ASN1_STRING_length(name->d.dNSName), to);
        }
        if (!names) { // as old certificates have it
                char text[256];
                int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
                                                       sizeof text);
                if (length > 0)
                        add_name(text, (size_t)length, to);
        }
        GENERAL_NAMES_free(names);
}

static const char *take_chain(SSL_CTX *context, BIO *from, BIO *to)
{
        for (int i = 0; i < MAX_CHAIN; i++) {
                X509 *next = PEM_read_bio_X509(from, NULL, no_password, NULL);
                if (!next)
                        return NULL;
                PEM_write_bio_X509(to, next);
                if (SSL_CTX_add0_chain_cert(context, next) != 1) {
                        X509_free(next);
                        return "has a chain of certificates in tls.crt that cannot be used";
                }
        }
        return "has too many certificates in tls.crt";
}

static const char *check(BIO *certificates, BIO *key_file, BIO *to, struct cx_strings *ret_names)
{
        CX_CLEANUP(ssl_ctx_freep) SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        CX_CLEANUP(x509_freep) X509 *leaf = PEM_read_bio_X509(certificates, NULL, no_password, NULL);
        CX_CLEANUP(pkey_freep) EVP_PKEY *key = PEM_read_bio_PrivateKey(key_file, NULL, no_password, NULL);
        if (!leaf)
                return "has no certificate in tls.crt (PEM)";
        if (!key)
                return "has no private key without a password in tls.key (PEM)";
        if (X509_check_private_key(leaf, key) != 1)
                return "has a key in tls.key that is not the certificate's";
        if (SSL_CTX_use_certificate(context, leaf) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1)
                return "has a certificate in tls.crt that is too weak, or of a kind that is not supported";
        if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
                return "has a certificate in tls.crt that has expired";
        take_names(leaf, ret_names);
        PEM_write_bio_X509(to, leaf);
        const char *wrong = take_chain(context, certificates, to);
        if (!wrong)
                PEM_write_bio_PrivateKey(to, key, NULL, NULL, 0, NULL, NULL);
        return wrong;
}

const char *certificate_check(const char *cert_pem, size_t cert_length, const char *key_pem, size_t key_length,
                              struct cx_strings *ret_names, struct cx_buf *ret_pem)
{
        if (!cert_length || cert_length > 1 << 20 || !key_length || key_length > 1 << 20)
                return "has no tls.crt and tls.key";
        CX_CLEANUP(bio_freep) BIO *certificates = BIO_new_mem_buf(cert_pem, (int)cert_length);
        CX_CLEANUP(bio_freep) BIO *key = BIO_new_mem_buf(key_pem, (int)key_length);
        CX_CLEANUP(bio_freep) BIO *to = BIO_new(BIO_s_secmem());
        const char *wrong = check(certificates, key, to, ret_names);
        char *text;
        long length = BIO_get_mem_data(to, &text);
        if (!wrong && length > 0)
                cx_buf_append(ret_pem, text, (size_t)length);
        ERR_clear_error();
        return wrong;
}
