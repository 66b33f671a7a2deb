// SPDX-License-Identifier: Apache-2.0
// The loop: wait for a change, plan, apply, tell, rest.
#include "addons/ingress/controller.h"

#include "addons/ingress/auth.h"
#include "addons/ingress/report.h"
#include "libcommon/base/log.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <pthread.h>
#include <stdatomic.h>

#define REST (10 * CX_NS_PER_MS) // between two syncs
#define RETRY (1 * CX_NS_PER_S)  // after a failure, for what has to wait, and for what is left over

struct ingress_controller {
        struct controller_options options;
        struct cx_informers *informers;
        struct cx_informer *ingresses, *classes, *services, *slices, *secret_metadata;
        struct secrets *secrets;
        struct ingress_applier *applier;
        struct reporter *reporter;
        struct auth_agent *auth;
        pthread_t thread;
        bool started;
        atomic_bool applied;
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t wake;
        bool dirty, stop;
        struct cx_map referred_services, referred_secrets; // keys
        struct cx_series *duration, *failures, *reloads, *commands, *served;
};

static void mark_dirty(struct ingress_controller *self)
{
        pthread_mutex_lock(&self->lock);
        self->dirty = true;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
}

// --- what changes ---

static void on_any(void *context, const struct cx_object *old CX_UNUSED, const struct cx_object *now CX_UNUSED)
{
        mark_dirty(context);
}

// An Ingress whose status alone changed is as it was.
static void on_ingress(void *context, const struct cx_object *old, const struct cx_object *now)
{
        if (!old || !now || old->generation != now->generation || old->deleted != now->deleted ||
            strcmp(old->uid, now->uid) != 0 || !ingress_same_annotations(INGRESS(old), INGRESS(now)))
                mark_dirty(context);
}

static void on_referred(struct ingress_controller *self, const struct cx_map *referred, const char *key)
{
        pthread_mutex_lock(&self->lock);
        bool matters = key && cx_map_has(referred, key);
        pthread_mutex_unlock(&self->lock);
        if (matters)
                mark_dirty(self);
}

static void on_service(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct ingress_controller *self = context;
        on_referred(self, &self->referred_services, (now ? now : old)->key);
}

static void on_slice(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct ingress_controller *self = context;
        if (old)
                on_referred(self, &self->referred_services, TARGET_SLICE(old)->service);
        if (now)
                on_referred(self, &self->referred_services, TARGET_SLICE(now)->service);
}

static void on_secret(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct ingress_controller *self = context;
        on_referred(self, &self->referred_secrets, (now ? now : old)->key);
}

static void on_proxy_ended(void *context)
{
        cx_warn("The proxy ended, and is started again");
        mark_dirty(context);
}

// --- one sync ---

static void want(struct cx_map *wanted, const char *namespace, const char *name)
{
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", namespace, name);
        cx_map_set(wanted, key, NULL);
}

// The Secrets that Ingresses of ours name.
static void collect_secrets(const struct ingress_controller *self, const struct plan_input *input,
                            struct cx_map *wanted)
{
        for (size_t i = 0; i < input->ingresses->count; i++) {
                const struct cx_object *object = input->ingresses->items[i];
                const struct ingress *ingress = INGRESS(object);
                if (!ingress_is_ours(&self->options.plan, input->classes, object))
                        continue;
                for (size_t j = 0; j < ingress->n_tls; j++)
                        if (ingress->tls[j].secret)
                                want(wanted, object->namespace, ingress->tls[j].secret);
                CX_CLEANUP(cx_freep) char *users = settings_auth_secret(object->namespace, ingress);
                if (users)
                        cx_map_set(wanted, users, NULL);
        }
        if (self->options.applier.default_certificate)
                cx_map_set(wanted, self->options.applier.default_certificate, NULL);
}

static void copy_keys(const struct cx_map *from, struct cx_map *to)
{
        cx_map_release(to);
        CX_MAP_FOREACH (from, entry)
                cx_map_set(to, entry->key, NULL);
}

// Before the routes that ask for it.
static void set_users(struct ingress_controller *self, const struct plan *plan)
{
        CX_MAP users = CX_MAP_INIT;
        CX_MAP_FOREACH (&plan->users, entry) {
                const char *text = entry->value;
                CX_CLEANUP(cx_freep) char *key = cx_strndup(text, strcspn(text, " "));
                const char *lines = secrets_users(self->secrets, key, strchr(text, ' '));
                cx_map_set(&users, entry->key, (void *)(lines ? lines : ""));
        }
        auth_agent_set(self->auth, &users);
}

