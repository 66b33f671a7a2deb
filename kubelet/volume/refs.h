// SPDX-License-Identifier: Apache-2.0
// ConfigMaps and Secrets that pods on this node refer to: each is watched by name while a pod needs it, and a change
// enqueues the pods. Any thread may call.
#pragma once

#include "client/informer.h"

#include <jansson.h>

struct cx_refs;
struct cx_refs *cx_refs_new(struct cx_informers *informers, void (*changed)(void *context, const char *pod_uid),
                            void *context);
void cx_refs_free(struct cx_refs *refs);
// The object as it is now, a new reference. -ENOENT (reason NOT_FOUND) with upstream's sentence when there is none. Waits
// for the first answer of the watch. `resource` is "configmaps" or "secrets".
int cx_refs_get(struct cx_refs *refs, const char *pod_uid, const char *resource, const char *namespace,
                const char *name, json_t **ret_object, struct cx_error *err) CX_CHECK;
void cx_refs_release(struct cx_refs *refs, const char *pod_uid); // the pod is gone
