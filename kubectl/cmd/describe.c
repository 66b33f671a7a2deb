// SPDX-License-Identifier: Apache-2.0
// kubectl describe: picks the describer of a kind; what all describers use.
#include "kubectl/cmd/describe.h"

#include "kubectl/printer/tabs.h"

void describe_line(struct describe *d, int level, const char *format, ...)
{
        va_list args;
        for (int i = 0; i < level; i++)
                cx_buf_add(d->to, "  ");
        va_start(args, format);
        cx_buf_vprintf(d->to, format, args);
        va_end(args);
}

char *text_of(const json_t *value)
{
        CX_BUF text = CX_BUF_INIT;
        jsonpath_value(value, &text);
        return cx_buf_detach(&text);
}

void describe_labels(struct describe *d, int level, const char *title, const json_t *map)
{
        describe_line(d, level, "%s:\t", title);
        if (!json_object_size(map))
                cx_buf_add(d->to, "<none>\n");
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(map);
        for (size_t i = 0; keys[i]; i++) {
                if (i)
                        describe_line(d, d->bare_labels ? 0 : level, "\t");
                cx_buf_printf(d->to, "%s=%s\n", keys[i], cx_str(json_string_value(json_object_get(map, keys[i]))));
        }
}

void describe_annotations(struct describe *d, const json_t *object)
{
        const json_t *map = cx_json_get(object, "metadata.annotations");
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(map);
        bool any = false;
        cx_buf_add(d->to, "Annotations:\t");
        for (size_t i = 0; keys[i]; i++) {
                if (strcmp(keys[i], LAST_APPLIED) == 0)
                        continue;
                const char *value = cx_str(json_string_value(json_object_get(map, keys[i])));
                size_t length = strlen(value);
                while (length && value[length - 1] == '\n')
                        length--;
                if (any)
                        cx_buf_add(d->to, "\t");
                any = true;
                if (memchr(value, '\n', length) || strlen(keys[i]) + length + 2 > 140) {
                        cx_buf_printf(d->to, "%s:\n", keys[i]);
                        for (const char *p = value; p < value + length;) {
                                size_t n = strcspn(p, "\n");
                                n = n > (size_t)(value + length - p) ? (size_t)(value + length - p) : n;
                                bool cut = n > 138;
                                cx_buf_printf(d->to, "\t  %.*s%s\n", (int)(cut ? 137 : n), p, cut ? "..." : "");
                                p += n + 1;
                        }
                } else {
                        cx_buf_printf(d->to, "%s: %.*s\n", keys[i], (int)length, value);
                }
        }
        if (!any)
                cx_buf_add(d->to, "<none>\n");
}

void describe_name(struct describe *d, const json_t *object)
{
        describe_line(d, 0, "Name:\t%s\n", cx_json_string_or(object, "metadata.name", ""));
        describe_line(d, 0, "Namespace:\t%s\n", cx_json_string_or(object, "metadata.namespace", ""));
}

void describe_head(struct describe *d, const json_t *object, bool namespaced)
{
        if (namespaced)
                describe_name(d, object);
        else
                describe_line(d, 0, "Name:\t%s\n", cx_json_string_or(object, "metadata.name", ""));
        describe_labels(d, 0, "Labels", cx_json_get(object, "metadata.labels"));
        describe_annotations(d, object);
}

void describe_controller(struct describe *d, const json_t *object)
{
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(object, "metadata.ownerReferences"), i, owner)
                if (cx_json_bool(owner, "controller", false))
                        describe_line(d, 0, "Controlled By:\t%s/%s\n", cx_json_string_or(owner, "kind", ""),
                                      cx_json_string_or(owner, "name", ""));
}

char *describe_time(const char *moment)
{
        int64_t us;
        struct tm tm;
        char text[64];
        if (!moment || cx_time_parse(moment, &us) < 0)
                return cx_strdup("<unset>");
        time_t seconds = us / CX_US_PER_S;
        localtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S %z", &tm);
        return cx_strdup(text);
}

