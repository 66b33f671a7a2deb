// SPDX-License-Identifier: Apache-2.0
// A projection is one block of memory: a pointer to the list of parts, then the parts in the order of that list.
#include "libcontroller/parts.h"

#include "libcommon/base/alloc.h"

#include <stdalign.h>

#define MAX_PARTS 16

struct object_parts {
        const struct object_part *items[MAX_PARTS];
        size_t offsets[MAX_PARTS], count, size;
};
struct projected {
        const struct object_parts *parts;
        alignas(max_align_t) char data[];
};

struct object_parts *object_parts_new(void)
{
        return cx_alloc(sizeof(struct object_parts));
}

void object_parts_free(struct object_parts *self)
{
        free(self);
}

void object_parts_add(struct object_parts *self, const struct object_part *part)
{
        for (size_t i = 0; i < self->count; i++)
                if (self->items[i] == part)
                        return;
        if (self->count == MAX_PARTS)
                abort(); // no kind has that many
        size_t alignment = alignof(max_align_t);
        self->items[self->count] = part;
        self->offsets[self->count++] = self->size;
        self->size += (part->size + alignment - 1) / alignment * alignment;
}

void *object_parts_project(void *context, const json_t *object)
{
        const struct object_parts *self = context;
        if (!self->count)
                return NULL;
        struct projected *projected = cx_alloc(sizeof *projected + self->size);
        projected->parts = self;
        for (size_t i = 0; i < self->count; i++)
                self->items[i]->take(projected->data + self->offsets[i], object);
        return projected;
}

void object_parts_free_projection(void *projection)
{
        struct projected *projected = projection;
        if (!projected)
                return;
        const struct object_parts *self = projected->parts;
        for (size_t i = 0; i < self->count; i++)
                if (self->items[i]->release)
                        self->items[i]->release(projected->data + self->offsets[i]);
        free(projected);
}

const void *object_part(const struct cx_object *object, const struct object_part *part)
{
        const struct projected *projected = object->projection;
        for (size_t i = 0; projected && i < projected->parts->count; i++)
                if (projected->parts->items[i] == part)
                        return projected->data + projected->parts->offsets[i];
        abort();
}
