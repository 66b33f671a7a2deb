// SPDX-License-Identifier: Apache-2.0
// kubectl explain, from the server's /openapi/v3.
#include "kubectl/cmd/commands.h"

struct explain {
        const json_t *schemas; // components.schemas
        bool recursive;
        struct cx_buf text;
};

// The schema that a $ref (or a single allOf of one) leads to.
static const json_t *resolve(const struct explain *e, const json_t *schema)
{
        for (int i = 0; i < 8 && schema; i++) {
                const char *ref = json_string_value(json_object_get(schema, "$ref"));
                if (!ref)
                        ref = json_string_value(
                                json_object_get(json_array_get(json_object_get(schema, "allOf"), 0), "$ref"));
                if (!ref)
                        break;
                const char *slash = strrchr(ref, '/');
                schema = json_object_get(e->schemas, slash ? slash + 1 : ref);
        }
        return schema;
}

static const char *ref_name(const json_t *schema)
{
        const char *ref = json_string_value(json_object_get(schema, "$ref"));
        if (!ref)
                ref = json_string_value(json_object_get(json_array_get(json_object_get(schema, "allOf"), 0), "$ref"));
        const char *dot = ref ? strrchr(ref, '.') : NULL;
        return dot ? dot + 1 : ref;
}

// An empty schema of items or values says nothing: then it is a plain array or object.
static void type_text(const struct explain *e, const json_t *schema, struct cx_buf *to)
{
        const json_t *items = json_object_get(schema, "items"),
                     *values = json_object_get(schema, "additionalProperties");
        const char *name = ref_name(schema), *type = cx_json_string(resolve(e, schema), "type");
        bool object = !type || strcmp(type, "object") == 0;
        if (json_object_size(items)) {
                cx_buf_add(to, "[]");
                type_text(e, items, to);
        } else if (json_object_size(values)) {
                cx_buf_add(to, "map[string]");
                type_text(e, values, to);
        } else if (object) {
                cx_buf_add(to, name ? name : "Object");
        } else {
                cx_buf_add(to, type);
        }
}

// The object type that is below a field: through lists and maps.
static const json_t *element_of(const struct explain *e, const json_t *schema)
{
        for (int i = 0; i < 8 && schema; i++) {
                schema = resolve(e, schema);
                if (json_object_get(schema, "items"))
                        schema = json_object_get(schema, "items");
                else if (json_is_object(json_object_get(schema, "additionalProperties")))
                        schema = json_object_get(schema, "additionalProperties");
                else
                        break;
        }
        return resolve(e, schema);
}

// Fills lines of at most 80 columns.
static void wrap(struct cx_buf *to, int indent, const char *text)
{
        size_t width = 80 - (size_t)indent;
        while (*text) {
                size_t line = strcspn(text, "\n"), used = 0;
                if (!line) {
                        cx_buf_add_char(to, '\n');
                        text++;
                        continue;
                }
                cx_buf_printf(to, "%*s", indent, "");
                while (line) {
                        size_t blank = strspn(text, " ");
                        blank = blank > line ? line : blank;
                        text += blank;
                        line -= blank;
                        size_t word = strcspn(text, " \n");
                        if (used && used + 1 + word > width) {
                                cx_buf_printf(to, "\n%*s", indent, "");
                                used = 0;
                        }
                        if (word)
                                cx_buf_printf(to, "%s%.*s", used ? " " : "", (int)word, text);
                        used += word + (used > 0);
                        text += word;
                        line -= word;
                }
                cx_buf_add_char(to, '\n');
                text += *text == '\n';
        }
}

// The description of a schema and those of what it is made of: its type, and the items of lists and maps.
static void gather_description(const struct explain *e, const json_t *schema, int depth, struct cx_buf *to)
{
        if (json_object_get(schema, "$ref"))
                schema = resolve(e, schema);
        const char *text = cx_json_string(schema, "description");
        if (text && *text)
                cx_buf_printf(to, "%s\n", text);
        if (depth == 8)
                return;
        size_t i;
        json_t *part;
        json_array_foreach (json_object_get(schema, "allOf"), i, part)
                gather_description(e, part, depth + 1, to);
        static const char *const elements[] = {"items", "additionalProperties"};
        for (i = 0; i < CX_ARRAY_SIZE(elements); i++)
                if (json_is_object(json_object_get(schema, elements[i])))
                        gather_description(e, json_object_get(schema, elements[i]), depth + 1, to);
}

