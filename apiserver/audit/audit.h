// SPDX-License-Identifier: Apache-2.0
// The audit log: who asked for what, when, and what came of it. A request is judged by the policy once it is known who asks
// (audit_begin); what the rest of the chain finds out is noted beside it (request/recorded.h); events are written when the
// request has come, when a long-running one is answered, and when it is over. Where nothing is to be told, a request costs
// nothing but the judgement, and without a policy not even that.
#pragma once

#include "apiserver/request/call.h"
#include "libcommon/base/flags.h"

struct audit;

struct audit_options {
        const char *policy_file, *path, *format, *mode, *version;
        int64_t max_age, max_backups, max_size; // days, files, MB
        bool compress;
        int64_t buffer, batch_size, batch_wait;
        bool truncate;
        int64_t truncate_event, truncate_batch;
        bool refused; // a flag of what there is not
};
#define AUDIT_FLAGS 20
struct audit_flags {
        struct cx_flag known[AUDIT_FLAGS],
                refused[AUDIT_FLAGS]; // refused: upstream's that there are not, so that this is said
};
void audit_flags_make(struct audit_options *options, struct audit_flags *ret_flags); // sets defaults, too
int audit_options_check(const struct audit_options *options, struct cx_error *err) CX_CHECK;

// NULL in *ret_audit: nothing is to be told. Messages name the flag.
int audit_new(const struct audit_options *options, struct cx_metrics *metrics, struct audit **ret_audit,
              struct cx_error *err) CX_CHECK;
void audit_free(struct audit *audit); // after the last request

// Judges the request; `refusal` is what authentication says, or NULL. True: writing may block, so a worker has to go on.
bool audit_begin(struct call *call, const struct cx_error *refusal);
// The request is about to be looked at. False: it cannot be told of, and must not be served.
bool audit_received(struct call *call);
void audit_end(struct call *call); // it is over
