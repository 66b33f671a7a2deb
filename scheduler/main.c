// SPDX-License-Identifier: Apache-2.0
// kube-scheduler: flags, configuration and wiring.
#include "scheduler/scheduler.h"

#include "libcommon/client/component.h"
#include "scheduler/config.h"
#include "scheduler/plugins/plugins.h"

static const char *config_file;
static struct scheduler_config config;
static struct scheduler *scheduler;

static int configure(struct cx_component *component, struct cx_error *err)
{
        int r = scheduler_config_load(config_file, scheduler_plugins, n_scheduler_plugins, &config, err);
        return r < 0 ? r
                     : cx_component_take(component, json_object_get(config.json, "clientConnection"),
                                         json_object_get(config.json, "leaderElection"), err);
}

static int start(struct cx_component *component, struct cx_error *err)
{
        scheduler = scheduler_new(&(struct scheduler_options){.rest = component->rest,
                                                              .informers = component->informers,
                                                              .events = component->events,
                                                              .metrics = component->metrics,
                                                              .profiles = &config.profiles,
                                                              .extenders = config.extenders,
                                                              .backoff_first = config.backoff_first,
                                                              .backoff_max = config.backoff_max});
        return scheduler_start(scheduler, err);
}

static void stop(struct cx_component *component)
{
        scheduler_stop(scheduler);
        cx_informers_free(component->informers);
        component->informers = NULL;
        scheduler_free(scheduler);
        scheduler = NULL;
        scheduler_config_release(&config);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return scheduler_synced(scheduler);
}

static bool alive(struct cx_component *component CX_UNUSED, int64_t limit)
{
        return scheduler_alive(scheduler, limit);
}

int main(int argc, char **argv)
{
        static const struct cx_flag flags[] = {{"config", 0, CX_FLAG_STRING, &config_file,
                                                "Path to a KubeSchedulerConfiguration; flags go before it."},
                                               {0}};
        static struct cx_component component = {
                .name = "kube-scheduler",
                .description = "Gives every pod a node that has what the pod asks for.",
                .secure_port = 10259,
                .elects = true,
                .flags = flags,
                .configure = configure,
                .start = start,
                .stop = stop,
                .ready = ready,
                .alive = alive,
        };
        return cx_component_main(&component, argc, argv);
}
