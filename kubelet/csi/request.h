// SPDX-License-Identifier: Apache-2.0
// What requests to a driver are made of: pairs of texts, secrets, and how a volume is to be accessed. Any thread; secrets may
// have to be waited for.
#pragma once

#include "csi/csi.pb-c.h"
#include "kubelet/volume/plugin.h"

// Owns its texts. Its items go into a message as they are.
struct csi_pairs {
        Csi__Pair **items;
        size_t count;
};
#define CSI_PAIRS CX_CLEANUP(csi_pairs_release) struct csi_pairs
void csi_pairs_release(struct csi_pairs *pairs);
void csi_pairs_set(struct csi_pairs *pairs, const char *key, const char *value); // replaces
void csi_pairs_set_all(struct csi_pairs *pairs, const json_t *object);           // its texts; may be NULL
// The keys of the secret that `ref` names ({"name", "namespace"}; without a namespace the pod's). Nothing when it is NULL.
int csi_pairs_set_secret(struct csi_pairs *pairs, const struct volume_job *job, const json_t *ref, struct cx_error *err)
        CX_CHECK;

// How a volume is to be accessed; points into the job.
struct csi_capability {
        Csi__VolumeCapability message;
        Csi__VolumeCapability__BlockVolume block;
        Csi__VolumeCapability__MountVolume mount;
        Csi__VolumeCapability__AccessMode mode;
        char **flags;
        char group[24];
};
void csi_capability_release(struct csi_capability *capability);
#define CSI_CAPABILITY CX_CLEANUP(csi_capability_release) struct csi_capability
// single_node: the driver tells access by one pod from access by one node. group: it takes the fsGroup.
void csi_capability_fill(struct csi_capability *capability, const struct volume_job *job, bool single_node, bool group);
