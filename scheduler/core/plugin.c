// SPDX-License-Identifier: Apache-2.0
// Lays out the blocks of the plugins' states, aligned for any type.
#include "scheduler/core/plugin.h"

#include <stdalign.h>
#include <stdlib.h>

static size_t add(size_t *size, size_t more)
{
        size_t at = *size, alignment = alignof(max_align_t);
        *size += (more + alignment - 1) / alignment * alignment;
        return at;
}

void plugins_init(struct plugins *self, const struct plugin *const *items, size_t count)
{
        *self = (struct plugins){.items = items, .count = count};
        if (count > MAX_PLUGINS)
                abort();
        for (size_t i = 0; i < count; i++) {
                self->pod_at[i] = add(&self->pod_size, items[i]->pod_size);
                self->node_at[i] = add(&self->node_size, items[i]->node_size);
                self->cycle_at[i] = add(&self->cycle_size, items[i]->cycle_size);
        }
}
