// SPDX-License-Identifier: Apache-2.0
// EndpointSlices for Endpoints that somebody wrote for a Service without a selector, so that those who read only slices
// (kube-proxy, cluster-dns) find them too.
#include "controller-manager/endpoints/endpointslice.h"

#include "libcommon/base/address.h"

#define MANAGED_BY "endpointslicemirroring-controller.k8s.io"
#define MAX_ADDRESSES 1000 // of a subset

struct mirroring {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *services, *endpoints, *slices;
};

static void endpoints_keys(void *context CX_UNUSED, const struct cx_object *slice, struct cx_strings *ret_keys)
{
        CX_CLEANUP(cx_freep) char *key = slice_owner_key(slice, MANAGED_BY);
        if (key)
                cx_strings_add(ret_keys, key);
}

static void on_slice(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct mirroring *self = context;
        CX_CLEANUP(cx_freep) char *key = slice_owner_key(now ? now : old, MANAGED_BY);
        if (key)
                cx_workqueue_add(self->queue, key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct mirroring *self = cx_alloc(sizeof *self);
        *self = (struct mirroring){.manager = manager, .queue = queue};
        self->services = manager_informer(manager, "", "services");
        self->endpoints = manager_informer(manager, "", "endpoints");
        self->slices = manager_informer(manager, "discovery.k8s.io", "endpointslices");
        cx_informer_add_index(self->slices, "endpoints", endpoints_keys, NULL);
        manager_enqueue_all(self->services, queue);
        manager_enqueue_all(self->endpoints, queue);
        cx_informer_on_event(self->slices, on_slice, self);
        return self;
}

static bool is_mirrored(const json_t *endpoints, const json_t *service)
{
        const json_t *labels = cx_json_get(endpoints, "metadata.labels");
        const json_t *annotations = cx_json_get(endpoints, "metadata.annotations");
        return endpoints && service && !cx_json_get(service, "spec.selector") &&
               !cx_streq(json_string_value(json_object_get(labels, "endpointslice.kubernetes.io/skip-mirror")),
                         "true") &&
               !json_object_get(annotations, "control-plane.alpha.kubernetes.io/leader");
}

static const char *family_of(const char *ip)
{
        return cx_is_ipv4(ip) ? "IPv4" : cx_is_ipv6(ip) ? "IPv6" : NULL;
}

static json_t *make_endpoint(const json_t *address, bool ready)
{
        static const char *const kept[] = {"hostname", "nodeName", "targetRef"};
        json_t *endpoint = json_pack("{s:[s], s:{s:b}}", "addresses", cx_json_string_or(address, "ip", ""),
                                     "conditions", "ready", ready);
        for (size_t i = 0; i < CX_ARRAY_SIZE(kept); i++)
                if (json_object_get(address, kept[i]))
                        json_object_set(endpoint, kept[i], json_object_get(address, kept[i]));
        return endpoint;
}

static char *ports_text(const json_t *subset)
{
        json_auto_t *ports = json_array();
        size_t i;
        const json_t *port;
        json_array_foreach (json_object_get(subset, "ports"), i, port) {
                json_t *entry = json_pack("{s:s, s:I, s:s}", "name", cx_json_string_or(port, "name", ""), "port",
                                          (json_int_t)cx_json_int(port, "port", 0), "protocol",
                                          cx_json_string_or(port, "protocol", "TCP"));
                if (json_object_get(port, "appProtocol"))
                        json_object_set(entry, "appProtocol", json_object_get(port, "appProtocol"));
                json_array_append_new(ports, entry);
        }
        return cx_json_text(ports);
}

// By family, then by ports: the endpoints of all subsets.
static json_t *group_endpoints(const json_t *endpoints)
{
        static const char *const lists[] = {"addresses", "notReadyAddresses"};
        json_t *groups = json_pack("{s:{}, s:{}}", "IPv4", "IPv6");
        size_t i, k;
        const json_t *subset, *address;
        json_array_foreach (json_object_get(endpoints, "subsets"), i, subset) {
                CX_CLEANUP(cx_freep) char *ports = ports_text(subset);
                size_t taken = 0;
                for (size_t n = 0; n < CX_ARRAY_SIZE(lists); n++) {
                        json_array_foreach (json_object_get(subset, lists[n]), k, address) {
                                const char *family = family_of(cx_json_string_or(address, "ip", ""));
                                if (!family || taken++ >= MAX_ADDRESSES)
                                        continue;
                                json_array_append_new(cx_json_array_at(json_object_get(groups, family), ports),
                                                      make_endpoint(address, n == 0));
                        }
                }
        }
        return groups;
}

static json_t *make_labels(const json_t *endpoints)
{
        const json_t *from = cx_json_get(endpoints, "metadata.labels");
        json_t *labels = from ? json_deep_copy(from) : json_object();
        json_object_set_new(labels, SLICE_SERVICE_NAME, json_string(cx_json_string_or(endpoints, "metadata.name", "")));
        json_object_set_new(labels, "endpointslice.kubernetes.io/managed-by", json_string(MANAGED_BY));
        return labels;
}

static json_t *make_annotations(const json_t *endpoints)
{
        const json_t *from = cx_json_get(endpoints, "metadata.annotations");
        json_t *annotations = from ? json_deep_copy(from) : json_object();
        json_object_del(annotations, "endpoints.kubernetes.io/last-change-trigger-time");
        json_object_del(annotations, "kubectl.kubernetes.io/last-applied-configuration");
        return annotations;
}

static int mirror(struct mirroring *self, const json_t *endpoints, json_t *existing, struct cx_map *taken,
                  struct cx_error *err)
{
        const struct slice_owner owner = {
                self->manager->rest, "Endpoints", cx_json_string(endpoints, "metadata.namespace"),
                cx_json_string(endpoints, "metadata.name"), cx_json_string(endpoints, "metadata.uid")};
        json_auto_t *groups = group_endpoints(endpoints), *labels = make_labels(endpoints);
        json_auto_t *annotations = make_annotations(endpoints);
        const char *family, *ports;
        json_t *by_ports, *wanted;
        json_object_foreach (groups, family, by_ports) {
                json_object_foreach (by_ports, ports, wanted) {
                        const struct slice_group group = {&owner, family, ports, labels, annotations};
                        int r = slice_group_sync(&group, existing, wanted, taken, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct mirroring *self = context;
        CX_OBJECT *endpoints_object = cx_informer_get_key(self->endpoints, key);
        CX_OBJECT *service_object = cx_informer_get_key(self->services, key);
        CX_OBJECTS list = CX_OBJECTS_INIT;
        cx_informer_by_index(self->slices, "endpoints", key, &list);
        json_auto_t *endpoints = endpoints_object ? cx_object_json(endpoints_object) : NULL;
        json_auto_t *service = service_object ? cx_object_json(service_object) : NULL;
        json_auto_t *existing = json_array();
        CX_MAP taken = CX_MAP_INIT;
        for (size_t i = 0; i < list.count; i++) {
                cx_map_set(&taken, list.items[i]->name, self);
                json_array_append_new(existing, cx_object_json(list.items[i]));
        }
        int r = is_mirrored(endpoints, service) ? mirror(self, endpoints, existing, &taken, err) : 0;
        size_t i;
        json_t *slice;
        json_array_foreach (existing, i, slice) {
                if (r == 0 && json_is_object(slice))
                        r = slice_delete(self->manager->rest, slice, err);
        }
        return r;
}

const struct controller endpointslice_mirroring_controller = {.name = "endpointslice-mirroring-controller",
                                                              .account = "endpointslicemirroring-controller",
                                                              .workers = 5,
                                                              .init = init,
                                                              .reconcile = reconcile,
                                                              .free = free};
