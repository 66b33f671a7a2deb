// SPDX-License-Identifier: Apache-2.0
// The life of a component: flags, client, port, election, work, end.
#include "libcommon/client/component_internal.h"

#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#include <limits.h>
#include <stdio.h>

// Gathered here, so that a component's flags and the common ones are parsed, checked and explained alike.
static size_t common_flags(struct cx_component *component, struct cx_flag *to)
{
        size_t n = 0;
#define FLAG(...) to[n++] = (struct cx_flag){__VA_ARGS__}
        FLAG("kubeconfig", 0, CX_FLAG_STRING, &component->kubeconfig,
             "Path to a kubeconfig file; without one the pod's service account is used.",
             .changed = &component->given.kubeconfig);
        FLAG("master", 0, CX_FLAG_STRING, &component->master, "Address of the API server; overrides the kubeconfig's.");
        FLAG("bind-address", 0, CX_FLAG_STRING, &component->bind_address, "Address that the secure port listens on.");
        FLAG("secure-port", 0, CX_FLAG_INT, &component->port, "Port for HTTPS; 0 serves none.", .min = 0, .max = 65535);
        FLAG("tls-cert-file", 0, CX_FLAG_STRING, &component->tls_cert_file,
             "Certificate to serve with; without one a self-signed certificate is made in memory.");
        FLAG("tls-private-key-file", 0, CX_FLAG_STRING, &component->tls_key_file, "Key of --tls-cert-file.");
        FLAG("client-ca-file", 0, CX_FLAG_STRING, &component->client_ca_file,
             "Authorities of client certificates; without them no certificate names a user.");
        FLAG("kube-api-qps", 0, CX_FLAG_INT, &component->qps, "Limit of calls to the API server a second; 0: none.",
             .min = 0, .max = 1000000, .changed = &component->given.qps);
        FLAG("kube-api-burst", 0, CX_FLAG_INT, &component->burst, "Burst of the limit.", .min = 0, .max = 1000000,
             .changed = &component->given.burst);
        FLAG("v", 'v', CX_FLAG_INT, &component->verbosity, "Verbosity of the log, 0 to 10.", .min = 0, .max = 10);
        FLAG("logging-format", 0, CX_FLAG_STRING, &component->logging_format, "text or json.");
        FLAG("authentication-kubeconfig", 0, CX_FLAG_STRING, &component->authentication_kubeconfig,
             "Kubeconfig file to ask with whose a token is (TokenReview); that of --kubeconfig by default.");
        FLAG("authorization-kubeconfig", 0, CX_FLAG_STRING, &component->authorization_kubeconfig,
             "Kubeconfig file to ask with who may read (SubjectAccessReview); that of --kubeconfig by default.");
        FLAG("authorization-always-allow-paths", 0, CX_FLAG_CSV, &component->open_paths,
             "Paths that everybody may read; a * at the end stands for what follows.",
             .changed = &component->open_paths_given);
        FLAG("profiling", 0, CX_FLAG_BOOL, &component->profiling, "Must be false: there is no profiling endpoint.");
        if (component->elects) {
                FLAG("leader-elect", 0, CX_FLAG_BOOL, &component->leader_elect, "Run only while holding the lease.",
                     .changed = &component->given.leader_elect);
                FLAG("leader-elect-lease-duration", 0, CX_FLAG_DURATION, &component->lease_duration,
                     "How long others wait for a renewal.", .changed = &component->given.lease_duration);
                FLAG("leader-elect-renew-deadline", 0, CX_FLAG_DURATION, &component->renew_deadline,
                     "How long the leader tries to renew before it gives up.",
                     .changed = &component->given.renew_deadline);
                FLAG("leader-elect-retry-period", 0, CX_FLAG_DURATION, &component->retry_period, "Time between tries.",
                     .changed = &component->given.retry_period);
                FLAG("leader-elect-resource-name", 0, CX_FLAG_STRING, &component->lease_name, "Name of the lease.",
                     .changed = &component->given.lease_name);
                FLAG("leader-elect-resource-namespace", 0, CX_FLAG_STRING, &component->lease_namespace,
                     "Namespace of the lease.", .changed = &component->given.lease_namespace);
                FLAG("leader-elect-resource-lock", 0, CX_FLAG_STRING, &component->lease_kind, "Must be leases.");
        }
#undef FLAG
        to[n] = (struct cx_flag){0};
        return n;
}

