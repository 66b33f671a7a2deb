// SPDX-License-Identifier: Apache-2.0
// From a request to its handler: who it is, whether they may, what it is about; then the handler of its verb.
#include "apiserver/server.h"

#include "apiserver/audit/audit.h"
#include "apiserver/auth/authenticator.h"
#include "apiserver/auth/authorizer.h"
#include "apiserver/auth/impersonation.h"
#include "apiserver/endpoints/api_services.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/endpoints/verbs.h"
#include "apiserver/endpoints/watch.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/query.h"
#include "apiserver/request/respond.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

void server_counters(struct apiserver *api)
{
        static const char *const of_request[] = {"code", "group", "resource", "subresource", "verb", "version", NULL};
        api->metrics = cx_metrics_new();
        api->requests = cx_metrics_counter(api->metrics, "apiserver_request_total",
                                           "Requests by verb, resource and code.", of_request);
        api->durations =
                cx_metrics_histogram(api->metrics, "apiserver_request_duration_seconds",
                                     "Time from the whole request to the end of its answer.", of_request + 1, NULL, 0);
}

// Counts a request that is over. Watches have no duration worth knowing.
static void count_request(const struct call *call)
{
        const struct request_info *info = &call->info;
        bool known = call->scope.resource != NULL; // what is not served is counted as one, however it was spelled
        const char *group = known ? info->group : "", *version = known ? info->version : "";
        const char *resource = known ? info->resource : "",
                   *subresource = call->scope.subresource ? info->subresource : "";
        cx_metric_add(call->api->requests, 1, CX_INT(cx_http_response_code(call->request)), group, resource,
                      subresource, info->verb, version);
        if (!cx_streq(info->verb, "watch"))
                cx_metric_observe(call->api->durations,
                                  (double)(cx_time_monotonic() - cx_http_start_time(call->request)) / 1e9, group,
                                  resource, subresource, info->verb, version);
}

static void free_call(void *context)
{
        struct call *call = context;
        count_request(call);
        audit_end(call);
        cx_error_release(&call->refusal);
        user_release(&call->user);
        served_kind_unref(call->kind);
        api_service_unref(call->api_service);
        cx_strings_release(&call->warnings);
        cx_duplicates_release(&call->duplicates);
        free(call);
}

// --- dispatch ---

static int find_resource(struct call *call, struct cx_error *err)
{
        const struct request_info *info = &call->info;
        call->kind = kinds_find(call->api->kinds, info->group, info->version, info->resource);
        if (!call->kind) {
                call->no_page = !kinds_serve(call->api->kinds, info->group, info->version);
                if (call->no_page)
                        call->api_service = api_services_find(call->api->api_services, info->group, info->version);
                return call->api_service ? 0 : not_served(err);
        }
        const struct cx_resource *resource = call->kind->resource;
        call->scope.kind = call->kind;
        call->scope.resource = resource;
        if (*info->subresource) {
                const struct cx_subresource *part = cx_resource_subresource(resource, info->subresource);
                if (!part)
                        return not_served(err);
                call->scope.subresource = part->name;
        }
        // No namespace means all of them, and that is for lists and watches: one object is in a namespace of its own
        if (resource->namespaced && *info->name && !*info->namespace && !info->watch_path)
                return not_served(err);
        // "namespaces" keeps its own name in info->namespace; other cluster-scoped kinds have no namespace
        if (!resource->namespaced && *info->namespace && strcmp(info->resource, "namespaces") != 0)
                return not_served(err);
        call->scope.namespace = resource->namespaced ? info->namespace : "";
        call->scope.name = info->name;
        return 0;
}

static const struct {
        const char *verb;
        unsigned bit;
        void (*handle)(struct call *call);
} verbs[] = {
        {"create", CX_VERB_CREATE, handle_create},
        {"get", CX_VERB_GET, handle_get},
        {"list", CX_VERB_LIST, handle_list},
        {"watch", CX_VERB_WATCH, handle_watch},
        {"update", CX_VERB_UPDATE, handle_update},
        {"patch", CX_VERB_PATCH, handle_patch},
        {"delete", CX_VERB_DELETE, handle_delete},
        {"deletecollection", CX_VERB_DELETE_COLLECTION, handle_delete_collection},
};

