// SPDX-License-Identifier: Apache-2.0
// A manager against an API server in memory, for tests of what controllers are made of. JSON is written with single
// quotes.
#pragma once

#include "controller-manager/core/options.h"
#include "libcommon/base/process.h"
#include "libcommon/schema/engine.h"
#include "test/unit/quoted_json.h"

#include "test/unit/fake_api.h"

struct world {
        struct fake_api *api, *events; // events go elsewhere, so that a test may count requests
        struct manager manager;
};

static CX_UNUSED void world_init(struct world *w)
{
        *w = (struct world){.api = fake_api_new(), .events = fake_api_new()};
        w->manager = (struct manager){.rest = w->api->rest,
                                      .informers = cx_informers_new(w->api->rest),
                                      .events = cx_events_new(w->events->rest, "test", NULL)};
}

static CX_UNUSED int world_watches(struct world *w)
{
        pthread_mutex_lock(&w->api->lock);
        int watches = w->api->watch_requests;
        pthread_mutex_unlock(&w->api->lock);
        return watches;
}

// Until as many informers as there are have filled, and watch.
static CX_UNUSED void world_start(struct world *w, int informers)
{
        CX_ERROR err = CX_ERROR_INIT;
        cx_informers_start(w->manager.informers);
        assert_int_equal(cx_informers_wait_synced(w->manager.informers, 20 * CX_NS_PER_S, &err), 0);
        FAKE_WAIT(world_watches(w) >= informers);
}

// Frees what hangs on the informers' events in between.
static CX_UNUSED void world_stop(struct world *w)
{
        cx_informers_free(w->manager.informers);
        manager_release(&w->manager);
        cx_events_free(w->manager.events);
}

static CX_UNUSED void world_release(struct world *w)
{
        fake_api_free(w->events);
        fake_api_free(w->api);
}

// Puts an object there as it is, uid and all. `path` is its own.
static CX_UNUSED void world_put(struct world *w, const char *path, const char *text)
{
        json_t *object = quoted_json(text);
        pthread_mutex_lock(&w->api->lock);
        bool known = cx_map_has(&w->api->objects, path);
        cx_map_set(&w->api->objects, path, object);
        fake_record(w->api, known ? "MODIFIED" : "ADDED", path, object);
        pthread_mutex_unlock(&w->api->lock);
}

// The JSON of a part of an object, as text; "" when it is not there. Owned.
static CX_UNUSED char *world_text(struct world *w, const char *path, const char *field)
{
        pthread_mutex_lock(&w->api->lock);
        const json_t *value = cx_json_get(cx_map_get(&w->api->objects, path), field);
        char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : cx_strdup("");
        pthread_mutex_unlock(&w->api->lock);
        return text;
}

static CX_UNUSED int world_requests(struct world *w)
{
        pthread_mutex_lock(&w->api->lock);
        int requests = w->api->requests;
        pthread_mutex_unlock(&w->api->lock);
        return requests;
}

static CX_UNUSED size_t world_count(struct world *w, const char *prefix)
{
        size_t count = 0;
        pthread_mutex_lock(&w->api->lock);
        CX_MAP_FOREACH (&w->api->objects, entry) {
                count += cx_has_prefix(entry->key, prefix);
        }
        pthread_mutex_unlock(&w->api->lock);
        return count;
}

// What the server says that it serves: the kinds of the schema, and with `widgets` those of example.io.
static CX_UNUSED void world_serve(struct world *w, bool widgets)
{
        size_t count;
        const struct cx_resource *resources = cx_schema_resources(&count);
        const struct cx_resource **items = cx_alloc_array(count, sizeof *items);
        for (size_t i = 0; i < count; i++)
                items[i] = &resources[i];
        struct cx_resource_set all = {items, count};
        json_t *core = cx_discovery_aggregated(&all, true), *groups = cx_discovery_aggregated(&all, false);
        free(items);
        if (widgets)
                json_array_append_new(
                        json_object_get(groups, "items"),
                        quoted_json("{'metadata':{'name':'example.io'},'versions':[{'version':'v1','resources':[{"
                                    "'resource':'widgets','scope':'Namespaced','responseKind':{'kind':'Widget'},'verbs'"
                                    ":['get','list','watch','create','update','patch','delete','deletecollection']}]}]"
                                    "}"));
        pthread_mutex_lock(&w->api->lock);
        cx_map_set(&w->api->objects, "/api", core);
        cx_map_set(&w->api->objects, "/apis", groups);
        pthread_mutex_unlock(&w->api->lock);
}
