// SPDX-License-Identifier: Apache-2.0
// service-lb-controller: Services of type LoadBalancer get what the provider ensures, in status.loadBalancer. A finalizer
// goes on before the provider is asked and comes off after it has taken back what it gave, so that nothing is leaked
// whenever the process dies. What another implementation serves (loadBalancerClass) is left alone.
#include "cloud-controller-manager/cloud/provider.h"

#define FINALIZER "service.kubernetes.io/load-balancer-cleanup"
#define RETRY (30 * CX_NS_PER_S) // what cannot be had now may come back without anything telling

struct service_balancers {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *services;
        struct cx_events *events;
        const struct cloud_balancers *balancers;
        void *provider;
};

struct service_concern {
        bool balanced; // it is of type LoadBalancer
        bool served;   // it has an address
};

static void take_concern(void *part, const json_t *service)
{
        struct service_concern *concern = part;
        concern->balanced = cx_streq(cx_json_string(service, "spec.type"), "LoadBalancer");
        concern->served = cx_json_count(service, "status.loadBalancer.ingress");
}

static const struct object_part concern_part = {sizeof(struct service_concern), take_concern, NULL};

static const struct service_concern *concern_of(const struct cx_object *service)
{
        return object_part(service, &concern_part);
}

static bool concerns(const struct cx_object *service)
{
        return concern_of(service)->balanced || cx_object_has_finalizer(service, FINALIZER);
}

static void enqueue(struct service_balancers *self, bool waiting_only)
{
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_informer_list(self->services, NULL, &all);
        for (size_t i = 0; i < all.count; i++)
                if (concerns(all.items[i]) && !(waiting_only && concern_of(all.items[i])->served))
                        cx_workqueue_add(self->queue, all.items[i]->key);
}

static void enqueue_all(void *context)
{
        enqueue(context, false);
}

static void on_service(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct service_balancers *self = context;
        if ((now && concerns(now)) || (old && concerns(old)))
                cx_workqueue_add(self->queue, now ? now->key : old->key);
        if (old && concerns(old))
                enqueue(self, true); // something may have become free, for which others wait
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct cloud *cloud = cloud_of(manager);
        if (!cloud->provider->balancers)
                return NULL;
        struct service_balancers *self = cx_alloc(sizeof *self);
        *self = (struct service_balancers){.manager = manager,
                                           .queue = queue,
                                           .services = manager_informer(manager, "", "services"),
                                           .events = manager_recorder(manager, "service-controller"),
                                           .balancers = cloud->provider->balancers,
                                           .provider = cloud->self};
        manager_part_informer(manager, "", "services", &concern_part);
        cx_informer_on_event(self->services, on_service, self);
        cloud_listen(cloud, enqueue_all, self);
        return self;
}

// Status, and with it finalizers, as upstream writes them: by a merge patch of the status that holds only for the version
// that was looked at.
static int write_service(struct service_balancers *self, const struct cx_object *object, json_t *patch,
                         struct cx_error *err)
{
        json_t *metadata = cx_json_object_at(patch, "metadata");
        json_object_set_new(metadata, "uid", json_string(object->uid));
        json_object_set_new(metadata, "resourceVersion", json_string(object->resource_version));
        return cx_rest_patch(self->manager->rest, CX_REF("", "v1", "services", object->namespace, object->name),
                             "status", CX_PATCH_MERGE, patch, NULL, err);
}

// The finalizers without ours, and with it where `on`.
static json_t *finalizers(const struct cx_object *object, bool on)
{
        json_t *list = json_array();
        for (size_t i = 0; i < object->n_finalizers; i++)
                if (strcmp(object->finalizers[i], FINALIZER) != 0)
                        json_array_append_new(list, json_string(object->finalizers[i]));
        if (on)
                json_array_append_new(list, json_string(FINALIZER));
        return list;
}

static void say(struct service_balancers *self, const struct cx_object *object, const char *reason, const char *text)
{
        cx_event_object(self->events, "v1", "Service", object, "Normal", reason, "%s", text);
}

