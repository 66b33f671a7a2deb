// SPDX-License-Identifier: Apache-2.0
// What the server serves now, from its aggregated discovery: who works on every kind asks here.
#include "controller-manager/core/discovery.h"

#include "libcommon/format/json.h"

#define ACCEPT "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

static unsigned verbs_of(const json_t *names)
{
        static const struct {
                const char *name;
                unsigned bit;
        } verbs[] = {{"get", CX_VERB_GET},       {"list", CX_VERB_LIST},
                     {"watch", CX_VERB_WATCH},   {"create", CX_VERB_CREATE},
                     {"update", CX_VERB_UPDATE}, {"patch", CX_VERB_PATCH},
                     {"delete", CX_VERB_DELETE}, {"deletecollection", CX_VERB_DELETE_COLLECTION}};
        unsigned result = 0;
        size_t i;
        const json_t *name;
        json_array_foreach (names, i, name)
                for (size_t j = 0; j < CX_ARRAY_SIZE(verbs); j++)
                        if (cx_streq(json_string_value(name), verbs[j].name))
                                result |= verbs[j].bit;
        return result;
}

const struct discovered *discovery_find(const struct discovered_list *discovery, const char *group,
                                        const char *resource)
{
        for (size_t i = 0; i < discovery->count; i++)
                if (strcmp(discovery->items[i].resource, resource) == 0 &&
                    strcmp(discovery->items[i].group, group) == 0)
                        return &discovery->items[i];
        return NULL;
}

static void add_version(struct discovered_list *to, const char *group, const json_t *version)
{
        size_t i;
        if (cx_streq(cx_json_string(version, "freshness"), "Stale")) {
                CX_CLEANUP(cx_freep)
                char *name = cx_sprintf("%s/%s", group, cx_json_string_or(version, "version", ""));
                cx_strings_add(&to->stale, name);
                return;
        }
        const json_t *resource;
        json_array_foreach (json_object_get(version, "resources"), i, resource) {
                const char *name = cx_json_string_or(resource, "resource", "");
                if (!*name || discovery_find(to, group, name)) // versions come in the order of preference
                        continue;
                to->items = cx_realloc_array(to->items, to->count + 1, sizeof *to->items);
                to->items[to->count++] =
                        (struct discovered){.group = cx_strdup(group),
                                            .version = cx_strdup(cx_json_string_or(version, "version", "")),
                                            .resource = cx_strdup(name),
                                            .kind = cx_strdup(cx_json_string_or(resource, "responseKind.kind", "")),
                                            .namespaced = cx_streq(cx_json_string(resource, "scope"), "Namespaced"),
                                            .verbs = verbs_of(json_object_get(resource, "verbs"))};
        }
}

static int fetch(struct cx_rest *rest, const char *path, struct discovered_list *to, struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        json_auto_t *list = NULL;
        int r = cx_rest_do(rest, &(struct cx_rest_call){.path = path, .accept = ACCEPT}, &reply, err);
        if (r == 0)
                r = cx_json_parse(reply.body.data, reply.body.length, false, &list, err);
        if (r == 0 && !json_is_array(json_object_get(list, "items")))
                r = cx_error_set(err, -EPROTO, "%s: no aggregated discovery", path);
        size_t i, j;
        const json_t *group, *version;
        json_array_foreach (json_object_get(list, "items"), i, group)
                json_array_foreach (json_object_get(group, "versions"), j, version)
                        add_version(to, cx_json_string_or(group, "metadata.name", ""), version);
        return r;
}

int discovery_fetch(struct cx_rest *rest, struct discovered_list *ret_discovery, struct cx_error *err)
{
        struct discovered_list discovery = {0};
        int r = fetch(rest, "/api", &discovery, err);
        if (r == 0)
                r = fetch(rest, "/apis", &discovery, err);
        if (r < 0) {
                discovery_release(&discovery);
                return r;
        }
        *ret_discovery = discovery;
        return 0;
}

bool discovery_knows(const struct discovered_list *discovery, const char *group)
{
        size_t length = strlen(group);
        for (size_t i = 0; i < discovery->stale.count; i++)
                if (strncmp(discovery->stale.items[i], group, length) == 0 && discovery->stale.items[i][length] == '/')
                        return false;
        return true;
}

char *discovery_failure(const struct discovered_list *discovery)
{
        CX_BUF text = CX_BUF_INIT;
        size_t count = discovery->stale.count;
        if (!count)
                return NULL;
        cx_buf_printf(&text,
                      "Discovery failed for some groups, %zu failing: unable to retrieve the complete list of "
                      "server APIs: ",
                      count);
        for (size_t i = 0; i < count; i++)
                cx_buf_printf(&text, "%s%s: stale GroupVersion discovery: %s", i ? ", " : "", discovery->stale.items[i],
                              discovery->stale.items[i]);
        return cx_buf_detach(&text);
}

static int named(struct kind_names *names, const char *version, const char *resource)
{
        cx_copy_string(names->version, sizeof names->version, version);
        cx_copy_string(names->resource, sizeof names->resource, resource);
        return 0;
}

int discovery_kind(struct cx_rest *rest, const char *group, const char *kind, bool scaled, struct kind_names *ret_names,
                   struct cx_error *err)
{
        size_t n;
        const struct cx_resource *resources = cx_schema_resources(&n);
        for (size_t i = 0; i < n; i++) {
                if (strcmp(resources[i].group, group) != 0 || strcmp(resources[i].kind->kind, kind) != 0)
                        continue;
                if (scaled && !cx_resource_subresource(&resources[i], "scale"))
                        return cx_error_set(err, -EINVAL, "%s%s%s does not implement the scale subresource",
                                            resources[i].resource, *group ? "." : "", group);
                return named(ret_names, resources[i].version, resources[i].resource);
        }
        DISCOVERY served = {0};
        int r = discovery_fetch(rest, &served, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < served.count; i++)
                if (strcmp(served.items[i].group, group) == 0 && strcmp(served.items[i].kind, kind) == 0)
                        return named(ret_names, served.items[i].version, served.items[i].resource);
        return cx_error_set(err, -ENOENT, "no matches for kind \"%s\" in group \"%s\"", kind, group);
}

void discovery_release(struct discovered_list *discovery)
{
        cx_strings_release(&discovery->stale);
        for (size_t i = 0; i < discovery->count; i++) {
                free(discovery->items[i].group);
                free(discovery->items[i].version);
                free(discovery->items[i].resource);
                free(discovery->items[i].kind);
        }
        free(discovery->items);
        *discovery = (struct discovered_list){0};
}
