// SPDX-License-Identifier: Apache-2.0
// The commands of minikube, each in a file of its name, and what they share.
#pragma once

#include "client/rest.h"
#include "minikube/machine.h"

struct cx_minikube {
        struct cx_profile profile;
        struct cx_strings args; // behind the command
        // flags
        struct cx_strings extra_config;
        int64_t nodes, wait_timeout;
        const char *registry_config, *output, *node, *namespace;
        bool url, all, help, nodes_changed;
        int64_t lines;
};

int cx_command_start(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_stop(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_delete(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_status(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_profile(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_service(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_service_list(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_tunnel(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_image(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_ip(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_logs(struct cx_minikube *minikube, struct cx_error *err);
int cx_command_kubectl(struct cx_minikube *minikube, struct cx_error *err);

// A client with the profile's administrator credentials.
int cx_admin_client(const struct cx_profile *profile, int64_t patience, struct cx_rest **ret_rest, struct cx_error *err)
        CX_CHECK;
// Fails with minikube's advice when the profile does not exist.
int cx_need_profile(const struct cx_minikube *minikube, struct cx_error *err) CX_CHECK;
// The same, and that its cluster runs.
int cx_need_running(const struct cx_minikube *minikube, struct cx_error *err) CX_CHECK;
// For commands that change a profile: locks it, then reads it again.
int cx_take_profile(struct cx_profile *profile, struct cx_lock *ret_lock, struct cx_error *err) CX_CHECK;
// kubeconfig.c: the user's own kubeconfig. Under cx_machine_lock.
int cx_context_check(const struct cx_profile *profile, struct cx_error *err) CX_CHECK; // -EEXIST: somebody else's
int cx_context_write(const struct cx_profile *profile, struct cx_error *err) CX_CHECK;
int cx_context_remove(const struct cx_profile *profile, struct cx_error *err) CX_CHECK;
int cx_context_leave(const struct cx_profile *profile, struct cx_error *err) CX_CHECK; // ours is not current any more
bool cx_context_present(const struct cx_profile *profile);
// ready.c: waiting until the cluster can be used.
int cx_wait_apiserver(const struct cx_profile *profile, int64_t deadline, struct cx_error *err) CX_CHECK;
int cx_wait_nodes(const struct cx_profile *profile, struct cx_rest *rest, int64_t deadline, struct cx_error *err)
        CX_CHECK;
int cx_wait_dns(const struct cx_profile *profile, int64_t deadline, struct cx_error *err) CX_CHECK;
