// SPDX-License-Identifier: Apache-2.0
#include "addons/metrics-server/api.h"

#include "libcommon/api/quantity.h"
#include "libcommon/api/selector.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <malloc.h>

#define GROUP "metrics.k8s.io"
#define VERSION "v1beta1"
#define GROUP_VERSION GROUP "/" VERSION
#define BASE "/apis/" GROUP_VERSION

// --- objects ---------------------------------------------------------------------------------------------------------

static void *project_pod(void *context CX_UNUSED, const json_t *pod)
{
        return cx_strdup(cx_json_string_or(pod, "spec.nodeName", ""));
}

struct cx_informer *api_add_pods(struct cx_informers *informers)
{
        return cx_informers_add(informers, &(struct cx_informer_options){.ref = {"", "v1", "pods"},
                                                                         .drop_bytes = true,
                                                                         .project = project_pod,
                                                                         .free_projection = free});
}

static json_t *metadata_of(const struct cx_object *object)
{
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        json_t *metadata = json_pack("{s:s,s:s}", "name", object->name, "creationTimestamp", now),
               *labels = json_object();
        if (*object->namespace)
                json_object_set_new(metadata, "namespace", json_string(object->namespace));
        for (size_t i = 0; i < object->n_labels; i++)
                json_object_set_new(labels, object->labels[i].key, json_string(object->labels[i].value));
        if (object->n_labels)
                json_object_set(metadata, "labels", labels);
        json_decref(labels);
        return metadata;
}

static json_t *metrics_object(const struct cx_object *of, const char *kind, const struct usage *usage, const char *part,
                              json_t *part_steal)
{
        char at[CX_TIME_TEXT], window[CX_TIME_TEXT];
        cx_time_format(usage->at / 1000, at);
        cx_duration_format(usage->window / CX_NS_PER_MS * CX_NS_PER_MS, window);
        return json_pack("{s:s,s:s,s:o,s:s,s:s,s:o}", "kind", kind, "apiVersion", GROUP_VERSION, "metadata",
                         metadata_of(of), "timestamp", at, "window", window, part, part_steal);
}

static json_t *node_metrics(struct api *api, const struct cx_object *node)
{
        struct usage usage;
        return nodes_usage(api->nodes, node->name, &usage)
                       ? metrics_object(node, "NodeMetrics", &usage, "usage", usage_json(&usage))
                       : NULL;
}

static json_t *pod_metrics(struct api *api, const struct cx_object *pod)
{
        struct usage usage;
        json_t *containers;
        return nodes_pod_usage(api->nodes, cx_str(pod->projection), pod->key, &containers, &usage)
                       ? metrics_object(pod, "PodMetrics", &usage, "containers", containers)
                       : NULL;
}

// --- what is asked for -----------------------------------------------------------------------------------------------

struct kind {
        const char *resource, *singular, *kind, *list_kind;
        json_t *(*make)(struct api *api, const struct cx_object *object); // NULL: not known yet
};
static const struct kind node_kind = {"nodes", "nodemetrics", "NodeMetrics", "NodeMetricsList", node_metrics};
static const struct kind pod_kind = {"pods", "podmetrics", "PodMetrics", "PodMetricsList", pod_metrics};

struct query {
        const struct kind *kind;
        char namespace[256], name[256];
        struct cx_selector labels, fields;
};

static const char *field_of(void *context, const char *key)
{
        const struct cx_object *object = context;
        return strcmp(key, "metadata.name") == 0        ? object->name
               : strcmp(key, "metadata.namespace") == 0 ? object->namespace
                                                        : NULL;
}

static int read_selectors(struct cx_http_request *request, struct query *query, struct cx_error *err)
{
        const char *labels = cx_http_query(request, "labelSelector"), *fields = cx_http_query(request, "fieldSelector");
        CX_ERROR why = CX_ERROR_INIT;
        int r = labels && *labels ? cx_selector_parse_labels(labels, &query->labels, &why) : 0;
        if (r == 0 && fields && *fields)
                r = cx_selector_parse_fields(fields, &query->fields, &why);
        if (r < 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "%s", cx_error_text(&why));
        for (size_t i = 0; i < query->fields.count; i++)
                if (strcmp(query->fields.requirements[i].key, "metadata.name") != 0 &&
                    strcmp(query->fields.requirements[i].key, "metadata.namespace") != 0)
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "field label not supported: %s",
                                               query->fields.requirements[i].key);
        return 0;
}

static bool matches(const struct query *query, const struct cx_object *object)
{
        return cx_object_matches(object, &query->labels) &&
               cx_selector_matches_with(&query->fields, field_of, (void *)object);
}

