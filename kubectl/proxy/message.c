// SPDX-License-Identifier: Apache-2.0
#include "kubectl/proxy/message.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define CHUNK_LINE_MAX 4096

// --- bodies ----------------------------------------------------------------------------------------------------------

static int hex(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

// One byte of what frames a chunk.
static int chunk_byte(struct body *body, char c)
{
        bool after_return = body->returned;
        body->returned = c == '\r';
        if (++body->line > CHUNK_LINE_MAX || (c == '\n') != after_return) // no line feed alone, nor a return
                return -EPROTO;
        switch (body->state) {
        case CHUNK_SIZE:
                if (hex(c) >= 0) {
                        body->left = body->left * 16 + (uint64_t)hex(c);
                        return ++body->digits > 15 ? -EPROTO : 0;
                }
                if (!body->digits || !strchr("\r; \t", c) || !c)
                        return -EPROTO;
                body->state = CHUNK_EXTENSION;
                return 0;
        case CHUNK_EXTENSION:
                if (c == '\n') {
                        body->line = 0;
                        body->state = body->left ? CHUNK_DATA : CHUNK_TRAILER;
                }
                return 0;
        case CHUNK_DATA_END: // "\r\n"
                if (c != "\r\n"[body->line - 1])
                        return -EPROTO;
                if (c == '\n') {
                        body->state = CHUNK_SIZE;
                        body->digits = body->line = 0;
                }
                return 0;
        default: // the trailer ends with an empty line
                if (c == '\n') {
                        body->ended = body->line == 2;
                        body->line = 0;
                }
                return 0;
        }
}

ssize_t body_take(struct body *body, const char *bytes, size_t length, struct cx_buf *data)
{
        size_t at = 0;
        while (at < length && !body->ended) {
                size_t n = length - at;
                if (body->kind == BODY_CHUNKED && body->state != CHUNK_DATA) {
                        if (chunk_byte(body, bytes[at++]) < 0)
                                return -EPROTO;
                        continue;
                }
                if (body->kind != BODY_REST && n > body->left)
                        n = (size_t)body->left;
                if (data)
                        cx_buf_append(data, bytes + at, n);
                at += n;
                if (body->kind == BODY_REST)
                        continue;
                body->left -= n;
                body->ended = !body->left && body->kind == BODY_LENGTH;
                if (!body->left && body->kind == BODY_CHUNKED)
                        body->state = CHUNK_DATA_END;
        }
        return (ssize_t)at;
}

// --- heads -----------------------------------------------------------------------------------------------------------

void message_release(struct message *message)
{
        free(message->text);
        message->text = NULL;
}

size_t message_head_length(const char *text, size_t length)
{
        const char *end = memmem(text, length, "\r\n\r\n", 4);
        return end ? (size_t)(end - text) + 4 : 0;
}

const char *message_header(const struct message *message, const char *name)
{
        for (size_t i = 0; i < message->n_headers; i++)
                if (strcasecmp(message->headers[i].name, name) == 0)
                        return message->headers[i].value;
        return NULL;
}

static bool is_token(const char *text, size_t length)
{
        for (size_t i = 0; i < length; i++)
                if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] > '~' ||
                    strchr("\"(),/:;<=>?@[\\]{}", text[i]))
                        return false;
        return length > 0;
}

// Whether a list of words, separated by commas, has this one.
static bool has_word(const char *list, const char *word)
{
        size_t n = strlen(word);
        for (const char *p = list; p; p = strchr(p, ',')) {
                p += strspn(p, ", \t");
                if (strncasecmp(p, word, n) == 0 && strchr(", \t", p[n]))
                        return true;
        }
        return false;
}

static bool header_has(const struct message *message, const char *name, const char *word)
{
        for (size_t i = 0; i < message->n_headers; i++)
                if (strcasecmp(message->headers[i].name, name) == 0 && has_word(message->headers[i].value, word))
                        return true;
        return false;
}

bool message_is_hop(const struct message *message, const char *name)
{
        static const char *const hops[] = {
                "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
                "TE",         "Trailer",          "Upgrade"};
        for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
                if (strcasecmp(hops[i], name) == 0)
                        return true;
        // What frames the body is never one, whatever "Connection" says.
        if (strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0)
                return false;
        return header_has(message, "Connection", name);
}

static int parse_headers(struct message *message, char *line, struct cx_error *err)
{
        while (*line) {
                char *end = strstr(line, "\r\n"), *colon = memchr(line, ':', (size_t)(end - line));
                *end = 0;
                if (!colon || !is_token(line, (size_t)(colon - line)) || strpbrk(line, "\r\n"))
                        return cx_error_set(err, -EPROTO, "malformed HTTP header");
                if (message->n_headers == MESSAGE_HEADERS_MAX)
                        return cx_error_set(err, -EPROTO, "too many HTTP headers");
                *colon = 0;
                char *value = colon + 1 + strspn(colon + 1, " \t");
                for (char *last = end; last > value && strchr(" \t", last[-1]);)
                        *--last = 0;
                message->headers[message->n_headers].name = line;
                message->headers[message->n_headers++].value = value;
                line = end + 2;
        }
        return 0;
}

