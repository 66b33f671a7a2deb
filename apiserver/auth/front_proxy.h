// SPDX-License-Identifier: Apache-2.0
// A front proxy (--requestheader-client-ca-file) has authenticated its client itself, and says in headers who that is:
// another kube-apiserver's aggregator, or a proxy of the user's own.
#pragma once

#include "apiserver/request/call.h"

// Sets call->user when a front proxy names a user. 0 with *ret_known false when no front proxy speaks, or it names nobody;
// negative when its certificate has a name that is not allowed.
int authenticate_front_proxy(struct call *call, bool *ret_known, struct cx_error *err) CX_CHECK;
