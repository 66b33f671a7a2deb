// SPDX-License-Identifier: Apache-2.0
// The process that starts the others, starts again what ends, and takes up those that still run when it is itself new.
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "minikube/network.h"
#include "minikube/services.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MIN_PAUSE (CX_NS_PER_S / 10)
#define MAX_PAUSE (10 * CX_NS_PER_S)
#define GOOD_RUN (30 * CX_NS_PER_S) // a service that ran so long starts again at once
#define STOP_TIMEOUT (10 * CX_NS_PER_S)
#define START_TIMEOUT (60 * CX_NS_PER_S) // it may have to end services first
#define SUPERVISOR "supervisor"

extern char **environ;

// --- pid files: "pid start-time", where the start time tells a reused pid from ours ---

// Field 22 of /proc/<pid>/stat, in clock ticks since boot; 0 when there is no such process or it is a zombie.
static unsigned long long start_time(pid_t pid)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/proc/%d/stat", (int)pid);
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        if (cx_buf_read_file(&text, path) < 0)
                return 0;
        const char *p = strrchr(text.data, ')');
        if (!p || p[1] != ' ' || p[2] == 'Z')
                return 0;
        for (int field = 2; p && field < 22; field++)
                p = strchr(p + 1, ' ');
        return p ? strtoull(p + 1, NULL, 10) : 0;
}

// Does the process run as we do, and where we do? Anybody may give a process the command line of a service: a user of the
// machine, whose ids tell, and root of a container, whose mounts tell.
static bool is_own(pid_t pid)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/proc/%d/status", (int)pid);
        CX_CLEANUP(cx_freep) char *mounts = cx_sprintf("/proc/%d/ns/mnt", (int)pid);
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        struct stat its, ours;
        unsigned uid[4];
        const char *line = cx_buf_read_file(&text, path) == 0 ? strstr(text.data, "\nUid:") : NULL;
        if (!line || sscanf(line, "\nUid: %u %u %u %u", &uid[0], &uid[1], &uid[2], &uid[3]) != 4)
                return false;
        for (size_t i = 0; i < CX_ARRAY_SIZE(uid); i++)
                if (uid[i] != geteuid())
                        return false;
        return stat(mounts, &its) == 0 && stat("/proc/self/ns/mnt", &ours) == 0 && its.st_ino == ours.st_ino;
}

static char *pid_path(const struct profile *profile, const char *name)
{
        return profile_path(profile, "run/%s.pid", name);
}

pid_t service_pid(const struct profile *profile, const char *name)
{
        CX_CLEANUP(cx_freep) char *path = pid_path(profile, name);
        CX_BUF text = CX_BUF_INIT_MAX(64);
        int pid;
        unsigned long long started;
        if (cx_buf_read_file(&text, path) < 0 || sscanf(text.data, "%d %llu", &pid, &started) != 2 || pid <= 1)
                return 0;
        return start_time(pid) == started && is_own(pid) ? pid : 0;
}

bool service_paused(const struct profile *profile, const char *name)
{
        pid_t pid = service_pid(profile, name);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/proc/%d/stat", (int)pid);
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        const char *p = pid && cx_buf_read_file(&text, path) == 0 ? strrchr(text.data, ')') : NULL;
        return p && p[1] == ' ' && p[2] == 'T';
}

static void record(const struct profile *profile, const char *name, pid_t pid)
{
        CX_CLEANUP(cx_freep) char *path = pid_path(profile, name);
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%d %llu\n", (int)pid, start_time(pid));
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_write_file(path, text, strlen(text), 0600, false, &err) < 0)
                cx_err(&err, "Cannot record a process", "service", name);
}

// --- what runs ---

// Is that the executable of the process, or the nsenter that becomes it? It may have been built anew meanwhile.
static bool executes(pid_t pid, const char *program)
{
        CX_CLEANUP(cx_freep) char *link = cx_sprintf("/proc/%d/exe", (int)pid);
        CX_CLEANUP(cx_freep) char *real = realpath(program, NULL);
        char path[PATH_MAX];
        ssize_t n = readlink(link, path, sizeof path - 1);
        path[n > 0 ? n : 0] = '\0';
        char *deleted = strstr(path, " (deleted)");
        if (deleted)
                *deleted = '\0';
        const char *name = strrchr(path, '/');
        if (cx_streq(name, "/nsenter"))
                return true;
        return strchr(program, '/') ? cx_streq(path, real ? real : program) : name && cx_streq(name + 1, program);
}

