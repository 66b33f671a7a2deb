// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection: its address and its certificate, looked at once for all requests.
//
// Two authorities are kept apart: what that of front proxies has signed names no user, and what that of clients has signed
// speaks for no other. TLS is told both, since a client chooses its certificate by their names.
#include "libcommon/net/http_server_internal.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define MAX_CHAIN 10

// --- authorities ---

static int trust_new(const char *what, const char *pem, gnutls_x509_trust_list_t *ret_list, struct cx_error *err)
{
        if (!pem)
                return 0;
        gnutls_datum_t text = {(unsigned char *)pem, (unsigned)strlen(pem)};
        gnutls_x509_trust_list_t list;
        if (gnutls_x509_trust_list_init(&list, 0) < 0)
                abort();
        *ret_list = list;
        int count = gnutls_x509_trust_list_add_trust_mem(list, &text, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
        return count > 0 ? 0 : cx_error_set(err, -EINVAL, "no certificate in the authority of %s", what);
}

int cx_http_authorities_new(struct cx_http_server *server, struct cx_error *err)
{
        const struct cx_http_server_options *o = &server->options;
        int r = trust_new("clients", o->client_ca_pem, &server->clients, err);
        return r < 0 ? r : trust_new("front proxies", o->front_proxy_ca_pem, &server->front_proxies, err);
}

void cx_http_authorities_free(struct cx_http_server *server)
{
        if (server->clients)
                gnutls_x509_trust_list_deinit(server->clients, 1);
        if (server->front_proxies)
                gnutls_x509_trust_list_deinit(server->front_proxies, 1);
}

// --- certificates ---

struct chain {
        gnutls_x509_crt_t items[MAX_CHAIN];
        unsigned count;
};

static void chain_release(struct chain *chain)
{
        for (unsigned i = 0; i < chain->count; i++)
                gnutls_x509_crt_deinit(chain->items[i]);
}

static bool chain_read(struct chain *chain, const gnutls_datum_t *certificates, unsigned count)
{
        for (unsigned i = 0; i < count && i < MAX_CHAIN; i++) {
                if (gnutls_x509_crt_init(&chain->items[i]) < 0)
                        abort();
                chain->count++;
                if (gnutls_x509_crt_import(chain->items[i], &certificates[i], GNUTLS_X509_FMT_DER) < 0)
                        return false;
        }
        return count <= MAX_CHAIN;
}

// Why a chain does not verify; NULL when it does.
static const char *fault_of(struct chain *chain, gnutls_x509_trust_list_t authorities)
{
        unsigned status = 0;
        gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                         .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
        if (gnutls_x509_trust_list_verify_crt2(authorities, chain->items, chain->count, &purpose, 1, 0, &status, NULL) <
            0)
                return "certificate cannot be verified";
        return !status                        ? NULL
               : status & GNUTLS_CERT_EXPIRED ? "certificate has expired"
               : status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA)
                       ? "certificate signed by unknown authority"
                       : "certificate is not valid for client authentication";
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

static void read_certificate(const struct cx_http_server *server, struct cx_http_peer *peer, gnutls_session_t session)
{
        unsigned count = 0;
        const gnutls_datum_t *certificates = gnutls_certificate_get_peers(session, &count);
        if (!certificates || !count)
                return;
        CX_CLEANUP(chain_release) struct chain chain = {0};
        bool readable = chain_read(&chain, certificates, count);
        peer->is_front_proxy = readable && server->front_proxies && !fault_of(&chain, server->front_proxies);
        peer->has_certificate = server->clients;
        if (server->clients)
                peer->bad = readable ? fault_of(&chain, server->clients) : "certificate cannot be verified";
        if (peer->is_front_proxy || (peer->has_certificate && !peer->bad))
                read_subject(peer, chain.items[0]);
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

// Requests of one connection come one after another, so the peer needs no lock.
static struct cx_http_peer *peer_of(const struct cx_http_request *request)
{
        struct cx_http_peer *peer = cx_http_connection_peer(request->connection);
        if (peer->examined)
                return peer;
        peer->examined = true;
        const struct cx_http_server *server = request->server;
        const union MHD_ConnectionInfo *info =
                server->clients || server->front_proxies
                        ? MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
                        : NULL;
        if (info && info->tls_session)
                read_certificate(server, peer, info->tls_session);
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

const char *cx_http_front_proxy(const struct cx_http_request *request)
{
        const struct cx_http_peer *peer = peer_of(request);
        return peer->is_front_proxy ? peer->common_name : NULL;
}
