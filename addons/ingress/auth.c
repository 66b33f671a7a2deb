// SPDX-License-Identifier: Apache-2.0
// A thread accepts connections; each has one that answers its questions, one after the other. The proxy opens more when it has
// more to ask, up to a limit: what is beyond waits.
#include "addons/ingress/auth.h"

#include "addons/ingress/htpasswd.h"
#include "addons/ingress/spop.h"
#include "libcommon/base/random.h"
#include "libcommon/base/thread.h"
#include "libcommon/format/base64.h"
#include "libcommon/net/pki.h"

#include <poll.h>
#include <pthread.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MAX_CONNECTIONS 32
#define MAX_KNOWN 4096
#define STACK ((size_t)256 << 10)

struct auth_agent {
        char *path;
        int listener, stop; // an eventfd that ends all waits
        pthread_t thread;
        bool started;
        unsigned char key[32]; // of the digests
        pthread_mutex_t lock;  // guards what follows
        pthread_cond_t less;   // a connection has ended
        int connections;
        bool stopping;
        struct cx_map users; // id -> lines
        struct cx_map known; // digest of what was right -> nothing
};
struct auth_connection {
        struct auth_agent *agent;
        int fd;
};

// --- verdicts ---

static void digest_of(const struct auth_agent *self, const char *id, const char *lines, const char *credentials,
                      char to[65])
{
        CX_BUF text = CX_BUF_INIT;
        cx_buf_append(&text, self->key, sizeof self->key);
        cx_buf_printf(&text, "%s\n%s\n", id, credentials);
        cx_buf_add(&text, lines);
        cx_sha256_hex(text.data, text.length, to);
        explicit_bzero(text.data, text.length);
}

static bool check(const char *lines, const char *credentials)
{
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        bool right = false;
        if (cx_base64_decode(credentials, strlen(credentials), &text) == 0 && strlen(text.data) == text.length) {
                char *colon = strchr(text.data, ':');
                if (colon) {
                        *colon = '\0';
                        right = htpasswd_accepts(lines, text.data, colon + 1);
                }
        }
        explicit_bzero(text.data, text.length);
        return right;
}

bool auth_agent_accepts(struct auth_agent *self, const char *id, const char *authorization)
{
        char digest[65];
        if (!id || !authorization || strncasecmp(authorization, "Basic ", 6) != 0 || strlen(authorization) > 4096)
                return false;
        const char *credentials = authorization + 6 + strspn(authorization + 6, " ");
        pthread_mutex_lock(&self->lock);
        CX_CLEANUP(cx_freep) char *lines = cx_strdup(cx_map_get(&self->users, id));
        pthread_mutex_unlock(&self->lock);
        if (!lines)
                return false;
        digest_of(self, id, lines, credentials, digest);
        pthread_mutex_lock(&self->lock);
        bool right = cx_map_has(&self->known, digest);
        pthread_mutex_unlock(&self->lock);
        if (right || !check(lines, credentials))
                return right;
        pthread_mutex_lock(&self->lock);
        if (self->known.count >= MAX_KNOWN)
                cx_map_clear(&self->known);
        cx_map_set(&self->known, digest, NULL);
        pthread_mutex_unlock(&self->lock);
        return true;
}

void auth_agent_set(struct auth_agent *self, const struct cx_map *users)
{
        pthread_mutex_lock(&self->lock);
        bool same = users->count == self->users.count;
        CX_MAP_FOREACH (users, entry)
                same &= cx_streq(cx_map_get(&self->users, entry->key), entry->value);
        if (!same) {
                cx_map_clear(&self->users);
                cx_map_clear(&self->known);
                CX_MAP_FOREACH (users, entry)
                        cx_map_set(&self->users, entry->key, cx_strdup(entry->value));
        }
        pthread_mutex_unlock(&self->lock);
}

// --- connections ---

// Waits for the peer; false: the agent stops.
static bool wait_for(const struct auth_agent *self, int fd, short events)
{
        struct pollfd wait[2] = {{fd, events, 0}, {self->stop, POLLIN, 0}};
        while (poll(wait, 2, -1) < 0 && errno == EINTR)
                ;
        return !wait[1].revents;
}

static bool receive(const struct auth_connection *c, void *to, size_t length)
{
        for (size_t done = 0; done < length;) {
                if (!wait_for(c->agent, c->fd, POLLIN))
                        return false;
                ssize_t n = recv(c->fd, (char *)to + done, length - done, MSG_DONTWAIT);
                if (n <= 0)
                        return false;
                done += (size_t)n;
        }
        return true;
}

static bool transmit(const struct auth_connection *c, const struct cx_buf *data)
{
        for (size_t done = 0; done < data->length;) {
                if (!wait_for(c->agent, c->fd, POLLOUT))
                        return false;
                ssize_t n = send(c->fd, data->data + done, data->length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n <= 0)
                        return false;
                done += (size_t)n;
        }
        return true;
}

