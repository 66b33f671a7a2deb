// SPDX-License-Identifier: Apache-2.0
// minikube node and ip. A node has a number for life; the number of one that was deleted is free for the next.
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/tree.h"
#include "minikube/cleanup.h"
#include "minikube/commands.h"
#include "minikube/network.h"
#include "minikube/out.h"
#include "minikube/services.h"

#include <stdio.h>

#define DRAIN_PATIENCE "60s"

int choose_node(const struct profile *profile, const char *wanted, int *ret_node, struct cx_error *err)
{
        *ret_node = 0;
        if (!wanted || !*wanted)
                return 0;
        for (int node = 0; node < profile->nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                CX_CLEANUP(cx_freep) char *ending = cx_sprintf("m%02d", node + 1);
                if (node_there(profile, node) && (strcmp(name, wanted) == 0 || strcmp(ending, wanted) == 0)) {
                        *ret_node = node;
                        return 0;
                }
        }
        return cx_error_set(err, -ENOENT, "node \"%s\" does not exist; `minikube node list -p %s` lists them", wanted,
                            profile->name);
}

int command_ip(struct minikube *m, struct cx_error *err)
{
        int node = 0, r = need_profile(m, err);
        if (r == 0)
                r = choose_node(&m->profile, m->node, &node, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *address = node_address(&m->profile, node);
        printf("%s\n", address);
        return 0;
}

int command_node_list(struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err);
        for (int node = 0; r == 0 && node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, node);
                CX_CLEANUP(cx_freep) char *address = node_address(&m->profile, node);
                if (node_there(&m->profile, node))
                        printf("%s\t%s\n", name, address);
        }
        return r;
}

// --- more of them: these are starts of the cluster, see start.c ---

int nodes_grow(struct profile *profile, int *ret_node, struct cx_error *err)
{
        int node = 0;
        while (node < profile->nodes && node_there(profile, node))
                node++;
        if (node == MAX_NODES)
                return cx_error_set(err, -EINVAL, "MK_USAGE: \"%s\" has %d nodes, which is the most that a cluster has",
                                    profile->name, MAX_NODES);
        profile->nodes = node < profile->nodes ? profile->nodes : node + 1;
        profile->gone &= ~(1U << node);
        profile->stopped &= ~(1U << node);
        *ret_node = node;
        return 0;
}

static int add_one(struct minikube *m, struct cx_error *err)
{
        int node, r = nodes_grow(&m->profile, &node, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, node);
        out(stdout, "😄  Adding node %s to cluster %s as [worker]\n", name, m->profile.name);
        m->number = node;
        return 0;
}

int command_node_add(struct minikube *m, struct cx_error *err)
{
        m->change = add_one;
        int r = need_running(m, err);
        if (r == 0)
                r = start_cluster(m, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, m->number);
        out(stdout, "🏄  Successfully added %s to %s!\n", name, m->profile.name);
        return 0;
}

static int start_one(struct minikube *m, struct cx_error *err)
{
        int r = choose_node(&m->profile, m->args.items[0], &m->number, err);
        if (r == 0)
                m->profile.stopped &= ~(1U << m->number);
        return r;
}

int command_node_start(struct minikube *m, struct cx_error *err)
{
        m->change = start_one;
        int r = need_running(m, err);
        if (r == 0)
                r = choose_node(&m->profile, m->args.items[0], &m->number, err);
        if (r == 0)
                r = start_cluster(m, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, m->number);
        out(stdout, "🏄  Successfully started node %s!\n", name);
        return 0;
}

// --- fewer of them ---

static int choose_worker(struct minikube *m, const char *command, int *ret_node, struct cx_error *err)
{
        int r = need_running(m, err);
        if (r == 0)
                r = choose_node(&m->profile, m->args.items[0], ret_node, err);
        if (r == 0 && *ret_node == 0)
                r = cx_error_set(err, -EINVAL,
                                 "MK_USAGE: %s is the control plane: the cluster goes with it. For that, run: "
                                 "\"minikube %s -p %s\"",
                                 m->profile.name, command, m->profile.name);
        return r;
}

