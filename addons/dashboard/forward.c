// SPDX-License-Identifier: Apache-2.0
#include "addons/dashboard/forward.h"

#include "libcommon/api/names.h"
#include "libcommon/api/status.h"
#include "libcommon/base/log.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/net/forwards.h"
#include "libcommon/net/listen.h"

#include <pthread.h>
#include <sys/eventfd.h>

#define CONNECT_TIMEOUT (30 * CX_NS_PER_S)
#define STACK_SIZE ((size_t)256 << 10)

struct port_forwards {
        struct cx_address bind;
        pthread_mutex_t lock; // guards the rest
        pthread_cond_t emptied;
        struct port_forward *first;
        size_t count;
        bool canceled;
};

struct port_forward {
        struct session_use use;    // first
        struct port_forward *next; // guarded by the lock of all
        struct port_forwards *all;
        struct user_session *session;
        struct cx_http_request *request; // until it is answered
        char *namespace, *pod;
        struct cx_address peer;     // who is let in
        int port, at;               // of the pod; ours, 0: not open yet
        int fd;                     // that listens; -1: none
        int end_fd;                 // an eventfd
        bool left;                  // atomic: the client, before the answer; or the session is over
        struct cx_streams *streams; // of its thread
};

struct port_forwards *port_forwards_new(const char *bind_address)
{
        struct port_forwards *all = cx_alloc(sizeof *all);
        if (cx_address_parse(bind_address, &all->bind) < 0)
                all->bind = (struct cx_address){CX_IPV4, {127, 0, 0, 1}};
        pthread_mutex_init(&all->lock, NULL);
        pthread_cond_init(&all->emptied, NULL);
        return all;
}

void port_forwards_free(struct port_forwards *all)
{
        if (!all)
                return;
        pthread_mutex_lock(&all->lock);
        while (all->count)
                pthread_cond_wait(&all->emptied, &all->lock);
        pthread_mutex_unlock(&all->lock);
        pthread_mutex_destroy(&all->lock);
        pthread_cond_destroy(&all->emptied);
        free(all);
}

static void end(struct session_use *use)
{
        struct port_forward *forward = (struct port_forward *)use;
        __atomic_store_n(&forward->left, true, __ATOMIC_RELEASE);
        (void)!eventfd_write(forward->end_fd, 1);
}

static bool has_left(const struct port_forward *forward)
{
        return __atomic_load_n(&forward->left, __ATOMIC_ACQUIRE);
}

void port_forwards_cancel(struct port_forwards *all)
{
        pthread_mutex_lock(&all->lock);
        all->canceled = true;
        for (struct port_forward *forward = all->first; forward; forward = forward->next)
                end(&forward->use);
        pthread_mutex_unlock(&all->lock);
}

static void free_forward(struct port_forward *forward)
{
        cx_streams_free(forward->streams);
        if (forward->fd >= 0)
                close(forward->fd);
        if (forward->end_fd >= 0)
                close(forward->end_fd);
        user_session_unref(forward->session);
        free(forward->namespace);
        free(forward->pod);
        free(forward);
}

// --- one port --------------------------------------------------------------------------------------------------------

static bool admits(void *context, int fd)
{
        const struct port_forward *forward = context;
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        struct cx_address peer;
        int port;
        if (getpeername(fd, (struct sockaddr *)&from, &length) < 0 ||
            cx_address_from_socket((struct sockaddr *)&from, &peer, &port) < 0)
                return false;
        cx_address_unmap(&peer);
        return cx_address_compare(&peer, &forward->peer) == 0;
}

// A pod that does not listen on its port is told by the end of the connection; the next may find it.
static bool on_failed(void *context CX_UNUSED, const struct cx_forward_listener *listener, const char *why)
{
        cx_debug(2, "Cannot forward", "port", CX_INT(listener->port), "why", why);
        return false;
}

static int connect_pod(struct port_forward *forward, struct cx_error *err)
{
        CX_HTTP_REPLY refusal = CX_HTTP_REPLY_INIT;
        CX_CLEANUP(cx_freep)
        char *path = cx_sprintf("/api/v1/namespaces/%s/pods/%s/portforward", forward->namespace, forward->pod);
        struct cx_streams *streams = NULL;
        const struct cx_http_call call = {.path = path, .timeout = CONNECT_TIMEOUT, .cancel = &forward->left};
        int r = cx_streams_connect_forward(forward->session->client, &call, &streams, &refusal, err);
        if (r < 0 && refusal.code >= 400 && refusal.body.length) {
                cx_error_release(err);
                return cx_error_from_status(err, refusal.code, refusal.body.data, refusal.body.length);
        }
        forward->streams = streams;
        return r;
}

