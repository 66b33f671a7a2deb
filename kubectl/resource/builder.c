// SPDX-License-Identifier: Apache-2.0
// From words and files to infos; fetching, listing and patching them.
#include "kubectl/resource/builder.h"

#include "libcommon/api/selector.h"
#include "libcommon/schema/engine.h"

#include <strings.h>

static void free_info(struct info *info)
{
        free(info->namespace);
        free(info->name);
        free(info->source);
        json_decref(info->object);
        free(info);
}

void infos_release(struct infos *infos)
{
        for (size_t i = 0; i < infos->count; i++)
                if (infos->items[i])
                        free_info(infos->items[i]);
        free(infos->items);
        *infos = (struct infos)INFOS_INIT;
}

static void append(struct infos *infos, struct info *info)
{
        infos->items = cx_realloc_array(infos->items, infos->count + 1, sizeof *infos->items);
        infos->items[infos->count++] = info;
}

struct info *infos_add(struct infos *infos, const struct mapping *mapping, const char *namespace, const char *name)
{
        struct info *info = cx_alloc(sizeof *info);
        info->mapping = mapping;
        info->namespace = mapping->namespaced ? cx_strdup(namespace) : NULL;
        info->name = cx_strdup(name);
        append(infos, info);
        return info;
}

void builder_release(struct builder *builder)
{
        cx_strings_release(&builder->files);
}

bool builder_empty(const struct builder *builder, const struct cx_strings *args)
{
        return !args->count && !builder->files.count && !builder->kustomize;
}

// --- files ----------------------------------------------------------------------------------------------------------
static int no_such_kind(const char *api_version, const char *kind, const char *name, const char *namespace,
                        const char *source, struct cx_error *err)
{
        return cx_error_set(err, -ENOENT,
                            "resource mapping not found for name: \"%s\" namespace: \"%s\" from \"%s\": no matches for "
                            "kind \"%s\" in version \"%s\"\nensure CRDs are installed first",
                            name, namespace, source, kind, api_version);
}

static int take_namespace(struct ctl *ctl, json_t *object, struct cx_error *err)
{
        const char *said = cx_json_string(object, "metadata.namespace");
        if (!said || !*said) {
                json_t *metadata = cx_json_object_at(object, "metadata");
                return json_object_set_new(metadata, "namespace", json_string(ctl->namespace));
        }
        if (ctl->namespace_flag && strcmp(said, ctl->namespace_flag) != 0)
                return cx_error_set(err, -EINVAL,
                                    "the namespace from the provided object \"%s\" does not match the namespace "
                                    "\"%s\". You must pass '--namespace=%s' to perform this operation.",
                                    said, ctl->namespace_flag, said);
        return 0;
}

// An object of a file without the name that the command needs.
static int unnamed(const struct builder *builder, const json_t *document, const struct mapping *mapping,
                   const char *source, struct cx_error *err)
{
        const char *prefix = cx_json_string_or(document, "metadata.generateName", "");
        char resource[256], kind[256];
        if (!builder->applies)
                return cx_error_set(err, -EINVAL, "error when %s \"%s\": resource name may not be empty",
                                    builder->verb ? builder->verb : "reading", source);
        if (*prefix)
                return cx_error_set(err, -EINVAL, "from %s: cannot use generate name with apply", prefix);
        return cx_error_set(
                err, -EINVAL,
                "error when retrieving current configuration of:\nResource: \"%s\", GroupVersionKind: "
                "\"%s\"\nName: \"\", Namespace: \"%s\"\nfrom server for: \"%s\": resource name may not be empty",
                mapping_resource_text(mapping, resource), mapping_kind_text(mapping, kind),
                cx_json_string_or(document, "metadata.namespace", ""), source);
}

// Whether -l, which also filters what files hold, lets the object through.
static bool selected(const struct builder *builder, const json_t *document)
{
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        return !builder->selector || (cx_selector_parse_labels(builder->selector, &selector, NULL) == 0 &&
                                      cx_selector_matches(&selector, cx_json_get(document, "metadata.labels")));
}

