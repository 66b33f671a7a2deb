// SPDX-License-Identifier: Apache-2.0
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "libcommon/format/json.h"

#define MAX_OPERATIONS 10000

enum patch_kind { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };
struct patch {
        enum patch_kind kind;
        json_t *body;
};

static int patch_kind(const struct call *call, enum patch_kind *ret_kind, struct cx_error *err)
{
        static const struct {
                const char *type;
                enum patch_kind kind;
        } types[] = {{"application/json-patch+json", PATCH_JSON},
                     {"application/merge-patch+json", PATCH_MERGE},
                     {"application/strategic-merge-patch+json", PATCH_STRATEGIC},
                     {"application/apply-patch+yaml", PATCH_APPLY}};
        const char *type = cx_http_header(call->request, "Content-Type");
        size_t length = type ? strcspn(type, "; ") : 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++)
                if (strlen(types[i].type) == length && strncasecmp(type, types[i].type, length) == 0) {
                        *ret_kind = types[i].kind;
                        return 0;
                }
        return cx_error_reason(err, CX_REASON_UNSUPPORTED_MEDIA,
                               "the body of the request was in an unknown format - accepted media types include: "
                               "application/json-patch+json, application/merge-patch+json, "
                               "application/strategic-merge-patch+json, application/apply-patch+yaml");
}

static int apply(void *context, struct call *call, const json_t *current, json_t **ret_object, struct cx_error *err)
{
        const struct patch *patch = context;
        json_auto_t *object = NULL;
        const struct cx_type *type = call->resource->kind->type;
        int r = 0;
        if (patch->kind == PATCH_JSON)
                r = cx_patch_json(current, patch->body, &object, err);
        else if (patch->kind == PATCH_STRATEGIC)
                r = cx_patch_strategic(type, current, patch->body, &object, err);
        else
                object = cx_patch_merge(current, patch->body);
        if (r < 0)
                return r;
        if (!json_is_object(object))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the patched object is no object");
        r = cx_schema_decode(type, object, call->field_validation, &call->duplicates, &call->warnings, err);
        if (r < 0)
                return r;
        if (!cx_streq(cx_json_string(object, "kind"), call->resource->kind->kind) ||
            !json_equal(json_object_get(object, "apiVersion"), json_object_get(current, "apiVersion")))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "a patch must not change kind or apiVersion");
        *ret_object = cx_steal(&object);
        return 0;
}

void handle_patch(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *body = NULL;
        STORED *stored = NULL;
        struct patch patch = {0};
        int r = patch_kind(call, &patch.kind, &err);
        if (r == 0 && patch.kind == PATCH_APPLY) {
                handle_apply(call);
                return;
        }
        if (r == 0)
                r = decode_any(call, &body, &err);
        if (r == 0 && patch.kind == PATCH_JSON && json_array_size(body) > MAX_OPERATIONS)
                r = cx_error_reason(&err, CX_REASON_TOO_LARGE,
                                    "The allowed maximum operations in a JSON patch is %d, got %zu", MAX_OPERATIONS,
                                    json_array_size(body));
        if (r == 0 && patch.kind != PATCH_JSON && !json_is_object(body))
                r = cx_error_reason(&err, CX_REASON_BAD_REQUEST, "a merge patch must be an object");
        patch.body = body;
        struct update update = {.compute = apply,
                                .context = &patch,
                                .name = call->info.name,
                                .subresource = call->subresource ? call->subresource->name : NULL};
        if (r == 0)
                r = registry_update(call, &update, &stored, NULL, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_stored(call, 200, cx_steal(&stored));
}
