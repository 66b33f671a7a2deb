// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection: its address and its certificate, looked at once for all requests.
//
// Two authorities are kept apart: what that of front proxies has signed names no user, and what that of clients has signed
// speaks for no other. A certificate that expires while its connection is kept is believed no longer.
#include "libcommon/net/http_server_internal.h"

#include "libcommon/base/time.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define MAX_CHAIN 10

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

static void read_certificate(struct cx_http_peer *peer, gnutls_session_t session)
{
        const struct cx_http_identity *identity = peer->identity;
        unsigned count = 0;
        const gnutls_datum_t *certificates = gnutls_certificate_get_peers(session, &count);
        if (!certificates || !count)
                return;
        CX_CLEANUP(chain_release) struct chain chain = {0};
        bool readable = chain_read(&chain, certificates, count);
        peer->is_front_proxy = readable && identity->front_proxies && !fault_of(&chain, identity->front_proxies);
        peer->has_certificate = identity->clients;
        if (identity->clients)
                peer->bad = readable ? fault_of(&chain, identity->clients) : "certificate cannot be verified";
        if (peer->is_front_proxy || (peer->has_certificate && !peer->bad))
                read_subject(peer, chain.items[0]);
        if (readable)
                peer->expires = gnutls_x509_crt_get_expiration_time(chain.items[0]);
}

// --- the peer ---

void cx_http_peer_free(struct cx_http_peer *peer)
{
        if (!peer)
                return;
        cx_buf_release(&peer->held);
        cx_http_identity_unref(peer->identity);
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
        if (peer->session && (peer->identity->clients || peer->identity->front_proxies))
                read_certificate(peer, peer->session);
        return peer;
}

static bool has_expired(const struct cx_http_peer *peer)
{
        return peer->expires && peer->expires < cx_time_now() / CX_US_PER_S;
}

const char *cx_http_remote_address(const struct cx_http_request *request)
{
        return peer_of(request)->address;
}

bool cx_http_client_certificate(const struct cx_http_request *request, char **ret_cn, struct cx_strings *ret_groups)
{
        const struct cx_http_peer *peer = peer_of(request);
        if (!peer->has_certificate || peer->bad || !peer->common_name || has_expired(peer))
                return false;
        *ret_cn = cx_strdup(peer->common_name);
        for (size_t i = 0; i < peer->organizations.count; i++)
                cx_strings_add(ret_groups, peer->organizations.items[i]);
        return true;
}

bool cx_http_client_certificate_bad(const struct cx_http_request *request, const char **ret_why)
{
        const struct cx_http_peer *peer = peer_of(request);
        bool over = peer->has_certificate && !peer->bad && has_expired(peer);
        *ret_why = over ? "certificate has expired" : peer->bad;
        return *ret_why;
}

const char *cx_http_front_proxy(const struct cx_http_request *request)
{
        const struct cx_http_peer *peer = peer_of(request);
        return peer->is_front_proxy && !has_expired(peer) ? peer->common_name : NULL;
}
