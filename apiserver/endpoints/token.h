// SPDX-License-Identifier: Apache-2.0
// serviceaccounts/token: a token for a service account, bound to an object or not.
#pragma once

#include "apiserver/request/call.h"

void serve_token(struct call *call);