// Does the process run this service? On each node the same command may run: the network namespace tells them apart. nsenter
// names it, with the command at its end, until it becomes the command.
static bool runs(const struct profile *profile, pid_t pid, const struct cluster_service *service)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/proc/%d/cmdline", (int)pid);
        CX_CLEANUP(cx_freep) char *namespace = network_namespace(profile, service->node);
        CX_CLEANUP(cx_freep) char *net = cx_sprintf("/proc/%d/ns/net", (int)pid);
        CX_BUF actual = CX_BUF_INIT_MAX(1 << 20), wanted = CX_BUF_INIT_MAX(1 << 20);
        struct stat node, its;
        for (size_t i = 0; i < service->argv.count; i++)
                cx_buf_append(&wanted, service->argv.items[i], strlen(service->argv.items[i]) + 1);
        if (!is_own(pid) || !executes(pid, service->argv.items[0]) || cx_buf_read_file(&actual, path) < 0 ||
            actual.length < wanted.length ||
            memcmp(actual.data + actual.length - wanted.length, wanted.data, wanted.length) != 0)
                return false;
        if (memmem(actual.data, actual.length - wanted.length, namespace, strlen(namespace) + 1))
                return true;
        return stat(namespace, &node) == 0 && stat(net, &its) == 0 && node.st_ino == its.st_ino;
}

// A process of this service that is not recorded, since its supervisor was killed before it could; 0: there is none.
static pid_t find(const struct profile *profile, const struct cluster_service *service)
{
        DIR *dir = opendir("/proc");
        pid_t found = 0;
        for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
                int64_t pid;
                if (cx_parse_int(entry->d_name, 2, INT32_MAX, &pid) == 0 && runs(profile, (pid_t)pid, service) &&
                    start_time((pid_t)pid))
                        found = (pid_t)pid;
        }
        if (dir)
                closedir(dir);
        return found;
}

// --- starting ---

// What is added comes first: that is what is found.
static const char **join_environment(const struct cx_strings *added)
{
        size_t n = 0, count = added ? added->count : 0;
        while (environ[n])
                n++;
        const char **all = cx_alloc_array(n + count + 1, sizeof *all);
        for (size_t i = 0; added && i < count; i++)
                all[i] = added->items[i];
        memcpy(all + count, environ, n * sizeof *all);
        return all;
}

// In a session of its own, with its output in a log file. `added` (or NULL): to our environment.
static int spawn(const struct profile *profile, const char *name, const char *const *argv,
                 const struct cx_strings *added, pid_t *ret_pid)
{
        CX_CLEANUP(cx_freep) const char **environment = join_environment(added);
        CX_CLEANUP(cx_freep) char *log = profile_path(profile, "logs/%s.log", name);
        CX_CLEANUP(cx_closep) int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (out < 0)
                return -errno;
        return cx_spawn(
                &(struct cx_spawn_options){
                        .argv = argv, .env = environment, .fds = {-1, out, out}, .directory = "/", .session = true},
                ret_pid);
}

struct supervised {
        const struct cluster_service *service;
        int fd; // pidfd; -1 while it does not run
        pid_t pid;
        int64_t started, start_at, pause;
};