static bool is_required(const json_t *schema, const char *name)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(schema, "required"), i, item)
                if (cx_streq(json_string_value(item), name))
                        return true;
        return false;
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void show_enum(struct explain *e, const json_t *schema, int indent)
{
        const json_t *values = json_object_get(resolve(e, schema), "enum");
        size_t i;
        json_t *value;
        if (!json_array_size(values))
                return;
        cx_buf_printf(&e->text, "%*senum: ", indent, "");
        json_array_foreach (values, i, value) {
                const char *text = cx_str(json_string_value(value));
                if (i == 4) {
                        cx_buf_add(&e->text, ", ....");
                        break;
                }
                cx_buf_printf(&e->text, "%s%s", i ? ", " : "", *text ? text : "\"\"");
        }
        cx_buf_add_char(&e->text, '\n');
}

// The types on the way down to some fields. One that holds itself is not entered again.
struct trail {
        const json_t *type;
        const struct trail *above;
};

static bool is_on(const struct trail *trail, const json_t *type)
{
        for (; trail; trail = trail->above)
                if (trail->type == type)
                        return true;
        return false;
}

static void show_fields(struct explain *e, const json_t *schema, int indent, const struct trail *trail)
{
        const json_t *properties = json_object_get(schema, "properties");
        size_t n = 0;
        CX_CLEANUP(cx_freep) const char **keys = cx_alloc_array(json_object_size(properties) + 1, sizeof *keys);
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)properties, key, value)
                keys[n++] = key;
        qsort(keys, n, sizeof *keys, compare_keys);
        for (size_t i = 0; i < n; i++) {
                const json_t *field = json_object_get(properties, keys[i]);
                CX_BUF type = CX_BUF_INIT;
                type_text(e, field, &type);
                cx_buf_printf(&e->text, "%*s%s\t<%s>%s\n", indent, "", keys[i], type.data,
                              is_required(schema, keys[i]) ? " -required-" : "");
                show_enum(e, field, indent);
                if (!e->recursive) {
                        const char *text = cx_json_string(field, "description");
                        wrap(&e->text, indent + 2, text && *text ? text : "<no description>");
                        cx_buf_add_char(&e->text, '\n');
                        continue;
                }
                const struct trail below = {element_of(e, field), trail};
                if (json_object_get(below.type, "properties") && !is_on(trail, below.type))
                        show_fields(e, below.type, indent + 2, &below);
        }
}

static bool has_gvk(const json_t *schema, const struct mapping *m)
{
        size_t i;
        json_t *gvk;
        json_array_foreach (json_object_get(schema, "x-kubernetes-group-version-kind"), i, gvk)
                if (cx_streq(cx_json_string_or(gvk, "group", ""), m->group) &&
                    cx_streq(cx_json_string(gvk, "version"), m->version) &&
                    cx_streq(cx_json_string(gvk, "kind"), m->kind))
                        return true;
        return false;
}

