// SPDX-License-Identifier: Apache-2.0
// Start, take over, reload, watch, stop.
#include "addons/ingress/haproxy.h"

#include "addons/ingress/runtime.h"
#include "addons/ingress/voice.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LOAD_TIMEOUT (30 * CX_NS_PER_S)
#define STOP_TIMEOUT_MS 3000
#define PAUSE_MS 3

struct haproxy {
        struct haproxy_options options;
        char *config, *pid_file, *socket;
        struct voice *voice;  // of the one that was started here; NULL: it was taken over
        pthread_mutex_t lock; // guards what follows
        pid_t pid;            // of the master; 0: none
        int fd;               // its pidfd; -1: none
        pthread_t watch;      // waits for its end
        bool watched, stopping;
};

struct haproxy *haproxy_new(const struct haproxy_options *options)
{
        struct haproxy *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->fd = -1;
        self->config = cx_sprintf("%s/haproxy.cfg", options->folder);
        self->pid_file = cx_sprintf("%s/haproxy.pid", options->folder);
        self->socket = cx_sprintf("%s/control.sock", options->folder);
        pthread_mutex_init(&self->lock, NULL);
        return self;
}

static int pidfd_open_process(pid_t pid)
{
        return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int pidfd_signal(int fd, int signal)
{
        return (int)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
}

// --- what runs already ---

// Whether the process is a HAProxy with our configuration, and root's like ourselves: anybody may name a file so.
static bool is_ours(const struct haproxy *self, pid_t pid)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/proc/%d/cmdline", (int)pid);
        CX_CLEANUP(cx_freep) char *status = cx_sprintf("/proc/%d/status", (int)pid);
        CX_BUF words = CX_BUF_INIT_MAX(65536), text = CX_BUF_INIT_MAX(65536);
        unsigned uid;
        if (cx_buf_read_file(&words, path) < 0 || cx_buf_read_file(&text, status) < 0)
                return false;
        const char *line = strstr(text.data, "\nUid:");
        return line && sscanf(line, "\nUid: %u", &uid) == 1 && uid == geteuid() &&
               memmem(words.data, words.length, self->config, strlen(self->config) + 1);
}

// Takes up the one that the pid file names. The pidfd comes first: between look and use the pid cannot change its meaning.
static bool take_over(struct haproxy *self)
{
        CX_BUF text = CX_BUF_INIT_MAX(64);
        int64_t pid;
        if (cx_buf_read_file(&text, self->pid_file) < 0)
                return false;
        text.data[strcspn(text.data, "\n")] = '\0';
        if (cx_parse_int(text.data, 2, INT32_MAX, &pid) < 0)
                return false;
        CX_CLEANUP(cx_closep) int fd = pidfd_open_process((pid_t)pid);
        if (fd < 0 || !is_ours(self, (pid_t)pid))
                return false;
        cx_info("Taking over the proxy that runs", "pid", CX_INT(pid));
        self->pid = (pid_t)pid;
        self->fd = cx_steal_fd(&fd);
        return true;
}

// --- its end ---

static void *wait_for_end(void *argument)
{
        struct haproxy *self = argument;
        struct pollfd wait = {self->fd, POLLIN, 0};
        while (poll(&wait, 1, -1) < 0 && errno == EINTR)
                ;
        (void)waitpid(self->pid, NULL, 0); // when it is a child of ours
        pthread_mutex_lock(&self->lock);
        bool expected = self->stopping;
        close(self->fd);
        self->fd = -1;
        self->pid = 0;
        pthread_mutex_unlock(&self->lock);
        if (!expected)
                self->options.ended(self->options.context);
        return NULL;
}

static int watch(struct haproxy *self, struct cx_error *err)
{
        self->watched = pthread_create(&self->watch, NULL, wait_for_end, self) == 0;
        return self->watched ? 0 : cx_error_set(err, -EAGAIN, "cannot start a thread");
}

// After one has ended, its thread goes before the next comes.
static void unwatch(struct haproxy *self)
{
        if (self->watched)
                pthread_join(self->watch, NULL);
        self->watched = false;
}

bool haproxy_runs(struct haproxy *self)
{
        pthread_mutex_lock(&self->lock);
        bool runs = self->fd >= 0;
        pthread_mutex_unlock(&self->lock);
        return runs;
}

