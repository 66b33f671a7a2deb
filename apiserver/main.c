// SPDX-License-Identifier: Apache-2.0
// kube-apiserver: flags, wiring, and the beat that keeps what needs keeping.
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
#include "apiserver/registry/registry.h"
#include "apiserver/server.h"
#include "apiserver/storage/cache.h"
#include "apiserver/strategy/allocator.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"

#include <net/if.h>
#include <stdio.h>

#define HEARTBEAT (5 * CX_NS_PER_S)
#define REPAIR (180 * CX_NS_PER_S)
#define WORKERS 32

static void take_first(void *context, const struct cx_interface *interface)
{
        char *to = context;
        if (!*to && interface->address.family == CX_IPV4 && (interface->flags & IFF_UP) &&
            !(interface->flags & IFF_LOOPBACK))
                cx_address_format(&interface->address, to);
}

// The address of the first interface that is up and not the loopback; the loopback's when there is none.
static char *default_address(void)
{
        char text[CX_ADDRESS_TEXT] = "";
        cx_interfaces_each(take_first, text);
        return cx_strdup(*text ? text : "127.0.0.1");
}

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

// 0: go on; else the process is over with *ret_status.
static int read_flags(int argc, char **argv, struct apiserver_options *o, struct audit_options *audit, int *ret_status)
{
        *o = (struct apiserver_options){.bind_address = "0.0.0.0",
                                        .secure_port = 6443,
                                        .service_cluster_ip_range = "10.96.0.0/12",
                                        .service_node_port_range = "30000-32767",
                                        .service_account_issuer = "https://kubernetes.default.svc.cluster.local",
                                        .anonymous_auth = true,
                                        .event_ttl = 3600 * CX_NS_PER_S,
                                        .etcd_compaction_interval = 300 * CX_NS_PER_S,
                                        .watch_cache_size = CACHE_WINDOW,
                                        .min_request_timeout = 1800,
                                        .max_request_bytes = 3 << 20};
        int64_t verbosity = 0;
        const char *format = "text";
        bool help = false, version = false, profiling = false;
        const struct cx_flag flags[] = {
                {"advertise-address", 0, CX_FLAG_STRING, &o->advertise_address,
                 "address that members of the cluster reach this server at", NULL, NULL, 0, 0},
                {"bind-address", 0, CX_FLAG_STRING, &o->bind_address, "address to listen on", NULL, NULL, 0, 0},
                {"secure-port", 0, CX_FLAG_INT, &o->secure_port, "port to serve HTTPS on", NULL, NULL, 0, 65535},
                {"etcd-servers", 0, CX_FLAG_CSV, &o->etcd_servers, "etcd endpoints, https://host:port", NULL, NULL, 0,
                 0},
                {"etcd-cafile", 0, CX_FLAG_STRING, &o->etcd_ca_file, "CA of etcd's certificate", NULL, NULL, 0, 0},
                {"etcd-certfile", 0, CX_FLAG_STRING, &o->etcd_cert_file, "client certificate for etcd", NULL, NULL, 0,
                 0},
                {"etcd-keyfile", 0, CX_FLAG_STRING, &o->etcd_key_file, "key of the client certificate for etcd", NULL,
                 NULL, 0, 0},
                {"tls-cert-file", 0, CX_FLAG_STRING, &o->tls_cert_file, "certificate to serve with", NULL, NULL, 0, 0},
                {"tls-private-key-file", 0, CX_FLAG_STRING, &o->tls_key_file, "key of that certificate", NULL, NULL, 0,
                 0},
                {"client-ca-file", 0, CX_FLAG_STRING, &o->client_ca_file, "CA of client certificates", NULL, NULL, 0,
                 0},
                {"service-account-key-file", 0, CX_FLAG_LIST, &o->service_account_key_files,
                 "key that verifies service account tokens; repeatable", NULL, NULL, 0, 0},
                {"service-account-signing-key-file", 0, CX_FLAG_STRING, &o->service_account_signing_key_file,
                 "key that signs service account tokens", NULL, NULL, 0, 0},
                {"service-account-issuer", 0, CX_FLAG_STRING, &o->service_account_issuer,
                 "issuer of service account tokens", NULL, NULL, 0, 0},
                {"service-account-max-token-expiration", 0, CX_FLAG_DURATION, &o->service_account_max_token_expiration,
                 "longest life of a requested token", NULL, NULL, 0, 0},
                {"api-audiences", 0, CX_FLAG_CSV, &o->api_audiences, "audiences of this API; the issuer by default",
                 NULL, NULL, 0, 0},
                {"service-cluster-ip-range", 0, CX_FLAG_STRING, &o->service_cluster_ip_range, "network of cluster IPs",
                 NULL, NULL, 0, 0},
                {"service-node-port-range", 0, CX_FLAG_STRING, &o->service_node_port_range, "range of node ports", NULL,
                 NULL, 0, 0},
                {"authorization-mode", 0, CX_FLAG_CSV, &o->authorization_modes, "Node, RBAC, AlwaysAllow", NULL, NULL,
                 0, 0},
                {"enable-admission-plugins", 0, CX_FLAG_CSV, &o->enable_admission, "admission plugins to add", NULL,
                 NULL, 0, 0},
                {"disable-admission-plugins", 0, CX_FLAG_CSV, &o->disable_admission, "admission plugins to leave out",
                 NULL, NULL, 0, 0},
                {"admission-control-config-file", 0, CX_FLAG_STRING, &o->admission_config_file,
                 "settings of admission plugins"},
                {"kubelet-client-certificate", 0, CX_FLAG_STRING, &o->kubelet_client_cert_file,
                 "client certificate for kubelets", NULL, NULL, 0, 0},
                {"kubelet-client-key", 0, CX_FLAG_STRING, &o->kubelet_client_key_file,
                 "key of the client certificate for kubelets", NULL, NULL, 0, 0},
                {"kubelet-certificate-authority", 0, CX_FLAG_STRING, &o->kubelet_ca_file,
                 "CA of kubelets' certificates", NULL, NULL, 0, 0},
                {"proxy-client-cert-file", 0, CX_FLAG_STRING, &o->proxy_client_cert_file,
                 "client certificate for aggregated API servers", NULL, NULL, 0, 0},
                {"proxy-client-key-file", 0, CX_FLAG_STRING, &o->proxy_client_key_file,
                 "key of the client certificate for aggregated API servers", NULL, NULL, 0, 0},
                {"requestheader-client-ca-file", 0, CX_FLAG_STRING, &o->requestheader_client_ca_file,
                 "CA of front proxies, whose headers are believed; aggregated API servers are told, too", NULL, NULL, 0,
                 0},
                {"requestheader-allowed-names", 0, CX_FLAG_CSV, &o->requestheader_allowed_names,
                 "common names of front proxies' certificates; any when empty", NULL, NULL, 0, 0},
                {"requestheader-username-headers", 0, CX_FLAG_CSV, &o->requestheader_username_headers,
                 "headers in which front proxies name the user", NULL, NULL, 0, 0},
                {"requestheader-uid-headers", 0, CX_FLAG_CSV, &o->requestheader_uid_headers,
                 "headers in which front proxies tell the user's uid", NULL, NULL, 0, 0},
                {"requestheader-group-headers", 0, CX_FLAG_CSV, &o->requestheader_group_headers,
                 "headers in which front proxies tell the user's groups", NULL, NULL, 0, 0},
                {"requestheader-extra-headers-prefix", 0, CX_FLAG_CSV, &o->requestheader_extra_headers_prefix,
                 "how headers begin in which front proxies tell what else they know of the user", NULL, NULL, 0, 0},
                {"token-auth-file", 0, CX_FLAG_STRING, &o->token_auth_file, "file of static tokens", NULL, NULL, 0, 0},
                {"enable-bootstrap-token-auth", 0, CX_FLAG_BOOL, &o->enable_bootstrap_token_auth,
                 "accept bootstrap tokens", NULL, NULL, 0, 0},
                {"anonymous-auth", 0, CX_FLAG_BOOL, &o->anonymous_auth,
                 "let requests without credentials in as system:anonymous", NULL, NULL, 0, 0},
                {"allow-privileged", 0, CX_FLAG_BOOL, &o->allow_privileged, "allow privileged containers", NULL, NULL,
                 0, 0},
                {"etcd-compaction-interval", 0, CX_FLAG_DURATION, &o->etcd_compaction_interval,
                 "how often etcd is told to forget revisions that are older than that; 0: never", NULL, NULL, 0, 0},
                {"default-watch-cache-size", 0, CX_FLAG_INT, &o->watch_cache_size,
                 "how many events of a resource are kept at most for those who watch", NULL, NULL, 16, CACHE_WINDOW},
                {"event-ttl", 0, CX_FLAG_DURATION, &o->event_ttl, "how long events are kept", NULL, NULL, 0, 0},
                {"min-request-timeout", 0, CX_FLAG_INT, &o->min_request_timeout, "seconds that a watch lives at least",
                 NULL, NULL, 1, 86400},
                {"encryption-provider-config", 0, CX_FLAG_STRING, &o->encryption_provider_config,
                 "how objects are encrypted in etcd"},
                {"encryption-provider-config-automatic-reload", 0, CX_FLAG_BOOL, &o->encryption_reload,
                 "read that file again when it changes"},
                {"profiling", 0, CX_FLAG_BOOL, &profiling, "must be false: there is no profiling endpoint"},
                {"max-request-bytes", 0, CX_FLAG_INT, &o->max_request_bytes, "largest request body", NULL, NULL, 1024,
                 256 << 20},
                {"v", 'v', CX_FLAG_INT, &verbosity, "log verbosity", NULL, NULL, 0, 10},
                {"logging-format", 0, CX_FLAG_STRING, &format, "text or json", NULL, NULL, 0, 0},
                {"version", 0, CX_FLAG_BOOL, &version, "print the version and exit", NULL, NULL, 0, 0},
                {"help", 'h', CX_FLAG_BOOL, &help, "print this and exit", NULL, NULL, 0, 0},
                {0},
        };
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS args = CX_STRINGS_INIT;
        struct audit_flags of_audit;
        audit_flags_make(audit, &of_audit);
        const struct cx_flag *const tables[] = {flags, of_audit.known, of_audit.refused};
        *ret_status = 0;
        if (cx_flags_parse(tables, CX_ARRAY_SIZE(tables), argc, argv, &args, NULL, &err) < 0 || args.count) {
                fprintf(stderr, "Error: %s\n", err.code ? cx_error_text(&err) : "no arguments are taken");
                *ret_status = 1;
        } else if (profiling) {
                fprintf(stderr, "Error: --profiling: there is no profiling endpoint; leave it out\n");
                *ret_status = 1;
        } else if (version) {
                *ret_status = printf("Kubernetes " CX_VERSION "\n") < 0;
        } else if (help) {
                CX_BUF text = CX_BUF_INIT;
                cx_flags_help(flags, &text);
                cx_flags_help(of_audit.known, &text);
                *ret_status = printf("Usage:\n  kube-apiserver [flags]\n\nFlags:\n%s", text.data) < 0;
        } else {
                cx_log_settings.verbosity = (int)verbosity;
                cx_log_settings.json = strcmp(format, "json") == 0;
                return 0;
        }
        return -ECANCELED;
}

