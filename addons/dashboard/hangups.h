// SPDX-License-Identifier: Apache-2.0
// Tells at once when the client of a stream hangs up. A browser that closes a WebSocket says so, and waits for an answer
// while nobody reads: the stream's own thread is busy with the API server. Such a client never sends anything else, so that
// the first byte that comes is its goodbye.
//
// One thread for all; any thread may call.
#pragma once

#include "libcommon/base/error.h"

#include <stdbool.h>

#define HANGUPS_MAX 1024 // at once; those beyond are noticed when their connection breaks

struct hangups;
int hangups_new(struct hangups **ret_hangups, struct cx_error *err) CX_CHECK;
void hangups_free(struct hangups *hangups); // NULL is fine
// From now on *hung_up (atomic) becomes true when something comes from the client. Returns what ends that: it has to be ended
// before `hung_up` and the descriptor go.
unsigned hangups_watch(struct hangups *hangups, int fd, bool *hung_up);
void hangups_leave(struct hangups *hangups, unsigned watch, int fd);
