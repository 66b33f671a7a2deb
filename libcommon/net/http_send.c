// SPDX-License-Identifier: Apache-2.0
// How TLS records leave a connection. libmicrohttpd 0.9.75 sends the head and the body of an answer as two records, each
// with a system call and a packet of its own. When an answer is known to have a body, its head is kept back and goes out
// with the body's record.
#include "libcommon/base/address.h"
#include "libcommon/net/http_server_internal.h"

#include <gnutls/gnutls.h>
#include <sys/socket.h>

#define MAX_HELD ((size_t)32 << 10)

static ssize_t send_all(struct cx_http_peer *peer, const giovec_t *parts, int count)
{
        struct iovec vector[16];
        struct msghdr message = {.msg_iov = vector};
        size_t held = peer->held.length;
        if (held)
                vector[message.msg_iovlen++] = (struct iovec){.iov_base = peer->held.data, .iov_len = held};
        for (int i = 0; i < count && message.msg_iovlen < CX_ARRAY_SIZE(vector); i++)
                vector[message.msg_iovlen++] =
                        (struct iovec){.iov_base = parts[i].iov_base, .iov_len = parts[i].iov_len};
        ssize_t n = sendmsg(peer->fd, &message, MSG_NOSIGNAL);
        if (n < 0)
                return -1;
        size_t sent = (size_t)n;
        cx_buf_consume(&peer->held, sent < held ? sent : held);
        if (held && sent <= held) {
                errno = EAGAIN; // of the new bytes none has gone
                return -1;
        }
        return (ssize_t)(sent - held);
}

static ssize_t push(gnutls_transport_ptr_t context, const giovec_t *parts, int count)
{
        struct cx_http_peer *peer = context;
        size_t total = 0;
        for (int i = 0; i < count; i++)
                total += parts[i].iov_len;
        bool hold = peer->hold && peer->held.length + total <= MAX_HELD;
        peer->hold = false;
        if (hold) {
                for (int i = 0; i < count; i++)
                        cx_buf_append(&peer->held, parts[i].iov_base, parts[i].iov_len);
                return (ssize_t)total;
        }
        ssize_t n = send_all(peer, parts, count);
        if (n < 0)
                gnutls_transport_set_errno(peer->session, errno);
        return n;
}

static void read_address(struct cx_http_peer *peer, struct MHD_Connection *connection)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        struct cx_address address;
        if (info && cx_address_from_socket(info->client_addr, &address, NULL) == 0)
                cx_address_format(&address, peer->address);
}

void cx_http_peer_attach(struct cx_http_peer *peer, struct cx_http_server *server, struct MHD_Connection *connection)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *peer = (struct cx_http_peer){.fd = info->connect_fd, .held = CX_BUF_INIT};
        read_address(peer, connection);
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        peer->session = info ? info->tls_session : NULL;
        if (!peer->session)
                return;
        peer->identity = cx_http_identity_take(server);
        (void)gnutls_credentials_set(peer->session, GNUTLS_CRD_CERTIFICATE, peer->identity->credentials);
        gnutls_transport_set_ptr2(peer->session, (gnutls_transport_ptr_t)(intptr_t)peer->fd, peer);
        gnutls_transport_set_vec_push_function(peer->session, push);
}
