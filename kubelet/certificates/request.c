// SPDX-License-Identifier: Apache-2.0
#include "kubelet/certificates/request.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#define PATIENCE (900 * CX_NS_PER_S)
#define FIRST_LOOK (50 * CX_NS_PER_MS)
#define LAST_LOOK (2 * CX_NS_PER_S)

static struct cx_ref ref_of(const char *name)
{
        return (struct cx_ref){.group = "certificates.k8s.io",
                               .version = "v1",
                               .resource = "certificatesigningrequests",
                               .name = name};
}

char *certificate_request_name(const struct certificate_want *want, const char *key_pem)
{
        char digest[65];
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s\n%d\n%s", want->node_name, want->server, key_pem);
        cx_sha256_hex(text, strlen(text), digest);
        explicit_bzero(text, strlen(text));
        return cx_sprintf("node-csr-%.40s", digest);
}

static int make_request(const struct certificate_want *want, const char *key_pem, const char *name,
                        json_t **ret_request, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *user = cx_sprintf("system:node:%s", want->node_name), *csr = NULL;
        CX_STRINGS organizations = CX_STRINGS_INIT;
        CX_BUF encoded = CX_BUF_INIT;
        cx_strings_add(&organizations, "system:nodes");
        const struct cx_certificate_spec spec = {.common_name = user,
                                                 .organizations = &organizations,
                                                 .dns_names = want->dns_names,
                                                 .ip_addresses = want->ip_addresses};
        int r = cx_pki_new_csr(&spec, key_pem, &csr, err);
        if (r < 0)
                return r;
        cx_base64_encode(csr, strlen(csr), &encoded);
        const char *signer =
                want->server ? "kubernetes.io/kubelet-serving" : "kubernetes.io/kube-apiserver-client-kubelet";
        *ret_request = json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:[s, s]}}", "apiVersion", "certificates.k8s.io/v1",
                                 "kind", "CertificateSigningRequest", "metadata", name ? "name" : "generateName",
                                 name ? name : "csr-", "spec", "request", encoded.data, "signerName", signer, "usages",
                                 "digital signature", want->server ? "server auth" : "client auth");
        return 0;
}

static const json_t *condition_of(const json_t *request, const char *type)
{
        return cx_json_find(cx_json_get(request, "status.conditions"), "type", type);
}

// 0 with the certificate, -EAGAIN while it is not signed.
static int take_answer(const json_t *request, const char *key_pem, char **ret_cert_pem, struct cx_error *err)
{
        const char *name = cx_json_string_or(request, "metadata.name", "");
        const json_t *denied = condition_of(request, "Denied"), *failed = condition_of(request, "Failed");
        if (denied || failed)
                return cx_error_set(err, -EACCES, "certificate signing request %s was %s: %s", name,
                                    denied ? "denied" : "not signed",
                                    cx_json_string_or(denied ? denied : failed, "message", "no reason is given"));
        const char *encoded = cx_json_string(request, "status.certificate");
        if (!encoded || !*encoded)
                return -EAGAIN;
        CX_BUF pem = CX_BUF_INIT_MAX(1 << 20);
        if (cx_base64_decode(encoded, strlen(encoded), &pem) < 0 || strlen(pem.data) != pem.length)
                return cx_error_set(err, -EPROTO, "certificate signing request %s: the certificate is no PEM text",
                                    name);
        int r = cx_pki_fits(pem.data, key_pem, err);
        if (r < 0)
                return cx_error_wrap(err, "certificate signing request %s", name);
        *ret_cert_pem = cx_buf_detach(&pem);
        return 0;
}

static bool sleep_on(int64_t ns, bool (*stopped)(void *context), void *context)
{
        int64_t end = cx_time_monotonic() + ns;
        while (cx_time_monotonic() < end) {
                if (stopped && stopped(context))
                        return false;
                usleep(20000);
        }
        return true;
}

static int wait_for_answer(struct cx_rest *rest, const char *name, const char *key_pem, bool (*stopped)(void *context),
                           void *context, char **ret_cert_pem, struct cx_error *err)
{
        const struct cx_ref ref = ref_of(name);
        int64_t end = cx_time_monotonic() + PATIENCE, wait = FIRST_LOOK;
        while (cx_time_monotonic() < end) {
                json_auto_t *request = NULL;
                int r = cx_rest_get(rest, &ref, &request, err);
                if (r == 0)
                        r = take_answer(request, key_pem, ret_cert_pem, err);
                if (r != -EAGAIN)
                        return r;
                if (!sleep_on(wait, stopped, context))
                        return cx_error_set(err, -ECANCELED, "stopped waiting for the request %s to be signed", name);
                wait = wait * 3 / 2 < LAST_LOOK ? wait * 3 / 2 : LAST_LOOK;
        }
        return cx_error_set(err, -ETIMEDOUT,
                            "certificate signing request %s was neither signed nor denied: approve it "
                            "with kubectl certificate approve %s",
                            name, name);
}

int certificate_request(struct cx_rest *rest, const struct certificate_want *want, const char *key_pem,
                        const char *name, bool (*stopped)(void *context), void *context, char **ret_cert_pem,
                        struct cx_error *err)
{
        json_auto_t *request = NULL, *made = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        const struct cx_ref ref = ref_of(NULL);
        int r = make_request(want, key_pem, name, &request, err);
        if (r < 0)
                return r;
        r = cx_rest_create(rest, &ref, request, &made, &failure);
        if (r < 0 && !(name && failure.reason == CX_REASON_ALREADY_EXISTS)) {
                cx_error_wrap(&failure, "cannot ask for a certificate");
                return cx_error_move(err, &failure);
        }
        CX_CLEANUP(cx_freep) char *waited = cx_strdup(r < 0 ? name : cx_json_string_or(made, "metadata.name", ""));
        cx_info("Waiting for a certificate to be signed", "request", waited, "signer",
                cx_json_string_or(request, "spec.signerName", ""));
        return wait_for_answer(rest, waited, key_pem, stopped, context, ret_cert_pem, err);
}
