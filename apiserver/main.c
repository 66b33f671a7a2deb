// SPDX-License-Identifier: Apache-2.0
// kube-apiserver: wiring, and the beat that keeps what needs keeping.
#include "apiserver/admission/admission.h"
#include "apiserver/admission/pod_security.h"
#include "apiserver/audit/audit.h"
#include "apiserver/auth/rbac.h"
#include "apiserver/auth/tokens.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/endpoints/api_services.h"
#include "apiserver/endpoints/documents.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/endpoints/relays.h"
#include "apiserver/endpoints/watch.h"
#include "apiserver/options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/server.h"
#include "apiserver/storage/cache.h"
#include "apiserver/strategy/allocator.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#define HEARTBEAT (5 * CX_NS_PER_S)
#define REPAIR (180 * CX_NS_PER_S)
#define WORKERS 32

static int connect_etcd(struct apiserver *api, struct cx_error *err)
{
        const struct apiserver_options *o = &api->options;
        CX_CLEANUP(cx_freep) const char **endpoints = cx_alloc_array(o->etcd_servers.count + 1, sizeof(char *));
        for (size_t i = 0; i < o->etcd_servers.count; i++)
                endpoints[i] = o->etcd_servers.items[i];
        struct cx_etcd_options options = {.endpoints = endpoints,
                                          .ca_file = o->etcd_ca_file,
                                          .cert_file = o->etcd_cert_file,
                                          .key_file = o->etcd_key_file};
        int r = cx_etcd_new(&options, &api->etcd, err);
        return r < 0 ? cx_error_wrap(err, "--etcd-cafile, --etcd-certfile, --etcd-keyfile") : 0;
}

static int listen_on(struct apiserver *api, struct cx_http_server **ret_server, struct cx_error *err)
{
        const struct apiserver_options *o = &api->options;
        struct cx_http_server_options options = {.address = o->bind_address,
                                                 .port = (int)o->secure_port,
                                                 .cert_file = o->tls_cert_file,
                                                 .key_file = o->tls_key_file,
                                                 .client_ca_file = o->client_ca_file,
                                                 .front_proxy_ca_file = o->requestheader_client_ca_file,
                                                 .workers = WORKERS,
                                                 .max_body = (size_t)o->max_request_bytes,
                                                 .handler_inline = serve_inline,
                                                 .handler = serve,
                                                 .context = api};
        return cx_http_server_new(&options, ret_server, err);
}

static int start(struct apiserver *api, const struct audit_options *audit, struct cx_error *err)
{
        const struct apiserver_options *o = &api->options;
        int r = audit_new(audit, api->metrics, &api->audit, err);
        api->writes = &registry_writes;
        api->admission = admission_chain_new(admission_plugins, &o->enable_admission, &o->disable_admission);
        api->relays = relays_new();
        api->backends = backends_new();
        if (r == 0)
                r = admission_check_names(admission_plugins, "enable-admission-plugins", &o->enable_admission, err);
        if (r == 0)
                r = admission_check_names(admission_plugins, "disable-admission-plugins", &o->disable_admission, err);
        if (r == 0)
                r = admission_configure(api, admission_plugins, o->admission_config_file, err);
        if (r == 0 && (!o->tls_cert_file || !o->tls_key_file))
                r = cx_error_set(err, -EINVAL, "--tls-cert-file and --tls-private-key-file are needed");
        if (r == 0 && o->etcd_compaction_interval && o->etcd_compaction_interval < CX_NS_PER_S)
                r = cx_error_set(err, -EINVAL,
                                 "--etcd-compaction-interval has to be a second at least, or 0 for never");
        if (r == 0)
                r = allocator_new(o, &api->allocator, err);
        if (r == 0)
                r = token_service_new(api, &api->tokens, err);
        if (r == 0)
                r = connect_etcd(api, err);
        if (r == 0)
                api->store = store_new(api->etcd);
        if (r == 0) {
                store_compact_every(api->store, o->etcd_compaction_interval);
                store_window(api->store, o->watch_cache_size);
        }
        if (r == 0 && o->encryption_provider_config)
                r = store_encrypt(api->store, o->encryption_provider_config, o->encryption_reload, err);
        if (r == 0)
                r = kinds_new(api->store, strategy_of, &api->kinds, err);
        if (r == 0)
                r = store_start(api->store, err);
        if (r < 0)
                return r;
        api->rbac = rbac_new(api->kinds);
        api->api_services = api_services_new(api);
        api->documents = documents_new(api);
        r = watch_reaper_new(&api->watches, err);
        if (r == 0)
                r = bootstrap_objects(api, err);
        if (r == 0)
                r = bootstrap_policy(api, err);
        if (r == 0)
                r = bootstrap_service(api, err);
        return r;
}

