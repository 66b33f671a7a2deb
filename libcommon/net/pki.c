// SPDX-License-Identifier: Apache-2.0
// Keys, certificates and signing requests by OpenSSL: what a cluster makes for itself, and what it signs for others.
#include "libcommon/net/pki.h"

#include "libcommon/base/address.h"
#include "libcommon/base/random.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

CX_DEFINE_CLEANUP(EVP_PKEY, pkey_freep, EVP_PKEY_free)
CX_DEFINE_CLEANUP(X509, x509_freep, X509_free)
CX_DEFINE_CLEANUP(X509_REQ, req_freep, X509_REQ_free)
CX_DEFINE_CLEANUP(BIO, bio_freep, BIO_free_all)

#define KEY CX_CLEANUP(pkey_freep) EVP_PKEY
#define CERT CX_CLEANUP(x509_freep) X509
#define REQ CX_CLEANUP(req_freep) X509_REQ
#define BIO_AUTO CX_CLEANUP(bio_freep) BIO

static int fail(struct cx_error *err, const char *what)
{
        unsigned long code = ERR_get_error();
        ERR_clear_error();
        const char *why = code ? ERR_reason_error_string(code) : NULL;
        return cx_error_set(err, -EINVAL, "%s: %s", what, why ? why : "not valid");
}

static char *bio_text(BIO *bio)
{
        char *data;
        long length = BIO_get_mem_data(bio, &data);
        return cx_strndup(data, (size_t)length);
}

static BIO *bio_of(const char *pem)
{
        return BIO_new_mem_buf(pem ? pem : "", -1);
}

int cx_pki_load_private_key(const char *pem, EVP_PKEY **ret_key, struct cx_error *err)
{
        BIO_AUTO *bio = bio_of(pem);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
        if (!key)
                return fail(err, "cannot read private key");
        *ret_key = key;
        return 0;
}

int cx_pki_load_public_key(const char *pem, EVP_PKEY **ret_key, struct cx_error *err)
{
        BIO_AUTO *bio = bio_of(pem);
        EVP_PKEY *key = NULL;
        if (pem && strstr(pem, "PRIVATE KEY")) {
                key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
        } else if (pem && strstr(pem, "BEGIN CERTIFICATE")) {
                CERT *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
                key = cert ? X509_get_pubkey(cert) : NULL;
        } else {
                key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
        }
        if (!key)
                return fail(err, "cannot read public key");
        *ret_key = key;
        return 0;
}

int cx_pki_new_key(char **ret_key_pem, struct cx_error *err)
{
        KEY *key = EVP_EC_gen("P-256");
        BIO_AUTO *bio = BIO_new(BIO_s_mem());
        if (!key || !bio || !PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
                return fail(err, "cannot make a key");
        *ret_key_pem = bio_text(bio);
        return 0;
}

static int load_certificate(const char *pem, X509 **ret_cert, struct cx_error *err)
{
        BIO_AUTO *bio = bio_of(pem);
        X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!cert)
                return fail(err, "cannot read certificate");
        *ret_cert = cert;
        return 0;
}

static bool add_entry(X509_NAME *name, const char *field, const char *value)
{
        return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

static bool set_subject(X509_NAME *name, const struct cx_certificate_spec *spec)
{
        for (size_t i = 0; spec->organizations && i < spec->organizations->count; i++)
                if (!add_entry(name, "O", spec->organizations->items[i]))
                        return false;
        return add_entry(name, "CN", spec->common_name);
}

static GENERAL_NAMES *alternative_names(const struct cx_certificate_spec *spec)
{
        GENERAL_NAMES *names = GENERAL_NAMES_new();
        for (size_t i = 0; spec->dns_names && i < spec->dns_names->count; i++) {
                GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, spec->dns_names->items[i], 0);
                if (name)
                        sk_GENERAL_NAME_push(names, name);
        }
        for (size_t i = 0; spec->ip_addresses && i < spec->ip_addresses->count; i++) {
                GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_IPADD, spec->ip_addresses->items[i], 0);
                if (name)
                        sk_GENERAL_NAME_push(names, name);
        }
        return names;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
        bool good = extension && X509_add_ext(cert, extension, -1) == 1;
        X509_EXTENSION_free(extension);
        return good;
}

