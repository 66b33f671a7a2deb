// SPDX-License-Identifier: Apache-2.0
// A small API server in memory for unit tests: any resource; get, list, watch (resume, 410), create, update, merge patch,
// delete. Cleartext on a free port.
#pragma once

#include "libcommon/api/status.h"
#include "libcommon/base/map.h"
#include "libcommon/base/random.h"
#include "libcommon/client/rest.h"
#include "libcommon/format/json.h"
#include "libcommon/net/http_server.h"

#include <pthread.h>

struct fake_event {
        long rv;
        char *collection, *line; // the path of the collection over all namespaces, and the watch line
};
struct fake_watch {
        struct fake_api *api;
        struct fake_watch *next;
        struct cx_http_stream *stream;
        char *path;
        size_t at;
        struct cx_buf out;
        bool end;
};
struct fake_api {
        struct cx_http_server *server;
        struct cx_rest *rest;
        pthread_mutex_t lock;
        struct cx_map objects; // path -> json
        struct fake_event events[65536];
        size_t n_events, floor; // events before floor are gone
        long rv;
        struct fake_watch *watches;
        int lists, watch_requests, requests;
        int fail_next, fail_code; // answers the next requests with this code
        useconds_t delay;         // before each answer
};

static CX_UNUSED void fake_free_json(void *json)
{
        json_decref(json);
}

// "/api/v1/namespaces/x/pods/y" belongs to the collections "/api/v1/namespaces/x/pods" and "/api/v1/pods".
static bool fake_belongs(const char *object, const char *collection)
{
        const char *ns = strstr(object, "/namespaces/"), *cns = strstr(collection, "/namespaces/");
        const char *slash = strrchr(object, '/');
        size_t length = (size_t)(slash - object);
        if (strlen(collection) == length && strncmp(object, collection, length) == 0)
                return true;
        if (!ns || cns)
                return false;
        const char *rest = strchr(ns + 12, '/');
        if (!rest || rest >= slash)
                return false;
        char all[512];
        snprintf(all, sizeof all, "%.*s%.*s", (int)(ns - object), object, (int)(slash - rest), rest);
        return strcmp(all, collection) == 0;
}

static void fake_wake(struct fake_api *api)
{
        for (struct fake_watch *watch = api->watches; watch; watch = watch->next)
                if (watch->stream)
                        cx_http_stream_wake(watch->stream);
}

static void fake_record(struct fake_api *api, const char *type, const char *path, json_t *object)
{
        char rv[24];
        snprintf(rv, sizeof rv, "%ld", ++api->rv);
        cx_json_set_string(object, "metadata.resourceVersion", rv);
        json_auto_t *event = json_pack("{s:s, s:O}", "type", type, "object", object);
        char *text = cx_json_text(event);
        api->events[api->n_events++] = (struct fake_event){api->rv, cx_strdup(path), cx_sprintf("%s\n", text)};
        free(text);
        fake_wake(api);
}

static ssize_t fake_read(void *context, uint64_t offset, char *to, size_t max)
{
        (void)offset;
        struct fake_watch *watch = context;
        struct fake_api *api = watch->api;
        pthread_mutex_lock(&api->lock);
        while (watch->out.length < max && watch->at < api->n_events) {
                const struct fake_event *event = &api->events[watch->at++];
                if (fake_belongs(event->collection, watch->path))
                        cx_buf_add(&watch->out, event->line);
        }
        size_t n = watch->out.length < max ? watch->out.length : max;
        memcpy(to, watch->out.data, n);
        cx_buf_consume(&watch->out, n);
        ssize_t result = n ? (ssize_t)n : watch->end ? CX_HTTP_STREAM_END : CX_HTTP_STREAM_WAIT;
        pthread_mutex_unlock(&api->lock);
        return result;
}

