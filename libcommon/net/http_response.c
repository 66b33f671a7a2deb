// SPDX-License-Identifier: Apache-2.0
// Answers: whole bodies, and streams that sleep until woken.
#include "libcommon/net/http_server_internal.h"

#include "libcommon/api/status.h"
#include "libcommon/format/json.h"

void cx_http_add_header(struct cx_http_request *request, const char *name, const char *value)
{
        request->headers = cx_realloc_array(request->headers, request->n_headers + 1, sizeof *request->headers);
        request->headers[request->n_headers++] =
                (struct cx_http_header){.name = cx_strdup(name), .value = cx_strdup(value)};
}

// Hands the response to the I/O thread. The request must not be touched by the caller afterwards.
static void answer(struct cx_http_request *request, int code, const char *content_type, struct MHD_Response *response)
{
        cx_http_request_answering(request, code);
        for (size_t i = 0; i < request->n_headers; i++)
                MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
        if (content_type)
                MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
        request->response = response;
        struct MHD_Connection *connection = request->connection;
        if (atomic_exchange(&request->state, CX_HTTP_ANSWERED) != CX_HTTP_RUNNING)
                MHD_resume_connection(connection);
}

static const char *type_or_json(const char *content_type)
{
        return content_type ? content_type : "application/json";
}

void cx_http_respond(struct cx_http_request *request, int code, const char *content_type, const void *body,
                     size_t length)
{
        request->has_body = length > 0;
        answer(request, code, type_or_json(content_type),
               MHD_create_response_from_buffer(length, (void *)body, MHD_RESPMEM_MUST_COPY));
}

void cx_http_respond_text(struct cx_http_request *request, int code, const char *text)
{
        cx_http_respond(request, code, "text/plain; charset=utf-8", text, strlen(text));
}

void cx_http_respond_buf(struct cx_http_request *request, int code, const char *content_type, struct cx_buf *body_steal)
{
        size_t length = body_steal->length;
        char *data = cx_buf_detach(body_steal);
        request->has_body = length > 0;
        answer(request, code, type_or_json(content_type),
               MHD_create_response_from_buffer(length, data, MHD_RESPMEM_MUST_FREE));
}

void cx_http_respond_json(struct cx_http_request *request, int code, json_t *body_steal)
{
        CX_BUF text = CX_BUF_INIT;
        cx_json_dump(body_steal, &text);
        json_decref(body_steal);
        cx_buf_add_char(&text, '\n');
        cx_http_respond_buf(request, code, NULL, &text);
}

void cx_http_respond_error(struct cx_http_request *request, const struct cx_error *err)
{
        if (err->retry_after)
                cx_http_add_header(request, "Retry-After", CX_INT(err->retry_after));
        cx_http_respond_json(request, cx_status_http_code(err), cx_status_from_error(err));
}

// --- streams ---

void cx_http_stream_unref(struct cx_http_stream *stream)
{
        if (!stream || atomic_fetch_sub(&stream->references, 1) != 1)
                return;
        pthread_mutex_destroy(&stream->lock);
        free(stream);
}

// Called by libmicrohttpd on an I/O thread.
static ssize_t read_stream(void *context, uint64_t offset, char *to, size_t max)
{
        struct cx_http_stream *stream = context;
        for (;;) {
                pthread_mutex_lock(&stream->lock);
                stream->woken = false;
                bool aborted = stream->aborted;
                pthread_mutex_unlock(&stream->lock);
                ssize_t n = aborted ? CX_HTTP_STREAM_END : stream->source.read(stream->source.context, offset, to, max);
                if (n > 0)
                        return n;
                if (n == CX_HTTP_STREAM_END)
                        return MHD_CONTENT_READER_END_OF_STREAM;
                if (n != CX_HTTP_STREAM_WAIT)
                        return MHD_CONTENT_READER_END_WITH_ERROR;
                pthread_mutex_lock(&stream->lock);
                bool sleep = !stream->woken;
                if (sleep) {
                        stream->suspended = true;
                        MHD_suspend_connection(stream->connection);
                }
                pthread_mutex_unlock(&stream->lock);
                if (sleep)
                        return 0;
        }
}

static void release_stream(void *context)
{
        struct cx_http_stream *stream = context;
        struct cx_http_server *server = stream->server;
        pthread_mutex_lock(&stream->lock);
        stream->connection = NULL;
        pthread_mutex_unlock(&stream->lock);
        pthread_mutex_lock(&server->lock);
        if (stream->previous)
                stream->previous->next = stream->next;
        else
                server->streams = stream->next;
        if (stream->next)
                stream->next->previous = stream->previous;
        pthread_mutex_unlock(&server->lock);
        if (stream->source.release)
                stream->source.release(stream->source.context);
        cx_http_stream_unref(stream);
}

void cx_http_respond_stream_into(struct cx_http_request *request, int code, const char *content_type, int64_t length,
                                 const struct cx_http_stream_source *source, struct cx_http_stream **ret_stream)
{
        struct cx_http_server *server = request->server;
        struct cx_http_stream *stream = cx_alloc(sizeof *stream);
        atomic_init(&stream->references, 2);
        pthread_mutex_init(&stream->lock, NULL);
        stream->server = server;
        stream->connection = request->connection;
        stream->fd = cx_http_connection_peer(request->connection)->fd;
        stream->source = *source;
        pthread_mutex_lock(&server->lock);
        stream->aborted = server->stopping;
        stream->next = server->streams;
        if (stream->next)
                stream->next->previous = stream;
        server->streams = stream;
        pthread_mutex_unlock(&server->lock);
        struct MHD_Response *response = MHD_create_response_from_callback(
                length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length, source->block ? source->block : 4096, read_stream,
                stream, release_stream);
        request->patient = source->patient;
        __atomic_store_n(ret_stream, stream, __ATOMIC_RELEASE);
        answer(request, code, type_or_json(content_type), response);
}

struct cx_http_stream *cx_http_respond_stream(struct cx_http_request *request, int code, const char *content_type,
                                              int64_t length, const struct cx_http_stream_source *source)
{
        struct cx_http_stream *stream = NULL;
        cx_http_respond_stream_into(request, code, content_type, length, source, &stream);
        return stream;
}

void cx_http_stream_wake(struct cx_http_stream *stream)
{
        pthread_mutex_lock(&stream->lock);
        stream->woken = true;
        if (stream->suspended && stream->connection) {
                stream->suspended = false;
                MHD_resume_connection(stream->connection);
        }
        pthread_mutex_unlock(&stream->lock);
}

void cx_http_streams_abort(struct cx_http_server *server)
{
        pthread_mutex_lock(&server->lock);
        for (struct cx_http_stream *stream = server->streams; stream; stream = stream->next) {
                pthread_mutex_lock(&stream->lock);
                stream->aborted = true;
                pthread_mutex_unlock(&stream->lock);
                cx_http_stream_wake(stream);
        }
        pthread_mutex_unlock(&server->lock);
}