static bool add_usage(X509 *cert, X509 *issuer, bool is_ca, bool server, bool client)
{
        bool good =
                add_extension(cert, issuer, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
                add_extension(cert, issuer, NID_key_usage,
                              is_ca ? "critical,digitalSignature,keyCertSign,cRLSign"
                                    : "critical,digitalSignature,keyEncipherment") &&
                add_extension(cert, issuer, NID_subject_key_identifier, "hash");
        if (good && (server || client))
                good = add_extension(cert, issuer, NID_ext_key_usage,
                                     server && client ? "serverAuth,clientAuth"
                                     : server         ? "serverAuth"
                                                      : "clientAuth");
        return good && add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
}

static bool set_validity(X509 *cert, int64_t lifetime)
{
        unsigned char serial[16];
        cx_random_bytes(serial, sizeof serial);
        serial[0] &= 0x7f;
        BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
        bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
        BN_free(number);
        long early = lifetime < 12 * 300 ? (long)lifetime / 12 : 300;
        return good && X509_set_version(cert, X509_VERSION_3) && X509_gmtime_adj(X509_getm_notBefore(cert), -early) &&
               X509_gmtime_adj(X509_getm_notAfter(cert), (long)lifetime);
}

static int write_certificate(X509 *cert, EVP_PKEY *signer, char **ret_pem, struct cx_error *err)
{
        BIO_AUTO *bio = BIO_new(BIO_s_mem());
        if (!X509_sign(cert, signer, EVP_sha256()) || !PEM_write_bio_X509(bio, cert))
                return fail(err, "cannot sign certificate");
        *ret_pem = bio_text(bio);
        return 0;
}

int cx_pki_new_certificate(const struct cx_certificate_spec *spec, const char *key_pem, const char *ca_cert_pem,
                           const char *ca_key_pem, char **ret_cert_pem, struct cx_error *err)
{
        KEY *key = NULL, *ca_key = NULL;
        CERT *ca = NULL;
        int r = cx_pki_load_private_key(key_pem, &key, err);
        if (r == 0 && ca_cert_pem)
                r = load_certificate(ca_cert_pem, &ca, err);
        if (r == 0 && ca_cert_pem)
                r = cx_pki_load_private_key(ca_key_pem, &ca_key, err);
        if (r < 0)
                return r;
        CERT *cert = X509_new();
        X509 *issuer = ca ? ca : cert;
        GENERAL_NAMES *names = alternative_names(spec);
        bool good = set_validity(cert, spec->lifetime) && set_subject(X509_get_subject_name(cert), spec) &&
                    X509_set_issuer_name(cert, X509_get_subject_name(issuer)) && X509_set_pubkey(cert, key) &&
                    add_usage(cert, issuer, spec->is_ca, spec->server, spec->client) &&
                    (sk_GENERAL_NAME_num(names) == 0 ||
                     X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1);
        GENERAL_NAMES_free(names);
        if (!good)
                return fail(err, "cannot make certificate");
        return write_certificate(cert, ca ? ca_key : key, ret_cert_pem, err);
}

int cx_pki_issue(const struct cx_certificate_spec *spec, const char *ca_cert_pem, const char *ca_key_pem,
                 char **ret_cert_pem, char **ret_key_pem, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = NULL;
        int r = cx_pki_new_key(&key, err);
        if (r == 0)
                r = cx_pki_new_certificate(spec, key, ca_cert_pem, ca_key_pem, ret_cert_pem, err);
        if (r == 0)
                *ret_key_pem = cx_steal(&key);
        return r;
}

int cx_pki_new_csr(const struct cx_certificate_spec *spec, const char *key_pem, char **ret_csr_pem,
                   struct cx_error *err)
{
        KEY *key = NULL;
        int r = cx_pki_load_private_key(key_pem, &key, err);
        if (r < 0)
                return r;
        REQ *req = X509_REQ_new();
        BIO_AUTO *bio = BIO_new(BIO_s_mem());
        GENERAL_NAMES *names = alternative_names(spec);
        STACK_OF(X509_EXTENSION) *extensions = NULL;
        bool good = set_subject(X509_REQ_get_subject_name(req), spec) && X509_REQ_set_pubkey(req, key);
        if (good && sk_GENERAL_NAME_num(names) > 0)
                good = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
                       X509_REQ_add_extensions(req, extensions);
        good = good && X509_REQ_sign(req, key, EVP_sha256()) && PEM_write_bio_X509_REQ(bio, req);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        GENERAL_NAMES_free(names);
        if (!good)
                return fail(err, "cannot make certificate request");
        *ret_csr_pem = bio_text(bio);
        return 0;
}

static int load_csr(const char *pem, X509_REQ **ret_req, struct cx_error *err)
{
        BIO_AUTO *bio = bio_of(pem);
        REQ *req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
        KEY *key = req ? X509_REQ_get_pubkey(req) : NULL;
        if (!key || X509_REQ_verify(req, key) != 1)
                return fail(err, "cannot read certificate request");
        *ret_req = cx_steal(&req);
        return 0;
}

// False when the text has a NUL in it, which would make two names of one.
static bool add_asn1(struct cx_strings *to, const ASN1_STRING *text)
{
        const char *data = (const char *)ASN1_STRING_get0_data(text);
        size_t length = (size_t)ASN1_STRING_length(text);
        cx_strings_add_length(to, data, length);
        return !memchr(data, 0, length);
}

static bool add_address(struct cx_strings *to, const ASN1_STRING *bytes)
{
        char text[CX_ADDRESS_TEXT];
        int length = ASN1_STRING_length(bytes);
        struct cx_address address = {.family = length == 4 ? CX_IPV4 : CX_IPV6};
        if (length != 4 && length != 16)
                return false;
        memcpy(address.bytes, ASN1_STRING_get0_data(bytes), (size_t)length);
        cx_strings_add(to, cx_address_format(&address, text));
        return true;
}

// False when there is a name of another kind.
static bool read_names(const GENERAL_NAMES *names, struct cx_strings *dns_names, struct cx_strings *ip_addresses)
{
        bool good = true;
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
                if (name->type == GEN_DNS)
                        good &= add_asn1(dns_names, name->d.dNSName);
                else if (name->type == GEN_IPADD)
                        good &= add_address(ip_addresses, name->d.iPAddress);
                else
                        good = false;
        }
        return good;
}

