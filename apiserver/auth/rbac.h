// SPDX-License-Identifier: Apache-2.0
// Role-based access control over the cached roles and bindings. They are compiled once per change of any of them. Any
// thread; never blocks.
#pragma once

#include "apiserver/auth/attributes.h"
#include "apiserver/request/kinds.h"

struct rbac *rbac_new(const struct kinds *kinds);
void rbac_free(struct rbac *rbac);
// ret_why (owned by the caller, may be NULL): by what.
bool rbac_allows(struct rbac *rbac, const struct attributes *attributes, char **ret_why);
// The rules of a user in a namespace, for SelfSubjectRulesReview. New reference: array of PolicyRules.
json_t *rbac_rules(struct rbac *rbac, const struct user *user, const char *namespace);