static void count(struct ingress_controller *self, const struct plan *plan)
{
        struct ingress_applier_counts counts = ingress_applier_counts(self->applier);
        cx_series_set(self->reloads, (double)counts.reloads);
        cx_series_set(self->commands, (double)counts.commands);
        cx_series_set(self->served, (double)plan->n_ingresses);
}

static int sync_all(struct ingress_controller *self, bool *ret_again, struct cx_error *err)
{
        CX_OBJECTS ingresses = CX_OBJECTS_INIT, classes = CX_OBJECTS_INIT, services = CX_OBJECTS_INIT,
                   slices = CX_OBJECTS_INIT;
        struct plan_input input = {&ingresses, &classes, &services, &slices, NULL};
        CX_MAP wanted = CX_MAP_INIT;
        cx_informer_list(self->ingresses, NULL, &ingresses);
        cx_informer_list(self->classes, NULL, &classes);
        collect_secrets(self, &input, &wanted);
        pthread_mutex_lock(&self->lock);
        copy_keys(&wanted, &self->referred_secrets);
        pthread_mutex_unlock(&self->lock);
        input.secrets = secrets_update(self->secrets, &wanted, ret_again);
        cx_informer_list(self->services, NULL, &services);
        cx_informer_list(self->slices, NULL, &slices);
        PLAN plan;
        plan_build(&self->options.plan, &input, &plan);
        pthread_mutex_lock(&self->lock);
        // What came for a Service before it was referred to would go unnoticed.
        CX_MAP_FOREACH (&plan.services, entry)
                self->dirty |= !cx_map_has(&self->referred_services, entry->key);
        copy_keys(&plan.services, &self->referred_services);
        pthread_mutex_unlock(&self->lock);
        set_users(self, &plan);
        int r = ingress_applier_apply(self->applier, &plan, self->secrets, ret_again, err);
        if (r == 0)
                reporter_tell(self->reporter, &plan);
        count(self, &plan);
        return r;
}

// One round without the lock. ret_again: when the next has to begin at the latest; returns when it may.
static int64_t one_sync(struct ingress_controller *self, int64_t *ret_again)
{
        int64_t begin = cx_time_monotonic();
        CX_ERROR err = CX_ERROR_INIT;
        bool again = false;
        int r = sync_all(self, &again, &err);
        int64_t end = cx_time_monotonic();
        cx_series_observe(self->duration, (double)(end - begin) / 1e9);
        *ret_again = r < 0 || again ? end + RETRY : INT64_MAX;
        if (r < 0) {
                cx_err(&err, "Cannot bring the Ingresses into the proxy");
                cx_series_add(self->failures, 1);
                return end + RETRY;
        }
        atomic_store(&self->applied, true);
        return end + REST;
}

static void rest_until(struct ingress_controller *self, int64_t until)
{
        while (!self->stop && !cx_cond_wait_until(&self->wake, &self->lock, until))
                ;
}

// Waits for something to do, and removes meanwhile what is left over. Under the lock.
static void wait_dirty(struct ingress_controller *self, int64_t again)
{
        while (!self->dirty && !self->stop && cx_time_monotonic() < again) {
                pthread_mutex_unlock(&self->lock);
                bool left = ingress_applier_tend(self->applier);
                pthread_mutex_lock(&self->lock);
                int64_t until = left && cx_time_monotonic() + RETRY < again ? cx_time_monotonic() + RETRY : again;
                while (!self->dirty && !self->stop && !cx_cond_wait_until(&self->wake, &self->lock, until))
                        ;
        }
}

static void *run(void *argument)
{
        struct ingress_controller *self = argument;
        int64_t again;
        if (cx_informers_wait_synced(self->informers, -1, NULL) < 0)
                return NULL;
        reporter_start(self->reporter);
        pthread_mutex_lock(&self->lock);
        while (!self->stop) {
                self->dirty = false;
                pthread_mutex_unlock(&self->lock);
                int64_t rest = one_sync(self, &again);
                pthread_mutex_lock(&self->lock);
                rest_until(self, rest);
                wait_dirty(self, again);
        }
        pthread_mutex_unlock(&self->lock);
        return NULL;
}

// --- life ---

static struct cx_informer *add(struct ingress_controller *self, struct cx_informer_options options, bool cluster,
                               cx_informer_handler handler)
{
        options.ref.namespace = cluster ? NULL : self->options.watch_namespace;
        options.drop_bytes = true;
        struct cx_informer *informer = cx_informers_add(self->informers, &options);
        cx_informer_on_event(informer, handler, self);
        return informer;
}

