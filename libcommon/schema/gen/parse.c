// SPDX-License-Identifier: Apache-2.0
// Reads a file of API descriptions line by line (docs/schema-format.md).
#include "libcommon/schema/gen/schema_gen.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 64

struct parser {
        struct api *api;
        struct where here;
        char *group, *version, *package; // of the current group line; NULL before the first
        int order;
};

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
static int tokenize(const struct parser *p, char *line, char *tokens[MAX_TOKENS])
{
        int n = 0;
        char *c = line;
        for (;;) {
                while (isspace((unsigned char)*c))
                        c++;
                if (!*c)
                        return n;
                if (n == MAX_TOKENS)
                        fail(p->here, "too many words");
                tokens[n++] = c;
                bool quoted = false;
                while (*c && (quoted || !isspace((unsigned char)*c))) {
                        if (*c == '\\' && quoted && c[1])
                                c++;
                        else if (*c == '"')
                                quoted = !quoted;
                        c++;
                }
                if (quoted)
                        fail(p->here, "a quote is not closed");
                if (*c)
                        *c++ = 0;
        }
}

static char *unquote(const char *word)
{
        size_t n = strlen(word);
        return n >= 2 && *word == '"' && word[n - 1] == '"' ? text("%.*s", (int)n - 2, word + 1) : text("%s", word);
}

static char *qualified(const struct parser *p, const char *name)
{
        return strchr(name, '.') ? text("%s", name) : text("%s.%s", p->package, name);
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

static void set_type(const struct parser *p, struct field *field, const char *word)
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
                fail(p->here, "\"%s\" is not a type", word);
        field->of = "CX_OF_OBJECT";
        field->type_name = qualified(p, word);
}

static void set_tags(const struct parser *p, struct field *field, const char *word)
{
        int n = sscanf(word, "%u.%u.%u", &field->tags[0], &field->tags[1], &field->tags[2]);
        for (int i = 0; i < 3; i++)
                if (n < 1 || field->tags[i] > 65535)
                        fail(p->here, "\"@%s\" is not a protobuf tag", word);
}

static void check_json(const struct parser *p, const char *json)
{
        json_error_t error;
        if (!json_loads(json, JSON_DECODE_ANY, &error))
                fail(p->here, "the default is not JSON: %s", error.text);
}

static void check_number(const struct parser *p, const char *number)
{
        char *end;
        errno = 0;
        strtoll(number, &end, 10);
        if (errno || *end || end == number)
                fail(p->here, "\"%s\" is not a whole number", number);
}

static const struct {
        const char *word;
        size_t member;
} switches[] = {
        {"required", offsetof(struct field, required)},
        {"nonempty", offsetof(struct field, nonempty)},
        {"duplicates", offsetof(struct field, duplicates)},
        {"immutable", offsetof(struct field, immutable)},
        {"retainKeys", offsetof(struct field, retain_keys)},
        {"merge", offsetof(struct field, merge)},
        {"atomic", offsetof(struct field, atomic_map)},
        {"presence", offsetof(struct field, presence)},
        {"exact", offsetof(struct field, exact)},
};

static void set_attribute(const struct parser *p, struct field *field, const char *word)
{
        const char *value;
        for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
                if (strcmp(word, switches[i].word) == 0) {
                        *(bool *)((char *)field + switches[i].member) = true;
                        return;
                }
        if (*word == '@')
                set_tags(p, field, word + 1);
        else if ((value = value_of(word, "merge"))) {
                field->merge = true;
                field->merge_key = text("%s", value);
        } else if ((value = value_of(word, "default"))) {
                check_json(p, value);
                field->default_json = text("%s", value);
        } else if ((value = value_of(word, "enum"))) {
                field->has_enum = true;
                split(&field->enum_values, value, '|');
        } else if ((value = value_of(word, "min"))) {
                check_number(p, value);
                field->min = text("%s", value);
        } else if ((value = value_of(word, "max"))) {
                check_number(p, value);
                field->max = text("%s", value);
        } else if ((value = value_of(word, "proto")))
                field->proto_type = text("%s", value);
        else if (strcmp(word, "list=set") == 0)
                field->list_type = "CX_LIST_SET";
        else if (strncmp(word, "list=map(", 9) == 0 && word[strlen(word) - 1] == ')') {
                field->list_type = "CX_LIST_MAP";
                split(&field->map_keys, text("%.*s", (int)strlen(word) - 10, word + 9), ',');
        } else
                fail(p->here, "\"%s\" is not an attribute of a field", word);
}

