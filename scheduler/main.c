// SPDX-License-Identifier: Apache-2.0
// kube-scheduler: flags and wiring.
#include "scheduler/scheduler.h"

#include "libcommon/client/component.h"
#include "scheduler/plugins/plugins.h"

static struct scheduler *scheduler;

static int start(struct cx_component *component, struct cx_error *err)
{
        scheduler = scheduler_new(&(struct scheduler_options){.rest = component->rest,
                                                              .informers = component->informers,
                                                              .events = component->events,
                                                              .metrics = component->metrics,
                                                              .plugins = scheduler_plugins,
                                                              .n_plugins = n_scheduler_plugins,
                                                              .name = "default-scheduler"});
        return scheduler_start(scheduler, err);
}

static void stop(struct cx_component *component)
{
        scheduler_stop(scheduler);
        cx_informers_free(component->informers);
        component->informers = NULL;
        scheduler_free(scheduler);
        scheduler = NULL;
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        // One that waits for the lease is as ready as it can be.
        return !scheduler || scheduler_synced(scheduler);
}

int main(int argc, char **argv)
{
        static struct cx_component component = {
                .name = "kube-scheduler",
                .description = "Gives every pod a node that has what the pod asks for.",
                .secure_port = 10259,
                .elects = true,
                .start = start,
                .stop = stop,
                .ready = ready,
        };
        return cx_component_main(&component, argc, argv);
}