// Whether the document says what it is, in the words of a validation or of decoding.
static int check_document(const struct builder *builder, const json_t *document, const char *source,
                          struct cx_error *err)
{
        const char *version = cx_json_string_or(document, "apiVersion", "");
        const char *kind = cx_json_string_or(document, "kind", ""), *wrong = NULL;
        if (*version && *kind)
                return 0;
        if (builder->validates) {
                wrong = !json_is_object(document) ? "invalid object to validate"
                        : *version                ? "kind not set"
                        : *kind                   ? "apiVersion not set"
                                                  : "[apiVersion not set, kind not set]";
                return cx_error_set(err, -EINVAL,
                                    "error validating \"%s\": error validating data: %s; if you choose to ignore these "
                                    "errors, turn validation off with --validate=false",
                                    source, wrong);
        }
        CX_CLEANUP(cx_freep) char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        if (!json_is_object(document))
                return cx_error_set(
                        err, -EINVAL,
                        "unable to decode \"%s\": json: cannot unmarshal %s into Go value of type struct { "
                        "Kind string \"json:\\\"kind\\\"\"; APIVersion string \"json:\\\"apiVersion\\\"\" }",
                        source,
                        json_is_string(document)  ? "string"
                        : json_is_array(document) ? "array"
                                                  : "number");
        return cx_error_set(err, -EINVAL, "unable to decode \"%s\": Object '%s' is missing in '%s'", source,
                            *kind ? "apiVersion" : "Kind", cx_str(text));
}

static int add_document(struct ctl *ctl, const struct builder *builder, json_t *document, const char *source,
                        struct infos *infos, struct cx_error *err)
{
        int r = check_document(builder, document, source, err);
        if (r < 0)
                return r;
        const char *api_version = cx_json_string(document, "apiVersion"), *kind = cx_json_string(document, "kind");
        const json_t *items = json_object_get(document, "items");
        if (cx_has_suffix(kind, "List") && json_is_array(items)) {
                size_t i;
                json_t *item;
                json_array_foreach (items, i, item) {
                        if (json_is_object(item) && strcmp(kind, "List") != 0 && !json_object_get(item, "kind")) {
                                char singular[128];
                                snprintf(singular, sizeof singular, "%.*s", (int)strlen(kind) - 4, kind);
                                json_object_set_new(item, "kind", json_string(singular));
                                json_object_set_new(item, "apiVersion", json_string(api_version));
                        }
                        r = add_document(ctl, builder, item, source, infos, err);
                        if (r < 0)
                                return r;
                }
                return 0;
        }
        const struct mapping *mapping;
        const char *name = cx_json_string_or(document, "metadata.name", "");
        r = mapping_by_kind(ctl, api_version, kind, &mapping, err);
        if (r == -ENOENT && (!err || !err->code))
                return no_such_kind(api_version, kind, name, cx_json_string_or(document, "metadata.namespace", ""),
                                    source, err);
        if (r < 0)
                return r;
        if (mapping->namespaced && (r = take_namespace(ctl, document, err)) < 0)
                return r;
        if (!selected(builder, document))
                return 0;
        if (!*name && !builder->ignore_unnamed)
                return unnamed(builder, document, mapping, source, err);
        struct info *info = infos_add(infos, mapping, cx_json_string(document, "metadata.namespace"), name);
        info->source = cx_strdup(source);
        info->position = ctl->position;
        info->object = json_incref(document);
        return 0;
}

static int from_files(struct ctl *ctl, struct builder *builder, struct infos *infos, struct cx_error *err)
{
        DOCUMENTS documents = {0};
        int r = files_read(ctl, builder, &documents, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < documents.count; i++) {
                struct input_document *document = &documents.items[i];
                CX_ERROR failure = CX_ERROR_INIT;
                ctl->position = (int64_t)i;
                if (document->failure.code)
                        r = cx_error_move(&failure, &document->failure);
                else
                        r = add_document(ctl, builder, document->object, document->source, infos, &failure);
                if (r == 0)
                        continue;
                if (documents.count == 1 || builder->stops)
                        return cx_error_move(err, &failure);
                ctl_report(ctl, &failure); // the others go on, but for a file that is not valid
                bool ends = builder->validates && check_document(builder, document->object, "", NULL) < 0;
                while (ends && i + 1 < documents.count && strcmp(documents.items[i + 1].source, document->source) == 0)
                        i++;
        }
        ctl->position = (int64_t)documents.count;
        return 0;
}

