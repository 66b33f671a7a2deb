// SPDX-License-Identifier: Apache-2.0
// From a directory to its objects: what its resources and components give, what it generates, and what it changes of both,
// in kustomize's order. Names get their hashes, and references follow, when all is there.
#include "kubectl/kustomize/internal.h"
#include "libcommon/format/yaml.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE ((size_t)64 << 20)
#define MAX_DEPTH 32

static const char *const known[] = {
        "apiVersion",
        "kind",
        "metadata",
        "resources",
        "bases",
        "components",
        "namespace",
        "namePrefix",
        "nameSuffix",
        "labels",
        "commonLabels",
        "commonAnnotations",
        "patches",
        "images",
        "replicas",
        "replacements",
        "sortOptions",
        "secretGenerator",
        "generatorOptions",
        "configMapGenerator",
        "patchesJson6902",
        "patchesStrategicMerge",
};
static const char *const refused[] = {"vars",        "crds",          "configurations", "openapi",
                                      "generators",  "transformers",  "validators",     "helmCharts",
                                      "helmGlobals", "buildMetadata", "inventory",      "helmChartInflationGenerator"};
static const struct {
        const char *field, *instead;
} deprecated[] = {{"bases", "resources"},
                  {"commonLabels", "labels"},
                  {"patchesJson6902", "patches"},
                  {"patchesStrategicMerge", "patches"}};

static bool listed(const char *const *list, size_t count, const char *word)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(list[i], word) == 0)
                        return true;
        return false;
}

// --- files ------------------------------------------------------------------------------------------------------------
static bool is_remote(const char *name)
{
        static const char *const signs[] = {"://", "github.com/", "git@", "?ref=", "git::"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(signs); i++)
                if (strstr(name, signs[i]))
                        return true;
        return false;
}

// The true path of what the kustomization names.
static int resolve(const struct kustomization *k, const char *name, char to[PATH_MAX], struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = *name == '/' ? cx_strdup(name) : cx_sprintf("%s/%s", k->root, name);
        if (!realpath(path, to))
                return cx_error_set(err, -ENOENT, "evalsymlink failure on '%s' : lstat %s: no such file or directory",
                                    path, path);
        return 0;
}

int kustomization_read(const struct kustomization *k, const char *name, struct cx_buf *to, struct cx_error *err)
{
        char path[PATH_MAX];
        size_t length = strlen(k->root);
        if (is_remote(name))
                return cx_error_set(err, -ENOTSUP, "%s is not on this machine: remote files are not supported", name);
        int r = resolve(k, name, path, err);
        if (r < 0)
                return r;
        if (!k->options->unrestricted && (strncmp(path, k->root, length) != 0 || path[length] != '/'))
                return cx_error_set(err, -EPERM, "security; file '%s' is not in or below '%s'", path, k->root);
        r = cx_buf_read_file(to, path);
        return r < 0 ? cx_error_set(err, r, "cannot read '%s': %s", path, strerror(-r)) : 0;
}

int kustomization_parse(const char *text, const char *source, json_t **ret_documents, struct cx_error *err)
{
        CX_ERROR why = CX_ERROR_INIT;
        int r = cx_yaml_parse_new(text, strlen(text), ret_documents, &why);
        return r < 0 ? cx_error_set(err, r, "%s: %s", source, cx_error_text(&why)) : 0;
}

// --- reading a kustomization ------------------------------------------------------------------------------------------
static int find_file(const char *root, char **ret_path, struct cx_error *err)
{
        static const char *const names[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", root, names[i]);
                if (access(path, F_OK) == 0) {
                        if (*ret_path)
                                return cx_error_set(err, -EINVAL, "Found multiple kustomization files under: %s", root);
                        *ret_path = cx_steal(&path);
                }
        }
        if (!*ret_path)
                return cx_error_set(err, -ENOENT,
                                    "unable to find one of 'kustomization.yaml', 'kustomization.yml' or "
                                    "'Kustomization' in directory '%s'",
                                    root);
        return 0;
}

static int check_fields(const json_t *fields, struct cx_error *err)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)fields, key, value) {
                bool empty = json_is_null(value) || (json_is_array(value) && !json_array_size(value)) ||
                             (json_is_object(value) && !json_object_size(value));
                if (listed(refused, CX_ARRAY_SIZE(refused), key)) {
                        if (!empty)
                                return cx_error_set(err, -ENOTSUP, "kustomization field \"%s\" is not supported", key);
                } else if (!listed(known, CX_ARRAY_SIZE(known), key)) {
                        return cx_error_set(err, -EINVAL, "invalid Kustomization: json: unknown field \"%s\"", key);
                }
                for (size_t i = 0; i < CX_ARRAY_SIZE(deprecated); i++)
                        if (strcmp(deprecated[i].field, key) == 0)
                                fprintf(stderr,
                                        "# Warning: '%s' is deprecated. Please use '%s' instead. Run 'kustomize edit "
                                        "fix' to update your Kustomization automatically.\n",
                                        key, deprecated[i].instead);
        }
        return 0;
}

