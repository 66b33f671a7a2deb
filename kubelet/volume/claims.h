// SPDX-License-Identifier: Apache-2.0
// From a pod's volume that is a claim (persistentVolumeClaim, ephemeral) to the PersistentVolume that the claim is bound to.
// A kubelet may not watch claims: they are asked for, and what was found is kept for the pod. Any thread.
#pragma once

#include "kubelet/base/kubelet.h"

struct claims;
struct claims *claims_new(const struct kubelet *kubelet);
void claims_free(struct claims *claims);

#define CLAIMS_AGE (20 * CX_NS_PER_S) // after which a claim is looked at again: it may have grown

// The name of the claim that a pod's volume is; owned by the caller, NULL: it is none.
char *volume_claim_name(const json_t *pod, const json_t *volume);
// The claim and its volume as they are now or were at most CLAIMS_AGE ago; `any_age`: whatever was found last. New references.
// What was found once counts for as long as nothing newer can be learned. The error is upstream's sentence.
struct found_claim {
        json_t *claim, *persistent;
};
int claims_find(struct claims *claims, const json_t *pod, const json_t *volume, bool any_age, struct found_claim *ret,
                struct cx_error *err) CX_CHECK;
// The next look asks again.
void claims_outdated(struct claims *claims, const char *pod_uid);
void claims_forget(struct claims *claims, const char *pod_uid);
