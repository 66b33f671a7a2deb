// SPDX-License-Identifier: Apache-2.0
// Writing over HTTP: what the request's body and query say becomes a call of the registry, whose result is the answer.
#include "apiserver/endpoints/selection.h"
#include "apiserver/endpoints/verbs.h"
#include "apiserver/registry/apply.h"
#include "apiserver/registry/patch.h"
#include "apiserver/registry/registry.h"
#include "apiserver/request/decode.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/query.h"
#include "apiserver/request/respond.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/api/status.h"
#include "libcommon/format/json.h"

#define MAX_OPERATIONS 10000
#define APPLY_TYPE "application/apply-patch+yaml"

static void finish(struct call *call, int r, const struct cx_error *err, int code, struct stored **stored)
{
        if (r < 0)
                respond_error(call, err);
        else
                respond_stored(call, code, cx_steal(stored));
}

void handle_create(struct call *call)
{
        const struct scope *scope = &call->scope;
        CX_ERROR err = CX_ERROR_INIT;
        json_t *object = NULL;
        STORED *stored = NULL;
        int r = 0;
        if (*scope->name)
                r = cx_error_reason(&err, CX_REASON_METHOD_NOT_ALLOWED, "POST is not allowed on a single object");
        else if (scope->resource->namespaced && !*scope->namespace)
                r = cx_error_reason(&err, CX_REASON_BAD_REQUEST, "an empty namespace may not be set during creation");
        if (r == 0)
                r = decode_body(call, scope->resource->kind, &object, &err);
        if (r == 0)
                r = registry_create(scope, object, &stored, &err);
        finish(call, r, &err, 201, &stored);
}

// --- PUT ---

static int take_body(void *context, const struct scope *scope CX_UNUSED, const json_t *current CX_UNUSED,
                     json_t **ret_object, struct cx_error *err CX_UNUSED)
{
        *ret_object = json_deep_copy(context);
        return 0;
}

static int check_name(const struct scope *scope, const json_t *body, struct cx_error *err)
{
        const char *name = cx_json_string_or(body, "metadata.name", "");
        if (!*name || strcmp(name, scope->name) == 0)
                return 0;
        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                               "the name of the object (%s) does not match the name on the URL (%s)", name,
                               scope->name);
}

void handle_update(struct call *call)
{
        const struct scope *scope = &call->scope;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *body = NULL;
        STORED *stored = NULL;
        bool created = false;
        int r = decode_body(call, scope->resource->kind, &body, &err);
        if (r == 0)
                r = check_name(scope, body, &err);
        struct change change = {.compute = take_body,
                                .context = body,
                                .create_if_absent = !scope->subresource && scope->kind->strategy->create_on_update};
        if (r == 0)
                r = registry_update(scope, &change, &stored, &created, &err);
        finish(call, r, &err, created ? 201 : 200, &stored);
}

// --- PATCH ---

static bool is_type(const char *given, const char *type)
{
        size_t length = strcspn(given, "; ");
        return strlen(type) == length && strncasecmp(given, type, length) == 0;
}

static int patch_kind(const char *given, enum patch_kind *ret_kind, struct cx_error *err)
{
        static const struct {
                const char *type;
                enum patch_kind kind;
        } types[] = {{"application/json-patch+json", PATCH_JSON},
                     {"application/merge-patch+json", PATCH_MERGE},
                     {"application/strategic-merge-patch+json", PATCH_STRATEGIC}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(types); i++)
                if (is_type(given, types[i].type)) {
                        *ret_kind = types[i].kind;
                        return 0;
                }
        return cx_error_reason(err, CX_REASON_UNSUPPORTED_MEDIA,
                               "the body of the request was in an unknown format - accepted media types include: "
                               "application/json-patch+json, application/merge-patch+json, "
                               "application/strategic-merge-patch+json, " APPLY_TYPE);
}

static int check_patch(const struct patch *patch, struct cx_error *err)
{
        if (patch->kind != PATCH_JSON && !json_is_object(patch->body))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "a merge patch must be an object");
        if (patch->kind != PATCH_JSON || json_array_size(patch->body) <= MAX_OPERATIONS)
                return 0;
        return cx_error_reason(err, CX_REASON_TOO_LARGE,
                               "The allowed maximum operations in a JSON patch is %d, got %zu", MAX_OPERATIONS,
                               json_array_size(patch->body));
}