// Is it the object itself, or a subresource that is a part of it?
static bool is_plain(const struct scope *scope)
{
        return !scope->subresource || cx_streq(scope->subresource, "status") ||
               cx_streq(scope->subresource, "approval") || cx_streq(scope->subresource, "ephemeralcontainers") ||
               cx_streq(scope->subresource, "resize");
}

static unsigned allowed_verbs(const struct scope *scope)
{
        return scope->subresource ? cx_resource_subresource(scope->resource, scope->subresource)->verbs
                                  : scope->resource->verbs;
}

static int dispatch_resource(struct call *call, struct cx_error *err)
{
        const char *verb = call->info.verb;
        bool of_one = cx_streq(verb, "update") || cx_streq(verb, "patch");
        unsigned allowed = of_one && !*call->info.name ? 0 : allowed_verbs(&call->scope);
        if (allowed && serve_connect(call)) // whatever the method
                return 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(verbs); i++) {
                if (!cx_streq(verbs[i].verb, verb) || !(allowed & verbs[i].bit))
                        continue;
                if (serve_review(call) || serve_subresource(call))
                        return 0;
                if (!is_plain(&call->scope) || !call->scope.kind->cache)
                        return not_served(err);
                verbs[i].handle(call);
                return 0;
        }
        return method_not_allowed(err);
}

// Everything from authentication to the handler, which does not block but for the audit log. 0: go on; negative: err is the
// answer.
static int enter(struct call *call, struct cx_error *err)
{
        if (!audit_received(call))
                return cx_error_reason(err, CX_REASON_INTERNAL, "Internal error occurred: failed to store audit event");
        if (call->refusal.code)
                return cx_error_move(err, &call->refusal);
        int r = impersonate(call, err);
        if (r == 0 && !authorize_call(call, err))
                r = -EPERM;
        if (r == 0 && call->info.is_resource)
                r = find_resource(call, err);
        if (r == 0 && call->kind)
                r = write_options(call, err);
        return r;
}

// Outside of what the API serves there are no Statuses, only pages that are missing.
static void refuse(struct call *call, const struct cx_error *err)
{
        if (call->no_page)
                cx_http_respond_text(call->request, 404, "404 page not found\n");
        else
                respond_error(call, err);
}

bool serve_inline(struct cx_http_request *request, void *context)
{
        struct call *call = cx_alloc(sizeof *call);
        CX_ERROR err = CX_ERROR_INIT;
        call->api = context;
        call->request = request;
        call->scope = (struct scope){
                .api = call->api, .user = &call->user, .namespace = "", .name = "", .warnings = &call->warnings};
        cx_http_set_user_data(request, call, free_call);
        request_info(request, &call->info);
        int r = authenticate(call, &call->refusal);
        if (audit_begin(call, r < 0 ? &call->refusal : NULL))
                return false;
        call->entered = true;
        if (enter(call, &err) < 0) {
                refuse(call, &err);
                return true;
        }
        bool read = call->kind && !call->scope.subresource && call->kind->cache;
        return read &&
               (cx_streq(call->info.verb, "get") || cx_streq(call->info.verb, "list") ||
                cx_streq(call->info.verb, "watch")) &&
               handle_read_inline(call);
}

void serve(struct cx_http_request *request, void *context CX_UNUSED)
{
        struct call *call = cx_http_user_data(request);
        CX_ERROR err = CX_ERROR_INIT;
        int r = call->entered ? 0 : enter(call, &err);
        if (r < 0) {
                refuse(call, &err);
                return;
        }
        if (call->api_service) {
                serve_aggregated(call);
        } else if (call->info.is_resource) {
                r = dispatch_resource(call, &err);
        } else if (!serve_document(call)) {
                call->no_page = true;
                r = not_served(&err);
        }
        if (r < 0)
                refuse(call, &err);
}
