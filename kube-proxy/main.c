// SPDX-License-Identifier: Apache-2.0
// kube-proxy: flags and wiring.
#include "kube-proxy/proxy.h"

#include "kube-proxy/apply.h"
#include "libcommon/base/address.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <stdio.h>
#include <unistd.h>

static struct proxy *proxy;
static struct cx_strings node_port_addresses;
static bool cleanup;
static const char *mode = "iptables";
static struct proxy_options options = {
        .node_port_addresses = &node_port_addresses,
        .healthz_address = "0.0.0.0:10256",
        .metrics_address = "127.0.0.1:10249",
        .localhost_node_ports = true,
        // Upstream waits for a second; a rolling update under load needs its rules sooner, and they are cheap.
        .min_sync_period = 50 * CX_NS_PER_MS,
        .sync_period = 30 * CX_NS_PER_S,
};

static const struct cx_flag flags[] = {
        {"hostname-override", 0, CX_FLAG_STRING, &options.node_name, "The node's name; the host's when empty."},
        {"cluster-cidr", 0, CX_FLAG_STRING, &options.cluster_cidr,
         "Range of pod addresses: traffic to services from outside of it is masqueraded."},
        {"proxy-mode", 0, CX_FLAG_STRING, &mode, "Only iptables."},
        {"masquerade-all", 0, CX_FLAG_BOOL, &options.masquerade_all, "Masquerade all traffic to cluster IPs."},
        {"iptables-min-sync-period", 0, CX_FLAG_DURATION, &options.min_sync_period, "Least time between two syncs."},
        {"iptables-sync-period", 0, CX_FLAG_DURATION, &options.sync_period,
         "How often to look whether somebody removed the rules."},
        {"iptables-localhost-nodeports", 0, CX_FLAG_BOOL, &options.localhost_node_ports,
         "Serve node ports on 127.0.0.1 as well."},
        {"healthz-bind-address", 0, CX_FLAG_STRING, &options.healthz_address, "Address and port of /healthz."},
        {"metrics-bind-address", 0, CX_FLAG_STRING, &options.metrics_address, "Address and port of /metrics."},
        {"nodeport-addresses", 0, CX_FLAG_CSV, &node_port_addresses,
         "Networks whose own addresses serve node ports, or \"primary\"; all when empty."},
        {"cleanup", 0, CX_FLAG_BOOL, &cleanup, "Remove the rules and end."},
        {0},
};

static int check_options(struct cx_error *err)
{
        static char host[256];
        if (strcmp(mode, "iptables") != 0)
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
