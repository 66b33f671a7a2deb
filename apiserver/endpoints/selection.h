// SPDX-License-Identifier: Apache-2.0
// What a list, a watch or a deletion of many asks for: which objects, and as of when.
#pragma once

#include "apiserver/request/call.h"

struct selection {
        struct cx_selector labels, fields;
        struct filter filter;       // points into the above, and to the call's namespace
        int64_t limit;              // 0: no limit
        int64_t revision;           // -1: not given
        bool exact, not_older_than; // resourceVersionMatch
        char *after;                // from a continue token; owned
        int64_t continue_revision;
};
int selection_of(struct call *call, struct selection *ret_selection, struct cx_error *err) CX_CHECK;
void selection_release(struct selection *selection);
// The token with which a list goes on behind `last_key`; -1: at the revision of now. Owned by the caller.
char *continue_token(int64_t revision, const char *last_key);

int parse_revision(const char *text, int64_t *ret_revision, struct cx_error *err) CX_CHECK;
// Waits until the caches show at least `revision` (negative: all there is). TIMEOUT when no server has come so far.
int wait_for_revision(struct call *call, int64_t revision, struct cx_error *err) CX_CHECK;
