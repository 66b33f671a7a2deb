// SPDX-License-Identifier: Apache-2.0
// Which processes make up a profile, with their arguments; and the supervisor that keeps them running. The supervisor
// follows its services by pidfd, so that one that was killed itself takes up again those that still run.
#pragma once

#include "minikube/profile.h"

struct cluster_service {
        char *name; // "etcd", "kube-apiserver", "kubelet-minikube-m02", …
        int node;
        struct cx_strings argv;        // argv[0] is a path or is found in PATH
        struct cx_strings environment; // "NAME=value", besides minikube's own
};
struct services {
        struct cluster_service *items;
        size_t count;
};
void services_of(const struct profile *profile, struct services *ret_services);
// Whether "component.flag=value" names a component that there is.
bool services_takes_extra(const char *text);
void services_release(struct services *services);

// pid of a recorded process that still is the one that was recorded; 0 when there is none.
pid_t service_pid(const struct profile *profile, const char *name);
// Whether it was halted (SIGSTOP), as minikube pause does.
bool service_paused(const struct profile *profile, const char *name);
// The body of the hidden command `minikube supervise`; returns its exit status.
int supervise(const struct profile *profile);
// Starts the supervisor as a process of its own; nothing when it runs. When it returns, the supervisor has taken up what
// runs of its services.
int supervisor_start(const struct profile *profile, struct cx_error *err) CX_CHECK;
// A new supervisor takes over: services go on, but those whose arguments have changed start again, and
// those that are no more end.
int supervisor_replace(const struct profile *profile, struct cx_error *err) CX_CHECK;
// Ends a service, which the supervisor then starts again.
void service_restart(const struct profile *profile, const char *name);
// Ends the supervisor, which ends its services; then whatever of them is left. Not gently: at once, when what they would
// still write is not wanted any more.
void supervisor_stop(const struct profile *profile, bool gently);