// How the body ends, from the headers. `rest`: without any it goes till the end of the connection.
static int find_body(struct message *message, bool rest, struct cx_error *err)
{
        const char *length = NULL, *encoding = NULL;
        for (size_t i = 0; i < message->n_headers; i++) {
                bool is_length = strcasecmp(message->headers[i].name, "Content-Length") == 0;
                if (!is_length && strcasecmp(message->headers[i].name, "Transfer-Encoding") != 0)
                        continue;
                if (is_length ? length != NULL : encoding != NULL)
                        return cx_error_set(err, -EPROTO, "%s is there twice", message->headers[i].name);
                *(is_length ? &length : &encoding) = message->headers[i].value;
        }
        if (encoding && (length || strcasecmp(encoding, "chunked") != 0 || message->old))
                return cx_error_set(err, -EPROTO, "unsupported transfer encoding");
        if (encoding) {
                message->body.kind = BODY_CHUNKED;
        } else if (length) {
                int64_t n;
                if (strspn(length, "0123456789") != strlen(length) || cx_parse_int(length, 0, INT64_MAX, &n) < 0)
                        return cx_error_set(err, -EPROTO, "bad Content-Length");
                message->body = (struct body){.kind = n ? BODY_LENGTH : BODY_NONE, .left = (uint64_t)n};
        } else {
                message->body.kind = rest ? BODY_REST : BODY_NONE;
        }
        message->body.ended = message->body.kind == BODY_NONE;
        message->close = message->close || message->body.kind == BODY_REST;
        return 0;
}

// Copies the head and takes its first line and headers apart; `ret_first` points into the copy.
static int parse(const char *head, size_t length, struct message *message, char **ret_first, struct cx_error *err)
{
        *message = (struct message){0};
        if (memchr(head, 0, length))
                return cx_error_set(err, -EPROTO, "malformed HTTP head");
        message->text = cx_strndup(head, length - 2); // without the empty line
        char *end = strstr(message->text, "\r\n");
        *end = 0;
        *ret_first = message->text;
        return parse_headers(message, end + 2, err);
}

static void connection_words(struct message *message)
{
        message->close = header_has(message, "Connection", "close") ||
                         (message->old && !header_has(message, "Connection", "keep-alive"));
        message->upgrade = header_has(message, "Connection", "upgrade") && message_header(message, "Upgrade");
}

int message_parse_request(const char *head, size_t length, struct message *ret_message, struct cx_error *err)
{
        char *method;
        int r = parse(head, length, ret_message, &method, err);
        if (r < 0)
                return r;
        char *target = strchr(method, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
        if (!version)
                return cx_error_set(err, -EPROTO, "malformed HTTP request");
        *target++ = *version++ = 0;
        if (!is_token(method, strlen(method)) || strpbrk(target, "\r\n\t") || !*target ||
            (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0))
                return cx_error_set(err, -EPROTO, "malformed HTTP request");
        ret_message->method = method;
        ret_message->target = target;
        ret_message->old = strcmp(version, "HTTP/1.0") == 0;
        connection_words(ret_message);
        return find_body(ret_message, false, err);
}

int message_parse_answer(const char *head, size_t length, const char *method, struct message *ret_message,
                         struct cx_error *err)
{
        char *line;
        int64_t code;
        int r = parse(head, length, ret_message, &line, err);
        if (r < 0)
                return r;
        if ((strncmp(line, "HTTP/1.1 ", 9) != 0 && strncmp(line, "HTTP/1.0 ", 9) != 0) || strlen(line) < 12 ||
            (line[12] && line[12] != ' '))
                return cx_error_set(err, -EPROTO, "malformed HTTP answer");
        ret_message->old = line[7] == '0';
        ret_message->target = line[12] ? line + 13 : line + 12; // the reason
        line[12] = 0;
        if (strspn(line + 9, "0123456789") != 3 || cx_parse_int(line + 9, 100, 999, &code) < 0)
                return cx_error_set(err, -EPROTO, "malformed HTTP answer");
        ret_message->code = (int)code;
        connection_words(ret_message);
        r = find_body(ret_message, true, err);
        if (r == 0 && (code < 200 || code == 204 || code == 304 || strcmp(method, "HEAD") == 0)) {
                bool close = header_has(ret_message, "Connection", "close");
                ret_message->body = (struct body){.kind = BODY_NONE, .ended = true};
                ret_message->close = close;
        }
        return r;
}
