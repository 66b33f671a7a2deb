// SPDX-License-Identifier: Apache-2.0
// kubectl set: edits the pod template of workloads and sends the difference.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/pod.h"
#include "libcommon/format/base64.h"
#include "libcommon/schema/engine.h"

struct set {
        struct builder builder;
        struct output output;
        const char *dry_run, *container_pattern, *manager;
        bool local;
        int mode;
};

static void release_set(struct set *set)
{
        builder_release(&set->builder);
        output_release(&set->output);
}
#define SET_FLAGS(s)                                                                                                   \
        FILE_FLAGS(&(s)->builder), OUTPUT_FLAGS(&(s)->output), DRY_RUN_FLAG(&(s)->dry_run),                            \
                {"all", 0, CX_FLAG_BOOL, &(s)->builder.all, "All objects of the types in the namespace."},             \
                {"local", 0, CX_FLAG_BOOL, &(s)->local, "Do not contact the server."},                                 \
        {                                                                                                              \
                "field-manager", 0, CX_FLAG_STRING, &(s)->manager, "Name of the manager of the fields."                \
        }

#define SELECT_FLAG(s)                                                                                                 \
        {                                                                                                              \
                "selector", 'l', CX_FLAG_STRING, &(s)->builder.selector, "Selector (label query) to filter on."        \
        }

// Splits the arguments at the first KEY=VALUE (or KEY- when `removals`).
static void split(const struct cx_strings *args, bool removals, struct cx_strings *objects, struct cx_strings *changes)
{
        for (size_t i = 0; i < args->count; i++) {
                size_t n = strlen(args->items[i]);
                bool change = strchr(args->items[i], '=') || (removals && n > 1 && args->items[i][n - 1] == '-');
                cx_strings_add(change ? changes : objects, args->items[i]);
        }
}

static int begin(struct ctl *ctl, struct set *set, const struct cx_flag *flags, int argc, char **argv, bool removals,
                 struct cx_strings *changes, struct infos *infos, struct cx_error *err)
{
        CX_STRINGS args = CX_STRINGS_INIT, objects = CX_STRINGS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &set->output, &set->dry_run, &set->mode, err);
        if (r < 0)
                return r;
        split(&args, removals, &objects, changes);
        if (builder_empty(&set->builder, &objects) && strcmp(ctl->path, "set image") != 0)
                return cx_error_set(
                        err, -EINVAL,
                        "one or more resources must be specified as <resource> <name> or <resource>/<name>");
        set->builder.local = set->local;
        return builder_objects(ctl, &set->builder, &objects, infos, err);
}

// Sends what `now` differs from the object in. Prints the result when there is a difference (or `always`).
static int finish(struct ctl *ctl, struct set *set, struct info *info, json_t *now, const char *words, bool always,
                  struct cx_error *err)
{
        json_auto_t *patch = NULL;
        int r = info_diff(info, now, &patch, err);
        if (r < 0)
                return r;
        bool changed = json_object_size(patch) > 0;
        if (changed && (set->local || set->mode == DRY_CLIENT)) {
                json_decref(info->object);
                info->object = json_incref(now);
        } else if (changed) {
                r = info_patch(ctl, info, NULL, info_patch_type(info), patch, set->mode,
                               set->manager ? set->manager : "kubectl-set", err);
                if (r < 0)
                        return r;
        }
        if (!changed && !always && set->output.form == OUTPUT_DEFAULT)
                return 0;
        return output_result(&set->output, info, words, set->mode, err);
}

static int for_each(struct ctl *ctl, struct set *set, struct infos *infos, const char *words,
                    int (*edit)(void *context, const struct info *info, json_t *pod_spec, struct cx_error *err),
                    void *context, struct cx_error *err)
{
        (void)err;
        for (size_t i = 0; i < infos->count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                json_auto_t *now = json_deep_copy(infos->items[i]->object);
                json_t *spec = pod_template(now);
                int r = spec ? edit(context, infos->items[i], spec, &failure)
                             : cx_error_set(&failure, -EINVAL,
                                            "%s/%s the object is not a pod or does not have a pod template: *%s.%s",
                                            infos->items[i]->mapping->resource, infos->items[i]->name,
                                            infos->items[i]->mapping->version, infos->items[i]->mapping->kind);
                if (r == 0)
                        r = finish(ctl, set, infos->items[i], now, words, strcmp(words, "env updated") == 0, &failure);
                if (r < 0)
                        ctl_report(ctl, &failure);
        }
        return 0;
}

