// SPDX-License-Identifier: Apache-2.0
// A profile: one cluster on this machine. Everything that it owns is below its folder or carries its name, so that it can
// be found and removed whatever was killed in between.
//
//     $MINIKUBE_HOME/profiles/<name>/   config.json  certs/  kubeconfigs/  logs/  run/<service>.pid  etcd/  nodes/<node>/
//     $MINIKUBE_HOME/ca.crt, ca.key     one certificate authority for all profiles, as minikube has it
//
// The host part of the network is 192.168.(49 + 9 * index).0/24: the lower half for bridge and nodes, the upper half for
// load balancers.
#pragma once

#include "libcommon/base/alloc.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

#include <jansson.h>

#define MAX_NODES 16
#define MAX_INDEX 22 // 192.168.247.0/24 is the last network
#define API_PORT 8443
#define DASHBOARD_PORT 9443
#define REGISTRY_PORT 5000
#define DNS_ADDRESS "10.96.0.10"
#define SERVICE_CIDR "10.96.0.0/12"
#define POD_CIDR "10.244.0.0/16"
#define CLUSTER_DOMAIN "cluster.local"

struct profile {
        char *name, *folder, *home;
        char *binaries;         // folder of our executables
        int nodes;              // numbers of nodes that there are or were; see node_there
        unsigned gone, stopped; // bits of nodes that were deleted, or are stopped while the cluster runs
        int index;
        bool small;               // for a machine with little memory, as it was when the profile was made
        char *registry_config;    // copied into the folder; NULL: none
        struct cx_strings extra;  // --extra-config: \"component.flag=value\"
        struct cx_strings addons; // those that are on (addons.h), sorted
        bool has_addons;          // they were chosen: a new profile begins with the default ones
        bool exists;
        char *broken; // why config.json cannot be read; NULL: it can, or is not there
};
#define PROFILE_CONTENTS CX_CLEANUP(profile_contents_release) struct profile

// `name` as given by -p; checks it. Loads config.json when there is one; one that cannot be read is not an error here.
int profile_open(const char *name, struct profile *ret_profile, struct cx_error *err) CX_CHECK;
int profile_save(const struct profile *profile, struct cx_error *err) CX_CHECK;
void profile_contents_release(struct profile *profile);
char *minikube_home(void);                                // $MINIKUBE_HOME/.minikube; owned by the caller
bool node_there(const struct profile *profile, int node); // it was not deleted
bool node_runs(const struct profile *profile, int node);  // nor stopped
int node_count(const struct profile *profile);            // of those that are there
int node_count_running(const struct profile *profile);
// Names of all profiles, sorted; also of those that are half-made, half-deleted or broken.
int profile_list(struct cx_strings *ret_names, struct cx_error *err) CX_CHECK;
// Whether this machine has an address in the network of an index.
bool profile_subnet_taken(int index);

// Derived names; all return new strings unless they fill a buffer.
char *profile_path(const struct profile *profile, const char *format, ...) CX_PRINTF(2, 3);
char *node_name(const struct profile *profile, int node);    // "minikube", "minikube-m02", …
char *node_address(const struct profile *profile, int node); // 192.168.49.2, .3, …
char *host_address(const struct profile *profile);           // the bridge's: 192.168.49.1
char *bridge_name(const struct profile *profile);            // "mk-0"
char *balancer_cidr(const struct profile *profile);          // 192.168.49.128/25
char *cgroup_root(const struct profile *profile, int node);  // "/coxswain/minikube/minikube-m02"