static int check_manager(const struct call *call, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        if (!*cx_str(cx_http_query(call->request, "fieldManager")))
                cx_error_cause(&causes, "FieldValueRequired", "fieldManager",
                               "Required value: is required for apply patch");
        return object_invalid("meta.k8s.io", "PatchOptions", "", &causes, err);
}

static void handle_apply(struct call *call)
{
        const struct scope *scope = &call->scope;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *config = NULL;
        STORED *stored = NULL;
        bool created = false;
        const char *force = cx_http_query(call->request, "force");
        int r = check_manager(call, &err);
        if (r == 0)
                r = decode_body(call, scope->resource->kind, &config, &err);
        if (r == 0)
                r = apply_check(scope, config, &err);
        struct apply_config apply = {.config = config, .force = cx_streq(force, "true") || cx_streq(force, "1")};
        struct change change = {
                .compute = apply_compute, .context = &apply, .create_if_absent = !scope->subresource, .applying = true};
        if (r == 0)
                r = registry_update(scope, &change, &stored, &created, &err);
        finish(call, r, &err, created ? 201 : 200, &stored);
}

void handle_patch(struct call *call)
{
        const char *type = cx_str(cx_http_header(call->request, "Content-Type"));
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *body = NULL;
        STORED *stored = NULL;
        struct patch patch = {.duplicates = &call->duplicates};
        if (is_type(type, APPLY_TYPE)) {
                handle_apply(call);
                return;
        }
        int r = patch_kind(type, &patch.kind, &err);
        if (r == 0)
                r = decode_any(call, &body, &err);
        patch.body = body;
        if (r == 0)
                r = check_patch(&patch, &err);
        struct change change = {.compute = patch_compute, .context = &patch};
        if (r == 0)
                r = registry_update(&call->scope, &change, &stored, NULL, &err);
        finish(call, r, &err, 200, &stored);
}

// --- DELETE ---

void handle_delete(struct call *call)
{
        struct scope *scope = &call->scope;
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(delete_options_release) struct delete_options options = DELETE_OPTIONS_INIT;
        STORED *stored = NULL;
        CX_CLEANUP(cx_freep) char *uid = NULL;
        int r = delete_options(call, &options, &err);
        scope->dry_run = options.dry_run;
        if (r == 0)
                r = registry_delete(scope, &options, &stored, &uid, &err);
        if (r < 0 || stored)
                finish(call, r, &err, 200, &stored);
        else
                respond_object(call, 200,
                               cx_status_success(scope->resource->group, scope->resource->resource, scope->name, uid));
}

static int delete_one(const struct scope *all, const struct stored *object, const struct delete_options *options,
                      struct cx_error *err)
{
        struct scope scope = *all;
        STORED *left = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        CX_CLEANUP(cx_freep) char *namespace = cx_strndup(object->key, object->namespace_length);
        scope.namespace = namespace;
        scope.name = object->name;
        if (registry_delete(&scope, options, &left, NULL, &why) < 0 && !cx_error_is(&why, CX_REASON_NOT_FOUND))
                return cx_error_move(err, &why);
        return 0;
}

void handle_delete_collection(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        CX_CLEANUP(delete_options_release) struct delete_options options = DELETE_OPTIONS_INIT;
        struct selection selection = {0};
        STORED_LIST list = {0};
        // No namespace would mean all of them.
        int r = call->scope.resource->namespaced && !*call->scope.namespace ? method_not_allowed(&err) : 0;
        if (r == 0)
                r = delete_options(call, &options, &err);
        call->scope.dry_run = options.dry_run;
        if (r == 0)
                r = selection_of(call, &selection, &err);
        if (r == 0)
                r = store_sync(call->api->store, &err);
        if (r == 0)
                r = cache_check_readable(call->scope.kind->cache, selection.filter.namespace, NULL, &err);
        if (r == 0)
                cache_list(call->scope.kind->cache, &selection.filter, &list);
        if (selection.limit > 0 && list.count > (size_t)selection.limit)
                stored_list_truncate(&list, (size_t)selection.limit);
        for (size_t i = 0; r == 0 && i < list.count; i++)
                r = delete_one(&call->scope, list.items[i], &options, &err);
        selection_release(&selection);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_list(call, &list, store_revision(call->api->store), NULL, -1);
}