static bool selected(const char *pattern, const char *name)
{
        if (!pattern || strcmp(pattern, "*") == 0)
                return true;
        const char *star = strchr(pattern, '*');
        if (!star)
                return strcmp(pattern, name) == 0;
        size_t head = (size_t)(star - pattern), tail = strlen(star + 1), n = strlen(name);
        return n >= head + tail && strncmp(pattern, name, head) == 0 && strcmp(name + n - tail, star + 1) == 0;
}

// --- image ----------------------------------------------------------------------------------------------------------
static int edit_images(void *context, const struct info *info CX_UNUSED, json_t *spec, struct cx_error *err)
{
        const struct cx_strings *changes = context;
        for (size_t i = 0; i < changes->count; i++) {
                const char *equals = strchr(changes->items[i], '=');
                CX_CLEANUP(cx_freep) char *name = cx_strndup(changes->items[i], (size_t)(equals - changes->items[i]));
                bool found = false;
                CX_POD_FOREACH(walk, spec, CX_POD_TEMPLATE)
                {
                        if (strcmp(name, "*") != 0 && strcmp(walk.name, name) != 0)
                                continue;
                        json_object_set_new(walk.container, "image", json_string(equals + 1));
                        found = true;
                }
                if (!found)
                        return cx_error_set(err, -ENOENT, "unable to find container named \"%s\"", name);
        }
        return 0;
}

COMMAND(set_image)
{
        CX_CLEANUP(release_set) struct set set = {0};
        const struct cx_flag flags[] = {SET_FLAGS(&set), SELECT_FLAG(&set), {0}};
        CX_STRINGS changes = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = begin(ctl, &set, flags, argc, argv, false, &changes, &infos, err);
        if (r < 0)
                return r;
        if (!changes.count)
                return cx_error_set(err, -EINVAL, "at least one image update is required");
        return for_each(ctl, &set, &infos, "image updated", edit_images, &changes, err);
}

// --- env ------------------------------------------------------------------------------------------------------------
struct env {
        const struct set *set;
        struct cx_strings changes;
        const char *from, *prefix;
        struct cx_strings keys;
        struct ctl *ctl;
        bool overwrite, list, resolve;
};

static void set_env(json_t *container, const char *name, json_t *entry_steal)
{
        json_t *list = cx_json_array_at(container, "env");
        size_t i;
        json_t *old;
        json_array_foreach (list, i, old)
                if (cx_streq(cx_json_string(old, "name"), name)) {
                        json_array_set_new(list, i, entry_steal);
                        return;
                }
        json_array_append_new(list, entry_steal);
}

static void unset_env(json_t *container, const char *name)
{
        json_t *list = json_object_get(container, "env");
        for (size_t i = json_array_size(list); i-- > 0;)
                if (cx_streq(cx_json_string(json_array_get(list, i), "name"), name))
                        json_array_remove(list, i);
        if (list && !json_array_size(list))
                json_object_del(container, "env");
}

// References to all keys of a config map or secret.
static int env_from(const struct env *env, json_t *container, struct cx_error *err)
{
        BUILDER builder = {0};
        CX_STRINGS words = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        cx_strings_add(&words, env->from);
        int r = builder_objects(env->ctl, &builder, &words, &infos, err);
        if (r < 0 || !infos.count)
                return r < 0 ? r : cx_error_set(err, -ENOENT, "%s was not found", env->from);
        bool secret = strcmp(infos.items[0]->mapping->kind, "Secret") == 0;
        CX_STRINGS keys = CX_STRINGS_INIT;
        const char *key;
        json_t *value;
        json_object_foreach (json_object_get(infos.items[0]->object, "data"), key, value)
                cx_strings_add(&keys, key);
        cx_strings_sort(&keys);
        for (size_t i = 0; i < keys.count; i++) {
                key = keys.items[i];
                if (env->keys.count && !cx_strings_has(&env->keys, key))
                        continue;
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s%s", cx_str(env->prefix), key);
                for (char *p = name; *p; p++)
                        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p == '-' || *p == '.' ? '_' : *p;
                const char *prefix = cx_str(env->prefix);
                if (strcmp(name + strlen(prefix), key) != 0)
                        fprintf(stderr, "Warning: key %s transferred to %s\n", key, name + strlen(prefix));
                set_env(container, name,
                        json_pack("{s:s,s:{s:{s:s,s:s}}}", "name", name, "valueFrom",
                                  secret ? "secretKeyRef" : "configMapKeyRef", "name", infos.items[0]->name, "key",
                                  key));
        }
        return 0;
}