static int read_fields(const char *root, json_t **ret_fields, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = NULL;
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        json_auto_t *documents = NULL;
        int r = find_file(root, &path, err);
        if (r == 0 && (r = cx_buf_read_file(&text, path)) < 0)
                cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        if (r == 0)
                r = kustomization_parse(text.data, path, &documents, err);
        if (r < 0)
                return r;
        json_t *fields = json_array_get(documents, 0);
        if (!json_is_object(fields))
                return cx_error_set(err, -EINVAL, "%s is empty", strrchr(path, '/') + 1);
        r = check_fields(fields, err);
        if (r == 0)
                *ret_fields = json_incref(fields);
        return r;
}

// --- accumulating -----------------------------------------------------------------------------------------------------
static int build_directory(const char *root, const struct kustomize_options *options, const char *visited, int depth,
                           struct kustoms *items, struct cx_error *err);

static int add_object(struct kustoms *items, json_t *object, const char *source, struct cx_error *err)
{
        const char *kind = cx_json_string_or(object, "kind", ""),
                   *name = cx_json_string_or(object, "metadata.name", "");
        const json_t *list = json_object_get(object, "items");
        size_t i;
        json_t *item;
        int r = 0;
        if (cx_has_suffix(kind, "List") && json_is_array(list)) {
                json_array_foreach (list, i, item)
                        if (r == 0)
                                r = add_object(items, item, source, err);
                return r;
        }
        if (!*kind)
                return cx_error_set(err, -EINVAL, "missing Resource metadata: %s: an object without a kind", source);
        if (!*name)
                return cx_error_set(err, -EINVAL, "missing metadata.name in object of kind %s of %s", kind, source);
        ITEMS one = {0};
        items_add(&one, json_deep_copy(object));
        return items_merge(items, &one, err);
}

static int add_file(const struct kustomization *k, const char *name, struct kustoms *items, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        json_auto_t *documents = NULL;
        size_t i;
        json_t *object;
        int r = kustomization_read(k, name, &text, err);
        if (r == 0)
                r = kustomization_parse(text.data, name, &documents, err);
        json_array_foreach (documents, i, object)
                if (r == 0 && !json_is_null(object))
                        r = add_object(items, object, name, err);
        return r;
}

static int add_resource(const struct kustomization *k, const char *name, const char *visited, struct kustoms *items,
                        struct cx_error *err)
{
        char path[PATH_MAX];
        struct stat st;
        if (is_remote(name))
                return cx_error_set(err, -ENOTSUP,
                                    "accumulating resources: '%s' is not on this machine: remote bases are not "
                                    "supported; fetch it, and name the directory",
                                    name);
        int r = resolve(k, name, path, err);
        if (r < 0)
                return cx_error_wrap(err, "accumulating resources: accumulation err='accumulating resources from '%s'",
                                     name);
        if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
                return add_file(k, name, items, err);
        ITEMS below = {0};
        r = build_directory(path, k->options, visited, k->depth + 1, &below, err);
        return r < 0 ? r : items_merge(items, &below, err);
}

static int add_components(const struct kustomization *k, const char *visited, struct kustoms *items,
                          struct cx_error *err);

static int run(const struct kustomization *k, const char *visited, struct kustoms *items, struct cx_error *err)
{
        static const char *const lists[] = {"resources", "bases"};
        static int (*const steps[])(const struct kustomization *, struct kustoms *, struct cx_error *) = {
                generate, patch_items, transform, patch_items_json, set_counts, set_images, replace_values};
        int r = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++) {
                size_t j;
                json_t *name;
                json_array_foreach (json_object_get(k->fields, lists[i]), j, name)
                        if (r == 0)
                                r = add_resource(k, cx_str(json_string_value(name)), visited, items, err);
        }
        if (r == 0)
                r = add_components(k, visited, items, err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(steps); i++)
                r = steps[i](k, items, err);
        return r;
}

// A component works on the objects of whom it belongs to.
static int add_components(const struct kustomization *k, const char *visited, struct kustoms *items,
                          struct cx_error *err)
{
        size_t i;
        json_t *name;
        int r = 0;
        json_array_foreach (json_object_get(k->fields, "components"), i, name) {
                char path[PATH_MAX];
                json_auto_t *fields = NULL;
                if (r < 0)
                        break;
                if (is_remote(cx_str(json_string_value(name))))
                        return cx_error_set(err, -ENOTSUP,
                                            "'%s' is not on this machine: remote components are not "
                                            "supported",
                                            json_string_value(name));
                r = resolve(k, cx_str(json_string_value(name)), path, err);
                if (r == 0)
                        r = read_fields(path, &fields, err);
                if (r == 0 && !cx_streq(cx_json_string(fields, "kind"), "Component"))
                        r = cx_error_set(err, -EINVAL, "expected kind 'Component' for path '%s' but got '%s'",
                                         json_string_value(name), cx_json_string_or(fields, "kind", "Kustomization"));
                if (r == 0 && k->depth >= MAX_DEPTH)
                        r = cx_error_set(err, -ELOOP, "more than %d directories above each other", MAX_DEPTH);
                if (r == 0)
                        r = run(&(struct kustomization){path, fields, k->options, k->depth + 1}, visited, items, err);
        }
        return r;
}

