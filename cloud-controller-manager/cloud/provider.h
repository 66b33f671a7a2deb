// SPDX-License-Identifier: Apache-2.0
// What the controllers of cloud-controller-manager ask of a provider: tables of functions, one for each of upstream's
// interfaces. What a provider does not have is NULL, and the controllers that need it do not run. Functions block, are
// idempotent, and may be cut off anywhere: what a call began the next one finishes. Those of `balancers` are called by
// one worker, the others by any thread.
#pragma once

#include "libcontroller/manager.h"

// `service` is the whole Service, `object` its metadata.
struct cloud_service {
        const struct cx_object *object;
        const json_t *json;
};
struct cloud_balancers {
        // Whether Services of this loadBalancerClass (NULL: none is named) are the provider's business: 1 or 0; negative:
        // it cannot say now.
        int (*serves)(void *self, const char *class);
        // Gives the Service its balancer; ret_ingress is a new array for status.loadBalancer.ingress. On failure it may
        // be set to what the Service still has; NULL: that is not known, and its status stays.
        int (*ensure)(void *self, const struct cloud_service *service, json_t **ret_ingress, struct cx_error *err);
        // Takes back what the Service of this key and uid has; uid NULL: whatever any Service of the key had.
        int (*release)(void *self, const char *key, const char *uid, struct cx_error *err);
};

struct cloud_machine {
        bool exists, shut_down;
        char *provider_id, *type; // owned; NULL: not known
        json_t *addresses;        // owned, of status.addresses; NULL: not known
};
struct cloud_instances {
        int (*look)(void *self, const json_t *node, struct cloud_machine *ret_machine, struct cx_error *err);
};
struct cloud_zone {
        char *zone, *region; // owned; NULL: not known
};
struct cloud_zones {
        int (*look)(void *self, const json_t *node, struct cloud_zone *ret_zone, struct cx_error *err);
};

struct cloud;
struct cloud_provider {
        const char *name; // for --cloud-provider
        // Declares informers; `cloud` is told of changes by cloud_changed.
        void *(*open)(struct cloud *cloud, struct manager *manager);
        void (*close)(void *self); // after the informers are gone
        const struct cloud_balancers *balancers;
        const struct cloud_instances *instances;
        const struct cloud_zones *zones;
};

// A provider that is in use, and who wants to know when what it says may have changed.
struct cloud {
        const struct cloud_provider *provider;
        void *self;
        struct cloud_listener {
                void (*changed)(void *context);
                void *context;
        } listeners[8];
        size_t n_listeners;
};
void cloud_listen(struct cloud *cloud, void (*changed)(void *context), void *context); // only in `init` of a controller
void cloud_changed(const struct cloud *cloud);                                         // any thread
void cloud_machine_release(struct cloud_machine *machine);
void cloud_zone_release(struct cloud_zone *zone);
#define CLOUD_MACHINE CX_CLEANUP(cloud_machine_release) struct cloud_machine
#define CLOUD_ZONE CX_CLEANUP(cloud_zone_release) struct cloud_zone

// What the flags say.
struct cloud_options {
        struct cx_strings controllers;
        bool use_service_accounts;
        int64_t monitor_period, status_period; // ns
        struct cloud *cloud;
};
static inline const struct cloud_options *cloud_options_of(const struct manager *manager)
{
        return manager->options;
}
static inline struct cloud *cloud_of(const struct manager *manager)
{
        return cloud_options_of(manager)->cloud;
}

extern const struct controller cloud_service_controller, cloud_node_controller, cloud_node_lifecycle_controller;
