// SPDX-License-Identifier: Apache-2.0
// Errors, and the table of Kubernetes' reasons.
#include "libcommon/base/error.h"

#include "libcommon/base/alloc.h"

#include <assert.h>
#include <stdio.h>

static const struct {
        const char *name;
        int http_code;
        int code;
} reasons[CX_REASON_COUNT] = {
        [CX_REASON_UNKNOWN] = {"", 500, -EIO},
        [CX_REASON_BAD_REQUEST] = {"BadRequest", 400, -EINVAL},
        [CX_REASON_UNAUTHORIZED] = {"Unauthorized", 401, -EACCES},
        [CX_REASON_FORBIDDEN] = {"Forbidden", 403, -EPERM},
        [CX_REASON_NOT_FOUND] = {"NotFound", 404, -ENOENT},
        [CX_REASON_METHOD_NOT_ALLOWED] = {"MethodNotAllowed", 405, -EOPNOTSUPP},
        [CX_REASON_NOT_ACCEPTABLE] = {"NotAcceptable", 406, -EINVAL},
        [CX_REASON_ALREADY_EXISTS] = {"AlreadyExists", 409, -EEXIST},
        [CX_REASON_CONFLICT] = {"Conflict", 409, -EAGAIN},
        [CX_REASON_GONE] = {"Gone", 410, -ESTALE},
        [CX_REASON_EXPIRED] = {"Expired", 410, -ESTALE},
        [CX_REASON_TOO_LARGE] = {"RequestEntityTooLarge", 413, -EMSGSIZE},
        [CX_REASON_UNSUPPORTED_MEDIA] = {"UnsupportedMediaType", 415, -EINVAL},
        [CX_REASON_INVALID] = {"Invalid", 422, -EINVAL},
        [CX_REASON_TOO_MANY_REQUESTS] = {"TooManyRequests", 429, -EBUSY},
        [CX_REASON_INTERNAL] = {"InternalError", 500, -EIO},
        [CX_REASON_SERVER_TIMEOUT] = {"ServerTimeout", 500, -ETIMEDOUT},
        [CX_REASON_TIMEOUT] = {"Timeout", 504, -ETIMEDOUT},
        [CX_REASON_UNAVAILABLE] = {"ServiceUnavailable", 503, -EHOSTUNREACH},
};

static char *format_text(const char *format, va_list args)
{
        char *text = NULL;
        if (vasprintf(&text, format, args) < 0)
                abort();
        return text;
}

static void set(struct cx_error *err, int code, const char *format, va_list args)
{
        assert(!err->code);
        err->message = format_text(format, args);
        err->code = code;
}

int cx_error_set(struct cx_error *err, int code, const char *format, ...)
{
        assert(code < 0);
        if (!err)
                return code;
        va_list args;
        va_start(args, format);
        set(err, code, format, args);
        va_end(args);
        return code;
}

int cx_error_reason(struct cx_error *err, enum cx_reason reason, const char *format, ...)
{
        int code = reasons[reason].code;
        if (!err)
                return code;
        va_list args;
        va_start(args, format);
        set(err, code, format, args);
        va_end(args);
        err->reason = reason;
        return code;
}

static void replace(char **field, const char *value)
{
        if (!value)
                return;
        free(*field);
        *field = cx_strdup(value);
}

void cx_error_about(struct cx_error *err, const char *group, const char *kind, const char *name)
{
        if (!err)
                return;
        replace(&err->group, group);
        replace(&err->kind, kind);
        replace(&err->name, name);
}

void cx_error_cause(struct cx_error *err, const char *reason, const char *field, const char *format, ...)
{
        if (!err)
                return;
        va_list args;
        va_start(args, format);
        err->causes = cx_realloc_array(err->causes, err->n_causes + 1, sizeof *err->causes);
        err->causes[err->n_causes++] = (struct cx_error_cause){
                .reason = cx_strdup(reason),
                .message = format_text(format, args),
                .field = cx_strdup(field),
        };
        va_end(args);
}

int cx_error_wrap(struct cx_error *err, const char *format, ...)
{
        if (!err)
                return -EIO;
        assert(err->code);
        va_list args;
        va_start(args, format);
        CX_CLEANUP(cx_freep) char *context = format_text(format, args);
        va_end(args);
        char *message = cx_sprintf("%s: %s", context, cx_str(err->message));
        free(err->message);
        err->message = message;
        return err->code;
}

int cx_error_move(struct cx_error *to, struct cx_error *from)
{
        int code = from->code;
        if (to) {
                assert(!to->code);
                *to = *from;
                *from = (struct cx_error)CX_ERROR_INIT;
        }
        return code;
}

void cx_error_release(struct cx_error *err)
{
        for (size_t i = 0; i < err->n_causes; i++) {
                free(err->causes[i].reason);
                free(err->causes[i].message);
                free(err->causes[i].field);
        }
        free(err->causes);
        free(err->message);
        free(err->group);
        free(err->kind);
        free(err->name);
        free(err->uid);
        *err = (struct cx_error)CX_ERROR_INIT;
}

const char *cx_reason_name(enum cx_reason reason)
{
        return reasons[reason].name;
}

int cx_reason_http_code(enum cx_reason reason)
{
        return reasons[reason].http_code;
}

enum cx_reason cx_reason_by_name(const char *name)
{
        for (int i = 1; name && i < CX_REASON_COUNT; i++)
                if (strcmp(reasons[i].name, name) == 0)
                        return (enum cx_reason)i;
        return CX_REASON_UNKNOWN;
}

enum cx_reason cx_reason_by_http_code(int http_code)
{
        for (int i = 1; i < CX_REASON_COUNT; i++)
                if (reasons[i].http_code == http_code)
                        return (enum cx_reason)i;
        return CX_REASON_UNKNOWN;
}
