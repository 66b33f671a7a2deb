// SPDX-License-Identifier: Apache-2.0
// The loop: wait for a change, build, apply, rest.
#include "kube-proxy/proxy.h"

#include "kube-proxy/apply.h"
#include "kube-proxy/health.h"
#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define RETRY_PERIOD (1 * CX_NS_PER_S)
#define FULL_PERIOD (3600 * CX_NS_PER_S)

struct proxy {
        struct proxy_options options;
        char *node_name;
        struct cx_informers *informers;
        struct cx_informer *services, *slices, *node;
        struct applier *applier;
        struct health *health;
        struct ruleset last; // without its chains
        bool has_last;
        int64_t full_sync; // monotonic, of the last one
        pthread_t thread;
        bool started;
        atomic_bool synced;
        struct cx_pulse pulse; // of the thread
        pthread_mutex_t lock;  // guards what follows
        pthread_cond_t wake;
        bool dirty, stop;
        struct cx_strings primary_addresses;
        char *zone; // of the own node, NULL: none
        struct cx_series *duration, *failures, *last_sync, *rules, *written;
};

static void mark_dirty(struct proxy *self)
{
        health_queued(self->health);
        pthread_mutex_lock(&self->lock);
        self->dirty = true;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
}

static void on_change(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        mark_dirty(context);
}

// --- the own node ---

struct node_view {
        bool leaving;
        char *zone; // NULL: none
        struct cx_strings addresses;
};

static void *node_project(void *context CX_UNUSED, const json_t *node)
{
        struct node_view *view = cx_alloc(sizeof *view);
        size_t i;
        json_t *from;
        json_array_foreach (cx_json_get(node, "spec.taints"), i, from)
                view->leaving |= cx_streq(cx_json_string(from, "key"), "ToBeDeletedByClusterAutoscaler");
        view->zone = cx_strdup(json_string_value(
                json_object_get(cx_json_get(node, "metadata.labels"), "topology.kubernetes.io/zone")));
        json_array_foreach (cx_json_get(node, "status.addresses"), i, from)
                if (cx_streq(cx_json_string(from, "type"), "InternalIP") && cx_is_ipv4(cx_json_string(from, "address")))
                        cx_strings_add(&view->addresses, cx_json_string(from, "address"));
        return view;
}

static void free_node_view(void *projection)
{
        struct node_view *view = projection;
        cx_strings_release(&view->addresses);
        free(view->zone);
        free(view);
}

static void on_node(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now)
{
        struct proxy *self = context;
        const struct node_view *view = now ? now->projection : NULL;
        health_set_eligible(self->health, now && !now->deleted && !view->leaving);
        pthread_mutex_lock(&self->lock);
        cx_strings_release(&self->primary_addresses);
        for (size_t i = 0; view && i < view->addresses.count; i++)
                cx_strings_add(&self->primary_addresses, view->addresses.items[i]);
        bool moved = !cx_streq(self->zone, view ? view->zone : NULL);
        free(self->zone);
        self->zone = cx_strdup(view ? view->zone : NULL);
        pthread_mutex_unlock(&self->lock);
        if (moved || self->options.node_port_addresses->count)
                mark_dirty(self);
}

struct found_addresses {
        struct cx_network network;
        struct cx_strings *to;
};

static void add_if_inside(void *context, const struct cx_interface *interface)
{
        struct found_addresses *found = context;
        char text[CX_ADDRESS_TEXT];
        if (cx_network_has(&found->network, &interface->address) &&
            !cx_strings_has(found->to, cx_address_format(&interface->address, text)))
                cx_strings_add(found->to, text);
}

static void own_addresses_in(const char *network, struct cx_strings *to)
{
        struct found_addresses found = {.to = to};
        if (cx_network_parse(network, &found.network) == 0)
                cx_interfaces_each(add_if_inside, &found);
}

// The addresses that serve node ports; false: all.
static bool node_port_addresses(struct proxy *self, struct cx_strings *to)
{
        const struct cx_strings *wanted = self->options.node_port_addresses;
        for (size_t i = 0; i < wanted->count; i++) {
                if (strcmp(wanted->items[i], "0.0.0.0/0") == 0)
                        return false;
                if (strcmp(wanted->items[i], "primary") != 0) {
                        own_addresses_in(wanted->items[i], to);
                        continue;
                }
                pthread_mutex_lock(&self->lock);
                for (size_t j = 0; j < self->primary_addresses.count; j++)
                        cx_strings_add(to, self->primary_addresses.items[j]);
                pthread_mutex_unlock(&self->lock);
        }
        return wanted->count;
}

