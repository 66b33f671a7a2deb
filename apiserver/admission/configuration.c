// SPDX-License-Identifier: Apache-2.0
// An AdmissionConfiguration: a plugin's name and its settings, in place or in a file of their own. Upstream passes over what names a
// plugin that it does not ask; here that is refused, as somebody relies on it.
#include "apiserver/admission/plugin.h"

#include "libcommon/client/config.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#define MAX_FILE ((size_t)1 << 20)

int admission_check_settings(const char *const *versions, const char *name, json_t *settings, struct cx_error *err)
{
        const char *version = cx_json_string_or(settings, "apiVersion", ""), *slash = strchr(versions[0], '/');
        const char *const *known = versions;
        while (*known && strcmp(*known, version) != 0)
                known++;
        if (!*known || !cx_streq(cx_json_string(settings, "kind"), name))
                return cx_error_set(err, -EINVAL, "must be of apiVersion %s and kind %s, not \"%s\" and \"%s\"",
                                    versions[0], name, version, cx_json_string_or(settings, "kind", ""));
        CX_CLEANUP(cx_freep) char *group = cx_strndup(versions[0], (size_t)(slash - versions[0]));
        return cx_config_check(cx_schema_kind(group, slash + 1, name), settings, err);
}

static int read_document(const char *path, json_t **ret_document, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        json_auto_t *documents = NULL;
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        r = cx_yaml_parse(text.data, text.length, &documents, err);
        if (r == 0 && json_array_size(documents) != 1)
                r = cx_error_set(err, -EINVAL, "must be one document, not %zu", json_array_size(documents));
        if (r < 0)
                return cx_error_wrap(err, "%s", path);
        *ret_document = json_incref(json_array_get(documents, 0));
        return 0;
}

// The settings of a plugin, which its row names; owned by the caller.
static int settings_of(const json_t *row, const char *path, json_t **ret_settings, struct cx_error *err)
{
        const char *file = cx_json_string_or(row, "path", ""), *slash = strrchr(path, '/');
        json_t *settings = json_object_get(row, "configuration");
        if (settings && *file)
                return cx_error_set(err, -EINVAL, "has both a path and a configuration");
        if (!settings && !*file)
                return cx_error_set(err, -EINVAL, "has neither a path nor a configuration");
        if (settings) {
                *ret_settings = json_incref(settings);
                return 0;
        }
        CX_CLEANUP(cx_freep)
        char *whole = *file == '/' || !slash ? cx_strdup(file) : cx_sprintf("%.*s/%s", (int)(slash - path), path, file);
        return read_document(whole, ret_settings, err);
}

static const struct admission_plugin *plugin_of(const struct admission_plugin *const *plugins, const char *name)
{
        while (*plugins && strcmp((*plugins)->name, name) != 0)
                plugins++;
        return *plugins;
}

static int check_row(const json_t *rows, size_t i, const struct admission_plugin *const *plugins, struct cx_error *err)
{
        const char *name = cx_json_string_or(json_array_get(rows, i), "name", "");
        const struct admission_plugin *plugin = plugin_of(plugins, name);
        if (!plugin)
                return cx_error_set(err, -EINVAL, "there is no such plugin");
        if (!plugin->configure)
                return cx_error_set(err, -EINVAL, "this plugin has no settings");
        for (size_t k = 0; k < i; k++)
                if (cx_streq(cx_json_string(json_array_get(rows, k), "name"), name))
                        return cx_error_set(err, -EINVAL, "is there twice");
        return 0;
}

static int read_rows(const char *path, const struct admission_plugin *const *plugins, json_t **ret_file,
                     struct cx_error *err)
{
        static const char *const versions[] = {"apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1", NULL};
        json_auto_t *file = NULL;
        int r = read_document(path, &file, err);
        if (r < 0)
                return r;
        r = admission_check_settings(versions, "AdmissionConfiguration", file, err);
        const json_t *rows = json_object_get(file, "plugins");
        for (size_t i = 0; r == 0 && i < json_array_size(rows); i++) {
                r = check_row(rows, i, plugins, err);
                if (r < 0)
                        r = cx_error_wrap(err, "plugin \"%s\"", cx_json_string_or(json_array_get(rows, i), "name", ""));
        }
        if (r < 0)
                return cx_error_wrap(err, "%s", path);
        *ret_file = cx_steal(&file);
        return 0;
}

int admission_configure(struct apiserver *api, const struct admission_plugin *const *plugins, const char *path,
                        struct cx_error *err)
{
        json_auto_t *file = NULL;
        int r = path ? read_rows(path, plugins, &file, err) : 0;
        for (; r == 0 && *plugins; plugins++) {
                const json_t *row = cx_json_find(json_object_get(file, "plugins"), "name", (*plugins)->name);
                json_auto_t *settings = NULL;
                if (!(*plugins)->configure)
                        continue;
                if (row)
                        r = settings_of(row, path, &settings, err);
                if (r == 0)
                        r = (*plugins)->configure(api, settings, err);
                if (r < 0)
                        r = cx_error_wrap(err, "plugin \"%s\"", (*plugins)->name);
        }
        return r < 0 ? cx_error_wrap(err, "--admission-control-config-file") : 0;
}
