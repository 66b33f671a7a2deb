// SPDX-License-Identifier: Apache-2.0
// kubectl wait, and watching one object until something is so.
#include "kubectl/cmd/commands.h"
#include "libcommon/base/time.h"

#include <strings.h>

struct waiting {
        int (*done)(void *context, const json_t *object, struct cx_error *err);
        void *context;
        struct cx_error *err;
        char resource_version[64];
        bool decided;
};

static int decide(struct waiting *w, const json_t *object)
{
        int r = w->done(w->context, object, w->err);
        w->decided = r != 0;
        return r;
}

static int on_event(void *context, const char *type, json_t *object)
{
        struct waiting *w = context;
        const char *version = cx_json_string(object, "metadata.resourceVersion");
        if (version)
                cx_copy_string(w->resource_version, sizeof w->resource_version, version);
        if (strcmp(type, "BOOKMARK") == 0)
                return 0;
        return decide(w, strcmp(type, "DELETED") == 0 ? NULL : object);
}

// Lists the object by name and decides on it; remembers where to watch from.
static int look(struct ctl *ctl, const struct info *info, struct waiting *w, struct cx_error *err)
{
        struct info collection = *info;
        collection.name = NULL;
        CX_BUF path = CX_BUF_INIT;
        CX_CLEANUP(cx_freep) char *selector = cx_sprintf("metadata.name=%s", info->name);
        info_path(&collection, NULL, &path);
        cx_rest_query(&path, "fieldSelector", selector);
        json_auto_t *list = NULL;
        int r = ctl_json(ctl, "GET", path.data, NULL, NULL, &list, err);
        if (r < 0)
                return r;
        cx_copy_string(w->resource_version, sizeof w->resource_version,
                       cx_json_string_or(list, "metadata.resourceVersion", ""));
        return decide(w, json_array_get(json_object_get(list, "items"), 0));
}

int watch_object(struct ctl *ctl, const struct info *info, int64_t timeout,
                 int (*done)(void *context, const json_t *object, struct cx_error *err), void *context,
                 struct cx_error *err)
{
        struct waiting w = {.done = done, .context = context, .err = err};
        int64_t deadline = cx_time_monotonic() + timeout;
        CX_CLEANUP(cx_freep) char *selector = cx_sprintf("metadata.name=%s", info->name);
        struct info collection = *info;
        collection.name = NULL;
        int r = look(ctl, info, &w, err);
        while (!w.decided && r == 0) {
                CX_BUF path = CX_BUF_INIT;
                CX_ERROR failure = CX_ERROR_INIT;
                int64_t left = timeout < 0 ? INT64_C(3600) * CX_NS_PER_S : deadline - cx_time_monotonic();
                if (left <= 0)
                        return -ETIMEDOUT;
                info_path(&collection, NULL, &path);
                cx_rest_query(&path, "fieldSelector", selector);
                cx_rest_query(&path, "watch", "true");
                cx_rest_query(&path, "resourceVersion", w.resource_version);
                cx_rest_query(&path, "timeoutSeconds", CX_INT((left + CX_NS_PER_S - 1) / CX_NS_PER_S));
                r = ctl_watch(ctl, path.data, NULL, on_event, &w, &failure);
                if (w.decided)
                        break;
                if (r < 0 && (failure.reason == CX_REASON_EXPIRED || failure.reason == CX_REASON_GONE))
                        r = look(ctl, info, &w, err); // too far behind: look anew
                else if (r < 0)
                        return cx_error_move(err, &failure);
        }
        return r;
}

// --- conditions -----------------------------------------------------------------------------------------------------
enum want { WANT_CONDITION, WANT_DELETE, WANT_CREATE, WANT_JSONPATH };
struct condition {
        enum want want;
        char *name, *value; // condition and its status; expected value of a path, NULL: any
        struct jsonpath *path;
        const char *uid;
        json_t *last; // the object when it was last seen
};

