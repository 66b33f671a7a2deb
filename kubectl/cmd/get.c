// SPDX-License-Identifier: Apache-2.0
// kubectl get: tables made by the server, or objects in another form; and watching them.
#include "kubectl/cmd/commands.h"
#include "kubectl/printer/table.h"
#include "libcommon/base/time.h"
#include "libcommon/schema/engine.h"

#define ACCEPT_TABLE                                                                                                   \
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/"  \
        "json"

struct get {
        struct ctl *ctl;
        struct builder builder;
        struct output output;
        bool watch, watch_only, no_headers, show_labels, show_kind, server_print, watch_events;
        struct cx_strings label_columns;
        const char *sort_by, *raw, *subresource;
        int64_t chunk;
        bool tables; // human-readable
        size_t n_shown;
};

static void release_get(struct get *get)
{
        builder_release(&get->builder);
        output_release(&get->output);
        cx_strings_release(&get->label_columns);
}

static void query_path(const struct get *get, const struct info *info, struct cx_buf *path)
{
        info_path(info, get->subresource, path);
        if (!info->name) {
                cx_rest_query(path, "labelSelector", get->builder.selector);
                cx_rest_query(path, "fieldSelector", get->builder.field_selector);
        }
        if (get->tables && (get->sort_by || get->watch_events))
                cx_rest_query(path, "includeObject", "Object");
}

static int fetch(struct get *get, const char *path, json_t **ret_json, struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = ctl_call(
                get->ctl,
                &(struct ctl_call){.path = path, .accept = get->tables && get->server_print ? ACCEPT_TABLE : NULL},
                &reply, err);
        if (r == 0)
                r = cx_json_parse(reply.body.data, reply.body.length, false, ret_json, err);
        return r;
}

// Items of a list from the server lack apiVersion and kind.
static void complete_items(json_t *list, const struct mapping *mapping)
{
        char api_version[128];
        size_t i;
        json_t *item;
        cx_join_api_version(api_version, mapping->group, mapping->version);
        json_array_foreach (json_object_get(list, "items"), i, item) {
                if (json_object_get(item, "kind"))
                        continue;
                json_object_set_new(item, "apiVersion", json_string(api_version));
                json_object_set_new(item, "kind", json_string(mapping->kind));
        }
}

// A table of objects when the server sent objects: from the schema, or name and age.
static json_t *make_table(const struct mapping *mapping, bool plain, json_t *answer)
{
        json_t *items = json_object_get(answer, "items");
        json_auto_t *one = json_is_array(items) ? NULL : json_pack("[O]", answer);
        items = one ? one : items;
        size_t n = json_array_size(items);
        CX_CLEANUP(cx_freep) const json_t **objects = cx_alloc_array(n + 1, sizeof(void *));
        for (size_t i = 0; i < n; i++)
                objects[i] = json_array_get(items, i);
        if (mapping->schema && !plain)
                return cx_table(mapping->schema, objects, n, CX_INCLUDE_OBJECT, json_object_get(answer, "metadata"));
        json_t *rows = json_array();
        for (size_t i = 0; i < n; i++) {
                int64_t us = 0;
                char age[CX_TIME_TEXT] = "<unknown>";
                if (cx_time_parse(cx_json_string_or(objects[i], "metadata.creationTimestamp", ""), &us) == 0)
                        cx_duration_human((cx_time_now() - us) * 1000, age);
                json_array_append_new(rows, json_pack("{s:[s,s],s:O}", "cells",
                                                      cx_json_string_or(objects[i], "metadata.name", ""), age, "object",
                                                      (json_t *)objects[i]));
        }
        return json_pack("{s:s,s:[{s:s,s:s},{s:s,s:s}],s:o}", "kind", "Table", "columnDefinitions", "name", "Name",
                         "type", "string", "name", "Age", "type", "string", "rows", rows);
}

