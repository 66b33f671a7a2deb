// SPDX-License-Identifier: Apache-2.0
// cluster-dns: runs on every node and answers its node's pods.
#include "addons/dns/server.h"
#include "libcommon/client/component.h"

struct dns {
        struct cx_strings addresses, forward;
        const char *domain, *resolv_conf;
        int64_t port;
        struct zone zone;
        struct upstreams *upstreams;
        struct resolver *resolver;
        struct dns_metrics metrics;
        struct dns_server *server;
};

static struct dns dns = {.domain = "cluster.local", .resolv_conf = "/etc/resolv.conf", .port = 53};

static const struct cx_flag flags[] = {
        {.name = "address", .kind = CX_FLAG_CSV, .target = &dns.addresses, .help = "Addresses to listen on."},
        {.name = "port",
         .kind = CX_FLAG_INT,
         .target = &dns.port,
         .help = "Port to listen on.",
         .min = 1,
         .max = 65535},
        {.name = "cluster-domain", .kind = CX_FLAG_STRING, .target = &dns.domain, .help = "Domain of the cluster."},
        {.name = "forward",
         .kind = CX_FLAG_CSV,
         .target = &dns.forward,
         .help = "Name servers for everything else; those of --resolv-conf by default."},
        {.name = "resolv-conf", .kind = CX_FLAG_STRING, .target = &dns.resolv_conf, .help = "Where to find them."},
        {0},
};

static int start(struct cx_component *component, struct cx_error *err)
{
        if (!dns.addresses.count)
                cx_strings_add(&dns.addresses, "0.0.0.0");
        zone_init(&dns.zone, component->informers, dns.domain);
        int r = upstreams_new(&dns.forward, dns.resolv_conf, &dns.upstreams, err);
        if (r < 0)
                return r;
        dns.resolver = resolver_new(&dns.zone, dns.upstreams);
        dns_metrics_init(&dns.metrics, component->metrics, dns.domain, (int)dns.port);
        r = dns_server_new(dns.resolver, &dns.metrics, &dns.addresses, (int)dns.port, &dns.server, err);
        if (r == 0)
                cx_informers_start(component->informers);
        return r;
}

static void stop(struct cx_component *component CX_UNUSED)
{
        dns_server_free(dns.server);
        dns_metrics_release(&dns.metrics);
        resolver_free(dns.resolver);
        cx_strings_release(&dns.addresses);
        upstreams_free(dns.upstreams);
        cx_strings_release(&dns.forward);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return cx_informer_synced(dns.zone.services) && cx_informer_synced(dns.zone.slices) &&
               cx_informer_synced(dns.zone.namespaces);
}

static bool alive(struct cx_component *component CX_UNUSED, int64_t limit)
{
        return dns_server_alive(dns.server, limit);
}

int main(int argc, char **argv)
{
        static struct cx_component component = {
                .name = "cluster-dns",
                .description = "Answers the names of the cluster to the pods of its node.",
                .flags = flags,
                .start = start,
                .stop = stop,
                .ready = ready,
                .alive = alive,
        };
        return cx_component_main(&component, argc, argv);
}
