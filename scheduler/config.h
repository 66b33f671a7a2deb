// SPDX-License-Identifier: Apache-2.0
// What the scheduler is told to do: the file of --config (kubescheduler.config.k8s.io/v1), or upstream's defaults.
#pragma once

#include "scheduler/extender.h"

struct scheduler_config {
        json_t *json; // what the file says, with defaults; NULL without one
        struct plugins plugins;
        struct profiles profiles;
        struct extenders *extenders;        // NULL: none
        int64_t backoff_first, backoff_max; // ns
};
// `path` NULL: no file. What is returned must not move.
int scheduler_config_load(const char *path, const struct plugin *const *plugins, size_t n_plugins,
                          struct scheduler_config *ret_config, struct cx_error *err) CX_CHECK;
void scheduler_config_release(struct scheduler_config *config);