static void release_condition(struct condition *c)
{
        free(c->name);
        free(c->value);
        jsonpath_free(c->path);
        json_decref(c->last);
}

static int bad_jsonpath(struct cx_error *err)
{
        return cx_error_set(err, -EINVAL,
                            "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or "
                            "--for=jsonpath='{.status.readyReplicas}'");
}

static int parse_condition(const char *text, struct condition *c, struct cx_error *err)
{
        if (strcasecmp(text, "delete") == 0)
                return c->want = WANT_DELETE, 0;
        if (strcasecmp(text, "create") == 0)
                return c->want = WANT_CREATE, 0;
        if (cx_has_prefix(text, "condition=")) {
                const char *name = text + strlen("condition="), *equals = strchr(name, '=');
                c->want = WANT_CONDITION;
                c->name = equals ? cx_strndup(name, (size_t)(equals - name)) : cx_strdup(name);
                c->value = cx_strdup(equals ? equals + 1 : "true");
                return 0;
        }
        if (cx_has_prefix(text, "jsonpath=")) {
                const char *path = text + strlen("jsonpath="), *close = strrchr(path, '}');
                c->want = WANT_JSONPATH;
                const char *first = strchr(path, '=');
                if (first && close && first < close && !memchr(path, '?', (size_t)(first - path))) // no filter's
                        return bad_jsonpath(err);
                const char *equals = close ? (close[1] == '=' ? close + 1 : NULL) : strchr(path, '=');
                if (close && close[1] && close[1] != '=')
                        return bad_jsonpath(err);
                if (equals && equals[1] != '"' && equals[1] != '\'' && strchr(equals + 1, '='))
                        return bad_jsonpath(err);
                if (equals && !equals[1])
                        return cx_error_set(err, -EINVAL,
                                            "jsonpath wait has to have a value after equal sign, like "
                                            "--for=jsonpath='{.status.readyReplicas}'=3");
                CX_CLEANUP(cx_freep) char *only = equals ? cx_strndup(path, (size_t)(equals - path)) : cx_strdup(path);
                c->value = equals ? cx_strdup(equals + 1) : NULL;
                if (c->value && (c->value[0] == '"' || c->value[0] == '\'') && strlen(c->value) > 1) {
                        size_t n = strlen(c->value);
                        if (c->value[n - 1] == c->value[0]) {
                                memmove(c->value, c->value + 1, n - 2);
                                c->value[n - 2] = 0;
                        }
                }
                return jsonpath_parse_relaxed(only, &c->path, err);
        }
        return cx_error_set(err, -EINVAL, "unrecognized condition: \"%s\"", text);
}

static bool has_condition(const struct condition *c, const json_t *object)
{
        size_t i;
        json_t *item;
        json_array_foreach (cx_json_get(object, "status.conditions"), i, item) {
                if (strcasecmp(cx_json_string_or(item, "type", ""), c->name) != 0)
                        continue;
                int64_t seen = cx_json_int(item, "observedGeneration", 0);
                if (!seen)
                        seen = cx_json_int(object, "status.observedGeneration", 0);
                if (seen && seen < cx_json_int(object, "metadata.generation", 0))
                        return false;
                return strcasecmp(cx_json_string_or(item, "status", ""), c->value) == 0;
        }
        return false;
}

static int has_value(const struct condition *c, const json_t *object, struct cx_error *err)
{
        json_auto_t *values = NULL;
        int r = jsonpath_find(c->path, object, true, &values, err);
        if (r < 0)
                return r;
        size_t n = json_array_size(values);
        if (!n)
                return 0;
        if (n > 1)
                return cx_error_set(err, -EINVAL, "given jsonpath expression matches more than one value");
        json_t *value = json_array_get(values, 0);
        if (!c->value)
                return 1;
        if (json_is_object(value) || json_is_array(value))
                return cx_error_set(err, -EINVAL, "jsonpath leads to a nested object or list which is not supported");
        CX_BUF text = CX_BUF_INIT;
        jsonpath_value(value, &text);
        return strcmp(text.data, c->value) == 0;
}

