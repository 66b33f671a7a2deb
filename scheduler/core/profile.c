// SPDX-License-Identifier: Apache-2.0
// A profile begins with everything at its default; multiPoint turns plugins off and on at all their extension points, then
// each extension point has its say. The points between which a plugin keeps state (preFilter and filter, preScore and score,
// those around the bind) go together.
#include "scheduler/core/profile.h"

#include "libcommon/client/config.h"
#include "libcommon/format/json.h"

#define GROUP "kubescheduler.config.k8s.io"
#define VERSION "v1"

enum { AT_FILTER = 1, AT_SCORE = 2, AT_RESERVE = 4, AT_PREEMPT = 8, AT_GATE = 16, AT_FIXED = 32 };
static const struct {
        const char *name;
        unsigned points;
} extension_points[] = {
        {"multiPoint", ~0U},      {"preEnqueue", AT_GATE},
        {"queueSort", AT_FIXED},  {"preFilter", AT_FILTER},
        {"filter", AT_FILTER},    {"postFilter", AT_PREEMPT},
        {"preScore", AT_SCORE},   {"score", AT_SCORE},
        {"reserve", AT_RESERVE},  {"permit", 0},
        {"preBind", AT_RESERVE},  {"bind", AT_FIXED},
        {"postBind", AT_RESERVE},
};
// What upstream has as plugins and is part of the framework here, and what is not there.
static const struct builtin {
        const char *name;
        unsigned points;
        bool missing;
} builtins[] = {
        {"PrioritySort", AT_FIXED, false},
        {"DefaultBinder", AT_FIXED, false},
        {"SchedulingGates", AT_GATE, false},
        {"DefaultPreemption", AT_PREEMPT, false},
        {"NodeName", 0, false}, // a pod that names its node never comes here
        {"DynamicResources", AT_FILTER, true},
};

static int wrong(struct cx_error *err, const char *path, const char *format, ...) CX_PRINTF(3, 4);
static int wrong(struct cx_error *err, const char *path, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        return cx_error_set(err, -EINVAL, "%s: %s", path, text.data);
}

// --- which plugins run -----------------------------------------------------------------------------------------------

static unsigned points_of(const struct plugin *plugin)
{
        return (plugin->filter ? AT_FILTER : 0) | (plugin->score ? AT_SCORE : 0) | (plugin->reserve ? AT_RESERVE : 0);
}

static void turn(struct scheduler_profile *profile, const struct plugins *plugins, size_t i, unsigned points, bool on)
{
        struct profile_plugin *to = &profile->plugins[i];
        points &= points_of(plugins->items[i]);
        if (points & AT_FILTER)
                to->filters = on;
        if (points & AT_SCORE)
                to->weight = !on ? 0 : to->weight ? to->weight : plugins->items[i]->weight;
        if (points & AT_RESERVE)
                to->reserves = on;
}

static void turn_builtin(struct scheduler_profile *profile, unsigned points, bool on)
{
        if (points & AT_GATE)
                profile->gates = on;
        if (points & AT_PREEMPT)
                profile->preempts = on;
}

static size_t find_plugin(const struct plugins *plugins, const char *name)
{
        size_t i = 0;
        while (i < plugins->count && strcmp(plugins->items[i]->name, name) != 0)
                i++;
        return i;
}

static const struct builtin *find_builtin(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(builtins); i++)
                if (strcmp(builtins[i].name, name) == 0)
                        return &builtins[i];
        return NULL;
}

static int disable(struct scheduler_profile *profile, const struct plugins *plugins, const char *name, unsigned points,
                   const char *path, struct cx_error *err)
{
        bool all = strcmp(name, "*") == 0;
        size_t at = find_plugin(plugins, name);
        const struct builtin *builtin = find_builtin(name);
        if (!all && at == plugins->count && !builtin)
                return wrong(err, path, "there is no plugin \"%s\"", name);
        if (builtin && (builtin->points & points & AT_FIXED))
                return wrong(err, path, "\"%s\" cannot be disabled: there is no other for its part", name);
        for (size_t i = 0; i < plugins->count; i++)
                if (all || i == at)
                        turn(profile, plugins, i, points, false);
        turn_builtin(profile, points & (all ? ~0U : builtin ? builtin->points : 0), false);
        return 0;
}

