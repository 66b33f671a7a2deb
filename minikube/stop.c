// SPDX-License-Identifier: Apache-2.0
// minikube stop and delete.
#include "minikube/cleanup.h"
#include "minikube/commands.h"
#include "minikube/machine.h"
#include "minikube/network.h"
#include "minikube/out.h"
#include "minikube/services.h"

#include <stdio.h>

int need_profile(const struct minikube *m, struct cx_error *err)
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

int need_running(const struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err);
        if (r < 0 || service_pid(&m->profile, "kube-apiserver"))
                return r;
        return cx_error_set(
                err, -EHOSTDOWN,
                "🤷  The control-plane node %s host is not running: state=Stopped\n👉  To start a cluster, run: "
                "\"minikube start -p %s\"",
                m->profile.name, m->profile.name);
}

int take_profile(struct profile *profile, struct lock *ret_lock, struct cx_error *err)
{
        if (geteuid() != 0)
                return cx_error_set(err, -EPERM,
                                    "DRV_NEEDS_ROOT: minikube makes network namespaces and control groups. Please run "
                                    "it as root");
        int r = machine_lock_profile(profile, ret_lock, err);
        PROFILE_CONTENTS now = {0};
        if (r == 0) // as whoever had it has left it
                r = profile_open(profile->name, &now, err);
        if (r == 0) {
                struct profile before = *profile;
                *profile = now;
                now = before;
        }
        return r;
}

// Ends all that runs and takes it off the machine.
static void take_down(struct profile *profile, bool gently)
{
        bool claimed = machine_recall(profile);
        supervisor_stop(profile, gently);
        cleanup_containers(profile, claimed);
        if (claimed)
                network_down(profile);
        machine_release(profile);
}

int command_stop(struct minikube *m, struct cx_error *err)
{
        LOCK lock = LOCK_INIT;
        int r = take_profile(&m->profile, &lock, err);
        if (r == 0)
                r = need_profile(m, err);
        if (r < 0)
                return r;
        for (int node = 0; node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(&m->profile, node);
                out(stdout, "✋  Stopping node \"%s\"  ...\n", name);
        }
        fflush(stdout);
        take_down(&m->profile, true);
        LOCK machine = LOCK_INIT;
        r = machine_lock(&machine, err);
        if (r == 0)
                r = context_leave(&m->profile, err);
        if (r == 0)
                out(stdout, "🛑  %d node%s stopped.\n", m->profile.nodes, m->profile.nodes == 1 ? "" : "s");
        return r;
}

// What all profiles share goes with the last of them.
static void remove_shared(const struct profile *profile)
{
        static const char *const shared[] = {"ca.crt", "ca.key", "profiles", "created-kubeconfig"};
        CX_STRINGS left = CX_STRINGS_INIT;
        if (profile_list(&left, NULL) < 0 || left.count)
                return;
        for (size_t i = 0; i < CX_ARRAY_SIZE(shared); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", profile->home, shared[i]);
                (void)remove(path);
        }
        (void)rmdir(profile->home); // unless somebody keeps something there
}

static int delete_one(struct profile *profile, struct cx_error *err)
{
        LOCK lock = LOCK_INIT, machine = LOCK_INIT;
        int r = take_profile(profile, &lock, err);
        if (r < 0)
                return r;
        bool known = profile->exists || profile->broken || access(profile->folder, F_OK) == 0;
        if (!known)
                out(stderr, "🙄  \"%s\" profile does not exist, trying anyways.\n", profile->name);
        out(stdout, "🔥  Deleting \"%s\" ...\n", profile->name);
        fflush(stdout);
        take_down(profile, false);
        r = machine_lock(&machine, err);
        if (r == 0)
                r = context_remove(profile, err);
        if (r == 0)
                r = cleanup_files(profile, err);
        if (r == 0)
                remove_shared(profile);
        if (r == 0)
                out(stdout, "💀  Removed all traces of the \"%s\" cluster.\n", profile->name);
        return r;
}

int command_delete(struct minikube *m, struct cx_error *err)
{
        if (!m->all)
                return delete_one(&m->profile, err);
        CX_STRINGS names = CX_STRINGS_INIT;
        int r = profile_list(&names, err);
        for (size_t i = 0; r == 0 && i < names.count; i++) {
                PROFILE_CONTENTS profile = {0};
                r = profile_open(names.items[i], &profile, err);
                if (r == 0)
                        r = delete_one(&profile, err);
        }
        if (r == 0)
                out(stdout, "🔥  Successfully deleted all profiles\n");
        return r;
}