// --- words ----------------------------------------------------------------------------------------------------------
static int parse_types(struct ctl *ctl, const char *word, const struct mapping ***ret_list, size_t *ret_count,
                       struct cx_error *err)
{
        CX_STRINGS words = CX_STRINGS_INIT;
        cx_strings_split(&words, word, ',');
        *ret_list = NULL;
        *ret_count = 0;
        for (size_t i = 0; i < words.count; i++) {
                const struct mapping **category = NULL, *mapping;
                size_t n = 0;
                int r = 0;
                if (!words.items[i][0])
                        r = cx_error_set(err, -EINVAL,
                                         "arguments in resource/name form must have a single resource and name");
                if (r == 0)
                        r = mapping_category(ctl, words.items[i], &category, &n, err);
                if (r == 0 && !n) {
                        r = mapping_find(ctl, words.items[i], &mapping, err);
                        if (r == 0) {
                                category = cx_alloc(sizeof(void *));
                                category[0] = mapping;
                                n = 1;
                        }
                }
                if (r < 0) {
                        free(*ret_list);
                        *ret_list = NULL;
                        return r;
                }
                *ret_list = cx_realloc_array(*ret_list, *ret_count + n, sizeof **ret_list);
                for (size_t j = 0; j < n; j++)
                        (*ret_list)[(*ret_count)++] = category[j];
                free(category);
        }
        return 0;
}

static int from_slashes(struct ctl *ctl, const struct builder *builder, const struct cx_strings *args,
                        struct infos *infos, struct cx_error *err)
{
        for (size_t i = 0; i < args->count; i++) {
                const char *slash = strchr(args->items[i], '/');
                if (!slash)
                        return cx_error_set(err, -EINVAL,
                                            "there is no need to specify a resource type as a separate argument when "
                                            "passing arguments in resource/name form (e.g. 'kubectl get "
                                            "resource/<resource_name>' instead of 'kubectl get resource "
                                            "resource/<resource_name>'");
                if (strchr(slash + 1, '/'))
                        return cx_error_set(err, -EINVAL,
                                            "arguments in resource/name form may not have more than one slash");
                if (slash == args->items[i] || !slash[1])
                        return cx_error_set(err, -EINVAL,
                                            "arguments in resource/name form must have a single resource and name");
                CX_CLEANUP(cx_freep) char *type = cx_strndup(args->items[i], (size_t)(slash - args->items[i]));
                if (strchr(type, ','))
                        return cx_error_set(err, -EINVAL,
                                            "arguments in resource/name form may not have more than one resource");
                const struct mapping *mapping;
                int r = mapping_find(ctl, type, &mapping, err);
                if (r < 0)
                        return r;
                if (builder->all_namespaces && mapping->namespaced)
                        return cx_error_set(err, -EINVAL,
                                            "a resource cannot be retrieved by name across all namespaces");
                infos_add(infos, mapping, ctl->namespace, slash + 1);
        }
        return 0;
}

