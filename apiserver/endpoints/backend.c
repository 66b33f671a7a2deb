// SPDX-License-Identifier: Apache-2.0
// Clients for kubelets, and for what runs behind pods and services.
#include "apiserver/endpoints/backend.h"

#include "apiserver/endpoints/relays.h"
#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#define LOOK_PERIOD CX_NS_PER_S // at the files of certificates
#define IDLE (60 * CX_NS_PER_S) // of a connection that is kept

#define CLIENT_FILES 3

// A client that is kept, and made anew when one of the files changes that it was made from.
struct kept_client {
        pthread_mutex_t lock; // guards all below
        struct backend_client *client;
        struct timespec changed[CLIENT_FILES]; // of the files
        int64_t next_look;                     // monotonic ns
};

struct backends {
        struct kept_client *kubelets;
};

void backend_release(struct backend *backend)
{
        free(backend->base_url);
        free(backend->path);
        backend_client_unref(backend->client);
        cx_strings_release(&backend->headers);
}

void add_url_path(struct cx_buf *to, const char *path)
{
        for (; *path; path++) {
                unsigned char c = (unsigned char)*path;
                if (isalnum(c) || strchr("/-._~!$&'()*+,;=:@", c))
                        cx_buf_append(to, path, 1);
                else
                        cx_buf_printf(to, "%%%02X", c);
        }
}

