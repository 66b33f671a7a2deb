// SPDX-License-Identifier: Apache-2.0
// What the files behind volumes.h share: the volumes themselves, and one volume of a pod with its plugin (found.c).
#pragma once

#include "kubelet/volume/claims.h"
#include "kubelet/volume/locks.h"
#include "kubelet/volume/operations.h"
#include "kubelet/volume/volumes.h"
#include "libcommon/base/map.h"

#include <pthread.h>

struct volumes {
        const struct kubelet *kubelet;
        struct refs *refs;
        struct tokens *tokens;
        struct claims *claims;
        struct locks *locks;
        struct operations *operations;
        const struct volume_plugin *const *plugins;
        char *pods, *state_pods; // the folders of pods: on disk; in memory
        pthread_mutex_t lock;    // guards measured
        struct cx_map measured;  // a volume's folder → struct measured
};

// A volume of a pod, with all that its plugin is told; keeps what it refers to, so that it may outlive the call.
struct found_volume {
        struct volumes *volumes;
        const struct volume_plugin *plugin;
        struct volume_job job;
        json_t *pod;
        struct found_claim claim;
        char *name, *folder, *notes;
};
void found_free(void *found);
CX_DEFINE_CLEANUP(struct found_volume, found_freep, found_free)
#define FOUND CX_CLEANUP(found_freep) struct found_volume

// any_age: a claim as it was found last. The error is a whole sentence, without a prefix.
int found_describe(struct volumes *volumes, const json_t *pod, const json_t *volume, bool any_age,
                   struct found_volume **ret_found, struct cx_error *err) CX_CHECK;
// What has to hold before a volume is set up: its node affinity, how containers use it, that nobody else has what is one
// pod's. The error is the sentence of the event.
int found_check(const struct found_volume *found, struct cx_error *err) CX_CHECK;
// Puts "<step> for volume <name> : " before the error.
int found_wrap(const struct found_volume *found, const char *step, struct cx_error *err);

// expansion.c: grows what has been made larger, and says so. `found` is set up. Starts that when it is due.
void found_grow(const struct found_volume *found, int64_t *again);