// --- kernel settings, of this network namespace ---

static void ensure_sysctl(const char *path)
{
        char value = 0;
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || (read(fd, &value, 1) == 1 && value == '1'))
                return;
        if (pwrite(fd, "1\n", 2, 0) != 2)
                cx_warn("Cannot switch on a kernel setting", "path", path, "err", strerror(errno));
}

// --- the thread ---

static int sync_rules(struct proxy *self, struct cx_error *err)
{
        CX_OBJECTS services = {0}, slices = {0};
        CX_STRINGS addresses = CX_STRINGS_INIT;
        cx_informer_list(self->services, NULL, &services);
        cx_informer_list(self->slices, NULL, &slices);
        struct rules_config config = {.cluster_cidr = self->options.cluster_cidr,
                                      .masquerade_all = self->options.masquerade_all,
                                      .localhost_node_ports = self->options.localhost_node_ports,
                                      .node_name = self->node_name};
        pthread_mutex_lock(&self->lock);
        CX_CLEANUP(cx_freep) char *zone = cx_strdup(self->zone);
        pthread_mutex_unlock(&self->lock);
        config.zone = zone;
        if (node_port_addresses(self, &addresses))
                config.node_port_addresses = &addresses;
        struct ruleset rules;
        rules_build(&config, &services, &slices, &rules);
        if (rules.has_node_ports && config.localhost_node_ports)
                ensure_sysctl("/proc/sys/net/ipv4/conf/all/route_localnet");
        int64_t now = cx_time_monotonic();
        if (now - self->full_sync >= FULL_PERIOD) {
                applier_forget(self->applier);
                self->full_sync = now;
        }
        size_t written = 0;
        int r = applier_apply(self->applier, &rules, &written, err);
        cx_series_set(self->written, (double)written);
        if (r < 0) {
                ruleset_release(&rules);
                return r;
        }
        conntrack_clean(self->has_last ? &self->last : NULL, &rules);
        health_set_checks(self->health, rules.health_checks, rules.n_health_checks);
        cx_series_set(self->rules, (double)rules.endpoints);
        ruleset_release(&self->last);
        self->last = rules;
        self->has_last = true;
        return 0;
}

// Waits until something changed (true) or until `until` (monotonic) has come. Under the lock.
static bool wait_dirty(struct proxy *self, int64_t until)
{
        while (!self->dirty && !self->stop && !cx_cond_wait_until(&self->wake, &self->lock, until))
                ;
        return self->dirty;
}

static void rest_until(struct proxy *self, int64_t until)
{
        while (!self->stop && !cx_cond_wait_until(&self->wake, &self->lock, until))
                ;
}

// One round without the lock; returns when the next may start.
static int64_t one_sync(struct proxy *self)
{
        int64_t start = cx_time_monotonic();
        CX_ERROR err = CX_ERROR_INIT;
        int r = sync_rules(self, &err);
        int64_t end = cx_time_monotonic();
        cx_series_observe(self->duration, (double)(end - start) / 1e9);
        if (r < 0) {
                cx_err(&err, "Cannot write the rules");
                cx_series_add(self->failures, 1);
                mark_dirty(self);
                return end + RETRY_PERIOD;
        }
        health_updated(self->health);
        cx_series_set(self->last_sync, (double)cx_time_now() / 1e6);
        if (!atomic_exchange(&self->synced, true)) {
                malloc_trim(0);
                cx_info("Rules written", "services", CX_INT((int64_t)self->last.services));
        }
        return start + self->options.min_sync_period;
}

static void *run(void *argument)
{
        struct proxy *self = argument;
        if (cx_informers_wait_synced(self->informers, -1, NULL) < 0)
                return NULL; // stopped
        ensure_sysctl("/proc/sys/net/ipv4/ip_forward");
        // Without it, answers between pods on one bridge would not be translated back.
        ensure_sysctl("/proc/sys/net/bridge/bridge-nf-call-iptables");
        self->full_sync = cx_time_monotonic();
        pthread_mutex_lock(&self->lock);
        self->dirty = true;
        while (!self->stop) {
                bool changed = wait_dirty(self, cx_time_monotonic() + self->options.sync_period);
                if (self->stop)
                        break;
                self->dirty = false;
                pthread_mutex_unlock(&self->lock);
                int64_t next = 0;
                cx_pulse_begin(&self->pulse);
                if (!changed && !applier_intact()) {
                        cx_info("The rules were flushed by somebody else: writing all of them");
                        applier_forget(self->applier);
                        changed = true;
                }
                if (changed)
                        next = one_sync(self);
                cx_pulse_end(&self->pulse);
                pthread_mutex_lock(&self->lock);
                rest_until(self, next);
        }
        pthread_mutex_unlock(&self->lock);
        return NULL;
}

