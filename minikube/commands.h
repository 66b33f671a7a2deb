// SPDX-License-Identifier: Apache-2.0
// The commands of minikube, each in a file of its name, and what they share.
#pragma once

#include "libcommon/client/rest.h"
#include "minikube/machine.h"

struct minikube {
        struct profile profile;
        struct cx_strings args; // behind the command
        // flags
        struct cx_strings extra_config, addons;
        int64_t nodes, wait_timeout;
        const char *registry_config, *output, *node, *namespace;
        bool url, all, help, nodes_changed;
        int64_t lines;
};

int command_start(struct minikube *minikube, struct cx_error *err);
int command_stop(struct minikube *minikube, struct cx_error *err);
int command_delete(struct minikube *minikube, struct cx_error *err);
int command_status(struct minikube *minikube, struct cx_error *err);
int command_profile(struct minikube *minikube, struct cx_error *err);
int command_service(struct minikube *minikube, struct cx_error *err);
int command_service_list(struct minikube *minikube, struct cx_error *err);
int command_tunnel(struct minikube *minikube, struct cx_error *err);
int command_image(struct minikube *minikube, struct cx_error *err);
int command_ip(struct minikube *minikube, struct cx_error *err);
int command_logs(struct minikube *minikube, struct cx_error *err);
int command_kubectl(struct minikube *minikube, struct cx_error *err);
int command_addons(struct minikube *minikube, struct cx_error *err);
int command_dashboard(struct minikube *minikube, struct cx_error *err);

// A client with the profile's administrator credentials.
int admin_client(const struct profile *profile, int64_t patience, struct cx_rest **ret_rest, struct cx_error *err)
        CX_CHECK;
// Fails with minikube's advice when the profile does not exist.
int need_profile(const struct minikube *minikube, struct cx_error *err) CX_CHECK;
// The same, and that its cluster runs.
int need_running(const struct minikube *minikube, struct cx_error *err) CX_CHECK;
// For commands that change a profile: locks it, then reads it again.
int take_profile(struct profile *profile, struct lock *ret_lock, struct cx_error *err) CX_CHECK;
// kubeconfig.c: the user's own kubeconfig. Under machine_lock.
int context_check(const struct profile *profile, struct cx_error *err) CX_CHECK; // -EEXIST: somebody else's
int context_write(const struct profile *profile, struct cx_error *err) CX_CHECK;
int context_remove(const struct profile *profile, struct cx_error *err) CX_CHECK;
int context_leave(const struct profile *profile, struct cx_error *err) CX_CHECK; // ours is not current any more
bool context_present(const struct profile *profile);
// ready.c: waiting until the cluster can be used.
int wait_apiserver(const struct profile *profile, int64_t deadline, struct cx_error *err) CX_CHECK;
int wait_nodes(const struct profile *profile, struct cx_rest *rest, int64_t deadline, struct cx_error *err) CX_CHECK;
int wait_dns(const struct profile *profile, int64_t deadline, struct cx_error *err) CX_CHECK;
// addon.c: turns an addon of a running cluster on or off, and waits until it works.
int addon_set(struct minikube *minikube, const char *name, bool on, struct cx_error *err) CX_CHECK;
// manifests.c: brings the cluster the manifest of an addon, and waits until it works.
struct addon;
int addon_apply(const struct profile *profile, struct cx_rest *rest, const struct addon *addon, int64_t deadline,
                struct cx_error *err) CX_CHECK;
int addons_apply(const struct profile *profile, struct cx_rest *rest, int64_t deadline, struct cx_error *err) CX_CHECK;
int addon_remove(const struct profile *profile, struct cx_rest *rest, const struct addon *addon, struct cx_error *err)
        CX_CHECK; // its manifest
