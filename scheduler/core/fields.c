// SPDX-License-Identifier: Apache-2.0
// Walks along paths, one name at a time.
#include "scheduler/core/fields.h"

#include "libcommon/format/json.h"

#include <string.h>

// One name of a path; `rest` is what comes after, "" at the end.
struct step {
        const char *name, *rest;
        size_t length;
        bool each; // of the elements of the array
};

static struct step first_step(const char *path)
{
        struct step step = {.name = path, .length = strcspn(path, ".[")};
        step.rest = path + step.length;
        step.each = *step.rest == '[';
        step.rest += step.each ? 2 : 0;
        step.rest += *step.rest == '.';
        return step;
}

bool field_covers(const char *outer, const char *inner)
{
        size_t length = strlen(outer);
        return strncmp(outer, inner, length) == 0 && (!inner[length] || inner[length] == '.' || inner[length] == '[');
}

void field_write(const char *path, const json_t *object, struct cx_buf *to)
{
        struct step step = first_step(path);
        const json_t *value = json_object_getn(object, step.name, step.length);
        if (!*step.rest && !step.each) {
                if (value)
                        cx_json_dump(value, to);
        } else if (!step.each) {
                field_write(step.rest, value, to);
                return;
        } else {
                size_t i;
                json_t *element;
                json_array_foreach (value, i, element)
                        field_write(step.rest, element, to);
                cx_buf_add_char(to, ']'); // the end: no element's text begins so
        }
        cx_buf_add_char(to, '\n'); // JSON on one line has none
}

static json_t *child_of(json_t *view, const struct step *step, json_t *(*make)(void))
{
        json_t *child = json_object_getn(view, step->name, step->length);
        if (!child) {
                child = make();
                json_object_setn_new(view, step->name, step->length, child);
        }
        return child;
}

static void add_to_view(const char *path, const json_t *object, json_t *view)
{
        struct step step = first_step(path);
        json_t *value = json_object_getn(object, step.name, step.length);
        if (!value || json_object_getn(view, step.name, step.length) == value) // absent, or there as a whole
                return;
        if (!*step.rest && !step.each) {
                json_object_setn(view, step.name, step.length, value);
        } else if (!step.each) {
                if (json_is_object(value))
                        add_to_view(step.rest, value, child_of(view, &step, json_object));
        } else if (json_is_array(value)) {
                json_t *list = child_of(view, &step, json_array), *element;
                size_t i;
                json_array_foreach (value, i, element) {
                        if (i == json_array_size(list))
                                json_array_append_new(list, json_object());
                        add_to_view(step.rest, element, json_array_get(list, i));
                }
        }
}

json_t *fields_view(const char *const *paths, const json_t *object)
{
        json_t *view = json_object();
        for (; paths && *paths; paths++)
                add_to_view(*paths, object, view);
        return view;
}
