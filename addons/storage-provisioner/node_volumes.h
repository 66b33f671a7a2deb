// SPDX-License-Identifier: Apache-2.0
// The volumes of this node, and what it has promised: the sizes of those that the apiserver has, and of those that are being
// made or grown, until the informer shows them. So whoever starts again knows it all. Any thread.
#pragma once

#include "addons/storage-provisioner/options.h"
#include "libcommon/api/storage.h"

struct volume_info { // of a volume that a provisioner of this name made
        struct cx_volume volume;
        char *path;
};
#define VOLUME_INFO(object) ((const struct volume_info *)(object)->projection)

struct node_volumes;
struct node_volumes *node_volumes_new(const struct provisioner_options *options);
void node_volumes_free(struct node_volumes *volumes);
struct cx_informer *node_volumes_informer(const struct node_volumes *volumes); // of all nodes' volumes
// The label that the node affinity of its volumes speaks of. Borrowed; it does not change.
int node_volumes_hostname(struct node_volumes *volumes, const char **ret_hostname, struct cx_error *err) CX_CHECK;
// Whether a volume is a folder of this node (1): its path is what its name says, and it is nowhere else.
int node_volumes_has(struct node_volumes *volumes, const struct cx_object *volume, struct cx_error *err) CX_CHECK;
// -ENOSPC unless there is room for `bytes` more.
int node_volumes_check(struct node_volumes *volumes, int64_t bytes, struct cx_error *err) CX_CHECK;
// Promises a volume `bytes` in all, whatever it had. -ENOSPC: there is not so much left.
int node_volumes_promise(struct node_volumes *volumes, const char *name, int64_t bytes, struct cx_error *err) CX_CHECK;
void node_volumes_forget(struct node_volumes *volumes, const char *name); // it came to nothing, or has gone