static void set_defaults(struct cx_component *component)
{
        component->bind_address = component->bind_address ? component->bind_address : "0.0.0.0";
        component->port = component->secure_port;
        component->leader_elect = component->elects;
        component->lease_duration = 15 * CX_NS_PER_S;
        component->renew_deadline = 10 * CX_NS_PER_S;
        component->retry_period = 2 * CX_NS_PER_S;
        if (!component->lease_name)
                component->lease_name = component->name;
}

// What upstream has more to choose from, but we do not.
static int check_flags(const struct cx_component *component, struct cx_error *err)
{
        if (component->profiling)
                return cx_error_set(err, -EINVAL, "--profiling: there is no profiling endpoint; leave it out");
        if (component->lease_kind && !cx_streq(component->lease_kind, "leases"))
                return cx_error_set(err, -EINVAL, "--leader-elect-resource-lock: \"%s\" is not supported, only leases",
                                    component->lease_kind);
        if (component->logging_format && !cx_streq(component->logging_format, "text") &&
            !cx_streq(component->logging_format, "json"))
                return cx_error_set(err, -EINVAL, "--logging-format: \"%s\" is neither text nor json",
                                    component->logging_format);
        return 0;
}

// 0: go on; 1: help or version was printed; negative: error.
static int parse_flags(struct cx_component *component, int argc, char **argv, struct cx_error *err)
{
        static const struct cx_flag none[] = {{0}};
        struct cx_flag common[40];
        bool help = false, version = false;
        size_t n = common_flags(component, common);
        common[n++] = (struct cx_flag){"help", 'h', CX_FLAG_BOOL, &help, "Print this text."};
        common[n++] = (struct cx_flag){"version", 0, CX_FLAG_BOOL, &version, "Print the version."};
        common[n] = (struct cx_flag){0};
        const struct cx_flag *tables[] = {component->flags ? component->flags : none, common};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = cx_flags_parse(tables, 2, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (version) {
                printf("Kubernetes " CX_VERSION "\n");
                return 1;
        }
        if (help) {
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text, "%s\n\nUsage:\n  %s [flags]\n\nFlags:\n", cx_str(component->description),
                              component->name);
                if (component->flags)
                        cx_flags_help(component->flags, &text);
                cx_flags_help(common, &text);
                fputs(text.data, stdout);
                return 1;
        }
        if (args.count)
                return cx_error_set(err, -EINVAL, "unknown command \"%s\" for \"%s\"", args.items[0], component->name);
        r = check_flags(component, err);
        if (r < 0)
                return r;
        cx_log_settings.verbosity = (int)component->verbosity;
        cx_log_settings.json = cx_streq(component->logging_format, "json");
        return 0;
}

static void take_text(const char **to, bool given, const json_t *from, const char *field)
{
        const char *text = cx_json_string(from, field);
        if (!given && text && *text)
                *to = text;
}

static int take_duration(int64_t *to, bool given, const json_t *from, const char *field, struct cx_error *err)
{
        const char *text = cx_json_string(from, field);
        int64_t duration;
        if (given || !text)
                return 0;
        if (cx_duration_parse(text, &duration) < 0 || duration <= 0)
                return cx_error_set(err, -EINVAL, "%s: \"%s\" must be a duration above zero", field, text);
        *to = duration;
        return 0;
}

