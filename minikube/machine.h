// SPDX-License-Identifier: Apache-2.0
// What all minikubes of this machine have to agree on, whoever's MINIKUBE_HOME they work in: who uses which profile name
// and network, what works on a profile at the moment, and how the machine forwarded before the first cluster came. Kept
// below /run/coxswain, which goes with the last cluster, as it goes with a reboot like everything that it tells of.
//
//     lock             held for the moment of a change here, in ca.* of a home or in a kubeconfig
//     <name>.lock      held by start, stop and delete of a profile
//     <name>.cluster   "index nodes folder": a claim; there from before the profile's first namespace is made until after
//                      the last one is gone
//     ip_forward       the setting that the first claim found
#pragma once

#include "minikube/profile.h"

// Locks are the kernel's: one whose holder was killed is free.
struct lock {
        char *path;
        int fd;
};
#define LOCK CX_CLEANUP(lock_release) struct lock
#define LOCK_INIT                                                                                                      \
        {                                                                                                              \
                NULL, -1                                                                                               \
        }
int machine_lock(struct lock *ret_lock, struct cx_error *err) CX_CHECK;
// Says so when it has to wait for another minikube.
int machine_lock_profile(const struct profile *profile, struct lock *ret_lock, struct cx_error *err) CX_CHECK;
void lock_release(struct lock *lock); // does nothing the second time

// Under machine_lock. Sets the index of a network that no profile of this home and no cluster of this machine has.
int machine_choose_network(struct profile *profile, struct cx_error *err) CX_CHECK;
// Under machine_lock. Claims the profile's name, network and nodes; -EEXIST when they are somebody else's. What a
// cluster has left whose folder somebody removed is cleaned up on the way.
int machine_claim(const struct profile *profile, struct cx_error *err) CX_CHECK;
// Gives the claim back, and with the last one the machine its setting. Takes machine_lock.
void machine_release(const struct profile *profile);
// Whether the claim is this profile's; its nodes and index then are what was claimed.
bool machine_recall(struct profile *profile);
