// SPDX-License-Identifier: Apache-2.0
// Subresources with a shape of their own, as a table from resource and subresource to a function.
#include "apiserver/admission/admission.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/endpoints/eviction.h"
#include "apiserver/endpoints/token.h"
#include "apiserver/registry/registry.h"
#include "apiserver/request/decode.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/object.h"
#include "apiserver/request/respond.h"
#include "libcommon/api/selector.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

static bool is_verb(const struct call *call, const char *verb)
{
        return cx_streq(call->info.verb, verb);
}

// --- scale ---

static json_t *scale_of(const struct scope *scope, const json_t *object)
{
        json_t *scale = json_pack("{s:s,s:s,s:{},s:{},s:{}}", "kind", "Scale", "apiVersion", "autoscaling/v1",
                                  "metadata", "spec", "status");
        static const char *const copied[] = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"};
        json_t *metadata = json_object_get(scale, "metadata");
        for (size_t i = 0; i < CX_ARRAY_SIZE(copied); i++)
                json_object_set(metadata, copied[i], json_object_get(json_object_get(object, "metadata"), copied[i]));
        json_object_set_new(json_object_get(scale, "spec"), "replicas",
                            json_integer(cx_json_int(object, "spec.replicas", 0)));
        json_t *status = json_object_get(scale, "status");
        json_object_set_new(status, "replicas", json_integer(cx_json_int(object, "status.replicas", 0)));
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_BUF text = CX_BUF_INIT;
        const json_t *labels = cx_json_get(object, "spec.selector");
        if (cx_streq(scope->resource->resource, "replicationcontrollers"))
                cx_selector_from_map(labels, &selector);
        else if (cx_selector_from_json(labels, &selector, NULL) < 0)
                return scale;
        cx_selector_format(&selector, &text);
        json_object_set_new(status, "selector", json_string(text.data));
        return scale;
}

struct scale_change {
        json_t *body; // of PUT, or a patch
        enum { SCALE_PUT, SCALE_MERGE, SCALE_JSON } how;
};

static int change_scale(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                        struct cx_error *err)
{
        const struct scale_change *change = context;
        json_auto_t *before = scale_of(scope, current);
        json_auto_t *scale = NULL;
        int r = 0;
        if (change->how == SCALE_PUT)
                scale = json_deep_copy(change->body);
        else if (change->how == SCALE_MERGE)
                scale = cx_patch_merge(before, change->body);
        else
                r = cx_patch_json(before, change->body, &scale, err);
        if (r < 0)
                return r;
        struct admission_request admission = {
                .scope = scope, .operation = ADMIT_UPDATE, .object = scale, .old = before};
        r = admit(&admission, err);
        if (r < 0)
                return r;
        int64_t replicas = cx_json_int(scale, "spec.replicas", 0);
        CX_ERROR causes = CX_ERROR_INIT;
        if (replicas < 0 || replicas > INT32_MAX)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.replicas",
                               "Invalid value: %ld: must be greater than or equal to 0", (long)replicas);
        r = object_invalid("autoscaling", "Scale", scope->name, &causes, err);
        if (r < 0)
                return r;
        json_auto_t *object = json_deep_copy(current);
        (void)cx_json_set(object, "spec.replicas", json_integer(replicas));
        const char *version = cx_json_string(scale, "metadata.resourceVersion");
        cx_json_set_string(object, "metadata.resourceVersion", version && *version ? version : NULL);
        *ret_object = cx_steal(&object);
        return 0;
}

static void respond_scale(struct call *call, const struct stored *stored)
{
        json_auto_t *object = stored_parse(stored);
        respond_object(call, 200, scale_of(&call->scope, object));
}

static void serve_scale(struct call *call)
{
        const struct scope *scope = &call->scope;
        CX_ERROR err = CX_ERROR_INIT;
        STORED *stored = NULL;
        json_auto_t *body = NULL;
        struct scale_change change = {.how = SCALE_PUT};
        int r;
        if (is_verb(call, "get")) {
                r = store_sync(call->api->store, &err);
                if (r == 0)
                        stored = scope_find(scope);
                if (r == 0 && !stored)
                        r = object_not_found(scope->resource, scope->name, &err);
        } else {
                const char *type = cx_str(cx_http_header(call->request, "Content-Type"));
                if (is_verb(call, "patch"))
                        change.how = cx_has_prefix(type, "application/json-patch+json") ? SCALE_JSON : SCALE_MERGE;
                r = is_verb(call, "patch")
                            ? decode_any(call, &body, &err)
                            : decode_body(call, cx_schema_kind("autoscaling", "v1", "Scale"), &body, &err);
                change.body = body;
                struct change update = {.compute = change_scale, .context = &change, .admitted = true};
                if (r == 0)
                        r = registry_update(scope, &update, &stored, NULL, &err);
        }
        if (r < 0)
                respond_error(call, &err);
        else
                respond_scale(call, stored);
}

// --- binding ---

static int cannot_bind(const char *name, const char *why, struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_CONFLICT, "Operation cannot be fulfilled on pods/binding \"%s\": %s",
                               name, why);
}

