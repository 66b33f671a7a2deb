// SPDX-License-Identifier: Apache-2.0
// The typed-enough client of the Kubernetes API: calls by resource, objects as json_t or raw bytes, errors as cx_error
// with Kubernetes' reasons. A cx_rest is shared by all threads of a process; calls block.
//
// Calls are sent again, up to 10 times, on 429 and on 503 with Retry-After; and for as long as the options' `patience`
// says on a refused connection (nothing was sent), or a broken one when the method is idempotent (GET, PUT, DELETE).
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"
#include "libcommon/client/kubeconfig.h"
#include "libcommon/net/http_client.h"

#include <jansson.h>

struct cx_rest;

// Which object or collection: group "" is the core; namespace NULL or "" when cluster-scoped (or all namespaces).
struct cx_ref {
        const char *group, *version, *resource, *namespace, *name;
};
#define CX_REF(...) (&(struct cx_ref){__VA_ARGS__})

struct cx_rest_options {
        const char *user_agent; // NULL: "coxswain/<version>"
        double qps;             // calls a second; 0: no limit
        int burst;              // 0: twice qps
        int max_idle;           // pooled connections, 0: 16
        int64_t timeout;        // ns for a call, 0: 60 s
        int64_t patience;       // ns to keep trying to connect; 0: not at all
};

int cx_rest_new(const struct cx_credentials *credentials, const struct cx_rest_options *options,
                struct cx_rest **ret_rest, struct cx_error *err) CX_CHECK;
// The usual way of a component: `kubeconfig` NULL or "": in-cluster credentials.
int cx_rest_from_kubeconfig(const char *kubeconfig, const struct cx_rest_options *options, struct cx_rest **ret_rest,
                            struct cx_error *err) CX_CHECK;
// Another client over the connections of `rest`, which must outlive it, with the same limits of its own. With an identity,
// each call carries the bearer token that the identity gives; the connections must then have no credentials themselves. A
// token that the server refuses (401) is reported, and the call is sent once more with the next.
struct cx_rest_identity {
        int (*token)(void *context, char **ret_token, struct cx_error *err); // blocks; any thread
        void (*refused)(void *context, const char *token);
        void *context;
};
struct cx_rest *cx_rest_derive(struct cx_rest *rest, const struct cx_rest_identity *identity); // identity may be NULL
void cx_rest_set_timeout(struct cx_rest *rest, int64_t timeout, int64_t patience);             // before it is shared
void cx_rest_free(struct cx_rest *rest);
CX_DEFINE_CLEANUP(struct cx_rest, cx_rest_freep, cx_rest_free)
void cx_rest_trim(struct cx_rest *rest);                   // closes connections that were not used for half a minute
struct cx_http_client *cx_rest_http(struct cx_rest *rest); // borrowed
const char *cx_rest_server(const struct cx_rest *rest);    // "https://host:port"
// The header "Impersonate-User: ..." that every call carries and that who uses cx_rest_http has to send; NULL: none.
const char *cx_rest_impersonation(const struct cx_rest *rest);
const char *cx_rest_namespace(const struct cx_rest *rest); // the context's, or "default"

// "/apis/apps/v1/namespaces/ns/deployments/name/sub": appended to `to`, names encoded.
void cx_rest_path(struct cx_buf *to, const struct cx_ref *ref, const char *subresource);
// Adds "?name=value" or "&name=value", encoded; nothing when value is NULL.
void cx_rest_query(struct cx_buf *path, const char *name, const char *value);

struct cx_list_options { // all may be NULL/0
        const char *label_selector, *field_selector, *continue_token, *resource_version, *resource_version_match;
        int64_t limit;
};
struct cx_delete_options {
        const char *propagation;            // "Foreground", "Background", "Orphan"; NULL: the kind's default
        int64_t grace;                      // seconds; -1: the object's
        const char *uid, *resource_version; // preconditions; may be NULL
        bool dry_run;
};
#define CX_DELETE_OPTIONS_INIT                                                                                         \
        {                                                                                                              \
                .grace = -1                                                                                            \
        }

enum cx_patch_type { CX_PATCH_JSON, CX_PATCH_MERGE, CX_PATCH_STRATEGIC, CX_PATCH_APPLY };
const char *cx_patch_content_type(enum cx_patch_type type);

// Every ret_object may be NULL when the answer is not needed (it is not parsed then); otherwise a new reference.
int cx_rest_get(struct cx_rest *rest, const struct cx_ref *ref, json_t **ret_object, struct cx_error *err) CX_CHECK;
int cx_rest_list(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_list_options *options,
                 json_t **ret_list, struct cx_error *err) CX_CHECK;
// Pages through a collection and calls `each` for every item (borrowed); stops at a non-zero return and returns it.
int cx_rest_list_each(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_list_options *options,
                      int (*each)(void *context, const json_t *item), void *context, struct cx_error *err) CX_CHECK;
int cx_rest_create(struct cx_rest *rest, const struct cx_ref *ref, const json_t *object, json_t **ret_object,
                   struct cx_error *err) CX_CHECK;
int cx_rest_create_sub(struct cx_rest *rest, const struct cx_ref *ref, const char *subresource, const json_t *object,
                       json_t **ret_object, struct cx_error *err) CX_CHECK;
int cx_rest_update(struct cx_rest *rest, const struct cx_ref *ref, const json_t *object, json_t **ret_object,
                   struct cx_error *err) CX_CHECK;
int cx_rest_update_sub(struct cx_rest *rest, const struct cx_ref *ref, const char *subresource, const json_t *object,
                       json_t **ret_object, struct cx_error *err) CX_CHECK;
static inline CX_CHECK int cx_rest_update_status(struct cx_rest *rest, const struct cx_ref *ref, const json_t *object,
                                                 json_t **ret_object, struct cx_error *err)
{
        return cx_rest_update_sub(rest, ref, "status", object, ret_object, err);
}
int cx_rest_patch(struct cx_rest *rest, const struct cx_ref *ref, const char *subresource, enum cx_patch_type type,
                  const json_t *patch, json_t **ret_object, struct cx_error *err) CX_CHECK;
int cx_rest_delete(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_delete_options *options,
                   struct cx_error *err) CX_CHECK;
int cx_rest_delete_collection(struct cx_rest *rest, const struct cx_ref *ref, const struct cx_list_options *list,
                              const struct cx_delete_options *options, struct cx_error *err) CX_CHECK;

// The general form. `path` is encoded and may have a query. A status of 400 and above is an error (from the Status in
// the body). Sent again as said above.
struct cx_rest_call {
        const char *method, *path, *accept, *content_type;
        const void *body;
        size_t body_length;
        const char *const *headers; // NULL-ended
        int64_t timeout;            // ns, 0: the client's
        // Streams the body (logs, watches) instead of keeping it; see cx_http_call.
        int (*on_data)(void *context, const struct cx_http_reply *reply, const char *data, size_t length);
        void *context;
        const bool *cancel;
};
int cx_rest_do(struct cx_rest *rest, const struct cx_rest_call *call, struct cx_http_reply *ret_reply,
               struct cx_error *err) CX_CHECK;
