// SPDX-License-Identifier: Apache-2.0
// Authorization: role-based access control over the cached roles and bindings, and the node authorizer. Roles are
// compiled once per change of any of them. Any thread; never blocks.
#pragma once

#include "apiserver/apiserver.h"

struct cx_attributes {
        const struct cx_user *user;
        bool is_resource;
        const char *verb, *group, *resource, *subresource, *namespace, *name, *path;
};

int cx_rbac_new(struct cx_apiserver *api, struct cx_rbac **ret_rbac, struct cx_error *err) CX_CHECK;
void cx_rbac_free(struct cx_rbac *rbac);
// True when allowed. ret_why (owned by the caller, may be NULL): by what, or why not.
bool cx_authorize(struct cx_apiserver *api, const struct cx_attributes *attributes, char **ret_why);
bool cx_authorize_call(struct cx_call *call, struct cx_error *err);
// Would rules (of a role that the user writes or binds) give more than the user has? NULL when not, else what is missing.
char *cx_rbac_escalation(struct cx_apiserver *api, const struct cx_user *user, const char *namespace,
                         const json_t *rules);
// The rules of a user in a namespace, for SelfSubjectRulesReview. New reference: array of PolicyRules.
json_t *cx_rbac_rules(struct cx_apiserver *api, const struct cx_user *user, const char *namespace);
// Node authorizer (auth/node.c): has a rule of its own for members of system:nodes.
bool cx_authorize_node(struct cx_apiserver *api, const struct cx_attributes *attributes);
// Creates the default roles and bindings that are missing and adds missing rules to those marked for it.
int cx_rbac_bootstrap(struct cx_apiserver *api, struct cx_error *err) CX_CHECK;
