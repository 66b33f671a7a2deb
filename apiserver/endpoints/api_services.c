// SPDX-License-Identifier: Apache-2.0
// The APIServices that name a Service, compiled from the cache. The first question after a change compiles anew; who is the
// same as before stays the same one, with its connections and what is known of it.
#include "apiserver/endpoints/api_services.h"

#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#define MAX_CA ((size_t)1 << 20)

struct api_services {
        struct apiserver *api;
        struct cache *cache;
        pthread_mutex_t lock; // guards what follows
        uint64_t version;     // of the cache's contents that the list was made of
        bool compiled;
        struct api_service_list list;
};

// --- one -------------------------------------------------------------------------------------------------------------

void api_service_unref(struct api_service *service)
{
        if (!service || atomic_fetch_sub(&service->references, 1) > 1)
                return;
        kept_client_free(service->client);
        pthread_mutex_destroy(&service->lock);
        json_decref(service->spec);
        json_decref(service->discovery);
        json_decref(service->openapi_v2);
        free(service->openapi_tag);
        free(service->openapi_v3);
        free((char *)service->at.namespace);
        free((char *)service->at.name);
        free((char *)service->at.port);
        free(service->server_name);
        free(service->ca_pem);
        free(service->name);
        free(service->group);
        free(service->version);
        free(service->uid);
        free(service);
}

static char *decode_ca(const json_t *spec)
{
        const char *encoded = cx_json_string_or(spec, "caBundle", "");
        CX_BUF pem = CX_BUF_INIT_MAX(MAX_CA);
        if (!*encoded || cx_base64_decode(encoded, strlen(encoded), &pem) < 0)
                return NULL;
        return cx_buf_detach(&pem);
}

static struct api_service *make(const json_t *object)
{
        json_t *spec = json_object_get(object, "spec");
        struct api_service *service = cx_alloc(sizeof *service);
        atomic_init(&service->references, 1);
        pthread_mutex_init(&service->lock, NULL);
        service->client = kept_client_new();
        service->spec = json_incref(spec);
        service->name = cx_strdup(cx_json_string_or(object, "metadata.name", ""));
        service->uid = cx_strdup(cx_json_string_or(object, "metadata.uid", ""));
        service->group = cx_strdup(cx_json_string_or(spec, "group", ""));
        service->version = cx_strdup(cx_json_string_or(spec, "version", ""));
        service->group_priority = cx_json_int(spec, "groupPriorityMinimum", 0);
        service->version_priority = cx_json_int(spec, "versionPriority", 0);
        service->insecure = cx_json_bool(spec, "insecureSkipTLSVerify", false);
        service->ca_pem = decode_ca(spec);
        const char *namespace = cx_json_string_or(spec, "service.namespace", "");
        const char *name = cx_json_string_or(spec, "service.name", "");
        service->at = (struct service_ref){.namespace = cx_strdup(namespace),
                                           .name = cx_strdup(name),
                                           .port = cx_sprintf("%ld", (long)cx_json_int(spec, "service.port", 443))};
        service->server_name = cx_sprintf("%s.%s.svc", name, namespace);
        const json_t *condition = cx_json_find(cx_json_get(object, "status.conditions"), "type", "Available");
        service->available = cx_streq(cx_json_string(condition, "status"), "True");
        return service;
}

bool api_service_is_available(struct api_service *service)
{
        pthread_mutex_lock(&service->lock);
        bool available = service->available;
        pthread_mutex_unlock(&service->lock);
        return available;
}

int api_service_client(struct apiserver *api, struct api_service *service, struct backend_client **ret_client,
                       struct cx_error *err)
{
        const struct client_identity identity = {.cert_file = api->options.proxy_client_cert_file,
                                                 .key_file = api->options.proxy_client_key_file,
                                                 .ca_pem = service->ca_pem,
                                                 .server_name = service->server_name,
                                                 .insecure = service->insecure};
        return kept_client_get(service->client, &api->options, &identity, ret_client, err);
}

char *api_service_url(struct apiserver *api, const struct api_service *service)
{
        struct service_found found;
        if (service_endpoint(api, &service->at, &found) != SERVICE_FOUND)
                return NULL;
        CX_CLEANUP(cx_freep) char *host = found.host;
        return cx_sprintf(strchr(host, ':') ? "https://[%s]:%ld" : "https://%s:%ld", host, (long)found.port);
}

