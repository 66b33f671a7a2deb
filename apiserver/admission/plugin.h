// SPDX-License-Identifier: Apache-2.0
// What the plugins share.
#pragma once

#include "apiserver/admission/admission.h"
#include "libcommon/net/pki.h"

// Forbids the request; the sentence names the object, as far as it has a name yet. Always negative.
int admission_forbid(const struct admission_request *request, const char *why, struct cx_error *err);
// A stored object that a plugin has to know: from the cache, else from etcd, as the cache may be behind by its
// creation. NULL when there is none.
struct stored *admission_lookup(const struct admission_request *request, const struct served_kind *kind,
                                const char *namespace, const char *name);

// Settings of a plugin, or the file that they are in: one of the versions, the first of which the schema describes, and nothing that
// it does not. In place, with defaults.
int admission_check_settings(const char *const *versions, const char *name, json_t *settings, struct cx_error *err)
        CX_CHECK;

// What a CertificateSigningRequest asks for. ret_info is released by the caller in any case.
int admission_read_csr(const json_t *request, struct cx_csr_info *ret_info) CX_CHECK;

extern const struct admission_plugin admission_namespace_lifecycle, admission_service_account,
        admission_default_toleration_seconds, admission_node_restriction, admission_priority, admission_taint_nodes,
        admission_certificate_approval, admission_certificate_signing, admission_certificate_subject,
        admission_limit_ranger, admission_resource_quota, admission_default_storage_class, admission_storage_protection,
        admission_claim_resize, admission_default_ingress_class, admission_always_pull_images,
        admission_deny_external_ips, admission_pod_security;
