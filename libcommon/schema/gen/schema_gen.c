// SPDX-License-Identifier: Apache-2.0
// Turns the API descriptions (libcommon/schema/*.api) into C tables: schema_gen OUTPUT INPUT...
//
// A build-time tool: it reads the files line by line into three arrays (types, kinds, resources), links the names,
// sorts, and prints. The first mistake ends it with "file:line: what". Nothing is freed: it lives for a blink.
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 64

struct where {
        const char *file;
        int line;
};
struct list { // of strings
        char **items;
        size_t count;
};
struct field {
        struct where at;
        char *name, *type_name, *merge_key, *default_json, *min, *max, *proto_type, *description;
        const char *of, *shape, *list_type;
        struct list map_keys, enum_values;
        bool required, immutable, merge, retain_keys, atomic_map, nonempty, duplicates, has_enum;
        unsigned tags[3];
        int type; // index into types, -1
};
struct type {
        struct where at;
        char *name;
        struct field *fields;
        size_t n_fields;
        char *description;
        bool atomic, conditional, defaulted;
};
struct kind {
        struct where at;
        char *group, *version, *kind, *type_name;
        int type;
};
struct sub {
        char *name, *group, *version, *kind, *verbs;
};
struct column {
        char *name, *type, *format, *priority, *description;
};
struct resource {
        struct where at;
        char *group, *version, *resource, *singular, *kind, *verbs, *storage_group, *storage_version;
        struct list short_names, categories, selectable;
        bool namespaced;
        int order, kind_index;
        struct sub *subs;
        size_t n_subs;
        struct column *columns;
        size_t n_columns;
};

static struct type *types;
static size_t n_types;
static struct kind *kinds;
static size_t n_kinds;
static struct resource *resources;
static size_t n_resources;
static struct where here;
static char *group, *version, *package;
static int order;

__attribute__((noreturn, format(printf, 2, 3))) static void fail(struct where at, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        fprintf(stderr, "%s:%d: ", at.file, at.line);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        exit(1);
}

static void *grow(void *array, size_t *count, size_t size)
{
        char *p = realloc(array, (*count + 1) * size);
        if (!p)
                abort();
        memset(p + *count * size, 0, size);
        (*count)++;
        return p;
}
#define PUSH(array, count)                                                                                             \
        (*({                                                                                                           \
                (array) = grow((array), &(count), sizeof *(array));                                                    \
                &(array)[(count)-1];                                                                                   \
        }))

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
        va_list args;
        char *p;
        va_start(args, format);
        if (vasprintf(&p, format, args) < 0)
                abort();
        va_end(args);
        return p;
}

static void add(struct list *list, const char *item)
{
        PUSH(list->items, list->count) = text("%s", item);
}

static void split(struct list *list, const char *from, char separator)
{
        for (;;) {
                const char *end = strchrnul(from, separator);
                add(list, text("%.*s", (int)(end - from), from));
                if (!*end)
                        return;
                from = end + 1;
        }
}

static const char *value_of(const char *token, const char *key)
{
        size_t n = strlen(key);
        return strncmp(token, key, n) == 0 && token[n] == '=' ? token + n + 1 : NULL;
}

// Cuts a line at blanks; a token may hold a quoted part with blanks. Returns the count.
static int tokenize(char *line, char *tokens[MAX_TOKENS])
{
        int n = 0;
        char *p = line;
        for (;;) {
                while (isspace((unsigned char)*p))
                        p++;
                if (!*p)
                        return n;
                if (n == MAX_TOKENS)
                        fail(here, "too many words");
                tokens[n++] = p;
                bool quoted = false;
                while (*p && (quoted || !isspace((unsigned char)*p))) {
                        if (*p == '\\' && quoted && p[1])
                                p++;
                        else if (*p == '"')
                                quoted = !quoted;
                        p++;
                }
                if (quoted)
                        fail(here, "a quote is not closed");
                if (*p)
                        *p++ = 0;
        }
}

