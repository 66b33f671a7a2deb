// SPDX-License-Identifier: Apache-2.0
// A session with a container: exec and attach, also of commands that use them (cp).
#pragma once

#include "kubectl/cmd/commands.h"
#include "libcommon/net/streams.h"

#include <pthread.h>

struct session {
        bool in, tty, quiet;
        int fds[3]; // input, output, errors. An input other than the standard one is closed when it is not read any more.
        uint64_t written; // bytes of output, added to
        // the session's own
        struct cx_streams *streams;
        pthread_mutex_t lock; // held by the thread that sends
};
// The path and query for exec or attach; a command is added by the caller.
void session_path(const json_t *pod, const char *verb, const char *container, const struct session *session,
                  struct cx_buf *path);
// The container that is meant: `wanted`, or the pod's default one. A name is looked for when it is to be attached to; for a
// command the server does that. Borrowed from the pod or from `wanted`.
int session_container(const json_t *pod, const char *wanted, bool quiet, bool checks, const char **ret_name,
                      struct cx_error *err) CX_CHECK;
// Runs until the command ends. 0 with its exit code. With the standard input the session has to live as long as the process:
// a thread that waits for the user is left behind.
int session_run(struct ctl *ctl, const char *path, struct session *session, int *ret_code, struct cx_error *err)
        CX_CHECK;
// Asks for a session in one of the ways of streams.h; a refusal becomes the error.
typedef int (*session_connect_fn)(struct cx_http_client *client, const struct cx_http_call *call,
                                  struct cx_streams **ret_streams, struct cx_http_reply *ret_refusal,
                                  struct cx_error *err);
int session_connect(struct ctl *ctl, const char *path, session_connect_fn connect, struct cx_streams **ret_streams,
                    struct cx_error *err) CX_CHECK;
