// SPDX-License-Identifier: Apache-2.0
// EndpointSlices of every Service with a selector, with at most a hundred endpoints each. An endpoint stays in its
// slice, and free places are filled first, so a change of one pod changes one slice. The name of a slice is made from
// the Service, the ports and a number, so the same slice is not created twice while the informer is behind.
#include "controller-manager/endpoints/endpointslice.h"

#include "controller-manager/core/name_hash.h"
#include "libcommon/base/map.h"

#define MANAGED_BY "endpointslice-controller.k8s.io"

struct slices {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *services, *pods, *slices, *nodes;
        struct endpoints_watch watch;
};

char *slice_owner_key(const struct cx_object *slice, const char *managed_by)
{
        const char *name = cx_object_label(slice, SLICE_SERVICE_NAME);
        if (!name || !cx_streq(cx_object_label(slice, "endpointslice.kubernetes.io/managed-by"), managed_by))
                return NULL;
        return cx_sprintf("%s/%s", slice->namespace, name);
}

static void service_keys(void *context CX_UNUSED, const struct cx_object *slice, struct cx_strings *ret_keys)
{
        CX_CLEANUP(cx_freep) char *key = slice_owner_key(slice, MANAGED_BY);
        if (key)
                cx_strings_add(ret_keys, key);
}