// --- start and reload ---

static int start(struct haproxy *self, struct cx_error *err)
{
        const char *argv[] = {self->options.executable, "-W", "-f", self->config, "-p", self->pid_file, NULL};
        CX_CLEANUP(cx_closep) int out = -1;
        voice_unref(cx_steal(&self->voice));
        int r = voice_new(&self->voice, &out, err);
        if (r < 0)
                return r;
        const struct cx_spawn_options options = {.argv = argv, .fds = {0, out, out}, .session = true};
        pid_t pid;
        r = cx_spawn(&options, &pid);
        if (r == -ENOENT)
                return cx_error_set(err, r, "%s is not installed: apt-get install haproxy", self->options.executable);
        if (r < 0)
                return cx_error_set(err, r, "cannot run %s: %s", self->options.executable, strerror(-r));
        pthread_mutex_lock(&self->lock);
        self->pid = pid;
        self->fd = pidfd_open_process(pid);
        r = self->fd < 0 ? -errno : 0;
        pthread_mutex_unlock(&self->lock);
        if (r < 0) {
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return cx_error_set(err, r, "cannot watch the proxy: %s", strerror(-r));
        }
        cx_info("Started the proxy", "pid", CX_INT(pid));
        return watch(self, err);
}

static bool serves(const struct haproxy *self, int generation)
{
        struct runtime_api runtime = {.socket = self->socket};
        CX_BUF answer = CX_BUF_INIT;
        CX_CLEANUP(cx_freep) char *line = cx_sprintf("GENERATION=%d\n", generation);
        return runtime_ask(&runtime, "show env GENERATION", &answer, NULL) == 0 && cx_has_prefix(answer.data, line);
}

static int failed(struct haproxy *self, int code, const char *what, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *why = self->voice ? voice_first_alert(self->voice) : NULL;
        return cx_error_set(err, code, "the proxy %s with %s%s%s", what, self->config, why ? ": " : "", cx_str(why));
}

int haproxy_load(struct haproxy *self, int generation, struct cx_error *err)
{
        int64_t deadline = cx_time_monotonic() + LOAD_TIMEOUT;
        bool running = haproxy_runs(self);
        if (!running) {
                unwatch(self);
                running = take_over(self);
        }
        int r = !running ? start(self, err) : !self->watched ? watch(self, err) : 0;
        if (r < 0)
                return r;
        pthread_mutex_lock(&self->lock);
        if (running && self->voice)
                voice_forget(self->voice);
        if (running && self->fd >= 0)
                (void)pidfd_signal(self->fd, SIGUSR2); // load the file again
        pthread_mutex_unlock(&self->lock);
        while (!serves(self, generation)) {
                if (!haproxy_runs(self))
                        return failed(self, -EIO, "ended", err);
                if (cx_time_monotonic() > deadline)
                        return failed(self, -ETIMEDOUT, "does not serve", err);
                (void)poll(NULL, 0, PAUSE_MS);
        }
        return 0;
}

// --- the end ---

static bool ends_within(int fd, int ms)
{
        struct pollfd wait = {fd, POLLIN, 0};
        return poll(&wait, 1, ms) == 1;
}

void haproxy_stop(struct haproxy *self)
{
        static const int signals[] = {SIGUSR1, SIGTERM, SIGKILL}; // finish, end, and be gone
        pthread_mutex_lock(&self->lock);
        self->stopping = true;
        CX_CLEANUP(cx_closep) int fd = self->pid ? pidfd_open_process(self->pid) : -1;
        pthread_mutex_unlock(&self->lock);
        for (size_t i = 0; fd >= 0 && i < CX_ARRAY_SIZE(signals); i++) {
                (void)pidfd_signal(fd, signals[i]);
                if (ends_within(fd, STOP_TIMEOUT_MS))
                        break;
        }
        (void)unlink(self->pid_file);
        (void)unlink(self->socket);
}

void haproxy_free(struct haproxy *self)
{
        if (!self)
                return;
        if (self->watched && !haproxy_runs(self))
                pthread_join(self->watch, NULL);
        else if (self->watched)
                pthread_detach(self->watch);
        voice_unref(self->voice);
        pthread_mutex_destroy(&self->lock);
        free(self->config);
        free(self->pid_file);
        free(self->socket);
        free(self);
}
