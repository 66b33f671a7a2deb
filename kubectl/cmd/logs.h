// SPDX-License-Identifier: Apache-2.0
// What the parts of `kubectl logs` share.
#pragma once

#include "kubectl/cmd/commands.h"

struct logs {
        bool follow, previous, timestamps, all_containers, all_pods, prefix, ignore_errors, insecure;
        const char *container, *selector, *since_time;
        int64_t tail, since, limit, max_requests, running_timeout;
        // Of what was named, unless that is a pod: what selects its pods, owned; and whether others follow on those that end.
        char *owner_selector;
        bool remakes;
};
// The log of one instance of a container.
struct log_stream {
        struct ctl *ctl;
        char *path, *prefix;
        char *pod, *container, *instance; // instance NULL: none has started yet
        const bool *cancel;               // may be NULL
        struct cx_buf pending;
        int result;
        struct cx_error err;
};
void log_stream_make(struct ctl *ctl, const struct logs *logs, const json_t *pod, const char *container, size_t color,
                     struct log_stream *ret_stream);
void *log_stream_run(void *stream); // to its end; the result is in it
void log_stream_release(struct log_stream *stream);
// The id of the container's latest instance; NULL when it has not started yet.
char *log_instance(const json_t *pod, const char *container);

// --- logs_follow.c
// Reads the first streams, then every new instance of a container of the pods that are selected. Ends when all pods are over
// and no others will come, or with the first error unless these are ignored.
int logs_follow(struct ctl *ctl, const struct logs *logs, const struct log_stream *first, size_t count,
                struct cx_error *err) CX_CHECK;