static void on_slice(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct slices *self = context;
        CX_CLEANUP(cx_freep) char *key = slice_owner_key(now ? now : old, MANAGED_BY);
        if (key)
                cx_workqueue_add(self->queue, key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct slices *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->services = manager_informer(manager, "", "services");
        self->pods = endpoints_pods(manager);
        self->slices = manager_informer(manager, "discovery.k8s.io", "endpointslices");
        self->nodes = manager_informer(manager, "", "nodes");
        self->watch = (struct endpoints_watch){queue, self->services};
        cx_informer_index_namespace(self->services);
        cx_informer_add_index(self->slices, "service", service_keys, NULL);
        manager_enqueue_all(self->services, queue);
        cx_informer_on_event(self->slices, on_slice, self);
        cx_informer_on_event(self->pods, endpoints_on_pod, &self->watch);
        return self;
}

// What spec.trafficDistribution asks for: which endpoints a node should take, when it can.
static json_t *make_hints(const char *distribution, const char *zone, const char *node)
{
        bool by_node = cx_streq(distribution, "PreferSameNode");
        if (!by_node && !cx_streq(distribution, "PreferClose") && !cx_streq(distribution, "PreferSameZone"))
                return NULL;
        json_t *hints = zone ? json_pack("{s:[{s:s}]}", "forZones", "name", zone) : NULL;
        if (by_node && node) {
                hints = hints ? hints : json_object();
                json_object_set_new(hints, "forNodes", json_pack("[{s:s}]", "name", node));
        }
        return hints;
}

static json_t *make_endpoint(const struct slices *self, const struct pod_backend *backend, const json_t *service)
{
        const struct pod_address *pod = POD_ADDRESS(backend->pod);
        const char *node_name = POD_STATE(backend->pod)->node;
        json_t *endpoint = json_pack("{s:[s], s:{s:b, s:b, s:b}, s:o}", "addresses", backend->ip, "conditions", "ready",
                                     backend->ready, "serving", backend->serving, "terminating", backend->terminating,
                                     "targetRef", pod_target_ref(backend->pod));
        CX_OBJECT *node = node_name ? cx_informer_get(self->nodes, NULL, node_name) : NULL;
        const char *zone = node ? cx_object_label(node, "topology.kubernetes.io/zone") : NULL;
        if (node_name)
                json_object_set_new(endpoint, "nodeName", json_string(node_name));
        if (zone)
                json_object_set_new(endpoint, "zone", json_string(zone));
        json_t *hints = backend->ready
                                ? make_hints(cx_json_string(service, "spec.trafficDistribution"), zone, node_name)
                                : NULL;
        if (hints)
                json_object_set_new(endpoint, "hints", hints);
        if (pod->hostname && *pod->hostname && cx_streq(pod->subdomain, cx_json_string(service, "metadata.name")))
                json_object_set_new(endpoint, "hostname", json_string(pod->hostname));
        return endpoint;
}

static const char *endpoint_id(const json_t *endpoint)
{
        const char *uid = cx_json_string(endpoint, "targetRef.uid");
        return uid ? uid : cx_str(json_string_value(json_array_get(json_object_get(endpoint, "addresses"), 0)));
}

void slices_pack(struct packed_slice *slices, size_t *count, json_t *wanted, size_t max)
{
        CX_MAP missing = CX_MAP_INIT; // uid -> endpoint
        size_t i;
        json_t *endpoint;
        json_array_foreach (wanted, i, endpoint)
                cx_map_set(&missing, endpoint_id(endpoint), endpoint);
        // What is there stays where it is, in its present form; what is not wanted goes.
        for (size_t s = 0; s < *count; s++) {
                json_t *kept = json_array();
                size_t j;
                json_t *old;
                json_array_foreach (slices[s].endpoints, j, old) {
                        json_t *now = cx_map_take(&missing, endpoint_id(old));
                        if (now)
                                json_array_append(kept, now);
                }
                slices[s].changed = !json_equal(kept, slices[s].endpoints);
                json_decref(slices[s].endpoints);
                slices[s].endpoints = kept;
        }
        size_t s = 0;
        json_array_foreach (wanted, i, endpoint) {
                if (!cx_map_has(&missing, endpoint_id(endpoint)))
                        continue;
                while (s < *count && json_array_size(slices[s].endpoints) >= max)
                        s++;
                if (s == *count)
                        slices[(*count)++] = (struct packed_slice){.endpoints = json_array(), .created = true};
                json_array_append(slices[s].endpoints, endpoint);
                slices[s].changed = true;
        }
}

static json_t *make_labels(const json_t *service)
{
        const json_t *from = cx_json_get(service, "metadata.labels");
        json_t *labels = from ? json_deep_copy(from) : json_object();
        json_object_set_new(labels, SLICE_SERVICE_NAME, json_string(cx_json_string_or(service, "metadata.name", "")));
        json_object_set_new(labels, "endpointslice.kubernetes.io/managed-by", json_string(MANAGED_BY));
        if (service_is_headless(service))
                json_object_set_new(labels, "service.kubernetes.io/headless", json_string(""));
        return labels;
}

static bool in_group(const struct slice_group *group, const json_t *slice)
{
        if (!cx_streq(cx_json_string(slice, "addressType"), group->family))
                return false;
        json_auto_t *ports = NULL;
        if (cx_json_parse(group->ports, strlen(group->ports), false, &ports, NULL) < 0)
                return false;
        const json_t *have = json_object_get(slice, "ports");
        return have ? json_equal(have, ports) : !json_array_size(ports);
}

static char *slice_name(const struct slice_group *group, const struct cx_map *taken)
{
        for (uint32_t number = 0;; number++) {
                uint32_t hash = name_hash_text(NAME_HASH_START ^ number, group->owner->uid);
                hash = name_hash_text(name_hash_text(hash, group->family), group->ports);
                char suffix[8];
                name_hash_write_letters(hash, 5, suffix);
                char *name = cx_sprintf("%.200s-%s", group->owner->name, suffix);
                if (!cx_map_has(taken, name))
                        return name;
                free(name);
        }
}

static int write_slice(const struct slice_group *group, const struct packed_slice *slice, const char *name,
                       struct cx_error *err)
{
        const struct slice_owner *owner = group->owner;
        const char *namespace = owner->namespace;
        const struct cx_ref *ref = CX_REF("discovery.k8s.io", "v1", "endpointslices", namespace, name);
        json_auto_t *object = slice->created
                                      ? json_pack("{s:{s:s, s:s, s:s, s:[o]}}", "metadata", "name", name, "namespace",
                                                  namespace, "generateName", "", "ownerReferences",
                                                  make_controller_ref("v1", owner->kind, owner->name, owner->uid))
                                      : json_deep_copy(slice->object);
        json_t *ports = NULL;
        if (cx_json_parse(group->ports, strlen(group->ports), false, &ports, err) < 0)
                return -EINVAL;
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%.200s-", owner->name);
        if (slice->created)
                cx_json_set_string(object, "metadata.generateName", prefix);
        json_object_set(json_object_get(object, "metadata"), "labels", group->labels);
        if (group->annotations)
                json_object_set(json_object_get(object, "metadata"), "annotations", group->annotations);
        json_object_set_new(object, "apiVersion", json_string("discovery.k8s.io/v1"));
        json_object_set_new(object, "kind", json_string("EndpointSlice"));
        json_object_set_new(object, "addressType", json_string(group->family));
        json_object_set_new(object, "ports", ports);
        json_object_set(object, "endpoints", slice->endpoints);
        int r = slice->created ? cx_rest_create(owner->rest, ref, object, NULL, err)
                               : cx_rest_update(owner->rest, ref, object, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_ALREADY_EXISTS) || cx_error_is(err, CX_REASON_NOT_FOUND)))
                return -EAGAIN; // the informer is a moment behind
        return r;
}