// --- all -------------------------------------------------------------------------------------------------------------

void api_service_list_release(struct api_service_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                api_service_unref(list->items[i]);
        free(list->items);
        *list = (struct api_service_list){0};
}

// The most important version says where its group stands.
static int64_t priority_of_group(const struct api_service_list *list, const char *group)
{
        int64_t most = 0;
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i]->group, group) == 0 && list->items[i]->group_priority > most)
                        most = list->items[i]->group_priority;
        return most;
}

static int compare(const void *left, const void *right, void *context)
{
        const struct api_service *a = *(struct api_service *const *)left, *b = *(struct api_service *const *)right;
        int names = strcmp(a->group, b->group);
        if (names != 0) {
                int64_t of_a = priority_of_group(context, a->group), of_b = priority_of_group(context, b->group);
                return of_a == of_b ? names : of_a > of_b ? -1 : 1;
        }
        if (a->version_priority != b->version_priority)
                return a->version_priority > b->version_priority ? -1 : 1;
        return strcmp(a->version, b->version);
}

static struct api_service *find_same(const struct api_service_list *list, const struct api_service *wanted)
{
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i]->uid, wanted->uid) == 0 && json_equal(list->items[i]->spec, wanted->spec))
                        return list->items[i];
        return NULL;
}

static void compile_locked(struct api_services *services)
{
        uint64_t version = cache_version(services->cache);
        if (services->compiled && version == services->version)
                return;
        STORED_LIST objects = {0};
        struct filter all = {0};
        struct api_service_list old = services->list, list = {0};
        cache_list(services->cache, &all, &objects);
        list.items = cx_alloc_array(objects.count + 1, sizeof(struct api_service *));
        for (size_t i = 0; i < objects.count; i++) {
                json_auto_t *object = stored_parse(objects.items[i]);
                if (!json_is_object(cx_json_get(object, "spec.service")))
                        continue;
                struct api_service *made = make(object), *same = find_same(&old, made);
                if (same) {
                        atomic_fetch_add(&same->references, 1);
                        api_service_unref(made);
                }
                list.items[list.count++] = same ? same : made;
        }
        CX_CLEANUP(cx_freep) struct api_service **items = cx_alloc_array(list.count + 1, sizeof(struct api_service *));
        memcpy(items, list.items, list.count * sizeof(struct api_service *));
        struct api_service_list unsorted = {items, list.count};
        qsort_r(list.items, list.count, sizeof(struct api_service *), compare, &unsorted);
        services->list = list;
        services->version = version;
        services->compiled = true;
        api_service_list_release(&old);
}

struct api_services *api_services_new(struct apiserver *api)
{
        struct api_services *services = cx_alloc(sizeof *services);
        pthread_mutex_init(&services->lock, NULL);
        services->api = api;
        services->cache = builtin(api, "apiregistration.k8s.io", "v1", "apiservices")->cache;
        return services;
}

void api_services_free(struct api_services *services)
{
        if (!services)
                return;
        api_service_list_release(&services->list);
        pthread_mutex_destroy(&services->lock);
        free(services);
}

struct api_service *api_services_find(struct api_services *services, const char *group, const char *version)
{
        struct api_service *found = NULL;
        pthread_mutex_lock(&services->lock);
        compile_locked(services);
        for (size_t i = 0; i < services->list.count && !found; i++)
                if (strcmp(services->list.items[i]->group, group) == 0 &&
                    strcmp(services->list.items[i]->version, version) == 0)
                        found = services->list.items[i];
        if (found)
                atomic_fetch_add(&found->references, 1);
        pthread_mutex_unlock(&services->lock);
        if (!found || !kinds_serve(services->api->kinds, group, version))
                return found;
        api_service_unref(found); // what we serve ourselves
        return NULL;
}

void api_services_list(struct api_services *services, struct api_service_list *ret_list)
{
        pthread_mutex_lock(&services->lock);
        compile_locked(services);
        struct api_service_list list = {cx_alloc_array(services->list.count + 1, sizeof(struct api_service *)), 0};
        for (size_t i = 0; i < services->list.count; i++) {
                struct api_service *service = services->list.items[i];
                if (kinds_serve(services->api->kinds, service->group, service->version))
                        continue;
                atomic_fetch_add(&service->references, 1);
                list.items[list.count++] = service;
        }
        pthread_mutex_unlock(&services->lock);
        *ret_list = list;
}
