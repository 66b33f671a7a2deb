// SPDX-License-Identifier: Apache-2.0
// Walks along paths, one name at a time.
#include "scheduler/core/fields.h"

#include "libcommon/format/json.h"

#include <stdlib.h>
#include <string.h>

struct field_path field_parse(const char *path)
{
        struct field_path field = {.path = path};
        while (*path) {
                if (field.count == FIELD_STEPS)
                        abort(); // paths are written by us
                struct field_step *step = &field.steps[field.count++];
                *step = (struct field_step){.name = path, .length = strcspn(path, ".[")};
                path += step->length;
                step->each = *path == '[';
                path += step->each ? 2 : 0;
                path += *path == '.';
        }
        return field;
}

bool field_covers(const char *outer, const char *inner)
{
        size_t length = strlen(outer);
        return strncmp(outer, inner, length) == 0 && (!inner[length] || inner[length] == '.' || inner[length] == '[');
}

static void write_from(const struct field_path *field, size_t at, const json_t *object, struct cx_buf *to)
{
        const json_t *value = object;
        while (at < field->count) {
                const struct field_step *step = &field->steps[at++];
                value = json_object_getn(value, step->name, step->length);
                if (!step->each)
                        continue;
                size_t i;
                json_t *element;
                json_array_foreach (value, i, element)
                        write_from(field, at, element, to);
                cx_buf_add(to, "]\n"); // the end: no element's text begins so
                return;
        }
        if (value)
                cx_json_dump(value, to);
        cx_buf_add_char(to, '\n'); // JSON on one line has none
}

void field_write(const struct field_path *field, const json_t *object, struct cx_buf *to)
{
        write_from(field, 0, object, to);
}

static json_t *child_of(json_t *view, const struct field_step *step, json_t *(*make)(void))
{
        json_t *child = json_object_getn(view, step->name, step->length);
        if (!child) {
                child = make();
                json_object_setn_new(view, step->name, step->length, child);
        }
        return child;
}

static void add_to_view(const struct field_path *field, size_t at, const json_t *object, json_t *view)
{
        const struct field_step *step = &field->steps[at++];
        json_t *value = json_object_getn(object, step->name, step->length);
        if (!value || json_object_getn(view, step->name, step->length) == value) // absent, or there as a whole
                return;
        if (at == field->count && !step->each) {
                json_object_setn(view, step->name, step->length, value);
        } else if (!step->each) {
                if (json_is_object(value))
                        add_to_view(field, at, value, child_of(view, step, json_object));
        } else if (json_is_array(value)) {
                json_t *list = child_of(view, step, json_array), *element;
                size_t i;
                json_array_foreach (value, i, element) {
                        if (i == json_array_size(list))
                                json_array_append_new(list, json_object());
                        add_to_view(field, at, element, json_array_get(list, i));
                }
        }
}

json_t *fields_view(const char *const *paths, const json_t *object)
{
        json_t *view = json_object();
        for (; paths && *paths; paths++) {
                const struct field_path field = field_parse(*paths);
                add_to_view(&field, 0, object, view);
        }
        return view;
}
