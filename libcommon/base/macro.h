// SPDX-License-Identifier: Apache-2.0
// Compiler attributes and the few macros that the whole tree uses. See also cleanup attributes in each module's
// header: a type `struct cx_foo` that owns memory declares `cx_foo_freep` or `cx_foo_releasep` for CX_CLEANUP.
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define CX_PRINTF(fmt_index, first) __attribute__((format(printf, fmt_index, first)))
#define CX_CHECK __attribute__((warn_unused_result))
#define CX_UNUSED __attribute__((unused))
#define CX_NORETURN __attribute__((noreturn))

// Runs `fn(&variable)` when the variable leaves its scope.
#define CX_CLEANUP(fn) __attribute__((cleanup(fn)))

#define CX_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

// Hands an owned local out of its cleanup attribute: returns its value and leaves NULL behind.
#define cx_steal(p)                                                                                                    \
        ({                                                                                                             \
                __typeof__(*(p)) cx_stolen_ = *(p);                                                                    \
                *(p) = NULL;                                                                                           \
                cx_stolen_;                                                                                            \
        })

// Declares `name(type **p)`, which calls `free_fn(*p)`: for CX_CLEANUP on an owning pointer.
#define CX_DEFINE_CLEANUP(type, name, free_fn)                                                                         \
        static inline CX_UNUSED void name(type **p)                                                                    \
        {                                                                                                              \
                if (*p)                                                                                                \
                        free_fn(*p);                                                                                   \
        }

// For `char *` and other memory of malloc: CX_CLEANUP(cx_freep).
static inline CX_UNUSED void cx_freep(void *p)
{
        free(*(void **)p);
}

// The same for a file descriptor that CX_CLEANUP(cx_closep) owns: -1 is left behind.
static inline CX_UNUSED int cx_steal_fd(int *fd)
{
        int stolen = *fd;
        *fd = -1;
        return stolen;
}

// For file descriptors, -1 when none: CX_CLEANUP(cx_closep).
static inline CX_UNUSED void cx_closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}