int cx_component_take(struct cx_component *component, const json_t *client, const json_t *election,
                      struct cx_error *err)
{
        take_text(&component->kubeconfig, component->given.kubeconfig, client, "kubeconfig");
        take_text(&component->lease_name, component->given.lease_name, election, "resourceName");
        take_text(&component->lease_namespace, component->given.lease_namespace, election, "resourceNamespace");
        const json_t *qps = json_object_get(client, "qps");
        if (!component->given.qps && json_is_number(qps))
                component->qps = json_number_value(qps) > 1e6 ? 1000000 : (int64_t)json_number_value(qps);
        if (!component->given.burst)
                component->burst = cx_json_int(client, "burst", component->burst);
        if (!component->given.leader_elect)
                component->leader_elect = cx_json_bool(election, "leaderElect", component->leader_elect);
        int r = take_duration(&component->lease_duration, component->given.lease_duration, election, "leaseDuration",
                              err);
        if (r == 0)
                r = take_duration(&component->renew_deadline, component->given.renew_deadline, election,
                                  "renewDeadline", err);
        if (r == 0)
                r = take_duration(&component->retry_period, component->given.retry_period, election, "retryPeriod",
                                  err);
        return r;
}

// The leader has to know that it leads no more before others may take over.
static int check_election(const struct cx_component *component, struct cx_error *err)
{
        if (!component->elects || !component->leader_elect)
                return 0;
        if (component->lease_duration <= component->renew_deadline)
                return cx_error_set(err, -EINVAL, "the lease duration must be longer than the renew deadline");
        if (component->renew_deadline <= component->retry_period + component->retry_period / 5)
                return cx_error_set(err, -EINVAL, "the renew deadline must be longer than 1.2 retry periods");
        return 0;
}

static void drop_secret(char **secret)
{
        if (*secret)
                explicit_bzero(*secret, strlen(*secret));
        free(*secret);
        *secret = NULL;
}

int cx_component_rest(const struct cx_component *component, const char *kubeconfig, bool anonymous,
                      struct cx_rest **ret_rest, struct cx_error *err)
{
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        int r;
        if (kubeconfig && *kubeconfig) {
                CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
                r = cx_kubeconfig_load(kubeconfig, false, &config, err);
                if (r == 0)
                        r = cx_kubeconfig_resolve(&config,
                                                  &(struct cx_kubeconfig_overrides){.server = component->master},
                                                  &credentials, err);
        } else {
                r = cx_credentials_in_cluster(&credentials, err);
        }
        if (r < 0)
                return r;
        if (anonymous) {
                char **const secrets[] = {&credentials.cert_pem, &credentials.key_pem, &credentials.cert_file,
                                          &credentials.key_file, &credentials.token,   &credentials.token_file,
                                          &credentials.username, &credentials.password};
                for (size_t i = 0; i < CX_ARRAY_SIZE(secrets); i++)
                        drop_secret(secrets[i]);
        }
        CX_CLEANUP(cx_freep) char *agent = cx_sprintf("%s/" CX_VERSION, component->name);
        return cx_rest_new(&credentials,
                           &(struct cx_rest_options){.user_agent = agent,
                                                     .qps = (double)component->qps,
                                                     .burst = (int)component->burst,
                                                     .patience = 5 * CX_NS_PER_S,
                                                     .timeout = 30 * CX_NS_PER_S},
                           ret_rest, err);
}

int cx_component_anonymous(const struct cx_component *component, struct cx_rest **ret_rest, struct cx_error *err)
{
        return cx_component_rest(component, component->kubeconfig, true, ret_rest, err);
}

// Another leads now: two of us at work would do harm, so the process ends at once.
static void on_lost(void *context CX_UNUSED)
{
        _exit(1);
}

static void tend(void *context)
{
        struct cx_component *component = context;
        cx_rest_trim(component->rest);
        if (component->tend)
                component->tend(component);
}

