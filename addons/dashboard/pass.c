// SPDX-License-Identifier: Apache-2.0
// Plain requests.
#include "addons/dashboard/pass.h"

#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <malloc.h>
#include <pthread.h>
#include <strings.h>

#define BUFFER ((size_t)256 << 10)
#define STACK_SIZE ((size_t)256 << 10)
#define TIMEOUT (120 * CX_NS_PER_S)
#define WARNINGS_MAX 8
#define TRIM_AFTER ((size_t)4 << 20) // bytes passed on: buffers and TLS of so many leave a heap behind

struct api_passes {
        pthread_mutex_t lock; // guards the rest; taken before a pass' own
        pthread_cond_t emptied;
        struct api_pass *first;
        size_t count, passed; // bytes, since the heap was trimmed
        bool canceled;
};

struct api_pass {
        struct session_use use;           // first
        bool used;                        // the session knows of it
        struct api_pass *next, *previous; // guarded by the lock of all
        struct api_passes *all;
        struct user_session *session;
        struct cx_http_request *request; // until the answer has begun
        char *method, *url, *accept, *content_type;
        struct cx_buf body;
        bool left;            // atomic: the client, before the answer; or nobody waits any more
        pthread_mutex_t lock; // guards the rest
        pthread_cond_t drained;
        struct cx_buf buffer;
        size_t taken; // of the buffer, from its beginning
        size_t passed;
        bool finished, failed, gone;
        struct cx_http_stream *stream;
        int references; // the thread's and the stream's
};

struct api_passes *passes_new(void)
{
        struct api_passes *all = cx_alloc(sizeof *all);
        pthread_mutex_init(&all->lock, NULL);
        pthread_cond_init(&all->emptied, NULL);
        return all;
}

void passes_free(struct api_passes *all)
{
        pthread_mutex_lock(&all->lock);
        while (all->count)
                pthread_cond_wait(&all->emptied, &all->lock);
        pthread_mutex_unlock(&all->lock);
        pthread_mutex_destroy(&all->lock);
        pthread_cond_destroy(&all->emptied);
        free(all);
}

static void cancel(struct session_use *use)
{
        struct api_pass *pass = (struct api_pass *)use;
        pthread_mutex_lock(&pass->lock);
        __atomic_store_n(&pass->left, true, __ATOMIC_RELEASE);
        pass->gone = true;
        pthread_cond_signal(&pass->drained);
        pthread_mutex_unlock(&pass->lock);
}

void passes_cancel(struct api_passes *all)
{
        pthread_mutex_lock(&all->lock);
        all->canceled = true;
        for (struct api_pass *pass = all->first; pass; pass = pass->next)
                cancel(&pass->use);
        pthread_mutex_unlock(&all->lock);
}

// With the lock. However many sessions a user has: one may not take the room of all.
static size_t count_of(const struct api_passes *all, const char *user)
{
        size_t count = 0;
        for (const struct api_pass *pass = all->first; pass; pass = pass->next)
                count += strcmp(pass->session->user, user) == 0;
        return count;
}

// False when there are too many.
static bool list(struct api_passes *all, struct api_pass *pass)
{
        pthread_mutex_lock(&all->lock);
        bool room =
                all->count < PASSES_MAX && count_of(all, pass->session->user) < PASSES_OF_USER_MAX && !all->canceled;
        if (room) {
                all->count++;
                pass->next = all->first;
                if (pass->next)
                        pass->next->previous = pass;
                all->first = pass;
        }
        pthread_mutex_unlock(&all->lock);
        return room;
}

static void unlist(struct api_pass *pass)
{
        struct api_passes *all = pass->all;
        pthread_mutex_lock(&all->lock);
        *(pass->previous ? &pass->previous->next : &all->first) = pass->next;
        if (pass->next)
                pass->next->previous = pass->previous;
        pthread_mutex_unlock(&all->lock);
}