// The Service wants no balancer, or not ours: what it has of us goes.
static int take_back(struct service_balancers *self, const struct cx_object *object, struct cx_error *err)
{
        say(self, object, "DeletingLoadBalancer", "Deleting load balancer");
        int r = self->balancers->release(self->provider, object->key, object->uid, err);
        if (r < 0) {
                cx_event_object(self->events, "v1", "Service", object, "Warning", "SyncLoadBalancerFailed",
                                "Error syncing load balancer: failed to delete load balancer: %s", cx_error_text(err));
                return r;
        }
        json_auto_t *patch = json_pack("{s:{s:o}, s:{s:n}}", "metadata", "finalizers", finalizers(object, false),
                                       "status", "loadBalancer");
        r = write_service(self, object, patch, err);
        if (r == 0)
                say(self, object, "DeletedLoadBalancer", "Deleted load balancer");
        return r;
}

static int add_finalizer(struct service_balancers *self, const struct cx_object *object, struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:{s:o}}", "metadata", "finalizers", finalizers(object, true));
        return write_service(self, object, patch, err);
}

static int ensure(struct service_balancers *self, const struct cx_object *object, const json_t *service,
                  int64_t *retry_after, struct cx_error *err)
{
        json_auto_t *ingress = NULL;
        const json_t *has = cx_json_get(service, "status.loadBalancer.ingress");
        CX_ERROR failure = CX_ERROR_INIT;
        int r = self->balancers->ensure(self->provider, &(struct cloud_service){object, service}, &ingress, &failure);
        if (r < 0) {
                cx_event_object(self->events, "v1", "Service", object, "Warning", "SyncLoadBalancerFailed",
                                "Error syncing load balancer: failed to ensure load balancer: %s",
                                cx_error_text(&failure));
                if (!ingress)
                        return cx_error_move(err, &failure);
                *retry_after = RETRY;
        }
        if (json_equal(ingress, has) || (!json_array_size(ingress) && !json_array_size(has)))
                return 0;
        json_auto_t *patch = json_pack("{s:{s:{s:O}}}", "status", "loadBalancer", "ingress", ingress);
        bool ensured = r == 0;
        r = write_service(self, object, patch, err);
        if (r == 0 && ensured)
                say(self, object, "EnsuredLoadBalancer", "Ensured load balancer");
        return r;
}

static int reconcile_service(struct service_balancers *self, const struct cx_object *object, int64_t *retry_after,
                             struct cx_error *err)
{
        json_auto_t *service = cx_object_json(object);
        int serves = self->balancers->serves(self->provider, cx_json_string(service, "spec.loadBalancerClass"));
        bool ours = cx_streq(cx_json_string(service, "spec.type"), "LoadBalancer") && serves;
        bool cleans = cx_object_has_finalizer(object, FINALIZER);
        if (ours && serves < 0 && !object->deleted) {
                *retry_after = RETRY; // it stays as it is; a change of the provider's mind brings it here before
                return 0;
        }
        if (!ours || object->deleted)
                return cleans ? take_back(self, object, err) : 0;
        if (!cleans) { // the event that shows the finalizer brings us here again
                say(self, object, "EnsuringLoadBalancer", "Ensuring load balancer");
                return add_finalizer(self, object, err);
        }
        return ensure(self, object, service, retry_after, err);
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct service_balancers *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->services, key);
        if (!object) // somebody took the finalizer off
                return self->balancers->release(self->provider, key, NULL, err);
        int r = reconcile_service(self, object, retry_after, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) { // it has just gone: its event comes
                cx_error_release(err);
                r = 0;
        }
        return r;
}

const struct controller cloud_service_controller = {.name = "service-lb-controller",
                                                    .account = "service-controller",
                                                    .workers = 1,
                                                    .init = init,
                                                    .reconcile = reconcile,
                                                    .free = free};
