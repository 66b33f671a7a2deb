// SPDX-License-Identifier: Apache-2.0
// The one way of every object that is to be stored, be it created, updated, patched or applied:
//
//     defaults → mutating admission → defaults → what the server decides (metadata, strategy) → defaults →
//     validation → validating admission → what must be unique → etcd
//
// A create goes through the last part again when the name that was made for it is taken, an update through all of it
// when somebody else was faster.
#pragma once

#include "apiserver/request/write.h"

struct passage {
        const struct scope *scope;
        json_t *object;    // borrowed; changed in place
        const json_t *old; // NULL: a new object
        bool applying;     // comes with its own managedFields
        bool admitted;     // admission has said what it has to say
};
// Up to the defaults after mutating admission.
int passage_mutate(const struct passage *passage, struct cx_error *err) CX_CHECK;
// From there to validating admission.
int passage_check(const struct passage *passage, struct cx_error *err) CX_CHECK;
// Writes it over `present` (NULL: it must not exist), or with a dry run makes what would be stored. ALREADY_EXISTS or
// CONFLICT when somebody was faster.
int passage_store(const struct passage *passage, const struct stored *present, struct stored **ret_stored,
                  struct cx_error *err) CX_CHECK;