// The last thing that a pass does: who waits for it frees what it used. The last of many gives back what they took.
static void leave(struct api_passes *all, size_t passed)
{
        pthread_mutex_lock(&all->lock);
        all->passed += passed;
        bool trim = all->count == 1 && all->passed > TRIM_AFTER && !all->canceled;
        if (trim) {
                all->passed = 0;
                pthread_mutex_unlock(&all->lock);
                malloc_trim(0);
                pthread_mutex_lock(&all->lock);
        }
        if (--all->count == 0)
                pthread_cond_broadcast(&all->emptied);
        pthread_mutex_unlock(&all->lock);
}

static void free_pass(struct api_pass *pass)
{
        cx_http_stream_unref(pass->stream);
        if (pass->used)
                user_session_use_end(pass->session, &pass->use, USE_REQUEST);
        user_session_unref(pass->session);
        cx_buf_release(&pass->body);
        cx_buf_release(&pass->buffer);
        free(pass->method);
        free(pass->url);
        free(pass->accept);
        free(pass->content_type);
        pthread_mutex_destroy(&pass->lock);
        pthread_cond_destroy(&pass->drained);
        free(pass);
}

static void unref(struct api_pass *pass)
{
        pthread_mutex_lock(&pass->lock);
        bool last = --pass->references == 0;
        pthread_mutex_unlock(&pass->lock);
        if (!last)
                return;
        struct api_passes *all = pass->all;
        unlist(pass);
        size_t passed = pass->passed;
        free_pass(pass);
        leave(all, passed);
}

// --- the answer ------------------------------------------------------------------------------------------------------

static ssize_t read_block(void *context, uint64_t offset CX_UNUSED, char *to, size_t max)
{
        struct api_pass *pass = context;
        pthread_mutex_lock(&pass->lock);
        size_t waiting = pass->buffer.length - pass->taken;
        ssize_t n = pass->finished ? pass->failed ? CX_HTTP_STREAM_ABORT : CX_HTTP_STREAM_END : CX_HTTP_STREAM_WAIT;
        if (waiting) {
                n = (ssize_t)(waiting < max ? waiting : max);
                memcpy(to, pass->buffer.data + pass->taken, (size_t)n);
                pass->taken += (size_t)n;
                if (pass->taken == pass->buffer.length) {
                        cx_buf_clear(&pass->buffer);
                        pass->taken = 0;
                }
                pthread_cond_signal(&pass->drained);
        }
        pthread_mutex_unlock(&pass->lock);
        return n;
}

static void release_stream(void *context)
{
        struct api_pass *pass = context;
        pthread_mutex_lock(&pass->lock);
        pass->gone = true;
        pthread_cond_signal(&pass->drained);
        pthread_mutex_unlock(&pass->lock);
        unref(pass);
}

struct warnings {
        struct cx_http_request *request;
        size_t count;
};

static void pass_header(void *context, const char *name, const char *value)
{
        struct warnings *warnings = context;
        if (strcasecmp(name, "Retry-After") == 0)
                cx_http_add_header(warnings->request, name, value);
        else if (strcasecmp(name, "Warning") == 0 && warnings->count++ < WARNINGS_MAX)
                cx_http_add_header(warnings->request, name, value);
}

static void begin_answer(void *context, const struct cx_http_reply *reply)
{
        struct api_pass *pass = context;
        CX_CLEANUP(cx_freep) char *type = cx_http_reply_header(reply, "Content-Type");
        struct cx_http_request *request = cx_steal(&pass->request);
        struct warnings warnings = {request, 0};
        cx_http_reply_headers(reply, pass_header, &warnings);
        const struct cx_http_stream_source source = {.read = read_block, .release = release_stream, .context = pass};
        pass->references++;
        cx_http_notice_leaving(request, NULL);
        cx_http_respond_stream_into(request, reply->code, type ? type : "application/octet-stream", -1, &source,
                                    &pass->stream);
}

