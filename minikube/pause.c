// SPDX-License-Identifier: Apache-2.0
// minikube pause and unpause. Pods are frozen by their control groups, the components by a signal; the supervisor goes on, and
// has nothing to do. There is no record of it: whether a cluster is paused is what its processes say.
#include "minikube/cleanup.h"
#include "minikube/commands.h"
#include "minikube/out.h"
#include "minikube/services.h"

#include <signal.h>

// Who asks ends before who answers, and goes on after it.
static void signal_services(const struct profile *profile, int signal)
{
        struct services services;
        services_of(profile, &services);
        for (size_t i = 0; i < services.count; i++) {
                size_t at = signal == SIGSTOP ? services.count - 1 - i : i;
                pid_t pid = service_pid(profile, services.items[at].name);
                if (pid)
                        kill(pid, signal);
        }
        services_release(&services);
}

int cluster_resume(const struct profile *profile, struct cx_error *err)
{
        int r = cleanup_freeze(profile, false, err);
        signal_services(profile, SIGCONT);
        return r;
}

int command_pause(struct minikube *m, struct cx_error *err)
{
        LOCK lock = LOCK_INIT;
        int r = take_profile(&m->profile, &lock, err);
        if (r == 0)
                r = need_running(m, err);
        if (r < 0)
                return r;
        out(stdout, "⏯️  Pausing \"%s\" ...\n", m->profile.name);
        signal_services(&m->profile, SIGSTOP);
        r = cleanup_freeze(&m->profile, true, err);
        if (r < 0) { // not half
                signal_services(&m->profile, SIGCONT);
                return r;
        }
        out(stdout, "⏸️  Paused the components and all containers of \"%s\"\n", m->profile.name);
        return 0;
}

int command_unpause(struct minikube *m, struct cx_error *err)
{
        LOCK lock = LOCK_INIT;
        int r = take_profile(&m->profile, &lock, err);
        if (r == 0)
                r = need_profile(m, err);
        if (r == 0 && !service_paused(&m->profile, "kube-apiserver"))
                r = need_running(m, err);
        if (r == 0)
                r = cluster_resume(&m->profile, err);
        if (r == 0)
                out(stdout, "⏯️  Unpaused the components and all containers of \"%s\"\n", m->profile.name);
        return r;
}