static void fake_release(void *context)
{
        struct fake_watch *watch = context;
        struct fake_api *api = watch->api;
        pthread_mutex_lock(&api->lock);
        for (struct fake_watch **at = &api->watches; *at; at = &(*at)->next) {
                if (*at == watch) {
                        *at = watch->next;
                        break;
                }
        }
        struct cx_http_stream *stream = watch->stream;
        pthread_mutex_unlock(&api->lock);
        if (stream)
                cx_http_stream_unref(stream);
        cx_buf_release(&watch->out);
        free(watch->path);
        free(watch);
}

static void fake_status(struct cx_http_request *request, enum cx_reason reason, const char *text)
{
        CX_ERROR err = CX_ERROR_INIT;
        cx_error_reason(&err, reason, "%s", text);
        cx_http_respond_json(request, cx_status_http_code(&err), cx_status_from_error(&err));
}

static void fake_watch_request(struct fake_api *api, struct cx_http_request *request)
{
        long from = strtol(cx_str(cx_http_query(request, "resourceVersion")), NULL, 10);
        pthread_mutex_lock(&api->lock);
        api->watch_requests++;
        if (api->floor && from < api->events[api->floor - 1].rv) {
                pthread_mutex_unlock(&api->lock);
                fake_status(request, CX_REASON_EXPIRED, "too old resource version");
                return;
        }
        struct fake_watch *watch = cx_alloc(sizeof *watch);
        watch->api = api;
        watch->path = cx_strdup(cx_http_path(request));
        watch->out = (struct cx_buf)CX_BUF_INIT;
        while (watch->at < api->n_events && api->events[watch->at].rv <= from)
                watch->at++;
        watch->next = api->watches;
        api->watches = watch;
        struct cx_http_stream_source source = {.read = fake_read, .release = fake_release, .context = watch};
        pthread_mutex_unlock(&api->lock);
        struct cx_http_stream *stream = cx_http_respond_stream(request, 200, NULL, -1, &source);
        pthread_mutex_lock(&api->lock);
        bool there = false;
        for (struct fake_watch *other = api->watches; other; other = other->next)
                there = there || other == watch;
        if (there)
                watch->stream = stream;
        pthread_mutex_unlock(&api->lock);
        if (there)
                cx_http_stream_wake(stream);
        else
                cx_http_stream_unref(stream);
}

static void fake_list(struct fake_api *api, struct cx_http_request *request)
{
        json_t *items = json_array();
        char rv[24];
        pthread_mutex_lock(&api->lock);
        api->lists++;
        CX_MAP_FOREACH (&api->objects, entry) {
                if (fake_belongs(entry->key, cx_http_path(request)))
                        json_array_append_new(items, json_deep_copy(entry->value));
        }
        snprintf(rv, sizeof rv, "%ld", api->rv);
        pthread_mutex_unlock(&api->lock);
        cx_http_respond_json(request, 200,
                             json_pack("{s:s, s:s, s:{s:s}, s:o}", "kind", "List", "apiVersion", "v1", "metadata",
                                       "resourceVersion", rv, "items", items));
}

static void fake_merge(json_t *to, const json_t *patch)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
                json_t *have = json_object_get(to, key);
                if (json_is_null(value))
                        json_object_del(to, key);
                else if (json_is_object(value) && json_is_object(have))
                        fake_merge(have, value);
                else
                        json_object_set_new(to, key, json_deep_copy(value));
        }
}

// POST to a collection.
static json_t *fake_create(struct fake_api *api, const char *path, json_t *body)
{
        char suffix[6], uid[CX_UID_TEXT], whole[512];
        const char *generate = cx_json_string(body, "metadata.generateName");
        if (!cx_json_string(body, "metadata.name") && generate) {
                cx_random_suffix(suffix, 5);
                char *name = cx_sprintf("%s%s", generate, suffix);
                cx_json_set_string(body, "metadata.name", name);
                free(name);
        }
        snprintf(whole, sizeof whole, "%s/%s", path, cx_json_string_or(body, "metadata.name", ""));
        if (cx_map_has(&api->objects, whole))
                return NULL;
        const char *ns = strstr(path, "/namespaces/");
        if (ns && strchr(ns + 12, '/')) {
                char *name = cx_strndup(ns + 12, strcspn(ns + 12, "/"));
                cx_json_set_string(body, "metadata.namespace", name);
                free(name);
        }
        cx_random_uid(uid);
        cx_json_set_string(body, "metadata.uid", uid);
        if (!cx_json_string(body, "metadata.creationTimestamp"))
                cx_json_set_string(body, "metadata.creationTimestamp", "2026-01-01T00:00:00Z");
        cx_json_set(body, "metadata.generation", json_integer(1));
        cx_map_set(&api->objects, whole, json_incref(body));
        fake_record(api, "ADDED", whole, body);
        return body;
}