static json_t *as_table(const struct get *get, const struct info *info, json_t *answer_steal)
{
        if (!get->tables || cx_streq(cx_json_string(answer_steal, "kind"), "Table"))
                return answer_steal;
        json_t *table = make_table(info->mapping, get->subresource || !get->server_print, answer_steal);
        json_decref(answer_steal);
        return table;
}

// All pages of a collection (or one object): a Table, or an object or list.
static int fetch_all(struct get *get, const struct info *info, json_t **ret_json, struct cx_error *err)
{
        json_auto_t *all = NULL;
        CX_CLEANUP(cx_freep) char *token = NULL;
        do {
                CX_BUF path = CX_BUF_INIT;
                query_path(get, info, &path);
                if (!info->name && get->chunk > 0)
                        cx_rest_query(&path, "limit", CX_INT(get->chunk));
                cx_rest_query(&path, "continue", token);
                json_t *page = NULL;
                int r = fetch(get, path.data, &page, err);
                if (r < 0)
                        return info->name ? r : builder_list_failure(&get->builder, info, r, err);
                page = as_table(get, info, page);
                if (!get->tables && !info->name)
                        complete_items(page, info->mapping);
                free(token);
                const char *next = cx_json_string(page, "metadata.continue");
                token = next && *next ? cx_strdup(next) : NULL;
                const char *member = get->tables ? "rows" : "items";
                if (!all)
                        all = page;
                else {
                        json_array_extend(json_object_get(all, member), json_object_get(page, member));
                        json_object_set(all, "metadata", json_object_get(page, "metadata"));
                        json_decref(page);
                }
        } while (token);
        *ret_json = cx_steal(&all);
        return 0;
}

static void show_nothing(const struct get *get, const struct infos *targets)
{
        bool namespaced = true;
        for (size_t i = 0; i < targets->count; i++)
                namespaced = namespaced && targets->items[i]->mapping->namespaced;
        fflush(stdout);
        if (namespaced && !get->builder.all_namespaces)
                fprintf(stderr, "No resources found in %s namespace.\n", get->ctl->namespace);
        else
                fprintf(stderr, "No resources found\n");
}

static bool same_kind(const struct mapping *a, const struct mapping *b)
{
        return strcmp(a->resource, b->resource) == 0 && strcmp(a->group, b->group) == 0;
}

static void prepare_printer(const struct get *get, const struct info *info, bool show_kind, char kind[256],
                            struct table_printer *printer)
{
        printer->wide = get->output.form == OUTPUT_WIDE;
        printer->no_headers = get->no_headers;
        printer->show_labels = get->show_labels;
        printer->with_namespace = get->builder.all_namespaces && info->mapping->namespaced;
        printer->label_columns = &get->label_columns;
        printer->kind = show_kind ? mapping_label(info->mapping, kind) : NULL;
}

// A target's rows behind those of the targets of its kind before it, when it follows them directly.
struct section {
        const struct info *first;
        json_t *table;
};

static int show_section(struct get *get, const struct section *section, bool several, struct cx_error *err)
{
        json_t *rows = json_object_get(section->table, "rows");
        if (get->sort_by) {
                int r = output_sort(rows, "object", get->sort_by, err);
                if (r < 0)
                        return r;
        }
        char kind[256];
        struct table_printer printer = {0};
        CX_BUF text = CX_BUF_INIT;
        prepare_printer(get, section->first, several || get->show_kind, kind, &printer);
        if (get->n_shown++ && !get->no_headers)
                cx_buf_add_char(&text, '\n');
        table_print(&printer, section->table, &text);
        table_printer_release(&printer);
        fwrite(text.data, 1, text.length, stdout);
        return 0;
}