bool cx_component_ready(struct cx_component *component)
{
        // One that waits for the lease is as ready as it can be.
        if (!atomic_load(&component->started))
                return component->leader && cx_leader_observed(component->leader);
        return component->ready ? component->ready(component)
                                : cx_informers_wait_synced(component->informers, 0, NULL) == 0;
}

static bool is_ready(void *context)
{
        return cx_component_ready(context);
}

static bool is_alive(void *context, int64_t limit)
{
        struct cx_component *component = context;
        return cx_informers_alive(component->informers, limit) &&
               (!component->server || cx_http_server_alive(component->server, limit / 4)) &&
               (!component->alive || !atomic_load(&component->started) || component->alive(component, limit));
}

static void *wait_for_stop(void *argument)
{
        struct cx_component *component = argument;
        cx_process_wait_stop_with(
                &(struct cx_service){.ready = is_ready, .alive = is_alive, .tend = tend, .context = component});
        if (component->leader)
                cx_leader_stop(component->leader);
        return NULL;
}

// Runs between the start and the end of the signal thread: 0, or the process' error.
static int lead_and_work(struct cx_component *component, pthread_t stop_thread, struct cx_error *err)
{
        if (component->leader) {
                if (cx_leader_acquire(component->leader, on_lost, component) < 0) {
                        pthread_join(stop_thread, NULL);
                        return 0;
                }
        }
        int r = component->start(component, err);
        if (r < 0)
                cx_process_request_stop();
        else
                atomic_store(&component->started, true);
        pthread_join(stop_thread, NULL);
        if (r == 0) {
                cx_info("Shutting down", "component", component->name);
                cx_component_close_port(component); // what it asks is about to go
                if (component->stop)
                        component->stop(component);
        }
        return r;
}

static int run(struct cx_component *component, struct cx_error *err)
{
        component->metrics = cx_metrics_new();
        int r = cx_component_rest(component, component->kubeconfig, false, &component->rest, err);
        if (r < 0)
                return r;
        component->informers = cx_informers_new(component->rest);
        component->events = cx_events_new(component->rest, component->name, NULL);
        if (component->elects && component->leader_elect) {
                r = cx_component_rest(component, component->kubeconfig, false, &component->election, err);
                if (r < 0)
                        return r;
                component->leader =
                        cx_leader_new(component->election, component->events,
                                      &(struct cx_leader_options){.namespace = component->lease_namespace,
                                                                  .name = component->lease_name,
                                                                  .lease_duration = component->lease_duration,
                                                                  .renew_deadline = component->renew_deadline,
                                                                  .retry_period = component->retry_period});
        }
        r = component->port ? cx_component_open_port(component, err) : 0; // which asks for all of them
        if (r < 0)
                return r;
        pthread_t stop_thread;
        if (pthread_create(&stop_thread, NULL, wait_for_stop, component))
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        cx_info("Started", "component", component->name, "version", CX_VERSION, "server",
                cx_rest_server(component->rest));
        return lead_and_work(component, stop_thread, err);
}

int cx_component_main(struct cx_component *component, int argc, char **argv)
{
        cx_process_init();
        set_defaults(component);
        CX_ERROR err = CX_ERROR_INIT;
        int r = parse_flags(component, argc, argv, &err);
        if (r > 0)
                return 0;
        if (r == 0 && component->configure)
                r = component->configure(component, &err);
        if (r == 0)
                r = check_election(component, &err);
        if (r < 0) {
                fprintf(stderr, "Error: %s\n", cx_error_text(&err));
                return 1;
        }
        r = run(component, &err);
        if (r < 0)
                cx_err(&err, "Cannot run", "component", component->name);
        cx_component_close_port(component);
        cx_informers_free(component->informers);
        cx_events_free(component->events);
        cx_leader_free(component->leader);
        cx_rest_free(component->election);
        cx_rest_free(component->rest);
        cx_metrics_free(component->metrics);
        return r < 0 ? 1 : 0;
}
