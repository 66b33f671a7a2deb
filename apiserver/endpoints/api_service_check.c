// SPDX-License-Identifier: Apache-2.0
// Whether aggregated API servers answer, told in the conditions of their APIServices, and what they serve. A thread looks
// every second for what is due; eight looks go on at a time, so that a few that hang hold up no other.
#include "apiserver/endpoints/api_services.h"
#include "apiserver/endpoints/documents.h"
#include "apiserver/registry/registry.h"
#include "libcommon/base/log.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"

#define TICK CX_NS_PER_S
#define PERIOD (30 * CX_NS_PER_S) // of one that answers
#define RETRY (5 * CX_NS_PER_S)   // of one that does not
#define TIMEOUT (5 * CX_NS_PER_S) // of a question
#define WORKERS 8
#define MAX_DOCUMENT ((size_t)32 << 20)
#define MAX_LIST ((size_t)1 << 20) // of resources

struct api_service_checks {
        struct apiserver *api;
        struct cx_workqueue *queue; // of "version/group"
        struct cx_workers *workers;
        pthread_t thread;
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t wake;
        bool stop; // polled by the calls that are under way
};

struct finding {
        bool available, placed; // placed: there is somebody to ask
        const char *reason;
        char *message; // owned
};

// --- questions -------------------------------------------------------------------------------------------------------

struct discovery_question {
        struct backend_client *client;
        const char *base_url, *path, *accept, *tag;
        const bool *cancel;
        size_t max; // bytes of the answer; 0: MAX_DOCUMENT
};

static int ask(const struct discovery_question *q, struct cx_http_reply *reply, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("%s%s", q->base_url, q->path);
        CX_CLEANUP(cx_freep) char *condition = q->tag ? cx_sprintf("If-None-Match: %s", q->tag) : NULL;
        const char *const headers[] = {"X-Remote-User: system:kube-aggregator", "X-Remote-Group: system:masters",
                                       condition, NULL};
        return cx_http_do(q->client->http,
                          &(struct cx_http_call){.path = url,
                                                 .headers = headers,
                                                 .accept = q->accept,
                                                 .timeout = TIMEOUT,
                                                 .max_reply = q->max ? q->max : MAX_DOCUMENT,
                                                 .cancel = q->cancel},
                          reply, err);
}

// The JSON object that is the answer; NULL when there is none.
static json_t *ask_json(const struct discovery_question *q, char **ret_tag)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        json_t *json = NULL;
        if (ask(q, &reply, &err) < 0 || reply.code != 200 ||
            cx_json_parse(reply.body.data, reply.body.length, false, &json, &err) < 0)
                return NULL;
        if (!json_is_object(json)) {
                json_decref(json);
                return NULL;
        }
        if (ret_tag)
                *ret_tag = cx_http_reply_header(&reply, "ETag");
        return json;
}

// --- what they serve -------------------------------------------------------------------------------------------------

static json_t *response_kind(const struct api_service *service, const json_t *entry)
{
        return json_pack("{s:s,s:s,s:s}", "group", cx_json_string_or(entry, "group", service->group), "version",
                         cx_json_string_or(entry, "version", service->version), "kind",
                         cx_json_string_or(entry, "kind", ""));
}

static json_t *find_resource(json_t *resources, const char *name, size_t length)
{
        size_t i;
        json_t *resource;
        json_array_foreach (resources, i, resource) {
                const char *have = cx_json_string_or(resource, "resource", "");
                if (strlen(have) == length && memcmp(have, name, length) == 0)
                        return resource;
        }
        return NULL;
}

// Of a list, the strings: with anything else clients could read none of our discovery.
static json_t *strings_of(const json_t *entry, const char *name)
{
        json_t *strings = json_array(), *item;
        size_t i;
        json_array_foreach (json_object_get(entry, name), i, item)
                if (json_is_string(item))
                        json_array_append(strings, item);
        return strings;
}

