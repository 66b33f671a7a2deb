// SPDX-License-Identifier: Apache-2.0
// An Event (audit.k8s.io/v1) as one line of JSON, from what is known of a request at a stage.
#pragma once

#include "apiserver/audit/policy.h"
#include "libcommon/base/buf.h"

// A request that is told of. `recorded` is the first member, and what call->recorded points to.
struct audited {
        struct recorded recorded;
        struct audit_verdict verdict;
        char *id;
        char *selected;    // the name that a list or watch is narrowed to; NULL: none
        int64_t received;  // µs of the wall clock
        bool long_running; // a watch, a stream: its beginning is told, too
        char *failed;      // how authentication was tried in vain; NULL: it was not
        bool began, over;  // told of as begun; told of for the last time
};

enum { EVENT_MAX = 16 << 20 }; // bytes of a line, where nobody has asked for less

// The line, its end included. Bodies are left out when it would be longer than `most`, then the end of the URI and of long
// sentences, and the addresses that a client says it came by, so that nobody goes untold by what he sends along; and the event says
// so. -EFBIG when it is too long even then. `code` is 0 before there is an answer.
int audit_event_write(const struct call *call, const struct audited *audited, enum audit_stage stage, int code,
                      size_t most, struct cx_buf *to, struct cx_error *err) CX_CHECK;
// Exported for tests: the addresses that a request came by, as it says itself, and the peer's last.
void audit_source_addresses(const char *forwarded, const char *real, const char *peer, struct cx_strings *ret_list);
