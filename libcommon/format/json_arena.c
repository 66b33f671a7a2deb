// SPDX-License-Identifier: Apache-2.0
// What does not fit into the block comes from the heap as ever: free() tells the two apart by the address.
#include "libcommon/format/json_arena.h"

#include <jansson.h>

#define BLOCK ((size_t)64 << 10)
#define ALIGN ((size_t)16)

static _Thread_local struct cx_json_arena *open_arena;

static void *take(size_t size)
{
        struct cx_json_arena *arena = open_arena;
        if (arena && size <= BLOCK - arena->used) {
                void *taken = arena->block + arena->used;
                size_t rounded = (size + ALIGN - 1) & ~(ALIGN - 1);
                arena->used = rounded <= BLOCK - arena->used ? arena->used + rounded : BLOCK;
                return taken;
        }
        return malloc(size); // jansson looks at the result
}

static void give(void *memory)
{
        const struct cx_json_arena *arena = open_arena;
        uintptr_t at = (uintptr_t)memory, start = arena ? (uintptr_t)arena->block : 0;
        if (!arena || at < start || at >= start + BLOCK)
                free(memory);
}

// Before main, so before any thread; memory that the ordinary functions gave can be freed with these.
__attribute__((constructor)) static void route_allocations(void)
{
        json_set_alloc_funcs(take, give);
}

void cx_json_arena_open(struct cx_json_arena *arena)
{
        if (!arena->block)
                arena->block = cx_alloc(BLOCK);
        arena->used = 0;
        open_arena = arena;
}

void cx_json_arena_close(struct cx_json_arena *arena CX_UNUSED)
{
        open_arena = NULL;
}

void cx_json_arena_release(struct cx_json_arena *arena)
{
        free(arena->block);
        arena->block = NULL;
}
