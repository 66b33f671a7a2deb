// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 messages as a proxy sees them: a head, and a body whose end has to be known but whose bytes only pass by. A head
// that two readers could take differently is refused.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_HEAD_MAX 65536
#define MESSAGE_HEADERS_MAX 256

struct body {
        enum { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_REST } kind; // REST: till the connection ends
        uint64_t left;                                                 // of the length, or of the chunk
        enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER } state;
        size_t digits, line; // of the size; of the line at hand
        bool returned;       // the last byte of the line was a carriage return
        bool ended;
};
// How many of the bytes belong to the body; what follows is the next message's. With `data` (may be NULL) the content is
// added there, without the frames of chunks. -EPROTO when it is malformed.
ssize_t body_take(struct body *body, const char *bytes, size_t length, struct cx_buf *data) CX_CHECK;

struct message {
        char *text; // owned; the others point into it
        const char *method, *target;
        int code; // of an answer
        struct {
                const char *name, *value;
        } headers[MESSAGE_HEADERS_MAX];
        size_t n_headers;
        bool old;     // HTTP/1.0
        bool close;   // nothing follows on this connection
        bool upgrade; // asks for, or is, a switch of protocols
        struct body body;
};
#define MESSAGE CX_CLEANUP(message_release) struct message
void message_release(struct message *message);
// Length of the head at the start of `text`, with its empty line; 0 when it is not all there.
size_t message_head_length(const char *text, size_t length);
int message_parse_request(const char *head, size_t length, struct message *ret_message, struct cx_error *err) CX_CHECK;
// `method` is that of the request: an answer to HEAD has no body.
int message_parse_answer(const char *head, size_t length, const char *method, struct message *ret_message,
                         struct cx_error *err) CX_CHECK;
const char *message_header(const struct message *message, const char *name); // the first; NULL when absent
// Whether the header is of this connection only, and is not passed on.
bool message_is_hop(const struct message *message, const char *name);
