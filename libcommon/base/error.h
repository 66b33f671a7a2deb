// SPDX-License-Identifier: Apache-2.0
// The error that travels up a call chain and, at the top, becomes a Kubernetes Status or one line on the screen.
//
// A function that can fail returns 0 or a negative errno and, when negative, has set `err` exactly once. Callers wrap
// (cx_error_wrap) to add context and never set over an error. `err` may be NULL where the caller wants only the code.
// An error is a plain value on the caller's stack: `CX_ERROR err = CX_ERROR_INIT;`. Not shared between threads.
#pragma once

#include "libcommon/base/macro.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

// The machine-readable reasons of metav1.Status. The HTTP code of each is in cx_reason_http_code().
enum cx_reason {
        CX_REASON_UNKNOWN = 0,        // "" / 500
        CX_REASON_BAD_REQUEST,        // 400
        CX_REASON_UNAUTHORIZED,       // 401
        CX_REASON_FORBIDDEN,          // 403
        CX_REASON_NOT_FOUND,          // 404
        CX_REASON_METHOD_NOT_ALLOWED, // 405
        CX_REASON_NOT_ACCEPTABLE,     // 406
        CX_REASON_ALREADY_EXISTS,     // 409
        CX_REASON_CONFLICT,           // 409
        CX_REASON_GONE,               // 410
        CX_REASON_EXPIRED,            // 410
        CX_REASON_TOO_LARGE,          // 413 RequestEntityTooLarge
        CX_REASON_UNSUPPORTED_MEDIA,  // 415 UnsupportedMediaType
        CX_REASON_INVALID,            // 422
        CX_REASON_TOO_MANY_REQUESTS,  // 429
        CX_REASON_INTERNAL,           // 500 InternalError
        CX_REASON_SERVER_TIMEOUT,     // 500 ServerTimeout (retry)
        CX_REASON_TIMEOUT,            // 504
        CX_REASON_UNAVAILABLE,        // 503 ServiceUnavailable
        CX_REASON_COUNT
};

struct cx_error_cause {
        char *reason;  // "FieldValueInvalid", …; owned
        char *message; // owned
        char *field;   // "spec.replicas", …; owned, may be NULL
};

struct cx_error {
        int code;              // negative errno; 0 when no error is set
        enum cx_reason reason; // CX_REASON_UNKNOWN for plain system errors
        char *message;         // owned
        // Status.details; all owned, all may be NULL
        char *group, *kind, *name, *uid;
        int retry_after; // seconds, 0 for none
        struct cx_error_cause *causes;
        size_t n_causes;
};

#define CX_ERROR_INIT                                                                                                  \
        {                                                                                                              \
                0                                                                                                      \
        }
#define CX_ERROR CX_CLEANUP(cx_error_release) struct cx_error

// Sets a plain error and returns `code` (negative errno).
int cx_error_set(struct cx_error *err, int code, const char *format, ...) CX_PRINTF(3, 4);
// Sets an error with a Status reason; returns the matching negative errno (NOT_FOUND: -ENOENT, CONFLICT: -EAGAIN,
// ALREADY_EXISTS: -EEXIST, GONE and EXPIRED: -ESTALE, FORBIDDEN: -EPERM, UNAUTHORIZED: -EACCES, UNAVAILABLE:
// -EHOSTUNREACH, TIMEOUT: -ETIMEDOUT, TOO_LARGE: -EMSGSIZE, TOO_MANY_REQUESTS: -EBUSY, the others -EINVAL or -EIO).
int cx_error_reason(struct cx_error *err, enum cx_reason reason, const char *format, ...) CX_PRINTF(3, 4);
// Fills Status.details of an error that is set. NULL leaves a part as it is.
void cx_error_about(struct cx_error *err, const char *group, const char *kind, const char *name);
// Adds a field cause. Does nothing when err is NULL. Works before and after the error itself is set.
void cx_error_cause(struct cx_error *err, const char *reason, const char *field, const char *format, ...)
        CX_PRINTF(4, 5);
// Puts "context: " before the message; keeps code, reason and causes. Returns err's code.
int cx_error_wrap(struct cx_error *err, const char *format, ...) CX_PRINTF(2, 3);
// Moves `from` into `to` (which must be unset, may be NULL) and returns the code.
int cx_error_move(struct cx_error *to, struct cx_error *from);
void cx_error_release(struct cx_error *err); // back to CX_ERROR_INIT

static inline bool cx_error_is(const struct cx_error *err, enum cx_reason reason)
{
        return err && err->code && err->reason == reason;
}
static inline const char *cx_error_text(const struct cx_error *err)
{
        return err && err->message ? err->message : "unknown error";
}

const char *cx_reason_name(enum cx_reason reason); // "NotFound"; "" for UNKNOWN
int cx_reason_http_code(enum cx_reason reason);
enum cx_reason cx_reason_by_name(const char *name); // UNKNOWN when not known
enum cx_reason cx_reason_by_http_code(int http_code);