int slice_delete(struct cx_rest *rest, const json_t *slice, struct cx_error *err)
{
        int r = cx_rest_delete(rest,
                               CX_REF("discovery.k8s.io", "v1", "endpointslices",
                                      cx_json_string(slice, "metadata.namespace"),
                                      cx_json_string(slice, "metadata.name")),
                               NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static bool same_metadata(const struct slice_group *group, const json_t *slice)
{
        const json_t *have = cx_json_get(slice, "metadata.annotations"), *want = group->annotations;
        bool same = !want || (have ? json_equal(have, want) : !json_object_size(want));
        return same && json_equal(cx_json_get(slice, "metadata.labels"), group->labels);
}

int slice_group_sync(const struct slice_group *group, json_t *existing, json_t *wanted, struct cx_map *taken,
                     struct cx_error *err)
{
        size_t count = 0, most = json_array_size(existing) + json_array_size(wanted) / SLICE_MAX + 2;
        CX_CLEANUP(cx_freep) struct packed_slice *slices = cx_alloc_array(most, sizeof *slices);
        size_t i;
        json_t *slice;
        json_array_foreach (existing, i, slice) {
                if (!json_is_object(slice) || !in_group(group, slice))
                        continue;
                const json_t *endpoints = json_object_get(slice, "endpoints");
                slices[count++] =
                        (struct packed_slice){.object = json_incref(slice),
                                              .endpoints = endpoints ? json_deep_copy(endpoints) : json_array()};
                json_array_set_new(existing, i, json_null());
        }
        slices_pack(slices, &count, wanted, SLICE_MAX);
        if (!count) // a Service without endpoints has one empty slice
                slices[count++] = (struct packed_slice){.endpoints = json_array(), .created = true, .changed = true};
        int r = 0;
        size_t left = count;
        for (i = 0; i < count; i++) {
                struct packed_slice *packed = &slices[i];
                if (r == 0 && !packed->created && !json_array_size(packed->endpoints) && left > 1) {
                        left--;
                        r = slice_delete(group->owner->rest, packed->object, err);
                } else if (r == 0 && (packed->changed || !same_metadata(group, packed->object))) {
                        CX_CLEANUP(cx_freep)
                        char *name = packed->created ? slice_name(group, taken)
                                                     : cx_strdup(cx_json_string(packed->object, "metadata.name"));
                        cx_map_set(taken, name, packed);
                        r = write_slice(group, packed, name, err);
                }
                json_decref(packed->endpoints);
                json_decref(packed->object);
        }
        return r;
}

// What one Service's reconcile works on.
struct service_slices {
        struct slices *self;
        const json_t *service;
        json_t *existing, *labels;
        struct cx_map taken; // names of slices that are not free
};

static int sync_family(struct service_slices *job, const char *family, struct cx_error *err)
{
        const json_t *service = job->service;
        struct pod_backends backends;
        backends_find(job->self->pods, service, family, &backends);
        const struct slice_owner owner = {
                job->self->manager->rest, "Service", cx_json_string(service, "metadata.namespace"),
                cx_json_string(service, "metadata.name"), cx_json_string(service, "metadata.uid")};
        struct slice_group group = {.owner = &owner, .family = family, .ports = "[]", .labels = job->labels};
        int r = 0;
        size_t i = 0;
        do { // at least once: without backends, for the empty slice
                json_auto_t *wanted = json_array();
                if (backends.count)
                        group.ports = backends.items[i].ports;
                for (; i < backends.count && strcmp(backends.items[i].ports, group.ports) == 0; i++)
                        json_array_append_new(wanted, make_endpoint(job->self, &backends.items[i], service));
                r = slice_group_sync(&group, job->existing, wanted, &job->taken, err);
        } while (r == 0 && i < backends.count);
        backends_release(&backends);
        return r;
}

static int sync_service(struct service_slices *job, struct cx_error *err)
{
        json_auto_t *families = service_families(job->service), *labels = make_labels(job->service);
        job->labels = labels;
        int r = 0;
        for (size_t i = 0; i < json_array_size(families) && r == 0; i++)
                r = sync_family(job, json_string_value(json_array_get(families, i)), err);
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct slices *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->services, key);
        json_auto_t *service = object ? cx_object_json(object) : NULL;
        if (object && (object->deleted || !service_is_selecting(service)))
                return 0; // what slices there are without a selector are somebody else's
        CX_OBJECTS list = CX_OBJECTS_INIT;
        cx_informer_by_index(self->slices, "service", key, &list);
        json_auto_t *existing = json_array();
        struct service_slices job = {.self = self, .service = service, .existing = existing};
        for (size_t i = 0; i < list.count; i++) {
                cx_map_set(&job.taken, list.items[i]->name, self);
                if (!list.items[i]->deleted)
                        json_array_append_new(existing, cx_object_json(list.items[i]));
        }
        int r = service ? sync_service(&job, err) : 0;
        size_t i;
        json_t *slice;
        json_array_foreach (existing, i, slice) {
                if (r == 0 && json_is_object(slice)) // of ports, of a family or of a Service that is gone
                        r = slice_delete(self->manager->rest, slice, err);
        }
        cx_map_release(&job.taken);
        return r;
}

const struct controller endpointslice_controller = {.name = "endpointslice-controller",
                                                    .account = "endpointslice-controller",
                                                    .workers = 5,
                                                    .init = init,
                                                    .reconcile = reconcile,
                                                    .free = free};
