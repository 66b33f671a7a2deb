// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a backend answers: status lines, headers, chunks with extensions, trailers, an early end. A thread
// plays the backend on a socket in a folder of its own; the client is the one that the apiserver's proxies use.
#include "libcommon/net/http_client.h"

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
        int listener;
        char path[64];
        struct cx_http_client *client;
        pthread_mutex_t lock; // guards answer, which may still be sent when the client has gone
        struct cx_buf answer;
} backend = {.lock = PTHREAD_MUTEX_INITIALIZER, .answer = CX_BUF_INIT};

static void remove_socket(void)
{
        unlink(backend.path);
}

static void *serve(void *context)
{
        for (;;) {
                CX_CLEANUP(cx_closep) int fd = accept4(backend.listener, NULL, NULL, SOCK_CLOEXEC);
                char request[4096];
                if (fd < 0 || recv(fd, request, sizeof request, 0) <= 0)
                        continue;
                CX_BUF answer = CX_BUF_INIT;
                pthread_mutex_lock(&backend.lock);
                cx_buf_append(&answer, backend.answer.data, backend.answer.length);
                pthread_mutex_unlock(&backend.lock);
                if (send(fd, answer.data, answer.length, MSG_NOSIGNAL) == (ssize_t)answer.length)
                        shutdown(fd, SHUT_WR);
                while (recv(fd, request, sizeof request, 0) > 0)
                        ;
        }
        return context;
}

static void start(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        pthread_t thread;
        cx_process_init();
        (void)snprintf(backend.path, sizeof backend.path, "/tmp/fuzz-http-client.%d", (int)getpid());
        cx_copy_string(address.sun_path, sizeof address.sun_path, backend.path);
        backend.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct cx_http_client_options options = {.base_url = "http://backend", .unix_socket = backend.path};
        if (bind(backend.listener, (struct sockaddr *)&address, sizeof address) < 0 ||
            listen(backend.listener, 8) < 0 || cx_http_client_new(&options, &backend.client, NULL) < 0 ||
            pthread_create(&thread, NULL, serve, NULL) != 0)
                abort();
        (void)atexit(remove_socket);
}

struct seen {
        int begun;
        size_t length;
};

static void on_headers(void *context, const struct cx_http_reply *reply)
{
        static const char *const names[] = {"Content-Type", "Location", "Set-Cookie", "Trailer"};
        struct seen *seen = context;
        seen->begun++;
        if (reply->code < 200)
                abort(); // an interim answer is no answer
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++)
                free(cx_http_reply_header(reply, names[i]));
}

static int on_data(void *context, const struct cx_http_reply *reply, const char *data, size_t length)
{
        struct seen *seen = context;
        (void)reply;
        (void)data;
        if (!seen->begun)
                abort(); // data before the headers
        seen->length += length;
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!backend.client)
                start();
        pthread_mutex_lock(&backend.lock);
        cx_buf_clear(&backend.answer);
        cx_buf_append(&backend.answer, data, size);
        pthread_mutex_unlock(&backend.lock);
        struct seen seen = {0};
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        struct cx_http_call call = {
                .path = "/", .timeout = CX_NS_PER_S, .on_headers = on_headers, .on_data = on_data, .context = &seen};
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_http_do(backend.client, &call, &reply, &err) == 0 && (reply.code < 200 || !seen.begun))
                abort();
        if (seen.length > size)
                abort();
        cx_http_client_trim(backend.client, 0);
        return 0;
}