static int show(struct explain *e, const struct mapping *m, const struct cx_strings *fields, struct cx_error *err)
{
        const json_t *schema = NULL, *field = NULL;
        const char *missing = NULL;
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)e->schemas, key, value)
                if (has_gvk(value, m))
                        schema = value;
        if (!schema)
                return cx_error_set(err, -ENOENT, "couldn't find resource for \"%s%s%s, Kind=%s\"", m->group,
                                    *m->group ? "/" : "", m->version, m->kind);
        for (size_t i = 1; i < fields->count; i++) {
                const json_t *owner = element_of(e, field ? field : schema);
                field = json_object_get(json_object_get(owner, "properties"), fields->items[i]);
                if (!field) { // the head is shown all the same
                        missing = fields->items[i];
                        break;
                }
        }
        if (*m->group)
                cx_buf_printf(&e->text, "GROUP:      %s\n", m->group);
        cx_buf_printf(&e->text, "KIND:       %s\nVERSION:    %s\n\n", m->kind, m->version);
        if (missing) {
                fputs(e->text.data, stdout);
                return cx_error_set(err, -ENOENT, "field \"%s\" does not exist", missing);
        }
        const json_t *target = element_of(e, field ? field : schema);
        if (field) {
                CX_BUF type = CX_BUF_INIT;
                type_text(e, field, &type);
                cx_buf_printf(&e->text, "FIELD: %s <%s>\n", fields->items[fields->count - 1], type.data);
                const json_t *values = json_object_get(target, "enum");
                size_t i;
                cx_buf_add(&e->text, json_array_size(values) ? "ENUM:\n" : "\n");
                json_array_foreach (values, i, value) {
                        const char *one = cx_str(json_string_value(value));
                        cx_buf_printf(&e->text, "    %s\n", *one ? one : "\"\"");
                }
                cx_buf_add_char(&e->text, '\n');
        }
        CX_BUF text = CX_BUF_INIT;
        gather_description(e, field ? field : schema, 0, &text);
        cx_buf_add(&e->text, "DESCRIPTION:\n");
        wrap(&e->text, 4, text.length ? text.data : "<empty>");
        if (text.length)
                cx_buf_add(&e->text, "    \n");
        if (json_object_size(json_object_get(target, "properties"))) {
                cx_buf_add(&e->text, "FIELDS:\n");
                const struct trail below = {target, NULL};
                show_fields(e, target, 2, field ? &below : NULL);
        }
        cx_buf_add_char(&e->text, '\n');
        return 0;
}

COMMAND(explain)
{
        struct explain e = {.text = CX_BUF_INIT};
        const char *api_version = NULL, *output = NULL;
        const struct cx_flag flags[] = {
                {"recursive", 0, CX_FLAG_BOOL, &e.recursive, "The names of all fields below, without descriptions."},
                {"api-version", 0, CX_FLAG_STRING, &api_version, "Explain this version."},
                {"output", 'o', CX_FLAG_STRING, &output, "plaintext."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT, fields = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count != 1)
                return cx_error_set(err, -EINVAL,
                                    args.count ? "We accept only this format: explain RESOURCE\n"
                                               : "You must specify the type of resource to explain. Use \"kubectl "
                                                 "api-resources\" for a complete list of supported resources.\n");
        if (output && strcmp(output, "plaintext") != 0)
                return cx_error_set(err, -EINVAL, "unrecognized format: %s", output);
        cx_strings_split(&fields, args.items[0], '.');
        const struct mapping *m = NULL;
        CX_ERROR unknown = CX_ERROR_INIT;
        r = mapping_find(ctl, args.items[0], &m, &unknown); // "deployments.apps"
        if (r == 0) {
                while (fields.count > 1)
                        free(fields.items[--fields.count]);
        } else {
                r = mapping_find(ctl, fields.items[0], &m, err);
        }
        if (r == -ENOENT && err && err->reason == CX_REASON_UNKNOWN) { // said without "error: "
                fprintf(stderr, "%s\n", cx_error_text(err));
                cx_error_release(err);
                ctl->status = 1;
        }
        if (r < 0)
                return r;
        char whole[160];
        if (api_version) {
                const struct mapping *asked = NULL;
                r = mapping_by_kind(ctl, api_version, m->kind, &asked, err);
                if (r == -ENOENT && (!err || !err->code))
                        return cx_error_set(err, r, "couldn't find resource for \"%s, Resource=%s\"", api_version,
                                            m->resource);
                if (r < 0)
                        return r;
                m = asked;
        }
        snprintf(whole, sizeof whole, "/openapi/v3/%s%s%s/%s", *m->group ? "apis/" : "api", m->group, "", m->version);
        json_auto_t *document = NULL;
        r = ctl_json(ctl, "GET", whole, NULL, NULL, &document, err);
        if (r < 0)
                return r;
        e.schemas = cx_json_get(document, "components.schemas");
        r = show(&e, m, &fields, err);
        if (r == 0)
                fputs(e.text.data, stdout);
        cx_buf_release(&e.text);
        return r;
}
