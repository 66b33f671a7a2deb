// SPDX-License-Identifier: Apache-2.0
// Tokens that lie in Secrets of type kubernetes.io/service-account-token. They do not expire; one holds for as long as
// its Secret has it and its ServiceAccount is the one that it was made for. Any thread.
#pragma once

#include "apiserver/request/apiserver.h"
#include "apiserver/request/user.h"

bool legacy_token_is(const json_t *claims); // by its issuer; the signature was checked
int legacy_token_check(struct apiserver *api, const json_t *claims, const char *token, struct user *ret_user,
                       struct cx_error *err) CX_CHECK;
