// SPDX-License-Identifier: Apache-2.0
// Resources by name: the schema's tables, then discovery, which is cached in a file.
#include "kubectl/resource/mapping.h"

#include "libcommon/base/process.h"

#include <strings.h>
#include <sys/stat.h>

#define CACHE_SECONDS 600
#define ACCEPT_V2                                                                                                      \
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"                                        \
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"

static struct discovery *discovery(struct ctl *ctl)
{
        if (!ctl->discovery)
                ctl->discovery = cx_alloc(sizeof *ctl->discovery);
        return ctl->discovery;
}

static struct mapping *new_mapping(struct discovery *d, const char *group, const char *version, const char *resource,
                                   const char *singular, const char *kind)
{
        struct mapping *m = cx_alloc(sizeof *m);
        m->group = cx_strdup(group);
        m->version = cx_strdup(version);
        m->resource = cx_strdup(resource);
        m->kind = cx_strdup(kind);
        m->singular = cx_strdup(singular && *singular ? singular : kind);
        for (char *p = m->singular; *p; p++)
                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        m->schema = cx_schema_resource(group, version, resource);
        d->known = cx_realloc_array(d->known, d->n_known + 1, sizeof *d->known);
        return d->known[d->n_known++] = m;
}

static const struct mapping *from_schema(struct ctl *ctl, const struct cx_resource *resource)
{
        struct discovery *d = discovery(ctl);
        for (size_t i = 0; i < d->n_known; i++)
                if (d->known[i]->schema == resource)
                        return d->known[i];
        struct mapping *m = new_mapping(d, resource->group, resource->version, resource->resource, resource->singular,
                                        resource->kind->kind);
        m->namespaced = resource->namespaced;
        m->verbs = resource->verbs;
        return m;
}

static unsigned verb_bit(const char *verb)
{
        static const struct {
                const char *name;
                unsigned bit;
        } verbs[] = {{"get", CX_VERB_GET},       {"list", CX_VERB_LIST},
                     {"watch", CX_VERB_WATCH},   {"create", CX_VERB_CREATE},
                     {"update", CX_VERB_UPDATE}, {"patch", CX_VERB_PATCH},
                     {"delete", CX_VERB_DELETE}, {"deletecollection", CX_VERB_DELETE_COLLECTION}};
        for (size_t i = 0; verb && i < CX_ARRAY_SIZE(verbs); i++)
                if (strcmp(verbs[i].name, verb) == 0)
                        return verbs[i].bit;
        return 0;
}

static void add_strings(struct cx_strings *to, const json_t *list, const char *member)
{
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item) {
                const char *text = member ? cx_json_string(item, member) : json_string_value(item);
                if (text)
                        cx_strings_add(to, text);
        }
}

static void add_discovered(struct discovery *d, const char *group, const char *version, const json_t *r, bool v2)
{
        const char *name = cx_json_string(r, v2 ? "resource" : "name");
        const char *kind = cx_json_string(r, v2 ? "responseKind.kind" : "kind");
        const char *singular = cx_json_string(r, v2 ? "singularResource" : "singularName");
        if (!name || !kind || strchr(name, '/'))
                return;
        struct mapping *m = new_mapping(d, group, version, name, singular, kind);
        m->namespaced = v2 ? cx_streq(cx_json_string(r, "scope"), "Namespaced") : cx_json_bool(r, "namespaced", false);
        size_t i;
        json_t *verb;
        json_array_foreach (json_object_get(r, "verbs"), i, verb)
                m->verbs |= verb_bit(json_string_value(verb));
        add_strings(&m->short_names, json_object_get(r, "shortNames"), NULL);
        add_strings(&m->categories, json_object_get(r, "categories"), NULL);
        add_strings(&m->subresources, json_object_get(r, "subresources"), "subresource");
        d->all = cx_realloc_array(d->all, d->n_all + 1, sizeof *d->all);
        d->all[d->n_all++] = m;
}