static char *unquote(const char *word)
{
        size_t n = strlen(word);
        return n >= 2 && *word == '"' && word[n - 1] == '"' ? text("%.*s", (int)n - 2, word + 1) : text("%s", word);
}

static char *qualified(const char *name)
{
        return strchr(name, '.') ? text("%s", name) : text("%s.%s", package, name);
}

// --- fields ---------------------------------------------------------------------------------------------------------
static const struct {
        const char *word, *of;
} scalars[] = {
        {"string", "CX_OF_STRING"},     {"int32", "CX_OF_INT32"},
        {"int64", "CX_OF_INT64"},       {"number", "CX_OF_NUMBER"},
        {"bool", "CX_OF_BOOL"},         {"bytes", "CX_OF_BYTES"},
        {"time", "CX_OF_TIME"},         {"micro-time", "CX_OF_MICRO_TIME"},
        {"duration", "CX_OF_DURATION"}, {"quantity", "CX_OF_QUANTITY"},
        {"any", "CX_OF_ANY"},           {"int-or-string", "CX_OF_INT_OR_STRING"},
};

static void set_type(struct field *field, const char *word)
{
        field->shape = "CX_SHAPE_ONE";
        field->type = -1;
        if (strncmp(word, "{}[]", 4) == 0) {
                field->shape = "CX_SHAPE_MAP_OF_LIST";
                word += 4;
        } else if (strncmp(word, "{}", 2) == 0) {
                field->shape = "CX_SHAPE_MAP";
                word += 2;
        } else if (strncmp(word, "[]", 2) == 0) {
                field->shape = "CX_SHAPE_LIST";
                word += 2;
        }
        for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
                if (strcmp(scalars[i].word, word) == 0) {
                        field->of = scalars[i].of;
                        return;
                }
        if (!isupper((unsigned char)*word) && !strchr(word, '.'))
                fail(here, "\"%s\" is no type", word);
        field->of = "CX_OF_OBJECT";
        field->type_name = qualified(word);
}

static void set_tags(struct field *field, const char *word)
{
        int n = sscanf(word, "%u.%u.%u", &field->tags[0], &field->tags[1], &field->tags[2]);
        for (int i = 0; i < 3; i++)
                if (n < 1 || field->tags[i] > 65535)
                        fail(here, "\"@%s\" is no protobuf tag", word);
}

static void check_json(const char *json)
{
        json_error_t error;
        if (!json_loads(json, JSON_DECODE_ANY, &error))
                fail(here, "the default is no JSON: %s", error.text);
}

static void check_number(const char *number)
{
        char *end;
        errno = 0;
        strtoll(number, &end, 10);
        if (errno || *end || end == number)
                fail(here, "\"%s\" is no whole number", number);
}

static void set_attribute(struct field *field, const char *word)
{
        const char *value;
        if (strcmp(word, "required") == 0)
                field->required = true;
        else if (strcmp(word, "nonempty") == 0)
                field->nonempty = true;
        else if (strcmp(word, "duplicates") == 0)
                field->duplicates = true;
        else if (strcmp(word, "immutable") == 0)
                field->immutable = true;
        else if (strcmp(word, "retainKeys") == 0)
                field->retain_keys = true;
        else if (strcmp(word, "merge") == 0)
                field->merge = true;
        else if (strcmp(word, "atomic") == 0)
                field->atomic_map = true;
        else if (*word == '@')
                set_tags(field, word + 1);
        else if ((value = value_of(word, "merge"))) {
                field->merge = true;
                field->merge_key = text("%s", value);
        } else if ((value = value_of(word, "default"))) {
                check_json(value);
                field->default_json = text("%s", value);
        } else if ((value = value_of(word, "enum"))) {
                field->has_enum = true;
                split(&field->enum_values, value, '|');
        } else if ((value = value_of(word, "min"))) {
                check_number(value);
                field->min = text("%s", value);
        } else if ((value = value_of(word, "max"))) {
                check_number(value);
                field->max = text("%s", value);
        } else if ((value = value_of(word, "proto")))
                field->proto_type = text("%s", value);
        else if (strcmp(word, "list=set") == 0)
                field->list_type = "CX_LIST_SET";
        else if (strncmp(word, "list=map(", 9) == 0 && word[strlen(word) - 1] == ')') {
                field->list_type = "CX_LIST_MAP";
                split(&field->map_keys, text("%.*s", (int)strlen(word) - 10, word + 9), ',');
        } else
                fail(here, "\"%s\" is no attribute of a field", word);
}

