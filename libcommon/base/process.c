// SPDX-License-Identifier: Apache-2.0
// Signals, children, files: what every executable does alike.
#include "libcommon/base/process.h"

#include "libcommon/base/log.h"
#include "libcommon/base/notify.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define FIRST_TRIM (5 * CX_NS_PER_S)
#define LATER_TRIM (60 * CX_NS_PER_S)
#define READY_PERIOD (20 * CX_NS_PER_MS) // how often a service is asked whether it is ready

extern char **environ;

void cx_process_init(void)
{
        signal(SIGPIPE, SIG_IGN);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        mallopt(M_ARENA_MAX, 2);
        json_object_seed(0);
        cx_notify_init();
}

void cx_process_unblock_signals(void)
{
        sigset_t set;
        sigemptyset(&set);
        pthread_sigmask(SIG_SETMASK, &set, NULL);
}

int cx_process_wait_stop(void)
{
        return cx_process_wait_stop_with(&(struct cx_service){0});
}

// What was said to the service manager.
struct told {
        bool ready, dead;
};

// Says what there is to say; returns when to come again (monotonic).
static int64_t tell_manager(const struct cx_service *service, struct told *told)
{
        int64_t watchdog = cx_notify_watchdog();
        if (!told->ready) {
                if (service->ready && !service->ready(service->context))
                        return cx_time_monotonic() + READY_PERIOD;
                told->ready = cx_notify("READY=1") == 0;
                if (!told->ready)
                        return cx_time_monotonic() + READY_PERIOD;
        }
        if (!watchdog)
                return INT64_MAX;
        int64_t began = cx_time_monotonic();
        bool dead = service->alive && !service->alive(service->context, watchdog);
        if (dead && !told->dead)
                cx_warn("A loop of this process has not turned in time: the service manager is not told that it lives");
        told->dead = dead;
        int64_t next = began + watchdog / 2;
        return !dead && cx_notify("WATCHDOG=1") < 0 ? began + watchdog / 8 : next;
}

int cx_process_wait_stop_with(const struct cx_service *service)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        siginfo_t info;
        struct told told = {0};
        int64_t now = cx_time_monotonic(), tend_at = now + FIRST_TRIM, tell_at = cx_notify_wanted() ? now : INT64_MAX;
        for (;;) {
                if (now >= tell_at)
                        tell_at = tell_manager(service, &told);
                int64_t until = tell_at < tend_at ? tell_at : tend_at;
                int64_t wait = until > cx_time_monotonic() ? until - cx_time_monotonic() : 0;
                const struct timespec time = {.tv_sec = wait / CX_NS_PER_S, .tv_nsec = wait % CX_NS_PER_S};
                int number = sigtimedwait(&set, &info, &time);
                if (number >= 0) {
                        (void)!cx_notify("STOPPING=1");
                        return info.si_code == SI_USER && info.si_pid == getpid() ? 0 : number;
                }
                now = cx_time_monotonic();
                if (now < tend_at)
                        continue;
                if (service->tend)
                        service->tend(service->context);
                cx_process_trim();
                tend_at = cx_time_monotonic() + LATER_TRIM;
        }
}

bool cx_process_stop_pending(void)
{
        sigset_t set;
        return sigpending(&set) == 0 && (sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1);
}

void cx_process_request_stop(void)
{
        kill(getpid(), SIGTERM);
}

// A mapping of /proc/self/smaps that may be dropped: of a file, not writable, and without pages of our own (relocated
// constants are such: dropping them would undo the relocation).
struct mapped_range {
        void *start;
        size_t length;
        bool droppable;
};

static void finish_mapping(struct mapped_range *mapping)
{
        if (mapping->droppable)
                (void)madvise(mapping->start, mapping->length, MADV_DONTNEED);
        mapping->droppable = false;
}

