// SPDX-License-Identifier: Apache-2.0
// minikube stop and delete.
#include "libcommon/base/tree.h"
#include "minikube/cleanup.h"
#include "minikube/commands.h"
#include "minikube/config.h"
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
        if (r < 0)
                return r;
        if (service_paused(&m->profile, "kube-apiserver"))
                return cx_error_set(
                        err, -EHOSTDOWN,
                        "🤷  The control-plane node %s apiserver is paused: state=Paused\n👉  To go on, run: "
                        "\"minikube unpause -p %s\"",
                        m->profile.name, m->profile.name);
        if (service_pid(&m->profile, "kube-apiserver"))
                return 0;
        return cx_error_set(
                err, -EHOSTDOWN,
                "🤷  The control-plane node %s %s is not running: state=Stopped\n👉  To start a cluster, run: "
                "\"minikube start -p %s\"",
                m->profile.name, strcmp(cluster_state(&m->profile), "Stopped") == 0 ? "host" : "apiserver",
                m->profile.name);
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
        (void)!cluster_resume(profile, NULL); // what is halted cannot end
        mounts_end(profile);
        supervisor_stop(profile, gently);
        cleanup_containers(profile, claimed);
        if (claimed)
                network_down(profile);
        machine_release(profile);
}

static int stop_one(struct minikube *m, struct cx_error *err)
{
        LOCK lock = LOCK_INIT, machine = LOCK_INIT;
        struct profile *profile = &m->profile;
        int r = take_profile(profile, &lock, err), count;
        if (r == 0)
                r = need_profile(m, err);
        if (r < 0)
                return r;
        for (int node = 0; node < profile->nodes; node++) {
                CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                if (node_there(profile, node))
                        out(stdout, "✋  Stopping node \"%s\"  ...\n", name);
        }
        count = node_count(profile); // what is known after that is what was claimed
        take_down(profile, true);
        r = machine_lock(&machine, err);
        if (r == 0)
                r = context_leave(profile, err);
        if (r == 0)
                out(stdout, "🛑  %d node%s stopped.\n", count, count == 1 ? "" : "s");
        return r;
}

int command_stop(struct minikube *m, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        if (!m->all)
                return stop_one(m, err);
        int r = profile_list(&names, err);
        for (size_t i = 0; r == 0 && i < names.count; i++) {
                profile_contents_release(&m->profile);
                r = profile_open(names.items[i], &m->profile, err);
                if (r == 0 && m->profile.exists)
                        r = stop_one(m, err);
        }
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

// The active profile is no profile any more.
static int forget_active(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *active = config_profile();
        return !getenv("MINIKUBE_PROFILE") && strcmp(active, profile->name) == 0 ? config_set_profile(NULL, err) : 0;
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
                r = forget_active(profile, err);
        if (r == 0)
                remove_shared(profile);
        if (r == 0)
                out(stdout, "💀  Removed all traces of the \"%s\" cluster.\n", profile->name);
        return r;
}

int command_delete(struct minikube *m, struct cx_error *err)
{
        if (m->purge && !m->all)
                return cx_error_set(err, -EINVAL,
                                    "MK_USAGE: --purge removes what all profiles share: it needs --all, too");
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
        if (r < 0 || !m->purge)
                return r;
        CX_CLEANUP(cx_freep) char *home = minikube_home();
        r = access(home, F_OK) == 0 ? cx_remove_tree(home, err) : 0;
        if (r == 0)
                out(stdout, "💀  Successfully purged minikube directory located at - [%s]\n", home);
        return r;
}