static struct field *add_field(const struct parser *p, struct type *type, char **tokens, int n)
{
        if (n < 2)
                fail(p->here, "a field needs a name and a type");
        for (size_t i = 0; i < type->n_fields; i++)
                if (strcmp(type->fields[i].name, tokens[0]) == 0)
                        fail(p->here, "%s has a field %s already", type->name, tokens[0]);
        struct field *field = &PUSH(type->fields, type->n_fields);
        field->at = p->here;
        field->name = text("%s", tokens[0]);
        field->list_type = "CX_LIST_ATOMIC";
        set_type(p, field, tokens[1]);
        for (int i = 2; i < n; i++)
                set_attribute(p, field, tokens[i]);
        return field;
}

// A field that kinds and lists have without a line of their own.
static void implied_field(const struct parser *p, struct type *type, char **tokens, int n, char *description)
{
        add_field(p, type, tokens, n)->description = description;
}

static struct type *new_type(const struct parser *p, const char *name, char **attributes, int n)
{
        struct type *type = &PUSH(p->api->types, p->api->n_types);
        type->at = p->here;
        type->name = qualified(p, name);
        for (int i = 0; i < n; i++) {
                if (strcmp(attributes[i], "atomic") == 0)
                        type->atomic = true;
                else if (strcmp(attributes[i], "conditional") == 0)
                        type->conditional = true;
                else
                        fail(p->here, "\"%s\" is not an attribute of a type", attributes[i]);
        }
        return type;
}

static struct type *new_kind(const struct parser *p, const char *name, char **attributes, int n)
{
        struct type *type = new_type(p, name, attributes, n);
        struct kind *kind = &PUSH(p->api->kinds, p->api->n_kinds);
        *kind = (struct kind){p->here, p->group, p->version, text("%s", name), type->name, -1};
        char *api_version[] = {(char *)"apiVersion", (char *)"string"},
             *kind_field[] = {(char *)"kind", (char *)"string"};
        implied_field(p, type, api_version, 2,
                      text("Group and version that the object is written in: %s%s%s. A server that is sent another "
                           "version converts it or refuses it.",
                           p->group, *p->group ? "/" : "", p->version));
        implied_field(p, type, kind_field, 2,
                      text("What the object is: %s. It cannot be changed; requests whose path says which kind they "
                           "mean may leave it out.",
                           name));
        return type;
}

static void new_list(const struct parser *p, const char *name)
{
        size_t length = strlen(name);
        if (length < 5 || strcmp(name + length - 4, "List") != 0)
                fail(p->here, "the name of a list ends with List");
        int item = (int)length - 4;
        struct type *type = new_kind(p, name, NULL, 0);
        type->description = text("A list of objects of kind %.*s, as list requests answer with it.", item, name);
        char *metadata[] = {(char *)"metadata", (char *)"meta.v1.ListMeta", (char *)"@1"};
        char *items[] = {(char *)"items", text("[]%.*s", item, name), (char *)"required", (char *)"@2"};
        implied_field(p, type, metadata, 3,
                      text("%s", "Resource version of the list, to watch from, and where the next page begins."));
        implied_field(p, type, items, 4, text("The %.*s objects of this page of the list.", item, name));
}

// --- resources ------------------------------------------------------------------------------------------------------
static char *verbs_of(const struct parser *p, char **words, int n)
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
                        fail(p->here, "\"%s\" is not a verb", words[i]);
                verbs = text("%s | %s", verbs, known[j][1]);
        }
        return verbs;
}

static void add_subresource(const struct parser *p, struct resource *resource, char **words, int n)
{
        if (n < 2)
                fail(p->here, "a subresource needs a name and verbs");
        struct subresource *sub = &PUSH(resource->subresources, resource->n_subresources);
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
                        fail(p->here, "\"%s\" is neither Kind nor group/version/Kind", kind);
                }
                sub->kind = parts.items[parts.count - 1];
        }
        sub->verbs = verbs_of(p, words + 1 + !!kind, n - 1 - !!kind);
}

