// SPDX-License-Identifier: Apache-2.0
// The parts of a request: URI, query, headers, body, and who is at the other end of the connection.
#include "libcommon/net/http_server_internal.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

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

int cx_http_response_code(const struct cx_http_request *request)
{
        return request->code;
}

int64_t cx_http_start_time(const struct cx_http_request *request)
{
        return request->start_time;
}

// --- the peer ---

void cx_http_peer_free(struct cx_http_peer *peer)
{
        if (!peer)
                return;
        cx_buf_release(&peer->held);
        free(peer->common_name);
        cx_strings_release(&peer->organizations);
        free(peer);
}

struct cx_http_peer *cx_http_connection_peer(struct MHD_Connection *connection)
{
        return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void read_subject(struct cx_http_peer *peer, gnutls_x509_crt_t certificate)
{
        char text[1024];
        size_t size = sizeof text;
        if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &size) >= 0)
                peer->common_name = cx_strndup(text, size);
        for (unsigned i = 0; i < 64; i++) {
                size = sizeof text;
                if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_ORGANIZATION_NAME, i, 0, text, &size) <
                    0)
                        break;
                cx_strings_add_length(&peer->organizations, text, size);
        }
}

static void read_certificate(struct cx_http_peer *peer, gnutls_session_t session)
{
        unsigned count = 0, status = 0;
        const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
        gnutls_x509_crt_t certificate;
        if (!chain || !count)
                return;
        peer->has_certificate = true;
        gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                         .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
        if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0) {
                peer->bad = "certificate cannot be verified";
                return;
        }
        if (status) {
                peer->bad = status & GNUTLS_CERT_EXPIRED ? "certificate has expired"
                            : status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA)
                                    ? "certificate signed by unknown authority"
                                    : "certificate is not valid for client authentication";
                return;
        }
        if (gnutls_x509_crt_init(&certificate) < 0)
                return;
        if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) >= 0)
                read_subject(peer, certificate);
        gnutls_x509_crt_deinit(certificate);
}

// Requests of one connection come one after another, so the peer needs no lock.
static struct cx_http_peer *peer_of(const struct cx_http_request *request)
{
        struct cx_http_peer *peer = cx_http_connection_peer(request->connection);
        if (peer->examined)
                return peer;
        peer->examined = true;
        const union MHD_ConnectionInfo *info =
                request->server->options.client_ca_pem
                        ? MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
                        : NULL;
        if (info && info->tls_session)
                read_certificate(peer, info->tls_session);
        return peer;
}

const char *cx_http_remote_address(const struct cx_http_request *request)
{
        return peer_of(request)->address;
}

bool cx_http_client_certificate(const struct cx_http_request *request, char **ret_cn, struct cx_strings *ret_groups)
{
        const struct cx_http_peer *peer = peer_of(request);
        if (!peer->has_certificate || peer->bad || !peer->common_name)
                return false;
        *ret_cn = cx_strdup(peer->common_name);
        for (size_t i = 0; i < peer->organizations.count; i++)
                cx_strings_add(ret_groups, peer->organizations.items[i]);
        return true;
}

bool cx_http_client_certificate_bad(const struct cx_http_request *request, const char **ret_why)
{
        const struct cx_http_peer *peer = peer_of(request);
        *ret_why = peer->bad;
        return peer->bad;
}
