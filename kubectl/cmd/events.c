// SPDX-License-Identifier: Apache-2.0
// kubectl events.
#include "kubectl/cmd/describe.h"
#include "kubectl/printer/tabs.h"

#include <strings.h>

struct events {
        int64_t chunk;
        struct ctl *ctl;
        bool all, watch, no_headers;
        const char *about;
        struct output output;
        struct cx_strings types;
};

static const char *moment_of(const json_t *event)
{
        static const char *const members[] = {"series.lastObservedTime", "lastTimestamp", "eventTime",
                                              "metadata.creationTimestamp"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(members); i++) {
                const char *text = cx_json_string(event, members[i]);
                if (text)
                        return text;
        }
        return "";
}

static bool is_wanted(const struct events *e, const json_t *event)
{
        if (!e->types.count)
                return true;
        for (size_t i = 0; i < e->types.count; i++)
                if (strcasecmp(e->types.items[i], cx_json_string_or(event, "type", "")) == 0)
                        return true;
        return false;
}

// A line of cells; a message of several lines stays so.
static void put_row(const struct events *e, const json_t *event, struct cx_buf *to)
{
        int64_t now = cx_time_now(), count = cx_json_int(event, "series.count", cx_json_int(event, "count", 0));
        CX_CLEANUP(cx_freep) char *seen = describe_since(now, moment_of(event));
        CX_CLEANUP(cx_freep) char *age = NULL;
        if (count > 1) {
                const char *first = cx_json_string(event, "firstTimestamp");
                CX_CLEANUP(cx_freep)
                char *since = describe_since(now, first ? first : cx_json_string(event, "eventTime"));
                age = cx_sprintf("%s (x%lld over %s)", seen, (long long)count, since);
        }
        CX_CLEANUP(cx_freep) char *message = cx_strdup(cx_json_string_or(event, "message", ""));
        for (size_t n = strlen(message); n && strchr(" \n", message[n - 1]);)
                message[--n] = 0;
        if (e->all)
                cx_buf_printf(to, "%s\t", cx_json_string_or(event, "metadata.namespace", ""));
        cx_buf_printf(to, "%s\t%s\t%s\t%s/%s\t%s\n", age ? age : seen, cx_json_string_or(event, "type", ""),
                      cx_json_string_or(event, "reason", ""), cx_json_string_or(event, "involvedObject.kind", ""),
                      cx_json_string_or(event, "involvedObject.name", ""), message);
}

static void show_rows(const struct events *e, const struct cx_buf *rows, bool header)
{
        CX_BUF text = CX_BUF_INIT, aligned = CX_BUF_INIT;
        if (header && !e->no_headers)
                cx_buf_printf(&text, "%sLAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n", e->all ? "NAMESPACE\t" : "");
        cx_buf_append(&text, rows->data, rows->length);
        tabs_align(text.data, 6, 3, &aligned);
        OUT("%s", aligned.data);
        fflush(stdout);
}

static int compare_events(const void *left, const void *right)
{
        return strcmp(moment_of(*(json_t *const *)left), moment_of(*(json_t *const *)right));
}

static int on_event(void *context, const char *type, json_t *object)
{
        struct events *e = context;
        if (strcmp(type, "BOOKMARK") == 0 || strcmp(type, "DELETED") == 0 || !is_wanted(e, object))
                return 0;
        CX_BUF row = CX_BUF_INIT;
        put_row(e, object, &row);
        show_rows(e, &row, false);
        return 0;
}

static int show_objects(struct events *e, json_t *const *events, size_t n, struct cx_error *err)
{
        json_auto_t *items = json_array();
        for (size_t i = 0; i < n; i++) {
                if (!is_wanted(e, events[i]))
                        continue;
                json_object_set_new(events[i], "apiVersion", json_string("v1"));
                json_object_set_new(events[i], "kind", json_string("Event"));
                json_array_append(items, events[i]);
        }
        json_auto_t *list =
                json_pack("{s:s,s:O,s:s,s:{}}", "apiVersion", "v1", "items", items, "kind", "EventList", "metadata");
        CX_BUF text = CX_BUF_INIT;
        int r = output_object(&e->output, list, &text, err);
        fwrite(text.data, 1, text.length, stdout);
        return r;
}

// Goes on until it fails or is interrupted.
static int watch(struct events *e, const char *collection, const char *resource_version, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_buf_add(&path, collection);
        cx_rest_query(&path, "watch", "true");
        cx_rest_query(&path, "resourceVersion", resource_version);
        int r = 0;
        while (r == 0)
                r = ctl_watch(e->ctl, path.data, NULL, on_event, e, err);
        return r;
}

