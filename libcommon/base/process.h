// SPDX-License-Identifier: Apache-2.0
// How every executable starts and stops, and how it runs other programs without a shell.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

#include <sys/types.h>

// To be called first in main: ignores SIGPIPE, blocks SIGTERM and SIGINT (for cx_process_wait_stop) in this and all
// later threads, caps malloc's arenas, seeds jansson's hash, takes what a service manager has left in the environment.
void cx_process_init(void);
// Undoes the blocked signals: for short-lived command-line tools that want Ctrl-C to end them.
void cx_process_unblock_signals(void);
// Waits until SIGTERM or SIGINT arrives, or until cx_process_request_stop. Returns the signal, 0 when requested. Gives
// memory back meanwhile: five seconds after the start and once a minute (cx_process_trim).
int cx_process_wait_stop(void);
// The same for a service, whose manager (libcommon/base/notify.h) is told when it is ready, while it lives, and when it
// stops. Any of these may be NULL: it is ready at once, it lives, there is nothing to tend.
struct cx_service {
        bool (*ready)(void *context);                // whether it serves; asked often until it does
        bool (*alive)(void *context, int64_t limit); // whether its loops have turned within the last `limit` ns
        void (*tend)(void *context);                 // now and then: to give back what is not needed
        void *context;
};
int cx_process_wait_stop_with(const struct cx_service *service);
void cx_process_request_stop(void); // any thread
bool cx_process_stop_pending(void); // SIGTERM or SIGINT has come, before anybody waits for it

// Gives back what only starting needed: free heap pages, and the pages of code and constants that are clean copies of
// files (they come back from the page cache when touched again). For long-lived processes, once they are up.
void cx_process_trim(void);

// What a child starts with; what is not said is inherited, but no file descriptor and no signal setting is.
struct cx_spawn_options {
        const char *const *argv; // argv[0] is looked up in PATH; NULL-ended
        const char *const *env;  // NULL-ended; NULL: inherit
        int fds[4];              // become 0 to 3; 0 (or -1): /dev/null, and no fd 3
        const char *tty;         // instead: this terminal becomes 0 to 2 and, in a new session, the controlling one
        const char *directory;   // working directory; NULL: inherit
        bool session;            // a session of its own; otherwise a process group of its own
};
// Starts a program, which the caller waits for and which has no other file of ours open. Returns 0 or a negative errno.
int cx_spawn(const struct cx_spawn_options *options, pid_t *ret_pid) CX_CHECK;

struct cx_run_options {
        const char *const *argv; // argv[0] is looked up in PATH; NULL-ended
        const char *const *env;  // NULL-ended; NULL: inherit
        const char *input;       // written to standard input; NULL: /dev/null
        size_t input_length;
        size_t max_output;     // cap for each of ret_out and ret_err; 0: 1 MiB
        int64_t timeout;       // ns; 0: none. The process group is killed at the end of it.
        const char *directory; // working directory; NULL: inherit
};
// Runs a program with posix_spawn, feeds and drains its pipes, waits. Returns 0 with its exit status (128 + signal when
// killed), or a negative errno when it could not start or ran out of time. Signals are unblocked in the child.
int cx_run(const struct cx_run_options *options, struct cx_buf *ret_out, struct cx_buf *ret_err, int *ret_status,
           struct cx_error *err) CX_CHECK;
// The same, where any exit status but 0 is an error that carries the first line of standard error.
int cx_run_ok(const char *const *argv, struct cx_buf *ret_out, struct cx_error *err) CX_CHECK;

// Writes a file by a temporary name in the same folder, fsync when `durable`, and a rename. Mode e.g. 0600.
int cx_write_file(const char *path, const void *data, size_t length, unsigned mode, bool durable, struct cx_error *err)
        CX_CHECK;
// The names in a folder but for those that begin with a dot; none when there is no such folder.
int cx_list_folder(const char *path, struct cx_strings *ret_names, struct cx_error *err) CX_CHECK;
int cx_mkdir_all(const char *path, unsigned mode, struct cx_error *err) CX_CHECK; // mkdir -p
