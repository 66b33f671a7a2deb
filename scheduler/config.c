// SPDX-License-Identifier: Apache-2.0
// The schema checks the file's form; here is what goes across fields.
#include "scheduler/config.h"

#include "libcommon/base/log.h"
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

// Resources that an extender looks after do not count for NodeResourcesFit, in any profile.
static void ignore_managed(json_t *config)
{
        json_t *profiles = cx_json_array_at(config, "profiles"), *extender, *resource, *profile;
        size_t i, j, k;
        json_auto_t *ignored = json_array();
        json_array_foreach (json_object_get(config, "extenders"), i, extender)
                json_array_foreach (json_object_get(extender, "managedResources"), j, resource)
                        if (cx_json_bool(resource, "ignoredByScheduler", false))
                                json_array_append(ignored, json_object_get(resource, "name"));
        if (!json_array_size(ignored))
                return;
        if (!json_array_size(profiles))
                json_array_append_new(profiles, json_object());
        json_array_foreach (profiles, k, profile) {
                json_t *list = cx_json_array_at(profile, "pluginConfig");
                json_t *fit = cx_json_find(list, "name", "NodeResourcesFit");
                if (!fit) {
                        fit = json_pack("{s:s}", "name", "NodeResourcesFit");
                        json_array_append_new(list, fit);
                }
                json_array_extend(cx_json_array_at(cx_json_object_at(fit, "args"), "ignoredResources"), ignored);
        }
}

// --- what changes nothing here ---------------------------------------------------------------------------------------

static bool is_true(const json_t *value)
{
        return json_is_true(value);
}

static bool is_false(const json_t *value)
{
        return json_is_false(value);
}

static bool is_other_count(const json_t *value) // 16 is what the schema fills in
{
        return json_is_integer(value) && json_integer_value(value) != 1 && json_integer_value(value) != 16;
}

static bool is_other_type(const json_t *value)
{
        const char *text = cx_str(json_string_value(value));
        return *text && strcmp(text, "application/json") != 0;
}

static bool lacks_json(const json_t *value)
{
        const char *text = cx_str(json_string_value(value));
        return *text && !strstr(text, "application/json") && !strstr(text, "*/*");
}

// Fields that upstream has for how its scheduler is built. A file that has them is taken as it is, and told what holds.
static void warn_of_ignored(const json_t *config)
{
        static const struct {
                const char *field;
                bool (*differs)(const json_t *value);
                const char *instead;
        } table[] = {
                {"parallelism", is_other_count, "one thread filters and scores"},
                {"enableProfiling", is_true, "there is no profiling endpoint"},
                {"enableContentionProfiling", is_true, "there is no profiling endpoint"},
                {"delayCacheUntilActive", is_false, "the caches are filled when this instance leads"},
                {"clientConnection.contentType", is_other_type, "requests are application/json"},
                {"clientConnection.acceptContentTypes", lacks_json, "answers are asked for as application/json"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                if (table[i].differs(cx_json_get(config, table[i].field)))
                        cx_warn("A field of the configuration has no effect", "field", table[i].field, "instead",
                                table[i].instead);
}

static int take(const struct plugin *const *plugins, size_t n_plugins, struct scheduler_config *config,
                struct cx_error *err)
{
        int r = read_backoff(config->json, config, err);
        if (r == 0)
                r = extenders_new(json_object_get(config->json, "extenders"), &config->extenders, err);
        if (r == 0 && config->json)
                ignore_managed(config->json);
        plugins_init(&config->plugins, plugins, n_plugins);
        return r < 0 ? r : profiles_init(&config->profiles, &config->plugins, config->json, err);
}

int scheduler_config_load(const char *path, const struct plugin *const *plugins, size_t n_plugins,
                          struct scheduler_config *ret_config, struct cx_error *err)
{
        const struct cx_kind *kind = cx_schema_kind("kubescheduler.config.k8s.io", "v1", "KubeSchedulerConfiguration");
        json_t *json = NULL;
        int r = path ? cx_config_load(path, kind, &json, err) : 0;
        if (r < 0)
                return r;
        *ret_config = (struct scheduler_config){.json = json};
        r = take(plugins, n_plugins, ret_config, err);
        if (r < 0) {
                extenders_free(ret_config->extenders);
                json_decref(json);
                return path ? cx_error_wrap(err, "configuration %s", path) : r;
        }
        warn_of_ignored(json);
        return 0;
}

void scheduler_config_release(struct scheduler_config *config)
{
        profiles_release(&config->profiles);
        extenders_free(config->extenders);
        json_decref(config->json);
}
