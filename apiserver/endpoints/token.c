// SPDX-License-Identifier: Apache-2.0
// Checks what is asked for, binds the token to an object that is there, and issues it.
#include "apiserver/endpoints/token.h"

#include "apiserver/admission/admission.h"
#include "apiserver/auth/tokens.h"
#include "apiserver/request/decode.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/respond.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

// What a token is bound to; the token_request borrows from it.
struct bound {
        json_t *object, *node; // NULL: none
};

static void release_bound(struct bound *bound)
{
        json_decref(bound->object);
        json_decref(bound->node);
}

static int cannot_bind(const struct scope *scope, const char *why, struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "cannot bind token for serviceaccount \"%s\" to %s",
                               scope->name, why);
}

// A pod's token tells where the pod runs.
static void note_node(const struct scope *scope, struct bound *bound, struct token_request *request)
{
        const char *name = cx_json_string_or(bound->object, "spec.nodeName", "");
        if (!*name)
                return;
        bound->node = cache_find_json(builtin(scope->api, "", "v1", "nodes")->cache, NULL, name);
        request->node_name = name;
        request->node_uid = cx_json_string(bound->node, "metadata.uid");
}

// The object that the token is to die with.
static int bind_token(const struct scope *scope, const json_t *body, struct token_request *request, struct bound *bound,
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
        if (!resource || !name || !cx_streq(cx_json_string_or(ref, "apiVersion", "v1"), "v1"))
                return cannot_bind(scope, "this kind of object", err);
        const struct served_kind *found = builtin(scope->api, "", "v1", resource);
        bound->object = cache_find_json(found->cache, found->resource->namespaced ? scope->namespace : NULL, name);
        const char *uid = cx_json_string(bound->object, "metadata.uid"), *asked = cx_json_string(ref, "uid");
        if (!uid)
                return object_not_found(found->resource, name, err);
        bool pod = cx_streq(kind, "Pod");
        if (pod && !cx_streq(cx_json_string(bound->object, "spec.serviceAccountName"), scope->name))
                return cannot_bind(scope, "pod running with different serviceaccount name.", err);
        if (asked && *asked && strcmp(asked, uid) != 0)
                return cx_error_reason(
                        err, CX_REASON_CONFLICT,
                        "the UID in the bound object reference (%s) does not match the UID in record. The "
                        "object might have been deleted and then recreated",
                        asked);
        request->bound_kind = kind;
        request->bound_name = name;
        request->bound_uid = uid;
        if (pod)
                note_node(scope, bound, request);
        return 0;
}

static int check(const struct scope *scope, const json_t *body, int64_t seconds, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        const char *name = cx_json_string_or(body, "metadata.name", "");
        if (*name && strcmp(name, scope->name) != 0)
                cx_error_cause(&causes, "FieldValueInvalid", "metadata.name",
                               "Invalid value: \"%s\": must match the service account name if specified", name);
        if (seconds < 600)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.expirationSeconds",
                               "Invalid value: %ld: may not specify a duration less than 10 minutes", (long)seconds);
        if (seconds > INT64_C(1) << 32)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.expirationSeconds",
                               "Invalid value: %ld: may not specify a duration larger than 2^32 seconds",
                               (long)seconds);
        return object_invalid("authentication.k8s.io", "TokenRequest", name, &causes, err);
}

static void choose_audiences(const struct apiserver *api, const json_t *body, struct cx_strings *ret_audiences)
{
        const json_t *asked = cx_json_get(body, "spec.audiences");
        for (size_t i = 0; i < json_array_size(asked); i++)
                cx_strings_add(ret_audiences, cx_str(json_string_value(json_array_get(asked, i))));
        for (size_t i = 0; !json_array_size(asked) && i < api->options.api_audiences.count; i++)
                cx_strings_add(ret_audiences, api->options.api_audiences.items[i]);
}

static void fill_answer(const struct scope *scope, const struct token_request *request, const char *token,
                        int64_t expires, json_t *body)
{
        char until[CX_TIME_TEXT];
        json_t *audiences = json_array();
        cx_time_format(expires * CX_US_PER_S, until);
        for (size_t i = 0; i < request->audiences->count; i++)
                json_array_append_new(audiences, json_string(request->audiences->items[i]));
        (void)cx_json_set(body, "status", json_pack("{s:s,s:s}", "token", token, "expirationTimestamp", until));
        (void)cx_json_set(body, "spec.expirationSeconds", json_integer(request->seconds));
        (void)cx_json_set(body, "spec.audiences", audiences);
        (void)cx_json_set(body, "metadata.name", json_string(scope->name));
        (void)cx_json_set(body, "metadata.namespace", json_string(scope->namespace));
}

// Issues the token and writes it into the body.
static int issue(const struct scope *scope, json_t *body, struct cx_error *err)
{
        const struct apiserver *api = scope->api;
        json_auto_t *account = scope_find_json(scope);
        CX_CLEANUP(release_bound) struct bound bound = {0};
        if (!account)
                return object_not_found(scope->resource, scope->name, err);
        cx_schema_default(cx_schema_kind("authentication.k8s.io", "v1", "TokenRequest"), body);
        struct admission_request admission = {.scope = scope, .operation = ADMIT_CREATE, .object = body};
        int r = admit(&admission, err);
        CX_STRINGS audiences = CX_STRINGS_INIT;
        choose_audiences(api, body, &audiences);
        struct token_request request = {.namespace = scope->namespace,
                                        .service_account = scope->name,
                                        .uid = cx_json_string(account, "metadata.uid"),
                                        .audiences = &audiences,
                                        .seconds = cx_json_int(body, "spec.expirationSeconds", 0)};
        if (r == 0)
                r = check(scope, body, request.seconds, err);
        int64_t most = api->options.service_account_max_token_expiration / CX_NS_PER_S;
        if (most && request.seconds > most)
                request.seconds = most;
        if (r == 0)
                r = bind_token(scope, body, &request, &bound, err);
        CX_CLEANUP(cx_freep) char *token = NULL;
        int64_t expires = 0;
        if (r == 0)
                r = token_issue(api->tokens, &request, &token, &expires, err);
        if (r == 0)
                fill_answer(scope, &request, token, expires, body);
        return r;
}

void serve_token(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *body = NULL;
        int r = decode_body(call, cx_schema_kind("authentication.k8s.io", "v1", "TokenRequest"), &body, &err);
        if (r == 0)
                r = issue(&call->scope, body, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_object(call, 201, cx_steal(&body));
}
