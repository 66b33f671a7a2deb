// SPDX-License-Identifier: Apache-2.0
// images: new names, tags and digests, wherever an object has containers.
#include "kubectl/kustomize/internal.h"

// The name of an image ends where its tag or digest begins; a port of the registry is no tag.
static size_t name_length(const char *image)
{
        const char *at = strchr(image, '@'), *slash = strrchr(image, '/');
        size_t length = at ? (size_t)(at - image) : strlen(image);
        const char *colon = strchr(slash && slash < image + length ? slash : image, ':');
        return colon && colon < image + length ? (size_t)(colon - image) : length;
}

static void rename_image(json_t *container, const json_t *rule)
{
        const char *image = cx_json_string(container, "image"), *name = cx_json_string_or(rule, "name", "");
        if (!image || name_length(image) != strlen(name) || strncmp(image, name, strlen(name)) != 0)
                return;
        const char *new_name = cx_json_string_or(rule, "newName", ""), *tag = cx_json_string_or(rule, "newTag", ""),
                   *digest = cx_json_string_or(rule, "digest", ""), *suffix = cx_json_string_or(rule, "tagSuffix", "");
        const char *old = image + strlen(name), *old_digest = strchr(old, '@');
        CX_BUF made = CX_BUF_INIT;
        cx_buf_add(&made, *new_name ? new_name : name);
        if (*tag && *digest)
                cx_buf_printf(&made, ":%s@%s", tag, digest);
        else if (*tag)
                cx_buf_printf(&made, ":%s", tag);
        else if (*digest)
                cx_buf_printf(&made, "@%s", digest);
        else if (*suffix && !old_digest)
                cx_buf_printf(&made, "%s%s", *old ? old : ":latest", suffix);
        else
                cx_buf_add(&made, old);
        json_object_set_new(container, "image", json_string(made.data));
}

static void walk(json_t *value, const json_t *rule)
{
        const char *key;
        json_t *member, *container;
        size_t i;
        json_array_foreach (value, i, member)
                walk(member, rule);
        if (!json_is_object(value))
                return;
        json_object_foreach (value, key, member) {
                bool containers = strcmp(key, "containers") == 0 || strcmp(key, "initContainers") == 0;
                if (containers && json_is_array(member))
                        json_array_foreach (member, i, container)
                                rename_image(container, rule);
                else
                        walk(member, rule);
        }
}

int set_images(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        size_t i;
        json_t *rule;
        json_array_foreach (json_object_get(k->fields, "images"), i, rule) {
                if (!cx_json_string(rule, "name"))
                        return cx_error_set(err, -EINVAL, "an image without a name");
                for (size_t j = 0; j < items->count; j++)
                        if (strcmp(item_kind(&items->list[j]), "CustomResourceDefinition") != 0)
                                walk(items->list[j].object, rule);
        }
        return 0;
}