char *describe_since(int64_t now, const char *when)
{
        int64_t us;
        char text[CX_TIME_TEXT];
        if (!when || cx_time_parse(when, &us) < 0)
                return cx_strdup("<unknown>");
        cx_duration_human((now - us) * 1000, text);
        return cx_strdup(text);
}

// --- events ---------------------------------------------------------------------------------------------------------
static char *event_age(const struct describe *d, const json_t *event)
{
        const char *first = cx_json_string(event, "firstTimestamp"), *last = cx_json_string(event, "lastTimestamp");
        const char *micro = cx_json_string(event, "eventTime");
        int64_t count = cx_json_int(event, "count", 0);
        if (json_object_get(event, "series") && json_is_object(json_object_get(event, "series"))) {
                last = cx_json_string(event, "series.lastObservedTime");
                count = cx_json_int(event, "series.count", 1);
        }
        first = first ? first : micro;
        CX_CLEANUP(cx_freep) char *since_first = describe_since(d->now, first);
        if (count <= 1)
                return cx_steal(&since_first);
        CX_CLEANUP(cx_freep) char *since_last = describe_since(d->now, last);
        return cx_sprintf("%s (x%lld over %s)", since_last, (long long)count, since_first);
}

static int compare_events(const void *left, const void *right)
{
        const json_t *a = *(const json_t *const *)left, *b = *(const json_t *const *)right;
        const char *x = cx_json_string(a, "lastTimestamp"), *y = cx_json_string(b, "lastTimestamp");
        x = x ? x : cx_json_string_or(a, "eventTime", "");
        y = y ? y : cx_json_string_or(b, "eventTime", "");
        return strcmp(x, y);
}

void event_rows(struct describe *d, const json_t *events, bool with_object CX_UNUSED)
{
        size_t n = json_array_size(events);
        CX_CLEANUP(cx_freep) const json_t **sorted = cx_alloc_array(n + 1, sizeof(json_t *));
        for (size_t i = 0; i < n; i++)
                sorted[i] = json_array_get(events, i);
        qsort(sorted, n, sizeof *sorted, compare_events);
        for (size_t i = 0; i < n; i++) {
                CX_CLEANUP(cx_freep) char *age = event_age(d, sorted[i]);
                CX_CLEANUP(cx_freep) char *message = cx_strdup(cx_json_string_or(sorted[i], "message", ""));
                for (size_t end = strlen(message); end && strchr(" \n\t", message[end - 1]);)
                        message[--end] = 0;
                const char *from = cx_json_string(sorted[i], "source.component");
                if (!from || !*from)
                        from = cx_json_string_or(sorted[i], "reportingComponent", "");
                describe_line(d, 1, "%s\t%s\t%s\t%s\t%s\n", cx_json_string_or(sorted[i], "type", ""),
                              cx_json_string_or(sorted[i], "reason", ""), age, from, message);
        }
}