// The value that a reference stands for; owned; NULL with an error.
static char *resolve_ref(const struct env *env, const struct info *info, const char *resource, const json_t *ref,
                         struct cx_error *err)
{
        const char *name = cx_json_string_or(ref, "name", ""), *key = cx_json_string_or(ref, "key", "");
        CX_BUF path = CX_BUF_INIT, text = CX_BUF_INIT;
        json_auto_t *object = NULL;
        cx_rest_path(&path, CX_REF("", "v1", resource, info->namespace, name), NULL);
        if (ctl_json(env->ctl, "GET", path.data, NULL, NULL, &object, err) < 0)
                return NULL;
        const char *value = json_string_value(json_object_get(json_object_get(object, "data"), key));
        if (!value || (strcmp(resource, "secrets") == 0 && cx_base64_decode(value, strlen(value), &text) < 0)) {
                cx_error_set(err, -ENOENT, "key %s not found in %s %s", key,
                             strcmp(resource, "secrets") == 0 ? "secret" : "config map", name);
                return NULL;
        }
        return strcmp(resource, "secrets") == 0 ? cx_buf_detach(&text) : cx_strdup(value);
}

static void list_entry(const struct env *env, const struct info *info, const json_t *entry)
{
        const char *name = cx_json_string_or(entry, "name", "");
        const json_t *from = json_object_get(entry, "valueFrom"), *secret = json_object_get(from, "secretKeyRef");
        const json_t *ref = secret ? secret : json_object_get(from, "configMapKeyRef");
        const json_t *field = json_object_get(from, "fieldRef");
        CX_ERROR why = CX_ERROR_INIT;
        if (!from) {
                OUT("%s=%s\n", name, cx_json_string_or(entry, "value", ""));
                return;
        }
        if (env->resolve) {
                CX_CLEANUP(cx_freep) char *value = NULL;
                const json_t *at = field ? cx_json_get(info->object, cx_json_string_or(field, "fieldPath", "")) : NULL;
                if (ref)
                        value = resolve_ref(env, info, secret ? "secrets" : "configmaps", ref, &why);
                else if (json_is_string(at))
                        value = cx_strdup(json_string_value(at));
                if (value) {
                        OUT("%s=%s\n", name, value);
                        return;
                }
        }
        if (ref)
                OUT("# %s from %s %s, key %s\n", name, secret ? "secret" : "configmap",
                    cx_json_string_or(ref, "name", ""), cx_json_string_or(ref, "key", ""));
        else if (field)
                OUT("# %s from field path %s\n", name, cx_json_string_or(field, "fieldPath", ""));
        if (why.code)
                fprintf(stderr, "error retrieving reference for %s: %s\n", name, cx_error_text(&why));
}

static void list_env(const struct env *env, const struct info *info, const json_t *container)
{
        size_t i;
        json_t *entry;
        OUT("# %s %s, container %s\n", info->mapping->kind, info->name, cx_json_string_or(container, "name", ""));
        json_array_foreach (json_object_get(container, "env"), i, entry)
                list_entry(env, info, entry);
}

static int edit_env(void *context, const struct info *info, json_t *spec, struct cx_error *err)
{
        const struct env *env = context;
        size_t i, found = 0;
        json_t *container;
        json_array_foreach (json_object_get(spec, "containers"), i, container) {
                if (!selected(env->set->container_pattern, cx_json_string_or(container, "name", "")))
                        continue;
                found++;
                int r = env->from ? env_from(env, container, err) : 0;
                if (r < 0)
                        return r;
                if (env->list) {
                        list_env(env, info, container);
                        continue;
                }
                for (size_t j = 0; j < env->changes.count; j++) {
                        const char *word = env->changes.items[j], *equals = strchr(word, '=');
                        CX_CLEANUP(cx_freep)
                        char *name = cx_strndup(word, equals ? (size_t)(equals - word) : strlen(word) - 1);
                        if (!equals)
                                unset_env(container, name);
                        else if (!env->overwrite && cx_json_find(json_object_get(container, "env"), "name", name))
                                return cx_error_set(err, -EEXIST, "'%s' already has a value, and --overwrite is false",
                                                    name);
                        else
                                set_env(container, name, json_pack("{s:s,s:s}", "name", name, "value", equals + 1));
                }
        }
        if (!found)
                return cx_error_set(err, -ENOENT, "%s/%s does not have any containers matching \"%s\"",
                                    info->mapping->resource, info->name, cx_str(env->set->container_pattern));
        return 0;
}