static void set_default(struct cx_strings *list, const char *item)
{
        if (!list->count)
                cx_strings_add(list, item);
}

int main(int argc, char **argv)
{
        struct apiserver api = {0};
        struct cx_http_server *server = NULL;
        struct apiserver_options *o = &api.options;
        struct audit_options audit;
        CX_ERROR err = CX_ERROR_INIT;
        int status = 1;
        cx_process_init();
        if (read_flags(argc, argv, o, &audit, &status) < 0)
                return status;
        CX_CLEANUP(cx_freep) char *address = default_address();
        if (!o->advertise_address)
                o->advertise_address = address;
        set_default(&o->authorization_modes, "AlwaysAllow");
        set_default(&o->api_audiences, o->service_account_issuer);
        set_default(&o->requestheader_username_headers, "X-Remote-User");
        set_default(&o->requestheader_uid_headers, "X-Remote-Uid");
        set_default(&o->requestheader_group_headers, "X-Remote-Group");
        set_default(&o->requestheader_extra_headers_prefix, "X-Remote-Extra-");
        server_counters(&api);
        status = 1;
        if (start(&api, &audit, &err) < 0 || listen_on(&api, &server, &err) < 0)
                cx_err(&err, "kube-apiserver cannot start");
        else
                status = run(&api, server);
        cx_http_server_free(server);
        finish(&api);
        cx_strings_release(&o->etcd_servers);
        cx_strings_release(&o->service_account_key_files);
        cx_strings_release(&o->api_audiences);
        cx_strings_release(&o->authorization_modes);
        cx_strings_release(&o->requestheader_allowed_names);
        cx_strings_release(&o->requestheader_username_headers);
        cx_strings_release(&o->requestheader_uid_headers);
        cx_strings_release(&o->requestheader_group_headers);
        cx_strings_release(&o->requestheader_extra_headers_prefix);
        cx_strings_release(&o->enable_admission);
        cx_strings_release(&o->disable_admission);
        return status;
}
