// SPDX-License-Identifier: Apache-2.0
// Subresources with a shape of their own, as a table from resource and subresource to a function.
#include "apiserver/admission/admission.h"
#include "apiserver/auth/tokens.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "libcommon/api/selector.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

static bool is_verb(const struct call *call, const char *verb)
{
        return cx_streq(call->info.verb, verb);
}

static void finish(struct call *call, int r, const struct cx_error *err, struct stored **stored)
{
        if (r < 0)
                respond_error(call, err);
        else
                respond_stored(call, 200, cx_steal(stored));
}

static void not_allowed(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(&err, CX_REASON_METHOD_NOT_ALLOWED,
                              "the server does not allow this method on the requested resource");
        respond_error(call, &err);
}

static int invalid(const char *group, const char *kind, const char *name, struct cx_error *causes, struct cx_error *err)
{
        const struct cx_kind of = {.group = group, .kind = kind};
        const struct cx_resource resource = {.kind = &of};
        const struct call call = {.resource = &resource};
        return call_invalid(&call, name, causes, err);
}

// --- scale ---

static json_t *scale_of(const struct call *call, const json_t *object)
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
        if (cx_streq(call->resource->resource, "replicationcontrollers"))
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

static int change_scale(void *context, struct call *call, const json_t *current, json_t **ret_object,
                        struct cx_error *err)
{
        const struct scale_change *change = context;
        json_auto_t *before = scale_of(call, current);
        json_auto_t *scale = NULL;
        int r = 0;
        if (change->how == SCALE_PUT)
                scale = json_incref(change->body);
        else if (change->how == SCALE_MERGE)
                scale = cx_patch_merge(before, change->body);
        else
                r = cx_patch_json(before, change->body, &scale, err);
        if (r < 0)
                return r;
        int64_t replicas = cx_json_int(scale, "spec.replicas", 0);
        if (replicas < 0 || replicas > INT32_MAX) {
                r = cx_error_reason(err, CX_REASON_INVALID,
                                    "Scale.autoscaling \"%s\" is invalid: spec.replicas: Invalid value: %ld: must be "
                                    "greater than or equal to 0",
                                    call->info.name, (long)replicas);
                cx_error_about(err, "autoscaling", "Scale", call->info.name);
                return r;
        }
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
        respond_object(call, 200, scale_of(call, object));
}

static void serve_scale(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        STORED *stored = NULL;
        json_auto_t *body = NULL;
        struct scale_change change = {.how = SCALE_PUT};
        int r;
        if (is_verb(call, "get")) {
                r = store_sync(call->api->store, &err);
                if (r == 0)
                        stored = store_get(call->api->store, call->resource, call->info.namespace, call->info.name);
                if (r == 0 && !stored)
                        r = call_not_found(call, call->info.name, &err);
        } else {
                const char *type = cx_str(cx_http_header(call->request, "Content-Type"));
                if (is_verb(call, "patch"))
                        change.how = cx_has_prefix(type, "application/json-patch+json") ? SCALE_JSON : SCALE_MERGE;
                r = is_verb(call, "patch")
                            ? decode_any(call, &body, &err)
                            : decode_body(call, cx_schema_kind("autoscaling", "v1", "Scale"), &body, &err);
                change.body = body;
                struct update update = {
                        .compute = change_scale, .context = &change, .name = call->info.name, .subresource = "scale"};
                if (r == 0)
                        r = registry_update(call, &update, &stored, NULL, &err);
        }
        if (r < 0)
                respond_error(call, &err);
        else
                respond_scale(call, stored);
}

// --- binding ---