void cx_process_trim(void)
{
        malloc_trim(0);
        FILE *file = fopen("/proc/self/smaps", "re");
        struct mapped_range mapping = {0};
        char line[1024];
        while (file && fgets(line, sizeof line, file)) {
                unsigned long start, end, inode, anonymous;
                char access[8];
                if (sscanf(line, "%lx-%lx %7s %*s %*s %lu", &start, &end, access, &inode) == 4) {
                        mapping = (struct mapped_range){(void *)start, end - start,
                                                        inode && access[1] == '-' && access[3] == 'p'};
                } else if (sscanf(line, "Anonymous: %lu", &anonymous) == 1) {
                        mapping.droppable &= anonymous == 0;
                        finish_mapping(&mapping);
                }
        }
        if (file)
                fclose(file);
}

struct child_pipes {
        int in[2], out[2], err[2];
};

static void close_pipes(struct child_pipes *p)
{
        int *fds[] = {&p->in[0], &p->in[1], &p->out[0], &p->out[1], &p->err[0], &p->err[1]};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0) {
                        close(*fds[i]);
                        *fds[i] = -1;
                }
}

int cx_spawn(const struct cx_spawn_options *o, pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, defaults;
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        sigemptyset(&none);
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                      (o->session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP)));
        for (int fd = 0; fd < 4; fd++) {
                if (o->tty && fd == 0)
                        posix_spawn_file_actions_addopen(&actions, 0, o->tty, O_RDWR, 0);
                else if (o->tty && fd < 3)
                        posix_spawn_file_actions_adddup2(&actions, 0, fd);
                else if (o->fds[fd] > 0)
                        posix_spawn_file_actions_adddup2(&actions, o->fds[fd], fd);
                else if (fd < 3)
                        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
        }
        // A library's sockets are not the program's: it would keep connections that we have closed.
        posix_spawn_file_actions_addclosefrom_np(&actions, o->fds[3] > 0 ? 4 : 3);
        if (o->directory)
                posix_spawn_file_actions_addchdir_np(&actions, o->directory);
        int r = posix_spawnp(ret_pid, o->argv[0], &actions, &attributes, (char *const *)o->argv,
                             o->env ? (char *const *)o->env : environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        return -r;
}

// Reads what is there into `to` (NULL or full: thrown away); closes the fd at its end.
static void drain(int *fd, struct cx_buf *to, size_t max)
{
        char block[16384];
        ssize_t n = read(*fd, block, sizeof block);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                close(*fd);
                *fd = -1;
                return;
        }
        size_t room = to && to->length < max ? max - to->length : 0;
        if (to)
                cx_buf_append(to, block, (size_t)n < room ? (size_t)n : room);
}

static void feed(int *fd, const struct cx_run_options *o, size_t *done)
{
        ssize_t n = write(*fd, o->input + *done, o->input_length - *done);
        if (n > 0)
                *done += (size_t)n;
        if ((n < 0 && errno != EAGAIN && errno != EINTR) || *done == o->input_length) {
                close(*fd);
                *fd = -1;
        }
}

// Moves data until both outputs are closed. -ETIMEDOUT at the deadline.
static int pump(const struct cx_run_options *o, struct child_pipes *p, struct cx_buf *out, struct cx_buf *err_out)
{
        int64_t deadline = o->timeout ? cx_time_monotonic() + o->timeout : 0;
        size_t max = o->max_output ? o->max_output : (size_t)1 << 20, done = 0;
        while (p->out[0] >= 0 || p->err[0] >= 0) {
                struct pollfd fds[3] = {{p->out[0], POLLIN, 0}, {p->err[0], POLLIN, 0}, {p->in[1], POLLOUT, 0}};
                int wait = -1;
                if (deadline) {
                        int64_t left = (deadline - cx_time_monotonic()) / CX_NS_PER_MS;
                        if (left <= 0)
                                return -ETIMEDOUT;
                        wait = left > 1000000 ? 1000000 : (int)left + 1;
                }
                int n = poll(fds, 3, wait);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n <= 0)
                        continue;
                if (fds[0].revents)
                        drain(&p->out[0], out, max);
                if (fds[1].revents)
                        drain(&p->err[0], err_out, max);
                if (fds[2].revents)
                        feed(&p->in[1], o, &done);
        }
        return 0;
}

