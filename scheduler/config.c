// SPDX-License-Identifier: Apache-2.0
// The schema checks the file's form; here is what goes across fields.
#include "scheduler/config.h"

#include "libcommon/base/time.h"
#include "libcommon/client/config.h"
#include "libcommon/format/json.h"

static int read_backoff(const json_t *json, struct scheduler_config *config, struct cx_error *err)
{
        int64_t first = cx_json_int(json, "podInitialBackoffSeconds", 1);
        int64_t max = cx_json_int(json, "podMaxBackoffSeconds", 10);
        if (max < first || max > 86400)
                return cx_error_set(err, -EINVAL,
                                    "podMaxBackoffSeconds: must be between podInitialBackoffSeconds and 86400");
        config->backoff_first = first * CX_NS_PER_S;
        config->backoff_max = max * CX_NS_PER_S;
        return 0;
}

int scheduler_config_load(const char *path, const struct plugin *const *plugins, size_t n_plugins,
                          struct scheduler_config *ret_config, struct cx_error *err)
{
        struct scheduler_config config = {0};
        int r = 0;
        if (path)
                r = cx_config_load(path,
                                   cx_schema_kind("kubescheduler.config.k8s.io", "v1", "KubeSchedulerConfiguration"),
                                   &config.json, err);
        if (r == 0)
                r = read_backoff(config.json, &config, err);
        if (r == 0) {
                *ret_config = config;
                plugins_init(&ret_config->plugins, plugins, n_plugins);
                r = profiles_init(&ret_config->profiles, &ret_config->plugins, config.json, err);
        }
        if (r < 0)
                json_decref(config.json);
        return r < 0 && path ? cx_error_wrap(err, "configuration %s", path) : r;
}

void scheduler_config_release(struct scheduler_config *config)
{
        profiles_release(&config->profiles);
        json_decref(config->json);
}