static int enable(struct scheduler_profile *profile, const struct plugins *plugins, const json_t *plugin,
                  unsigned points, const char *path, struct cx_error *err)
{
        const char *name = cx_json_string_or(plugin, "name", "");
        int64_t weight = cx_json_int(plugin, "weight", 0);
        const struct builtin *builtin = find_builtin(name);
        size_t at = find_plugin(plugins, name);
        if (builtin && builtin->missing)
                return wrong(err, path, "the plugin \"%s\" is not there", name);
        if (!builtin && at == plugins->count)
                return wrong(err, path, "there is no plugin \"%s\"", name);
        unsigned has = builtin ? builtin->points : points_of(plugins->items[at]);
        if (points != ~0U && !(has & points))
                return wrong(err, path, "plugin \"%s\" does not extend this point", name);
        if (builtin) {
                turn_builtin(profile, points & builtin->points, true);
                return 0;
        }
        turn(profile, plugins, at, points, true);
        if (weight && (points & has & AT_SCORE))
                profile->plugins[at].weight = weight;
        return 0;
}

static int read_set(struct scheduler_profile *profile, const struct plugins *plugins, const json_t *set, size_t point,
                    const char *at, struct cx_error *err)
{
        size_t i;
        json_t *item;
        int r = 0;
        json_array_foreach (json_object_get(set, "disabled"), i, item) {
                CX_CLEANUP(cx_freep)
                char *path = cx_sprintf("%s.plugins.%s.disabled[%zu]", at, extension_points[point].name, i);
                r = r < 0 ? r
                          : disable(profile, plugins, cx_json_string_or(item, "name", ""),
                                    extension_points[point].points, path, err);
        }
        json_array_foreach (json_object_get(set, "enabled"), i, item) {
                CX_CLEANUP(cx_freep)
                char *path = cx_sprintf("%s.plugins.%s.enabled[%zu]", at, extension_points[point].name, i);
                r = r < 0 ? r : enable(profile, plugins, item, extension_points[point].points, path, err);
        }
        return r;
}

// --- arguments -------------------------------------------------------------------------------------------------------

static void read_preemption(struct scheduler_profile *profile, const json_t *args)
{
        profile->candidates_percentage = (int)cx_json_int(args, "minCandidateNodesPercentage", 10);
        profile->candidates_least = (int)cx_json_int(args, "minCandidateNodesAbsolute", 100);
}

// The checked arguments of a plugin, or its defaults; NULL when it takes none. New reference.
static int find_args(const json_t *config, const char *plugin, json_t **ret_args, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *kind_name = cx_sprintf("%sArgs", plugin);
        const struct cx_kind *kind = cx_schema_kind(GROUP, VERSION, kind_name);
        const json_t *entry = cx_json_find(config, "name", plugin), *given = json_object_get(entry, "args");
        if (!kind && entry)
                return cx_error_set(err, -EINVAL, "pluginConfig: \"%s\" takes no arguments", plugin);
        if (!kind)
                return 0;
        json_auto_t *args = given ? json_deep_copy(given) : json_object();
        if (!json_is_object(args))
                return cx_error_set(err, -EINVAL, "pluginConfig: the arguments of \"%s\" must be an object", plugin);
        int r = cx_config_check(kind, args, err);
        if (r < 0)
                return cx_error_wrap(err, "pluginConfig: arguments of \"%s\"", plugin);
        *ret_args = cx_steal(&args);
        return 0;
}