static int open_pid(pid_t pid)
{
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void start_service(const struct profile *profile, struct supervised *s)
{
        CX_CLEANUP(cx_freep) char *namespace = network_namespace(profile, s->service->node);
        CX_CLEANUP(cx_freep) char *net = cx_sprintf("--net=%s", namespace);
        size_t n = s->service->argv.count;
        CX_CLEANUP(cx_freep) const char **argv = cx_alloc_array(n + 3, sizeof(char *));
        argv[0] = "nsenter";
        argv[1] = net;
        for (size_t i = 0; i < n; i++)
                argv[i + 2] = s->service->argv.items[i];
        s->started = cx_time_monotonic();
        int r = spawn(profile, s->service->name, argv, &s->service->environment, &s->pid);
        if (r == 0) {
                record(profile, s->service->name, s->pid);
                s->fd = open_pid(s->pid);
        }
        if (r < 0 || s->fd < 0) {
                cx_warn("Cannot start a service", "service", s->service->name, "why", strerror(r < 0 ? -r : errno));
                s->start_at = cx_time_monotonic() + MAX_PAUSE;
        }
}

static void note_end(struct supervised *s)
{
        int status = 0;
        bool child = waitpid(s->pid, &status, WNOHANG) == s->pid;
        int64_t now = cx_time_monotonic();
        close(s->fd);
        s->fd = -1;
        s->pause = now - s->started > GOOD_RUN || !s->pause ? MIN_PAUSE : s->pause * 2;
        if (s->pause > MAX_PAUSE)
                s->pause = MAX_PAUSE;
        s->start_at = now + s->pause;
        cx_warn("Service ended and will be started again", "service", s->service->name, "status",
                child && WIFEXITED(status) ? CX_INT(WEXITSTATUS(status))
                : child                    ? strsignal(WTERMSIG(status))
                                           : "unknown");
}

static void stop_all(struct supervised *list, size_t count)
{
        // Kubelets and managers before what they depend on: the reverse order.
        for (size_t i = count; i-- > 0;) {
                if (list[i].fd < 0)
                        continue;
                kill(list[i].pid, SIGTERM);
                struct pollfd wait = {list[i].fd, POLLIN, 0};
                if (i < 2 && poll(&wait, 1, (int)(STOP_TIMEOUT / CX_NS_PER_MS)) == 0)
                        kill(list[i].pid, SIGKILL);
        }
        for (size_t i = 0; i < count; i++) {
                struct pollfd wait = {list[i].fd, POLLIN, 0};
                if (list[i].fd >= 0 && poll(&wait, 1, (int)(STOP_TIMEOUT / CX_NS_PER_MS)) == 0)
                        kill(list[i].pid, SIGKILL);
        }
}

static int wait_time(const struct supervised *list, size_t count)
{
        int64_t now = cx_time_monotonic(), wait = 60 * CX_NS_PER_S;
        for (size_t i = 0; i < count; i++)
                if (list[i].fd < 0 && list[i].start_at - now < wait)
                        wait = list[i].start_at - now;
        return wait <= 0 ? 0 : (int)(wait / CX_NS_PER_MS) + 1;
}

static void supervise_loop(const struct profile *profile, struct supervised *list, size_t count, int signals)
{
        CX_CLEANUP(cx_freep) struct pollfd *fds = cx_alloc_array(count + 1, sizeof *fds);
        for (;;) {
                int64_t now = cx_time_monotonic();
                for (size_t i = 0; i < count; i++)
                        if (list[i].fd < 0 && list[i].start_at <= now)
                                start_service(profile, &list[i]);
                for (size_t i = 0; i < count; i++)
                        fds[i] = (struct pollfd){list[i].fd, POLLIN, 0};
                fds[count] = (struct pollfd){signals, POLLIN, 0};
                if (poll(fds, count + 1, wait_time(list, count)) < 0)
                        continue;
                if (fds[count].revents)
                        return;
                for (size_t i = 0; i < count; i++)
                        if (fds[i].revents)
                                note_end(&list[i]);
        }
}

static void end_process(pid_t pid, bool gently)
{
        CX_CLEANUP(cx_closep) int fd = open_pid(pid);
        struct pollfd wait = {fd, POLLIN, 0};
        if (fd < 0)
                return;
        if (gently)
                kill(pid, SIGTERM);
        if (!gently || poll(&wait, 1, (int)(3 * STOP_TIMEOUT / CX_NS_PER_MS)) == 0) {
                kill(pid, SIGKILL);
                (void)poll(&wait, 1, 2000);
        }
}

static bool is_service(const struct services *services, const char *name)
{
        for (size_t i = 0; i < services->count; i++)
                if (strcmp(services->items[i].name, name) == 0)
                        return true;
        return strcmp(name, SUPERVISOR) == 0;
}

// Ends what is recorded and is no service any more: that of an addon that was turned off.
static void end_others(const struct profile *profile, const struct services *services)
{
        CX_CLEANUP(cx_freep) char *folder = profile_path(profile, "run");
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_list_folder(folder, &names, &err) < 0)
                return;
        for (size_t i = 0; i < names.count; i++) {
                size_t length = strlen(names.items[i]);
                if (length <= 4 || strcmp(names.items[i] + length - 4, ".pid") != 0)
                        continue;
                CX_CLEANUP(cx_freep) char *name = cx_strndup(names.items[i], length - 4);
                CX_CLEANUP(cx_freep) char *path = pid_path(profile, name);
                if (is_service(services, name))
                        continue;
                pid_t pid = service_pid(profile, name);
                if (pid)
                        end_process(pid, true);
                (void)unlink(path);
        }
}

