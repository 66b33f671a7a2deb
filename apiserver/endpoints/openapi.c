// SPDX-License-Identifier: Apache-2.0
// Keeping and sending documents: by form (JSON, protobuf), by hash (conditional requests, URLs that never change).
#include "apiserver/endpoints/documents.h"

#include "apiserver/endpoints/endpoints.h"
#include "apiserver/request/media.h"
#include "apiserver/request/respond.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

#include <time.h>

struct document {
        atomic_int references;
        char *bytes;
        size_t length;
        char hash[17];
};

static void unref_document(void *document)
{
        struct document *self = document;
        if (!self || atomic_fetch_sub(&self->references, 1) != 1)
                return;
        free(self->bytes);
        free(self);
}
static void unref_documentp(struct document **document)
{
        unref_document(*document);
}
#define DOCUMENT CX_CLEANUP(unref_documentp) struct document

struct documents {
        struct kind_follower follower; // first, so that it is the same pointer
        struct apiserver *api;
        struct cache *api_services;
        pthread_mutex_t lock; // guards what follows
        struct cx_map made;
        uint64_t version; // of the APIServices that it was made for
};

// Drops what speaks of the kind. What is made next is made of what is served then: a document that was begun before the
// change has been kept by now, as both hold the lock.
static void on_change(struct kind_follower *follower, enum kind_change change CX_UNUSED, const struct served_kind *kind)
{
        static const char *const of_all[] = {"v2", "v2+protobuf", "v3"};
        struct documents *documents = (struct documents *)follower;
        const struct cx_resource *r = kind->resource;
        char version[128];
        CX_CLEANUP(cx_freep)
        char *of_version =
                cx_sprintf("v3/%s/%s", *r->group ? "apis" : "api", cx_join_api_version(version, r->group, r->version));
        pthread_mutex_lock(&documents->lock);
        for (size_t i = 0; i < CX_ARRAY_SIZE(of_all); i++)
                cx_map_remove(&documents->made, of_all[i]);
        cx_map_remove(&documents->made, of_version);
        cx_map_remove(&documents->made, *r->group ? "discovery/apis" : "discovery/api");
        pthread_mutex_unlock(&documents->lock);
}

struct documents *documents_new(struct apiserver *api)
{
        struct documents *documents = cx_alloc(sizeof *documents);
        documents->api = api;
        documents->api_services = builtin(api, "apiregistration.k8s.io", "v1", "apiservices")->cache;
        pthread_mutex_init(&documents->lock, NULL);
        documents->made = (struct cx_map)CX_MAP_INIT_FREE(unref_document);
        documents->follower.changed = on_change;
        kinds_follow(api->kinds, &documents->follower);
        return documents;
}

void documents_free(struct documents *documents)
{
        if (!documents)
                return;
        kinds_unfollow(documents->api->kinds, &documents->follower);
        cx_map_release(&documents->made);
        pthread_mutex_destroy(&documents->lock);
        free(documents);
}

void documents_forget(struct documents *documents)
{
        pthread_mutex_lock(&documents->lock);
        cx_map_clear(&documents->made);
        pthread_mutex_unlock(&documents->lock);
}

// --- making ---

static int make_json(json_t *json_steal, struct cx_buf *to)
{
        json_auto_t *json = json_steal;
        if (!json)
                return -ENOENT;
        cx_json_dump(json, to);
        return 0;
}

static json_t *make_v2(struct apiserver *api, const struct cx_resource_set *all)
{
        json_t *document = cx_openapi_v2(all);
        aggregate_openapi_v2(api->api_services, document);
        return document;
}

static int make_v2_protobuf(struct apiserver *api, const struct cx_resource_set *all, struct cx_buf *to)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *json = make_v2(api, all), *own = NULL;
        if (cx_openapi_v2_protobuf(json, to, &err) == 0)
                return 0;
        // What another server says has no place in the message: then without it.
        cx_warn("OpenAPI of aggregated servers is left out of the binary form", "err", cx_error_text(&err));
        cx_buf_truncate(to, 0);
        own = cx_openapi_v2(all);
        return cx_openapi_v2_protobuf(own, to, NULL);
}

static json_t *make_v3_index(struct apiserver *api, const struct cx_resource_set *all)
{
        json_t *index = cx_openapi_v3_index(all);
        aggregate_openapi_v3(api->api_services, index);
        return index;
}

static json_t *make_discovery(struct apiserver *api, const struct cx_resource_set *all)
{
        json_t *list = cx_discovery_aggregated(all, false);
        aggregate_discovery(api->api_services, list);
        return list;
}

// The keys: "v2", "v2+protobuf", "v3", "v3/apis/apps/v1", "discovery/api", "discovery/apis".
static int make(struct apiserver *api, const struct cx_resource_set *all, const char *key, struct cx_buf *to)
{
        if (strcmp(key, "v2") == 0)
                return make_json(make_v2(api, all), to);
        if (strcmp(key, "v2+protobuf") == 0)
                return make_v2_protobuf(api, all, to);
        if (strcmp(key, "v3") == 0)
                return make_json(make_v3_index(api, all), to);
        if (cx_has_prefix(key, "v3/"))
                return make_json(cx_openapi_v3(all, key + strlen("v3/")), to);
        if (strcmp(key, "discovery/api") == 0)
                return make_json(cx_discovery_aggregated(all, true), to);
        if (strcmp(key, "discovery/apis") == 0)
                return make_json(make_discovery(api, all), to);
        return -ENOENT;
}