static int fetch_sections(struct get *get, struct infos *targets, struct section *sections, size_t *n,
                          struct cx_error *err)
{
        for (size_t i = 0; i < targets->count; i++) {
                const struct info *target = targets->items[i];
                json_auto_t *answer = NULL;
                CX_ERROR failure = CX_ERROR_INIT;
                if (fetch_all(get, target, &answer, &failure) < 0) {
                        if (failure.reason == CX_REASON_UNKNOWN)
                                return cx_error_move(err, &failure);
                        if (!get->builder.ignore_not_found || failure.reason != CX_REASON_NOT_FOUND)
                                ctl_report(get->ctl, &failure);
                        continue;
                }
                json_t *rows = json_object_get(answer, "rows");
                if (!json_array_size(rows))
                        continue;
                if (*n && same_kind(sections[*n - 1].first->mapping, target->mapping))
                        json_array_extend(json_object_get(sections[*n - 1].table, "rows"), rows);
                else
                        sections[(*n)++] = (struct section){target, cx_steal(&answer)};
        }
        return 0;
}

static int show_tables(struct get *get, struct infos *targets, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) struct section *sections = cx_alloc_array(targets->count + 1, sizeof *sections);
        size_t n = 0;
        int r = fetch_sections(get, targets, sections, &n, err);
        bool several = false;
        for (size_t i = 1; i < n; i++)
                several = several || !same_kind(sections[i].first->mapping, sections[0].first->mapping);
        // Collections count as kinds also when they are empty.
        for (size_t i = 0; i < targets->count; i++)
                several = several || (!targets->items[i]->name &&
                                      !same_kind(targets->items[i]->mapping, targets->items[0]->mapping));
        for (size_t i = 0; i < n; i++) {
                if (r == 0)
                        r = show_section(get, &sections[i], several, err);
                json_decref(sections[i].table);
        }
        if (r == 0 && !get->n_shown && !get->ctl->status && !get->builder.ignore_not_found)
                show_nothing(get, targets);
        return r;
}

// Collects objects: one alone stays one, everything else becomes a List.
static int show_objects(struct get *get, struct infos *targets, struct cx_error *err)
{
        json_auto_t *items = json_array(), *shown = NULL;
        bool lists = targets->count != 1;
        CX_ERROR first = CX_ERROR_INIT;
        for (size_t i = 0; i < targets->count; i++) {
                json_auto_t *answer = NULL;
                CX_ERROR failure = CX_ERROR_INIT;
                if (fetch_all(get, targets->items[i], &answer, &failure) < 0) {
                        if (failure.reason == CX_REASON_UNKNOWN)
                                return cx_error_move(err, &failure);
                        if (get->builder.ignore_not_found && failure.reason == CX_REASON_NOT_FOUND)
                                continue;
                        ctl_report(get->ctl, &failure);
                        continue;
                }
                if (targets->items[i]->name) {
                        json_array_append(items, answer);
                        continue;
                }
                lists = true;
                json_array_extend(items, json_object_get(answer, "items"));
        }
        if (targets->count == 1 && !json_array_size(items) && !lists)
                return 0;
        if (get->builder.files.count == 1 && !get->builder.recursive && get->ctl->status)
                return 0; // of one file all is shown, or nothing
        if (!json_array_size(items) && get->builder.ignore_not_found)
                return 0;
        if (get->sort_by && json_array_size(items)) {
                int r = output_sort(items, NULL, get->sort_by, err);
                if (r < 0)
                        return r;
        }
        if (lists)
                shown = json_pack("{s:s,s:O,s:s,s:{s:s}}", "apiVersion", "v1", "items", items, "kind", "List",
                                  "metadata", "resourceVersion", "");
        else
                shown = json_incref(json_array_get(items, 0));
        CX_BUF text = CX_BUF_INIT;
        int r = output_object(&get->output, shown, &text, err);
        fwrite(text.data, 1, text.length, stdout);
        return r;
}

// --- watching -------------------------------------------------------------------------------------------------------
struct watching {
        struct get *get;
        const struct info *info;
        struct table_printer printer;
        char resource_version[64];
        struct cx_error *err;
};

static void remember_version(struct watching *w, const json_t *object)
{
        const char *version = cx_json_string(object, "metadata.resourceVersion");
        const json_t *row = json_array_get(json_object_get(object, "rows"), 0);
        if (!version || !*version)
                version = cx_json_string(row, "object.metadata.resourceVersion");
        if (version && *version)
                cx_copy_string(w->resource_version, sizeof w->resource_version, version);
}

