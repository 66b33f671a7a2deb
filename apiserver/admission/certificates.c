// SPDX-License-Identifier: Apache-2.0
// CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may write to a request's subresources may
// decide and sign only for the signers that `approve` and `sign` are given for, and nobody gets system:masters.
#include "apiserver/admission/plugin.h"
#include "apiserver/auth/authorizer.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#define GROUP "certificates.k8s.io"
#define REQUESTS "certificatesigningrequests"

int admission_read_csr(const json_t *request, struct cx_csr_info *ret_info)
{
        const char *encoded = cx_json_string_or(request, "spec.request", "");
        CX_BUF pem = CX_BUF_INIT_MAX(1 << 20);
        int r = cx_base64_decode(encoded, strlen(encoded), &pem);
        return r < 0 ? r : cx_pki_parse_csr(pem.data, ret_info, NULL);
}

static bool may_for(const struct scope *scope, const char *verb, const char *signer)
{
        const struct attributes attributes = {.user = scope->user,
                                              .is_resource = true,
                                              .verb = verb,
                                              .group = GROUP,
                                              .resource = "signers",
                                              .subresource = "",
                                              .namespace = "",
                                              .name = signer};
        return authorize(scope->api, &attributes, NULL);
}

// By its name, or by "its.domain/*".
static int check_signer(const struct admission_request *request, const char *verb, struct cx_error *err)
{
        const char *signer = cx_json_string_or(request->old, "spec.signerName", "");
        CX_CLEANUP(cx_freep) char *domain = cx_sprintf("%.*s/*", (int)strcspn(signer, "/"), signer);
        if (may_for(request->scope, verb, signer) || may_for(request->scope, verb, domain))
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("user not permitted to %s requests with signerName \"%s\"", verb, signer);
        return admission_forbid(request, why, err);
}

static int validate_approval(const struct admission_request *request, struct cx_error *err)
{
        return check_signer(request, "approve", err);
}

static bool is_same(const struct admission_request *request, const char *path)
{
        const json_t *now = cx_json_get(request->object, path), *before = cx_json_get(request->old, path);
        return (!now && !before) || json_equal(now, before);
}

static int validate_signing(const struct admission_request *request, struct cx_error *err)
{
        return is_same(request, "status.certificate") && is_same(request, "status.conditions")
                       ? 0
                       : check_signer(request, "sign", err);
}

static int validate_subject(const struct admission_request *request, struct cx_error *err)
{
        static const char signer[] = "kubernetes.io/kube-apiserver-client";
        CX_CLEANUP(cx_csr_info_release) struct cx_csr_info info = {0};
        if (!cx_streq(cx_json_string(request->object, "spec.signerName"), signer))
                return 0;
        if (admission_read_csr(request->object, &info) < 0)
                return admission_forbid(request, "unable to parse the request", err);
        if (!cx_strings_has(&info.organizations, "system:masters"))
                return 0;
        CX_CLEANUP(cx_freep)
        char *why = cx_sprintf("use of %s signer with system:masters group is not allowed", signer);
        return admission_forbid(request, why, err);
}

static const struct admission_want approvals[] = {{ADMIT_UPDATE, GROUP, REQUESTS, "approval"}, {0}};
static const struct admission_want signatures[] = {{ADMIT_UPDATE, GROUP, REQUESTS, "status"}, {0}};
static const struct admission_want new_requests[] = {{ADMIT_CREATE, GROUP, REQUESTS, ""}, {0}};

const struct admission_plugin admission_certificate_approval = {
        .name = "CertificateApproval", .wants = approvals, .validate = validate_approval};
const struct admission_plugin admission_certificate_signing = {
        .name = "CertificateSigning", .wants = signatures, .validate = validate_signing};
const struct admission_plugin admission_certificate_subject = {
        .name = "CertificateSubjectRestriction", .wants = new_requests, .validate = validate_subject};