// Takes up what runs. What was started with other arguments makes room for itself.
static struct supervised *take_up(const struct profile *profile, const struct services *services)
{
        struct supervised *list = cx_alloc_array(services->count, sizeof *list);
        end_others(profile, services);
        for (size_t i = 0; i < services->count; i++) {
                const struct cluster_service *service = &services->items[i];
                pid_t pid = service_pid(profile, service->name);
                if (pid && !runs(profile, pid, service)) {
                        end_process(pid, true);
                        pid = 0;
                }
                if (!pid && (pid = find(profile, service)))
                        record(profile, service->name, pid);
                list[i] = (struct supervised){
                        .service = service, .fd = pid ? open_pid(pid) : -1, .pid = pid, .started = cx_time_monotonic()};
        }
        return list;
}

int supervise(const struct profile *profile)
{
        // One at a time: a second one has nothing to do, and leaves the record to the first.
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "run/" SUPERVISOR ".lock");
        CX_CLEANUP(cx_closep) int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
                return 0;
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        int signals = signalfd(-1, &set, SFD_CLOEXEC);
        struct services services;
        services_of(profile, &services);
        CX_CLEANUP(cx_freep) struct supervised *list = take_up(profile, &services);
        record(profile, SUPERVISOR, getpid());
        supervise_loop(profile, list, services.count, signals);
        stop_all(list, services.count);
        services_release(&services);
        close(signals);
        return 0;
}

int supervisor_start(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *self = cx_sprintf("%s/minikube", profile->binaries);
        pid_t pid = service_pid(profile, SUPERVISOR);
        if (pid)
                return 0;
        // The folder says whose it is to whoever cleans up, should it be killed before it is recorded.
        CX_CLEANUP(cx_freep) char *folder = profile_path(profile, "%s", "");
        const char *argv[] = {self, "supervise", "-p", profile->name, folder, NULL};
        int r = spawn(profile, SUPERVISOR, argv, NULL, &pid);
        if (r < 0)
                return cx_error_set(err, r, "cannot start the supervisor %s: %s", self, strerror(-r));
        int64_t deadline = cx_time_monotonic() + START_TIMEOUT;
        while (!service_pid(profile, SUPERVISOR)) { // it records itself
                if (cx_time_monotonic() > deadline)
                        return cx_error_set(err, -ETIMEDOUT, "the supervisor does not start; see %s/logs",
                                            profile->folder);
                (void)poll(NULL, 0, 2);
        }
        return 0;
}

int supervisor_replace(const struct profile *profile, struct cx_error *err)
{
        pid_t pid = service_pid(profile, SUPERVISOR);
        CX_CLEANUP(cx_closep) int fd = pid ? open_pid(pid) : -1;
        struct pollfd wait = {fd, POLLIN, 0};
        if (fd >= 0 && kill(pid, SIGKILL) == 0) // SIGTERM would end its services too
                (void)poll(&wait, 1, (int)(STOP_TIMEOUT / CX_NS_PER_MS));
        return supervisor_start(profile, err);
}

void service_restart(const struct profile *profile, const char *name)
{
        pid_t pid = service_pid(profile, name);
        if (pid)
                end_process(pid, true);
}

void supervisor_stop(const struct profile *profile, bool gently)
{
        pid_t pid = service_pid(profile, SUPERVISOR);
        struct services services;
        if (pid)
                end_process(pid, gently);
        // The supervisor may have been killed: its services then live on.
        services_of(profile, &services);
        for (size_t i = services.count; i-- > 0;) {
                pid = service_pid(profile, services.items[i].name);
                if (pid)
                        end_process(pid, gently);
        }
        services_release(&services);
}
