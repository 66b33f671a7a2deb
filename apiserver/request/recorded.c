// SPDX-License-Identifier: Apache-2.0
// Objects that go on through the server may be changed there: what is kept of them is a copy.
#include "apiserver/request/recorded.h"

#include "libcommon/format/json.h"
#include "libcommon/schema/engine.h"

void recorded_release(struct recorded *recorded)
{
        user_release(&recorded->original);
        free(recorded->name);
        free(recorded->namespace);
        free(recorded->uid);
        free(recorded->resource_version);
        free(recorded->reason);
        cx_strings_release(&recorded->annotations);
        json_decref(recorded->request);
        json_decref(recorded->response);
        json_decref(recorded->status);
}

static void note(char **to, const json_t *object, const char *path)
{
        const char *text = cx_json_string(object, path);
        if (!*to && text && *text)
                *to = cx_strdup(text);
}

static bool is_too_large(const json_t *json)
{
        return cx_json_weight(json, CX_JSON_MAX_DEPTH, RECORDED_MAX) > RECORDED_MAX;
}

void recorded_request(struct call *call, const struct cx_kind *kind, const json_t *object)
{
        struct recorded *recorded = call->recorded;
        if (!recorded)
                return;
        if (kind) {
                note(&recorded->name, object, "metadata.name");
                note(&recorded->namespace, object, "metadata.namespace");
                note(&recorded->uid, object, "metadata.uid");
                note(&recorded->resource_version, object, "metadata.resourceVersion");
        }
        if (recorded->level < AUDIT_REQUEST || recorded->request)
                return;
        if (is_too_large(object)) {
                recorded->cut = true;
                return;
        }
        recorded->request = json_deep_copy(object);
        if (kind)
                cx_schema_default(kind, recorded->request);
}

bool recorded_wants_answer(const struct call *call)
{
        return call->recorded && call->recorded->level == AUDIT_REQUEST_RESPONSE;
}

void recorded_answer(struct call *call, const json_t *body)
{
        struct recorded *recorded = call->recorded;
        if (!recorded)
                return;
        if (cx_streq(cx_json_string(body, "kind"), "Status") && cx_streq(cx_json_string(body, "apiVersion"), "v1"))
                recorded_status(call, body);
        if (recorded->level < AUDIT_REQUEST_RESPONSE || recorded->response)
                return;
        if (is_too_large(body))
                recorded->cut = true;
        else
                recorded->response = json_deep_copy(body);
}

void recorded_answer_text(struct call *call, const char *json, size_t length)
{
        json_auto_t *body = NULL;
        if (!recorded_wants_answer(call))
                return;
        if (length > RECORDED_MAX)
                call->recorded->cut = true;
        else if (cx_json_parse(json, length, false, &body, NULL) == 0)
                recorded_answer(call, body);
}

void recorded_cut(struct call *call)
{
        if (recorded_wants_answer(call))
                call->recorded->cut = true;
}

void recorded_status(struct call *call, const json_t *status)
{
        if (call->recorded && !call->recorded->status)
                call->recorded->status = json_deep_copy(status);
}

void recorded_decision(struct call *call, bool allowed, const char *why)
{
        struct recorded *recorded = call->recorded;
        if (!recorded)
                return;
        recorded->decided = true;
        recorded->allowed = allowed;
        free(recorded->reason);
        recorded->reason = cx_strdup(why);
}

bool recorded_impersonation(struct call *call)
{
        struct recorded *recorded = call->recorded;
        if (!recorded || recorded->original.name)
                return false;
        recorded->original = call->user;
        call->user = (struct user)USER_INIT;
        return true;
}
