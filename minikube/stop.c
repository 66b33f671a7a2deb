// SPDX-License-Identifier: Apache-2.0
// minikube stop and delete.
#include "minikube/cleanup.h"
#include "minikube/commands.h"
#include "minikube/machine.h"
#include "minikube/network.h"
#include "minikube/services.h"

#include <stdio.h>

int cx_need_profile(const struct cx_minikube *m, struct cx_error *err)
{
        if (m->profile.exists)
                return 0;
        if (m->profile.broken)
                return cx_error_set(err, -EBADMSG, "GUEST_CONFIG: %s\n👉  To start anew, run: \"minikube delete -p %s\"",
                                    m->profile.broken, m->profile.name);
        return cx_error_set(
                err, -ENOENT,
                "🤷  Profile \"%s\" not found. Run \"minikube profile list\" to view all profiles.\n👉  To start a "
                "cluster, run: \"minikube start -p %s\"",
                m->profile.name, m->profile.name);
}

int cx_need_running(const struct cx_minikube *m, struct cx_error *err)
{
        int r = cx_need_profile(m, err);
        if (r < 0 || cx_service_pid(&m->profile, "kube-apiserver"))
                return r;
        return cx_error_set(
                err, -EHOSTDOWN,
                "🤷  The control-plane node %s host is not running: state=Stopped\n👉  To start a cluster, run: "
                "\"minikube start -p %s\"",
                m->profile.name, m->profile.name);
}

int cx_take_profile(struct cx_profile *profile, struct cx_lock *ret_lock, struct cx_error *err)
{
        if (geteuid() != 0)
                return cx_error_set(err, -EPERM,
                                    "DRV_NEEDS_ROOT: minikube makes network namespaces and control groups. Please run "
                                    "it as root");
        int r = cx_machine_lock_profile(profile, ret_lock, err);
        CX_PROFILE now = {0};
        if (r == 0) // as whoever had it has left it
                r = cx_profile_open(profile->name, &now, err);
        if (r == 0) {
                struct cx_profile before = *profile;
                *profile = now;
                now = before;
        }
        return r;
}

// Ends all that runs and takes it off the machine.
static void take_down(struct cx_profile *profile, bool gently)
{
        bool claimed = cx_machine_recall(profile);
        cx_supervisor_stop(profile, gently);
        cx_cleanup_containers(profile, claimed);
        if (claimed)
                cx_network_down(profile);
        cx_machine_release(profile);
}

int cx_command_stop(struct cx_minikube *m, struct cx_error *err)
{
        CX_LOCK lock = CX_LOCK_INIT;
        int r = cx_take_profile(&m->profile, &lock, err);
        if (r == 0)
                r = cx_need_profile(m, err);
        if (r < 0)
                return r;
        for (int node = 0; node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = cx_node_name(&m->profile, node);
                printf("✋  Stopping node \"%s\"  ...\n", name);
        }
        fflush(stdout);
        take_down(&m->profile, true);
        CX_LOCK machine = CX_LOCK_INIT;
        r = cx_machine_lock(&machine, err);
        if (r == 0)
                r = cx_context_leave(&m->profile, err);
        if (r == 0)
                printf("🛑  %d node%s stopped.\n", m->profile.nodes, m->profile.nodes == 1 ? "" : "s");
        return r;
}

// What all profiles share goes with the last of them.
static void remove_shared(const struct cx_profile *profile)
{
        static const char *const shared[] = {"ca.crt", "ca.key", "profiles", "created-kubeconfig"};
        CX_STRINGS left = CX_STRINGS_INIT;
        if (cx_profile_list(&left, NULL) < 0 || left.count)
                return;
        for (size_t i = 0; i < CX_ARRAY_SIZE(shared); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", profile->home, shared[i]);
                (void)remove(path);
        }
        (void)rmdir(profile->home); // unless somebody keeps something there
}

static int delete_one(struct cx_profile *profile, struct cx_error *err)
{
        CX_LOCK lock = CX_LOCK_INIT, machine = CX_LOCK_INIT;
        int r = cx_take_profile(profile, &lock, err);
        if (r < 0)
                return r;
        bool known = profile->exists || profile->broken || access(profile->folder, F_OK) == 0;
        if (!known)
                fprintf(stderr, "🙄  \"%s\" profile does not exist, trying anyways.\n", profile->name);
        printf("🔥  Deleting \"%s\" ...\n", profile->name);
        fflush(stdout);
        take_down(profile, false);
        r = cx_machine_lock(&machine, err);
        if (r == 0)
                r = cx_context_remove(profile, err);
        if (r == 0)
                r = cx_cleanup_files(profile, err);
        if (r == 0)
                remove_shared(profile);
        if (r == 0)
                printf("💀  Removed all traces of the \"%s\" cluster.\n", profile->name);
        return r;
}

int cx_command_delete(struct cx_minikube *m, struct cx_error *err)
{
        if (!m->all)
                return delete_one(&m->profile, err);
        CX_STRINGS names = CX_STRINGS_INIT;
        int r = cx_profile_list(&names, err);
        for (size_t i = 0; r == 0 && i < names.count; i++) {
                CX_PROFILE profile = {0};
                r = cx_profile_open(names.items[i], &profile, err);
                if (r == 0)
                        r = delete_one(&profile, err);
        }
        if (r == 0)
                printf("🔥  Successfully deleted all profiles\n");
        return r;
}
