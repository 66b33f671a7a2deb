// SPDX-License-Identifier: Apache-2.0
// Acting as somebody else: the Impersonate-* headers of a request, each allowed by its own rule.
#pragma once

#include "apiserver/request/call.h"

// Replaces call->user by the one that the headers name; 0 when there are none. FORBIDDEN when the user may not.
int impersonate(struct call *call, struct cx_error *err) CX_CHECK;
