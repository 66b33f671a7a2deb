// SPDX-License-Identifier: Apache-2.0
// Authorization: role-based access control over the cached roles and bindings, and the node authorizer. Roles are
// compiled once per change of any of them. Any thread; never blocks.
#pragma once

#include "apiserver/apiserver.h"

struct attributes {
        const struct user *user;
        bool is_resource;
        const char *verb, *group, *resource, *subresource, *namespace, *name, *path;
};

int rbac_new(struct apiserver *api, struct rbac **ret_rbac, struct cx_error *err) CX_CHECK;
void rbac_free(struct rbac *rbac);
// True when allowed. ret_why (owned by the caller, may be NULL): by what, or why not.
bool authorize(struct apiserver *api, const struct attributes *attributes, char **ret_why);
bool authorize_call(struct call *call, struct cx_error *err);
// Would rules (of a role that the user writes or binds) give more than the user has? NULL when not, else what is missing.
char *rbac_escalation(struct apiserver *api, const struct user *user, const char *namespace, const json_t *rules);
// The rules of a user in a namespace, for SelfSubjectRulesReview. New reference: array of PolicyRules.
json_t *rbac_rules(struct apiserver *api, const struct user *user, const char *namespace);
// Node authorizer (auth/node.c): has a rule of its own for members of system:nodes.
bool authorize_node(struct apiserver *api, const struct attributes *attributes);
// Creates the default roles and bindings that are missing and adds missing rules to those marked for it.
int rbac_bootstrap(struct apiserver *api, struct cx_error *err) CX_CHECK;