static int bind_pod(void *context, struct call *call, const json_t *current, json_t **ret_object, struct cx_error *err)
{
        const json_t *binding = context;
        const char *node = cx_json_string(binding, "target.name"), *bound = cx_json_string(current, "spec.nodeName");
        const char *uid = cx_json_string(binding, "metadata.uid");
        if (uid && *uid && !cx_streq(uid, cx_json_string(current, "metadata.uid")))
                return cx_error_reason(err, CX_REASON_CONFLICT,
                                       "Operation cannot be fulfilled on pods/binding \"%s\": the pod was replaced",
                                       call->info.name);
        if (is_being_deleted(current))
                return cx_error_reason(err, CX_REASON_CONFLICT,
                                       "Operation cannot be fulfilled on pods/binding \"%s\": pod %s is being deleted, "
                                       "cannot be assigned to a host",
                                       call->info.name, call->info.name);
        if (bound && *bound)
                return cx_error_reason(
                        err, CX_REASON_CONFLICT,
                        "Operation cannot be fulfilled on pods/binding \"%s\": pod %s is already assigned "
                        "to node \"%s\"",
                        call->info.name, call->info.name, bound);
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

static int check_binding(const struct call *call, const json_t *binding, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        const char *kind = cx_json_string_or(binding, "target.kind", "");
        const char *name = cx_json_string_or(binding, "metadata.name", "");
        if (strcmp(name, call->info.name) != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "name in URL does not match name in Binding object");
        if (*kind && strcmp(kind, "Node") != 0)
                cx_error_cause(&causes, "FieldValueNotSupported", "target.kind",
                               "Unsupported value: \"%s\": supported values: \"Node\", \"<empty>\"", kind);
        if (!*cx_json_string_or(binding, "target.name", ""))
                cx_error_cause(&causes, "FieldValueRequired", "target.name", "Required value");
        return invalid("", "Binding", name, &causes, err);
}

static void serve_binding(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        STORED *stored = NULL;
        json_auto_t *body = NULL;
        int r = decode_body(call, cx_schema_kind("", "v1", "Binding"), &body, &err);
        if (r == 0)
                r = check_binding(call, body, &err);
        struct update update = {.compute = bind_pod,
                                .context = body,
                                .name = call->info.name,
                                .subresource = "binding",
                                .internal = true};
        if (r == 0)
                r = registry_update(call, &update, &stored, NULL, &err);
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
        cx_copy_string(call->info.name, sizeof call->info.name, cx_json_string_or(body, "metadata.name", ""));
        call->resource = cx_schema_resource("", "v1", "pods");
        serve_binding(call);
}

// --- service account tokens ---

static int bind_token(struct call *call, const json_t *body, struct token_request *request, json_t **ret_object,
                      struct cx_error *err)
{
        const json_t *ref = cx_json_get(body, "spec.boundObjectRef");
        const char *kind = cx_json_string(ref, "kind"), *name = cx_json_string(ref, "name");
        if (!ref || json_is_null(ref))
                return 0;
        const char *resource = cx_streq(kind, "Pod")      ? "pods"
                               : cx_streq(kind, "Secret") ? "secrets"
                               : cx_streq(kind, "Node")   ? "nodes"
                                                          : NULL;
        if (!resource || !name)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "cannot bind token for serviceaccount \"%s\" to this "
                                       "kind of object",
                                       call->info.name);
        const struct cx_resource *found = cx_schema_resource("", "v1", resource);
        *ret_object = store_get_json(call->api->store, found, found->namespaced ? call->info.namespace : NULL, name);
        const char *uid = cx_json_string(*ret_object, "metadata.uid"), *asked = cx_json_string(ref, "uid");
        if (!uid) {
                int r = cx_error_reason(err, CX_REASON_NOT_FOUND, "%s \"%s\" not found", resource, name);
                cx_error_about(err, "", resource, name);
                return r;
        }
        if (asked && *asked && strcmp(asked, uid) != 0)
                return cx_error_reason(
                        err, CX_REASON_CONFLICT,
                        "the UID in the bound object reference (%s) does not match the UID in record. The "
                        "object might have been deleted and then recreated",
                        asked);
        request->bound_kind = kind;
        request->bound_name = name;
        request->bound_uid = uid;
        request->node_name = cx_json_string(*ret_object, "spec.nodeName");
        return 0;
}

static int check_token_request(const struct call *call, const json_t *body, int64_t seconds, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        const char *name = cx_json_string_or(body, "metadata.name", "");
        if (*name && strcmp(name, call->info.name) != 0)
                cx_error_cause(&causes, "FieldValueInvalid", "metadata.name",
                               "Invalid value: \"%s\": must match the service account name if specified", name);
        if (seconds < 600)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.expirationSeconds",
                               "Invalid value: %ld: may not specify a duration less than 10 minutes", (long)seconds);
        if (seconds > INT64_C(1) << 32)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.expirationSeconds",
                               "Invalid value: %ld: may not specify a duration larger than 2^32 seconds",
                               (long)seconds);
        return invalid("authentication.k8s.io", "TokenRequest", name, &causes, err);
}

