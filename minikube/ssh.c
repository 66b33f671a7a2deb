// SPDX-License-Identifier: Apache-2.0
// minikube ssh: a shell, or a command, in the network of a node and under its name. There is no ssh in it: it becomes the
// program, so that terminals, input and exit status are that program's own.
#include "libcommon/base/buf.h"
#include "minikube/commands.h"
#include "minikube/network.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static int enter(const struct profile *profile, int node, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        CX_CLEANUP(cx_freep) char *path = network_namespace(profile, node);
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return cx_error_set(err, -EHOSTDOWN,
                                    "🤷  The node %s host is not running: state=Stopped\n👉  To start it, run: "
                                    "\"minikube node start %s -p %s\"",
                                    name, name, profile->name);
        if (setns(fd, CLONE_NEWNET) < 0 || unshare(CLONE_NEWUTS) < 0 || sethostname(name, strlen(name)) < 0)
                return cx_error_set(err, -errno, "cannot enter node %s: %s", name, strerror(errno));
        return 0;
}

int command_ssh(struct minikube *m, struct cx_error *err)
{
        const char *shell = getenv("SHELL");
        int node = 0, r = need_running(m, err);
        if (r == 0)
                r = choose_node(&m->profile, m->node, &node, err);
        if (r == 0)
                r = enter(&m->profile, node, err);
        if (r < 0)
                return r;
        // As ssh has it, words are joined and are the shell's to read.
        CX_CLEANUP(cx_freep) char *words = cx_strings_join(&m->args, " ");
        shell = shell && access(shell, X_OK) == 0 ? shell : "/bin/sh";
        if (m->args.count)
                execl("/bin/sh", "sh", "-c", words, NULL);
        else
                execl(shell, shell, NULL);
        return cx_error_set(err, -errno, "cannot run a shell: %s", strerror(errno));
}