static int take_data(void *context, const struct cx_http_reply *reply CX_UNUSED, const char *data, size_t length)
{
        struct api_pass *pass = context;
        pthread_mutex_lock(&pass->lock);
        while (pass->buffer.length > BUFFER && !pass->gone)
                pthread_cond_wait(&pass->drained, &pass->lock);
        bool gone = pass->gone;
        if (!gone)
                cx_buf_append(&pass->buffer, data, length);
        pass->passed += length;
        pthread_mutex_unlock(&pass->lock);
        if (!gone)
                cx_http_stream_wake(pass->stream);
        return gone ? -EPIPE : 0;
}

static void refuse(struct cx_http_request *request, const struct cx_error *why)
{
        CX_ERROR err = CX_ERROR_INIT;
        err.retry_after = 1;
        (void)cx_error_reason(&err, CX_REASON_UNAVAILABLE, "the API server does not answer: %s", cx_error_text(why));
        cx_http_notice_leaving(request, NULL);
        cx_http_respond_error(request, &err);
}

static void *pass_main(void *context)
{
        struct api_pass *pass = context;
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_http_call call = {.method = pass->method,
                                          .path = pass->url,
                                          .body = pass->body.length ? pass->body.data : NULL,
                                          .body_length = pass->body.length,
                                          .content_type = pass->content_type,
                                          .accept = pass->accept,
                                          .timeout = TIMEOUT,
                                          .on_headers = begin_answer,
                                          .on_data = take_data,
                                          .context = pass,
                                          .cancel = &pass->left};
        int r = cx_http_do(pass->session->client, &call, &reply, &err);
        struct cx_http_request *unanswered = cx_steal(&pass->request);
        pthread_mutex_lock(&pass->lock);
        pass->finished = true;
        pass->failed = r < 0;
        pthread_mutex_unlock(&pass->lock);
        if (unanswered)
                refuse(unanswered, &err);
        else
                cx_http_stream_wake(pass->stream);
        unref(pass);
        return NULL;
}

static bool start(struct api_pass *pass)
{
        return cx_thread_detach(pass_main, pass, STACK_SIZE);
}

static struct api_pass *make_pass(struct api_passes *all, struct user_session *session, struct cx_http_request *request,
                                  const char *path)
{
        size_t length;
        const char *body = cx_http_body(request, &length), *query = cx_http_raw_query(request);
        struct api_pass *pass = cx_alloc(sizeof *pass);
        *pass = (struct api_pass){.use.end = cancel,
                                  .all = all,
                                  .session = session,
                                  .request = request,
                                  .method = cx_strdup(cx_http_method(request)),
                                  .url = cx_sprintf("%s%s%s", path, *query ? "?" : "", query),
                                  .accept = cx_strdup(cx_http_header(request, "Accept")),
                                  .content_type = cx_strdup(cx_http_header(request, "Content-Type")),
                                  .body = CX_BUF_INIT,
                                  .buffer = CX_BUF_INIT,
                                  .references = 1};
        cx_buf_append(&pass->body, body, length);
        pthread_mutex_init(&pass->lock, NULL);
        pthread_cond_init(&pass->drained, NULL);
        return pass;
}

void pass_plain(struct api_passes *all, struct user_session *session, struct cx_http_request *request, const char *path)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct api_pass *pass = make_pass(all, session, request, path);
        if (!list(all, pass)) {
                free_pass(pass);
                err.retry_after = 1;
                (void)cx_error_reason(&err, CX_REASON_TOO_MANY_REQUESTS, "too many requests at once, please try again");
                cx_http_respond_error(request, &err);
                return;
        }
        pass->used = user_session_use_begin(session, &pass->use, USE_REQUEST);
        cx_http_notice_leaving(request, &pass->left);
        if (pass->used && start(pass))
                return;
        pass->request = NULL;
        (void)cx_error_set(&err, -EAGAIN, pass->used ? "there is no thread for the request" : "the session has ended");
        refuse(request, &err);
        unref(pass);
}
