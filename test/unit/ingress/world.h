// SPDX-License-Identifier: Apache-2.0
// For tests of plans: Ingresses and what they refer to, in JSON in which single quotes stand for double ones.
#pragma once

#include "addons/ingress/config.h"
#include "addons/ingress/slots.h"
#include "test/unit/quoted_json.h"

#include <stdio.h>

struct world {
        struct cx_objects ingresses, classes, services, slices;
        struct cx_map secrets; // values are constants of the test
        struct plan_config config;
        struct plan plan;
        struct slots slots;
        struct cx_map maps[MAP_COUNT];
        int made;
};

static inline void world_add(struct cx_objects *list, const json_t *json, void *projection, void (*release)(void *))
{
        struct cx_object *object = cx_object_new(json, NULL, 0);
        object->projection = projection;
        object->free_projection = release;
        cx_objects_add(list, object);
        cx_object_unref(object);
}

static inline void world_class(struct world *w, const char *name, const char *controller, bool is_default)
{
        json_auto_t *json = json_pack("{s:{s:s, s:{s:s}}, s:{s:s}}", "metadata", "name", name, "annotations",
                                      "ingressclass.kubernetes.io/is-default-class", is_default ? "true" : "false",
                                      "spec", "controller", controller);
        world_add(&w->classes, json, ingress_class_project(NULL, json), ingress_class_free);
}

// Each is younger than the one before.
static inline void world_ingress(struct world *w, const char *name, const char *annotations, const char *spec)
{
        char created[40];
        snprintf(created, sizeof created, "2026-01-01T00:%02d:%02dZ", w->made / 60, w->made % 60);
        w->made++;
        json_auto_t *json = json_pack("{s:{s:s, s:s, s:s, s:s, s:o}, s:o}", "metadata", "namespace", "ns", "name", name,
                                      "uid", name, "creationTimestamp", created, "annotations",
                                      quoted_json(annotations), "spec", quoted_json(spec));
        world_add(&w->ingresses, json, ingress_project(NULL, json), ingress_free);
}

static inline void world_service(struct world *w, const char *name, const char *spec)
{
        json_auto_t *json = json_pack("{s:{s:s, s:s}, s:o}", "metadata", "namespace", "ns", "name", name, "spec",
                                      quoted_json(spec));
        world_add(&w->services, json, target_project(NULL, json), target_free);
}

static inline void world_slice(struct world *w, const char *service, const char *endpoints)
{
        json_auto_t *json =
                json_pack("{s:{s:s, s:s, s:{s:s}}, s:s, s:[{s:s, s:i}], s:o}", "metadata", "namespace", "ns", "name",
                          "slice", "labels", "kubernetes.io/service-name", service, "addressType", "IPv4", "ports",
                          "name", "web", "port", 8080, "endpoints", quoted_json(endpoints));
        world_add(&w->slices, json, target_slice_project(NULL, json), target_slice_free);
}

static inline void world_begin(struct world *w)
{
        *w = (struct world){.config.controller_class = "coxswain.io/ingress"};
        world_class(w, "haproxy", "coxswain.io/ingress", true);
        world_class(w, "other", "example.com/other", false);
        world_service(w, "a", "{'ports': [{'name': 'web', 'port': 80}]}");
        world_service(w, "b", "{'ports': [{'name': 'web', 'port': 80}, {'name': 'more', 'port': 81}]}");
        world_slice(w, "a",
                    "[{'addresses': ['10.1.0.2']}, {'addresses': ['10.1.0.1'], 'conditions': {'ready': true}}]");
}

static inline void world_plan(struct world *w)
{
        struct plan_input input = {&w->ingresses, &w->classes, &w->services, &w->slices, &w->secrets};
        plan_release(&w->plan);
        plan_build(&w->config, &input, &w->plan);
        (void)slots_assign(&w->slots, &w->plan, true);
        for (int i = 0; i < MAP_COUNT; i++)
                cx_map_release(&w->maps[i]);
        config_maps(&w->plan, &w->slots, w->maps);
}

static inline void world_release(struct world *w)
{
        plan_release(&w->plan);
        slots_release(&w->slots);
        for (int i = 0; i < MAP_COUNT; i++)
                cx_map_release(&w->maps[i]);
        cx_objects_release(&w->ingresses);
        cx_objects_release(&w->classes);
        cx_objects_release(&w->services);
        cx_objects_release(&w->slices);
        cx_map_release(&w->secrets);
}
#define WORLD CX_CLEANUP(world_release) struct world

// Who serves an encoded key: the key of the backend; "none" when it answers 503; NULL: no route.
static inline const char *world_route(const struct world *w, const char *map, const char *key)
{
        const struct cx_map *routes = strcmp(map, "exact") == 0 ? &w->plan.exact : &w->plan.prefix;
        const struct plan_route *route = cx_map_get(routes, key);
        return !route ? NULL : route->backend ? route->backend->key : "none";
}

static inline bool world_told(const struct world *w, const char *ingress, const char *reason, const char *text)
{
        for (size_t i = 0; i < w->plan.n_ingresses; i++)
                for (size_t j = 0; j < w->plan.ingresses[i].n_problems; j++)
                        if (strcmp(w->plan.ingresses[i].object->name, ingress) == 0 &&
                            strcmp(w->plan.ingresses[i].problems[j].reason, reason) == 0 &&
                            strstr(w->plan.ingresses[i].problems[j].message, text))
                                return true;
        return false;
}
