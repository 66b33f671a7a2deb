// SPDX-License-Identifier: Apache-2.0
// The pods of this node: a worker per pod (serialized by a work queue) brings what runs to what the newest object says, and
// a status writer reports it. Sources (the apiserver's watch, static manifests) tell it about pods by cx_pods_set.
#pragma once

#include "kubelet/kubelet.h"

struct cx_pods;
struct cx_pods *cx_pods_new(struct cx_kubelet *kubelet);
void cx_pods_start(struct cx_pods *pods);
void cx_pods_stop(struct cx_pods *pods); // waits for the workers; leaves containers running
void cx_pods_free(struct cx_pods *pods); // leaves containers running

// A pod was added or changed; steals the object (immutable from now on). is_static: from a manifest.
void cx_pods_set(struct cx_pods *pods, json_t *object_steal, bool is_static);
// A pod is gone from its source: what is left of it will be stopped and removed.
void cx_pods_remove(struct cx_pods *pods, const char *uid);
// A mirror pod is in the apiserver, or gone from there.
void cx_pods_mirror(struct cx_pods *pods, const json_t *object, bool gone);
// All sources have told what they have: what runs here and belongs to no pod is removed from now on.
void cx_pods_sources_ready(struct cx_pods *pods);
void cx_pods_enqueue(struct cx_pods *pods, const char *uid); // any thread
// The pod with the kubelet's own status; a new reference or NULL.
json_t *cx_pods_find(struct cx_pods *pods, const char *namespace, const char *name);
json_t *cx_pods_list(struct cx_pods *pods); // a new array of such
// Names of images that containers use, for garbage collection.
void cx_pods_images_in_use(struct cx_pods *pods, struct cx_strings *ret_ids);