static void read_alternative_names(X509_REQ *req, struct cx_csr_info *info)
{
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
        GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
        info->odd |= !read_names(names, &info->dns_names, &info->ip_addresses);
        GENERAL_NAMES_free(names);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

int cx_pki_parse_csr(const char *csr_pem, struct cx_csr_info *ret_info, struct cx_error *err)
{
        REQ *req = NULL;
        int r = load_csr(csr_pem, &req, err);
        if (r < 0)
                return r;
        struct cx_csr_info info = {0};
        X509_NAME *subject = X509_REQ_get_subject_name(req);
        for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
                const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
                const ASN1_STRING *text = X509_NAME_ENTRY_get_data(entry);
                int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
                if (nid == NID_organizationName)
                        info.odd |= !add_asn1(&info.organizations, text);
                else if (nid == NID_commonName && info.common_name)
                        info.odd = true; // some take the first for the user's name, others the last
                else if (nid == NID_commonName) {
                        const char *name = (const char *)ASN1_STRING_get0_data(text);
                        info.common_name = cx_strndup(name, (size_t)ASN1_STRING_length(text));
                        info.odd |= strlen(info.common_name) != (size_t)ASN1_STRING_length(text);
                }
        }
        if (!info.common_name)
                info.common_name = cx_strdup("");
        read_alternative_names(req, &info);
        *ret_info = info;
        return 0;
}

void cx_csr_info_release(struct cx_csr_info *info)
{
        free(info->common_name);
        cx_strings_release(&info->organizations);
        cx_strings_release(&info->dns_names);
        cx_strings_release(&info->ip_addresses);
        info->common_name = NULL;
}