static int open_port(struct port_forward *forward, struct cx_error *err)
{
        int r = connect_pod(forward, err), at = 0;
        if (r < 0)
                return r;
        forward->fd = cx_listen(&forward->all->bind, &at);
        if (forward->fd < 0)
                return cx_error_set(err, forward->fd, "cannot listen: %s", strerror(-forward->fd));
        pthread_mutex_lock(&forward->all->lock);
        forward->at = at;
        pthread_mutex_unlock(&forward->all->lock);
        return 0;
}

static void unlist(struct port_forward *forward)
{
        struct port_forwards *all = forward->all;
        pthread_mutex_lock(&all->lock);
        struct port_forward **at = &all->first;
        while (*at != forward)
                at = &(*at)->next;
        *at = forward->next;
        pthread_mutex_unlock(&all->lock);
}

// The last thing that is done for it: who waits frees what it used.
static void leave(struct port_forwards *all)
{
        pthread_mutex_lock(&all->lock);
        if (--all->count == 0)
                pthread_cond_broadcast(&all->emptied);
        pthread_mutex_unlock(&all->lock);
}

// Of one in the list.
static void finish(struct port_forward *forward)
{
        struct port_forwards *all = forward->all;
        unlist(forward);
        user_session_use_end(forward->session, &forward->use, USE_STREAM);
        free_forward(forward);
        leave(all);
}

static json_t *describe(const struct port_forward *forward)
{
        return json_pack("{s:s,s:s,s:i,s:i}", "namespace", forward->namespace, "pod", forward->pod, "port",
                         forward->port, "at", forward->at);
}

static void *forward_main(void *context)
{
        struct port_forward *forward = context;
        CX_ERROR err = CX_ERROR_INIT;
        int r = open_port(forward, &err);
        struct cx_http_request *request = cx_steal(&forward->request);
        cx_http_notice_leaving(request, NULL);
        if (r < 0)
                cx_http_respond_error(request, &err);
        else
                cx_http_respond_json(request, 201, describe(forward));
        if (r == 0)
                cx_forwards_run(&(struct cx_forwards_options){
                        .streams = forward->streams,
                        .listeners = &(struct cx_forward_listener){forward->fd, forward->at, forward->port},
                        .n_listeners = 1,
                        .admits = admits,
                        .failed = on_failed,
                        .end_fd = &forward->end_fd,
                        .context = forward});
        finish(forward);
        return NULL;
}

// --- requests --------------------------------------------------------------------------------------------------------

static int read_target(struct cx_http_request *request, struct port_forward *forward, struct cx_error *err)
{
        size_t length;
        int64_t port;
        const char *body = cx_http_body(request, &length);
        json_auto_t *json = NULL;
        int r = cx_json_parse(body, length, true, &json, err);
        if (r < 0)
                return r;
        const char *namespace = cx_json_string(json, "namespace");
        const char *pod = json_string_value(json_object_get(json, "pod"));
        port = cx_json_int(json, "port", 0);
        if (cx_check_dns1123_label(cx_str(namespace)) || cx_check_dns1123_subdomain(cx_str(pod)) || port < 1 ||
            port > 65535)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "namespace and pod have to be names, and port 1 to 65535");
        if (cx_address_parse(cx_http_remote_address(request), &forward->peer) < 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "where the request comes from is not known");
        cx_address_unmap(&forward->peer);
        forward->namespace = cx_strdup(namespace);
        forward->pod = cx_strdup(pod);
        forward->port = (int)port;
        return 0;
}

static bool same(const struct port_forward *a, const struct port_forward *b)
{
        return a->session == b->session && a->port == b->port && strcmp(a->pod, b->pod) == 0 &&
               strcmp(a->namespace, b->namespace) == 0 && cx_address_compare(&a->peer, &b->peer) == 0;
}

