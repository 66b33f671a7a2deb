// SPDX-License-Identifier: Apache-2.0
// Metadata and label selectors, wherever they occur.
#include "libcommon/api/names.h"
#include "libcommon/schema/validate/validate.h"

#define MAX_ANNOTATIONS (256 * 1024)

static void check_metadata(struct cx_validator *v, const json_t *metadata)
{
        const char *key, *wrong;
        json_t *value;
        size_t total = 0, i, controllers = 0;
        json_object_foreach (json_object_get(metadata, "labels"), key, value) {
                if ((wrong = cx_check_qualified_name(key)))
                        cx_invalid_text(v, "labels", key, wrong);
                if ((wrong = cx_check_label_value(cx_str(json_string_value(value)))))
                        cx_invalid(v, "labels", value, wrong);
        }
        json_object_foreach (json_object_get(metadata, "annotations"), key, value) {
                if ((wrong = cx_check_qualified_name(key)))
                        cx_invalid_text(v, "annotations", key, wrong);
                total += strlen(key) + json_string_length(value);
        }
        if (total > MAX_ANNOTATIONS)
                cx_too_long(v, "annotations", MAX_ANNOTATIONS);
        json_array_foreach (json_object_get(metadata, "finalizers"), i, value)
                if ((wrong = cx_check_qualified_name(cx_str(json_string_value(value)))))
                        cx_invalid(v, "finalizers", value, wrong);
        json_array_foreach (json_object_get(metadata, "ownerReferences"), i, value)
                if (cx_json_bool(value, "controller", false) && ++controllers == 2)
                        cx_invalid(v, "ownerReferences", json_object_get(metadata, "ownerReferences"),
                                   "Only one reference can have Controller set to true");
}

static void check_requirement(struct cx_validator *v, const json_t *requirement)
{
        const char *op = cx_json_string_or(requirement, "operator", "");
        bool has = json_array_size(json_object_get(requirement, "values")) > 0;
        if ((strcmp(op, "In") == 0 || strcmp(op, "NotIn") == 0) && !has)
                cx_required(v, "values", "must be specified when `operator` is 'In' or 'NotIn'");
        if ((strcmp(op, "Exists") == 0 || strcmp(op, "DoesNotExist") == 0) && has)
                cx_forbidden(v, "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        cx_check_text(v, requirement, "key", cx_check_qualified_name);
        cx_check_texts(v, requirement, "values", cx_check_label_value);
}

static void check_label_selector(struct cx_validator *v, const json_t *selector)
{
        const char *key, *wrong;
        json_t *value;
        json_object_foreach (json_object_get(selector, "matchLabels"), key, value) {
                if ((wrong = cx_check_qualified_name(key)))
                        cx_invalid_text(v, "matchLabels", key, wrong);
                if ((wrong = cx_check_label_value(cx_str(json_string_value(value)))))
                        cx_invalid(v, "matchLabels", value, wrong);
        }
}

const struct cx_check cx_checks_meta[] = {
        {"meta.v1.ObjectMeta", check_metadata},
        {"meta.v1.LabelSelector", check_label_selector},
        {"meta.v1.LabelSelectorRequirement", check_requirement},
        {NULL, NULL},
};
