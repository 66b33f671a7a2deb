// SPDX-License-Identifier: Apache-2.0
// The registry of the addon, and the registries.yaml that the kubelets read: the user's, and that one in it. Images of the
// addon's registry are named localhost:5000/…, as in minikube; each node fetches them from the first one.
#pragma once

#include "minikube/profile.h"

#define REGISTRY_NAME "localhost:5000"

char *registries_path(const struct profile *profile);      // what kubelets are given; owned by the caller
char *registry_config_path(const struct profile *profile); // of the registry itself; owned by the caller
char *registry_address(const struct profile *profile);     // "192.168.49.2:5000"; owned by the caller
int registries_make(const struct profile *profile, struct cx_error *err) CX_CHECK; // both, as the profile is now