static void add_resource(const struct api_service *service, const json_t *entry, json_t *resources)
{
        static const char *const lists[] = {"shortNames", "categories"};
        const char *name = cx_json_string_or(entry, "name", ""), *slash = strchr(name, '/');
        json_t *made = json_object();
        json_object_set_new(made, slash ? "subresource" : "resource", json_string(slash ? slash + 1 : name));
        json_object_set_new(made, "responseKind", response_kind(service, entry));
        json_object_set_new(made, "verbs", strings_of(entry, "verbs"));
        if (slash) {
                json_t *parent = find_resource(resources, name, (size_t)(slash - name));
                if (parent)
                        json_array_append(cx_json_array_at(parent, "subresources"), made);
                json_decref(made);
                return;
        }
        json_object_set_new(made, "scope",
                            json_string(cx_json_bool(entry, "namespaced", false) ? "Namespaced" : "Cluster"));
        json_object_set_new(made, "singularResource", json_string(cx_json_string_or(entry, "singularName", "")));
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                if (json_array_size(json_object_get(entry, lists[i])))
                        json_object_set_new(made, lists[i], strings_of(entry, lists[i]));
        json_array_append_new(resources, made);
}

static json_t *describe(const struct api_service *service, const json_t *list)
{
        json_t *resources = json_array();
        size_t i;
        const json_t *entry;
        json_array_foreach (json_object_get(list, "resources"), i, entry)
                if (json_is_object(entry) && *cx_json_string_or(entry, "name", ""))
                        add_resource(service, entry, resources);
        return json_pack("{s:s,s:o,s:s}", "version", service->version, "resources", resources, "freshness", "Current");
}

// Takes over what is new; true when something is.
static bool replace_json(struct api_service *service, json_t **place, json_t *fresh_steal)
{
        json_t *old = NULL;
        pthread_mutex_lock(&service->lock);
        bool changed = !*place || !json_equal(*place, fresh_steal);
        if (changed) {
                old = *place;
                *place = fresh_steal;
                fresh_steal = NULL;
        }
        pthread_mutex_unlock(&service->lock);
        json_decref(old);
        json_decref(fresh_steal);
        return changed;
}

static bool replace_text(struct api_service *service, char **place, const char *fresh)
{
        pthread_mutex_lock(&service->lock);
        bool changed = !cx_streq(*place, fresh);
        if (changed) {
                free(*place);
                *place = cx_strdup(fresh);
        }
        pthread_mutex_unlock(&service->lock);
        return changed;
}

// Of the index, the URL of the service's own document. It must stay within the server's /openapi/v3.
static const char *v3_url(const struct api_service *service, const json_t *index)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("apis/%s/%s", service->group, service->version);
        const char *url = cx_json_string(json_object_get(json_object_get(index, "paths"), key), "serverRelativeURL");
        CX_CLEANUP(cx_freep) char *own = cx_sprintf("/openapi/v3/%s", key);
        size_t length = strlen(own);
        return url && strncmp(url, own, length) == 0 && (!url[length] || url[length] == '?') ? url : NULL;
}

static bool fetch_openapi(struct api_service *service, struct discovery_question *q)
{
        CX_CLEANUP(cx_freep) char *tag = NULL;
        q->accept = "application/json";
        q->path = "/openapi/v2";
        q->tag = service->openapi_v2 ? service->openapi_tag : NULL; // only this thread writes them
        json_t *v2 = ask_json(q, &tag);
        bool changed = v2 && replace_json(service, &service->openapi_v2, v2);
        if (v2)
                (void)replace_text(service, &service->openapi_tag, tag);
        q->path = "/openapi/v3";
        q->tag = NULL;
        json_auto_t *index = ask_json(q, NULL);
        return (index && replace_text(service, &service->openapi_v3, v3_url(service, index))) || changed;
}

// --- whether they answer ---------------------------------------------------------------------------------------------

static struct finding unavailable(const char *reason, char *message_steal)
{
        return (struct finding){.reason = reason, .message = message_steal};
}

