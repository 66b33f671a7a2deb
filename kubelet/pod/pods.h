// SPDX-License-Identifier: Apache-2.0
// The pods of this node: a worker per pod (serialized by a work queue) brings what runs to what the newest object says, and
// a status writer reports it. Sources (the apiserver's watch, static manifests) tell it about pods by pods_set.
#pragma once

#include "kubelet/base/kubelet.h"

struct pods;
struct probes;
struct refs;
struct volumes;

// What pods are made of. They tell of changes by pods_changed, which may come before pods_start: that is kept for later.
struct pods_parts {
        struct refs *refs;
        struct volumes *volumes;
        struct probes *probes;
};
struct pods *pods_new(const struct kubelet *kubelet);
void pods_start(struct pods *pods, const struct pods_parts *parts);
void pods_stop(struct pods *pods); // waits for the workers; leaves containers running
void pods_free(struct pods *pods); // leaves containers running

// A pod was added or changed; steals the object (immutable from now on). is_static: from a manifest.
void pods_set(struct pods *pods, json_t *object_steal, bool is_static);
// A pod is gone from its source: what is left of it will be stopped and removed.
void pods_remove(struct pods *pods, const char *uid);
// A mirror pod is in the apiserver, or gone from there.
void pods_mirror(struct pods *pods, const json_t *object, bool gone);
// All sources have told what they have: what runs here and belongs to no pod is removed from now on.
void pods_sources_ready(struct pods *pods);
// Something about a pod changed (a container's end, a probe's result, a Secret): it is looked at. A callback whose context
// is the pods; any thread.
void pods_changed(void *pods, const char *uid);
// The pod with the kubelet's own status; a new reference or NULL.
json_t *pods_find(struct pods *pods, const char *namespace, const char *name);
json_t *pods_list(struct pods *pods); // a new array of such
// Names of images that containers use, for garbage collection.
void pods_images_in_use(struct pods *pods, struct cx_strings *ret_ids);