int cx_run(const struct cx_run_options *o, struct cx_buf *ret_out, struct cx_buf *ret_err, int *ret_status,
           struct cx_error *err)
{
        struct child_pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
        pid_t pid = -1;
        if ((o->input && pipe2(p.in, O_CLOEXEC) < 0) || pipe2(p.out, O_CLOEXEC) < 0 || pipe2(p.err, O_CLOEXEC) < 0) {
                int code = -errno;
                close_pipes(&p);
                return cx_error_set(err, code, "cannot make a pipe: %s", strerror(-code));
        }
        if (p.in[1] >= 0)
                fcntl(p.in[1], F_SETFL, O_NONBLOCK);
        int r = cx_spawn(&(struct cx_spawn_options){.argv = o->argv,
                                                    .env = o->env,
                                                    .fds = {p.in[0], p.out[1], p.err[1]},
                                                    .directory = o->directory},
                         &pid);
        close(p.out[1]);
        close(p.err[1]);
        p.out[1] = p.err[1] = -1;
        if (p.in[0] >= 0) {
                close(p.in[0]);
                p.in[0] = -1;
        }
        if (r < 0) {
                close_pipes(&p);
                return cx_error_set(err, r, "cannot run %s: %s", o->argv[0], strerror(-r));
        }
        r = pump(o, &p, ret_out, ret_err);
        if (r < 0)
                kill(-pid, SIGKILL);
        close_pipes(&p);
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return cx_error_set(err, r, "%s: %s", o->argv[0],
                                    r == -ETIMEDOUT ? "did not end in time and was killed" : strerror(-r));
        *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return 0;
}

int cx_run_ok(const char *const *argv, struct cx_buf *ret_out, struct cx_error *err)
{
        CX_BUF complaint = CX_BUF_INIT;
        int status = 0;
        int r = cx_run(&(struct cx_run_options){.argv = argv}, ret_out, &complaint, &status, err);
        if (r < 0 || status == 0)
                return r;
        size_t end = strcspn(complaint.data, "\n");
        return cx_error_set(err, -EIO, "%s %s: exit status %d: %.*s", argv[0], cx_str(argv[1]), status, (int)end,
                            complaint.data);
}

static int write_all(int fd, const char *data, size_t length)
{
        while (length) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        data += n;
                        length -= (size_t)n;
                }
        }
        return 0;
}

int cx_write_file(const char *path, const void *data, size_t length, unsigned mode, bool durable, struct cx_error *err)
{
        char suffix[9];
        cx_random_suffix(suffix, 8);
        CX_CLEANUP(cx_freep) char *temporary = cx_sprintf("%s.%s", path, suffix);
        CX_CLEANUP(cx_closep) int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        int r = fd < 0 ? -errno : write_all(fd, data, length);
        if (r == 0 && (fchmod(fd, mode) < 0 || (durable && fsync(fd) < 0) || rename(temporary, path) < 0))
                r = -errno;
        if (r < 0) {
                (void)unlink(temporary);
                return cx_error_set(err, r, "cannot write %s: %s", path, strerror(-r));
        }
        return 0;
}

int cx_mkdir_all(const char *path, unsigned mode, struct cx_error *err)
{
        if (mkdir(path, mode) == 0 || errno == EEXIST) // mostly no more than the last part is missing
                return 0;
        CX_CLEANUP(cx_freep) char *part = cx_strdup(path);
        for (char *p = part + 1;; p++) {
                if (*p != '/' && *p)
                        continue;
                char c = *p;
                *p = '\0';
                if (mkdir(part, mode) < 0 && errno != EEXIST) {
                        int code = -errno;
                        return cx_error_set(err, code, "cannot make folder %s: %s", part, strerror(-code));
                }
                if (!c)
                        return 0;
                *p = c;
        }
}

int cx_list_folder(const char *path, struct cx_strings *ret_names, struct cx_error *err)
{
        DIR *dir = opendir(path);
        struct dirent *entry;
        if (!dir)
                return errno == ENOENT ? 0 : cx_error_set(err, -errno, "cannot list %s: %s", path, strerror(errno));
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        cx_strings_add(ret_names, entry->d_name);
        closedir(dir);
        return 0;
}
