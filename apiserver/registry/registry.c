// SPDX-License-Identifier: Apache-2.0
// The registry as it is handed to the layers below it.
#include "apiserver/registry/registry.h"

const struct writes registry_writes = {
        .create = registry_create,
        .update = registry_update,
        .remove = registry_delete,
};