static int read_args(struct scheduler_profile *profile, const struct plugins *plugins, const json_t *config,
                     struct cx_error *err)
{
        json_auto_t *preemption = NULL;
        size_t i;
        json_t *item;
        json_array_foreach (config, i, item) {
                const char *name = cx_json_string_or(item, "name", "");
                if (cx_json_find(config, "name", name) != item)
                        return cx_error_set(err, -EINVAL, "pluginConfig[%zu]: \"%s\" is there twice", i, name);
                if (find_plugin(plugins, name) == plugins->count && strcmp(name, "DefaultPreemption") != 0)
                        return cx_error_set(err, -EINVAL, "pluginConfig[%zu]: there is no plugin \"%s\"", i, name);
        }
        int r = find_args(config, "DefaultPreemption", &preemption, err);
        if (r < 0)
                return r;
        read_preemption(profile, preemption);
        for (i = 0; i < plugins->count; i++) {
                const struct plugin *plugin = plugins->items[i];
                json_auto_t *args = NULL;
                r = find_args(config, plugin->name, &args, err);
                if (r == 0 && plugin->args_size) {
                        profile->plugins[i].args = cx_alloc(plugin->args_size);
                        r = plugin->parse_args(profile->plugins[i].args, args, err);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

// --- all of them -----------------------------------------------------------------------------------------------------

static int read_profile(struct scheduler_profile *profile, const struct plugins *plugins, const json_t *config,
                        const char *at, struct cx_error *err)
{
        *profile = (struct scheduler_profile){
                .name = cx_strdup(cx_json_string_or(config, "schedulerName", "default-scheduler")),
                .percentage = (int)cx_json_int(config, "percentageOfNodesToScore", 0),
                .gates = true,
                .preempts = true};
        for (size_t i = 0; i < plugins->count; i++)
                turn(profile, plugins, i, ~0U, true);
        int r = 0;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(extension_points); i++)
                r = read_set(profile, plugins,
                             cx_json_get(json_object_get(config, "plugins"), extension_points[i].name), i, at, err);
        if (r == 0 && read_args(profile, plugins, json_object_get(config, "pluginConfig"), err) < 0)
                r = cx_error_wrap(err, "%s", at);
        return r;
}

int profiles_init(struct profiles *self, const struct plugins *plugins, const json_t *config, struct cx_error *err)
{
        const json_t *list = json_object_get(config, "profiles");
        size_t count = json_array_size(list);
        if (count > MAX_PROFILES)
                return wrong(err, "profiles", "at most %d", MAX_PROFILES);
        *self = (struct profiles){.plugins = plugins, .items = cx_alloc_array(count + 1, sizeof *self->items)};
        int r = count ? 0 : read_profile(&self->items[self->count++], plugins, NULL, "profiles[0]", err);
        for (size_t i = 0; r == 0 && i < count; i++) {
                CX_CLEANUP(cx_freep) char *at = cx_sprintf("profiles[%zu]", i);
                const char *name = cx_json_string_or(json_array_get(list, i), "schedulerName", "default-scheduler");
                if (profiles_find(self, name))
                        r = wrong(err, at, "the schedulerName \"%s\" is there twice", name);
                else
                        r = read_profile(&self->items[self->count++], plugins, json_array_get(list, i), at, err);
        }
        int64_t percentage = cx_json_int(config, "percentageOfNodesToScore", 0);
        for (size_t i = 0; i < self->count; i++) {
                self->items[i].index = i;
                if (!self->items[i].percentage)
                        self->items[i].percentage = (int)percentage;
        }
        if (r < 0)
                profiles_release(self);
        return r;
}

void profiles_release(struct profiles *self)
{
        for (size_t i = 0; i < self->count; i++) {
                for (size_t j = 0; j < self->plugins->count; j++) {
                        const struct plugin *plugin = self->plugins->items[j];
                        void *args = self->items[i].plugins[j].args;
                        if (args && plugin->release_args)
                                plugin->release_args(args);
                        free(args);
                }
                free(self->items[i].name);
        }
        free(self->items);
        *self = (struct profiles){0};
}

const struct scheduler_profile *profiles_find(const struct profiles *self, const char *name)
{
        for (size_t i = 0; i < self->count; i++)
                if (strcmp(self->items[i].name, name) == 0)
                        return &self->items[i];
        return NULL;
}