// Ends what runs on a node that is no longer to run.
static int take_node_down(const struct profile *profile, int node, struct cx_error *err)
{
        int r = profile_save(profile, err);
        if (r == 0)
                r = supervisor_replace(profile, err); // it ends services that are no more
        if (r < 0)
                return r;
        cleanup_node(profile, node);
        network_node_down(profile, node);
        return 0;
}

int command_node_stop(struct minikube *m, struct cx_error *err)
{
        LOCK lock = LOCK_INIT;
        int node, r = take_profile(&m->profile, &lock, err);
        if (r == 0)
                r = choose_worker(m, "stop", &node, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, node);
        out(stdout, "✋  Stopping node \"%s\"  ...\n", name);
        m->profile.stopped |= 1U << node;
        r = take_node_down(&m->profile, node, err);
        if (r == 0)
                out(stdout, "🛑  Successfully stopped node %s\n", name);
        return r;
}

// What cannot be moved ends with the node, as upstream has it.
static void drain(const struct profile *profile, const char *name)
{
        CX_CLEANUP(cx_freep) char *program = cx_sprintf("%s/kubectl", profile->binaries);
        CX_CLEANUP(cx_freep) char *config = profile_path(profile, "kubeconfigs/admin.kubeconfig");
        CX_ERROR err = CX_ERROR_INIT;
        const char *const argv[] = {program,
                                    "--kubeconfig",
                                    config,
                                    "drain",
                                    name,
                                    "--ignore-daemonsets",
                                    "--delete-emptydir-data",
                                    "--force",
                                    "--timeout=" DRAIN_PATIENCE,
                                    NULL};
        if (cx_run_ok(argv, NULL, &err) < 0)
                out(stderr, "❗  Node %s is deleted with pods on it: %s\n", name, cx_error_text(&err));
}

static int remove_from_api(const struct profile *profile, const char *name, struct cx_error *err)
{
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        int r = admin_client(profile, CX_NS_PER_S, &rest, err);
        if (r == 0)
                r = cx_rest_delete(rest, CX_REF("", "v1", "nodes", NULL, name),
                                   &(struct cx_delete_options)CX_DELETE_OPTIONS_INIT, err);
        if (r < 0 && err && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static int remove_files(const struct profile *profile, const char *name, struct cx_error *err)
{
        static const char *const files[] = {"certs/kubelet-%s.crt", "certs/kubelet-%s.key",
                                            "certs/kubelet-server-%s.crt", "certs/kubelet-server-%s.key",
                                            "kubeconfigs/kubelet-%s.kubeconfig"};
        CX_CLEANUP(cx_freep) char *folder = profile_path(profile, "nodes/%s", name);
        for (size_t i = 0; i < CX_ARRAY_SIZE(files); i++) {
                size_t before = strcspn(files[i], "%");
                CX_CLEANUP(cx_freep)
                char *path = profile_path(profile, "%.*s%s%s", (int)before, files[i], name, files[i] + before + 2);
                (void)unlink(path);
        }
        return cx_remove_tree(folder, err);
}

int command_node_delete(struct minikube *m, struct cx_error *err)
{
        LOCK lock = LOCK_INIT;
        struct profile *profile = &m->profile;
        int node, r = take_profile(profile, &lock, err);
        if (r == 0)
                r = choose_worker(m, "delete", &node, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        out(stdout, "🔥  Deleting node %s from cluster %s\n", name, profile->name);
        if (node_runs(profile, node))
                drain(profile, name);
        profile->gone |= 1U << node;
        profile->stopped &= ~(1U << node);
        r = take_node_down(profile, node, err);
        if (r == 0)
                r = remove_from_api(profile, name, err);
        if (r == 0)
                r = remove_files(profile, name, err);
        if (r == 0)
                out(stdout, "💀  Node %s was successfully deleted.\n", name);
        return r;
}