static void add_field(struct type *type, char **tokens, int n, const char *description)
{
        if (n < 2)
                fail(here, "a field needs a name and a type");
        for (size_t i = 0; i < type->n_fields; i++)
                if (strcmp(type->fields[i].name, tokens[0]) == 0)
                        fail(here, "%s has a field %s already", type->name, tokens[0]);
        struct field *field = &PUSH(type->fields, type->n_fields);
        field->at = here;
        field->name = text("%s", tokens[0]);
        field->list_type = "CX_LIST_ATOMIC";
        field->description = description ? text("%s", description) : NULL;
        set_type(field, tokens[1]);
        for (int i = 2; i < n; i++)
                set_attribute(field, tokens[i]);
}

static struct type *new_type(const char *name, char **attributes, int n)
{
        struct type *type = &PUSH(types, n_types);
        type->at = here;
        type->name = qualified(name);
        for (int i = 0; i < n; i++) {
                if (strcmp(attributes[i], "atomic") == 0)
                        type->atomic = true;
                else if (strcmp(attributes[i], "conditional") == 0)
                        type->conditional = true;
                else
                        fail(here, "\"%s\" is no attribute of a type", attributes[i]);
        }
        return type;
}

static struct type *new_kind(const char *name, char **attributes, int n)
{
        struct type *type = new_type(name, attributes, n);
        struct kind *kind = &PUSH(kinds, n_kinds);
        *kind = (struct kind){here, group, version, text("%s", name), type->name, -1};
        char *api_version[] = {(char *)"apiVersion", (char *)"string"},
             *kind_field[] = {(char *)"kind", (char *)"string"};
        add_field(type, api_version, 2, NULL);
        add_field(type, kind_field, 2, NULL);
        return type;
}

static void new_list(const char *name)
{
        size_t length = strlen(name);
        if (length < 5 || strcmp(name + length - 4, "List") != 0)
                fail(here, "the name of a list ends with List");
        struct type *type = new_kind(name, NULL, 0);
        char *metadata[] = {(char *)"metadata", (char *)"meta.v1.ListMeta", (char *)"@1"};
        char *items[] = {(char *)"items", text("[]%.*s", (int)length - 4, name), (char *)"required", (char *)"@2"};
        add_field(type, metadata, 3, NULL);
        add_field(type, items, 4, NULL);
}

// --- resources ------------------------------------------------------------------------------------------------------
static char *verbs_of(char **words, int n)
{
        static const char *const known[][2] = {
                {"get", "CX_VERB_GET"},       {"list", "CX_VERB_LIST"},
                {"watch", "CX_VERB_WATCH"},   {"create", "CX_VERB_CREATE"},
                {"update", "CX_VERB_UPDATE"}, {"patch", "CX_VERB_PATCH"},
                {"delete", "CX_VERB_DELETE"}, {"deletecollection", "CX_VERB_DELETE_COLLECTION"},
        };
        if (n == 1 && strcmp(words[0], "all") == 0)
                return text("255");
        char *verbs = text("0");
        for (int i = 0; i < n; i++) {
                size_t j = 0;
                while (j < 8 && strcmp(known[j][0], words[i]) != 0)
                        j++;
                if (j == 8)
                        fail(here, "\"%s\" is no verb", words[i]);
                verbs = text("%s | %s", verbs, known[j][1]);
        }
        return verbs;
}

