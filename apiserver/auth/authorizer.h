// SPDX-License-Identifier: Apache-2.0
// Authorization: the modes that the flags name, asked one after the other. Any thread; never blocks.
#pragma once

#include "apiserver/auth/attributes.h"
#include "apiserver/request/call.h"

// True when allowed. ret_why (owned by the caller, may be NULL): by what.
bool authorize(struct apiserver *api, const struct attributes *attributes, char **ret_why);
// The same without the node authorizer, which allows a kubelet what its pods need.
bool authorize_beside_node(struct apiserver *api, const struct attributes *attributes, char **ret_why);
// Whether the scope's user may do `verb` to its resource or subresource under this name.
bool scope_may(const struct scope *scope, const char *verb, const char *name);
// The same under the scope's own name: FORBIDDEN in upstream's sentence when not.
int scope_check(const struct scope *scope, const char *verb, struct cx_error *err) CX_CHECK;
// False: err is FORBIDDEN in upstream's sentence.
bool authorize_call(struct call *call, struct cx_error *err);