// The keeper's thread: heartbeat behind the service kubernetes, repair of allocations.
struct keeper {
        struct apiserver *api;
        pthread_mutex_t lock; // guards stopping
        pthread_cond_t wake;
        bool stopping;
        pthread_t thread;
};

static void *keeper_main(void *context)
{
        struct keeper *keeper = context;
        int64_t repair_at = 0;
        uint64_t policy = 0;
        pthread_mutex_lock(&keeper->lock);
        while (!keeper->stopping) {
                pthread_mutex_unlock(&keeper->lock);
                service_heartbeat(keeper->api);
                policy_heartbeat(keeper->api, &policy);
                CX_ERROR err = CX_ERROR_INIT;
                if (bootstrap_objects(keeper->api, &err) < 0)
                        cx_err(&err, "Cannot keep the system's namespaces and priority classes");
                aggregation_heartbeat(keeper->api);
                backends_trim(keeper->api->backends);
                if (cx_time_monotonic() >= repair_at) {
                        allocator_repair(keeper->api);
                        repair_at = cx_time_monotonic() + REPAIR;
                }
                pthread_mutex_lock(&keeper->lock);
                struct timespec until;
                clock_gettime(CLOCK_REALTIME, &until);
                until.tv_sec += HEARTBEAT / CX_NS_PER_S;
                while (!keeper->stopping && pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) != ETIMEDOUT)
                        ;
        }
        pthread_mutex_unlock(&keeper->lock);
        return NULL;
}

// What the main thread looks after while it waits for the end.
struct watched {
        struct apiserver *api;
        struct cx_http_server *server;
};

static bool is_ready(void *context)
{
        return health_ready(((struct watched *)context)->api);
}

static bool is_alive(void *context, int64_t limit)
{
        return cx_http_server_alive(((struct watched *)context)->server, limit / 2);
}

static void tend(void *context)
{
        store_tend(((struct watched *)context)->api->store);
}

static int run(struct apiserver *api, struct cx_http_server *server)
{
        struct api_service_checks *checks = api_service_checks_start(api);
        struct keeper keeper = {.api = api, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
        if (pthread_create(&keeper.thread, NULL, keeper_main, &keeper) != 0) {
                cx_err(NULL, "Cannot start the keeper's thread");
                return 1;
        }
        atomic_store(&api->ready, true);
        cx_info("Serving securely", "address", api->options.bind_address, "port", CX_INT(cx_http_server_port(server)));
        struct watched watched = {api, server};
        int number = cx_process_wait_stop_with(
                &(struct cx_service){.ready = is_ready, .alive = is_alive, .tend = tend, .context = &watched});
        cx_info("Shutting down", "signal", CX_INT(number));
        atomic_store(&api->stopping, true);
        cx_http_server_stop_accepting(server);
        api_service_checks_stop(checks);
        store_stop(api->store);
        relays_cancel(api->relays);
        pthread_mutex_lock(&keeper.lock);
        keeper.stopping = true;
        pthread_cond_signal(&keeper.wake);
        pthread_mutex_unlock(&keeper.lock);
        pthread_join(keeper.thread, NULL);
        service_goodbye(api);
        return 0;
}

static void finish(struct apiserver *api)
{
        relays_free(api->relays);
        backends_free(api->backends);
        watch_reaper_free(api->watches);
        rbac_free(api->rbac);
        documents_free(api->documents);
        api_services_free(api->api_services);
        kinds_free(api->kinds);
        store_free(api->store);
        cx_etcd_free(api->etcd);
        token_service_free(api->tokens);
        allocator_free(api->allocator);
        admission_chain_free(api->admission);
        pod_security_free(api->pod_security);
        audit_free(api->audit);
        cx_metrics_free(api->metrics);
}

int main(int argc, char **argv)
{
        struct apiserver api = {0};
        struct cx_http_server *server = NULL;
        struct audit_options audit;
        CX_ERROR err = CX_ERROR_INIT;
        int status = 1;
        cx_process_init();
        if (options_read(argc, argv, &api.options, &audit, &status) < 0)
                return status;
        server_counters(&api);
        status = 1;
        if (start(&api, &audit, &err) < 0 || listen_on(&api, &server, &err) < 0)
                cx_err(&err, "kube-apiserver cannot start");
        else
                status = run(&api, server);
        cx_http_server_free(server);
        finish(&api);
        return status;
}
