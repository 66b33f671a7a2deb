// SPDX-License-Identifier: Apache-2.0
// The Endpoints object of every Service with a selector.
#include "controller-manager/endpoints/endpoints.h"

#define MAX_ADDRESSES 1000
#define OVER_CAPACITY "endpoints.kubernetes.io/over-capacity"

struct endpoints {
        struct manager *manager;
        struct cx_informer *services, *pods, *endpoints;
        struct endpoints_watch watch;
};

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct endpoints *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->services = manager_informer(manager, "", "services");
        self->pods = endpoints_pods(manager);
        self->endpoints = manager_informer(manager, "", "endpoints");
        self->watch = (struct endpoints_watch){queue, self->services};
        cx_informer_index_namespace(self->services);
        manager_enqueue_all(self->services, queue);
        manager_enqueue_all(self->endpoints, queue);
        cx_informer_on_event(self->pods, endpoints_on_pod, &self->watch);
        return self;
}

static json_t *make_address(const struct pod_backend *backend, const char *service_name)
{
        const struct pod_address *pod = POD_ADDRESS(backend->pod);
        const char *node_name = POD_STATE(backend->pod)->node;
        json_t *address = json_pack("{s:s, s:o}", "ip", backend->ip, "targetRef", pod_target_ref(backend->pod));
        if (node_name)
                json_object_set_new(address, "nodeName", json_string(node_name));
        if (pod->hostname && *pod->hostname && cx_streq(pod->subdomain, service_name))
                json_object_set_new(address, "hostname", json_string(pod->hostname));
        return address;
}

static json_t *make_ports(const char *text)
{
        json_t *ports = NULL;
        if (cx_json_parse(text, strlen(text), false, &ports, NULL) < 0)
                return NULL;
        size_t i;
        json_t *port;
        json_array_foreach (ports, i, port) {
                if (!*cx_json_string_or(port, "name", ""))
                        json_object_del(port, "name");
        }
        return ports;
}

// When there are too many, those that are ready come first.
static size_t choose(const struct pod_backends *backends, bool *ret_chosen)
{
        size_t taken = 0, all = 0;
        for (int ready = 1; ready >= 0; ready--) {
                for (size_t i = 0; i < backends->count; i++) {
                        const struct pod_backend *backend = &backends->items[i];
                        if (backend->ready != ready || (backend->terminating && !backend->ready))
                                continue;
                        all++;
                        ret_chosen[i] = taken < MAX_ADDRESSES;
                        taken += ret_chosen[i];
                }
        }
        return all;
}

static json_t *make_subsets(const struct pod_backends *backends, const char *service_name, bool *ret_over)
{
        json_t *subsets = json_array(), *subset = NULL;
        const char *ports = NULL;
        CX_CLEANUP(cx_freep) bool *chosen = cx_alloc_array(backends->count + 1, sizeof *chosen);
        *ret_over = choose(backends, chosen) > MAX_ADDRESSES;
        for (size_t i = 0; i < backends->count; i++) {
                const struct pod_backend *backend = &backends->items[i];
                if (!chosen[i])
                        continue;
                if (!ports || strcmp(ports, backend->ports) != 0) {
                        ports = backend->ports;
                        subset = json_object();
                        json_auto_t *list = make_ports(ports);
                        if (json_array_size(list))
                                json_object_set(subset, "ports", list);
                        json_array_append_new(subsets, subset);
                }
                json_array_append_new(cx_json_array_at(subset, backend->ready ? "addresses" : "notReadyAddresses"),
                                      make_address(backend, service_name));
        }
        return subsets;
}

static json_t *make_labels(const json_t *service)
{
        const json_t *from = cx_json_get(service, "metadata.labels");
        json_t *labels = from ? json_deep_copy(from) : json_object();
        json_object_set_new(labels, "endpoints.kubernetes.io/managed-by", json_string("endpoint-controller"));
        if (service_is_headless(service))
                json_object_set_new(labels, "service.kubernetes.io/headless", json_string(""));
        return labels;
}

static int write_endpoints(struct endpoints *self, const struct cx_object *have, const json_t *service, json_t *subsets,
                           bool over, struct cx_error *err)
{
        const char *namespace = cx_json_string(service, "metadata.namespace"),
                   *name = cx_json_string(service, "metadata.name");
        const struct cx_ref *ref = CX_REF("", "v1", "endpoints", namespace, name);
        json_auto_t *labels = make_labels(service);
        json_auto_t *old = have ? cx_object_json(have) : NULL;
        const json_t *old_subsets = json_object_get(old, "subsets");
        bool was_over = cx_json_at(old, (const char *const[]){"metadata", "annotations", OVER_CAPACITY}, 3);
        bool same = old && was_over == over && json_equal(cx_json_get(old, "metadata.labels"), labels) &&
                    (old_subsets ? json_equal(old_subsets, subsets) : !json_array_size(subsets));
        if (same)
                return 0;
        json_auto_t *object = old ? json_deep_copy(old)
                                  : json_pack("{s:{s:s, s:s}}", "metadata", "name", name, "namespace", namespace);
        json_object_set_new(object, "apiVersion", json_string("v1"));
        json_object_set_new(object, "kind", json_string("Endpoints"));
        json_object_set(json_object_get(object, "metadata"), "labels", labels);
        if (over)
                json_object_set_new(cx_json_object_at(json_object_get(object, "metadata"), "annotations"),
                                    OVER_CAPACITY, json_string("truncated"));
        else
                json_object_del(cx_json_get(object, "metadata.annotations"), OVER_CAPACITY);
        if (json_array_size(subsets))
                json_object_set(object, "subsets", subsets);
        else
                json_object_del(object, "subsets");
        int r = old ? cx_rest_update(self->manager->rest, ref, object, NULL, err)
                    : cx_rest_create(self->manager->rest, ref, object, NULL, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_ALREADY_EXISTS) || cx_error_is(err, CX_REASON_NOT_FOUND)))
                return -EAGAIN; // the informer is a moment behind
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after CX_UNUSED, struct cx_error *err)
{
        struct endpoints *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->services, key);
        CX_OBJECT *have = cx_informer_get_key(self->endpoints, key);
        if (!object) {
                if (!have || !cx_object_label(have, "endpoints.kubernetes.io/managed-by"))
                        return 0;
                int r = cx_rest_delete(self->manager->rest, CX_REF("", "v1", "endpoints", have->namespace, have->name),
                                       NULL, err);
                if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                        cx_error_release(err);
                        r = 0;
                }
                return r;
        }
        json_auto_t *service = cx_object_json(object);
        if (!service_is_selecting(service) || object->deleted)
                return 0;
        json_auto_t *families = service_families(service);
        struct pod_backends backends;
        backends_find(self->pods, service, json_string_value(json_array_get(families, 0)), &backends);
        bool over = false;
        json_auto_t *subsets = make_subsets(&backends, object->name, &over);
        int r = write_endpoints(self, have, service, subsets, over, err);
        backends_release(&backends);
        return r;
}

const struct controller endpoints_controller = {.name = "endpoints-controller",
                                                .account = "endpoint-controller",
                                                .workers = 5,
                                                .init = init,
                                                .reconcile = reconcile,
                                                .free = free};
