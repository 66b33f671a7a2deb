// SPDX-License-Identifier: Apache-2.0
#include "apiserver/server.h"

#include "apiserver/auth/authenticator.h"
#include "apiserver/auth/impersonation.h"
#include "apiserver/auth/rbac.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/registry/options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

// Counts a request that is over. Watches have no duration worth knowing.
static void count_request(const struct call *call)
{
        const struct request_info *info = &call->info;
        bool known = call->resource != NULL; // what is not served is counted as one, however it was spelled
        const char *group = known ? info->group : "", *version = known ? info->version : "";
        const char *resource = known ? info->resource : "", *subresource = call->subresource ? info->subresource : "";
        cx_metric_add(call->api->requests, 1, CX_INT(cx_http_response_code(call->request)), group, resource,
                      subresource, info->verb, version);
        if (!cx_streq(info->verb, "watch"))
                cx_metric_observe(call->api->durations,
                                  (double)(cx_time_monotonic() - cx_http_start_time(call->request)) / 1e9, group,
                                  resource, subresource, info->verb, version);
}

void call_free(void *context)
{
        struct call *call = context;
        count_request(call);
        user_release(&call->user);
        cx_strings_release(&call->warnings);
        cx_duplicates_release(&call->duplicates);
        free(call);
}

void qualified_resource(const struct cx_resource *resource, char to[512])
{
        (void)snprintf(to, 512, "%s%s%s", resource->resource, *resource->group ? "." : "", resource->group);
}

int call_not_found(const struct call *call, const char *name, struct cx_error *err)
{
        char resource[512];
        qualified_resource(call->resource, resource);
        int r = cx_error_reason(err, CX_REASON_NOT_FOUND, "%s \"%s\" not found", resource, name);
        cx_error_about(err, call->resource->group, call->resource->resource, name);
        return r;
}

int call_forbidden(const struct call *call, const char *name, const char *why, struct cx_error *err)
{
        char resource[512];
        qualified_resource(call->resource, resource);
        int r = cx_error_reason(err, CX_REASON_FORBIDDEN, "%s \"%s\" is forbidden: %s", resource, name, why);
        cx_error_about(err, call->resource->group, call->resource->resource, name);
        return r;
}

// --- dispatch ---

static int not_served(struct cx_error *err)
{
        return cx_error_reason(err, CX_REASON_NOT_FOUND, "the server could not find the requested resource");
}

static int find_resource(struct call *call, struct cx_error *err)
{
        const struct request_info *info = &call->info;
        call->resource = cx_schema_resource(info->group, info->version, info->resource);
        if (!call->resource) {
                json_auto_t *served = cx_discovery_resources(info->group, info->version);
                call->no_page = !served;
                return not_served(err);
        }
        if (*info->subresource) {
                call->subresource = cx_resource_subresource(call->resource, info->subresource);
                if (!call->subresource)
                        return not_served(err);
        }
        // "namespaces" keeps its own name in info->namespace; other cluster-scoped kinds have no namespace
        if (!call->resource->namespaced && *info->namespace && strcmp(info->resource, "namespaces") != 0)
                return not_served(err);
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

static int dispatch_resource(struct call *call, struct cx_error *err)
{
        unsigned allowed = call->subresource ? call->subresource->verbs : call->resource->verbs;
        bool of_one = cx_streq(call->info.verb, "update") || cx_streq(call->info.verb, "patch");
        if (of_one && !*call->info.name)
                allowed = 0;
        else if (serve_review(call) || serve_connect(call) || serve_subresource(call))
                return 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(verbs); i++) {
                if (!cx_streq(verbs[i].verb, call->info.verb) || !(allowed & verbs[i].bit))
                        continue;
                if (!store_cache(call->api->store, call->resource))
                        return not_served(err);
                // Subresources that are a part of the object: status and the like.
                bool part = !call->subresource || cx_streq(call->info.subresource, "status") ||
                            cx_streq(call->info.subresource, "approval");
                if (!part)
                        return not_served(err);
                verbs[i].handle(call);
                return 0;
        }
        return cx_error_reason(err, CX_REASON_METHOD_NOT_ALLOWED,
                               "the server does not allow this method on the requested resource");
}

// Everything up to the handler that cannot block. 0: go on; negative: err is the answer.
static int enter(struct call *call, struct cx_error *err)
{
        int r = authenticate(call, err);
        if (r == 0)
                r = impersonate(call, err);
        if (r == 0 && !authorize_call(call, err))
                r = -EPERM;
        if (r == 0 && call->info.is_resource)
                r = find_resource(call, err);
        if (r == 0 && call->info.is_resource)
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
        cx_http_set_user_data(request, call, call_free);
        request_info(request, &call->info);
        if (enter(call, &err) < 0) {
                refuse(call, &err);
                return true;
        }
        bool read = call->info.is_resource && !call->subresource && store_cache(call->api->store, call->resource);
        return read &&
               (cx_streq(call->info.verb, "get") || cx_streq(call->info.verb, "list") ||
                cx_streq(call->info.verb, "watch")) &&
               handle_read_inline(call);
}

void serve(struct cx_http_request *request, void *context CX_UNUSED)
{
        struct call *call = cx_http_user_data(request);
        CX_ERROR err = CX_ERROR_INIT;
        int r = 0;
        if (call->info.is_resource) {
                r = dispatch_resource(call, &err);
        } else if (!serve_document(call)) {
                call->no_page = true;
                r = not_served(&err);
        }
        if (r < 0)
                refuse(call, &err);
}
