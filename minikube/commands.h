// SPDX-License-Identifier: Apache-2.0
// The commands of minikube, each in a file of its name, and what they share.
#pragma once

#include "libcommon/client/rest.h"
#include "minikube/machine.h"

#define MAX_HABITS 30

struct minikube {
        struct profile profile;
        struct cx_strings args; // behind the command
        // flags
        const char *profile_name;
        struct cx_strings extra_config, addons, build_args;
        int64_t nodes, wait_timeout, lines, verbosity;
        const char *registry_config, *output, *node, *namespace, *file, *tag, *kubernetes_version, *url_format;
        bool url, all, purge, help, nodes_changed, install_addons, problems, follow, all_namespaces, push, https,
                dry_run;
        // What a command does to the profile at a start of the cluster, under its lock; NULL: nothing. `number`: of a node.
        int (*change)(struct minikube *minikube, struct cx_error *err);
        int number;
        const char *habits[MAX_HABITS]; // values of flags that decide nothing (habits.h); NULL: not given
        struct cx_strings configured;   // owns what flags have from the configuration
};

// status.c, start.c and the others: a command each
#define COMMAND(name) int command_##name(struct minikube *minikube, struct cx_error *err)
COMMAND(start);
COMMAND(stop);
COMMAND(delete);
COMMAND(dashboard);
COMMAND(status);
COMMAND(pause);
COMMAND(unpause);
COMMAND(image_load);
COMMAND(image_list);
COMMAND(image_rm);
COMMAND(image_tag);
COMMAND(image_pull);
COMMAND(image_save);
COMMAND(image_push);
COMMAND(image_build);
COMMAND(addons_list);
COMMAND(addons_enable);
COMMAND(addons_disable);
COMMAND(config_set);
COMMAND(config_unset);
COMMAND(config_get);
COMMAND(config_view);
COMMAND(profile);
COMMAND(profile_list);
COMMAND(update_context);
COMMAND(service);
COMMAND(service_list);
COMMAND(tunnel);
COMMAND(mount);
COMMAND(ssh);
COMMAND(kubectl);
COMMAND(node_list);
COMMAND(node_add);
COMMAND(node_delete);
COMMAND(node_start);
COMMAND(node_stop);
COMMAND(cp);
COMMAND(ip);
COMMAND(logs);
COMMAND(version);
COMMAND(options);
COMMAND(completion);
COMMAND(complete);
COMMAND(supervise);

// A client with the profile's administrator credentials.
int admin_client(const struct profile *profile, int64_t patience, struct cx_rest **ret_rest, struct cx_error *err)
        CX_CHECK;
// Fails with minikube's advice when the profile does not exist.
int need_profile(const struct minikube *minikube, struct cx_error *err) CX_CHECK;
// The same, and that its cluster runs.
int need_running(const struct minikube *minikube, struct cx_error *err) CX_CHECK;
// For commands that change a profile: locks it, then reads it again.
int take_profile(struct profile *profile, struct lock *ret_lock, struct cx_error *err) CX_CHECK;
// status.c: the one word for how a cluster is: "OK", "Paused", "Degraded" or "Stopped".
const char *cluster_state(const struct profile *profile);
// node.c: the node that a flag or an argument names, by its whole name or by the end of it ("m02"); NULL: the first.
int choose_node(const struct profile *profile, const char *name, int *ret_node, struct cx_error *err) CX_CHECK;
// Makes room for one more node, which ret_node is.
int nodes_grow(struct profile *profile, int *ret_node, struct cx_error *err) CX_CHECK;
// start.c: what `minikube start` does, without its greetings.
int start_cluster(struct minikube *minikube, struct cx_error *err) CX_CHECK;
// pause.c: lets everything go on that minikube pause has halted; nothing when it has not.
int cluster_resume(const struct profile *profile, struct cx_error *err) CX_CHECK;
// mount.c: takes back what minikube mount has mounted.
void mounts_end(const struct profile *profile);
// kubeconfig.c: the user's own kubeconfig. Under machine_lock.
int context_check(const struct profile *profile, struct cx_error *err) CX_CHECK; // -EEXIST: somebody else's
int context_write(const struct profile *profile, struct cx_error *err) CX_CHECK;
int context_remove(const struct profile *profile, struct cx_error *err) CX_CHECK;
int context_leave(const struct profile *profile, struct cx_error *err) CX_CHECK; // ours is not current any more
bool context_present(const struct profile *profile);
bool context_is_current(const struct profile *profile);
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