// An update is the whole object, but for its status.
static void fake_replace(json_t *to, const json_t *body)
{
        json_t *status = json_incref(json_object_get(to, "status"));
        json_object_clear(to);
        json_object_update(to, (json_t *)body);
        json_object_del(to, "status");
        if (status)
                json_object_set_new(to, "status", status);
}

static bool fake_is_collection(const struct fake_api *api, const char *path)
{
        (void)api;
        int parts = 0;
        for (const char *p = path; *p; p++)
                parts += *p == '/';
        if (strncmp(path, "/apis/", 6) == 0)
                parts--;
        const char *ns = strstr(path, "/namespaces/");
        if (ns && strchr(ns + 12, '/'))
                parts -= 2;
        return parts == 3;
}

// Deletes all of a collection.
static json_t *fake_delete_all(struct fake_api *api, const char *collection)
{
        CX_STRINGS paths = CX_STRINGS_INIT;
        CX_MAP_FOREACH (&api->objects, entry) {
                if (fake_belongs(entry->key, collection))
                        cx_strings_add(&paths, entry->key);
        }
        for (size_t i = 0; i < paths.count; i++) {
                fake_record(api, "DELETED", paths.items[i], cx_map_get(&api->objects, paths.items[i]));
                cx_map_remove(&api->objects, paths.items[i]);
        }
        return json_pack("{s:s}", "kind", "Status");
}

static void fake_write(struct fake_api *api, struct cx_http_request *request)
{
        const char *method = cx_http_method(request);
        size_t length;
        const char *text = cx_http_body(request, &length);
        json_auto_t *body = NULL;
        if (length && cx_json_parse(text, length, false, &body, NULL) < 0) {
                fake_status(request, CX_REASON_BAD_REQUEST, "malformed");
                return;
        }
        CX_CLEANUP(cx_freep) char *path = cx_strdup(cx_http_path(request));
        bool status = cx_has_suffix(path, "/status"), finalize = cx_has_suffix(path, "/finalize");
        if (status || finalize)
                *strrchr(path, '/') = 0;
        pthread_mutex_lock(&api->lock);
        json_t *answer = NULL, *have = cx_map_get(&api->objects, path);
        enum cx_reason reason = CX_REASON_NOT_FOUND;
        if (cx_streq(method, "POST")) {
                answer = fake_create(api, path, body);
                reason = CX_REASON_ALREADY_EXISTS;
        } else if (!have && cx_streq(method, "DELETE") && fake_is_collection(api, path)) {
                answer = fake_delete_all(api, path);
        } else if (have && cx_streq(method, "DELETE")) {
                const char *uid = cx_json_string(body, "preconditions.uid");
                if (uid && !cx_streq(uid, cx_json_string(have, "metadata.uid"))) {
                        reason = CX_REASON_CONFLICT;
                } else {
                        answer = json_deep_copy(have);
                        fake_record(api, "DELETED", path, answer);
                        cx_map_remove(&api->objects, path);
                }
        } else if (have) {
                const char *rv = cx_json_string(body, "metadata.resourceVersion");
                if (rv && strcmp(rv, cx_json_string(have, "metadata.resourceVersion")) != 0) {
                        reason = CX_REASON_CONFLICT;
                } else {
                        json_t *next = json_deep_copy(have);
                        if (cx_streq(method, "PATCH"))
                                fake_merge(next, body);
                        else if (status)
                                json_object_set(next, "status", json_object_get(body, "status"));
                        else
                                fake_replace(next, body);
                        cx_map_set(&api->objects, path, next);
                        fake_record(api, "MODIFIED", path, next);
                        answer = next;
                }
        }
        json_t *copy = answer ? json_deep_copy(answer) : NULL;
        if (answer && cx_streq(method, "DELETE"))
                json_decref(answer);
        json_decref(body); // parts of it are in the store now: under the lock
        body = NULL;
        pthread_mutex_unlock(&api->lock);
        if (copy)
                cx_http_respond_json(request, cx_streq(method, "POST") ? 201 : 200, copy);
        else
                fake_status(request, reason, path);
}