static void add_column(const struct parser *p, struct resource *resource, char **words, int n, const char *description)
{
        if (n < 2)
                fail(p->here, "a column needs a name and a type");
        struct column *column = &PUSH(resource->columns, resource->n_columns);
        *column = (struct column){unquote(words[0]), text("%s", words[1]), text("%s", ""), text("0"), NULL};
        column->description = description ? text("%s", description) : NULL;
        for (int i = 2; i < n; i++) {
                const char *value;
                if ((value = value_of(words[i], "format")))
                        column->format = text("%s", value);
                else if ((value = value_of(words[i], "priority"))) {
                        check_number(p, value);
                        column->priority = text("%s", value);
                } else
                        fail(p->here, "\"%s\" is not an attribute of a column", words[i]);
        }
}

// The enumerator that a word of a small vocabulary stands for.
static const char *choose(const struct parser *p, const char *const (*words)[2], size_t n, const char *word)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(words[i][0], word) == 0)
                        return words[i][1];
        fail(p->here, "\"%s\" is not known here", word);
}

static const char *const generations[][2] = {
        {"spec", "CX_GENERATION_SPEC"}, {"none", "CX_GENERATION_NONE"}, {"annotations", "CX_GENERATION_ANNOTATIONS"}};
static const char *const namings[][2] = {{"subdomain", "CX_NAMES_SUBDOMAIN"},
                                         {"label", "CX_NAMES_LABEL"},
                                         {"label1035", "CX_NAMES_LABEL_1035"},
                                         {"segment", "CX_NAMES_SEGMENT"}};

static void add_frozen(const struct parser *p, struct resource *resource, char **words, int n, const char *description)
{
        if (n < 1 || n > 2 || !description)
                fail(p->here, "a frozen line is: frozen PATH [except=A,B?] -- MESSAGE");
        struct frozen *frozen = &PUSH(resource->frozen, resource->n_frozen);
        frozen->path = text("%s", words[0]);
        frozen->message = text("%s", description);
        const char *except = n == 2 ? value_of(words[1], "except") : NULL;
        if (n == 2 && !except)
                fail(p->here, "\"%s\" is not an attribute of a frozen part", words[1]);
        if (except)
                split(&frozen->except, except, ',');
}

static void resource_line(const struct parser *p, struct resource *resource, char **words, int n,
                          const char *description)
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
                resource->verbs = verbs_of(p, words + 1, n - 1);
        } else if (strcmp(what, "singular") == 0 && n == 2) {
                resource->singular = text("%s", words[1]);
        } else if (strcmp(what, "storage") == 0 && n == 3) {
                resource->storage_group = text("%s", strcmp(words[1], "-") == 0 ? "" : words[1]);
                resource->storage_version = text("%s", words[2]);
        } else if (strcmp(what, "prefix") == 0 && n == 2) {
                resource->prefix = text("%s", words[1]);
        } else if (strcmp(what, "template") == 0 && n == 2) {
                resource->template = text("%s", words[1]);
        } else if (strcmp(what, "generation") == 0 && n == 2) {
                resource->generation = choose(p, generations, sizeof generations / sizeof *generations, words[1]);
        } else if (strcmp(what, "names") == 0 && n == 2) {
                resource->naming = choose(p, namings, sizeof namings / sizeof *namings, words[1]);
        } else if (strcmp(what, "frozen") == 0) {
                add_frozen(p, resource, words + 1, n - 1, description);
        } else if (strcmp(what, "subresource") == 0) {
                add_subresource(p, resource, words + 1, n - 1);
        } else if (strcmp(what, "column") == 0) {
                add_column(p, resource, words + 1, n - 1, description);
        } else {
                fail(p->here, "\"%s\" is not a line of a resource", what);
        }
}