// Puts it into the list; or finds one that is open already, whose description is returned.
static int list(struct port_forward *forward, json_t **ret_open, struct cx_error *err)
{
        struct port_forwards *all = forward->all;
        size_t of_user = 0;
        pthread_mutex_lock(&all->lock);
        for (const struct port_forward *other = all->first; other; other = other->next) {
                of_user += strcmp(other->session->user, forward->session->user) == 0;
                if (!*ret_open && other->at && same(other, forward) && !has_left(other))
                        *ret_open = describe(other);
        }
        bool room = !all->canceled && all->count < FORWARDS_MAX && of_user < FORWARDS_OF_USER_MAX;
        if (room && !*ret_open) {
                all->count++;
                forward->next = all->first;
                all->first = forward;
        }
        pthread_mutex_unlock(&all->lock);
        return room || *ret_open
                       ? 0
                       : cx_error_reason(err, CX_REASON_TOO_MANY_REQUESTS, "too many ports are open; close one first");
}

static bool start(struct port_forward *forward)
{
        return cx_thread_detach(forward_main, forward, STACK_SIZE);
}

// Takes the session's reference, whatever comes of it.
static int open_forward(struct port_forwards *all, struct user_session *session, struct cx_http_request *request,
                        struct cx_error *err)
{
        json_t *open = NULL;
        struct port_forward *forward = cx_alloc(sizeof *forward);
        *forward = (struct port_forward){.use.end = end,
                                         .all = all,
                                         .session = session,
                                         .request = request,
                                         .fd = -1,
                                         .end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        int r = forward->end_fd < 0 ? cx_error_set(err, -errno, "cannot open a port: %s", strerror(errno))
                                    : read_target(request, forward, err);
        bool begun = r == 0 && user_session_use_begin(session, &forward->use, USE_STREAM);
        if (r == 0 && !begun)
                r = cx_error_reason(err, CX_REASON_TOO_MANY_REQUESTS, "too many streams of this session or user");
        if (r == 0)
                r = list(forward, &open, err);
        if (r == 0 && !open) {
                cx_http_notice_leaving(request, &forward->left);
                if (start(forward))
                        return 0;
                cx_http_notice_leaving(request, NULL);
                finish(forward);
                return cx_error_reason(err, CX_REASON_UNAVAILABLE, "there is no thread for the port");
        }
        if (begun)
                user_session_use_end(session, &forward->use, USE_STREAM);
        free_forward(forward);
        if (open)
                cx_http_respond_json(request, 200, open);
        return r;
}

static json_t *list_of(struct port_forwards *all, const struct user_session *session)
{
        json_t *found = json_array();
        pthread_mutex_lock(&all->lock);
        for (const struct port_forward *forward = all->first; forward; forward = forward->next)
                if (forward->session == session && forward->at && !has_left(forward))
                        json_array_append_new(found, describe(forward));
        pthread_mutex_unlock(&all->lock);
        return found;
}

static int close_forward(struct port_forwards *all, const struct user_session *session, struct cx_http_request *request,
                         struct cx_error *err)
{
        int64_t at = 0;
        bool found = false;
        const char *query = cx_http_raw_query(request);
        if (!cx_has_prefix(query, "at=") || cx_parse_int(query + 3, 1, 65535, &at) < 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "at: has to be a port, 1 to 65535");
        pthread_mutex_lock(&all->lock);
        for (struct port_forward *forward = all->first; forward; forward = forward->next)
                if (forward->session == session && forward->at == at) {
                        found = true;
                        end(&forward->use);
                }
        pthread_mutex_unlock(&all->lock);
        if (!found)
                return cx_error_reason(err, CX_REASON_NOT_FOUND, "the session has no port %ld", (long)at);
        cx_http_respond_json(request, 200, json_object());
        return 0;
}

void port_forwards_serve(struct port_forwards *all, struct user_session *session, struct cx_http_request *request)
{
        const char *method = cx_http_method(request);
        CX_ERROR err = CX_ERROR_INIT;
        int r = 0;
        if (strcmp(method, "POST") == 0) {
                r = open_forward(all, session, request, &err);
                session = NULL;
        } else if (strcmp(method, "GET") == 0) {
                cx_http_respond_json(request, 200, list_of(all, session));
        } else if (strcmp(method, "DELETE") == 0) {
                r = close_forward(all, session, request, &err);
        } else {
                r = cx_error_reason(&err, CX_REASON_METHOD_NOT_ALLOWED, "GET, POST and DELETE are known here");
        }
        if (r < 0)
                cx_http_respond_error(request, &err);
        if (session)
                user_session_unref(session);
}
