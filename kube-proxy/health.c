// SPDX-License-Identifier: Apache-2.0
// Small HTTP servers, one for each port.
#include "kube-proxy/health.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/net/http_server.h"

#include <pthread.h>
#include <stdatomic.h>

struct listener {
        struct health *health;
        struct cx_http_server *server;
        bool metrics;
};
struct check_server {
        struct health *health;
        struct cx_http_server *server;
        char *namespace, *name;
        atomic_int local_endpoints;
};
struct health {
        struct cx_metrics *metrics;
        int64_t sync_period;
        _Atomic int64_t updated, queued; // wall clock, µs; monotonic, ns (0: nothing waits)
        atomic_bool eligible;
        struct listener *listeners[2];
        size_t n_listeners;
        struct cx_map checks; // port -> struct check_server
};

static bool is_healthy(const struct health *self)
{
        int64_t queued = atomic_load(&self->queued);
        return atomic_load(&self->updated) && (!queued || cx_time_monotonic() - queued < 2 * self->sync_period);
}

static void respond_status(struct health *self, struct cx_http_request *request, bool ask_node)
{
        char updated[CX_TIME_TEXT], now[CX_TIME_TEXT];
        cx_time_format(atomic_load(&self->updated), updated);
        cx_time_format(cx_time_now(), now);
        bool eligible = atomic_load(&self->eligible);
        bool good = is_healthy(self) && (eligible || !ask_node);
        CX_BUF text = CX_BUF_INIT;
        cx_buf_printf(&text, "{\"lastUpdated\": \"%s\",\"currentTime\": \"%s\", \"nodeEligible\": %s}", updated, now,
                      eligible ? "true" : "false");
        cx_http_add_header(request, "X-Content-Type-Options", "nosniff");
        cx_http_respond_buf(request, good ? 200 : 503, NULL, &text);
}

static void handle(struct cx_http_request *request, void *context)
{
        struct listener *listener = context;
        const char *path = cx_http_path(request);
        if (!listener->metrics && (cx_streq(path, "/healthz") || cx_streq(path, "/livez"))) {
                respond_status(listener->health, request, path[1] == 'h');
        } else if (listener->metrics && cx_streq(path, "/metrics")) {
                CX_BUF text = CX_BUF_INIT;
                cx_metrics_write(listener->health->metrics, &text);
                cx_http_respond_buf(request, 200, CX_METRICS_CONTENT_TYPE, &text);
        } else if (listener->metrics && cx_streq(path, "/healthz")) {
                cx_http_respond_text(request, 200, "ok");
        } else if (listener->metrics && cx_streq(path, "/proxyMode")) {
                cx_http_respond_text(request, 200, "iptables");
        } else {
                cx_http_respond_text(request, 404, "404 page not found\n");
        }
}

static void handle_check(struct cx_http_request *request, void *context)
{
        struct check_server *check = context;
        int count = atomic_load(&check->local_endpoints);
        bool healthy = is_healthy(check->health);
        json_t *body = json_pack("{s:{s:s, s:s}, s:i, s:b}", "service", "namespace", check->namespace, "name",
                                 check->name, "localEndpoints", count, "serviceProxyHealthy", (int)healthy);
        cx_http_respond_json(request, count && healthy ? 200 : 503, body);
}

static void free_check(void *value)
{
        struct check_server *check = value;
        cx_http_server_free(check->server);
        free(check->namespace);
        free(check->name);
        free(check);
}

struct health *health_new(struct cx_metrics *metrics, int64_t sync_period)
{
        struct health *self = cx_alloc(sizeof *self);
        self->metrics = metrics;
        self->sync_period = sync_period;
        self->checks.free_value = free_check;
        atomic_store(&self->eligible, true);
        return self;
}

void health_free(struct health *self)
{
        if (!self)
                return;
        for (size_t i = 0; i < self->n_listeners; i++) {
                cx_http_server_free(self->listeners[i]->server);
                free(self->listeners[i]);
        }
        cx_map_release(&self->checks);
        free(self);
}

bool health_alive(const struct health *self, int64_t limit)
{
        for (size_t i = 0; i < self->n_listeners; i++)
                if (!cx_http_server_alive(self->listeners[i]->server, limit))
                        return false;
        return true;
}

static int start_server(const char *address, int port, cx_http_handler handler, void *context,
                        struct cx_http_server **ret_server, struct cx_error *err)
{
        return cx_http_server_new(&(struct cx_http_server_options){.address = address,
                                                                   .port = port,
                                                                   .io_threads = 1,
                                                                   .workers = 1,
                                                                   .max_connections = 64,
                                                                   .handler = handler,
                                                                   .context = context},
                                  ret_server, err);
}

int health_serve(struct health *self, const char *address, bool metrics, struct cx_error *err)
{
        if (!*address)
                return 0;
        const char *colon = strrchr(address, ':');
        int64_t port;
        if (!colon || cx_parse_int(colon + 1, 0, 65535, &port) < 0)
                return cx_error_set(err, -EINVAL, "\"%s\" is not an address and a port", address);
        if (port == 0)
                return 0;
        bool brackets = *address == '[' && colon > address + 1 && colon[-1] == ']';
        CX_CLEANUP(cx_freep)
        char *host = cx_strndup(address + brackets, (size_t)(colon - address) - (brackets ? 2 : 0));
        struct listener *listener = cx_alloc(sizeof *listener);
        *listener = (struct listener){.health = self, .metrics = metrics};
        int r = start_server(*host ? host : "0.0.0.0", (int)port, handle, listener, &listener->server, err);
        if (r < 0) {
                free(listener);
                return cx_error_wrap(err, "cannot serve %s", address);
        }
        self->listeners[self->n_listeners++] = listener;
        return 0;
}

void health_queued(struct health *self)
{
        int64_t none = 0;
        atomic_compare_exchange_strong(&self->queued, &none, cx_time_monotonic());
}

void health_updated(struct health *self)
{
        atomic_store(&self->queued, 0);
        atomic_store(&self->updated, cx_time_now());
}

void health_set_eligible(struct health *self, bool eligible)
{
        atomic_store(&self->eligible, eligible);
}

static void set_check(struct health *self, const struct health_check *check, const char *key)
{
        struct check_server *server = cx_map_get(&self->checks, key);
        if (server && (strcmp(server->namespace, check->namespace) != 0 || strcmp(server->name, check->name) != 0)) {
                cx_map_remove(&self->checks, key);
                server = NULL;
        }
        if (!server) {
                server = cx_alloc(sizeof *server);
                server->health = self;
                server->namespace = cx_strdup(check->namespace);
                server->name = cx_strdup(check->name);
                CX_ERROR err = CX_ERROR_INIT;
                if (start_server("0.0.0.0", check->port, handle_check, server, &server->server, &err) < 0) {
                        cx_err(&err, "Cannot open a health-check node port", "port", key, "service", check->name);
                        free_check(server);
                        return; // tried again with the next change
                }
                cx_map_set(&self->checks, key, server);
        }
        atomic_store(&server->local_endpoints, check->local_endpoints);
}

void health_set_checks(struct health *self, const struct health_check *checks, size_t count)
{
        CX_MAP wanted = CX_MAP_INIT;
        for (size_t i = 0; i < count; i++) {
                char key[16];
                snprintf(key, sizeof key, "%d", checks[i].port);
                cx_map_set(&wanted, key, NULL);
                set_check(self, &checks[i], key);
        }
        CX_MAP_FOREACH (&self->checks, entry) {
                if (!cx_map_has(&wanted, entry->key))
                        cx_map_remove(&self->checks, entry->key);
        }
}
