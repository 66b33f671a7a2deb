// SPDX-License-Identifier: Apache-2.0
// configMapGenerator and secretGenerator, and the hashes of what they make.
#include "kubectl/kustomize/internal.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/pki.h"

#define MAX_VALUE ((size_t)4 << 20)
#define LINE 70 // of base64

struct generator {
        const struct kustomization *k;
        bool secret;
        json_t *object;
};

static bool is_text(const char *data, size_t length)
{
        json_auto_t *text = json_stringn(data, length);
        return text && !memchr(data, 0, length);
}

static void add_value(struct generator *g, const char *key, const char *data, size_t length)
{
        if (!g->secret && is_text(data, length)) {
                json_object_set_new(cx_json_object_at(g->object, "data"), key, json_stringn(data, length));
                return;
        }
        CX_BUF encoded = CX_BUF_INIT, lines = CX_BUF_INIT;
        cx_base64_encode(data, length, &encoded);
        for (size_t i = 0; i < encoded.length; i += LINE) // long values are broken into lines
                cx_buf_printf(&lines, "%.*s%s", LINE, encoded.data + i, encoded.length >= LINE ? "\n" : "");
        json_object_set_new(cx_json_object_at(g->object, g->secret ? "data" : "binaryData"), key,
                            json_string(lines.data));
}

static int add_literal(struct generator *g, const char *text, struct cx_error *err)
{
        const char *equals = strchr(text, '=');
        if (!equals || equals == text)
                return cx_error_set(err, -EINVAL, "invalid literal source %s, expected key=value", text);
        CX_CLEANUP(cx_freep) char *key = cx_strndup(text, (size_t)(equals - text));
        const char *value = equals + 1;
        size_t length = strlen(value);
        if (length > 1 && (*value == '"' || *value == '\'') && value[length - 1] == *value) {
                value++;
                length -= 2;
        }
        add_value(g, key, value, length);
        return 0;
}

// "path" or "key=path".
static int add_file(struct generator *g, const char *text, struct cx_error *err)
{
        const char *equals = strchr(text, '='), *path = equals ? equals + 1 : text, *slash = strrchr(path, '/');
        CX_CLEANUP(cx_freep)
        char *key = equals ? cx_strndup(text, (size_t)(equals - text)) : cx_strdup(slash ? slash + 1 : path);
        CX_BUF file = CX_BUF_INIT_MAX(MAX_VALUE);
        int r = kustomization_read(g->k, path, &file, err);
        if (r == 0)
                add_value(g, key, file.data, file.length);
        return r;
}

static int add_environment(struct generator *g, const char *path, struct cx_error *err)
{
        CX_BUF file = CX_BUF_INIT_MAX(MAX_VALUE);
        CX_STRINGS lines = CX_STRINGS_INIT;
        int r = kustomization_read(g->k, path, &file, err);
        if (r < 0)
                return r;
        cx_strings_split(&lines, file.data, '\n');
        for (size_t i = 0; i < lines.count; i++) {
                char *line = lines.items[i] + strspn(lines.items[i], " \t");
                line[strcspn(line, "\r")] = 0;
                if (!*line || *line == '#')
                        continue;
                char *equals = strchr(line, '=');
                const char *value = equals ? equals + 1 : cx_str(getenv(line));
                if (equals)
                        *equals = 0;
                add_value(g, line, value, strlen(value));
        }
        return 0;
}

static int add_sources(struct generator *g, const json_t *entry, struct cx_error *err)
{
        static const struct {
                const char *member;
                int (*add)(struct generator *g, const char *text, struct cx_error *err);
        } kinds[] = {{"envs", add_environment}, {"files", add_file}, {"literals", add_literal}};
        const char *env = cx_json_string(entry, "env");
        int r = env && *env ? add_environment(g, env, err) : 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++) {
                size_t j;
                json_t *text;
                json_array_foreach (json_object_get(entry, kinds[i].member), j, text)
                        if (r == 0)
                                r = kinds[i].add(g, cx_str(json_string_value(text)), err);
        }
        return r;
}

static void add_options(const json_t *options, json_t *object)
{
        static const char *const maps[] = {"labels", "annotations"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(maps); i++) {
                const json_t *map = json_object_get(options, maps[i]);
                if (json_object_size(map))
                        json_object_update(cx_json_object_at(json_object_get(object, "metadata"), maps[i]),
                                           (json_t *)map);
        }
        if (cx_json_bool(options, "immutable", false))
                json_object_set_new(object, "immutable", json_true());
}

static struct kustom *find_generated(struct kustoms *items, const json_t *object)
{
        const char *namespace = cx_json_string_or(object, "metadata.namespace", "");
        for (size_t i = 0; i < items->count; i++) {
                struct kustom *item = &items->list[i];
                if (cx_streq(item_kind(item), cx_json_string(object, "kind")) &&
                    item_was_called(item, cx_json_string_or(object, "metadata.name", "")) &&
                    (!*namespace || cx_streq(cx_json_string(item->object, "metadata.namespace"), namespace) ||
                     cx_streq(item->namespace, namespace)))
                        return item;
        }
        return NULL;
}

