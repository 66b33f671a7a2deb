// SPDX-License-Identifier: Apache-2.0
// What the parts of schema_gen share: the API as it was read. parse.c fills it, link.c resolves its names and checks
// what needs all files, emit.c prints it as C.
//
// A build-time tool of one thread: nothing is freed, strings are shared freely, the first mistake ends the process.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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
        bool required, immutable, merge, retain_keys, atomic_map, nonempty, duplicates, presence, exact, has_enum;
        unsigned tags[3];
        int type; // index into the types, -1: none (a scalar)
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
struct subresource {
        char *name, *group, *version, *kind, *verbs;
};
struct column {
        char *name, *type, *format, *priority, *description;
};
struct frozen {
        char *path, *message;
        struct list except;
};
struct resource {
        struct where at;
        char *group, *version, *resource, *singular, *kind, *verbs, *storage_group, *storage_version;
        char *prefix, *template;         // NULL: as the resource is named; none
        const char *generation, *naming; // enumerators of schema.h
        struct frozen *frozen;
        size_t n_frozen;
        struct list short_names, categories, selectable;
        bool namespaced;
        int order, kind_index;
        struct subresource *subresources;
        size_t n_subresources;
        struct column *columns;
        size_t n_columns;
};
struct api {
        struct type *types;
        size_t n_types;
        struct kind *kinds;
        size_t n_kinds;
        struct resource *resources;
        size_t n_resources;
};

// Adds what a file describes. Fields, types and kinds refer to each other by name until they are linked.
void read_file(struct api *api, const char *path);

// Sorts types, kinds and fields by name and resources by their place in discovery, turns names into indices, and finds
// which types can have defaults anywhere below them.
void link_names(struct api *api);

// Writes libcommon/schema/schema_internal.h's tables. The API must be linked.
void print_tables(const struct api *api, FILE *out);

// The order of linked kinds: by group, version and kind.
int compare_kinds(const void *a, const void *b);
int compare_triples(const char *a1, const char *a2, const char *a3, const char *b1, const char *b2, const char *b3);

// Prints "file:line: what" and ends the process with 1.
__attribute__((noreturn, format(printf, 2, 3))) void fail(struct where at, const char *format, ...);

// A new string.
__attribute__((format(printf, 1, 2))) char *text(const char *format, ...);

void add(struct list *list, const char *item);

// The array with room for one more, which is zeroed and counted.
void *grow(void *array, size_t *count, size_t size);
#define PUSH(array, count)                                                                                             \
        (*({                                                                                                           \
                (array) = grow((array), &(count), sizeof *(array));                                                    \
                &(array)[(count)-1];                                                                                   \
        }))