static struct finding judge_place(const struct api_service *service, enum service_state state,
                                  const struct service_found *found)
{
        const char *name = service->at.name, *namespace = service->at.namespace;
        switch (state) {
        case SERVICE_ABSENT:
                return unavailable("ServiceNotFound",
                                   cx_sprintf("service/%s in \"%s\" is not present", name, namespace));
        case SERVICE_WITHOUT_PORT:
                return unavailable("ServicePortError", cx_sprintf("service/%s in \"%s\" is not listening on port %s",
                                                                  name, namespace, service->at.port));
        case SERVICE_WITHOUT_ENDPOINTS:
                return unavailable("EndpointsNotFound",
                                   cx_sprintf("cannot find endpoints for service/%s in \"%s\"", name, namespace));
        case SERVICE_WITHOUT_ADDRESSES:
                return unavailable("MissingEndpoints",
                                   cx_sprintf("endpoints for service/%s in \"%s\" have no addresses with port name "
                                              "\"%s\"",
                                              name, namespace, found->port_name));
        default:
                return (struct finding){0};
        }
}

// Asks for the list of its resources, which ret_list is then.
static struct finding judge_answer(struct api_service *service, struct discovery_question *q, json_t **ret_list)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/apis/%s/%s", service->group, service->version);
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        q->path = path;
        q->accept = "application/json";
        q->max = MAX_LIST;
        int r = ask(q, &reply, &err);
        q->path = NULL;
        q->max = 0;
        const char *format = "failing or missing response from %s%s: %s";
        if (r < 0)
                return unavailable("FailedDiscoveryCheck", cx_sprintf(format, q->base_url, path, cx_error_text(&err)));
        if (reply.code < 200 || reply.code >= 300) {
                CX_CLEANUP(cx_freep) char *why = cx_sprintf("bad status from %s%s: %d", q->base_url, path, reply.code);
                return unavailable("FailedDiscoveryCheck", cx_sprintf(format, q->base_url, path, why));
        }
        if (cx_json_parse(reply.body.data, reply.body.length, false, ret_list, &err) < 0)
                return unavailable("FailedDiscoveryCheck", cx_sprintf(format, q->base_url, path, cx_error_text(&err)));
        return (struct finding){.available = true, .reason = "Passed", .message = cx_strdup("all checks passed")};
}

// --- the condition ---------------------------------------------------------------------------------------------------

static int set_condition(void *context, const struct scope *scope CX_UNUSED, const json_t *current, json_t **ret_object,
                         struct cx_error *err CX_UNUSED)
{
        const struct finding *finding = context;
        json_t *object = json_deep_copy(current);
        json_t *conditions = cx_json_array_at(cx_json_object_at(object, "status"), "conditions");
        json_t *condition = cx_json_find(conditions, "type", "Available");
        const char *status = finding->available ? "True" : "False";
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        if (!condition)
                json_array_append_new(conditions, condition = json_pack("{s:s}", "type", "Available"));
        if (!cx_streq(cx_json_string(condition, "status"), status)) {
                json_object_set_new(condition, "status", json_string(status));
                json_object_set_new(condition, "lastTransitionTime", json_string(now));
        }
        json_object_set_new(condition, "reason", json_string(finding->reason));
        json_object_set_new(condition, "message", json_string(finding->message));
        *ret_object = object;
        return 0;
}

static bool says(const json_t *object, const struct finding *finding)
{
        const json_t *condition = cx_json_find(cx_json_get(object, "status.conditions"), "type", "Available");
        return cx_streq(cx_json_string(condition, "status"), finding->available ? "True" : "False") &&
               cx_streq(cx_json_string(condition, "reason"), finding->reason) &&
               cx_streq(cx_json_string(condition, "message"), finding->message);
}

static void tell(struct apiserver *api, const char *name, const struct finding *finding)
{
        const struct served_kind *kind = builtin(api, "apiregistration.k8s.io", "v1", "apiservices");
        struct scope scope = scope_own(api, kind, NULL, name);
        struct change change = {.compute = set_condition, .context = (void *)finding};
        CX_ERROR err = CX_ERROR_INIT;
        STORED *stored = NULL;
        json_auto_t *object = scope_find_json(&scope);
        if (!object || says(object, finding))
                return;
        scope.subresource = "status";
        if (registry_update(&scope, &change, &stored, NULL, &err) < 0 && !cx_error_is(&err, CX_REASON_NOT_FOUND))
                cx_err(&err, "Cannot tell whether an API server is available", "apiservice", name);
}

// --- a look ----------------------------------------------------------------------------------------------------------

