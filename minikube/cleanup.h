// SPDX-License-Identifier: Apache-2.0
// Finding and removing what a profile has left on the machine, by where it is and not by what anyone remembers: processes
// in its control groups and those that name its folder, mounts below the folder, the control groups, the network.
#pragma once

#include "minikube/profile.h"

// Ends containers and monitors, unmounts. `all`: also what is in control groups of the profile's name, and removes them:
// only for the one who has claimed the name (minikube/machine.h).
void cleanup_containers(const struct profile *profile, bool all);
// The same for what a node runs, by its control groups and its folder. Its services have to have ended.
void cleanup_node(const struct profile *profile, int node);
// Freezes what runs in the profile's control groups, or lets it go on.
int cleanup_freeze(const struct profile *profile, bool frozen, struct cx_error *err) CX_CHECK;
int cleanup_files(const struct profile *profile, struct cx_error *err) CX_CHECK;
