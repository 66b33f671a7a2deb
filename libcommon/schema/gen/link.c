// SPDX-License-Identifier: Apache-2.0
// What needs all files to have been read: names become indices, and what is missing or there twice is found.
#include "libcommon/schema/gen/schema_gen.h"

#include <stdlib.h>
#include <string.h>

static int compare_fields(const void *a, const void *b)
{
        return strcmp(((const struct field *)a)->name, ((const struct field *)b)->name);
}

static int compare_types(const void *a, const void *b)
{
        return strcmp(((const struct type *)a)->name, ((const struct type *)b)->name);
}

int compare_triples(const char *a1, const char *a2, const char *a3, const char *b1, const char *b2, const char *b3)
{
        int c = strcmp(a1, b1);
        c = c ? c : strcmp(a2, b2);
        return c ? c : strcmp(a3, b3);
}

int compare_kinds(const void *a, const void *b)
{
        const struct kind *x = a, *y = b;
        return compare_triples(x->group, x->version, x->kind, y->group, y->version, y->kind);
}

static int compare_order(const void *a, const void *b)
{
        const struct resource *x = a, *y = b;
        return (x->order > y->order) - (x->order < y->order);
}

static int find_type(const struct api *api, const char *name, struct where at)
{
        struct type key = {.name = (char *)name};
        struct type *found = bsearch(&key, api->types, api->n_types, sizeof *api->types, compare_types);
        if (!found)
                fail(at, "there is not a type %s", name);
        return (int)(found - api->types);
}

static int find_kind(const struct api *api, const char *g, const char *v, const char *k, struct where at)
{
        struct kind key = {.group = (char *)g, .version = (char *)v, .kind = (char *)k};
        struct kind *found = bsearch(&key, api->kinds, api->n_kinds, sizeof *api->kinds, compare_kinds);
        if (!found)
                fail(at, "there is no kind %s/%s %s", g, v, k);
        return (int)(found - api->kinds);
}

static void link_types(struct api *api)
{
        qsort(api->types, api->n_types, sizeof *api->types, compare_types);
        for (size_t i = 0; i < api->n_types; i++) {
                struct type *type = &api->types[i];
                if (i && strcmp(type->name, type[-1].name) == 0)
                        fail(type->at, "type %s is there already", type->name);
                qsort(type->fields, type->n_fields, sizeof *type->fields, compare_fields);
                type->defaulted = type->conditional;
                for (size_t j = 0; j < type->n_fields; j++) {
                        struct field *field = &type->fields[j];
                        if (field->type_name)
                                field->type = find_type(api, field->type_name, field->at);
                        if (field->default_json)
                                type->defaulted = true;
                }
        }
}

// A type is defaulted when any type below it is.
static void spread_defaults(struct api *api)
{
        for (bool changed = true; changed;) {
                changed = false;
                for (size_t i = 0; i < api->n_types; i++) {
                        struct type *type = &api->types[i];
                        for (size_t j = 0; j < type->n_fields && !type->defaulted; j++)
                                if (type->fields[j].type >= 0 && api->types[type->fields[j].type].defaulted)
                                        changed = type->defaulted = true;
                }
        }
}

static void link_resources(struct api *api)
{
        qsort(api->resources, api->n_resources, sizeof *api->resources, compare_order);
        for (size_t i = 0; i < api->n_resources; i++) {
                struct resource *r = &api->resources[i];
                if (!r->verbs)
                        fail(r->at, "resource %s has no verbs", r->resource);
                r->kind_index = find_kind(api, r->group, r->version, r->kind, r->at);
                for (size_t j = 0; j < r->n_subresources; j++)
                        find_kind(api, r->subresources[j].group, r->subresources[j].version, r->subresources[j].kind,
                                  r->at);
        }
}

void link_names(struct api *api)
{
        link_types(api);
        spread_defaults(api);
        qsort(api->kinds, api->n_kinds, sizeof *api->kinds, compare_kinds);
        for (size_t i = 0; i < api->n_kinds; i++)
                api->kinds[i].type = find_type(api, api->kinds[i].type_name, api->kinds[i].at);
        link_resources(api);
}