// New reference; NULL when there is no such document.
static struct document *find(struct documents *documents, const char *key)
{
        pthread_mutex_lock(&documents->lock);
        uint64_t version = cache_version(documents->api_services);
        if (version != documents->version)
                cx_map_clear(&documents->made);
        documents->version = version;
        struct document *document = cx_map_get(&documents->made, key);
        if (!document) {
                KIND_SET *served = kinds_snapshot(documents->api->kinds);
                CX_BUF bytes = CX_BUF_INIT;
                if (make(documents->api, &served->resources, key, &bytes) == 0) {
                        document = cx_alloc(sizeof *document);
                        atomic_init(&document->references, 1);
                        document->length = bytes.length;
                        document->bytes = cx_buf_detach(&bytes);
                        cx_openapi_hash(document->bytes, document->length, document->hash);
                        cx_map_set(&documents->made, key, document);
                }
        }
        if (document)
                atomic_fetch_add(&document->references, 1);
        pthread_mutex_unlock(&documents->lock);
        return document;
}

// --- sending ---

// Does If-None-Match name this hash? It is a list of quoted tags, or "*".
static bool client_has(const struct call *call, const char *hash)
{
        const char *header = cx_http_header(call->request, "If-None-Match");
        CX_CLEANUP(cx_freep) char *tag = cx_sprintf("\"%s\"", hash);
        return header && (strcmp(header, "*") == 0 || strstr(header, tag));
}

static void send_document(struct call *call, const struct document *document, const char *type)
{
        CX_CLEANUP(cx_freep) char *tag = cx_sprintf("\"%s\"", document->hash);
        cx_http_add_header(call->request, "Vary", "Accept");
        cx_http_add_header(call->request, "ETag", tag);
        if (client_has(call, document->hash))
                cx_http_respond(call->request, 304, type, "", 0);
        else
                cx_http_respond(call->request, 200, type, document->bytes, document->length);
}

void serve_aggregated_discovery(struct call *call, bool core)
{
        DOCUMENT *document = find(call->api->documents, core ? "discovery/api" : "discovery/apis");
        send_document(call, document, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
}

// --- OpenAPI ---

enum document_form { DOCUMENT_NONE, DOCUMENT_JSON, DOCUMENT_PROTOBUF };

#define PROTOBUF_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

// The first type of the Accept header that can be had. The spelling with an @ is how clients before 1.24 ask.
static enum document_form accepted_form(const struct call *call, bool protobuf)
{
        const char *header = cx_http_header(call->request, "Accept");
        if (!header || !*header)
                return DOCUMENT_JSON;
        struct media media;
        while (media_next(&header, &media)) {
                if (media_is_json(&media))
                        return DOCUMENT_JSON;
                if (protobuf && (media_is(&media, PROTOBUF_TYPE) ||
                                 media_is(&media, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")))
                        return DOCUMENT_PROTOBUF;
        }
        return DOCUMENT_NONE;
}

// A URL of the index carries the hash of its document: with it, clients may keep the answer for a year; with an old one
// they are sent on. True when that was the answer.
static bool handle_hash(struct call *call, const struct document *document)
{
        const char *hash = cx_http_query(call->request, "hash");
        if (!hash || !*hash)
                return false;
        if (strcmp(hash, document->hash) != 0) {
                CX_CLEANUP(cx_freep) char *location = cx_sprintf("%s?hash=%s", call->info.path, document->hash);
                cx_http_add_header(call->request, "Location", location);
                cx_http_respond_text(call->request, 301, "Moved Permanently\n");
                return true;
        }
        char expires[64];
        time_t then = time(NULL) + (time_t)365 * 24 * 3600;
        struct tm tm;
        gmtime_r(&then, &tm);
        (void)strftime(expires, sizeof expires, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        cx_http_add_header(call->request, "Cache-Control", "public, immutable");
        cx_http_add_header(call->request, "Expires", expires);
        return false;
}

bool serve_openapi(struct call *call)
{
        const char *path = call->info.path;
        if (!cx_has_prefix(path, "/openapi/"))
                return false;
        path += strlen("/openapi/");
        bool v2 = strcmp(path, "v2") == 0;
        if (!v2 && strcmp(path, "v3") != 0 && !cx_has_prefix(path, "v3/"))
                return false;
        enum document_form form = accepted_form(call, v2);
        if (form == DOCUMENT_NONE) {
                CX_ERROR err = CX_ERROR_INIT;
                (void)cx_error_reason(&err, CX_REASON_NOT_ACCEPTABLE,
                                      "only the following media types are accepted: application/json%s",
                                      v2 ? ", " PROTOBUF_TYPE : "");
                respond_error(call, &err);
                return true;
        }
        DOCUMENT *document = find(call->api->documents, form == DOCUMENT_PROTOBUF ? "v2+protobuf" : path);
        if (!document)
                return cx_has_prefix(path, "v3/apis/") && serve_if_aggregated(call, path + strlen("v3/apis/"));
        if (v2 || !handle_hash(call, document))
                send_document(call, document, form == DOCUMENT_PROTOBUF ? PROTOBUF_TYPE : "application/json");
        return true;
}