void add_raw_query(const struct call *call, struct cx_buf *to)
{
        const char *query = cx_http_raw_query(call->request);
        if (*query)
                cx_buf_printf(to, "?%s", query);
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

// `base`: verification and names; the address check is added.
static int new_client(const struct apiserver_options *o, struct cx_http_client_options *base,
                      struct backend_client **ret_client, struct cx_error *err)
{
        base->may_connect = may_connect;
        base->connect_context = (void *)o;
        struct backend_client *client = cx_alloc(sizeof *client);
        atomic_init(&client->references, 1);
        int r = cx_http_client_new(base, &client->http, err);
        if (r < 0) {
                free(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

// What runs behind pods and services, without knowing who it is.
static int anonymous_client(const struct apiserver_options *o, struct backend_client **ret_client, struct cx_error *err)
{
        return new_client(o, &(struct cx_http_client_options){.insecure = true}, ret_client, err);
}

static int from_files(const struct apiserver_options *o, const struct client_identity *identity,
                      struct backend_client **ret_client, struct cx_error *err)
{
        CX_BUF ca = CX_BUF_INIT_MAX(1 << 20), cert = CX_BUF_INIT_MAX(1 << 20), key = CX_BUF_INIT_MAX(1 << 20);
        int r = read_pem(identity->ca_file, &ca, err);
        if (r == 0)
                r = read_pem(identity->cert_file, &cert, err);
        if (r == 0)
                r = read_pem(identity->key_file, &key, err);
        if (r < 0)
                return r;
        return new_client(o,
                          &(struct cx_http_client_options){.ca_pem = ca.length ? ca.data : identity->ca_pem,
                                                           .cert_pem = cert.length ? cert.data : NULL,
                                                           .key_pem = key.length ? key.data : NULL,
                                                           .server_name = identity->server_name,
                                                           .insecure = identity->insecure},
                          ret_client, err);
}

struct kept_client *kept_client_new(void)
{
        struct kept_client *kept = cx_alloc(sizeof *kept);
        pthread_mutex_init(&kept->lock, NULL);
        return kept;
}

void kept_client_free(struct kept_client *kept)
{
        if (!kept)
                return;
        backend_client_unref(kept->client);
        pthread_mutex_destroy(&kept->lock);
        free(kept);
}

void kept_client_trim(struct kept_client *kept)
{
        pthread_mutex_lock(&kept->lock);
        if (kept->client)
                cx_http_client_trim(kept->client->http, IDLE);
        pthread_mutex_unlock(&kept->lock);
}

// Whether the files have changed since the client was made of them. Takes note of what is there now.
static bool is_outdated_locked(struct kept_client *kept, const struct client_identity *identity)
{
        const char *const paths[CLIENT_FILES] = {identity->ca_file, identity->cert_file, identity->key_file};
        bool outdated = !kept->client;
        if (!outdated && cx_time_monotonic() < kept->next_look)
                return false;
        kept->next_look = cx_time_monotonic() + LOOK_PERIOD;
        for (size_t i = 0; i < CX_ARRAY_SIZE(paths); i++) {
                struct stat info = {0};
                if (paths[i] && stat(paths[i], &info) < 0)
                        continue; // it is being replaced: what was read stays good
                outdated = outdated || info.st_mtim.tv_sec != kept->changed[i].tv_sec ||
                           info.st_mtim.tv_nsec != kept->changed[i].tv_nsec;
                kept->changed[i] = info.st_mtim;
        }
        return outdated;
}

int kept_client_get(struct kept_client *kept, const struct apiserver_options *o, const struct client_identity *identity,
                    struct backend_client **ret_client, struct cx_error *err)
{
        struct backend_client *fresh = NULL, *old = NULL;
        int r = 0;
        pthread_mutex_lock(&kept->lock);
        if (is_outdated_locked(kept, identity)) {
                CX_ERROR why = CX_ERROR_INIT;
                r = from_files(o, identity, &fresh, &why);
                if (r == 0) {
                        old = kept->client;
                        kept->client = fresh;
                } else if (kept->client) {
                        cx_err(&why, "Changed certificates are not taken over", "file", identity->cert_file);
                        r = 0;
                } else {
                        r = cx_error_move(err, &why);
                }
        }
        if (r == 0) {
                *ret_client = kept->client;
                atomic_fetch_add(&(*ret_client)->references, 1);
        }
        pthread_mutex_unlock(&kept->lock);
        backend_client_unref(old);
        return r;
}

struct backends *backends_new(void)
{
        struct backends *backends = cx_alloc(sizeof *backends);
        backends->kubelets = kept_client_new();
        return backends;
}

void backends_free(struct backends *backends)
{
        if (!backends)
                return;
        kept_client_free(backends->kubelets);
        free(backends);
}

void backends_trim(struct backends *backends)
{
        kept_client_trim(backends->kubelets);
}

int backend_client(struct call *call, const struct backend *backend, struct backend_client **ret_client,
                   struct cx_error *err)
{
        const struct apiserver_options *o = &call->api->options;
        const struct client_identity kubelets = {.ca_file = o->kubelet_ca_file,
                                                 .cert_file = o->kubelet_client_cert_file,
                                                 .key_file = o->kubelet_client_key_file,
                                                 // as upstream without --kubelet-certificate-authority
                                                 .insecure = !o->kubelet_ca_file};
        if (backend->client) {
                *ret_client = backend->client;
                atomic_fetch_add(&backend->client->references, 1);
                return 0;
        }
        return backend->kubelet ? kept_client_get(call->api->backends->kubelets, o, &kubelets, ret_client, err)
                                : anonymous_client(o, ret_client, err);
}

// --- services --------------------------------------------------------------------------------------------------------

// The port of the Service that `port` names: by its name, its number, or the first ("").
static const json_t *service_port(const json_t *service, const char *port)
{
        const json_t *candidate;
        size_t i;
        json_array_foreach (cx_json_get(service, "spec.ports"), i, candidate)
                if (!*port || cx_streq(cx_json_string(candidate, "name"), port) ||
                    strcmp(CX_INT(cx_json_int(candidate, "port", 0)), port) == 0)
                        return candidate;
        return NULL;
}

enum service_state service_endpoint(struct apiserver *api, const struct service_ref *ref, struct service_found *ret)
{
        json_auto_t *service = cache_find_json(builtin(api, "", "v1", "services")->cache, ref->namespace, ref->name);
        json_auto_t *endpoints = cache_find_json(builtin(api, "", "v1", "endpoints")->cache, ref->namespace, ref->name);
        *ret = (struct service_found){0};
        if (!service)
                return SERVICE_ABSENT;
        const json_t *port = service_port(service, ref->port);
        if (!port)
                return SERVICE_WITHOUT_PORT;
        const char *port_name = cx_json_string_or(port, "name", "");
        (void)snprintf(ret->port_name, sizeof ret->port_name, "%s", port_name);
        if (!endpoints)
                return SERVICE_WITHOUT_ENDPOINTS;
        size_t i;
        const json_t *subset;
        json_array_foreach (json_object_get(endpoints, "subsets"), i, subset) {
                const json_t *ports = json_object_get(subset, "ports");
                const json_t *addresses = json_object_get(subset, "addresses");
                const json_t *backend = *port_name ? cx_json_find(ports, "name", port_name) : json_array_get(ports, 0);
                size_t count = json_array_size(addresses);
                if (!backend || !count)
                        continue;
                const json_t *address = json_array_get(addresses, (size_t)cx_random_below(count));
                ret->host = cx_strdup(cx_json_string_or(address, "ip", ""));
                ret->port = cx_json_int(backend, "port", 0);
                return SERVICE_FOUND;
        }
        return SERVICE_WITHOUT_ADDRESSES;
}

int start_thread(void *(*run)(void *), void *context)
{
        return cx_thread_detach(run, context, (size_t)512 << 10) ? 0 : -EAGAIN;
}
