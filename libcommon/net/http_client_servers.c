// SPDX-License-Identifier: Apache-2.0
// Several servers of one client, of which one is asked at a time.
//
// That a server is lost is noticed by the kernel, not by questions of ours: what was sent and is not acknowledged within
// DEAD_AFTER ends the connection (TCP_USER_TIMEOUT, for SYNs as well), and a connection that idles is probed each second. A
// process that is slow is not lost, however busy its machine is. With one server there is nowhere to go, and the times are
// long.
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/net/http_client_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define DEAD_AFTER 1000           // ms
#define FIRST_CONNECT CX_NS_PER_S // for the handshakes of TCP and TLS; doubled each time that no server was reached
#define RETRY_LIMIT (300 * CX_NS_PER_MS) // a connection that dies later than this was not closed by an idle server

void cx_http_servers_init(struct cx_http_client *client, const struct cx_http_client_options *options)
{
        size_t others = options->base_url && options->others ? options->others->count : 0;
        client->n_servers = options->base_url ? 1 + others : 0;
        client->servers = cx_alloc_array(client->n_servers + 1, sizeof(char *));
        for (size_t i = 0; i < client->n_servers; i++) {
                const char *url = i ? options->others->items[i - 1] : options->base_url;
                size_t length = strlen(url);
                while (length && url[length - 1] == '/')
                        length--;
                client->servers[i] = cx_strndup(url, length);
        }
}

const char *cx_http_client_server(struct cx_http_client *client)
{
        pthread_mutex_lock(&client->lock);
        const char *server = client->n_servers ? client->servers[client->server] : "";
        pthread_mutex_unlock(&client->lock);
        return server;
}

// libcurl sends a request again by itself when a connection that it had kept turns out to be dead. That is right for one that
// the server closed while it was idle; after a time-out it would wait for the same server once more.
static curl_socket_t open_socket(void *context, curlsocktype purpose CX_UNUSED, struct curl_sockaddr *address)
{
        const struct cx_http_setup *setup = context;
        const struct cx_http_client *client = setup->client;
        if (client->may_connect && !client->may_connect(client->connect_context, &address->addr))
                return CURL_SOCKET_BAD;
        if (client->n_servers > 1 && cx_time_monotonic() - setup->began > RETRY_LIMIT)
                return CURL_SOCKET_BAD;
        int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
        int limit = DEAD_AFTER;
        if (fd >= 0 && client->n_servers > 1 && address->family != AF_UNIX)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
        return fd;
}

void cx_http_set_server(CURL *easy, struct cx_http_client *client, struct cx_http_setup *setup)
{
        bool several = client->n_servers > 1;
        int64_t connect = client->connect_timeout;
        pthread_mutex_lock(&client->lock);
        setup->server = client->server;
        if (several) {
                size_t rounds = client->losses / client->n_servers;
                int64_t patience = FIRST_CONNECT << (rounds < 4 ? rounds : 4);
                connect = patience < connect ? patience : connect;
        }
        pthread_mutex_unlock(&client->lock);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect / CX_NS_PER_MS));
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, several ? 1L : 30L);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, several ? 1L : 10L);
        if (several || client->may_connect) {
                curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
                curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, setup);
        }
}

// Whether nobody at the other end can be meant, rather than that the call was answered badly.
static bool is_loss(CURL *easy, CURLcode result)
{
        curl_off_t connected = 0;
        switch (result) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_CONNECT:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
                return true;
        case CURLE_OPERATION_TIMEDOUT: // before it was sent: of the connection
                curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
                return connected == 0;
        default:
                return false;
        }
}

bool cx_http_server_lost(const struct cx_http_setup *setup, CURL *easy, CURLcode result)
{
        struct cx_http_client *client = setup->client;
        if (client->n_servers < 2)
                return false;
        bool lost = is_loss(easy, result), moved = false, surprising = false;
        const char *next = NULL;
        pthread_mutex_lock(&client->lock);
        if (!lost && result == CURLE_OK) {
                client->losses = 0;
                client->reached = true;
        } else if (lost && client->server == setup->server) { // or others have gone on already
                client->server = (client->server + 1) % client->n_servers;
                client->losses++;
                moved = true;
                surprising = client->reached;
                client->reached = false;
                next = client->servers[client->server];
        }
        pthread_mutex_unlock(&client->lock);
        if (surprising) // what was never there is not lost, and the log would fill while all of them are away
                cx_info("A server is lost, going on at the next", "lost", client->servers[setup->server], "next", next,
                        "why", curl_easy_strerror(result));
        if (moved)
                cx_http_client_drop_idle(client);
        return lost;
}
