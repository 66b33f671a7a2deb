// SPDX-License-Identifier: Apache-2.0
// Threads that run the handler. One is started when a request finds nobody idle, up to a limit; then requests wait. A
// request goes to the thread that has been idle for the shortest time, and one that has been idle for IDLE_LIMIT ends: there
// are as many as the load needs. That is for memory's sake: each has a stack, and malloc keeps blocks aside for each.
#include "libcommon/net/http_server_internal.h"

#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#define IDLE_LIMIT (5 * CX_NS_PER_S)
#define STACK_SIZE ((size_t)1 << 20)

// On its thread's stack.
struct cx_http_worker {
        struct cx_http_worker *below; // of the idle ones: has been idle for longer
        pthread_cond_t called;
        struct cx_http_request *request; // what it is called for
};

static void leave_idle(struct cx_http_server *server, const struct cx_http_worker *worker)
{
        struct cx_http_worker **at = &server->idle;
        while (*at != worker)
                at = &(*at)->below;
        *at = worker->below;
}

// NULL: the thread is to end. With the lock held.
static struct cx_http_request *wait_for_call(struct cx_http_server *server, struct cx_http_worker *worker)
{
        int64_t deadline = cx_time_monotonic() + IDLE_LIMIT;
        bool late = false;
        worker->below = server->idle;
        server->idle = worker;
        while (!worker->request && !server->stopping && !late)
                if (cx_cond_wait_until(&worker->called, &server->lock, deadline)) {
                        late = server->n_workers > 1; // one stays: to start another may fail
                        deadline = INT64_MAX;
                }
        if (worker->request)
                return cx_steal(&worker->request); // whoever called has taken it from the idle ones
        leave_idle(server, worker);
        return NULL;
}

static struct cx_http_request *take_queued(struct cx_http_server *server)
{
        struct cx_http_request *request = server->queue_head;
        if (request)
                server->queue_head = request->next;
        if (!server->queue_head)
                server->queue_tail = NULL;
        return request;
}

static void *worker_main(void *context)
{
        struct cx_http_server *server = context;
        struct cx_http_worker worker = {0};
        (void)pthread_setname_np(pthread_self(), "http-worker");
        cx_cond_init(&worker.called);
        pthread_mutex_lock(&server->lock);
        for (;;) {
                struct cx_http_request *request = take_queued(server);
                if (!request)
                        request = wait_for_call(server, &worker);
                if (!request)
                        break;
                pthread_mutex_unlock(&server->lock);
                server->options.handler(request, server->options.context);
                pthread_mutex_lock(&server->lock);
        }
        pthread_cond_destroy(&worker.called);
        if (--server->n_workers == 0)
                pthread_cond_broadcast(&server->gone);
        pthread_mutex_unlock(&server->lock);
        return NULL;
}

// With the lock held.
static bool start_worker(struct cx_http_server *server)
{
        if (!cx_thread_detach(worker_main, server, STACK_SIZE))
                return false;
        server->n_workers++;
        return true;
}

int cx_http_workers_start(struct cx_http_server *server, struct cx_error *err)
{
        pthread_mutex_lock(&server->lock);
        bool started = start_worker(server);
        pthread_mutex_unlock(&server->lock);
        return started ? 0 : cx_error_set(err, -EAGAIN, "cannot start a worker thread");
}

void cx_http_workers_call(struct cx_http_server *server, struct cx_http_request *request)
{
        struct cx_http_worker *worker = server->idle;
        if (worker) {
                server->idle = worker->below;
                worker->request = request;
                pthread_cond_signal(&worker->called);
                return;
        }
        request->next = NULL;
        if (server->queue_tail)
                server->queue_tail->next = request;
        else
                server->queue_head = request;
        server->queue_tail = request;
        if (server->n_workers < server->options.workers)
                (void)start_worker(server);
}

void cx_http_workers_stop(struct cx_http_server *server)
{
        for (struct cx_http_worker *worker = server->idle; worker; worker = worker->below)
                pthread_cond_signal(&worker->called);
        while (server->n_workers > 0)
                pthread_cond_wait(&server->gone, &server->lock);
}
