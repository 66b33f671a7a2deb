// SPDX-License-Identifier: Apache-2.0
// Kubelets read their file at each pull, so a change of it counts at once.
#include "minikube/registries.h"

#include "libcommon/base/process.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "minikube/addons.h"

char *registries_path(const struct profile *profile)
{
        return profile_path(profile, "node-registries.yaml");
}

char *registry_config_path(const struct profile *profile)
{
        return profile_path(profile, "registry.yml");
}

char *registry_address(const struct profile *profile)
{
        CX_CLEANUP(cx_freep) char *node = node_address(profile, 0);
        return cx_sprintf("%s:%d", node, REGISTRY_PORT);
}

static int read_users(const struct profile *profile, json_t **ret_config, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *documents = NULL;
        int r = profile->registry_config ? cx_buf_read_file(&text, profile->registry_config) : 0;
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", profile->registry_config, strerror(-r));
        r = cx_yaml_parse(text.data, text.length, &documents, err);
        if (r < 0)
                return cx_error_wrap(err, "%s", profile->registry_config);
        json_t *first = json_array_get(documents, 0);
        *ret_config = json_is_object(first) ? json_incref(first) : json_object();
        return 0;
}

// What the user says of a name stays.
static void add_mirror(json_t *config, const char *name, const char *address)
{
        json_t *mirrors = cx_json_object_at(config, "mirrors");
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("http://%s", address);
        if (!json_object_get(mirrors, name))
                json_object_set_new(mirrors, name, json_pack("{s:[s]}", "endpoint", url));
}

static int write_registry_config(const struct profile *profile, const char *address, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = registry_config_path(profile);
        CX_CLEANUP(cx_freep) char *data = profile_path(profile, "registry");
        json_auto_t *config =
                json_pack("{s:s, s:{s:{s:s}, s:{s:b}}, s:{s:s, s:b}, s:{s:s, s:{s:b}}}", "version", "0.1", "storage",
                          "filesystem", "rootdirectory", data, "delete", "enabled", 1, "http", "addr", address,
                          "relativeurls", 1, "log", "level", "warn", "accesslog", "disabled", 1);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(config); // which is YAML, too
        return cx_write_file(path, text, strlen(text), 0600, false, err);
}

int registries_make(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = registries_path(profile);
        CX_CLEANUP(cx_freep) char *address = registry_address(profile);
        json_auto_t *config = NULL;
        int r = read_users(profile, &config, err);
        if (r < 0)
                return r;
        if (addon_is_on(profile, "registry")) {
                add_mirror(config, REGISTRY_NAME, address);
                add_mirror(config, address, address);
                r = write_registry_config(profile, address, err);
        }
        CX_CLEANUP(cx_freep) char *text = cx_json_text(config);
        return r < 0 ? r : cx_write_file(path, text, strlen(text), 0600, false, err);
}