COMMAND(set_env)
{
        CX_CLEANUP(release_set) struct set set = {.container_pattern = "*"};
        struct env env = {.set = &set, .ctl = ctl, .overwrite = true};
        CX_STRINGS more = CX_STRINGS_INIT;
        const struct cx_flag flags[] = {
                SET_FLAGS(&set),
                SELECT_FLAG(&set),
                {"containers", 'c', CX_FLAG_STRING, &set.container_pattern, "Names of containers, * as a wildcard."},
                {"env", 'e', CX_FLAG_LIST, &more, "KEY=VALUE to set."},
                {"from", 0, CX_FLAG_STRING, &env.from, "configmap/NAME or secret/NAME to take all keys of."},
                {"prefix", 0, CX_FLAG_STRING, &env.prefix, "Put before the names from --from."},
                {"keys", 0, CX_FLAG_CSV, &env.keys, "Only these keys of --from."},
                {"resolve", 0, CX_FLAG_BOOL, &env.resolve, "Show what references stand for, with --list."},
                {"overwrite", 0, CX_FLAG_BOOL, &env.overwrite, "Allow values to be changed."},
                {"list", 0, CX_FLAG_BOOL, &env.list, "Show what there is."},
                {0}};
        INFOS infos = INFOS_INIT;
        int r = begin(ctl, &set, flags, argc, argv, true, &env.changes, &infos, err);
        for (size_t i = 0; i < more.count; i++)
                if (strchr(more.items[i], '='))
                        cx_strings_add(&env.changes, more.items[i]);
        if (r == 0 && env.keys.count && !env.from)
                r = cx_error_set(err, -EINVAL,
                                 "when specifying --keys, a configmap or secret must be provided with --from");
        if (r == 0 && !env.changes.count && !env.from && !env.list)
                r = cx_error_set(err, -EINVAL, "at least one environment variable must be provided");
        if (r == 0 && env.list) {
                for (size_t i = 0; r == 0 && i < infos.count; i++)
                        if (pod_template(infos.items[i]->object))
                                r = edit_env(&env, infos.items[i], pod_template(infos.items[i]->object), err);
        } else if (r == 0) {
                r = for_each(ctl, &set, &infos, "env updated", edit_env, &env, err);
        }
        cx_strings_release(&env.changes);
        cx_strings_release(&env.keys);
        return r;
}

// --- resources ------------------------------------------------------------------------------------------------------
struct amounts {
        const struct set *set;
        struct cx_strings limits, requests;
};

static int set_amounts(json_t *container, const char *member, const struct cx_strings *list, struct cx_error *err)
{
        for (size_t i = 0; i < list->count; i++) {
                const char *equals = strchr(list->items[i], '=');
                if (!equals)
                        return cx_error_set(err, -EINVAL, "invalid argument syntax %s, expected <resource>=<value>",
                                            list->items[i]);
                CX_CLEANUP(cx_freep) char *name = cx_strndup(list->items[i], (size_t)(equals - list->items[i]));
                json_t *map = cx_json_object_at(cx_json_object_at(container, "resources"), member);
                if (strcmp(equals + 1, "0") == 0)
                        json_object_del(map, name);
                else
                        json_object_set_new(map, name, json_string(equals + 1));
        }
        return 0;
}

static int edit_resources(void *context, const struct info *info CX_UNUSED, json_t *spec, struct cx_error *err)
{
        const struct amounts *amounts = context;
        size_t i;
        json_t *container;
        bool found = false;
        json_array_foreach (json_object_get(spec, "containers"), i, container) {
                if (!selected(amounts->set->container_pattern, cx_json_string_or(container, "name", "")))
                        continue;
                found = true;
                int r = set_amounts(container, "limits", &amounts->limits, err);
                if (r == 0)
                        r = set_amounts(container, "requests", &amounts->requests, err);
                if (r < 0)
                        return r;
        }
        return found ? 0
                     : cx_error_set(err, -ENOENT, "unable to find container named %s",
                                    cx_str(amounts->set->container_pattern));
}