static int by_key(const void *a, const void *b)
{
        return strcmp((*(const struct cx_object *const *)a)->key, (*(const struct cx_object *const *)b)->key);
}

static struct cx_informer *informer_of(struct api *api, const struct query *query)
{
        return query->kind == &pod_kind ? api->pods : nodes_informer(api->nodes);
}

// --- tables ----------------------------------------------------------------------------------------------------------

static json_t *row_of(const json_t *object)
{
        int64_t cpu = 0, memory = 0;
        json_t *cells = json_pack("[s]", cx_json_string_or(object, "metadata.name", ""));
        const json_t *usage = json_object_get(object, "usage"), *container;
        size_t i;
        struct cx_quantity quantity;
        json_array_foreach (json_object_get(object, "containers"), i, container) {
                const json_t *used = json_object_get(container, "usage");
                cpu += cx_quantity_from_json(json_object_get(used, "cpu"), &quantity) == 0 ? (int64_t)quantity.nano : 0;
                memory += cx_quantity_value_of(json_object_get(used, "memory"));
        }
        json_auto_t *sum = usage ? json_incref((json_t *)usage)
                                 : usage_json(&(struct usage){.cpu_nano = (uint64_t)cpu, .memory = (uint64_t)memory});
        json_array_append(cells, json_object_get(sum, "cpu"));
        json_array_append(cells, json_object_get(sum, "memory"));
        json_array_append(cells, json_object_get(object, "window"));
        return json_pack("{s:o,s:{s:s,s:s,s:O}}", "cells", cells, "object", "kind", "PartialObjectMetadata",
                         "apiVersion", "meta.k8s.io/v1", "metadata", json_object_get(object, "metadata"));
}

static void begin_table(struct cx_buf *to)
{
        static const char *const columns[][2] = {{"Name", "name"}, {"cpu", ""}, {"memory", ""}, {"Window", "duration"}};
        json_auto_t *definitions = json_array();
        for (size_t i = 0; i < CX_ARRAY_SIZE(columns); i++)
                json_array_append_new(definitions,
                                      json_pack("{s:s,s:s,s:s,s:s,s:i}", "name", columns[i][0], "type", "string",
                                                "format", columns[i][1], "description", "", "priority", 0));
        CX_CLEANUP(cx_freep) char *text = cx_json_text(definitions);
        cx_buf_printf(to,
                      "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{},\"columnDefinitions\":%s,"
                      "\"rows\":[",
                      text);
}

static bool wants_table(struct cx_http_request *request)
{
        const char *accept = cx_str(cx_http_header(request, "Accept"));
        size_t first = strcspn(accept, ",");
        CX_CLEANUP(cx_freep) char *head = cx_strndup(accept, first);
        return strstr(head, "as=Table") && strstr(head, "application/json");
}

// --- answers ---------------------------------------------------------------------------------------------------------

#define LARGE ((size_t)256 << 10)

// A list or a table grows as text, object by object: as trees, those of a large cluster take ten times as much.
static void add_item(struct cx_buf *to, bool table, const json_t *object)
{
        json_auto_t *row = table ? row_of(object) : NULL;
        CX_CLEANUP(cx_freep) char *text = cx_json_text(row ? row : object);
        if (to->length && to->data[to->length - 1] != '[')
                cx_buf_add(to, ",");
        cx_buf_add(to, text);
}

static void answer_list(struct api *api, struct cx_http_request *request, const struct query *query)
{
        CX_OBJECTS objects = CX_OBJECTS_INIT;
        CX_BUF text = CX_BUF_INIT;
        bool table = wants_table(request);
        if (table)
                begin_table(&text);
        else
                cx_buf_printf(&text,
                              "{\"kind\":\"%s\",\"apiVersion\":\"" GROUP_VERSION "\",\"metadata\":{},\"items\":[",
                              query->kind->list_kind);
        cx_informer_list(informer_of(api, query), *query->namespace ? query->namespace : NULL, &objects);
        if (objects.count)
                qsort((void *)objects.items, objects.count, sizeof objects.items[0], by_key);
        for (size_t i = 0; i < objects.count; i++) {
                json_auto_t *item = matches(query, objects.items[i]) ? query->kind->make(api, objects.items[i]) : NULL;
                if (item)
                        add_item(&text, table, item);
        }
        cx_buf_add(&text, "]}");
        bool large = text.length > LARGE;
        cx_http_respond_buf(request, 200, NULL, &text);
        if (large)
                malloc_trim(0);
}

