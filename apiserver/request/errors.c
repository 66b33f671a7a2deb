// SPDX-License-Identifier: Apache-2.0
// Upstream's sentences, which clients compare and people search for.
#include "apiserver/request/errors.h"

#include "libcommon/base/buf.h"

void qualified_resource(const struct cx_resource *resource, char to[512])
{
        (void)snprintf(to, 512, "%s%s%s", resource->resource, *resource->group ? "." : "", resource->group);
}

int object_not_found(const struct cx_resource *resource, const char *name, struct cx_error *err)
{
        char qualified[512];
        qualified_resource(resource, qualified);
        int r = cx_error_reason(err, CX_REASON_NOT_FOUND, "%s \"%s\" not found", qualified, name);
        cx_error_about(err, resource->group, resource->resource, name);
        return r;
}

int object_forbidden(const struct cx_resource *resource, const char *name, const char *why, struct cx_error *err)
{
        char qualified[512];
        qualified_resource(resource, qualified);
        int r = cx_error_reason(err, CX_REASON_FORBIDDEN, "%s \"%s\" is forbidden: %s", qualified, name, why);
        cx_error_about(err, resource->group, resource->resource, name);
        return r;
}

int object_exists(const struct cx_resource *resource, const char *name, struct cx_error *err)
{
        char qualified[512];
        qualified_resource(resource, qualified);
        int r = cx_error_reason(err, CX_REASON_ALREADY_EXISTS, "%s \"%s\" already exists", qualified, name);
        cx_error_about(err, resource->group, resource->resource, name);
        return r;
}

int object_conflict(const struct cx_resource *resource, const char *name, const char *why, struct cx_error *err)
{
        char qualified[512];
        qualified_resource(resource, qualified);
        int r = cx_error_reason(err, CX_REASON_CONFLICT, "Operation cannot be fulfilled on %s \"%s\": %s", qualified,
                                name, why);
        cx_error_about(err, resource->group, resource->resource, name);
        return r;
}

int object_invalid(const char *group, const char *kind, const char *name, const struct cx_error *causes,
                   struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        bool many = causes->n_causes > 1;
        if (!causes->n_causes)
                return 0;
        for (size_t i = 0; i < causes->n_causes; i++)
                cx_buf_printf(&text, "%s%s: %s", i ? ", " : "", cx_str(causes->causes[i].field),
                              causes->causes[i].message);
        int r = cx_error_reason(err, CX_REASON_INVALID, "%s%s%s \"%s\" is invalid: %s%s%s", kind, *group ? "." : "",
                                group, cx_str(name), many ? "[" : "", text.data, many ? "]" : "");
        cx_error_about(err, group, kind, name);
        for (size_t i = 0; err && i < causes->n_causes; i++)
                cx_error_cause(err, causes->causes[i].reason, causes->causes[i].field, "%s", causes->causes[i].message);
        return r;
}

int not_served(struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_NOT_FOUND, "the server could not find the requested resource");
}

int method_not_allowed(struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_METHOD_NOT_ALLOWED,
                               "the server does not allow this method on the requested resource");
}
