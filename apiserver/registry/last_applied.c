// SPDX-License-Identifier: Apache-2.0
// The annotation is the user's to write: what cannot be read counts as absent.
#include "apiserver/registry/last_applied.h"

#include "libcommon/format/json.h"
#include "libcommon/schema/fields.h"

#define ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"
#define MAX_ANNOTATIONS ((size_t)256 * 1024) // all of an object's

static const char *text_of(const json_t *object)
{
        return json_string_value(json_object_get(cx_json_get(object, "metadata.annotations"), ANNOTATION));
}

json_t *last_applied_fields(const struct scope *scope, const json_t *live)
{
        const struct cx_type *type = scope->resource->kind->type;
        const char *text = text_of(live);
        json_auto_t *config = NULL, *fields = NULL;
        if (!text || cx_json_parse(text, strlen(text), false, &config, NULL) < 0 || !json_is_object(config) ||
            cx_fields_of(type, config, false, &fields, NULL) < 0)
                return NULL;
        json_auto_t *again = cx_fields_merge(type, live, config);
        json_auto_t *changed = cx_fields_changed(type, again, live);
        json_auto_t *held = cx_fields_minus(fields, changed);
        json_auto_t *annotation = json_pack("{s:{s:{s:{}}}}", "f:metadata", "f:annotations", "f:" ANNOTATION);
        return cx_fields_union(held, annotation);
}

bool last_applied_allows(const struct scope *scope)
{
        return cx_streq(scope->manager, "kubectl");
}

void last_applied_refresh(const struct scope *scope, const json_t *config, json_t *object)
{
        if (!last_applied_allows(scope) || !text_of(object))
                return;
        json_auto_t *copy = json_deep_copy(config);
        json_t *annotations = cx_json_get(object, "metadata.annotations");
        json_object_del(cx_json_get(copy, "metadata.annotations"), ANNOTATION);
        json_object_del(json_object_get(copy, "metadata"), "managedFields");
        CX_CLEANUP(cx_freep) char *line = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s\n", cx_str(line));
        json_object_set_new(annotations, ANNOTATION, json_string(text));
        size_t total = 0;
        const char *key;
        json_t *value;
        json_object_foreach (annotations, key, value)
                total += strlen(key) + json_string_length(value);
        if (total > MAX_ANNOTATIONS)
                json_object_del(annotations, ANNOTATION);
}
