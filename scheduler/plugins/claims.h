// SPDX-License-Identifier: Apache-2.0
// The claims of a pod, by name: what the plugins about volumes read of it.
#pragma once

#include "scheduler/core/cycle.h"

struct wanted_claims {
        LIST(
                struct wanted_claim {
                        char *name;
                        char *owner; // of an ephemeral volume: the uid of the pod for which its claim has to be made; NULL: of none
                },
                list);
};
extern const char *const claims_fields[];
void claims_parse(void *wanted, const json_t *pod);
void claims_release(void *wanted);
bool claims_any(const void *wanted);
// Whether the claim, a key, is one of a pod of this template.
bool claims_concern(const struct template *template, const void *wanted, const char *key);
char *claims_key(const struct template *template, const struct wanted_claim *claim); // owned
// The claim as it is: a reference, or NULL.
const struct cx_object *claims_get(const struct cycle *cycle, const struct wanted_claim *claim);