static struct finding look(struct api_service_checks *self, struct api_service *service, bool *ret_changed)
{
        struct service_found found;
        enum service_state state = service_endpoint(self->api, &service->at, &found);
        CX_CLEANUP(cx_freep) char *host = found.host;
        if (state != SERVICE_FOUND)
                return judge_place(service, state, &found);
        CX_CLEANUP(cx_freep)
        char *url = cx_sprintf(strchr(host, ':') ? "https://[%s]:%ld" : "https://%s:%ld", host, (long)found.port);
        struct discovery_question q = {.base_url = url, .cancel = &self->stop};
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *list = NULL;
        if (api_service_client(self->api, service, &q.client, &err) < 0)
                return unavailable("FailedDiscoveryCheck", cx_strdup(cx_error_text(&err)));
        struct finding finding = judge_answer(service, &q, &list);
        finding.placed = true;
        if (finding.available) {
                *ret_changed = replace_json(service, &service->discovery, describe(service, list));
                if (fetch_openapi(service, &q))
                        *ret_changed = true;
        }
        backend_client_unref(q.client);
        return finding;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err CX_UNUSED)
{
        struct api_service_checks *self = context;
        const char *slash = strchr(key, '/');
        CX_CLEANUP(cx_freep) char *version = cx_strndup(key, (size_t)(slash - key));
        API_SERVICE *service = api_services_find(self->api->api_services, slash + 1, version);
        bool changed = false;
        if (!service)
                return 0;
        struct finding finding = look(self, service, &changed);
        CX_CLEANUP(cx_freep) char *message = finding.message;
        if (__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE))
                return 0;
        pthread_mutex_lock(&service->lock);
        changed |= service->available != finding.available;
        service->available = finding.available;
        service->placed = finding.placed;
        service->next_check = cx_time_monotonic() + (finding.available ? PERIOD : RETRY);
        pthread_mutex_unlock(&service->lock);
        tell(self->api, service->name, &finding);
        if (changed)
                documents_forget(self->api->documents);
        return 0;
}

// --- the thread ------------------------------------------------------------------------------------------------------

// Also before its time, when its endpoints came or went since.
static bool is_due(struct api_service_checks *self, struct api_service *service)
{
        pthread_mutex_lock(&service->lock);
        bool due = cx_time_monotonic() >= service->next_check, placed = service->placed;
        pthread_mutex_unlock(&service->lock);
        if (due)
                return true;
        CX_CLEANUP(cx_freep) char *url = api_service_url(self->api, service);
        return (url != NULL) != placed;
}

static void look_for_due(struct api_service_checks *self)
{
        API_SERVICE_LIST list;
        api_services_list(self->api->api_services, &list);
        for (size_t i = 0; i < list.count; i++) {
                CX_CLEANUP(cx_freep)
                char *key = cx_sprintf("%s/%s", list.items[i]->version, list.items[i]->group);
                if (is_due(self, list.items[i]))
                        cx_workqueue_add(self->queue, key);
        }
}

static void *run(void *context)
{
        struct api_service_checks *self = context;
        pthread_mutex_lock(&self->lock);
        while (!self->stop) {
                pthread_mutex_unlock(&self->lock);
                look_for_due(self);
                pthread_mutex_lock(&self->lock);
                int64_t until = cx_time_monotonic() + TICK;
                while (!self->stop && !cx_cond_wait_until(&self->wake, &self->lock, until))
                        ;
        }
        pthread_mutex_unlock(&self->lock);
        return NULL;
}

struct api_service_checks *api_service_checks_start(struct apiserver *api)
{
        struct api_service_checks *self = cx_alloc(sizeof *self);
        self->api = api;
        self->queue = cx_workqueue_new("api-services");
        self->workers = cx_workers_start(self->queue, WORKERS, reconcile, self);
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->wake);
        if (pthread_create(&self->thread, NULL, run, self) != 0)
                abort();
        return self;
}

void api_service_checks_stop(struct api_service_checks *self)
{
        if (!self)
                return;
        pthread_mutex_lock(&self->lock);
        __atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
        pthread_cond_broadcast(&self->wake);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
        cx_workers_stop(self->workers);
        cx_workqueue_free(self->queue);
        pthread_cond_destroy(&self->wake);
        pthread_mutex_destroy(&self->lock);
        free(self);
}
