// SPDX-License-Identifier: Apache-2.0
// Locks by name, for what several pods share on this node. Any thread.
#pragma once

#include "libcommon/base/alloc.h"

struct locks;
struct locks *locks_new(void);
void locks_free(struct locks *locks);
// Waits until nobody holds the name; NULL locks: there is nobody else.
void locks_take(struct locks *locks, const char *name);
void locks_give(struct locks *locks, const char *name);
