// SPDX-License-Identifier: Apache-2.0
// What of this node a pod has been given, which is what it asks for unless a resize has come that does not fit (KEP-1287).
// Everything else in this folder works with the object that says what was given. Containers' records carry it over a restart
// of the kubelet: what a container was made or resized with. Called by the pod's worker.
#pragma once

#include "kubelet/pod/model.h"

struct sandbox;
struct containers;

// Decides about what the pod asks for now. `pod` has been admitted.
void allocation_decide(struct pod *pod, const json_t *object);
// The object with the resources that were allocated; a new reference.
json_t *allocation_apply(struct pod *pod, const json_t *object);
// The objects of the other pods that take a share of this node, with what they were given; a new array.
json_t *allocation_others(struct pod *pod);
json_t *allocation_all(struct pods *pods);
// Whether a container that runs has to get other resources, and how it gets them: in place (done here), or by starting again
// (true). A failure is kept for the pod's status and tried again.
bool allocation_resize(struct pod *pod, const json_t *object, const json_t *container, struct container *running);
// Whether a container that runs has other resources than it was allocated.
bool allocation_is_due(struct pod *pod, const json_t *container, const struct container *running);
// Whether any that runs has.
bool allocation_under_way(struct pod *pod, const json_t *object, const struct containers *list);
// Says so, once, when all that was allocated has been given.
void allocation_finish(struct pod *pod, const json_t *object, const struct containers *list);