// --- life ---

static void declare_metrics(struct proxy *self, struct cx_metrics *metrics)
{
        self->duration = cx_metric_series(cx_metrics_histogram(metrics, "kubeproxy_sync_proxy_rules_duration_seconds",
                                                               "Time to build and write rules.", NULL, NULL, 0),
                                          NULL);
        self->failures = cx_metric_series(
                cx_metrics_counter(metrics, "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
                                   "Times that rules could not be written.", NULL),
                NULL);
        self->last_sync =
                cx_metric_series(cx_metrics_gauge(metrics, "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                                                  "When rules were written last.", NULL),
                                 NULL);
        self->written = cx_metric_series(cx_metrics_gauge(metrics, "kubeproxy_sync_proxy_rules_iptables_last",
                                                          "Rules that the last sync wrote.", NULL),
                                         NULL);
        self->rules = cx_metric_series(
                cx_metrics_gauge(metrics, "coxswain_kubeproxy_endpoints", "Endpoints that rules lead to.", NULL), NULL);
}

static void add_informers(struct proxy *self)
{
        static const char selector[] = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name";
        self->services =
                cx_informers_add(self->informers, &(struct cx_informer_options){.ref = {"", "v1", "services"},
                                                                                .label_selector = selector,
                                                                                .drop_bytes = true,
                                                                                .project = service_project,
                                                                                .free_projection = service_free});
        self->slices = cx_informers_add(
                self->informers, &(struct cx_informer_options){.ref = {"discovery.k8s.io", "v1", "endpointslices"},
                                                               .label_selector = selector,
                                                               .drop_bytes = true,
                                                               .project = slice_project,
                                                               .free_projection = slice_free,
                                                               .context = self->node_name});
        self->node = cx_informers_add(self->informers,
                                      &(struct cx_informer_options){.ref = {"", "v1", "nodes", NULL, self->node_name},
                                                                    .drop_bytes = true,
                                                                    .project = node_project,
                                                                    .free_projection = free_node_view});
        cx_informer_on_event(self->services, on_change, self);
        cx_informer_on_event(self->slices, on_change, self);
        cx_informer_on_event(self->node, on_node, self);
}

int proxy_start(struct cx_component *component, const struct proxy_options *options, struct proxy **ret_proxy,
                struct cx_error *err)
{
        struct proxy *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->node_name = cx_strdup(options->node_name);
        self->informers = component->informers;
        self->applier = applier_new();
        self->health = health_new(component->metrics, options->sync_period);
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->wake);
        declare_metrics(self, component->metrics);
        add_informers(self);
        int r = health_serve(self->health, options->healthz_address, false, err);
        if (r == 0)
                r = health_serve(self->health, options->metrics_address, true, err);
        if (r < 0) {
                proxy_free(self);
                return r;
        }
        cx_informers_start(self->informers);
        if (pthread_create(&self->thread, NULL, run, self))
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        self->started = true;
        *ret_proxy = self;
        return 0;
}

bool proxy_synced(const struct proxy *self)
{
        return atomic_load(&self->synced);
}

bool proxy_alive(const struct proxy *self, int64_t limit)
{
        return cx_pulse_alive(&self->pulse, limit) && health_alive(self->health, limit / 4);
}

void proxy_stop(struct proxy *self)
{
        cx_informers_cancel_waits(self->informers);
        pthread_mutex_lock(&self->lock);
        self->stop = true;
        pthread_cond_broadcast(&self->wake);
        pthread_mutex_unlock(&self->lock);
        if (self->started)
                pthread_join(self->thread, NULL);
        self->started = false;
}

void proxy_free(struct proxy *self)
{
        if (!self)
                return;
        health_free(self->health);
        applier_free(self->applier);
        ruleset_release(&self->last);
        cx_strings_release(&self->primary_addresses);
        free(self->zone);
        pthread_cond_destroy(&self->wake);
        pthread_mutex_destroy(&self->lock);
        free(self->node_name);
        free(self);
}
