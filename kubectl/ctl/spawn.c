// SPDX-License-Identifier: Apache-2.0
// Unlike cx_spawn, the program stays in our process group: the terminal and Ctrl-C are its own as they are ours.
#include "kubectl/ctl/spawn.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int ctl_spawn(char *const *argv, int *ret_status)
{
        pid_t pid;
        int status;
        fflush(stdout);
        int failed = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
        if (failed)
                return -failed;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return 0;
}