static void add_subresource(struct resource *resource, char **words, int n)
{
        if (n < 2)
                fail(here, "a subresource needs a name and verbs");
        struct sub *sub = &PUSH(resource->subs, resource->n_subs);
        sub->name = text("%s", words[0]);
        sub->group = resource->group;
        sub->version = resource->version;
        sub->kind = resource->kind;
        const char *kind = value_of(words[1], "kind");
        if (kind) {
                struct list parts = {0};
                split(&parts, kind, '/');
                if (parts.count == 3) {
                        sub->group = parts.items[0];
                        sub->version = parts.items[1];
                } else if (parts.count != 1) {
                        fail(here, "\"%s\" is neither Kind nor group/version/Kind", kind);
                }
                sub->kind = parts.items[parts.count - 1];
        }
        sub->verbs = verbs_of(words + 1 + !!kind, n - 1 - !!kind);
}

static void add_column(struct resource *resource, char **words, int n, const char *description)
{
        if (n < 2)
                fail(here, "a column needs a name and a type");
        struct column *column = &PUSH(resource->columns, resource->n_columns);
        *column = (struct column){unquote(words[0]), text("%s", words[1]), text("%s", ""), text("0"), NULL};
        column->description = description ? text("%s", description) : NULL;
        for (int i = 2; i < n; i++) {
                const char *value;
                if ((value = value_of(words[i], "format")))
                        column->format = text("%s", value);
                else if ((value = value_of(words[i], "priority"))) {
                        check_number(value);
                        column->priority = text("%s", value);
                } else
                        fail(here, "\"%s\" is no attribute of a column", words[i]);
        }
}

static void resource_line(struct resource *resource, char **words, int n, const char *description)
{
        const char *what = words[0];
        struct list *list = strcmp(what, "short") == 0        ? &resource->short_names
                            : strcmp(what, "categories") == 0 ? &resource->categories
                            : strcmp(what, "selectable") == 0 ? &resource->selectable
                                                              : NULL;
        if (list) {
                for (int i = 1; i < n; i++)
                        add(list, words[i]);
        } else if (strcmp(what, "verbs") == 0) {
                resource->verbs = verbs_of(words + 1, n - 1);
        } else if (strcmp(what, "singular") == 0 && n == 2) {
                resource->singular = text("%s", words[1]);
        } else if (strcmp(what, "storage") == 0 && n == 3) {
                resource->storage_group = text("%s", strcmp(words[1], "-") == 0 ? "" : words[1]);
                resource->storage_version = text("%s", words[2]);
        } else if (strcmp(what, "subresource") == 0) {
                add_subresource(resource, words + 1, n - 1);
        } else if (strcmp(what, "column") == 0) {
                add_column(resource, words + 1, n - 1, description);
        } else {
                fail(here, "\"%s\" is no line of a resource", what);
        }
}