static int show_watched(struct watching *w, const char *type, json_t *object)
{
        CX_BUF text = CX_BUF_INIT;
        int r = 0;
        if (w->get->tables) {
                json_auto_t *table = as_table(w->get, w->info, json_incref(object));
                if (w->get->watch_events)
                        w->printer.event = type;
                table_print(&w->printer, table, &text);
        } else if (w->get->watch_events) {
                json_auto_t *event = json_pack("{s:s,s:O}", "type", type, "object", object);
                if (w->get->output.form == OUTPUT_JSON) {
                        json_dump_escaped(event, JSON_COMPACT, &text);
                        cx_buf_add_char(&text, '\n');
                } else {
                        r = output_object(&w->get->output, event, &text, w->err);
                }
        } else {
                r = output_object(&w->get->output, object, &text, w->err);
                if (w->get->output.form == OUTPUT_JSONPATH)
                        cx_buf_add(&text, "");
        }
        fwrite(text.data, 1, text.length, stdout);
        fflush(stdout);
        return r;
}

static int watch_event(void *context, const char *type, json_t *object)
{
        struct watching *w = context;
        remember_version(w, object);
        if (strcmp(type, "BOOKMARK") == 0)
                return 0;
        return show_watched(w, type, object);
}

static int show_initial(struct watching *w, struct cx_error *err)
{
        json_auto_t *answer = NULL;
        int r = fetch_all(w->get, w->info, &answer, err);
        if (r < 0)
                return r;
        remember_version(w, answer);
        if (w->get->watch_only)
                return 0;
        json_t *items = json_object_get(answer, "items");
        if (w->get->tables && !json_array_size(json_object_get(answer, "rows")))
                return 0;
        if (w->get->tables || !json_is_array(items))
                return show_watched(w, "ADDED", answer);
        for (size_t i = 0; r == 0 && i < json_array_size(items); i++)
                r = show_watched(w, "ADDED", json_array_get(items, i));
        return r;
}

static int watch(struct get *get, const struct infos *targets, struct cx_error *err)
{
        if (targets->count != 1)
                return cx_error_set(err, -EINVAL, "you may only specify a single resource type");
        struct watching w = {.get = get, .info = targets->items[0], .err = err};
        char kind[256];
        prepare_printer(get, w.info, get->show_kind, kind, &w.printer);
        int r = show_initial(&w, err);
        fflush(stdout);
        struct info collection = *w.info;
        collection.name = NULL;
        while (r == 0) {
                CX_BUF path = CX_BUF_INIT;
                CX_CLEANUP(cx_freep) char *selector = NULL;
                info_path(&collection, NULL, &path);
                if (w.info->name)
                        selector = cx_sprintf("metadata.name=%s", w.info->name);
                cx_rest_query(&path, "labelSelector", get->builder.selector);
                cx_rest_query(&path, "fieldSelector", selector ? selector : get->builder.field_selector);
                cx_rest_query(&path, "watch", "true");
                cx_rest_query(&path, "resourceVersion", *w.resource_version ? w.resource_version : NULL);
                r = ctl_watch(get->ctl, path.data, get->tables && get->server_print ? ACCEPT_TABLE : NULL, watch_event,
                              &w, err);
                if (get->ctl->request_timeout)
                        break;
        }
        table_printer_release(&w.printer);
        return r;
}

static int get_raw(struct ctl *ctl, const char *path, struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = ctl_call(ctl, &(struct ctl_call){.path = path}, &reply, err);
        if (r == 0)
                fwrite(reply.body.data, 1, reply.body.length, stdout);
        return r;
}