// Answers one frame; false: the connection is over.
static bool answer(const struct auth_connection *c, const struct spop_frame *frame)
{
        CX_BUF reply = CX_BUF_INIT;
        bool goes_on = true;
        if (frame->type == SPOP_HAPROXY_HELLO) {
                uint64_t size = frame->max_size && frame->max_size < SPOP_MAX_FRAME ? frame->max_size : SPOP_MAX_FRAME;
                spop_write_hello(size, &reply);
                goes_on = !frame->healthcheck;
        } else if (frame->type == SPOP_NOTIFY) {
                spop_write_verdict(frame, auth_agent_accepts(c->agent, frame->id, frame->credentials), &reply);
        } else {
                spop_write_disconnect(&reply);
                goes_on = false;
        }
        return transmit(c, &reply) && goes_on;
}

static bool serve_frame(const struct auth_connection *c)
{
        unsigned char head[4], body[SPOP_MAX_FRAME];
        if (!receive(c, head, sizeof head))
                return false;
        size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        struct spop_frame frame;
        if (length > sizeof body || !receive(c, body, length) || spop_parse(body, length, &frame) < 0)
                return false;
        bool goes_on = answer(c, &frame);
        spop_frame_release(&frame);
        explicit_bzero(body, length);
        return goes_on;
}

static void *serve_connection(void *argument)
{
        struct auth_connection *c = argument;
        struct auth_agent *self = c->agent;
        while (serve_frame(c))
                ;
        close(c->fd);
        free(c);
        pthread_mutex_lock(&self->lock);
        self->connections--;
        pthread_cond_broadcast(&self->less);
        pthread_mutex_unlock(&self->lock);
        return NULL;
}

static void take_connection(struct auth_agent *self, int fd)
{
        struct auth_connection *c = cx_alloc(sizeof *c);
        *c = (struct auth_connection){self, fd};
        pthread_mutex_lock(&self->lock);
        self->connections++;
        pthread_mutex_unlock(&self->lock);
        if (!cx_thread_detach(serve_connection, c, STACK)) {
                pthread_mutex_lock(&self->lock);
                self->connections--;
                pthread_mutex_unlock(&self->lock);
                close(fd);
                free(c);
        }
}

static void *accept_connections(void *argument)
{
        struct auth_agent *self = argument;
        for (;;) {
                pthread_mutex_lock(&self->lock);
                while (self->connections >= MAX_CONNECTIONS && !self->stopping)
                        pthread_cond_wait(&self->less, &self->lock);
                pthread_mutex_unlock(&self->lock);
                if (!wait_for(self, self->listener, POLLIN))
                        return NULL;
                int fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0)
                        take_connection(self, fd);
        }
}

// --- life ---

static int listen_at(struct auth_agent *self, struct cx_error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (!cx_copy_string(address.sun_path, sizeof address.sun_path, self->path))
                return cx_error_set(err, -ENAMETOOLONG, "the path %s is too long for a socket", self->path);
        (void)unlink(self->path);
        self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        self->stop = eventfd(0, EFD_CLOEXEC);
        // Only the proxy comes as far as this folder; it has another user.
        if (self->listener < 0 || self->stop < 0 ||
            bind(self->listener, (struct sockaddr *)&address, sizeof address) < 0 || chmod(self->path, 0666) < 0 ||
            listen(self->listener, 128) < 0)
                return cx_error_set(err, -errno, "cannot listen at %s: %s", self->path, strerror(errno));
        return 0;
}

int auth_agent_new(const char *socket_path, struct auth_agent **ret_agent, struct cx_error *err)
{
        struct auth_agent *self = cx_alloc(sizeof *self);
        self->path = cx_strdup(socket_path);
        self->listener = self->stop = -1;
        self->users.free_value = free;
        cx_random_bytes(self->key, sizeof self->key);
        pthread_mutex_init(&self->lock, NULL);
        pthread_cond_init(&self->less, NULL);
        int r = listen_at(self, err);
        if (r == 0) {
                self->started = pthread_create(&self->thread, NULL, accept_connections, self) == 0;
                r = self->started ? 0 : cx_error_set(err, -EAGAIN, "cannot start a thread");
        }
        if (r < 0) {
                auth_agent_free(self);
                return r;
        }
        *ret_agent = self;
        return 0;
}

void auth_agent_free(struct auth_agent *self)
{
        if (!self)
                return;
        pthread_mutex_lock(&self->lock);
        self->stopping = true;
        if (self->stop >= 0)
                (void)eventfd_write(self->stop, 1);
        pthread_cond_broadcast(&self->less);
        pthread_mutex_unlock(&self->lock);
        if (self->started)
                pthread_join(self->thread, NULL);
        pthread_mutex_lock(&self->lock);
        while (self->connections)
                pthread_cond_wait(&self->less, &self->lock);
        cx_map_release(&self->users);
        cx_map_release(&self->known);
        pthread_mutex_unlock(&self->lock);
        cx_closep(&self->listener);
        cx_closep(&self->stop);
        (void)unlink(self->path);
        pthread_cond_destroy(&self->less);
        pthread_mutex_destroy(&self->lock);
        free(self->path);
        free(self);
}