static struct resource *new_resource(char **words, int n)
{
        if (n != 3)
                fail(here, "a resource line is: resource NAME namespaced|cluster KIND");
        struct resource *resource = &PUSH(resources, n_resources);
        resource->at = here;
        resource->group = resource->storage_group = group;
        resource->version = resource->storage_version = version;
        resource->resource = text("%s", words[0]);
        resource->namespaced = strcmp(words[1], "namespaced") == 0;
        if (!resource->namespaced && strcmp(words[1], "cluster") != 0)
                fail(here, "\"%s\" is no scope", words[1]);
        resource->kind = text("%s", words[2]);
        resource->singular = text("%s", words[2]);
        for (char *p = resource->singular; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        resource->order = order * 1000 + (int)n_resources;
        return resource;
}

// --- files ----------------------------------------------------------------------------------------------------------
static void group_line(char **words, int n)
{
        if (n < 3)
                fail(here, "a group line is: group NAME VERSION package=PACKAGE [order=N]");
        group = text("%s", strcmp(words[0], "-") == 0 ? "" : words[0]);
        version = text("%s", words[1]);
        for (int i = 2; i < n; i++) {
                const char *value;
                if ((value = value_of(words[i], "package"))) {
                        package = text("%s", value);
                } else if ((value = value_of(words[i], "order"))) {
                        check_number(value);
                        order = (int)strtol(value, NULL, 10);
                } else if (strcmp(words[i], "hidden") != 0) {
                        fail(here, "\"%s\" is no attribute of a group", words[i]);
                }
        }
        if (!package)
                fail(here, "the group has no package");
}

static void top_line(char **words, int n, struct type **type, struct resource **resource)
{
        *type = NULL;
        *resource = NULL;
        if (strcmp(words[0], "group") == 0) {
                group_line(words + 1, n - 1);
                return;
        }
        if (!package)
                fail(here, "a file begins with a group line");
        if (n < 2)
                fail(here, "\"%s\" needs a name", words[0]);
        if (strcmp(words[0], "resource") == 0)
                *resource = new_resource(words + 1, n - 1);
        else if (strcmp(words[0], "kind") == 0)
                *type = new_kind(words[1], words + 2, n - 2);
        else if (strcmp(words[0], "type") == 0)
                *type = new_type(words[1], words + 2, n - 2);
        else if (strcmp(words[0], "list") == 0 && n == 2)
                new_list(words[1]);
        else
                fail(here, "\"%s\" is not known here", words[0]);
}

static void read_file(const char *path)
{
        FILE *file = fopen(path, "re");
        here = (struct where){path, 0};
        if (!file)
                fail(here, "%s", strerror(errno));
        package = group = version = NULL;
        order = 0;
        struct type *type = NULL;
        struct resource *resource = NULL;
        char *line = NULL;
        size_t size = 0;
        while (getline(&line, &size, file) >= 0) {
                here.line++;
                bool indented = isspace((unsigned char)*line);
                char *tokens[MAX_TOKENS];
                char *description = strstr(line, " -- ");
                if (description) {
                        *description = 0;
                        description += 4;
                        description[strcspn(description, "\n")] = 0;
                }
                int n = *line == '#' ? 0 : tokenize(line, tokens);
                if (n == 0)
                        continue;
                if (!indented) {
                        top_line(tokens, n, &type, &resource);
                        if (type && description)
                                type->description = text("%s", description);
                } else if (type) {
                        add_field(type, tokens, n, description);
                } else if (resource) {
                        resource_line(resource, tokens, n, description);
                } else {
                        fail(here, "an indented line belongs to a type, a kind or a resource");
                }
        }
        free(line);
        fclose(file);
}

// --- linking --------------------------------------------------------------------------------------------------------
static int compare_fields(const void *a, const void *b)
{
        return strcmp(((const struct field *)a)->name, ((const struct field *)b)->name);
}
static int compare_types(const void *a, const void *b)
{
        return strcmp(((const struct type *)a)->name, ((const struct type *)b)->name);
}
static int compare_triples(const char *a1, const char *a2, const char *a3, const char *b1, const char *b2,
                           const char *b3)
{
        int c = strcmp(a1, b1);
        c = c ? c : strcmp(a2, b2);
        return c ? c : strcmp(a3, b3);
}
static int compare_kinds(const void *a, const void *b)
{
        const struct kind *x = a, *y = b;
        return compare_triples(x->group, x->version, x->kind, y->group, y->version, y->kind);
}
static int compare_order(const void *a, const void *b)
{
        const struct resource *x = a, *y = b;
        return (x->order > y->order) - (x->order < y->order);
}
static int compare_resource_index(const void *a, const void *b)
{
        const struct resource *x = &resources[*(const uint16_t *)a], *y = &resources[*(const uint16_t *)b];
        return compare_triples(x->group, x->version, x->resource, y->group, y->version, y->resource);
}

static int find_type(const char *name, struct where at)
{
        struct type key = {.name = (char *)name};
        struct type *found = bsearch(&key, types, n_types, sizeof *types, compare_types);
        if (!found)
                fail(at, "there is no type %s", name);
        return (int)(found - types);
}

static int find_kind(const char *g, const char *v, const char *k, struct where at)
{
        struct kind key = {.group = (char *)g, .version = (char *)v, .kind = (char *)k};
        struct kind *found = bsearch(&key, kinds, n_kinds, sizeof *kinds, compare_kinds);
        if (!found)
                fail(at, "there is no kind %s/%s %s", g, v, k);
        return (int)(found - kinds);
}

static void link_names(void)
{
        qsort(types, n_types, sizeof *types, compare_types);
        for (size_t i = 0; i < n_types; i++) {
                if (i && strcmp(types[i].name, types[i - 1].name) == 0)
                        fail(types[i].at, "type %s is there already", types[i].name);
                qsort(types[i].fields, types[i].n_fields, sizeof *types[i].fields, compare_fields);
                types[i].defaulted = types[i].conditional;
                for (size_t j = 0; j < types[i].n_fields; j++) {
                        struct field *field = &types[i].fields[j];
                        if (field->type_name)
                                field->type = find_type(field->type_name, field->at);
                        if (field->default_json)
                                types[i].defaulted = true;
                }
        }
        for (bool changed = true; changed;) {
                changed = false;
                for (size_t i = 0; i < n_types; i++)
                        for (size_t j = 0; j < types[i].n_fields && !types[i].defaulted; j++)
                                if (types[i].fields[j].type >= 0 && types[types[i].fields[j].type].defaulted)
                                        changed = types[i].defaulted = true;
        }
        qsort(kinds, n_kinds, sizeof *kinds, compare_kinds);
        for (size_t i = 0; i < n_kinds; i++)
                kinds[i].type = find_type(kinds[i].type_name, kinds[i].at);
        qsort(resources, n_resources, sizeof *resources, compare_order);
        for (size_t i = 0; i < n_resources; i++) {
                struct resource *r = &resources[i];
                if (!r->verbs)
                        fail(r->at, "resource %s has no verbs", r->resource);
                r->kind_index = find_kind(r->group, r->version, r->kind, r->at);
                for (size_t j = 0; j < r->n_subs; j++)
                        find_kind(r->subs[j].group, r->subs[j].version, r->subs[j].kind, r->at);
        }
}

// --- output ---------------------------------------------------------------------------------------------------------
static void put_string(FILE *out, const char *string)
{
        if (!string) {
                fputs("NULL", out);
                return;
        }
        fputc('"', out);
        for (const unsigned char *p = (const unsigned char *)string; *p; p++) {
                if (*p == '"' || *p == '\\')
                        fprintf(out, "\\%c", *p);
                else if (*p < ' ' || *p > '~')
                        fprintf(out, "\\%03o", *p);
                else
                        fputc(*p, out);
        }
        fputc('"', out);
}

// The number of an equal list written before, else writes it.
static size_t put_list(FILE *out, const struct list *list)
{
        static struct list written;
        char *all = text("%s", "");
        for (size_t i = 0; i < list->count; i++)
                all = text("%s%s\n", all, list->items[i]);
        for (size_t i = 0; i < written.count; i++)
                if (strcmp(written.items[i], all) == 0)
                        return i;
        add(&written, all);
        fprintf(out, "static const char *const list_%zu[] = {", written.count - 1);
        for (size_t i = 0; i < list->count; i++) {
                put_string(out, list->items[i]);
                fputs(", ", out);
        }
        fputs("NULL};\n", out);
        return written.count - 1;
}

static void put_field(FILE *out, const struct field *f, size_t keys, size_t values)
{
        fputs("        {", out);
        put_string(out, f->name);
        fprintf(out, ", .of = %s, .shape = %s, .list_type = %s, .flags = %s%s%s%s%s%s%s", f->of, f->shape, f->list_type,
                f->required ? "CX_FIELD_REQUIRED" : "0", f->immutable ? " | CX_FIELD_IMMUTABLE" : "",
                f->merge ? " | CX_FIELD_PATCH_MERGE" : "", f->retain_keys ? " | CX_FIELD_PATCH_RETAIN_KEYS" : "",
                f->atomic_map ? " | CX_FIELD_ATOMIC_MAP" : "", f->nonempty ? " | CX_FIELD_NONEMPTY" : "",
                f->duplicates ? " | CX_FIELD_DUPLICATES" : "");
        if (f->type >= 0)
                fprintf(out, ", .type = &cx_schema_table_types[%d]", f->type);
        if (f->map_keys.count)
                fprintf(out, ", .map_keys = list_%zu", keys);
        if (f->has_enum)
                fprintf(out, ", .enum_values = list_%zu", values);
        const struct {
                const char *member, *value;
        } strings[] = {{"merge_key", f->merge_key},
                       {"default_json", f->default_json},
                       {"proto_type", f->proto_type},
                       {"description", f->description}};
        for (size_t i = 0; i < 4; i++)
                if (strings[i].value) {
                        fprintf(out, ", .%s = ", strings[i].member);
                        put_string(out, strings[i].value);
                }
        if (f->min || f->max)
                fprintf(out, ", .min = %s, .max = %s", f->min ? f->min : "INT64_MIN", f->max ? f->max : "INT64_MAX");
        else
                fputs(", .min = 1, .max = 0", out);
        if (f->tags[0])
                fprintf(out, ", .proto_tag = %u, .proto_inner_tag = %u, .proto_inmost_tag = %u", f->tags[0], f->tags[1],
                        f->tags[2]);
        fputs("},\n", out);
}

static void put_types(FILE *out)
{
        fprintf(out, "const struct cx_type cx_schema_table_types[%zu];\n", n_types);
        for (size_t i = 0; i < n_types; i++) {
                struct type *type = &types[i];
                size_t *keys = calloc(type->n_fields + 1, 2 * sizeof *keys);
                for (size_t j = 0; j < type->n_fields; j++) {
                        if (type->fields[j].map_keys.count)
                                keys[2 * j] = put_list(out, &type->fields[j].map_keys);
                        if (type->fields[j].has_enum)
                                keys[2 * j + 1] = put_list(out, &type->fields[j].enum_values);
                }
                if (type->n_fields)
                        fprintf(out, "static const struct cx_field fields_%zu[] = { // %s\n", i, type->name);
                for (size_t j = 0; j < type->n_fields; j++)
                        put_field(out, &type->fields[j], keys[2 * j], keys[2 * j + 1]);
                if (type->n_fields)
                        fputs("};\n", out);
        }
        fprintf(out, "const size_t cx_schema_table_n_types = %zu;\n", n_types);
        fprintf(out, "const struct cx_type cx_schema_table_types[%zu] = {\n", n_types);
        for (size_t i = 0; i < n_types; i++) {
                const struct type *type = &types[i];
                fputs("        {", out);
                put_string(out, type->name);
                if (type->n_fields)
                        fprintf(out, ", fields_%zu, %zu", i, type->n_fields);
                else
                        fputs(", NULL, 0", out);
                fprintf(out, ", CX_OF_OBJECT, %d, %d, %d, ", type->atomic, type->conditional, type->defaulted);
                put_string(out, type->description);
                fputs("},\n", out);
        }
        fputs("};\n", out);
}

static void put_kinds(FILE *out)
{
        fprintf(out, "const size_t cx_schema_table_n_kinds = %zu;\n", n_kinds);
        fputs("const struct cx_kind cx_schema_table_kinds[] = {\n", out);
        for (size_t i = 0; i < n_kinds; i++) {
                if (i && compare_kinds(&kinds[i], &kinds[i - 1]) == 0)
                        fail(kinds[i].at, "kind %s is there already", kinds[i].kind);
                fprintf(out, "        {\"%s\", \"%s\", \"%s\", &cx_schema_table_types[%d]},\n", kinds[i].group,
                        kinds[i].version, kinds[i].kind, kinds[i].type);
        }
        fputs("};\n", out);
}

static void put_resource_parts(FILE *out, size_t i)
{
        const struct resource *r = &resources[i];
        fprintf(out, "static const struct cx_subresource subresources_%zu[] = {\n", i);
        for (size_t j = 0; j < r->n_subs; j++)
                fprintf(out, "        {\"%s\", \"%s\", \"%s\", \"%s\", %s},\n", r->subs[j].name, r->subs[j].group,
                        r->subs[j].version, r->subs[j].kind, r->subs[j].verbs);
        fputs("        {0},\n};\n", out);
        fprintf(out, "static const struct cx_column columns_%zu[] = {\n", i);
        for (size_t j = 0; j < r->n_columns; j++) {
                const struct column *c = &r->columns[j];
                fputs("        {", out);
                put_string(out, c->name);
                fprintf(out, ", \"%s\", \"%s\", %s, NULL, ", c->type, c->format, c->priority);
                put_string(out, c->description);
                fputs("},\n", out);
        }
        fputs("        {0},\n};\n", out);
}

static void put_resources(FILE *out)
{
        size_t(*lists)[3] = calloc(n_resources + 1, sizeof *lists);
        uint16_t *sorted = calloc(n_resources + 1, sizeof *sorted);
        for (size_t i = 0; i < n_resources; i++) {
                sorted[i] = (uint16_t)i;
                lists[i][0] = put_list(out, &resources[i].short_names);
                lists[i][1] = put_list(out, &resources[i].categories);
                lists[i][2] = put_list(out, &resources[i].selectable);
                put_resource_parts(out, i);
        }
        fprintf(out, "const size_t cx_schema_table_n_resources = %zu;\n", n_resources);
        fputs("const struct cx_resource cx_schema_table_resources[] = {\n", out);
        for (size_t i = 0; i < n_resources; i++) {
                const struct resource *r = &resources[i];
                fprintf(out,
                        "        {\"%s\", \"%s\", \"%s\", \"%s\", &cx_schema_table_kinds[%d], \"%sList\", %s, %s,\n"
                        "         list_%zu, list_%zu, subresources_%zu, columns_%zu, list_%zu, \"%s\", \"%s\"},\n",
                        r->group, r->version, r->resource, r->singular, r->kind_index, r->kind,
                        r->namespaced ? "true" : "false", r->verbs, lists[i][0], lists[i][1], i, i, lists[i][2],
                        r->storage_group, r->storage_version);
        }
        fputs("};\n", out);
        qsort(sorted, n_resources, sizeof *sorted, compare_resource_index);
        fputs("const uint16_t cx_schema_table_by_resource[] = {", out);
        for (size_t i = 0; i < n_resources; i++)
                fprintf(out, "%u, ", sorted[i]);
        fputs("};\n", out);
}

int main(int argc, char **argv)
{
        if (argc < 3) {
                fputs("usage: schema_gen OUTPUT INPUT...\n", stderr);
                return 2;
        }
        for (int i = 2; i < argc; i++)
                read_file(argv[i]);
        link_names();
        FILE *out = fopen(argv[1], "we");
        if (!out) {
                perror(argv[1]);
                return 1;
        }
        fputs("// Generated by schema_gen from libcommon/schema/*.api: edit those.\n#include \"schema/tables.h\"\n\n",
              out);
        put_types(out);
        put_kinds(out);
        put_resources(out);
        if (fclose(out) != 0) {
                perror(argv[1]);
                return 1;
        }
        return 0;
}