static int bind_pod(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                    struct cx_error *err)
{
        const json_t *binding = context;
        const char *node = cx_json_string(binding, "target.name"), *bound = cx_json_string(current, "spec.nodeName");
        const char *uid = cx_json_string(binding, "metadata.uid");
        CX_CLEANUP(cx_freep) char *why = NULL;
        if (uid && *uid && !cx_streq(uid, cx_json_string(current, "metadata.uid")))
                why = cx_strdup("the pod was replaced");
        else if (is_being_deleted(current))
                why = cx_sprintf("pod %s is being deleted, cannot be assigned to a host", scope->name);
        else if (bound && *bound)
                why = cx_sprintf("pod %s is already assigned to node \"%s\"", scope->name, bound);
        if (why)
                return cannot_bind(scope->name, why, err);
        json_t *object = json_deep_copy(current);
        cx_json_remove(object, "metadata.resourceVersion");
        (void)cx_json_set(object, "spec.nodeName", json_string(node));
        const json_t *annotations = cx_json_get(binding, "metadata.annotations");
        if (json_object_size(annotations))
                json_object_update(cx_json_object_at(cx_json_object_at(object, "metadata"), "annotations"),
                                   (json_t *)annotations);
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        json_t *conditions = cx_json_array_at(cx_json_object_at(object, "status"), "conditions");
        json_t *condition = cx_json_find(conditions, "type", "PodScheduled");
        if (!condition) {
                condition = json_pack("{s:s}", "type", "PodScheduled");
                json_array_append_new(conditions, condition);
        }
        json_object_set_new(condition, "status", json_string("True"));
        json_object_set_new(condition, "lastProbeTime", json_null());
        json_object_set_new(condition, "lastTransitionTime", json_string(now));
        json_object_del(condition, "reason");
        json_object_del(condition, "message");
        *ret_object = object;
        return 0;
}

static int check_binding(const struct scope *scope, const json_t *binding, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        const char *kind = cx_json_string_or(binding, "target.kind", "");
        const char *name = cx_json_string_or(binding, "metadata.name", "");
        if (strcmp(name, scope->name) != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "name in URL does not match name in Binding object");
        if (*kind && strcmp(kind, "Node") != 0)
                cx_error_cause(&causes, "FieldValueNotSupported", "target.kind",
                               "Unsupported value: \"%s\": supported values: \"Node\", \"<empty>\"", kind);
        if (!*cx_json_string_or(binding, "target.name", ""))
                cx_error_cause(&causes, "FieldValueRequired", "target.name", "Required value");
        return object_invalid("", "Binding", name, &causes, err);
}

static void serve_binding(struct call *call)
{
        const struct scope *scope = &call->scope;
        CX_ERROR err = CX_ERROR_INIT;
        STORED *stored = NULL;
        json_auto_t *body = NULL;
        int r = decode_body(call, cx_schema_kind("", "v1", "Binding"), &body, &err);
        if (r == 0)
                r = check_binding(scope, body, &err);
        struct admission_request admission = {.scope = scope, .operation = ADMIT_CREATE, .object = body};
        if (r == 0)
                r = admit(&admission, &err);
        struct change change = {.compute = bind_pod, .context = body, .admitted = true};
        if (r == 0)
                r = registry_update(scope, &change, &stored, NULL, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_object(call, 201,
                               json_pack("{s:s,s:s,s:{},s:s}", "kind", "Status", "apiVersion", "v1", "metadata",
                                         "status", "Success"));
}

// POST /namespaces/N/bindings: the pod's name is in the body.
static void serve_bindings(struct call *call)
{
        json_auto_t *body = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (decode_any(call, &body, &err) < 0) {
                respond_error(call, &err);
                return;
        }
        call->scope.name = cx_json_string_or(body, "metadata.name", "");
        call->scope.kind = builtin(call->api, "", "v1", "pods");
        call->scope.resource = call->scope.kind->resource;
        call->scope.subresource = "binding";
        serve_binding(call);
}

// --- namespaces/finalize ---

static int set_finalizers(void *context, const struct scope *scope CX_UNUSED, const json_t *current,
                          json_t **ret_object, struct cx_error *err CX_UNUSED)
{
        const json_t *body = context;
        json_t *object = json_deep_copy(current);
        json_object_set_new(object, "spec", json_object());
        if (cx_json_count(body, "spec.finalizers"))
                (void)cx_json_set(object, "spec.finalizers", json_deep_copy(cx_json_get(body, "spec.finalizers")));
        const char *version = cx_json_string(body, "metadata.resourceVersion");
        cx_json_set_string(object, "metadata.resourceVersion", version && *version ? version : NULL);
        *ret_object = object;
        return 0;
}

static void serve_finalize(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        STORED *stored = NULL;
        json_auto_t *body = NULL;
        int r = decode_body(call, call->scope.resource->kind, &body, &err);
        struct change change = {.compute = set_finalizers, .context = body};
        if (r == 0)
                r = registry_update(&call->scope, &change, &stored, NULL, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_stored(call, 200, cx_steal(&stored));
}

// --- table ---

static const struct {
        const char *group, *resource, *subresource; // resource NULL: any
        void (*serve)(struct call *call);
} served[] = {
        {NULL, NULL, "scale", serve_scale},
        {"", "pods", "binding", serve_binding},
        {"", "bindings", NULL, serve_bindings},
        {"", "pods", "eviction", serve_eviction},
        {"", "serviceaccounts", "token", serve_token},
        {"", "namespaces", "finalize", serve_finalize},
};

bool serve_subresource(struct call *call)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(served); i++)
                if (cx_streq(served[i].subresource, call->scope.subresource) &&
                    (!served[i].resource || is_resource(call->scope.resource, served[i].group, served[i].resource))) {
                        served[i].serve(call);
                        return true;
                }
        return false;
}