static int is_met(void *context, const json_t *object, struct cx_error *err)
{
        struct condition *c = context;
        switch (c->want) {
        case WANT_DELETE:
                return !object || (c->uid && !cx_streq(c->uid, cx_json_string(object, "metadata.uid")));
        case WANT_CREATE:
                return object != NULL;
        case WANT_CONDITION:
                return object && has_condition(c, object);
        case WANT_JSONPATH:
                return object ? has_value(c, object, err) : 0;
        }
        return 0;
}

static int wait_all(struct ctl *ctl, struct condition *c, struct infos *infos, int64_t timeout, struct output *output,
                    struct cx_error *err)
{
        int64_t deadline = cx_time_monotonic() + timeout;
        for (size_t i = 0; i < infos->count; i++) {
                struct info *info = infos->items[i];
                CX_ERROR failure = CX_ERROR_INIT;
                int64_t left = timeout < 0 ? INT64_C(604800) * CX_NS_PER_S : deadline - cx_time_monotonic();
                c->uid = cx_json_string(info->object, "metadata.uid");
                int r = watch_object(ctl, info, left > 0 ? left : 0, is_met, c, &failure);
                if (r == -ETIMEDOUT && !failure.code && c->want == WANT_CREATE)
                        cx_error_set(&failure, r, "timed out waiting for the condition");
                else if (r == -ETIMEDOUT && !failure.code && timeout == 0)
                        cx_error_set(&failure, r, "condition not met for %s/%s", info->mapping->resource, info->name);
                else if (r == -ETIMEDOUT && !failure.code)
                        cx_error_set(&failure, r, "timed out waiting for the condition on %s/%s",
                                     info->mapping->resource, info->name);
                if (r < 0 && infos->count == 1)
                        return cx_error_move(err, &failure);
                if (r < 0) {
                        ctl_report(ctl, &failure);
                        continue;
                }
                r = output_result(output, info, c->want == WANT_DELETE ? "deleted" : "condition met", DRY_NONE, err);
                fflush(stdout);
                if (r < 0)
                        return r;
        }
        return 0;
}

COMMAND(wait)
{
        BUILDER builder = {.may_list = false};
        OUTPUT output = {0};
        CX_CLEANUP(release_condition) struct condition condition = {0};
        const char *what = NULL;
        int64_t timeout = 30 * CX_NS_PER_S;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                SELECTOR_FLAGS(&builder),
                OUTPUT_FLAGS(&output),
                {"for", 0, CX_FLAG_STRING, &what,
                 "create, delete, condition=NAME[=VALUE], jsonpath='{EXPRESSION}'[=VALUE]."},
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All objects of the types."},
                {"all-namespaces", 'A', CX_FLAG_BOOL, &builder.all_namespaces, "Objects of all namespaces."},
                {"timeout", 0, CX_FLAG_DURATION, &timeout, "How long to wait; 0: look once; negative: a week."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r < 0)
                return r;
        if (!what)
                return cx_error_set(err, -EINVAL, "unrecognized condition: \"\"");
        r = parse_condition(what, &condition, err);
        if (r < 0)
                return r;
        INFOS infos = INFOS_INIT, targets = INFOS_INIT;
        if (condition.want == WANT_CREATE) {
                r = builder_targets(ctl, &builder, &args, &targets, err);
                if (r == 0)
                        r = builder_expand(ctl, &builder, &targets, &infos, err);
        } else {
                builder.ignore_not_found = condition.want == WANT_DELETE;
                r = builder_objects(ctl, &builder, &args, &infos, err);
        }
        if (r < 0)
                return r;
        if (!infos.count && condition.want != WANT_DELETE && !ctl->status)
                return cx_error_set(err, -ENOENT, "no matching resources found");
        return wait_all(ctl, &condition, &infos, timeout, &output, err);
}
