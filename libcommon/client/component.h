// SPDX-License-Identifier: Apache-2.0
// What the main function of every component that talks to the apiserver shares: common flags, the client, the port with
// /healthz, /livez, /readyz and /metrics, leader election, and a clean end on SIGTERM. The API server says who may read
// /metrics (libcommon/client/delegated_auth.h).
//
//     static struct cx_component component = {.name = "kube-scheduler", .secure_port = 10259};
//     int main(int argc, char **argv) { return cx_component_main(&component, argc, argv); }
#pragma once

#include "libcommon/base/flags.h"
#include "libcommon/base/metrics.h"
#include "libcommon/client/events.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/leader.h"
#include "libcommon/net/http_server.h"

#include <jansson.h>
#include <stdatomic.h>

struct cx_component {
        // Set by the component.
        const char *name, *description;
        int64_t secure_port;         // default of --secure-port; 0: none is served unless the flag says so
        bool elects;                 // has the --leader-elect flags
        const struct cx_flag *flags; // the component's own; ended by an entry without name; may be NULL
        // Called once the flags are known, before anything is made of them: reads configuration files. May be NULL.
        int (*configure)(struct cx_component *component, struct cx_error *err);
        // Starts the work, returns at once; called after the election was won. On failure the process exits with 1.
        int (*start)(struct cx_component *component, struct cx_error *err);
        void (*stop)(struct cx_component *component); // called at the end, if start succeeded; may be NULL
        // For /readyz; NULL: when its informers have filled. Like serve asked between start and stop only, from any thread: before,
        // nobody is ready but who waits for the lease.
        bool (*ready)(struct cx_component *component);
        // Whether its own loops have turned within the last `limit` ns; asked for a watchdog. May be NULL.
        bool (*alive)(struct cx_component *component, int64_t limit);
        void (*tend)(struct cx_component *component); // called about once a minute; may be NULL
        // Further paths of the port (on a worker), which it guards itself; false: 404. May be NULL. Before start: 503.
        bool (*serve)(struct cx_component *component, struct cx_http_request *request);
        void *context;

        // Made by cx_component_main, for use in start.
        struct cx_rest *rest;
        struct cx_informers *informers;
        struct cx_events *events;
        struct cx_metrics *metrics;
        struct cx_leader *leader;
        struct cx_rest *election; // the leader's own, so that no call of others is in the lease's way
        struct cx_http_server *server;
        struct cx_delegated_auth *auth; // for the port, with clients of its own where a flag says so
        struct cx_rest *tokens, *permissions;
        atomic_bool started; // `start` has succeeded

        // Flags.
        const char *kubeconfig, *bind_address, *tls_cert_file, *tls_key_file, *client_ca_file, *logging_format;
        const char *front_proxy_ca_file; // no flag of all: of components that the API server proxies to
        const char *authentication_kubeconfig, *authorization_kubeconfig;
        struct cx_strings open_paths;
        bool open_paths_given;
        const char *lease_name, *lease_namespace, *lease_kind, *master;
        int64_t port, verbosity, qps, burst, lease_duration, renew_deadline, retry_period;
        bool leader_elect, profiling;
        struct {
                bool kubeconfig, qps, burst, leader_elect, lease_duration, renew_deadline, retry_period, lease_name,
                        lease_namespace;
        } given; // on the command line
};
// Takes over what a configuration file says of the client and of leader election (ClientConnectionConfiguration and
// LeaderElectionConfiguration, checked; NULL: nothing), but for what was given as a flag. Texts are borrowed.
int cx_component_take(struct cx_component *component, const json_t *client, const json_t *election,
                      struct cx_error *err) CX_CHECK;
int cx_component_main(struct cx_component *component, int argc, char **argv);
// A client like component->rest that has no credentials: what identities share (cx_rest_derive).
int cx_component_anonymous(const struct cx_component *component, struct cx_rest **ret_rest, struct cx_error *err)
        CX_CHECK;
