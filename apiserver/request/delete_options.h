// SPDX-License-Identifier: Apache-2.0
// What a deletion may ask for: meta.v1.DeleteOptions, from a body or from a query.
#pragma once

#include "apiserver/request/call.h"

struct delete_options {
        int64_t grace_period;         // seconds; -1: the default
        const char *propagation;      // "Background", "Foreground", "Orphan"; NULL: the default
        char *uid, *resource_version; // preconditions; owned; NULL: none
        char *propagation_text;
        bool dry_run;
        bool admitted; // under another shape (Eviction): not asked for again
};
#define DELETE_OPTIONS_INIT                                                                                            \
        {                                                                                                              \
                .grace_period = -1                                                                                     \
        }
void delete_options_release(struct delete_options *options);
// From DeleteOptions in JSON that fit their schema (NULL: none given).
int delete_options_from(const json_t *json, struct delete_options *ret_options, struct cx_error *err) CX_CHECK;
int delete_options(struct call *call, struct delete_options *ret_options, struct cx_error *err) CX_CHECK;