static void answer(struct cx_http_request *request, json_t *object_steal)
{
        json_auto_t *object = object_steal;
        CX_BUF text = CX_BUF_INIT;
        if (!wants_table(request)) {
                cx_http_respond_json(request, 200, json_incref(object));
                return;
        }
        begin_table(&text);
        add_item(&text, true, object);
        cx_buf_add(&text, "]}");
        cx_http_respond_buf(request, 200, NULL, &text);
}

static int answer_one(struct api *api, struct cx_http_request *request, const struct query *query, struct cx_error *err)
{
        CX_OBJECT *object = cx_informer_get(informer_of(api, query), query->namespace, query->name);
        json_t *made = object ? query->kind->make(api, object) : NULL;
        if (made) {
                answer(request, made);
                return 0;
        }
        CX_CLEANUP(cx_freep)
        char *name = *query->namespace ? cx_sprintf("%s/%s", query->namespace, query->name) : cx_strdup(query->name);
        int r = cx_error_reason(err, CX_REASON_NOT_FOUND, "%s." GROUP " \"%s\" not found", query->kind->singular, name);
        cx_error_about(err, GROUP, query->kind->singular, name);
        return r;
}

// Of "nodes", "nodes/N", "pods", "namespaces/NS/pods", "namespaces/NS/pods/N".
static bool read_path(const char *path, struct query *query)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, path, '/');
        size_t i = 0;
        if (parts.count >= 3 && strcmp(parts.items[0], "namespaces") == 0) {
                if (strlen(parts.items[1]) >= sizeof query->namespace || !*parts.items[1])
                        return false;
                (void)snprintf(query->namespace, sizeof query->namespace, "%s", parts.items[1]);
                i = 2;
        }
        if (i >= parts.count || parts.count > i + 2)
                return false;
        query->kind = strcmp(parts.items[i], "pods") == 0              ? &pod_kind
                      : i == 0 && strcmp(parts.items[i], "nodes") == 0 ? &node_kind
                                                                       : NULL;
        if (!query->kind || i + 1 == parts.count)
                return query->kind;
        const char *name = parts.items[i + 1];
        if (!*name || strlen(name) >= sizeof query->name || (query->kind == &pod_kind && i == 0))
                return false;
        (void)snprintf(query->name, sizeof query->name, "%s", name);
        return true;
}

static bool serve_objects(struct api *api, struct cx_http_request *request, const char *path)
{
        struct query query = {.labels = CX_SELECTOR_INIT, .fields = CX_SELECTOR_INIT};
        CX_ERROR err = CX_ERROR_INIT;
        const char *watch = cx_http_query(request, "watch");
        if (!read_path(path, &query))
                return false;
        int r = 0;
        if (strcmp(cx_http_method(request), "GET") != 0 ||
            (watch && strcmp(watch, "false") != 0 && strcmp(watch, "0") != 0))
                r = cx_error_reason(&err, CX_REASON_METHOD_NOT_ALLOWED,
                                    "the server does not allow this method on the requested resource");
        if (r == 0)
                r = read_selectors(request, &query, &err);
        if (r == 0 && *query.name)
                r = answer_one(api, request, &query, &err);
        else if (r == 0)
                answer_list(api, request, &query);
        if (r < 0)
                cx_http_respond_error(request, &err);
        cx_selector_release(&query.labels);
        cx_selector_release(&query.fields);
        return true;
}

// --- documents -------------------------------------------------------------------------------------------------------

static json_t *resource_entry(const struct kind *kind, bool namespaced)
{
        return json_pack("{s:s,s:s,s:b,s:s,s:[s,s]}", "name", kind->resource, "singularName", "", "namespaced",
                         namespaced, "kind", kind->kind, "verbs", "get", "list");
}

static json_t *group_document(void)
{
        return json_pack("{s:s,s:s,s:s,s:[{s:s,s:s}],s:{s:s,s:s}}", "kind", "APIGroup", "apiVersion", "v1", "name",
                         GROUP, "versions", "groupVersion", GROUP_VERSION, "version", VERSION, "preferredVersion",
                         "groupVersion", GROUP_VERSION, "version", VERSION);
}

static json_t *field(const char *type, const char *words)
{
        return json_pack("{s:s,s:s}", "type", type, "description", words);
}

static json_t *usage_field(void)
{
        return json_pack(
                "{s:s,s:s,s:{s:s}}", "type", "object", "description",
                "What is used: cpu in cores over the window, memory in bytes, without what can be freed at once.",
                "additionalProperties", "type", "string");
}

