// SPDX-License-Identifier: Apache-2.0
// Growing arrays of any type.
#pragma once

#include "libcommon/base/alloc.h"

#include <string.h>

#define LIST(type, name)                                                                                               \
        struct {                                                                                                       \
                type *items;                                                                                           \
                size_t count;                                                                                          \
        } name
// Adds a zeroed item and gives its address.
#define LIST_ADD(list)                                                                                                 \
        ({                                                                                                             \
                (list)->items = cx_realloc_array((list)->items, (list)->count + 1, sizeof *(list)->items);             \
                memset(&(list)->items[(list)->count], 0, sizeof *(list)->items);                                       \
                &(list)->items[(list)->count++];                                                                       \
        })
#define LIST_RELEASE(list, release)                                                                                    \
        do {                                                                                                           \
                for (size_t at_ = 0; at_ < (list)->count; at_++)                                                       \
                        release(&(list)->items[at_]);                                                                  \
                free((list)->items);                                                                                   \
        } while (0)
