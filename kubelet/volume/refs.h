// SPDX-License-Identifier: Apache-2.0
// ConfigMaps and Secrets that pods on this node refer to: each is watched by name while a pod needs it, and a change
// enqueues the pods. Any thread may call.
#pragma once

#include "libcommon/client/informer.h"

#include <jansson.h>

struct refs;
struct refs *refs_new(struct cx_informers *informers, void (*changed)(void *context, const char *pod_uid),
                      void *context);
void refs_free(struct refs *refs);
struct ref_key {
        const char *pod_uid;  // who asks
        const char *resource; // "configmaps" or "secrets"
        const char *namespace, *name;
};
// The object as it is now, a new reference. -ENOENT (reason NOT_FOUND) with upstream's sentence when there is none. Waits
// for the first answer of the watch.
int refs_get(struct refs *refs, const struct ref_key *key, json_t **ret_object, struct cx_error *err) CX_CHECK;
void refs_release(struct refs *refs, const char *pod_uid); // the pod is gone
