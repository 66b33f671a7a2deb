// SPDX-License-Identifier: Apache-2.0
// What pods and volumes refer to by name: the edges along which a node may read, and what a mirror pod may not have.
#pragma once

#include <jansson.h>
#include <stdbool.h>

// True: that is enough. `resource` is "secrets", "configmaps" and so on; `namespace` NULL: the referring object's.
typedef bool (*reference_fn)(void *context, const char *resource, const char *namespace, const char *name);

// Calls `found` for each reference; true when one call was enough.
bool pod_references(const json_t *pod, reference_fn found, void *context);
// Of a PersistentVolume: its claim, and the secrets that the kubelet mounts it with.
bool volume_references(const json_t *volume, reference_fn found, void *context);