static int from_words(struct ctl *ctl, const struct builder *builder, const struct cx_strings *args,
                      struct infos *infos, struct cx_error *err)
{
        bool picks = builder->selector || builder->field_selector || builder->all;
        bool slashes = false;
        for (size_t i = 0; i < args->count; i++)
                slashes = slashes || strchr(args->items[i], '/');
        if (slashes) {
                if (picks)
                        return cx_error_set(err, -EINVAL, "name cannot be provided when a selector is specified");
                return from_slashes(ctl, builder, args, infos, err);
        }
        if (builder->default_type && args->count >= 1 && !picks && args->count == 1) {
                const struct mapping *mapping;
                int r = mapping_find(ctl, builder->default_type, &mapping, err);
                if (r == 0)
                        infos_add(infos, mapping, ctl->namespace, args->items[0]);
                return r;
        }
        CX_CLEANUP(cx_freep) const struct mapping **types = NULL;
        size_t n = 0;
        int r = parse_types(ctl, args->items[0], &types, &n, err);
        if (r < 0)
                return r;
        if (args->count > 1 && picks)
                return cx_error_set(err, -EINVAL, "name cannot be provided when a selector is specified");
        if (args->count == 1 && !picks && !builder->may_list)
                return cx_error_set(err, -EINVAL, "resource(s) were provided, but no name was specified");
        for (size_t j = 1; j < args->count; j++)
                if (!args->items[j][0])
                        return cx_error_set(err, -EINVAL, "resource name may not be empty");
        for (size_t i = 0; i < n; i++) {
                if (args->count > 1 && builder->all_namespaces && types[i]->namespaced)
                        return cx_error_set(err, -EINVAL,
                                            "a resource cannot be retrieved by name across all namespaces");
                if (args->count == 1)
                        infos_add(infos, types[i], builder->all_namespaces ? NULL : ctl->namespace, NULL);
                for (size_t j = 1; j < args->count; j++)
                        infos_add(infos, types[i], ctl->namespace, args->items[j]);
        }
        return 0;
}

int builder_targets(struct ctl *ctl, struct builder *builder, const struct cx_strings *args, struct infos *ret_infos,
                    struct cx_error *err)
{
        int r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        if (builder->files.count || builder->kustomize) {
                if (args->count)
                        return cx_error_set(err, -EINVAL,
                                            "when paths, URLs, or stdin is provided as input, you may not "
                                            "specify resource arguments as well");
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                CX_ERROR why = CX_ERROR_INIT;
                if (builder->selector && (r = cx_selector_parse_labels(builder->selector, &selector, &why)) < 0)
                        return cx_error_set(err, r, "the provided selector \"%s\" is not valid: %s", builder->selector,
                                            cx_error_text(&why));
                return from_files(ctl, builder, ret_infos, err);
        }
        if (!args->count)
                return cx_error_set(err, -EINVAL,
                                    "You must provide one or more resources by argument or filename.\n"
                                    "Example resource specifications include:\n   '-f rsrc.yaml'\n   "
                                    "'--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'");
        return from_words(ctl, builder, args, ret_infos, err);
}

int builder_list_failure(const struct builder *builder, const struct info *target, int r, struct cx_error *err)
{
        if (!err || (err->reason != CX_REASON_BAD_REQUEST && err->reason != CX_REASON_NOT_FOUND))
                return r;
        char resource[256];
        mapping_resource_text(target->mapping, resource);
        if (!builder->selector && !builder->field_selector)
                return cx_error_wrap(err, "Unable to list \"%s\"", resource);
        return cx_error_wrap(err, "Unable to find \"%s\" that match label selector \"%s\", field selector \"%s\"",
                             resource, cx_str(builder->selector), cx_str(builder->field_selector));
}

// --- the server -----------------------------------------------------------------------------------------------------
static int list_collection(struct ctl *ctl, const struct builder *builder, const struct info *target,
                           struct infos *infos, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *token = NULL;
        do {
                CX_BUF path = CX_BUF_INIT;
                info_path(target, NULL, &path);
                cx_rest_query(&path, "labelSelector", builder->selector);
                cx_rest_query(&path, "fieldSelector", builder->field_selector);
                cx_rest_query(&path, "limit", CX_INT(builder->chunk ? builder->chunk : 500));
                cx_rest_query(&path, "continue", token);
                json_auto_t *list = NULL;
                int r = ctl_json(ctl, "GET", path.data, NULL, NULL, &list, err);
                if (r < 0)
                        return builder_list_failure(builder, target, r, err);
                size_t i;
                json_t *item;
                char api_version[128];
                cx_join_api_version(api_version, target->mapping->group, target->mapping->version);
                json_array_foreach (json_object_get(list, "items"), i, item) {
                        struct info *info =
                                infos_add(infos, target->mapping, cx_json_string(item, "metadata.namespace"),
                                          cx_json_string_or(item, "metadata.name", ""));
                        json_object_set_new(item, "apiVersion", json_string(api_version));
                        json_object_set_new(item, "kind", json_string(target->mapping->kind));
                        info->object = json_incref(item);
                }
                free(token);
                const char *next = cx_json_string(list, "metadata.continue");
                token = next && *next ? cx_strdup(next) : NULL;
        } while (token);
        return 0;
}