// Merges into, or replaces, what is there under the name.
static int combine(struct kustoms *items, json_t *object_steal, const char *behavior, bool hashed, struct cx_error *err)
{
        json_auto_t *object = object_steal;
        struct kustom *item = find_generated(items, object);
        static const char *const maps[] = {"metadata.labels", "metadata.annotations", "data", "binaryData"};
        bool replaces = strcmp(behavior, "replace") == 0;
        if (!item)
                return cx_error_set(err, -ENOENT, "merging from generator: id resid.ResId for %s not found to %s",
                                    cx_json_string_or(object, "metadata.name", ""), behavior);
        for (size_t i = 0; i < CX_ARRAY_SIZE(maps); i++) {
                const json_t *new = cx_json_get(object, maps[i]);
                json_t *old = cx_json_get(item->object, maps[i]);
                if (replaces && i > 1)
                        cx_json_remove(item->object, maps[i]), old = NULL;
                if (!json_object_size(new))
                        continue;
                json_t *merged = old ? json_deep_copy(old) : json_object();
                json_object_update(merged, (json_t *)new);
                (void)cx_json_set(item->object, maps[i], merged);
        }
        if (json_object_get(object, "immutable"))
                json_object_set(item->object, "immutable", json_object_get(object, "immutable"));
        item->hashed = item->hashed || hashed;
        return 0;
}

static int generate_one(const struct kustomization *k, const json_t *entry, bool secret, struct kustoms *items,
                        struct cx_error *err)
{
        const json_t *all = json_object_get(k->fields, "generatorOptions"), *own = json_object_get(entry, "options");
        const char *behavior = cx_json_string_or(entry, "behavior", "create"), *name = cx_json_string(entry, "name");
        struct generator g = {k, secret,
                              json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind",
                                        secret ? "Secret" : "ConfigMap", "metadata", "name", cx_str(name))};
        json_auto_t *object = g.object;
        if (!name || !*name)
                return cx_error_set(err, -EINVAL, "missing metadata.name in object {{v1 %s} {{ } map[] map[]}}",
                                    secret ? "Secret" : "ConfigMap");
        cx_json_set_string(object, "metadata.namespace", cx_json_string(entry, "namespace"));
        if (secret)
                json_object_set_new(object, "type", json_string(cx_json_string_or(entry, "type", "Opaque")));
        int r = add_sources(&g, entry, err);
        if (r < 0)
                return r;
        add_options(all, object);
        add_options(own, object);
        bool hashed = !cx_json_bool(own, "disableNameSuffixHash", cx_json_bool(all, "disableNameSuffixHash", false));
        if (strcmp(behavior, "merge") == 0 || strcmp(behavior, "replace") == 0)
                return combine(items, json_incref(object), behavior, hashed, err);
        ITEMS one = {0};
        items_add(&one, json_incref(object))->hashed = hashed;
        return items_merge(items, &one, err);
}

int generate(const struct kustomization *k, struct kustoms *items, struct cx_error *err)
{
        static const char *const fields[] = {"configMapGenerator", "secretGenerator"};
        int r = 0;
        for (size_t secret = 0; secret < CX_ARRAY_SIZE(fields); secret++) {
                size_t i;
                json_t *entry;
                json_array_foreach (json_object_get(k->fields, fields[secret]), i, entry)
                        if (r == 0)
                                r = generate_one(k, entry, secret, items, err);
        }
        return r;
}

// The hash of what is written as kustomize writes it: compact JSON, sorted keys, <, > and & escaped; its digits have no
// letters that make words.
static void hash(const struct kustom *item, char to[11])
{
        static const char from[] = "013ae", into[] = "ghkmt";
        bool secret = strcmp(item_kind(item), "Secret") == 0;
        const json_t *data = json_object_get(item->object, "data");
        json_auto_t *hashed = json_pack("{s:s,s:s}", "kind", item_kind(item), "name", "");
        if (secret)
                json_object_set(hashed, "type", json_object_get(item->object, "type"));
        if (data)
                json_object_set(hashed, "data", (json_t *)data);
        else
                json_object_set_new(hashed, "data", json_string(""));
        const json_t *more = json_object_get(item->object, secret ? "stringData" : "binaryData");
        if (json_is_object(more))
                json_object_set(hashed, secret ? "stringData" : "binaryData", (json_t *)more);
        CX_CLEANUP(cx_freep) char *text = json_dumps(hashed, JSON_COMPACT | JSON_SORT_KEYS);
        CX_BUF escaped = CX_BUF_INIT;
        for (const char *p = cx_str(text); *p; p++)
                if (strchr("<>&", *p))
                        cx_buf_printf(&escaped, "\\u%04x", (unsigned)*p);
                else
                        cx_buf_add_char(&escaped, *p);
        char hex[65];
        cx_sha256_hex(escaped.data, escaped.length, hex);
        for (int i = 0; i < 10; i++) {
                const char *at = strchr(from, hex[i]);
                to[i] = at ? into[at - from] : hex[i];
        }
        to[10] = 0;
}

void hash_names(struct kustoms *items)
{
        for (size_t i = 0; i < items->count; i++) {
                char digits[11];
                if (!items->list[i].hashed)
                        continue;
                hash(&items->list[i], digits);
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s-%s", item_name(&items->list[i]), digits);
                item_rename(&items->list[i], name);
        }
}