// What --for selects; NULL without it.
static int field_selector(const struct events *e, char **ret_selector, struct cx_error *err)
{
        if (!e->about)
                return 0;
        const char *slash = strchr(e->about, '/');
        if (!slash)
                return cx_error_set(err, -EINVAL, "--for must be in resource/name form");
        const struct mapping *m;
        CX_CLEANUP(cx_freep) char *type = cx_strndup(e->about, (size_t)(slash - e->about));
        int r = mapping_find(e->ctl, type, &m, err);
        if (r == 0)
                *ret_selector = cx_sprintf("involvedObject.kind=%s,involvedObject.name=%s", m->kind, slash + 1);
        return r;
}

static void release_events(struct events *e)
{
        output_release(&e->output);
        cx_strings_release(&e->types);
}

// All pages as one list, with the last one's version.
static int fetch_pages(const struct events *e, const char *path, json_t **ret_list, struct cx_error *err)
{
        json_auto_t *all = NULL;
        CX_CLEANUP(cx_freep) char *token = NULL;
        do {
                CX_BUF page = CX_BUF_INIT;
                json_t *list = NULL;
                cx_buf_add(&page, path);
                cx_rest_query(&page, "limit", e->chunk ? CX_INT(e->chunk) : NULL);
                cx_rest_query(&page, "continue", token);
                int r = ctl_json(e->ctl, "GET", page.data, NULL, NULL, &list, err);
                if (r < 0)
                        return r;
                if (all) {
                        json_array_extend(json_object_get(all, "items"), json_object_get(list, "items"));
                        json_object_set(all, "metadata", json_object_get(list, "metadata"));
                        json_decref(list);
                } else {
                        all = list;
                }
                free(token);
                const char *next = cx_json_string(all, "metadata.continue");
                token = next && *next ? cx_strdup(next) : NULL;
        } while (token);
        *ret_list = cx_steal(&all);
        return 0;
}

COMMAND(events)
{
        CX_CLEANUP(release_events) struct events e = {.ctl = ctl, .chunk = 500};
        const struct cx_flag flags[] = {
                {"all-namespaces", 'A', CX_FLAG_BOOL, &e.all, "Events of all namespaces."},
                {"for", 0, CX_FLAG_STRING, &e.about, "Only events about TYPE/NAME."},
                {"types", 0, CX_FLAG_CSV, &e.types, "Only events of these types (Normal, Warning)."},
                OUTPUT_FLAGS(&e.output),
                {"watch", 'w', CX_FLAG_BOOL, &e.watch, "Watch for more."},
                {"chunk-size", 0, CX_FLAG_INT, &e.chunk, "Events in one request; 0: all.", NULL, NULL, 0, INT32_MAX},
                {"no-headers", 0, CX_FLAG_BOOL, &e.no_headers, "Do not print headers."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) char *selector = NULL;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < e.types.count; i++)
                if (strcasecmp(e.types.items[i], "Normal") != 0 && strcasecmp(e.types.items[i], "Warning") != 0)
                        return cx_error_set(err, -EINVAL, "valid --types are Normal or Warning");
        r = field_selector(&e, &selector, err);
        if (r < 0)
                return r;
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(
                &path,
                CX_REF(.group = "", .version = "v1", .resource = "events", .namespace = e.all ? NULL : ctl->namespace),
                NULL);
        cx_rest_query(&path, "fieldSelector", selector);
        json_auto_t *list = NULL;
        r = fetch_pages(&e, path.data, &list, err);
        if (r < 0)
                return r;
        const json_t *items = json_object_get(list, "items");
        size_t n = json_array_size(items);
        CX_CLEANUP(cx_freep) json_t **sorted = cx_alloc_array(n + 1, sizeof *sorted);
        for (size_t i = 0; i < n; i++)
                sorted[i] = json_array_get(items, i);
        qsort(sorted, n, sizeof *sorted, compare_events);
        if (e.output.form != OUTPUT_DEFAULT)
                return show_objects(&e, sorted, n, err);
        CX_BUF rows = CX_BUF_INIT;
        for (size_t i = 0; i < n; i++)
                if (is_wanted(&e, sorted[i]))
                        put_row(&e, sorted[i], &rows);
        if (!rows.length && !e.watch) {
                if (e.all)
                        fprintf(stderr, "No events found.\n");
                else
                        fprintf(stderr, "No events found in %s namespace.\n", ctl->namespace);
                return 0;
        }
        show_rows(&e, &rows, true);
        return e.watch ? watch(&e, path.data, cx_json_string(list, "metadata.resourceVersion"), err) : 0;
}