void describe_events(struct describe *d, const json_t *object)
{
        if (!d->events)
                return;
        CX_BUF path = CX_BUF_INIT;
        const char *namespace = cx_json_string_or(object, "metadata.namespace", "");
        const char *name = cx_json_string_or(object, "metadata.name", "");
        CX_CLEANUP(cx_freep) char *selector = NULL;
        if (*namespace)
                selector = cx_sprintf("involvedObject.name=%s,involvedObject.namespace=%s,involvedObject.kind=%s,"
                                      "involvedObject.uid=%s",
                                      name, namespace, cx_json_string_or(object, "kind", ""),
                                      cx_json_string_or(object, "metadata.uid", ""));
        else
                selector = cx_sprintf("involvedObject.name=%s,involvedObject.kind=%s", name,
                                      cx_json_string_or(object, "kind", ""));
        cx_rest_path(&path, CX_REF(.group = "", .version = "v1", .resource = "events", .namespace = namespace), NULL);
        cx_rest_query(&path, "fieldSelector", selector);
        CX_ERROR failure = CX_ERROR_INIT;
        json_auto_t *events = list_objects(d->ctl, path.data, &failure);
        if (!json_array_size(events)) {
                describe_line(d, 0, "Events:\t<none>\n");
                return;
        }
        describe_line(d, 0, "Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
        describe_line(d, 1, "----\t------\t----\t----\t-------\n");
        event_rows(d, events, false);
}

// --- the command ----------------------------------------------------------------------------------------------------
static describe_fn *describer_of(const struct mapping *mapping)
{
        static const struct describer *const tables[] = {describers_core,  describers_workloads, describers_node,
                                                         describers_batch, describers_network,   describers_rbac};
        for (size_t i = 0; i < CX_ARRAY_SIZE(tables); i++)
                for (const struct describer *one = tables[i]; one->kind; one++)
                        if (strcmp(one->group, mapping->group) == 0 && strcmp(one->kind, mapping->kind) == 0)
                                return one->describe;
        return describe_generic;
}

static int describe_all(struct ctl *ctl, const struct infos *infos, bool events, const char *between, const char *after,
                        struct cx_error *err)
{
        for (size_t i = 0; i < infos->count; i++) {
                CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
                struct describe d = {.ctl = ctl, .to = &text, .events = events, .now = cx_time_now()};
                int r = describer_of(infos->items[i]->mapping)(&d, infos->items[i]->object, err);
                if (r < 0)
                        return r;
                tabs_align(text.data, 0, 2, &aligned);
                OUT("%s%s%s", i ? between : "", aligned.data, after);
        }
        return 0;
}

// `describe pods we`: not found by name, so all that begin with it.
static int by_prefix(struct ctl *ctl, const struct builder *builder, const struct cx_strings *args,
                     struct infos *ret_infos, struct cx_error *not_found)
{
        if (args->count != 2 || strchr(args->items[0], '/') || not_found->reason != CX_REASON_NOT_FOUND)
                return -ENOENT;
        struct builder all = *builder;
        CX_STRINGS type = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        cx_strings_add(&type, args->items[0]);
        if (builder_objects(ctl, &all, &type, &infos, NULL) < 0)
                return -ENOENT;
        for (size_t i = 0; i < infos.count; i++) {
                if (!cx_has_prefix(infos.items[i]->name, args->items[1]))
                        continue;
                struct info *info =
                        infos_add(ret_infos, infos.items[i]->mapping, infos.items[i]->namespace, infos.items[i]->name);
                info->object = json_incref(infos.items[i]->object);
        }
        return ret_infos->count ? 0 : -ENOENT;
}

COMMAND(describe)
{
        BUILDER builder = {.may_list = true};
        bool events = true;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) to filter on."},
                {"all-namespaces", 'A', CX_FLAG_BOOL, &builder.all_namespaces, "Objects of all namespaces."},
                {"show-events", 0, CX_FLAG_BOOL, &events, "Show the events about the objects."},
                {"chunk-size", 0, CX_FLAG_INT, &builder.chunk, "Objects in one request.", NULL, NULL, 0, INT32_MAX},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (builder_empty(&builder, &args)) {
                return cx_error_set(
                        err, -EINVAL,
                        "You must specify the type of resource to describe. Use \"kubectl api-resources\" for "
                        "a complete list of supported resources.");
        }
        INFOS targets = INFOS_INIT, infos = INFOS_INIT, found = INFOS_INIT;
        r = builder_targets(ctl, &builder, &args, &targets, err);
        if (r == 0)
                r = builder_expand(ctl, &builder, &targets, &infos, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < infos.count; i++) {
                CX_ERROR failure = CX_ERROR_INIT;
                if (infos.items[i]->object && !infos.items[i]->source)
                        continue;
                r = info_fetch(ctl, infos.items[i], &failure);
                if (r < 0 && by_prefix(ctl, &builder, &args, &found, &failure) == 0)
                        return describe_all(ctl, &found, events, "", "\n", err);
                if (r < 0)
                        return cx_error_move(err, &failure);
        }
        if (!infos.count && ctl->status)
                return 0;
        if (!infos.count) {
                if (builder.all_namespaces || (targets.count && !targets.items[0]->mapping->namespaced))
                        fprintf(stderr, "No resources found\n");
                else
                        fprintf(stderr, "No resources found in %s namespace.\n", ctl->namespace);
                return 0;
        }
        return describe_all(ctl, &infos, events, "\n\n", "", err);
}
