// SPDX-License-Identifier: Apache-2.0
// Where events go: a log file, at once or by way of a bounded queue and a thread of its own. What cannot be written is counted,
// and told in the server's log once a minute; it never stops the server.
#pragma once

#include "apiserver/audit/log_file.h"
#include "libcommon/base/buf.h"

struct cx_metrics;
struct audit_sink;

struct audit_sink_options {
        struct log_file_options file;
        bool batch;          // the queue for everything; else for what nobody waits for
        int64_t buffer;      // events in the queue
        int64_t batch_size;  // events that are written at once at most
        int64_t batch_bytes; // and how much that may be
        int64_t batch_wait;  // ns to wait for so many
};

int audit_sink_new(const struct audit_sink_options *options, struct cx_metrics *metrics, struct audit_sink **ret_sink,
                   struct cx_error *err) CX_CHECK;
// A line. False: it is lost, and was counted. With may_wait and no batches it is written when this returns.
bool audit_sink_put(struct audit_sink *sink, struct cx_buf *line_steal, bool may_wait);
void audit_sink_lost(struct audit_sink *sink, const char *plugin,
                     const struct cx_error *why); // one that could not be made
void audit_sink_free(struct audit_sink *sink);    // writes what is queued
