// SPDX-License-Identifier: Apache-2.0
// Addons: what a cluster has beside Kubernetes itself. An addon is a folder below addons/, with a manifest or a service, or
// both, and a row of the table here. Which are on is kept in the profile.
#pragma once

#include "minikube/profile.h"

struct addon {
        const char *name;
        // YAML; NULL: none. What is labelled EnsureExists is made once and then the user's. @FIRST_NODE@ stands for the
        // address of the first node, @BALANCERS@ for the network of load balancers, @CA@ for the authority's certificate
        // in base64.
        const char *manifest;
        const char *service;     // "<service>-<node>" (services.h); NULL: none
        bool on_first;           // the service runs on the first node only, otherwise on each
        const char *api_service; // an APIService of the manifest: it works once this is available; NULL: none
        const char *program;     // that it needs, and the Debian package of that name; NULL: none
        int port;                // of the first node: it works once this takes connections; 0: none
        bool by_default;
};
const struct addon *addons_all(size_t *ret_count);
const struct addon *addon_find(const char *name); // NULL: there is none
// -EINVAL with minikube's advice when there is no such addon; with `on`, -ENOPKG when a program is missing that it needs.
int addon_check(const char *name, bool on, struct cx_error *err) CX_CHECK;
bool addon_is_on(const struct profile *profile, const char *name);
void addon_turn(struct profile *profile, const char *name, bool on); // in the profile, which is not saved here
void addons_turn_defaults(struct profile *profile);                  // those of a new profile
