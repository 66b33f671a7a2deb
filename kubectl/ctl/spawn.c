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
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addclosefrom_np(&actions, 3); // our connections are not the program's
        int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (failed)
                return -failed;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return 0;
}
