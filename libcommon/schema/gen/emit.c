// SPDX-License-Identifier: Apache-2.0
// Prints the linked API as the constant tables of libcommon/schema/schema_internal.h.
#include "libcommon/schema/gen/schema_gen.h"

#include <stdlib.h>
#include <string.h>

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
        fprintf(out, ", .of = %s, .shape = %s, .list_type = %s, .flags = %s%s%s%s%s%s%s%s%s", f->of, f->shape,
                f->list_type, f->required ? "CX_FIELD_REQUIRED" : "0", f->immutable ? " | CX_FIELD_IMMUTABLE" : "",
                f->merge ? " | CX_FIELD_PATCH_MERGE" : "", f->retain_keys ? " | CX_FIELD_PATCH_RETAIN_KEYS" : "",
                f->atomic_map ? " | CX_FIELD_ATOMIC_MAP" : "", f->nonempty ? " | CX_FIELD_NONEMPTY" : "",
                f->duplicates ? " | CX_FIELD_DUPLICATES" : "", f->presence ? " | CX_FIELD_PRESENCE" : "",
                f->exact ? " | CX_FIELD_EXACT" : "");
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

static void put_types(const struct api *api, FILE *out)
{
        fprintf(out, "const struct cx_type cx_schema_table_types[%zu];\n", api->n_types);
        for (size_t i = 0; i < api->n_types; i++) {
                const struct type *type = &api->types[i];
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
        fprintf(out, "const size_t cx_schema_table_n_types = %zu;\n", api->n_types);
        fprintf(out, "const struct cx_type cx_schema_table_types[%zu] = {\n", api->n_types);
        for (size_t i = 0; i < api->n_types; i++) {
                const struct type *type = &api->types[i];
                fputs("        {", out);
                put_string(out, type->name);
                if (type->n_fields)
                        fprintf(out, ", fields_%zu, %zu", i, type->n_fields);
                else
                        fputs(", NULL, 0", out);
                fprintf(out, ", CX_OF_OBJECT, %d, %d, %d, ", type->atomic, type->conditional, type->defaulted);
                put_string(out, type->description);
                fprintf(out, ", %zu},\n", i + 1);
        }
        fputs("};\n", out);
}

static void put_kinds(const struct api *api, FILE *out)
{
        fprintf(out, "const size_t cx_schema_table_n_kinds = %zu;\n", api->n_kinds);
        fputs("const struct cx_kind cx_schema_table_kinds[] = {\n", out);
        for (size_t i = 0; i < api->n_kinds; i++) {
                if (i && compare_kinds(&api->kinds[i], &api->kinds[i - 1]) == 0)
                        fail(api->kinds[i].at, "kind %s is there already", api->kinds[i].kind);
                fprintf(out, "        {\"%s\", \"%s\", \"%s\", &cx_schema_table_types[%d]},\n", api->kinds[i].group,
                        api->kinds[i].version, api->kinds[i].kind, api->kinds[i].type);
        }
        fputs("};\n", out);
}

static void put_resource_parts(FILE *out, const struct resource *r, size_t i)
{
        fprintf(out, "static const struct cx_subresource subresources_%zu[] = {\n", i);
        for (size_t j = 0; j < r->n_subresources; j++)
                fprintf(out, "        {\"%s\", \"%s\", \"%s\", \"%s\", %s},\n", r->subresources[j].name,
                        r->subresources[j].group, r->subresources[j].version, r->subresources[j].kind,
                        r->subresources[j].verbs);
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
        size_t *excepts = calloc(r->n_frozen + 1, sizeof *excepts);
        for (size_t j = 0; j < r->n_frozen; j++)
                excepts[j] = put_list(out, &r->frozen[j].except);
        fprintf(out, "static const struct cx_frozen frozen_%zu[] = {\n", i);
        for (size_t j = 0; j < r->n_frozen; j++) {
                fprintf(out, "        {\"%s\", ", r->frozen[j].path);
                put_string(out, r->frozen[j].message);
                fprintf(out, ", list_%zu},\n", excepts[j]);
        }
        fputs("        {0},\n};\n", out);
}

static int compare_resource_names(const void *a, const void *b, void *context)
{
        const struct api *api = context;
        const struct resource *x = &api->resources[*(const uint16_t *)a], *y = &api->resources[*(const uint16_t *)b];
        return compare_triples(x->group, x->version, x->resource, y->group, y->version, y->resource);
}

static void put_resources(const struct api *api, FILE *out)
{
        size_t(*lists)[3] = calloc(api->n_resources + 1, sizeof *lists);
        uint16_t *sorted = calloc(api->n_resources + 1, sizeof *sorted);
        for (size_t i = 0; i < api->n_resources; i++) {
                sorted[i] = (uint16_t)i;
                lists[i][0] = put_list(out, &api->resources[i].short_names);
                lists[i][1] = put_list(out, &api->resources[i].categories);
                lists[i][2] = put_list(out, &api->resources[i].selectable);
                put_resource_parts(out, &api->resources[i], i);
        }
        fprintf(out, "const size_t cx_schema_table_n_resources = %zu;\n", api->n_resources);
        fputs("const struct cx_resource cx_schema_table_resources[] = {\n", out);
        for (size_t i = 0; i < api->n_resources; i++) {
                const struct resource *r = &api->resources[i];
                fprintf(out,
                        "        {\"%s\", \"%s\", \"%s\", \"%s\", &cx_schema_table_kinds[%d], \"%sList\", %s, %s,\n"
                        "         list_%zu, list_%zu, subresources_%zu, columns_%zu, list_%zu, \"%s\", \"%s\", "
                        "\"%s\",\n"
                        "         %s, %s, frozen_%zu, ",
                        r->group, r->version, r->resource, r->singular, r->kind_index, r->kind,
                        r->namespaced ? "true" : "false", r->verbs, lists[i][0], lists[i][1], i, i, lists[i][2],
                        r->storage_group, r->storage_version, r->prefix ? r->prefix : r->resource, r->generation,
                        r->naming, i);
                put_string(out, r->template);
                fputs("},\n", out);
        }
        fputs("};\n", out);
        qsort_r(sorted, api->n_resources, sizeof *sorted, compare_resource_names, (void *)api);
        fputs("const uint16_t cx_schema_table_by_resource[] = {", out);
        for (size_t i = 0; i < api->n_resources; i++)
                fprintf(out, "%u, ", sorted[i]);
        fputs("};\n", out);
}

void print_tables(const struct api *api, FILE *out)
{
        fputs("// Generated by schema_gen from libcommon/schema/*.api: edit those.\n#include "
              "\"libcommon/schema/schema_internal.h\"\n\n",
              out);
        put_types(api, out);
        put_kinds(api, out);
        put_resources(api, out);
}