static struct resource *new_resource(const struct parser *p, char **words, int n)
{
        if (n != 3)
                fail(p->here, "a resource line is: resource NAME namespaced|cluster KIND");
        struct resource *resource = &PUSH(p->api->resources, p->api->n_resources);
        resource->at = p->here;
        resource->group = resource->storage_group = p->group;
        resource->version = resource->storage_version = p->version;
        resource->resource = text("%s", words[0]);
        resource->namespaced = strcmp(words[1], "namespaced") == 0;
        if (!resource->namespaced && strcmp(words[1], "cluster") != 0)
                fail(p->here, "\"%s\" is not a scope", words[1]);
        resource->kind = text("%s", words[2]);
        resource->singular = text("%s", words[2]);
        for (char *c = resource->singular; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        resource->generation = generations[0][1];
        resource->naming = namings[0][1];
        resource->order = p->order * 1000 + (int)p->api->n_resources;
        return resource;
}

// --- files ----------------------------------------------------------------------------------------------------------
static void group_line(struct parser *p, char **words, int n)
{
        if (n < 3)
                fail(p->here, "a group line is: group NAME VERSION package=PACKAGE [order=N]");
        p->group = text("%s", strcmp(words[0], "-") == 0 ? "" : words[0]);
        p->version = text("%s", words[1]);
        for (int i = 2; i < n; i++) {
                const char *value;
                if ((value = value_of(words[i], "package"))) {
                        p->package = text("%s", value);
                } else if ((value = value_of(words[i], "order"))) {
                        check_number(p, value);
                        p->order = (int)strtol(value, NULL, 10);
                } else {
                        fail(p->here, "\"%s\" is not an attribute of a group", words[i]);
                }
        }
        if (!p->package)
                fail(p->here, "the group has no package");
}

static void top_line(struct parser *p, char **words, int n, struct type **type, struct resource **resource)
{
        *type = NULL;
        *resource = NULL;
        if (strcmp(words[0], "group") == 0) {
                group_line(p, words + 1, n - 1);
                return;
        }
        if (!p->package)
                fail(p->here, "a file begins with a group line");
        if (n < 2)
                fail(p->here, "\"%s\" needs a name", words[0]);
        if (strcmp(words[0], "resource") == 0)
                *resource = new_resource(p, words + 1, n - 1);
        else if (strcmp(words[0], "kind") == 0)
                *type = new_kind(p, words[1], words + 2, n - 2);
        else if (strcmp(words[0], "type") == 0)
                *type = new_type(p, words[1], words + 2, n - 2);
        else if (strcmp(words[0], "list") == 0 && n == 2)
                new_list(p, words[1]);
        else
                fail(p->here, "\"%s\" is not known here", words[0]);
}

// A description goes on in lines that have nothing else.
static void append_description(const struct parser *p, char **description, const char *more)
{
        if (!description)
                fail(p->here, "there is nothing above to describe");
        *description = *description ? text("%s %s", *description, more) : text("%s", more);
}

void read_file(struct api *api, const char *path)
{
        struct parser parser = {.api = api, .here = {path, 0}}, *p = &parser;
        FILE *file = fopen(path, "re");
        if (!file)
                fail(p->here, "%s", strerror(errno));
        struct type *type = NULL;
        struct resource *resource = NULL;
        char **described = NULL; // what the last line can have as its description
        char *line = NULL;
        size_t size = 0;
        while (getline(&line, &size, file) >= 0) {
                p->here.line++;
                bool indented = isspace((unsigned char)*line);
                char *tokens[MAX_TOKENS];
                char *description = strstr(line, " -- ");
                if (description) {
                        *description = 0;
                        description += 4;
                        description[strcspn(description, "\n")] = 0;
                }
                if (*line == '#')
                        continue;
                int n = tokenize(p, line, tokens);
                if (n == 0) {
                        if (description)
                                append_description(p, described, description);
                        continue;
                }
                described = NULL;
                if (!indented) {
                        top_line(p, tokens, n, &type, &resource);
                        described = type ? &type->description : NULL;
                } else if (type) {
                        described = &add_field(p, type, tokens, n)->description;
                } else if (resource) {
                        resource_line(p, resource, tokens, n, description);
                } else {
                        fail(p->here, "an indented line belongs to a type, a kind or a resource");
                }
                if (described && description)
                        *described = text("%s", description);
        }
        free(line);
        fclose(file);
}
