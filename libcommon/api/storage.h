// SPDX-License-Identifier: Apache-2.0
// PersistentVolumes and PersistentVolumeClaims as those see them who bring them together: the binder, the scheduler, a
// provisioner. Which volume suits which claim is decided here alone. Parsed once; immutable then; any thread may match.
#pragma once

#include "libcommon/api/node_affinity.h"

#define CX_NO_PROVISIONER "kubernetes.io/no-provisioner"
#define CX_BIND_COMPLETED "pv.kubernetes.io/bind-completed"               // of a claim: "yes"
#define CX_BOUND_BY_CONTROLLER "pv.kubernetes.io/bound-by-controller"     // of either: who chose was the binder
#define CX_PROVISIONED_BY "pv.kubernetes.io/provisioned-by"               // of a volume: the provisioner that made it
#define CX_SELECTED_NODE "volume.kubernetes.io/selected-node"             // of a claim: where its pod will run
#define CX_STORAGE_PROVISIONER "volume.kubernetes.io/storage-provisioner" // of a claim: who is to make a volume for it
#define CX_STORAGE_PROVISIONER_BETA "volume.beta.kubernetes.io/storage-provisioner"

struct cx_claim {
        char *namespace, *name, *uid;
        char *class;            // NULL: it names none, which is not the same as ""
        char *volume;           // spec.volumeName; ""
        char *attributes_class; // ""
        char *selected_node;    // ""
        unsigned access;        // bits of modes
        int64_t storage;        // bytes that it asks for
        bool block;             // volumeMode
        bool bind_completed, bound_by_controller, deleted;
        bool lost;                   // status.phase
        struct cx_selector selector; // of volumes; empty: any
};
enum { CX_READ_WRITE_ONCE = 1, CX_READ_ONLY_MANY = 2, CX_READ_WRITE_MANY = 4, CX_READ_WRITE_ONCE_POD = 8 };
void cx_claim_parse(const json_t *claim, struct cx_claim *ret_claim);
void cx_claim_release(struct cx_claim *claim);
// It has its volume for good: the name alone does not say that its two halves know of each other.
static inline bool cx_claim_is_bound(const struct cx_claim *claim)
{
        return *claim->volume && claim->bind_completed;
}

// The name of the claim of a pod's ephemeral volume. Owned by the caller.
char *cx_ephemeral_claim_name(const char *pod, const char *volume);

struct cx_volume {
        char *name, *class, *attributes_class;          // "" when absent
        char *claim_namespace, *claim_name, *claim_uid; // spec.claimRef; "" when absent
        char *provisioned_by;                           // ""
        char *phase, *reclaim;
        char *driver, *handle; // of a CSI volume; ""
        unsigned access;
        int64_t capacity; // bytes
        bool block, bound_by_controller, deleted;
        bool has_claim;             // there is a claimRef
        bool has_affinity;          // there is a node affinity
        struct cx_node_terms nodes; // one of them must hold
        struct cx_strings label_names, label_values;
};
void cx_volume_parse(const json_t *volume, struct cx_volume *ret_volume);
void cx_volume_release(struct cx_volume *volume);

struct cx_storage_class {
        char *provisioner;
        bool delays;                     // WaitForFirstConsumer
        bool is_default;                 // annotation storageclass.kubernetes.io/is-default-class
        bool has_topologies;             // allowedTopologies: one of them must hold
        struct cx_node_terms topologies; // for the node of a volume that is made
};
void cx_storage_class_parse(const json_t *class, struct cx_storage_class *ret_class);
void cx_storage_class_release(struct cx_storage_class *class);

// Whether the volume is bound to, or kept for, this claim: by name, and by uid when the volume says one.
bool cx_volume_is_for(const struct cx_volume *volume, const struct cx_claim *claim);
// Why a volume does not suit the claim that names it ("requested PV is too small"); NULL: it does.
const char *cx_volume_misfit(const struct cx_volume *volume, const struct cx_claim *claim);
bool cx_volume_is_on(const struct cx_volume *volume, const struct cx_node_facts *node);
// The smallest volume that suits the claim and is nobody's, or the one that is kept for it. `node` NULL: wherever it is.
// `delayed`: the claim waits for its pod, so only what is kept for it counts. NULL when there is none. Volumes whose names are
// in `taken` (may be NULL) do not count.
const struct cx_volume *cx_volume_find(const struct cx_volume *const *volumes, size_t count,
                                       const struct cx_claim *claim, const struct cx_node_facts *node, bool delayed,
                                       const struct cx_strings *taken);
