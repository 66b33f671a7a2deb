// SPDX-License-Identifier: Apache-2.0
// kube-proxy: flags and wiring.
#include "kube-proxy/proxy.h"

#include "kube-proxy/apply.h"
#include "kube-proxy/config.h"
#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <stdio.h>
#include <unistd.h>

static struct proxy *proxy;
static struct cx_strings node_port_addresses;
static bool cleanup;
static const char *mode = "iptables", *config_file;
static json_t *config; // of the file; owns its texts
static struct {
        const char *kubeconfig;
        int64_t qps, burst;
} client; // checked here, taken by the component
static struct proxy_options options = {
        .node_port_addresses = &node_port_addresses,
        .healthz_address = "0.0.0.0:10256",
        .metrics_address = "127.0.0.1:10249",
        .localhost_node_ports = true,
        // Upstream waits for a second; a rolling update under load needs its rules sooner, and they are cheap.
        .min_sync_period = 50 * CX_NS_PER_MS,
        .sync_period = 30 * CX_NS_PER_S,
};

// What was given as a flag, which goes before the file.
static struct {
        bool name, cidr, mode, all, min_period, period, localhost, healthz, metrics, addresses;
} given;

static const struct cx_flag flags[] = {
        {"config", 0, CX_FLAG_STRING, &config_file, "Path to a KubeProxyConfiguration; flags go before it."},
        {"hostname-override", 0, CX_FLAG_STRING, &options.node_name, "The node's name; the host's when empty.",
         .changed = &given.name},
        {"cluster-cidr", 0, CX_FLAG_STRING, &options.cluster_cidr,
         "Range of pod addresses: traffic to services from outside of it is masqueraded.", .changed = &given.cidr},
        {"proxy-mode", 0, CX_FLAG_STRING, &mode, "Only iptables.", .changed = &given.mode},
        {"masquerade-all", 0, CX_FLAG_BOOL, &options.masquerade_all, "Masquerade all traffic to cluster IPs.",
         .changed = &given.all},
        {"iptables-min-sync-period", 0, CX_FLAG_DURATION, &options.min_sync_period, "Least time between two syncs.",
         .changed = &given.min_period},
        {"iptables-sync-period", 0, CX_FLAG_DURATION, &options.sync_period,
         "How often to look whether somebody removed the rules.", .changed = &given.period},
        {"iptables-localhost-nodeports", 0, CX_FLAG_BOOL, &options.localhost_node_ports,
         "Serve node ports on 127.0.0.1 as well.", .changed = &given.localhost},
        {"healthz-bind-address", 0, CX_FLAG_STRING, &options.healthz_address, "Address and port of /healthz.",
         .changed = &given.healthz},
        {"metrics-bind-address", 0, CX_FLAG_STRING, &options.metrics_address, "Address and port of /metrics.",
         .changed = &given.metrics},
        {"nodeport-addresses", 0, CX_FLAG_CSV, &node_port_addresses,
         "Networks whose own addresses serve node ports, or \"primary\"; all when empty.", .changed = &given.addresses},
        {"cleanup", 0, CX_FLAG_BOOL, &cleanup, "Remove the rules and end."},
        {0},
};

// The fields of the file. Those of clientConnection are the component's to take.
static const struct proxy_field fields[] = {
        {"hostnameOverride", CX_FLAG_STRING, &options.node_name, &given.name},
        {"clusterCIDR", CX_FLAG_STRING, &options.cluster_cidr, &given.cidr},
        {"mode", CX_FLAG_STRING, &mode, &given.mode},
        {"iptables.masqueradeAll", CX_FLAG_BOOL, &options.masquerade_all, &given.all},
        {"iptables.minSyncPeriod", CX_FLAG_DURATION, &options.min_sync_period, &given.min_period},
        {"iptables.syncPeriod", CX_FLAG_DURATION, &options.sync_period, &given.period},
        {"iptables.localhostNodePorts", CX_FLAG_BOOL, &options.localhost_node_ports, &given.localhost},
        {"healthzBindAddress", CX_FLAG_STRING, &options.healthz_address, &given.healthz},
        {"metricsBindAddress", CX_FLAG_STRING, &options.metrics_address, &given.metrics},
        {"nodePortAddresses", CX_FLAG_CSV, &node_port_addresses, &given.addresses},
        {"clientConnection.kubeconfig", CX_FLAG_STRING, &client.kubeconfig, NULL},
        {"clientConnection.qps", CX_FLAG_INT, &client.qps, NULL},
        {"clientConnection.burst", CX_FLAG_INT, &client.burst, NULL},
        {0},
};

static int configure(struct cx_component *component, struct cx_error *err)
{
        if (!config_file || !*config_file)
                return 0;
        int r = proxy_config_load(config_file, fields, &config, err);
        return r < 0 ? r : cx_component_take(component, json_object_get(config, "clientConnection"), NULL, err);
}

static int check_options(struct cx_error *err)
{
        static char host[256];
        if (*mode && strcmp(mode, "iptables") != 0) // empty: the default
                return cx_error_set(err, -EINVAL, "proxy mode \"%s\" is not supported", mode);
        if (options.cluster_cidr && !*options.cluster_cidr)
                options.cluster_cidr = NULL;
        if (options.cluster_cidr && !cx_is_network(options.cluster_cidr, CX_IPV4))
                return cx_error_set(err, -EINVAL, "--cluster-cidr: \"%s\" is not an IPv4 network",
                                    options.cluster_cidr);
        for (size_t i = 0; i < node_port_addresses.count; i++)
                if (!cx_is_network(node_port_addresses.items[i], CX_IPV4) &&
                    strcmp(node_port_addresses.items[i], "primary") != 0)
                        return cx_error_set(err, -EINVAL, "--nodeport-addresses: \"%s\" is not an IPv4 network",
                                            node_port_addresses.items[i]);
        if (options.sync_period <= 0 || options.min_sync_period < 0)
                return cx_error_set(err, -EINVAL, "the sync periods must be positive");
        if (!options.node_name || !*options.node_name) {
                if (gethostname(host, sizeof host - 1) < 0)
                        return cx_error_set(err, -errno, "cannot get the host's name");
                options.node_name = host;
        }
        return 0;
}

static int start(struct cx_component *component, struct cx_error *err)
{
        int r = check_options(err);
        return r < 0 ? r : proxy_start(component, &options, &proxy, err);
}

static void stop(struct cx_component *component)
{
        proxy_stop(proxy);
        cx_informers_free(component->informers);
        component->informers = NULL;
        proxy_free(proxy);
        cx_strings_release(&node_port_addresses);
        json_decref(config);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return proxy_synced(proxy);
}

static bool alive(struct cx_component *component CX_UNUSED, int64_t limit)
{
        return proxy_alive(proxy, limit);
}

// --cleanup needs no API server, so it goes before everything that does.
static bool wants_cleanup(int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "--cleanup") == 0 || strcmp(argv[i], "--cleanup=true") == 0)
                        return true;
        return false;
}

int main(int argc, char **argv)
{
        static struct cx_component component = {
                .name = "kube-proxy",
                .description = "Makes the addresses of Services lead to their endpoints.",
                .flags = flags,
                .configure = configure,
                .start = start,
                .stop = stop,
                .ready = ready,
                .alive = alive,
        };
        if (!wants_cleanup(argc, argv))
                return cx_component_main(&component, argc, argv);
        cx_process_init();
        CX_ERROR err = CX_ERROR_INIT;
        if (applier_cleanup(&err) < 0) {
                fprintf(stderr, "Error: %s\n", cx_error_text(&err));
                return 1;
        }
        return 0;
}
