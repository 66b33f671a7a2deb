// SPDX-License-Identifier: Apache-2.0
// Commands in running containers, by runc exec: it joins all namespaces and cgroups and applies the container's own user,
// capabilities and system call filter.
#include "kubelet/runtime/runtime_internal.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>

#define EXEC_OUTPUT_MAX 16384

// runc's arguments and the command's; a new array.
static const char **exec_argv(const struct runtime *rt, const struct container *c, const char *pid_file,
                              const struct exec_options *o)
{
        const char *const head[] = {rt->runc, "--root", rt->runc_root, "exec", "--pid-file", pid_file};
        size_t count = 0, n = 0;
        while (o->argv[count])
                count++;
        const char **to = cx_alloc_array(CX_ARRAY_SIZE(head) + count + 3, sizeof *to);
        for (size_t i = 0; i < CX_ARRAY_SIZE(head); i++)
                to[n++] = head[i];
        if (o->tty)
                to[n++] = "-t";
        to[n++] = c->id;
        for (size_t i = 0; i < count; i++)
                to[n++] = o->argv[i];
        return to;
}

static char *pid_file_name(const struct container *c)
{
        char id[65];
        runtime_new_id(id);
        return cx_sprintf("%s/exec-%.12s.pid", c->folder, id);
}

int container_exec(struct runtime *rt, const struct container *c, const struct exec_options *o,
                   struct cx_buf *ret_output, int *ret_status, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *pid_file = pid_file_name(c);
        CX_CLEANUP(cx_freep) const char **full = exec_argv(rt, c, pid_file, o);
        CX_BUF complaint = CX_BUF_INIT;
        size_t cap = ret_output->max < EXEC_OUTPUT_MAX ? ret_output->max : EXEC_OUTPUT_MAX;
        int r = cx_run(&(struct cx_run_options){.argv = full, .timeout = o->timeout, .max_output = cap}, ret_output,
                       &complaint, ret_status, err);
        if (r == -ETIMEDOUT) { // runc was killed; the command itself lives in the container
                CX_BUF text = CX_BUF_INIT_MAX(32);
                int64_t pid;
                if (cx_buf_read_file(&text, pid_file) == 0 && cx_parse_int(text.data, 2, INT32_MAX, &pid) == 0)
                        kill((pid_t)pid, SIGKILL);
        }
        (void)unlink(pid_file);
        cx_buf_append(ret_output, complaint.data, complaint.length);
        return r;
}

static int spawn_tty(const char *const *argv, int ret_fds[3], pid_t *ret_pid)
{
        int master, slave;
        char name[128];
        struct winsize size = {.ws_row = 24, .ws_col = 80};
        if (openpty(&master, &slave, name, NULL, &size) < 0)
                return -errno;
        fcntl(master, F_SETFD, FD_CLOEXEC);
        fcntl(slave, F_SETFD, FD_CLOEXEC);
        int r = cx_spawn(&(struct cx_spawn_options){.argv = argv, .tty = name, .session = true}, ret_pid);
        close(slave);
        if (r < 0) {
                close(master);
                return r;
        }
        ret_fds[0] = master;
        ret_fds[1] = ret_fds[2] = -1;
        return 0;
}

static int spawn_pipes(const char *const *argv, bool use_stdin, int ret_fds[3], pid_t *ret_pid)
{
        int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
        int r = 0;
        if ((use_stdin && pipe2(in, O_CLOEXEC) < 0) || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
                r = -errno;
        if (r == 0)
                r = cx_spawn(&(struct cx_spawn_options){.argv = argv, .fds = {in[0], out[1], err[1]}}, ret_pid);
        int theirs[] = {in[0], out[1], err[1]}, ours[] = {in[1], out[0], err[0]};
        for (int i = 0; i < 3; i++) {
                if (theirs[i] >= 0)
                        close(theirs[i]);
                if (r < 0 && ours[i] >= 0)
                        close(ours[i]);
                ret_fds[i] = ours[i];
        }
        return r;
}

int container_exec_start(struct runtime *rt, const struct container *c, const struct exec_options *o, int ret_fds[3],
                         pid_t *ret_pid, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *pid_file = pid_file_name(c);
        CX_CLEANUP(cx_freep) const char **full = exec_argv(rt, c, pid_file, o);
        int r = o->tty ? spawn_tty(full, ret_fds, ret_pid) : spawn_pipes(full, o->use_stdin, ret_fds, ret_pid);
        return r < 0 ? cx_error_set(err, r, "cannot run %s: %s", rt->runc, strerror(-r)) : 0;
}
