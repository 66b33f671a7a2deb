// SPDX-License-Identifier: Apache-2.0
// Decoding, defaults and validation are the schema's engines.
#include "libcommon/client/config.h"

#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/engine.h"

#define MAX_FILE ((size_t)1 << 20)

int cx_config_check(const struct cx_kind *kind, json_t *object, struct cx_error *err)
{
        int r = cx_schema_decode(kind->type, object, CX_FIELDS_STRICT, NULL, NULL, err);
        if (r < 0)
                return r;
        cx_schema_default(kind, object);
        return cx_schema_validate(kind, object, err);
}

static int check_version(const struct cx_kind *kind, const json_t *documents, struct cx_error *err)
{
        const json_t *config = json_array_get(documents, 0);
        CX_CLEANUP(cx_freep) char *wanted = cx_sprintf("%s/%s", kind->group, kind->version);
        const char *version = cx_json_string_or(config, "apiVersion", ""),
                   *name = cx_json_string_or(config, "kind", "");
        if (json_array_size(documents) != 1)
                return cx_error_set(err, -EINVAL, "must be one document, not %zu", json_array_size(documents));
        if (strcmp(version, wanted) != 0 || strcmp(name, kind->kind) != 0)
                return cx_error_set(err, -EINVAL, "must be of apiVersion %s and kind %s, not \"%s\" and \"%s\"", wanted,
                                    kind->kind, version, name);
        return 0;
}

int cx_config_parse(const char *text, size_t length, const struct cx_kind *kind, json_t **ret_config,
                    struct cx_error *err)
{
        json_auto_t *documents = NULL;
        int r = cx_yaml_parse(text, length, &documents, err);
        if (r == 0)
                r = check_version(kind, documents, err);
        json_auto_t *config = r == 0 ? json_incref(json_array_get(documents, 0)) : NULL;
        if (r == 0)
                r = cx_config_check(kind, config, err);
        if (r == 0)
                *ret_config = cx_steal(&config);
        return r;
}

int cx_config_load(const char *path, const struct cx_kind *kind, json_t **ret_config, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read the configuration %s: %s", path, strerror(-r));
        r = cx_config_parse(text.data, text.length, kind, ret_config, err);
        return r < 0 ? cx_error_wrap(err, "configuration %s", path) : 0;
}
