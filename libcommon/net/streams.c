// SPDX-License-Identifier: Apache-2.0
// Sessions over whatever transport, and the texts that their error and resize channels carry.
#include "libcommon/net/streams.h"

#include "libcommon/base/flags.h"
#include "libcommon/format/json.h"
#include "libcommon/net/streams_internal.h"

static void release_upgrade(void *context)
{
        struct cx_streams_upgrade *upgrade = context;
        upgrade->session.release(upgrade->session.context);
        free(upgrade);
}

void cx_streams_upgrade_to(struct cx_http_request *request, const struct cx_streams_session *session,
                           const char *protocol, void (*run)(struct cx_wire *wire, void *context))
{
        struct cx_streams_upgrade *upgrade = cx_alloc(sizeof *upgrade);
        *upgrade = (struct cx_streams_upgrade){*session, protocol};
        cx_http_respond_upgrade(
                request, &(struct cx_http_upgrade_plan){.run = run, .release = release_upgrade, .context = upgrade});
}

void cx_streams_upgrade(struct cx_http_request *request, const struct cx_streams_session *session)
{
        if (cx_streams_spdy_upgrade(request, session))
                return;
        const char *why = cx_streams_websocket_upgrade(request, session);
        if (!why)
                return;
        cx_http_respond_text(request, 400, why);
        session->release(session->context);
}

int cx_streams_connect(struct cx_http_client *client, const struct cx_http_call *call, struct cx_streams **ret_streams,
                       struct cx_http_reply *ret_refusal, struct cx_error *err)
{
        struct cx_streams streams = {0};
        int r = cx_streams_websocket_connect(client, call, &streams, ret_refusal, err);
        if (r < 0)
                return r;
        *ret_streams = cx_alloc(sizeof streams);
        **ret_streams = streams;
        return 0;
}

int cx_streams_connect_forward(struct cx_http_client *client, const struct cx_http_call *call,
                               struct cx_streams **ret_streams, struct cx_http_reply *ret_refusal, struct cx_error *err)
{
        return cx_streams_spdy_connect(client, call, ret_streams, ret_refusal, err);
}

int cx_streams_open(struct cx_streams *s, int port, int *ret_n)
{
        return s->transport->open ? s->transport->open(s->carrier, port, ret_n) : -EOPNOTSUPP;
}

bool cx_streams_may_grow(const struct cx_streams *s)
{
        return s->transport->open != NULL;
}

void cx_streams_cut(struct cx_streams *s, int channel)
{
        if (s->transport->cut)
                s->transport->cut(s->carrier, channel);
}

int cx_streams_receive(struct cx_streams *s, struct cx_stream_event *ret_event, struct cx_buf *ret_data)
{
        return s->transport->receive(s->carrier, ret_event, ret_data);
}

int cx_streams_send(struct cx_streams *s, int channel, const void *data, size_t length)
{
        return s->transport->send(s->carrier, channel, data, length);
}

bool cx_streams_end(struct cx_streams *s, int channel)
{
        return s->transport->end(s->carrier, channel);
}

int cx_streams_ping(struct cx_streams *s)
{
        return s->transport->ping(s->carrier);
}

void cx_streams_close(struct cx_streams *s)
{
        s->transport->close(s->carrier);
}

int cx_streams_fd(const struct cx_streams *s)
{
        return s->transport->fd(s->carrier);
}

void cx_streams_free(struct cx_streams *s)
{
        if (!s)
                return;
        s->transport->free(s->carrier);
        free(s);
}

// --- statuses --------------------------------------------------------------------------------------------------------

#define NON_ZERO "NonZeroExitCode"
#define EXIT_CODE "ExitCode"

static json_t *make_status(int exit_code, const char *failure)
{
        if (failure)
                return json_pack("{s:{}, s:s, s:s, s:s, s:i}", "metadata", "status", "Failure", "message", failure,
                                 "reason", "InternalError", "code", 500);
        if (exit_code)
                return json_pack("{s:{}, s:s, s:s, s:s, s:{s:[{s:s, s:s}]}}", "metadata", "status", "Failure", "reason",
                                 NON_ZERO, "message", "command terminated with non-zero exit code", "details", "causes",
                                 "reason", EXIT_CODE, "message", CX_INT(exit_code));
        return json_pack("{s:{}, s:s}", "metadata", "status", "Success");
}

int cx_streams_send_status(struct cx_streams *s, int exit_code, const char *failure)
{
        json_auto_t *status = make_status(exit_code, failure);
        CX_CLEANUP(cx_freep)
        char *text = s->plain_status ? cx_strdup(cx_json_string(status, "message")) : cx_json_text(status);
        return text ? cx_streams_send(s, CX_STREAM_ERROR, text, strlen(text)) : 0;
}

int cx_stream_status_parse(const struct cx_buf *data, int *ret_exit_code, struct cx_error *err)
{
        json_auto_t *status = NULL;
        if (cx_json_parse(data->data, data->length, false, &status, NULL) < 0)
                return cx_error_set(err, -EIO, "%s", data->data);
        int64_t code = 0;
        if (!cx_streq(cx_json_string(status, "status"), "Success")) {
                if (!cx_streq(cx_json_string(status, "reason"), NON_ZERO))
                        return cx_error_set(err, -EIO, "Internal error occurred: %s",
                                            cx_json_string_or(status, "message", "unknown error"));
                const json_t *cause = cx_json_find(cx_json_get(status, "details.causes"), "reason", EXIT_CODE);
                if (cx_parse_int(cx_json_string_or(cause, "message", ""), 0, 255, &code) < 0)
                        code = 1;
        }
        *ret_exit_code = (int)code;
        return 0;
}

// --- sizes of terminals ----------------------------------------------------------------------------------------------

int cx_streams_send_size(struct cx_streams *s, int width, int height)
{
        char text[64];
        int n = snprintf(text, sizeof text, "{\"Width\":%d,\"Height\":%d}", width, height);
        return cx_streams_send(s, CX_STREAM_RESIZE, text, (size_t)n);
}

bool cx_stream_size_parse(const struct cx_buf *data, int *ret_width, int *ret_height)
{
        json_auto_t *size = NULL;
        if (cx_json_parse(data->data, data->length, false, &size, NULL) < 0)
                return false;
        int64_t width = cx_json_int(size, "Width", 0), height = cx_json_int(size, "Height", 0);
        if (width <= 0 || height <= 0 || width > UINT16_MAX || height > UINT16_MAX)
                return false;
        *ret_width = (int)width;
        *ret_height = (int)height;
        return true;
}