int builder_expand(struct ctl *ctl, const struct builder *builder, struct infos *targets, struct infos *ret_infos,
                   struct cx_error *err)
{
        for (size_t i = 0; i < targets->count; i++) {
                struct info *target = targets->items[i];
                if (target->name) {
                        targets->items[i] = NULL;
                        append(ret_infos, target);
                        continue;
                }
                int r = list_collection(ctl, builder, target, ret_infos, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int builder_objects(struct ctl *ctl, struct builder *builder, const struct cx_strings *args, struct infos *ret_infos,
                    struct cx_error *err)
{
        INFOS targets = INFOS_INIT, all = INFOS_INIT;
        int r = builder_targets(ctl, builder, args, &targets, err);
        if (r == 0)
                r = builder_expand(ctl, builder, &targets, &all, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < all.count; i++) {
                struct info *info = all.items[i];
                CX_ERROR failure = CX_ERROR_INIT;
                ctl->position = info->position;
                if (!builder->local && (info->source || !info->object) && info_fetch(ctl, info, &failure) < 0) {
                        if (builder->ignore_not_found && cx_error_is(&failure, CX_REASON_NOT_FOUND))
                                continue;
                        r = ctl_report_or_end(ctl, &failure, err); // no server, no use going on
                        if (r < 0)
                                return r;
                        continue;
                }
                append(ret_infos, info);
                all.items[i] = NULL;
        }
        return 0;
}

void info_path(const struct info *info, const char *subresource, struct cx_buf *to)
{
        const struct mapping *m = info->mapping;
        cx_rest_path(to,
                     CX_REF(.group = m->group, .version = m->version, .resource = m->resource,
                            .namespace = info->namespace, .name = info->name),
                     subresource);
}

int info_fetch(struct ctl *ctl, struct info *info, struct cx_error *err)
{
        return info_fetch_from(ctl, info, NULL, err);
}

int info_fetch_from(struct ctl *ctl, struct info *info, const char *subresource, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        info_path(info, subresource, &path);
        json_t *object = NULL;
        int r = ctl_json(ctl, "GET", path.data, NULL, NULL, &object, err);
        if (r < 0)
                return r;
        json_decref(info->object);
        info->object = object;
        return 0;
}

int info_diff(const struct info *info, const json_t *wanted, json_t **ret_patch, struct cx_error *err)
{
        if (info->mapping->schema) // a three-way patch whose original is the current object
                return cx_patch_strategic_three_way(info->mapping->schema->kind->type, info->object, wanted,
                                                    info->object, ret_patch, err);
        *ret_patch = cx_patch_merge_diff(info->object, wanted);
        return 0;
}

enum cx_patch_type info_patch_type(const struct info *info)
{
        return info->mapping->schema ? CX_PATCH_STRATEGIC : CX_PATCH_MERGE;
}

int info_patch(struct ctl *ctl, struct info *info, const char *subresource, enum cx_patch_type type,
               const json_t *patch, int dry_run, const char *manager, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        info_path(info, subresource, &path);
        cx_rest_query(&path, "fieldManager", manager);
        cx_rest_query(&path, "dryRun", dry_run == DRY_SERVER ? "All" : NULL);
        json_t *object = NULL;
        int r = ctl_json(ctl, "PATCH", path.data, cx_patch_content_type(type), patch, &object, err);
        if (r < 0)
                return r;
        json_decref(info->object);
        info->object = object;
        return 0;
}

int info_wrap(const struct info *info, const char *verb, struct cx_error *err)
{
        if (!info->source || !err)
                return err ? err->code : -EIO;
        return cx_error_wrap(err, "error when %s \"%s\"", verb, info->source);
}

const char *info_label(const struct info *info, char *to)
{
        char label[256];
        snprintf(to, 512, "%s/%s", mapping_label(info->mapping, label), cx_str(info->name));
        return to;
}
