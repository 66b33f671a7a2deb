// SPDX-License-Identifier: Apache-2.0
// Which controllers run, with a copy of the manager, a queue and workers for each.
#include "libcontroller/run.h"

#include "libcontroller/identity.h"

#include <malloc.h>
#include <pthread.h>

struct running {
        const struct controller *controller;
        struct manager manager; // as the controller sees it
        struct cx_workqueue *queue;
        struct cx_workers *workers;
        void *self;
};
struct controllers_run {
        struct manager manager;
        struct running *running;
        size_t n_running;
        struct identities *identities; // NULL: all act as the process
        pthread_t starter;
        bool synced; // atomic
};

static bool is_enabled(const struct cx_strings *chosen, const struct controller *controller)
{
        const char *name = controller->name;
        bool all = chosen->count == 0;
        for (size_t i = 0; i < chosen->count; i++) {
                const char *item = chosen->items[i];
                if (strcmp(item, name) == 0)
                        return true;
                if (item[0] == '-' && strcmp(item + 1, name) == 0)
                        return false;
                all = all || strcmp(item, "*") == 0;
        }
        return all && !controller->off_by_default;
}

static void *start_workers(void *context)
{
        struct controllers_run *self = context;
        if (cx_informers_wait_synced(self->manager.informers, -1, NULL) < 0)
                return NULL; // stopped
        for (size_t i = 0; i < self->n_running; i++) {
                struct running *running = &self->running[i];
                running->workers = cx_workers_start(running->queue, running->controller->workers,
                                                    running->controller->reconcile, running->self);
        }
        malloc_trim(0); // what the lists and handshakes took is not needed again soon
        cx_info("Controllers run", "controllers", CX_INT((int64_t)self->n_running));
        __atomic_store_n(&self->synced, true, __ATOMIC_RELEASE);
        return NULL;
}

static void init_controllers(struct controllers_run *self, const struct controllers_options *options)
{
        const struct controllers_table *table = options->table;
        self->running = cx_alloc(table->count * sizeof *self->running); // never moves: controllers keep their manager
        for (size_t i = 0; i < table->count; i++) {
                const struct controller *controller = table->items[i];
                if (!is_enabled(options->chosen, controller))
                        continue;
                struct running *running = &self->running[self->n_running];
                *running = (struct running){controller, self->manager, cx_workqueue_new(controller->name), NULL, NULL};
                running->manager.whole = &self->manager;
                if (controller->account)
                        running->manager.rest = manager_rest_of(&self->manager, controller->account);
                running->self = controller->init(&running->manager, running->queue);
                if (running->self)
                        self->n_running++;
                else
                        cx_workqueue_free(running->queue);
        }
}

int controllers_start(struct cx_component *component, const struct controllers_options *options,
                      struct controllers_run **ret_self, struct cx_error *err)
{
        struct controllers_run *self = cx_alloc(sizeof *self);
        *ret_self = self; // it lives as long as the process: on failure, too, which ends it
        self->manager = (struct manager){.rest = component->rest,
                                         .informers = component->informers,
                                         .events = component->events,
                                         .options = options->options};
        if (options->use_service_accounts) {
                int r = identities_new(component, &self->identities, err);
                if (r < 0)
                        return r;
        }
        self->manager.identities = self->identities;
        int r = options->prepare ? options->prepare(&self->manager, err) : 0;
        if (r < 0)
                return r;
        init_controllers(self, options);
        cx_informers_start(self->manager.informers);
        if (pthread_create(&self->starter, NULL, start_workers, self))
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        return 0;
}

void controllers_stop(struct controllers_run *self, struct cx_component *component)
{
        cx_informers_cancel_waits(component->informers);
        pthread_join(self->starter, NULL);
        for (size_t i = 0; i < self->n_running; i++)
                cx_workers_stop(self->running[i].workers);
        cx_informers_free(component->informers); // before what its handlers use
        component->informers = NULL;
        for (size_t i = 0; i < self->n_running; i++) {
                self->running[i].controller->free(self->running[i].self);
                cx_workqueue_free(self->running[i].queue);
        }
        manager_release(&self->manager);
        identities_free(self->identities);
        free(self->running);
        free(self);
}

void controllers_tend(struct controllers_run *self)
{
        // The identities are there before the informers have filled, and go after this thread.
        if (self && controllers_ready(self) && self->identities)
                identities_trim(self->identities);
}

bool controllers_ready(const struct controllers_run *self)
{
        return self && __atomic_load_n(&self->synced, __ATOMIC_ACQUIRE);
}
