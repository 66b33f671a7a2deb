// SPDX-License-Identifier: Apache-2.0
// minikube stop and delete.
#include "minikube/cleanup.h"
#include "minikube/commands.h"
#include "minikube/network.h"
#include "minikube/services.h"

#include <stdio.h>

int cx_need_profile(const struct cx_minikube *m, struct cx_error *err)
{
        if (m->profile.exists)
                return 0;
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

int cx_command_stop(struct cx_minikube *m, struct cx_error *err)
{
        int r = cx_need_profile(m, err);
        if (r < 0)
                return r;
        printf("✋  Stopping node \"%s\"  ...\n", m->profile.name);
        fflush(stdout);
        cx_supervisor_stop(&m->profile);
        cx_cleanup_containers(&m->profile);
        cx_network_down(&m->profile);
        printf("🛑  %d node%s stopped.\n", m->profile.nodes, m->profile.nodes == 1 ? "" : "s");
        return 0;
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
        printf("🔥  Deleting \"%s\" ...\n", profile->name);
        fflush(stdout);
        cx_supervisor_stop(profile);
        cx_cleanup_containers(profile);
        cx_network_down(profile);
        int r = cx_context_remove(profile, err);
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
        if (!m->all) {
                if (m->profile.exists)
                        return delete_one(&m->profile, err);
                printf("🙄  \"%s\" profile does not exist\n", m->profile.name);
                return 0;
        }
        CX_STRINGS names = CX_STRINGS_INIT;
        int r = cx_profile_list(&names, err);
        for (size_t i = 0; r == 0 && i < names.count; i++) {
                CX_PROFILE profile = {0};
                r = cx_profile_open(names.items[i], &profile, err);
                if (r == 0)
                        r = delete_one(&profile, err);
        }
        return r;
}
