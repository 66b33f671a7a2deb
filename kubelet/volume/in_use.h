// SPDX-License-Identifier: Apache-2.0
// The volumes that this node uses and a controller attaches: status.volumesInUse of the Node. A volume is only used once the
// apiserver has it there, since what is there is not detached. Any thread.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

#include <jansson.h>

struct in_use;
struct in_use *in_use_new(void);
void in_use_free(struct in_use *in_use);
// `changed` is called when the list did, from any thread.
void in_use_on_change(struct in_use *in_use, void (*changed)(void *context), void *context);
// Adds the unique name of a volume ("kubernetes.io/csi/<driver>^<handle>"). Whether the apiserver has it.
bool in_use_add(struct in_use *in_use, const char *name);
void in_use_remove(struct in_use *in_use, const char *name);
json_t *in_use_list(struct in_use *in_use); // an array, sorted; new
// The apiserver has taken that list.
void in_use_reported(struct in_use *in_use, const json_t *list);
