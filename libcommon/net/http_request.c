// SPDX-License-Identifier: Apache-2.0
// The parts of a request: URI, query, headers and body.
#include "libcommon/net/http_server_internal.h"

#define MAX_PARAMETERS 256

static int hex(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

// Percent-decodes; a malformed escape and an escaped zero byte stay as they are.
static char *decode(const char *text, size_t length, bool plus_is_blank)
{
        char *to = cx_alloc(length + 1), *p = to;
        for (size_t i = 0; i < length; i++) {
                int high = text[i] == '%' && length - i > 2 ? hex(text[i + 1]) : -1;
                int low = high >= 0 ? hex(text[i + 2]) : -1;
                if (low >= 0 && (high | low)) {
                        *p++ = (char)(high * 16 + low);
                        i += 2;
                } else {
                        *p++ = plus_is_blank && text[i] == '+' ? ' ' : text[i];
                }
        }
        return to;
}

static void parse_query(struct cx_http_request *request, const char *query)
{
        while (*query && request->n_parameters < MAX_PARAMETERS) {
                size_t length = strcspn(query, "&");
                const char *equals = memchr(query, '=', length);
                size_t name_length = equals ? (size_t)(equals - query) : length;
                if (length) {
                        request->parameters = cx_realloc_array(request->parameters, request->n_parameters + 1,
                                                               sizeof *request->parameters);
                        request->parameters[request->n_parameters++] = (struct cx_http_parameter){
                                .name = decode(query, name_length, true),
                                .value = equals ? decode(equals + 1, length - name_length - 1, true) : cx_strdup(""),
                        };
                }
                query += length + (query[length] == '&');
        }
}

void cx_http_request_parse_uri(struct cx_http_request *request, const char *uri)
{
        size_t length = strcspn(uri, "?#");
        request->path = decode(uri, length, false);
        request->raw_path = memchr(uri, '%', length) ? cx_strndup(uri, length) : NULL;
        const char *query = uri[length] == '?' ? uri + length + 1 : "";
        request->raw_query = cx_strndup(query, strcspn(query, "#"));
        parse_query(request, request->raw_query);
}

void cx_http_request_free(struct cx_http_request *request)
{
        if (request->free_user_data)
                request->free_user_data(request->user_data);
        if (request->response)
                MHD_destroy_response(request->response);
        for (size_t i = 0; i < request->n_parameters; i++) {
                free(request->parameters[i].name);
                free(request->parameters[i].value);
        }
        for (size_t i = 0; i < request->n_headers; i++) {
                free(request->headers[i].name);
                free(request->headers[i].value);
        }
        free(request->parameters);
        free(request->headers);
        cx_buf_release(&request->body);
        free(request->path);
        free(request->raw_path);
        free(request->raw_query);
        free(request);
}

const char *cx_http_method(const struct cx_http_request *request)
{
        return request->method;
}

const char *cx_http_path(const struct cx_http_request *request)
{
        return request->path;
}

const char *cx_http_raw_path(const struct cx_http_request *request)
{
        return request->raw_path ? request->raw_path : request->path;
}

const char *cx_http_raw_query(const struct cx_http_request *request)
{
        return request->raw_query;
}

const char *cx_http_query(const struct cx_http_request *request, const char *name)
{
        for (size_t i = 0; i < request->n_parameters; i++)
                if (strcmp(request->parameters[i].name, name) == 0)
                        return request->parameters[i].value;
        return NULL;
}

void cx_http_query_all(const struct cx_http_request *request, const char *name, struct cx_strings *ret_values)
{
        for (size_t i = 0; i < request->n_parameters; i++)
                if (strcmp(request->parameters[i].name, name) == 0)
                        cx_strings_add(ret_values, request->parameters[i].value);
}

const char *cx_http_header(const struct cx_http_request *request, const char *name)
{
        return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct header_walk {
        void (*each)(void *context, const char *name, const char *value);
        void *context;
};

static enum MHD_Result walk_header(void *context, enum MHD_ValueKind kind CX_UNUSED, const char *name,
                                   const char *value)
{
        struct header_walk *walk = context;
        walk->each(walk->context, name, cx_str(value));
        return MHD_YES;
}

void cx_http_headers(const struct cx_http_request *request,
                     void (*each)(void *context, const char *name, const char *value), void *context)
{
        struct header_walk walk = {each, context};
        MHD_get_connection_values(request->connection, MHD_HEADER_KIND, walk_header, &walk);
}

const char *cx_http_body(const struct cx_http_request *request, size_t *ret_length)
{
        *ret_length = request->body.length;
        return request->body.data;
}

void *cx_http_user_data(const struct cx_http_request *request)
{
        return request->user_data;
}

void cx_http_set_user_data(struct cx_http_request *request, void *data, void (*free_data)(void *))
{
        request->user_data = data;
        request->free_user_data = free_data;
}

void cx_http_before_answer(struct cx_http_request *request, void (*before)(struct cx_http_request *request))
{
        request->before_answer = before;
}

void cx_http_request_answering(struct cx_http_request *request, int code)
{
        void (*before)(struct cx_http_request *) = cx_steal(&request->before_answer);
        request->code = code;
        if (before)
                before(request);
}

int cx_http_response_code(const struct cx_http_request *request)
{
        return request->code;
}

int64_t cx_http_start_time(const struct cx_http_request *request)
{
        return request->start_time;
}