static void serve_token(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *body = NULL;
        json_auto_t *bound = NULL;
        CX_STRINGS audiences = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) char *token = NULL;
        int64_t expires = 0;
        int r = decode_body(call, cx_schema_kind("authentication.k8s.io", "v1", "TokenRequest"), &body, &err);
        json_auto_t *account = store_get_json(call->api->store, call->resource, call->info.namespace, call->info.name);
        if (r == 0 && !account)
                r = call_not_found(call, call->info.name, &err);
        struct token_request request = {.namespace = call->info.namespace,
                                        .service_account = call->info.name,
                                        .uid = cx_json_string(account, "metadata.uid"),
                                        .audiences = &audiences,
                                        .seconds = cx_json_int(body, "spec.expirationSeconds", 3600)};
        const json_t *asked = cx_json_get(body, "spec.audiences");
        for (size_t i = 0; i < json_array_size(asked); i++)
                cx_strings_add(&audiences, cx_str(json_string_value(json_array_get(asked, i))));
        for (size_t i = 0; !audiences.count && i < call->api->options.api_audiences.count; i++)
                cx_strings_add(&audiences, call->api->options.api_audiences.items[i]);
        if (r == 0)
                r = check_token_request(call, body, request.seconds, &err);
        int64_t most = call->api->options.service_account_max_token_expiration / CX_NS_PER_S;
        if (most && request.seconds > most)
                request.seconds = most;
        if (r == 0)
                r = bind_token(call, body, &request, &bound, &err);
        if (r == 0)
                r = token_issue(call->api->tokens, &request, &token, &expires, &err);
        if (r < 0) {
                respond_error(call, &err);
                return;
        }
        char until[CX_TIME_TEXT];
        cx_time_format(expires * CX_US_PER_S, until);
        (void)cx_json_set(body, "status", json_pack("{s:s,s:s}", "token", token, "expirationTimestamp", until));
        (void)cx_json_set(body, "spec.expirationSeconds", json_integer(request.seconds));
        json_t *answered = json_array();
        for (size_t i = 0; i < audiences.count; i++)
                json_array_append_new(answered, json_string(audiences.items[i]));
        (void)cx_json_set(body, "spec.audiences", answered);
        (void)cx_json_set(body, "metadata.name", json_string(call->info.name));
        (void)cx_json_set(body, "metadata.namespace", json_string(call->info.namespace));
        respond_object(call, 201, cx_steal(&body));
}

// --- namespaces/finalize ---

static int set_finalizers(void *context, struct call *call CX_UNUSED, const json_t *current, json_t **ret_object,
                          struct cx_error *err CX_UNUSED)
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
        int r = decode_body(call, call->resource->kind, &body, &err);
        struct update update = {
                .compute = set_finalizers, .context = body, .name = call->info.name, .subresource = "finalize"};
        if (r == 0)
                r = registry_update(call, &update, &stored, NULL, &err);
        finish(call, r, &err, &stored);
}

// --- table ---

static const struct {
        const char *group, *resource, *subresource; // resource NULL: any
        const char *verbs;
        void (*serve)(struct call *call);
} served[] = {
        {NULL, NULL, "scale", "get update patch", serve_scale},
        {"", "pods", "binding", "create", serve_binding},
        {"", "bindings", "", "create", serve_bindings},
        {"", "pods", "eviction", "create", serve_eviction},
        {"", "serviceaccounts", "token", "create", serve_token},
        {"", "namespaces", "finalize", "update", serve_finalize},
};

bool serve_subresource(struct call *call)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(served); i++) {
                if (strcmp(served[i].subresource, call->info.subresource) != 0 ||
                    (served[i].resource && (strcmp(served[i].resource, call->resource->resource) != 0 ||
                                            strcmp(served[i].group, call->resource->group) != 0)))
                        continue;
                if (strstr(served[i].verbs, call->info.verb))
                        served[i].serve(call);
                else
                        not_allowed(call);
                return true;
        }
        return false;
}
