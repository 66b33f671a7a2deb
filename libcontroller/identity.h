// SPDX-License-Identifier: Apache-2.0
// What --use-service-account-credentials means: every controller acts as a service account of its own in kube-system,
// which the bootstrap roles give what it needs and no more. The process asks for their tokens by its own right (which
// is just about all that it has then), makes an account that is missing, and asks again before a token expires.
#pragma once

#include "libcommon/client/component.h"

struct identities;
int identities_new(const struct cx_component *component, struct identities **ret_self, struct cx_error *err) CX_CHECK;
// The client of an account; owned by `self`, the same one for the same account. Costs nothing before its first call.
// Before any thread uses one.
struct cx_rest *identities_rest(struct identities *self, const char *account);
void identities_trim(struct identities *self); // gives back connections that are not used
void identities_free(struct identities *self);
