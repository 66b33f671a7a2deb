// SPDX-License-Identifier: Apache-2.0
// What takes long (a driver, a server, a registry) runs on threads of its own while the pod's worker goes on: the worker
// starts an operation, is woken at its end, and asks again for its result. One that failed is not started again before its
// back-off is over: half a second, doubling up to two minutes, as upstream. Any thread.
#pragma once

#include "libcommon/base/error.h"

#include <stdint.h>

struct operations;
struct volume_operation {
        const char *key;   // of the volume and what is done to it; copied
        const char *owner; // the pod's uid; copied
        // -EAGAIN: soon again, and no failure until that has gone on for two minutes. The error says what it waits for.
        int (*run)(void *context, struct cx_error *err);
        void (*free_context)(void *context);
        void *context;
};
// threads: at most; 0: operations run in the calling thread. `ended` tells the owner of an end.
struct operations *operations_new(int threads, void (*ended)(void *context, const char *owner), void *context);
void operations_free(struct operations *operations); // waits for what runs
// The result of the operation with that key: 0 or its error, once it has ended; -EINPROGRESS while it runs, and when it
// is not to be started yet: ret_again is set then (ns; INT64_MAX: its end will be told). Else starts it. Takes over the
// context in every case.
int operations_do(struct operations *operations, const struct volume_operation *operation, int64_t *ret_again,
                  struct cx_error *err) CX_CHECK;
// Forgets results and back-offs of the operations whose keys begin so, and that do not run. False when one still runs.
bool operations_forget(struct operations *operations, const char *prefix);
