// SPDX-License-Identifier: Apache-2.0
// Keys, certificates and signing requests (OpenSSL), all as PEM text owned by the caller, so that files, Secrets and
// kubeconfigs hold them alike. Keys are ECDSA P-256. Any thread may call.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

#include <openssl/evp.h>

struct cx_certificate_spec {
        const char *common_name;
        const struct cx_strings *organizations;            // may be NULL
        const struct cx_strings *dns_names, *ip_addresses; // subject alternative names; may be NULL
        bool is_ca, server, client;                        // basic constraints and extended key usage
        int64_t lifetime; // seconds; starts earlier, so that clocks may differ: by five minutes, or a twelfth of a short life
};

int cx_pki_new_key(char **ret_key_pem, struct cx_error *err) CX_CHECK;
// Signs a certificate for the public half of key_pem; ca_* NULL: self-signed.
int cx_pki_new_certificate(const struct cx_certificate_spec *spec, const char *key_pem, const char *ca_cert_pem,
                           const char *ca_key_pem, char **ret_cert_pem, struct cx_error *err) CX_CHECK;
// A key and its certificate in one step.
int cx_pki_issue(const struct cx_certificate_spec *spec, const char *ca_cert_pem, const char *ca_key_pem,
                 char **ret_cert_pem, char **ret_key_pem, struct cx_error *err) CX_CHECK;
int cx_pki_new_csr(const struct cx_certificate_spec *spec, const char *key_pem, char **ret_csr_pem,
                   struct cx_error *err) CX_CHECK;

struct cx_csr_info {
        char *common_name; // owned
        struct cx_strings organizations, dns_names, ip_addresses;
        bool odd; // it asks for a name of another kind, or one that no text can hold; or has two common names
};
int cx_pki_parse_csr(const char *csr_pem, struct cx_csr_info *ret_info, struct cx_error *err) CX_CHECK;
void cx_csr_info_release(struct cx_csr_info *info);
// Signs a request with the subject and names that it asks for; only usages and lifetime come from the caller.
int cx_pki_sign_csr(const char *csr_pem, const char *ca_cert_pem, const char *ca_key_pem, bool server, bool client,
                    int64_t lifetime, char **ret_cert_pem, struct cx_error *err) CX_CHECK;
// Beginning and end of validity, seconds since the epoch. ret_not_before may be NULL.
int cx_pki_validity(const char *cert_pem, int64_t *ret_not_before, int64_t *ret_not_after, struct cx_error *err)
        CX_CHECK;
static inline CX_CHECK int cx_pki_not_after(const char *cert_pem, int64_t *ret_seconds, struct cx_error *err)
{
        return cx_pki_validity(cert_pem, NULL, ret_seconds, err);
}
// -EINVAL unless the key is that of the (first) certificate.
int cx_pki_fits(const char *cert_pem, const char *key_pem, struct cx_error *err) CX_CHECK;
// -EINVAL unless the text has one certificate or more, and nothing that begins as one and is none.
int cx_pki_check_bundle(const char *pem, struct cx_error *err) CX_CHECK;
// Whether all these are among the names of a certificate. Each list may be NULL.
bool cx_pki_has_names(const char *cert_pem, const struct cx_strings *dns_names, const struct cx_strings *ip_addresses);

int cx_pki_load_private_key(const char *pem, EVP_PKEY **ret_key, struct cx_error *err) CX_CHECK;
// A public key, or the public half of a private key or of a certificate.
int cx_pki_load_public_key(const char *pem, EVP_PKEY **ret_key, struct cx_error *err) CX_CHECK;

void cx_sha256_hex(const void *data, size_t length, char to[65]);