static void add_informers(struct ingress_controller *self)
{
        self->ingresses = add(self,
                              (struct cx_informer_options){.ref = {"networking.k8s.io", "v1", "ingresses"},
                                                           .project = ingress_project,
                                                           .free_projection = ingress_free},
                              false, on_ingress);
        self->classes = add(self,
                            (struct cx_informer_options){.ref = {"networking.k8s.io", "v1", "ingressclasses"},
                                                         .project = ingress_class_project,
                                                         .free_projection = ingress_class_free},
                            true, on_any);
        self->services =
                add(self,
                    (struct cx_informer_options){
                            .ref = {"", "v1", "services"}, .project = target_project, .free_projection = target_free},
                    false, on_service);
        self->slices = add(self,
                           (struct cx_informer_options){.ref = {"discovery.k8s.io", "v1", "endpointslices"},
                                                        .project = target_slice_project,
                                                        .free_projection = target_slice_free},
                           false, on_slice);
        self->secret_metadata =
                add(self, (struct cx_informer_options){.ref = {"", "v1", "secrets"}, .metadata_only = true}, false,
                    on_secret);
}

static void declare_metrics(struct ingress_controller *self, struct cx_metrics *metrics)
{
        self->duration =
                cx_metric_series(cx_metrics_histogram(metrics, "ingress_controller_sync_duration_seconds",
                                                      "Time to bring all Ingresses into the proxy.", NULL, NULL, 0),
                                 NULL);
        self->failures = cx_metric_series(cx_metrics_counter(metrics, "ingress_controller_sync_failures_total",
                                                             "Syncs that failed and are tried again.", NULL),
                                          NULL);
        self->reloads = cx_metric_series(cx_metrics_gauge(metrics, "ingress_controller_proxy_loads",
                                                          "How often the proxy loaded a whole configuration.", NULL),
                                         NULL);
        self->commands = cx_metric_series(cx_metrics_gauge(metrics, "ingress_controller_proxy_commands",
                                                           "Changes made while the proxy ran.", NULL),
                                          NULL);
        self->served = cx_metric_series(
                cx_metrics_gauge(metrics, "ingress_controller_ingresses", "Ingresses of this controller.", NULL), NULL);
}

int ingress_controller_start(struct cx_component *component, const struct controller_options *options,
                             struct ingress_controller **ret_controller, struct cx_error *err)
{
        struct ingress_controller *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->options.applier.ended = on_proxy_ended;
        self->options.applier.context = self;
        self->informers = component->informers;
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->wake);
        declare_metrics(self, component->metrics);
        add_informers(self);
        self->reporter = reporter_new(&(struct reporter_options){.rest = component->rest,
                                                                 .events = component->events,
                                                                 .ingresses = self->ingresses,
                                                                 .classes = self->classes,
                                                                 .plan = &self->options.plan,
                                                                 .addresses = options->addresses});
        reporter_watch(self->reporter);
        int r = ingress_applier_new(&self->options.applier, &self->applier, err);
        if (r == 0) {
                CX_CLEANUP(cx_freep) char *socket = cx_sprintf("%s/jail/auth.sock", options->applier.config.folder);
                r = auth_agent_new(socket, &self->auth, err);
        }
        if (r == 0) {
                CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/secrets", options->applier.config.folder);
                self->secrets = secrets_new(component->rest, self->secret_metadata, folder);
                cx_informers_start(self->informers);
                self->started = pthread_create(&self->thread, NULL, run, self) == 0;
                r = self->started ? 0 : cx_error_set(err, -EAGAIN, "cannot start a thread");
        }
        *ret_controller = self;
        return r;
}

bool ingress_controller_ready(const struct ingress_controller *self)
{
        return atomic_load(&self->applied);
}

void ingress_controller_stop(struct ingress_controller *self)
{
        cx_informers_cancel_waits(self->informers);
        pthread_mutex_lock(&self->lock);
        self->stop = true;
        pthread_cond_broadcast(&self->wake);
        pthread_mutex_unlock(&self->lock);
        if (self->started)
                pthread_join(self->thread, NULL);
        reporter_stop(self->reporter);
        ingress_applier_stop(self->applier);
}

void ingress_controller_free(struct ingress_controller *self)
{
        if (!self)
                return;
        ingress_applier_free(self->applier);
        auth_agent_free(self->auth);
        secrets_free(self->secrets);
        reporter_free(self->reporter);
        cx_map_release(&self->referred_services);
        cx_map_release(&self->referred_secrets);
        pthread_cond_destroy(&self->wake);
        pthread_mutex_destroy(&self->lock);
        free(self);
}
