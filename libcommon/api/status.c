// SPDX-License-Identifier: Apache-2.0
// Errors to Status objects and back.
#include "libcommon/api/status.h"

#include "libcommon/format/json.h"

static void set_string(json_t *object, const char *key, const char *value)
{
        if (value && *value)
                json_object_set_new(object, key, json_string(value));
}

int cx_status_http_code(const struct cx_error *err)
{
        return cx_reason_http_code(err->reason);
}

// Whether upstream's constructors of these errors give details even when there is nothing to tell: clients look into them
// without a check.
static bool always_has_details(enum cx_reason reason)
{
        switch (reason) {
        case CX_REASON_NOT_FOUND:
        case CX_REASON_METHOD_NOT_ALLOWED:
        case CX_REASON_ALREADY_EXISTS:
        case CX_REASON_CONFLICT:
        case CX_REASON_FORBIDDEN:
        case CX_REASON_INVALID:
        case CX_REASON_INTERNAL:
        case CX_REASON_SERVER_TIMEOUT:
        case CX_REASON_TIMEOUT:
        case CX_REASON_TOO_MANY_REQUESTS:
                return true;
        default:
                return false;
        }
}

static json_t *details_of(const struct cx_error *err)
{
        static const char internal[] = "Internal error occurred: ";
        json_t *details = json_object();
        set_string(details, "name", err->name);
        set_string(details, "group", err->group);
        set_string(details, "kind", err->kind);
        set_string(details, "uid", err->uid);
        if (err->n_causes) {
                json_t *causes = json_array();
                for (size_t i = 0; i < err->n_causes; i++) {
                        json_t *cause = json_object();
                        set_string(cause, "reason", err->causes[i].reason);
                        set_string(cause, "message", err->causes[i].message);
                        set_string(cause, "field", err->causes[i].field);
                        json_array_append_new(causes, cause);
                }
                json_object_set_new(details, "causes", causes);
        } else if (err->reason == CX_REASON_INTERNAL && cx_has_prefix(cx_error_text(err), internal)) {
                json_object_set_new(details, "causes",
                                    json_pack("[{s:s}]", "message", cx_error_text(err) + strlen(internal)));
        }
        if (err->retry_after)
                json_object_set_new(details, "retryAfterSeconds", json_integer(err->retry_after));
        return details;
}

static json_t *new_status(const char *status)
{
        return json_pack("{s:s,s:s,s:{},s:s}", "kind", "Status", "apiVersion", "v1", "metadata", "status", status);
}

json_t *cx_status_from_error(const struct cx_error *err)
{
        json_t *status = new_status("Failure");
        json_t *message = json_string(cx_error_text(err));
        json_object_set_new(status, "message", message ? message : json_string("error text is not valid UTF-8"));
        const char *reason = cx_reason_name(err->reason);
        set_string(status, "reason", *reason ? reason : "InternalError");
        json_auto_t *details = details_of(err);
        if (json_object_size(details) || always_has_details(err->reason))
                json_object_set(status, "details", details);
        json_object_set_new(status, "code", json_integer(cx_status_http_code(err)));
        return status;
}

json_t *cx_status_success(const char *group, const char *kind, const char *name, const char *uid)
{
        json_t *status = new_status("Success");
        json_auto_t *details = json_object();
        set_string(details, "name", name);
        set_string(details, "group", group);
        set_string(details, "kind", kind);
        set_string(details, "uid", uid);
        if (json_object_size(details))
                json_object_set(status, "details", details);
        return status;
}

// What clients say about an answer that is no Status.
static const char *generic_sentence(int http_code)
{
        static const struct {
                int code;
                const char *sentence;
        } sentences[] = {
                {400, "the server rejected our request for an unknown reason"},
                {401, "the server has asked for the client to provide credentials"},
                {404, "the server could not find the requested resource"},
                {405, "the server does not allow this method on the requested resource"},
                {409, "the server reported a conflict"},
                {422, "the server rejected our request due to an error in our request"},
                {429, "the server has received too many requests and has asked us to try again later"},
                {503, "the server is currently unable to handle the request"},
                {504, "the server was unable to return a response in the time allotted, but may still be processing "
                      "the request"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(sentences); i++)
                if (sentences[i].code == http_code)
                        return sentences[i].sentence;
        return NULL;
}

int cx_error_from_status(struct cx_error *err, int http_code, const char *body, size_t length)
{
        json_auto_t *status = json_loadb(body ? body : "", body ? length : 0, 0, NULL);
        enum cx_reason reason = cx_reason_by_name(cx_json_string(status, "reason"));
        if (reason == CX_REASON_UNKNOWN)
                reason = cx_reason_by_http_code(http_code);
        if (!cx_streq(cx_json_string(status, "kind"), "Status")) {
                const char *sentence = generic_sentence(http_code);
                if (sentence)
                        return cx_error_reason(err, reason, "%s", sentence);
                size_t shown = body ? strcspn(body, "\r\n") : 0;
                if (shown > 512)
                        shown = 512;
                return cx_error_reason(err, reason, "the server answered with HTTP status %d: %.*s", http_code,
                                       (int)shown, cx_str(body));
        }
        int code = cx_error_reason(err, reason, "%s", cx_json_string_or(status, "message", "unknown error"));
        if (!err)
                return code;
        cx_error_about(err, cx_json_string(status, "details.group"), cx_json_string(status, "details.kind"),
                       cx_json_string(status, "details.name"));
        err->retry_after = (int)cx_json_int(status, "details.retryAfterSeconds", 0);
        const json_t *causes = cx_json_get(status, "details.causes");
        for (size_t i = 0; i < json_array_size(causes) && i < 256; i++) {
                const json_t *cause = json_array_get(causes, i);
                cx_error_cause(err, cx_json_string(cause, "reason"), cx_json_string(cause, "field"), "%s",
                               cx_json_string_or(cause, "message", ""));
        }
        return code;
}
