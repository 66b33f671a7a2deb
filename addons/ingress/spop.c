// SPDX-License-Identifier: Apache-2.0
#include "addons/ingress/spop.h"

#define FLAG_FIN 1u

enum {
        DATA_NULL,
        DATA_BOOL,
        DATA_INT32,
        DATA_UINT32,
        DATA_INT64,
        DATA_UINT64,
        DATA_IPV4,
        DATA_IPV6,
        DATA_STRING,
        DATA_BINARY
};
#define BOOL_TRUE 0x10

// --- reading ---

struct spop_reader {
        const unsigned char *at, *end;
        bool wrong;
};

static unsigned read_byte(struct spop_reader *r)
{
        if (r->at == r->end) {
                r->wrong = true;
                return 0;
        }
        return *r->at++;
}

static uint64_t read_varint(struct spop_reader *r)
{
        uint64_t value = read_byte(r);
        if (value < 240)
                return value;
        for (int shift = 4; shift < 60; shift += 7) {
                uint64_t byte = read_byte(r);
                value += byte << shift;
                if (byte < 128)
                        return value;
        }
        r->wrong = true;
        return 0;
}

static void skip(struct spop_reader *r, uint64_t length)
{
        if (length > (uint64_t)(r->end - r->at))
                r->wrong = true;
        else
                r->at += length;
}

// A text of its own; NULL when it has a NUL inside. What is wrong is not kept.
static char *read_text(struct spop_reader *r)
{
        uint64_t length = read_varint(r);
        const unsigned char *begin = r->at;
        skip(r, length);
        if (r->wrong || memchr(begin, '\0', length))
                return NULL;
        return cx_strndup((const char *)begin, length);
}

struct spop_value {
        char *text; // owned; NULL: of another type
        uint64_t number;
};

static struct spop_value read_value(struct spop_reader *r)
{
        struct spop_value value = {0};
        unsigned type = read_byte(r);
        switch (type & 15) {
        case DATA_NULL:
                break;
        case DATA_BOOL:
                value.number = type & BOOL_TRUE;
                break;
        case DATA_INT32:
        case DATA_UINT32:
        case DATA_INT64:
        case DATA_UINT64:
                value.number = read_varint(r);
                break;
        case DATA_IPV4:
                skip(r, 4);
                break;
        case DATA_IPV6:
                skip(r, 16);
                break;
        case DATA_STRING:
        case DATA_BINARY:
                value.text = read_text(r);
                break;
        default:
                r->wrong = true;
        }
        return value;
}

static void take(char **to, struct spop_value *value)
{
        free(*to);
        *to = cx_steal(&value->text);
}

static void read_pair(struct spop_reader *r, struct spop_frame *to)
{
        CX_CLEANUP(cx_freep) char *name = read_text(r);
        struct spop_value value = read_value(r);
        if (cx_streq(name, "healthcheck"))
                to->healthcheck = value.number;
        else if (cx_streq(name, "max-frame-size"))
                to->max_size = value.number;
        else if (cx_streq(name, "id"))
                take(&to->id, &value);
        else if (cx_streq(name, "credentials"))
                take(&to->credentials, &value);
        free(value.text);
}

static void read_messages(struct spop_reader *r, struct spop_frame *to)
{
        while (r->at < r->end && !r->wrong) {
                free(read_text(r)); // there is one message only
                for (unsigned left = read_byte(r); left && !r->wrong; left--)
                        read_pair(r, to);
        }
}

int spop_parse(const void *data, size_t length, struct spop_frame *ret_frame)
{
        struct spop_reader r = {data, (const unsigned char *)data + length, false};
        struct spop_frame frame = {.type = read_byte(&r)};
        uint32_t flags = 0;
        for (int i = 0; i < 4; i++)
                flags = flags << 8 | read_byte(&r);
        frame.stream = read_varint(&r);
        frame.frame = read_varint(&r);
        if (frame.type == SPOP_NOTIFY)
                read_messages(&r, &frame);
        while (frame.type == SPOP_HAPROXY_HELLO && r.at < r.end && !r.wrong)
                read_pair(&r, &frame);
        if (r.wrong || flags != FLAG_FIN) {
                spop_frame_release(&frame);
                return -EPROTO;
        }
        *ret_frame = frame;
        return 0;
}

void spop_frame_release(struct spop_frame *frame)
{
        free(frame->id);
        if (frame->credentials)
                explicit_bzero(frame->credentials, strlen(frame->credentials));
        free(frame->credentials);
        *frame = (struct spop_frame){0};
}

// --- writing ---

static void write_byte(struct cx_buf *to, unsigned byte)
{
        cx_buf_add_char(to, (char)byte);
}

static void write_varint(struct cx_buf *to, uint64_t value)
{
        if (value < 240) {
                write_byte(to, (unsigned)value);
                return;
        }
        write_byte(to, (unsigned)(value & 15) | 240);
        for (value = (value - 240) >> 4; value >= 128; value = (value - 128) >> 7)
                write_byte(to, (unsigned)(value & 127) | 128);
        write_byte(to, (unsigned)value);
}

static void write_text(struct cx_buf *to, const char *text)
{
        write_varint(to, strlen(text));
        cx_buf_add(to, text);
}

static void write_frame(enum spop_type type, uint64_t stream, uint64_t frame, const struct cx_buf *payload,
                        struct cx_buf *to)
{
        CX_BUF body = CX_BUF_INIT;
        write_byte(&body, type);
        cx_buf_append(&body, (const char[]){0, 0, 0, FLAG_FIN}, 4);
        write_varint(&body, stream);
        write_varint(&body, frame);
        cx_buf_append(&body, payload->data, payload->length);
        for (int shift = 24; shift >= 0; shift -= 8)
                write_byte(to, (unsigned)(body.length >> shift) & 255);
        cx_buf_append(to, body.data, body.length);
}

void spop_write_hello(uint64_t max_size, struct cx_buf *to)
{
        CX_BUF payload = CX_BUF_INIT;
        write_text(&payload, "version");
        write_byte(&payload, DATA_STRING);
        write_text(&payload, "2.0");
        write_text(&payload, "max-frame-size");
        write_byte(&payload, DATA_UINT32);
        write_varint(&payload, max_size);
        write_text(&payload, "capabilities");
        write_byte(&payload, DATA_STRING);
        write_text(&payload, "");
        write_frame(SPOP_AGENT_HELLO, 0, 0, &payload, to);
}

void spop_write_verdict(const struct spop_frame *question, bool accepted, struct cx_buf *to)
{
        enum { SET_VARIABLE = 1, ARGUMENTS = 3, SCOPE_TRANSACTION = 2 };
        CX_BUF payload = CX_BUF_INIT;
        write_byte(&payload, SET_VARIABLE);
        write_byte(&payload, ARGUMENTS);
        write_byte(&payload, SCOPE_TRANSACTION);
        write_text(&payload, "user");
        write_byte(&payload, DATA_BOOL | (accepted ? BOOL_TRUE : 0));
        write_frame(SPOP_ACK, question->stream, question->frame, &payload, to);
}

void spop_write_disconnect(struct cx_buf *to)
{
        CX_BUF payload = CX_BUF_INIT;
        write_text(&payload, "status-code");
        write_byte(&payload, DATA_UINT32);
        write_varint(&payload, 0);
        write_text(&payload, "message");
        write_byte(&payload, DATA_STRING);
        write_text(&payload, "");
        write_frame(SPOP_AGENT_DISCONNECT, 0, 0, &payload, to);
}
