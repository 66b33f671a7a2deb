// SPDX-License-Identifier: Apache-2.0
#include "kube-proxy/config.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#define MAX_FILE ((size_t)1 << 20)
#define VERSION "kubeproxy.config.k8s.io/v1alpha1"
#define KIND "KubeProxyConfiguration"

static bool says_nothing(const json_t *value)
{
        return json_is_null(value) || json_is_false(value) || (json_is_string(value) && !*json_string_value(value)) ||
               (json_is_number(value) && json_number_value(value) == 0) ||
               (json_is_array(value) && !json_array_size(value)) ||
               (json_is_string(value) &&
                (!strcmp(json_string_value(value), "0s") || !strcmp(json_string_value(value), "0")));
}

static int take_list(struct cx_strings *to, const json_t *value)
{
        size_t i;
        json_t *item;
        cx_strings_release(to);
        json_array_foreach ((json_t *)value, i, item) {
                if (!json_is_string(item))
                        return -EINVAL;
                cx_strings_add(to, json_string_value(item));
        }
        return 0;
}

static int take(const struct proxy_field *field, const json_t *value)
{
        const char *text = json_string_value(value);
        if (json_is_null(value) || (field->given && *field->given))
                return 0;
        switch (field->kind) {
        case CX_FLAG_STRING:
                if (text)
                        *(const char **)field->target = text;
                return text ? 0 : -EINVAL;
        case CX_FLAG_BOOL:
                if (json_is_boolean(value))
                        *(bool *)field->target = json_is_true(value);
                return json_is_boolean(value) ? 0 : -EINVAL;
        case CX_FLAG_INT:
                if (json_is_integer(value))
                        *(int64_t *)field->target = json_integer_value(value);
                return json_is_integer(value) ? 0 : -EINVAL;
        case CX_FLAG_DURATION:
                return text && strcmp(text, "0s") == 0 ? 0 // the default
                       : text                          ? cx_duration_parse(text, field->target)
                                                       : -EINVAL;
        default:
                return json_is_array(value) ? take_list(field->target, value) : -EINVAL;
        }
}

// Every leaf has a row, or says nothing.
static int walk(const json_t *object, const char *prefix, const struct proxy_field *fields, struct cx_error *err)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)object, key, value) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s%s%s", prefix, *prefix ? "." : "", key);
                if (json_is_object(value)) {
                        int r = walk(value, path, fields, err);
                        if (r < 0)
                                return r;
                        continue;
                }
                const struct proxy_field *field = fields;
                while (field->path && strcmp(field->path, path) != 0)
                        field++;
                if (field->path && take(field, value) < 0)
                        return cx_error_set(err, -EINVAL, "field %s has the wrong type or value", path);
                if (!field->path && !says_nothing(value))
                        return cx_error_set(err, -EINVAL, "field %s is not supported: leave it out", path);
        }
        return 0;
}

int proxy_config_parse(const char *text, size_t length, const struct proxy_field *fields, json_t **ret_config,
                       struct cx_error *err)
{
        json_auto_t *documents = NULL;
        int r = cx_yaml_parse(text, length, &documents, err);
        if (r < 0)
                return r;
        const json_t *config = json_array_get(documents, 0);
        if (json_array_size(documents) != 1 || !cx_streq(cx_json_string(config, "apiVersion"), VERSION) ||
            !cx_streq(cx_json_string(config, "kind"), KIND))
                return cx_error_set(err, -EINVAL, "must be one document of apiVersion " VERSION " and kind " KIND);
        json_auto_t *rest = json_copy((json_t *)config); // shares what the texts are in
        json_object_del(rest, "apiVersion");
        json_object_del(rest, "kind");
        r = walk(rest, "", fields, err);
        if (r == 0)
                *ret_config = json_incref((json_t *)config);
        return r;
}

int proxy_config_load(const char *file, const struct proxy_field *fields, json_t **ret_config, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        int r = cx_buf_read_file(&text, file);
        if (r < 0)
                return cx_error_set(err, r, "--config: cannot read %s: %s", file, strerror(-r));
        r = proxy_config_parse(text.data, text.length, fields, ret_config, err);
        return r < 0 ? cx_error_wrap(err, "--config: %s", file) : 0;
}