static json_t *type_of(const char *kind, const char *words, const char *part, json_t *part_steal)
{
        return json_pack("{s:s,s:s,s:{s:o,s:o,s:o,s:o,s:o,s:o},s:[{s:s,s:s,s:s}]}", "type", "object", "description",
                         words, "properties", "apiVersion", field("string", "Version of the API: " GROUP_VERSION "."),
                         "kind", field("string", "What kind of object this is."), "metadata",
                         field("object", "Name, namespace and labels of what was measured."), "timestamp",
                         field("string", "When the later of two measurements was taken."), "window",
                         field("string", "How long before that the other one was taken."), part, part_steal,
                         "x-kubernetes-group-version-kind", "group", GROUP, "version", VERSION, "kind", kind);
}

static json_t *types(void)
{
        json_t *container =
                json_pack("{s:s,s:s,s:{s:s,s:{s:o,s:o}}}", "type", "array", "description",
                          "What each of the pod's containers uses.", "items", "type", "object", "properties", "name",
                          field("string", "The container's name."), "usage", usage_field());
        return json_pack("{s:o,s:o}", "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics",
                         type_of("NodeMetrics", "What a node uses.", "usage", usage_field()),
                         "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics",
                         type_of("PodMetrics", "What the containers of a pod use.", "containers", container));
}

static json_t *openapi_v2(void)
{
        json_t *paths = json_object();
        static const char *const list[][2] = {{BASE "/nodes", "NodeMetrics"}, {BASE "/pods", "PodMetrics"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(list); i++)
                json_object_set_new(
                        paths, list[i][0],
                        json_pack(
                                "{s:{s:s,s:[s],s:{s:{s:s,s:{s:o}}}}}", "get", "operationId",
                                i ? "listMetricsV1beta1PodMetricsForAllNamespaces" : "listMetricsV1beta1NodeMetrics",
                                "produces", "application/json", "responses", "200", "description", "OK", "schema",
                                "$ref",
                                json_sprintf("#/definitions/io.k8s.metrics.pkg.apis.metrics.v1beta1.%s", list[i][1])));
        return json_pack("{s:s,s:{s:s,s:s},s:o,s:o}", "swagger", "2.0", "info", "title", "metrics-server", "version",
                         VERSION, "paths", paths, "definitions", types());
}

static json_t *list_operation(const struct kind *kind)
{
        CX_CLEANUP(cx_freep)
        char *reference = cx_sprintf("#/components/schemas/io.k8s.metrics.pkg.apis.metrics.v1beta1.%s", kind->kind);
        return json_pack("{s:{s:s,s:{s:s,s:s,s:s},s:{s:{s:s,s:{s:{s:{s:s}}}}}}}", "get", "x-kubernetes-action", "list",
                         "x-kubernetes-group-version-kind", "group", GROUP, "version", VERSION, "kind", kind->kind,
                         "responses", "200", "description", "OK", "content", "application/json", "schema", "$ref",
                         reference);
}

static json_t *openapi_v3(void)
{
        return json_pack("{s:s,s:{s:s,s:s},s:{s:o,s:o,s:o},s:{s:o}}", "openapi", "3.0.0", "info", "title",
                         "metrics-server", "version", VERSION, "paths", BASE "/nodes", list_operation(&node_kind),
                         BASE "/pods", list_operation(&pod_kind), BASE "/namespaces/{namespace}/pods",
                         list_operation(&pod_kind), "components", "schemas", types());
}

static json_t *document(const char *path)
{
        if (strcmp(path, "/apis") == 0)
                return json_pack("{s:s,s:s,s:[o]}", "kind", "APIGroupList", "apiVersion", "v1", "groups",
                                 group_document());
        if (strcmp(path, "/apis/" GROUP) == 0)
                return group_document();
        if (strcmp(path, BASE) == 0)
                return json_pack("{s:s,s:s,s:s,s:[o,o]}", "kind", "APIResourceList", "apiVersion", "v1", "groupVersion",
                                 GROUP_VERSION, "resources", resource_entry(&node_kind, false),
                                 resource_entry(&pod_kind, true));
        if (strcmp(path, "/openapi/v2") == 0)
                return openapi_v2();
        if (strcmp(path, "/openapi/v3") == 0)
                return json_pack("{s:{s:{s:s}}}", "paths", "apis/" GROUP_VERSION, "serverRelativeURL",
                                 "/openapi/v3" BASE "?hash=1");
        if (strcmp(path, "/openapi/v3" BASE) == 0)
                return openapi_v3();
        return NULL;
}

bool api_serve(struct api *api, struct cx_http_request *request)
{
        const char *path = cx_http_path(request);
        json_t *found = document(path);
        if (found) {
                cx_http_respond_json(request, 200, found);
                return true;
        }
        return cx_has_prefix(path, BASE "/") && serve_objects(api, request, path + strlen(BASE "/"));
}