static void add_version(struct discovery *d, const char *group, const char *version)
{
        char text[128];
        cx_join_api_version(text, group, version);
        cx_strings_add(&d->versions, text);
}

static void take_aggregated(struct discovery *d, const json_t *document)
{
        size_t i, j, k;
        json_t *group, *version, *resource;
        json_array_foreach (json_object_get(document, "items"), i, group) {
                const char *group_name = cx_json_string_or(group, "metadata.name", "");
                json_array_foreach (json_object_get(group, "versions"), j, version) {
                        const char *version_name = cx_json_string_or(version, "version", "");
                        add_version(d, group_name, version_name);
                        json_array_foreach (json_object_get(version, "resources"), k, resource)
                                add_discovered(d, group_name, version_name, resource, true);
                }
        }
}

static int take_legacy_version(struct ctl *ctl, const char *group, const char *version, struct cx_error *err)
{
        CX_CLEANUP(cx_freep)
        char *path = *group ? cx_sprintf("/apis/%s/%s", group, version) : cx_sprintf("/api/%s", version);
        json_auto_t *list = NULL;
        int r = ctl_json(ctl, "GET", path, NULL, NULL, &list, err);
        if (r < 0)
                return r;
        add_version(ctl->discovery, group, version);
        size_t i;
        json_t *resource;
        json_array_foreach (json_object_get(list, "resources"), i, resource)
                add_discovered(ctl->discovery, group, version, resource, false);
        return 0;
}

