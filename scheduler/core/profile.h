// SPDX-License-Identifier: Apache-2.0
// Profiles: how the pods of one scheduler name are scheduled, that is which plugins filter, score and reserve, with which
// weights and arguments (kubescheduler.config.k8s.io/v1). Plugins always run in the order of the table. Immutable once made.
#pragma once

#include "scheduler/core/plugin.h"

#define MAX_PROFILES 16

struct scheduler_profile {
        char *name;     // the spec.schedulerName of its pods
        size_t index;   // in the list
        int percentage; // of the nodes, that are looked for; 0: what suits the size of the cluster
        bool gates;     // schedulingGates hold a pod back
        bool preempts;
        int candidates_percentage, candidates_least; // of nodes, that a preemption weighs
        struct profile_plugin {
                bool filters, reserves;
                int64_t weight; // 0: it does not score
                void *args;     // the plugin's own; NULL: it takes none
        } plugins[MAX_PLUGINS];
};
struct profiles {
        const struct plugins *plugins;
        struct scheduler_profile *items;
        size_t count;
};
// `config` is a checked KubeSchedulerConfiguration; NULL, or one without profiles: that of default-scheduler as upstream has
// it. What names plugins that are not there is an error.
int profiles_init(struct profiles *self, const struct plugins *plugins, const json_t *config, struct cx_error *err)
        CX_CHECK;
void profiles_release(struct profiles *self);
const struct scheduler_profile *profiles_find(const struct profiles *self, const char *name); // NULL: not ours
