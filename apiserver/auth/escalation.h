// SPDX-License-Identifier: Apache-2.0
// Nobody gives away more than they have: whether the rules of a role would give more than the user has who writes or
// binds it.
#pragma once

#include "apiserver/request/apiserver.h"
#include "apiserver/request/user.h"

// NULL when not, else what is missing; owned by the caller.
char *rbac_escalation(struct apiserver *api, const struct user *user, const char *namespace, const json_t *rules);