static int take_legacy(struct ctl *ctl, const json_t *document, struct cx_error *err)
{
        size_t i, j;
        json_t *group, *version;
        json_array_foreach (json_object_get(document, "versions"), i, version) {
                int r = take_legacy_version(ctl, "", cx_str(json_string_value(version)), err);
                if (r < 0)
                        return r;
        }
        json_array_foreach (json_object_get(document, "groups"), i, group)
                json_array_foreach (json_object_get(group, "versions"), j, version) {
                        int r = take_legacy_version(ctl, cx_json_string_or(group, "name", ""),
                                                    cx_json_string_or(version, "version", ""), err);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int take(struct ctl *ctl, const json_t *document, struct cx_error *err)
{
        if (cx_streq(cx_json_string(document, "kind"), "APIGroupDiscoveryList")) {
                take_aggregated(ctl->discovery, document);
                return 0;
        }
        return take_legacy(ctl, document, err);
}

static char *cache_path(struct ctl *ctl)
{
        const char *home = getenv("HOME"), *server = strstr(cx_rest_server(ctl->rest), "://");
        if (!server || (!home && !ctl->cache_dir))
                return NULL;
        CX_BUF host = CX_BUF_INIT;
        for (const char *p = server + 3; *p; p++)
                cx_buf_add_char(&host, strchr(":/[]?", *p) || (unsigned char)*p < ' ' ? '_' : *p);
        return ctl->cache_dir ? cx_sprintf("%s/coxswain-%s.json", ctl->cache_dir, host.data)
                              : cx_sprintf("%s/.kube/cache/coxswain-%s.json", home, host.data);
}

static json_t *read_cache(const char *path)
{
        struct stat st;
        if (!path || stat(path, &st) < 0 || time(NULL) - st.st_mtime > CACHE_SECONDS)
                return NULL;
        CX_BUF text = CX_BUF_INIT_MAX((size_t)32 << 20);
        json_t *cached = NULL;
        if (cx_buf_read_file(&text, path) < 0 || cx_json_parse(text.data, text.length, false, &cached, NULL) < 0)
                return NULL;
        if (json_array_size(cached) == 2)
                return cached;
        json_decref(cached);
        return NULL;
}

static void write_cache(const char *path, const json_t *documents)
{
        if (!path)
                return;
        CX_CLEANUP(cx_freep) char *folder = cx_strndup(path, (size_t)(strrchr(path, '/') - path));
        CX_CLEANUP(cx_freep) char *text = cx_json_text(documents);
        if (cx_mkdir_all(folder, 0750, NULL) == 0)
                (void)!cx_write_file(path, text, strlen(text), 0600, false, NULL); // only a cache
}

static int fetch(struct ctl *ctl, json_t **ret_documents, struct cx_error *err)
{
        json_auto_t *documents = json_array();
        static const char *const paths[] = {"/api", "/apis"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(paths); i++) {
                CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                int r = ctl_call(ctl, &(struct ctl_call){.path = paths[i], .accept = ACCEPT_V2}, &reply, err);
                json_t *document = NULL;
                if (r == 0)
                        r = cx_json_parse(reply.body.data, reply.body.length, false, &document, err);
                if (r < 0)
                        return r;
                json_array_append_new(documents, document);
        }
        *ret_documents = cx_steal(&documents);
        return 0;
}

int discovery_load(struct ctl *ctl, bool fresh, struct cx_error *err)
{
        struct discovery *d = discovery(ctl);
        if (d->loaded && (d->fresh || !fresh))
                return 0;
        int r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *path = cache_path(ctl);
        json_auto_t *documents = fresh ? NULL : read_cache(path);
        bool from_cache = documents != NULL;
        if (!documents) {
                r = fetch(ctl, &documents, err);
                if (r < 0)
                        return r;
        }
        d->n_all = 0;
        cx_strings_release(&d->versions);
        size_t i;
        json_t *document;
        json_array_foreach (documents, i, document)
                if ((r = take(ctl, document, err)) < 0)
                        return r;
        if (!from_cache)
                write_cache(path, documents);
        d->loaded = true;
        d->fresh = !from_cache;
        return 0;
}

static bool is_called(const struct mapping *m, const char *word)
{
        if (strcasecmp(word, m->resource) == 0 || strcasecmp(word, m->singular) == 0 || strcasecmp(word, m->kind) == 0)
                return true;
        for (size_t i = 0; i < m->short_names.count; i++)
                if (strcasecmp(word, m->short_names.items[i]) == 0)
                        return true;
        return false;
}

static const struct mapping *search(const struct discovery *d, const char *word)
{
        size_t length = strcspn(word, ".");
        CX_CLEANUP(cx_freep) char *name = cx_strndup(word, length);
        const char *rest = word[length] ? word + length + 1 : NULL;
        for (size_t i = 0; i < d->n_all; i++) {
                const struct mapping *m = d->all[i];
                if (!is_called(m, name))
                        continue;
                if (!rest || strcmp(rest, m->group) == 0)
                        return m;
                size_t n = strlen(m->version);
                if (strncmp(rest, m->version, n) == 0 && (rest[n] == 0 || rest[n] == '.') &&
                    strcmp(rest[n] ? rest + n + 1 : "", m->group) == 0)
                        return m;
        }
        return NULL;
}

// A short name that another group has too: "ev" is events, and events.events.k8s.io.
static void warn_shared_short_name(const struct cx_resource *resource, const char *word)
{
        size_t n;
        const struct cx_resource *all = cx_schema_resources(&n);
        bool is_short = false;
        for (const char *const *name = resource->short_names; *name; name++)
                is_short = is_short || strcmp(*name, word) == 0;
        for (size_t i = 0; is_short && i < n; i++) {
                bool shared = false;
                for (const char *const *name = all[i].short_names; *name; name++)
                        shared = shared || strcmp(*name, word) == 0;
                if (shared && strcmp(all[i].group, resource->group) != 0)
                        fprintf(stderr, "Warning: short name \"%s\" could also match lower priority resource %s.%s\n",
                                word, all[i].resource, all[i].group);
        }
}

// The resource that may have been meant; NULL when none is near.
static const char *nearest(const struct discovery *discovery, const char *word)
{
        const char *best = NULL;
        size_t least = strlen(word) < 5 ? 2 : 3;
        for (size_t i = 0; i < discovery->n_all; i++) {
                const struct mapping *m = discovery->all[i];
                size_t plural = cx_edit_distance(word, m->resource),
                       singular = cx_edit_distance(word, cx_str(m->singular));
                size_t distance = plural < singular ? plural : singular;
                if (distance < least) {
                        least = distance;
                        best = m->resource;
                }
        }
        return best;
}

int mapping_find(struct ctl *ctl, const char *word, const struct mapping **ret_mapping, struct cx_error *err)
{
        const struct cx_resource *resource = cx_schema_find(word);
        if (resource) {
                warn_shared_short_name(resource, word);
                *ret_mapping = from_schema(ctl, resource);
                return 0;
        }
        for (int fresh = 0; fresh < 2; fresh++) {
                int r = discovery_load(ctl, fresh, err);
                if (r < 0)
                        return r;
                const struct mapping *found = search(ctl->discovery, word);
                if (found) {
                        *ret_mapping = found;
                        return 0;
                }
        }
        CX_CLEANUP(cx_freep) char *type = cx_strndup(word, strcspn(word, "."));
        const char *meant = nearest(ctl->discovery, type);
        return cx_error_set(err, -ENOENT, "the server doesn't have a resource type \"%s\"%s%s%s", type,
                            meant ? "\nDid you mean \"" : "", cx_str(meant), meant ? "\"?" : "");
}

int mapping_by_kind(struct ctl *ctl, const char *api_version, const char *kind, const struct mapping **ret_mapping,
                    struct cx_error *err)
{
        char group[64], version[32];
        if (!cx_split_api_version(api_version, group, version))
                return cx_error_set(err, -EINVAL, "unexpected GroupVersion string: %s", api_version);
        const struct cx_resource *resource = cx_schema_resource_by_kind(group, version, kind);
        if (resource) {
                *ret_mapping = from_schema(ctl, resource);
                return 0;
        }
        for (int fresh = 0; fresh < 2; fresh++) {
                int r = discovery_load(ctl, fresh, err);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < ctl->discovery->n_all; i++) {
                        const struct mapping *m = ctl->discovery->all[i];
                        if (strcmp(m->group, group) == 0 && strcmp(m->version, version) == 0 &&
                            strcmp(m->kind, kind) == 0) {
                                *ret_mapping = m;
                                return 0;
                        }
                }
        }
        return -ENOENT;
}

int mapping_category(struct ctl *ctl, const char *word, const struct mapping ***ret_list, size_t *ret_count,
                     struct cx_error *err)
{
        *ret_count = 0;
        *ret_list = NULL;
        if (cx_schema_find(word))
                return 0;
        int r = discovery_load(ctl, false, err);
        if (r < 0)
                return r;
        struct discovery *d = ctl->discovery;
        for (size_t i = 0; i < d->n_all; i++) {
                bool seen = false; // a resource of several versions counts once
                for (size_t j = 0; j < *ret_count; j++)
                        seen = seen || (strcmp((*ret_list)[j]->group, d->all[i]->group) == 0 &&
                                        strcmp((*ret_list)[j]->resource, d->all[i]->resource) == 0);
                if (seen || !cx_strings_has(&d->all[i]->categories, word))
                        continue;
                *ret_list = cx_realloc_array(*ret_list, *ret_count + 1, sizeof **ret_list);
                (*ret_list)[(*ret_count)++] = d->all[i];
        }
        return 0;
}

const char *mapping_label(const struct mapping *mapping, char *to)
{
        size_t n = 0;
        for (const char *p = mapping->kind; *p && n < 127; p++)
                to[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        snprintf(to + n, 256 - n, "%s%s", *mapping->group ? "." : "", mapping->group);
        return to;
}

const char *mapping_resource_text(const struct mapping *mapping, char *to)
{
        snprintf(to, 256, "%s/%s, Resource=%s", mapping->group, mapping->version, mapping->resource);
        return to;
}

const char *mapping_kind_text(const struct mapping *mapping, char *to)
{
        snprintf(to, 256, "%s/%s, Kind=%s", mapping->group, mapping->version, mapping->kind);
        return to;
}