COMMAND(set_resources)
{
        CX_CLEANUP(release_set) struct set set = {.container_pattern = "*"};
        struct amounts amounts = {.set = &set};
        const struct cx_flag flags[] = {
                SET_FLAGS(&set),
                SELECT_FLAG(&set),
                {"containers", 'c', CX_FLAG_STRING, &set.container_pattern, "Names of containers, * as a wildcard."},
                {"limits", 0, CX_FLAG_CSV, &amounts.limits, "RESOURCE=QUANTITY pairs; 0 removes."},
                {"requests", 0, CX_FLAG_CSV, &amounts.requests, "RESOURCE=QUANTITY pairs; 0 removes."},
                {0}};
        CX_STRINGS changes = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = begin(ctl, &set, flags, argc, argv, false, &changes, &infos, err);
        if (r == 0 && !amounts.limits.count && !amounts.requests.count)
                r = cx_error_set(
                        err, -EINVAL,
                        "you must specify an update to requests or limits (in the form of --requests/--limits)");
        if (r == 0)
                r = for_each(ctl, &set, &infos, "resource requirements updated", edit_resources, &amounts, err);
        cx_strings_release(&amounts.limits);
        cx_strings_release(&amounts.requests);
        return r;
}

// --- service account, selector --------------------------------------------------------------------------------------
static int edit_account(void *context, const struct info *info CX_UNUSED, json_t *spec, struct cx_error *err CX_UNUSED)
{
        json_object_set_new(spec, "serviceAccountName", json_string(context));
        if (json_object_get(spec, "serviceAccount"))
                json_object_set_new(spec, "serviceAccount", json_string(context));
        return 0;
}

// Takes the last of the words.
static int take_last(struct cx_strings *words, char **ret_last, const char *why, struct cx_error *err)
{
        if (!words->count)
                return cx_error_set(err, -EINVAL, "%s", why);
        *ret_last = words->items[--words->count];
        return 0;
}

COMMAND(set_serviceaccount)
{
        CX_CLEANUP(release_set) struct set set = {0};
        const struct cx_flag flags[] = {SET_FLAGS(&set), {0}};
        CX_STRINGS words = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        CX_CLEANUP(cx_freep) char *account = NULL;
        int r = output_begin(ctl, flags, argc, argv, &words, &set.output, &set.dry_run, &set.mode, err);
        if (r == 0)
                r = take_last(&words, &account, "serviceaccount is required", err);
        set.builder.local = set.local;
        if (r == 0)
                r = builder_objects(ctl, &set.builder, &words, &infos, err);
        return r < 0 ? r : for_each(ctl, &set, &infos, "serviceaccount updated", edit_account, account, err);
}

COMMAND(set_selector)
{
        CX_CLEANUP(release_set) struct set set = {0};
        const char *version = NULL;
        const struct cx_flag flags[] = {
                SET_FLAGS(&set),
                {"resource-version", 0, CX_FLAG_STRING, &version, "Only change this version of the object."},
                {0}};
        CX_STRINGS words = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        CX_CLEANUP(cx_freep) char *text = NULL;
        json_auto_t *selector = NULL;
        int r = output_begin(ctl, flags, argc, argv, &words, &set.output, &set.dry_run, &set.mode, err);
        if (r == 0)
                r = take_last(&words, &text,
                              "one or more resources must be specified as <resource> <name> or <resource>/<name>", err);
        if (r == 0)
                r = parse_map(text, &selector, err);
        set.builder.local = set.local;
        if (r == 0)
                r = builder_objects(ctl, &set.builder, &words, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                json_auto_t *now = json_deep_copy(infos.items[i]->object);
                if (strcmp(infos.items[i]->mapping->kind, "Service") != 0)
                        return cx_error_set(err, -EINVAL, "setting a selector is only supported for Services");
                (void)cx_json_set(now, "spec.selector", json_incref(selector));
                if (version)
                        (void)cx_json_set(now, "metadata.resourceVersion", json_string(version));
                // The selector is replaced, not merged: the keys that are gone are said to be.
                r = finish(ctl, &set, infos.items[i], now, "selector updated", true, err);
        }
        return r;
}
