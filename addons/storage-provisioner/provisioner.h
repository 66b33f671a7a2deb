// SPDX-License-Identifier: Apache-2.0
// Makes volumes of this node's folders for claims, and takes them back. One runs on every node; which of them a claim is for
// the claim's node says, and which of them a volume is of its path and its node affinity. Nothing is kept but the folders and
// what the apiserver has, so one that was killed anywhere goes on when it comes back.
#pragma once

#include "addons/storage-provisioner/options.h"

struct provisioner;
struct provisioner *provisioner_new(const struct provisioner_options *options);
int provisioner_start(struct provisioner *provisioner, struct cx_error *err) CX_CHECK; // also the informers
bool provisioner_synced(const struct provisioner *provisioner);
void provisioner_stop(struct provisioner *provisioner);
void provisioner_free(struct provisioner *provisioner); // after the informers