static void fake_handle(struct cx_http_request *request, void *context)
{
        struct fake_api *api = context;
        const char *path = cx_http_path(request);
        pthread_mutex_lock(&api->lock);
        api->requests++;
        bool fail = api->fail_next > 0;
        if (fail)
                api->fail_next--;
        const useconds_t delay = api->delay;
        pthread_mutex_unlock(&api->lock);
        usleep(delay);
        if (fail) {
                if (api->fail_code == 429)
                        cx_http_add_header(request, "Retry-After", "0");
                fake_status(request, cx_reason_by_http_code(api->fail_code), "told to fail");
        } else if (!cx_streq(cx_http_method(request), "GET")) {
                fake_write(api, request);
        } else if (cx_http_query(request, "watch")) {
                fake_watch_request(api, request);
        } else if (fake_is_collection(api, path)) {
                fake_list(api, request);
        } else {
                pthread_mutex_lock(&api->lock);
                json_t *have = cx_map_get(&api->objects, path);
                json_t *copy = have ? json_deep_copy(have) : NULL;
                pthread_mutex_unlock(&api->lock);
                if (copy)
                        cx_http_respond_json(request, 200, copy);
                else
                        fake_status(request, CX_REASON_NOT_FOUND, path);
        }
}

static struct fake_api *fake_api_new(void)
{
        struct fake_api *api = cx_alloc(sizeof *api);
        pthread_mutex_init(&api->lock, NULL);
        api->objects.free_value = fake_free_json;
        api->rv = 100;
        struct cx_http_server_options options = {
                .address = "127.0.0.1", .handler = fake_handle, .context = api, .workers = 4, .io_threads = 1};
        char server[64];
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_http_server_new(&options, &api->server, &err) < 0)
                abort();
        snprintf(server, sizeof server, "http://127.0.0.1:%d", cx_http_server_port(api->server));
        if (cx_rest_new(&(struct cx_credentials){.server = server}, NULL, &api->rest, &err) < 0)
                abort();
        return api;
}

// Ends every watch, as a server's timeout does; with `gone`, what happened so far can no longer be resumed from.
static CX_UNUSED void fake_end_watches(struct fake_api *api, bool gone)
{
        pthread_mutex_lock(&api->lock);
        if (gone)
                api->floor = api->n_events;
        for (struct fake_watch *watch = api->watches; watch; watch = watch->next)
                watch->end = true;
        fake_wake(api);
        pthread_mutex_unlock(&api->lock);
}

static void fake_api_free(struct fake_api *api)
{
        fake_end_watches(api, false);
        cx_rest_free(api->rest);
        cx_http_server_free(api->server);
        cx_map_release(&api->objects);
        for (size_t i = 0; i < api->n_events; i++) {
                free(api->events[i].collection);
                free(api->events[i].line);
        }
        pthread_mutex_destroy(&api->lock);
        free(api);
}

static CX_UNUSED bool fake_watched(struct fake_api *api)
{
        pthread_mutex_lock(&api->lock);
        bool watched = api->watches != NULL;
        pthread_mutex_unlock(&api->lock);
        return watched;
}

// Waits (up to ten seconds) until the condition holds.
#define FAKE_WAIT(condition)                                                                                           \
        do {                                                                                                           \
                int fake_tries = 0;                                                                                    \
                while (!(condition) && ++fake_tries < 10000)                                                           \
                        usleep(1000);                                                                                  \
                assert_true(condition);                                                                                \
        } while (0)