static int build_directory(const char *root, const struct kustomize_options *options, const char *visited, int depth,
                           struct kustoms *items, struct cx_error *err)
{
        json_auto_t *fields = NULL;
        CX_CLEANUP(cx_freep) char *mark = cx_sprintf("\n%s\n", root);
        if (strstr(visited, mark))
                return cx_error_set(err, -ELOOP, "cycle detected: candidate root '%s' contains visited root '%s'", root,
                                    root);
        if (depth >= MAX_DEPTH)
                return cx_error_set(err, -ELOOP, "more than %d directories above each other", MAX_DEPTH);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s%s", visited, mark);
        int r = read_fields(root, &fields, err);
        if (r == 0 && cx_streq(cx_json_string(fields, "kind"), "Component"))
                r = cx_error_set(err, -EINVAL, "expected kind != 'Component' for path '%s'", root);
        return r < 0 ? r : run(&(struct kustomization){root, fields, options, depth}, path, items, err);
}

// --- order ------------------------------------------------------------------------------------------------------------
static int rank(const struct kustom *item)
{
        static const char *const first[] = {"Namespace",
                                            "ResourceQuota",
                                            "StorageClass",
                                            "CustomResourceDefinition",
                                            "ServiceAccount",
                                            "PodSecurityPolicy",
                                            "Role",
                                            "ClusterRole",
                                            "RoleBinding",
                                            "ClusterRoleBinding",
                                            "ConfigMap",
                                            "Secret",
                                            "Endpoints",
                                            "Service",
                                            "LimitRange",
                                            "PriorityClass",
                                            "PersistentVolume",
                                            "PersistentVolumeClaim",
                                            "Deployment",
                                            "StatefulSet",
                                            "CronJob",
                                            "PodDisruptionBudget"};
        static const char *const last[] = {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(first); i++)
                if (strcmp(first[i], item_kind(item)) == 0)
                        return (int)i - 100;
        for (size_t i = 0; i < CX_ARRAY_SIZE(last); i++)
                if (strcmp(last[i], item_kind(item)) == 0)
                        return (int)i + 1;
        return 0;
}

static int compare(const void *left, const void *right)
{
        const struct kustom *a = left, *b = right;
        char group[2][64], version[2][32];
        int c = rank(a) - rank(b);
        item_group(a, group[0], version[0]);
        item_group(b, group[1], version[1]);
        if (!c)
                c = !*group[0] - !*group[1]; // the core comes last
        if (!c)
                c = strcmp(group[0], group[1]);
        if (!c)
                c = strcmp(version[0], version[1]);
        if (!c)
                c = strcmp(item_kind(a), item_kind(b));
        const char *space[] = {cx_json_string_or(a->object, "metadata.namespace", ""),
                               cx_json_string_or(b->object, "metadata.namespace", "")};
        if (!c)
                c = !*space[0] - !*space[1];
        if (!c)
                c = strcmp(space[0], space[1]);
        return c ? c : strcmp(item_name(a), item_name(b));
}

int kustomize_build(const char *path, const struct kustomize_options *options, json_t **ret_objects,
                    struct cx_error *err)
{
        char root[PATH_MAX];
        struct stat st;
        ITEMS items = {0};
        if (is_remote(path))
                return cx_error_set(err, -ENOTSUP, "'%s' is not on this machine: remote bases are not supported", path);
        if (!realpath(path, root)) {
                CX_CLEANUP(cx_freep) char *here = *path == '/' ? NULL : realpath(".", NULL);
                return cx_error_set(err, -ENOENT,
                                    "must build at directory: not a valid directory: evalsymlink failure on '%s' : "
                                    "lstat %s%s%s: no such file or directory",
                                    path, cx_str(here), here ? "/" : "", path);
        }
        if (stat(root, &st) < 0 || !S_ISDIR(st.st_mode))
                return cx_error_set(err, -ENOTDIR, "must build at directory: '%s': is a file and not directory", path);
        int r = build_directory(root, options, "", 0, &items, err);
        if (r < 0)
                return r;
        hash_names(&items);
        fix_references(&items);
        if (options->sorted)
                qsort(items.list, items.count, sizeof *items.list, compare);
        json_t *objects = json_array();
        for (size_t i = 0; i < items.count; i++)
                json_array_append(objects, items.list[i].object);
        *ret_objects = objects;
        return 0;
}