COMMAND(get)
{
        CX_CLEANUP(release_get) struct get get = {.ctl = ctl, .server_print = true, .chunk = 500};
        const struct cx_flag flags[] = {
                FILE_FLAGS(&get.builder),
                SELECTOR_FLAGS(&get.builder),
                OUTPUT_FLAGS(&get.output),
                {"all-namespaces", 'A', CX_FLAG_BOOL, &get.builder.all_namespaces, "Objects of all namespaces."},
                {"watch", 'w', CX_FLAG_BOOL, &get.watch, "After listing, watch for changes."},
                {"watch-only", 0, CX_FLAG_BOOL, &get.watch_only, "Watch for changes without listing first."},
                {"output-watch-events", 0, CX_FLAG_BOOL, &get.watch_events, "Show the events of a watch."},
                {"ignore-not-found", 0, CX_FLAG_BOOL, &get.builder.ignore_not_found,
                 "A missing object is not an error."},
                {"label-columns", 'L', CX_FLAG_CSV, &get.label_columns, "Labels to show as columns."},
                {"no-headers", 0, CX_FLAG_BOOL, &get.no_headers, "Do not print headers."},
                {"show-labels", 0, CX_FLAG_BOOL, &get.show_labels, "Show all labels as the last column."},
                {"show-kind", 0, CX_FLAG_BOOL, &get.show_kind, "Show the type before the name."},
                {"server-print", 0, CX_FLAG_BOOL, &get.server_print, "Let the server make the table."},
                {"sort-by", 0, CX_FLAG_STRING, &get.sort_by, "Sort by this field, a JSONPath."},
                {"chunk-size", 0, CX_FLAG_INT, &get.chunk, "Objects in one request; 0: all.", NULL, NULL, INT32_MIN,
                 INT32_MAX},
                {"subresource", 0, CX_FLAG_STRING, &get.subresource, "Get this subresource of the object."},
                {"raw", 0, CX_FLAG_STRING, &get.raw, "URI to request from the server as it is."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (get.raw && args.count)
                return cx_error_set(err, -EINVAL, "arguments may not be passed when --raw is specified");
        if (get.raw && (get.watch || get.watch_only || get.builder.selector))
                return cx_error_set(err, -EINVAL,
                                    "--raw may not be specified with other flags that filter the server request or "
                                    "alter the output");
        if (get.raw && get.output.text)
                return cx_error_set(err, -EINVAL, "--raw and --output are mutually exclusive");
        if (get.raw && *get.raw != '/')
                return cx_error_set(err, -EINVAL,
                                    "--raw must be a valid URL path: parse \"%s\": invalid URI for request", get.raw);
        if (get.raw)
                return get_raw(ctl, get.raw, err);
        if (get.watch_events && !get.watch && !get.watch_only)
                return cx_error_set(err, -EINVAL,
                                    "--output-watch-events option can only be used with --watch or --watch-only");
        get.output.no_headers = get.no_headers;
        get.output.tables = true;
        r = output_parse(ctl, &get.output, err);
        if (r < 0)
                return r;
        if (builder_empty(&get.builder, &args)) {
                fprintf(stderr, "You must specify the type of resource to get. Use \"kubectl api-resources\" for a "
                                "complete list of supported resources.\n\n");
                return ctl_usage_error(ctl, err,
                                       "Required resource not specified.\nUse \"kubectl explain <resource>\" for a "
                                       "detailed description of that resource (e.g. kubectl explain pods).");
        }
        get.tables = get.output.form == OUTPUT_DEFAULT || get.output.form == OUTPUT_WIDE;
        get.builder.may_list = true;
        INFOS targets = INFOS_INIT;
        r = builder_targets(ctl, &get.builder, &args, &targets, err);
        for (size_t i = 0; r == 0 && get.subresource && i < targets.count; i++)
                if (!targets.items[i]->name)
                        r = cx_error_set(err, -EINVAL, "subresource cannot be used when bulk resources are specified");
        if (r < 0)
                return r;
        ctl->bare = get.builder.files.count > 0; // what of the files is wrong is a list to upstream
        if (get.watch || get.watch_only)
                return watch(&get, &targets, err);
        return get.tables ? show_tables(&get, &targets, err) : show_objects(&get, &targets, err);
}
