// SPDX-License-Identifier: Apache-2.0
// OpenAPI v3: one document a group and version, and the index that names them with a hash of their text, so that
// clients keep them until they change. Building takes milliseconds: callers keep the text.
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/openapi_internal.h"

static json_t *document(const struct cx_resource_set *all, const char *group, const char *version)
{
        struct cx_openapi api = {.all = all, .v3 = true, .schemas = json_object(), .paths = json_object()};
        for (size_t i = 0; i < all->count; i++)
                if (strcmp(all->items[i]->group, group) == 0 && strcmp(all->items[i]->version, version) == 0)
                        cx_openapi_add_resource(&api, all->items[i]);
        if (!json_object_size(api.paths)) {
                json_decref(api.schemas);
                json_decref(api.paths);
                return NULL;
        }
        return json_pack("{s:s,s:o,s:o,s:{s:o}}", "openapi", "3.0.0", "info", cx_openapi_info(), "paths", api.paths,
                         "components", "schemas", api.schemas);
}

json_t *cx_openapi_v3(const struct cx_resource_set *all, const char *path)
{
        char group[64], version[32];
        if (cx_has_prefix(path, "apis/")) {
                if (!cx_split_api_version(path + 5, group, version) || !*group)
                        return NULL;
        } else if (!cx_has_prefix(path, "api/") || !cx_split_api_version(path + 4, group, version) || *group) {
                return NULL;
        }
        return document(all, group, version);
}

void cx_openapi_hash(const void *data, size_t length, char ret_hash[17]) // FNV-1a
{
        const unsigned char *bytes = data;
        uint64_t hash = UINT64_C(14695981039346656037);
        for (size_t i = 0; i < length; i++)
                hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
        (void)snprintf(ret_hash, 17, "%016llX", (unsigned long long)hash);
}

json_t *cx_openapi_v3_index(const struct cx_resource_set *all)
{
        json_t *paths = json_object();
        for (size_t i = 0; i < all->count; i++) {
                char version[128];
                CX_CLEANUP(cx_freep)
                char *path = cx_sprintf("%s/%s", *all->items[i]->group ? "apis" : "api",
                                        cx_join_api_version(version, all->items[i]->group, all->items[i]->version));
                if (json_object_get(paths, path))
                        continue;
                json_auto_t *content = document(all, all->items[i]->group, all->items[i]->version);
                CX_CLEANUP(cx_freep) char *text = cx_json_text(content);
                char hash[17];
                cx_openapi_hash(text, strlen(text), hash);
                json_object_set_new(
                        paths, path,
                        json_pack("{s:o}", "serverRelativeURL", json_sprintf("/openapi/v3/%s?hash=%s", path, hash)));
        }
        return json_pack("{s:o}", "paths", paths);
}
