// SPDX-License-Identifier: Apache-2.0
// Nodes and pods for tests of the scheduler, written as JSON5-like text: single quotes stand for double ones.
#pragma once

#include "scheduler/plugins/plugins.h"
#include "scheduler/queue.h"
#include "test/unit/quoted_json.h"

struct world {
        struct plugins plugins;
        struct profiles profiles;
        struct templates *templates;
        struct node_cache cache;
        struct framework framework;
};

static CX_UNUSED void world_init_config(struct world *w, const struct plugin *const *plugins, size_t n_plugins,
                                        const json_t *config)
{
        *w = (struct world){0};
        plugins_init(&w->plugins, plugins, n_plugins);
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(profiles_init(&w->profiles, &w->plugins, config, &err), 0);
        w->templates = templates_new(&w->profiles);
        cache_init(&w->cache, w->templates);
        framework_init(&w->framework, &w->cache);
}

static CX_UNUSED void world_init_with(struct world *w, const struct plugin *const *plugins, size_t n_plugins)
{
        world_init_config(w, plugins, n_plugins, NULL);
}

static CX_UNUSED void world_init(struct world *w)
{
        world_init_with(w, scheduler_plugins, n_scheduler_plugins);
}

static CX_UNUSED void world_release(struct world *w)
{
        framework_release(&w->framework);
        cache_release(&w->cache);
        assert_int_equal(templates_count(w->templates), 0);
        templates_free(w->templates);
        profiles_release(&w->profiles);
}

// `spec`, `status` and `labels` are JSON objects; 4 cpu, 8Gi and 10 pods unless status says otherwise.
static CX_UNUSED unsigned world_node(struct world *w, const char *name, const char *labels, const char *spec,
                                     const char *status)
{
        json_auto_t *node = json_pack(
                "{s:{s:s, s:o}, s:o, s:o}", "metadata", "name", name, "labels", quoted_json(*labels ? labels : "{}"),
                "spec", quoted_json(*spec ? spec : "{}"), "status",
                quoted_json(*status ? status : "{'allocatable': {'cpu': '4', 'memory': '8Gi', 'pods': '10'}}"));
        struct cx_object *object = cx_object_new(node, NULL, 0);
        object->projection = node_project(NULL, node);
        object->free_projection = node_free_projection;
        unsigned changes = cache_set_node(&w->cache, object);
        cx_object_unref(object);
        return changes;
}

// A claim, a volume, or whatever else the picture of storage is made of.
static CX_UNUSED void world_store(struct world *w, enum storage_kind kind, const json_t *json)
{
        struct cx_object *object = cx_object_new(json, NULL, 0);
        object->projection = storage_project(&kind, json);
        object->free_projection = storage_release_of(kind);
        volumes_set(&w->cache.volumes, kind, object->key, object);
        cx_object_unref(object);
}

static CX_UNUSED json_t *world_pod_json(const char *name, const char *labels, const char *spec)
{
        return json_pack("{s:{s:s, s:s, s:s, s:o}, s:o}", "metadata", "namespace", "default", "name", name, "uid", name,
                         "labels", quoted_json(*labels ? labels : "{}"), "spec",
                         quoted_json(*spec ? spec : "{'containers': [{'name': 'c'}]}"));
}

static CX_UNUSED struct cx_object *world_pod_object(struct world *w, const char *name, const char *labels,
                                                    const char *spec)
{
        json_auto_t *pod = world_pod_json(name, labels, spec);
        struct cx_object *object = cx_object_new(pod, NULL, 0);
        object->projection = pod_project(w->templates, pod);
        object->free_projection = pod_free_projection;
        return object;
}

// A pod that runs on a node.
static CX_UNUSED void world_run(struct world *w, const char *name, const char *labels, const char *spec,
                                const char *node)
{
        json_auto_t *pod = world_pod_json(name, labels, spec);
        struct template *template = templates_get(w->templates, pod);
        cache_set_pod(&w->cache, name, template, node, false, 0);
        template_unref(w->templates, template);
}

// The node's name, or the message (what the filters said, without what became of preemption).
static CX_UNUSED char *world_schedule(struct world *w, const char *labels, const char *spec, unsigned *ret_failed)
{
        json_auto_t *pod = world_pod_json("new", labels, spec);
        struct template *template = templates_get(w->templates, pod);
        struct decision decision;
        framework_schedule(&w->framework, "new", template, NULL, &decision);
        template_unref(w->templates, template);
        if (ret_failed)
                *ret_failed = decision.failed;
        char *answer = decision.node ? cx_strdup(decision.node->name) : cx_steal(&decision.message);
        char *end = strstr(answer, " preemption: ");
        if (end)
                *end = 0;
        decision_release(&decision);
        return answer;
}

static CX_UNUSED void world_expect(struct world *w, const char *labels, const char *spec, const char *wanted)
{
        CX_CLEANUP(cx_freep) char *got = world_schedule(w, labels, spec, NULL);
        assert_string_equal(got, wanted);
}
