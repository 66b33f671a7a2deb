// SPDX-License-Identifier: Apache-2.0
// What the audit log is to tell of: a Policy (audit.k8s.io/v1), read as strictly as the API reads objects, and which of its
// rules a request meets. Immutable once loaded; any thread may ask.
#pragma once

#include "apiserver/request/recorded.h"
#include "libcommon/base/error.h"

struct audit_policy;

enum audit_stage {
        AUDIT_REQUEST_RECEIVED,
        AUDIT_RESPONSE_STARTED,
        AUDIT_RESPONSE_COMPLETE,
        AUDIT_PANIC, // nothing of this server is told at it
        AUDIT_STAGES
};
extern const char *const audit_stage_names[AUDIT_STAGES];
extern const char *const audit_level_names[AUDIT_LEVELS];

// What the rules are about. Members that a request does not have are "".
struct audit_subject {
        const char *user; // NULL: nobody is known, and no rule that names users or groups matches
        const struct cx_strings *groups;
        bool is_resource;
        const char *verb, *group, *resource, *subresource, *namespace, *name, *path;
};
struct audit_verdict {
        enum audit_level level;
        unsigned omitted; // stages, as bits
        bool omit_managed_fields;
};

int audit_policy_load(const char *path, struct audit_policy **ret_policy, struct cx_error *err) CX_CHECK;
int audit_policy_parse(const char *text, size_t length, struct audit_policy **ret_policy, struct cx_error *err)
        CX_CHECK;
void audit_policy_free(struct audit_policy *policy);
CX_DEFINE_CLEANUP(struct audit_policy, audit_policy_freep, audit_policy_free)
// By the first rule that matches.
struct audit_verdict audit_policy_judge(const struct audit_policy *policy, const struct audit_subject *subject);
