// SPDX-License-Identifier: Apache-2.0
// Clients for kubelets, and for what runs behind pods and services.
#include "apiserver/endpoints/backend.h"

#include "apiserver/endpoints/relays.h"
#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"

#include <sys/stat.h>

#define LOOK_PERIOD CX_NS_PER_S // at the files of certificates
#define IDLE (60 * CX_NS_PER_S) // of a connection that is kept

struct backends {
        pthread_mutex_t lock; // guards all below
        struct backend_client *kubelets;
        struct timespec changed[3]; // of the files that it was made from
        int64_t next_look;          // monotonic ns
};

void backend_release(struct backend *backend)
{
        free(backend->base_url);
        free(backend->path);
}

char *backend_url(const struct backend *backend)
{
        return cx_sprintf("%s%s", backend->base_url, backend->path);
}

static int read_pem(const char *path, struct cx_buf *to, struct cx_error *err)
{
        int r = path ? cx_buf_read_file(to, path) : 0;
        return r < 0 ? cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

// --- where requests may go on to ---

struct own_address {
        const struct cx_address *address;
        bool found;
};

static void compare_own(void *context, const struct cx_interface *interface)
{
        struct own_address *own = context;
        own->found |= cx_address_compare(&interface->address, own->address) == 0;
}

// The server itself, where it would ask with its own certificate, and its etcd.
static bool is_own_port(const struct apiserver_options *o, const struct cx_address *address, int port)
{
        char text[CX_ENDPOINT_TEXT];
        struct own_address own = {.address = address};
        cx_address_format_port(address, port, text);
        for (size_t i = 0; i < o->etcd_servers.count; i++) {
                const char *host = strstr(o->etcd_servers.items[i], "://");
                if (host && strcmp(host + 3, text) == 0)
                        return true;
        }
        if (port == o->secure_port)
                cx_interfaces_each(compare_own, &own);
        return own.found;
}

// After resolution: a name, and an address that somebody may write, must not lead to what only this machine can reach.
static bool may_connect(void *context, const struct sockaddr *to)
{
        const struct apiserver_options *o = context;
        struct cx_address address;
        int port;
        if (cx_address_from_socket(to, &address, &port) < 0)
                return false;
        cx_address_unmap(&address);
        return !cx_address_why_special(&address) && !cx_address_is_multicast(&address) &&
               !is_own_port(o, &address, port);
}

// --- clients ---

void backend_client_unref(struct backend_client *client)
{
        if (!client || atomic_fetch_sub(&client->references, 1) > 1)
                return;
        cx_http_client_free(client->http);
        free(client);
}

static int new_client(const struct apiserver_options *o, bool kubelet, struct backend_client **ret_client,
                      struct cx_error *err)
{
        CX_BUF ca = CX_BUF_INIT_MAX(1 << 20), cert = CX_BUF_INIT_MAX(1 << 20), key = CX_BUF_INIT_MAX(1 << 20);
        int r = 0;
        if (kubelet) {
                r = read_pem(o->kubelet_ca_file, &ca, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_cert_file, &cert, err);
                if (r == 0)
                        r = read_pem(o->kubelet_client_key_file, &key, err);
        }
        if (r < 0)
                return r;
        struct cx_http_client_options options = {
                .ca_pem = ca.length ? ca.data : NULL,
                .cert_pem = cert.length ? cert.data : NULL,
                .key_pem = key.length ? key.data : NULL,
                .insecure = !ca.length, // as upstream without --kubelet-certificate-authority
                .may_connect = may_connect,
                .connect_context = (void *)o,
        };
        struct backend_client *client = cx_alloc(sizeof *client);
        atomic_init(&client->references, 1);
        r = cx_http_client_new(&options, &client->http, err);
        if (r < 0) {
                free(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

struct backends *backends_new(void)
{
        struct backends *backends = cx_alloc(sizeof *backends);
        pthread_mutex_init(&backends->lock, NULL);
        return backends;
}

void backends_free(struct backends *backends)
{
        if (!backends)
                return;
        backend_client_unref(backends->kubelets);
        pthread_mutex_destroy(&backends->lock);
        free(backends);
}

void backends_trim(struct backends *backends)
{
        pthread_mutex_lock(&backends->lock);
        if (backends->kubelets)
                cx_http_client_trim(backends->kubelets->http, IDLE);
        pthread_mutex_unlock(&backends->lock);
}

// Whether the files have changed since the client was made of them. Takes note of what is there now.
static bool is_outdated_locked(struct backends *backends, const struct apiserver_options *o)
{
        const char *const paths[] = {o->kubelet_ca_file, o->kubelet_client_cert_file, o->kubelet_client_key_file};
        bool outdated = !backends->kubelets;
        if (!outdated && cx_time_monotonic() < backends->next_look)
                return false;
        backends->next_look = cx_time_monotonic() + LOOK_PERIOD;
        for (size_t i = 0; i < CX_ARRAY_SIZE(paths); i++) {
                struct stat info = {0};
                if (paths[i] && stat(paths[i], &info) < 0)
                        continue; // it is being replaced: what was read stays good
                outdated = outdated || info.st_mtim.tv_sec != backends->changed[i].tv_sec ||
                           info.st_mtim.tv_nsec != backends->changed[i].tv_nsec;
                backends->changed[i] = info.st_mtim;
        }
        return outdated;
}

static int kubelet_client(struct apiserver *api, struct backend_client **ret_client, struct cx_error *err)
{
        struct backends *backends = api->backends;
        struct backend_client *fresh = NULL, *old = NULL;
        int r = 0;
        pthread_mutex_lock(&backends->lock);
        if (is_outdated_locked(backends, &api->options)) {
                CX_ERROR why = CX_ERROR_INIT;
                r = new_client(&api->options, true, &fresh, &why);
                if (r == 0) {
                        old = backends->kubelets;
                        backends->kubelets = fresh;
                } else if (backends->kubelets) {
                        cx_err(&why, "Changed certificates for kubelets are not taken over");
                        r = 0;
                } else {
                        r = cx_error_move(err, &why);
                }
        }
        if (r == 0) {
                *ret_client = backends->kubelets;
                atomic_fetch_add(&(*ret_client)->references, 1);
        }
        pthread_mutex_unlock(&backends->lock);
        backend_client_unref(old);
        return r;
}

int backend_client(struct call *call, const struct backend *backend, struct backend_client **ret_client,
                   struct cx_error *err)
{
        return backend->kubelet ? kubelet_client(call->api, ret_client, err)
                                : new_client(&call->api->options, false, ret_client, err);
}

int start_thread(void *(*run)(void *), void *context)
{
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, (size_t)512 << 10);
        int r = pthread_create(&thread, &attributes, run, context);
        pthread_attr_destroy(&attributes);
        return -r;
}
