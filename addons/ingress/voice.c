// SPDX-License-Identifier: Apache-2.0
#include "addons/ingress/voice.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <fcntl.h>
#include <pthread.h>

#define MAX_LINE 1000
#define ON_ITS_WAY (200 * CX_NS_PER_MS)

struct voice {
        int fd;
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t said;
        int refs; // the owner's and the thread's
        char *first;
};

void voice_unref(struct voice *self)
{
        if (!self)
                return;
        pthread_mutex_lock(&self->lock);
        int left = --self->refs;
        pthread_mutex_unlock(&self->lock);
        if (left)
                return;
        close(self->fd);
        free(self->first);
        pthread_cond_destroy(&self->said);
        pthread_mutex_destroy(&self->lock);
        free(self);
}

void voice_forget(struct voice *self)
{
        pthread_mutex_lock(&self->lock);
        free(cx_steal(&self->first));
        pthread_mutex_unlock(&self->lock);
}

char *voice_first_alert(struct voice *self)
{
        int64_t deadline = cx_time_monotonic() + ON_ITS_WAY;
        pthread_mutex_lock(&self->lock);
        while (!self->first && !cx_cond_wait_until(&self->said, &self->lock, deadline))
                ;
        char *first = cx_strdup(self->first);
        pthread_mutex_unlock(&self->lock);
        return first;
}

// "[ALERT]    (4711) : [haproxy.main()] Cannot raise FD limit"
static void hear(struct voice *self, const char *line, size_t length)
{
        const char *text = memmem(line, length, " : ", 3);
        if (length < 7 || memcmp(line, "[ALERT]", 7) != 0 || !text)
                return;
        CX_CLEANUP(cx_freep) char *alert = cx_strndup(text + 3, (size_t)(line + length - text - 3));
        cx_warn("The proxy complains", "text", alert);
        pthread_mutex_lock(&self->lock);
        if (!self->first)
                self->first = cx_steal(&alert);
        pthread_cond_broadcast(&self->said);
        pthread_mutex_unlock(&self->lock);
}

static void *listen_to(void *argument)
{
        struct voice *self = argument;
        CX_BUF text = CX_BUF_INIT;
        char block[4096];
        for (ssize_t n; (n = read(self->fd, block, sizeof block)) > 0 || (n < 0 && errno == EINTR);) {
                cx_buf_append(&text, block, n > 0 ? (size_t)n : 0);
                for (char *end; (end = memchr(text.data, '\n', text.length)) || text.length > MAX_LINE;) {
                        size_t length = end ? (size_t)(end - text.data) : MAX_LINE;
                        hear(self, text.data, length);
                        cx_buf_consume(&text, length + (end ? 1 : 0));
                }
        }
        voice_unref(self);
        return NULL;
}

int voice_new(struct voice **ret_voice, int *ret_fd, struct cx_error *err)
{
        int fds[2];
        pthread_t thread;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return cx_error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
        (void)fcntl(fds[1], F_SETFL, O_NONBLOCK); // the proxy waits for nobody to hear it
        struct voice *self = cx_alloc(sizeof *self);
        self->fd = fds[0];
        self->refs = 2;
        pthread_mutex_init(&self->lock, NULL);
        cx_cond_init(&self->said);
        if (pthread_create(&thread, NULL, listen_to, self) != 0) {
                close(fds[1]);
                self->refs = 1;
                voice_unref(self);
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        }
        pthread_detach(thread);
        *ret_voice = self;
        *ret_fd = fds[1];
        return 0;
}