int cx_pki_sign_csr(const char *csr_pem, const char *ca_cert_pem, const char *ca_key_pem, bool server, bool client,
                    int64_t lifetime, char **ret_cert_pem, struct cx_error *err)
{
        REQ *req = NULL;
        CERT *ca = NULL;
        KEY *ca_key = NULL;
        int r = load_csr(csr_pem, &req, err);
        if (r == 0)
                r = load_certificate(ca_cert_pem, &ca, err);
        if (r == 0)
                r = cx_pki_load_private_key(ca_key_pem, &ca_key, err);
        if (r < 0)
                return r;
        CERT *cert = X509_new();
        KEY *key = X509_REQ_get_pubkey(req);
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
        GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
        bool good = set_validity(cert, lifetime) && X509_set_subject_name(cert, X509_REQ_get_subject_name(req)) &&
                    X509_set_issuer_name(cert, X509_get_subject_name(ca)) && X509_set_pubkey(cert, key) &&
                    add_usage(cert, ca, false, server, client) &&
                    (!names || X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1);
        GENERAL_NAMES_free(names);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        if (!good)
                return fail(err, "cannot make certificate from request");
        return write_certificate(cert, ca_key, ret_cert_pem, err);
}

static int read_time(const ASN1_TIME *time, int64_t *ret_seconds, struct cx_error *err)
{
        struct tm parts;
        if (!ASN1_TIME_to_tm(time, &parts))
                return fail(err, "cannot read the validity of a certificate");
        *ret_seconds = timegm(&parts);
        return 0;
}

int cx_pki_validity(const char *cert_pem, int64_t *ret_not_before, int64_t *ret_not_after, struct cx_error *err)
{
        CERT *cert = NULL;
        int64_t begin = 0, end = 0;
        int r = load_certificate(cert_pem, &cert, err);
        if (r == 0)
                r = read_time(X509_get0_notBefore(cert), &begin, err);
        if (r == 0)
                r = read_time(X509_get0_notAfter(cert), &end, err);
        if (r < 0)
                return r;
        if (ret_not_before)
                *ret_not_before = begin;
        *ret_not_after = end;
        return 0;
}

int cx_pki_fits(const char *cert_pem, const char *key_pem, struct cx_error *err)
{
        CERT *cert = NULL;
        KEY *key = NULL;
        int r = load_certificate(cert_pem, &cert, err);
        if (r == 0)
                r = cx_pki_load_private_key(key_pem, &key, err);
        if (r < 0)
                return r;
        return X509_check_private_key(cert, key) == 1 ? 0 : fail(err, "the key is not that of the certificate");
}

int cx_pki_check_bundle(const char *pem, struct cx_error *err)
{
        static const char begin[] = "-----BEGIN CERTIFICATE-----";
        size_t wanted = 0, have = 0;
        for (const char *p = cx_str(pem); (p = strstr(p, begin)); p += sizeof begin - 1)
                wanted++;
        BIO_AUTO *bio = bio_of(pem);
        X509 *cert;
        while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
                have++;
                X509_free(cert);
        }
        ERR_clear_error(); // the end is one, too
        return wanted && have == wanted ? 0 : cx_error_set(err, -EINVAL, "not a bundle of certificates");
}

static bool has_all(const struct cx_strings *have, const struct cx_strings *wanted)
{
        for (size_t i = 0; wanted && i < wanted->count; i++)
                if (!cx_strings_has(have, wanted->items[i]))
                        return false;
        return true;
}

bool cx_pki_has_names(const char *cert_pem, const struct cx_strings *dns_names, const struct cx_strings *ip_addresses)
{
        CERT *cert = NULL;
        CX_STRINGS dns = CX_STRINGS_INIT, addresses = CX_STRINGS_INIT;
        if (load_certificate(cert_pem, &cert, NULL) < 0)
                return false;
        GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        (void)read_names(names, &dns, &addresses);
        GENERAL_NAMES_free(names);
        return has_all(&dns, dns_names) && has_all(&addresses, ip_addresses);
}

// --- digests ---

void cx_sha256_hex(const void *data, size_t length, char to[65])
{
        unsigned char digest[32];
        (void)EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL);
        for (size_t i = 0; i < sizeof digest; i++)
                (void)snprintf(to + 2 * i, 3, "%02x", digest[i]);
}
