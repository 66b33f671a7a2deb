// SPDX-License-Identifier: Apache-2.0
// Stands in for a cloud provider: Services of type LoadBalancer get an address of the pool (--service-lb-pool) in
// status.loadBalancer, which kube-proxy then serves on every node. There is one worker. Which addresses are in use is
// read from the Services each time, so none can leak.
#include "controller-manager/core/cidr.h"
#include "controller-manager/core/manager.h"

struct balancers {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *services;
        struct cx_events *events;
        struct address_pool pool;
        struct cx_map given; // address -> key of the Service (owned): also what the informer does not show yet
};

// Whether a Service is of type LoadBalancer (bool).
static void take_balanced(void *part, const json_t *service)
{
        *(bool *)part = cx_streq(cx_json_string(service, "spec.type"), "LoadBalancer");
}

static const struct object_part balanced_part = {sizeof(bool), take_balanced, NULL};

static void on_service(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct balancers *self = context;
        cx_workqueue_add(self->queue, now ? now->key : old->key);
        if (now)
                return;
        CX_OBJECTS all = CX_OBJECTS_INIT; // an address became free: others may be waiting for one
        cx_informer_list(self->services, NULL, &all);
        for (size_t i = 0; i < all.count; i++)
                if (*(const bool *)object_part(all.items[i], &balanced_part))
                        cx_workqueue_add(self->queue, all.items[i]->key);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        if (!manager->options.service_lb_pool)
                return NULL;
        CX_ERROR err = CX_ERROR_INIT;
        struct address_pool pool;
        if (address_pool_parse(manager->options.service_lb_pool, &pool, &err) < 0) {
                cx_err(&err, "No load-balancer addresses are given");
                return NULL;
        }
        struct balancers *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->pool = pool;
        self->given.free_value = free;
        self->services = manager_informer(manager, "", "services");
        manager_part_informer(manager, "", "services", &balanced_part);
        self->events = manager_recorder(manager, "service-controller");
        cx_informer_on_event(self->services, on_service, self);
        return self;
}

static void release(void *context)
{
        struct balancers *self = context;
        cx_map_release(&self->given);
        free(self);
}

static bool wants_address(const json_t *service)
{
        return cx_streq(cx_json_string(service, "spec.type"), "LoadBalancer") &&
               !cx_json_string(service, "spec.loadBalancerClass") &&
               !cx_json_string(service, "metadata.deletionTimestamp");
}

static const char *address_of(const json_t *service)
{
        return cx_json_string(json_array_get(cx_json_get(service, "status.loadBalancer.ingress"), 0), "ip");
}

// The addresses in use by other Services than this one.
static void used_by_others(struct balancers *self, const char *key, struct cx_map *ret_used)
{
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->services, NULL, &all);
        for (size_t i = 0; i < all.count; i++) {
                if (strcmp(all.items[i]->key, key) == 0)
                        continue;
                json_auto_t *service = cx_object_json(all.items[i]);
                const char *address = wants_address(service) ? address_of(service) : NULL;
                if (address)
                        cx_map_set(ret_used, address, self);
        }
        CX_MAP_FOREACH (&self->given, entry) {
                const char *owner = entry->value;
                CX_OBJECT *service = cx_informer_get_key(self->services, owner);
                if (!service)
                        cx_map_remove(&self->given, entry->key);
                else if (strcmp(owner, key) != 0)
                        cx_map_set(ret_used, entry->key, self);
        }
}

static int write_status(struct balancers *self, const struct cx_object *object, const char *address,
                        struct cx_error *err)
{
        json_t *ingress = address ? json_pack("[{s:s, s:s}]", "ip", address, "ipMode", "VIP") : json_null();
        json_auto_t *patch = json_pack("{s:{s:{s:o}}}", "status", "loadBalancer", "ingress", ingress);
        return cx_rest_patch(self->manager->rest, CX_REF("", "v1", "services", object->namespace, object->name),
                             "status", CX_PATCH_MERGE, patch, NULL, err);
}

static int take_back(struct balancers *self, const struct cx_object *object, struct cx_error *err)
{
        cx_event_object(self->events, "v1", "Service", object, "Normal", "DeletingLoadBalancer",
                        "Deleting load balancer");
        int r = write_status(self, object, NULL, err);
        if (r == 0)
                cx_event_object(self->events, "v1", "Service", object, "Normal", "DeletedLoadBalancer",
                                "Deleted load balancer");
        return r;
}

static void forget(struct balancers *self, const char *key)
{
        CX_MAP_FOREACH (&self->given, entry) {
                if (cx_streq(entry->value, key))
                        cx_map_remove(&self->given, entry->key);
        }
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct balancers *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->services, key);
        if (!object) {
                forget(self, key);
                return 0;
        }
        json_auto_t *service = cx_object_json(object);
        const char *has = address_of(service);
        if (!wants_address(service)) {
                forget(self, key);
                bool ours =
                        has && address_pool_has(&self->pool, has) && !cx_json_string(service, "spec.loadBalancerClass");
                return ours && !object->deleted ? take_back(self, object, err) : 0;
        }
        CX_MAP used = CX_MAP_INIT;
        used_by_others(self, key, &used);
        const char *asked = cx_json_string(service, "spec.loadBalancerIP");
        bool asks = asked && *asked && address_pool_has(&self->pool, asked) && !cx_map_has(&used, asked);
        if (has && !cx_map_has(&used, has) && address_pool_has(&self->pool, has) && (!asks || cx_streq(asked, has)))
                return 0;
        char address[CX_ADDRESS_TEXT];
        if (asks) {
                cx_copy_string(address, sizeof address, asked);
        } else if (!address_pool_take(&self->pool, &used, address)) {
                cx_event_object(self->events, "v1", "Service", object, "Warning", "SyncLoadBalancerFailed",
                                "Error syncing load balancer: failed to ensure load balancer: the pool of addresses is "
                                "used up");
                *retry_after = 60 * CX_NS_PER_S;
                return 0;
        }
        cx_event_object(self->events, "v1", "Service", object, "Normal", "EnsuringLoadBalancer",
                        "Ensuring load balancer");
        int r = write_status(self, object, address, err);
        if (r < 0)
                return r;
        forget(self, key);
        cx_map_set(&self->given, address, cx_strdup(key));
        cx_event_object(self->events, "v1", "Service", object, "Normal", "EnsuredLoadBalancer",
                        "Ensured load balancer");
        return 0;
}

const struct controller service_lb_controller = {.name = "service-lb-controller",
                                                 .account = "service-controller",
                                                 .workers = 1,
                                                 .init = init,
                                                 .reconcile = reconcile,
                                                 .free = release};
