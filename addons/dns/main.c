// SPDX-License-Identifier: Apache-2.0
// cluster-dns: runs on every node and answers its node's pods.
#include "addons/dns/server.h"
#include "base/buf.h"
#include "client/component.h"

struct dns {
        struct cx_strings addresses, upstreams;
        const char *domain, *resolv_conf;
        int64_t port;
        struct cx_zone zone;
        struct cx_resolver *resolver;
        struct cx_dns_server *server;
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
         .target = &dns.upstreams,
         .help = "Name servers for everything else; those of --resolv-conf by default."},
        {.name = "resolv-conf", .kind = CX_FLAG_STRING, .target = &dns.resolv_conf, .help = "Where to find them."},
        {0},
};

static void read_resolv_conf(const char *path, struct cx_strings *to)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        CX_STRINGS lines = CX_STRINGS_INIT;
        if (cx_buf_read_file(&text, path) < 0)
                return;
        cx_strings_split(&lines, text.data, '\n');
        for (size_t i = 0; i < lines.count; i++) {
                const char *line = lines.items[i];
                if (!cx_has_prefix(line, "nameserver"))
                        continue;
                line += strlen("nameserver");
                line += strspn(line, " \t");
                CX_CLEANUP(cx_freep) char *address = cx_strndup(line, strcspn(line, " \t#;"));
                if (strchr(address, '.')) // IPv6 servers are left out: the node may have no such route
                        cx_strings_add(to, address);
        }
}

static int start(struct cx_component *component, struct cx_error *err)
{
        if (!dns.addresses.count)
                cx_strings_add(&dns.addresses, "0.0.0.0");
        if (!dns.upstreams.count)
                read_resolv_conf(dns.resolv_conf, &dns.upstreams);
        cx_zone_init(&dns.zone, component->informers, dns.domain);
        int r = cx_resolver_new(&dns.zone, &dns.upstreams, &dns.resolver, err);
        if (r == 0)
                r = cx_dns_server_new(dns.resolver, &dns.addresses, (int)dns.port, &dns.server, err);
        if (r == 0)
                cx_informers_start(component->informers);
        return r;
}

static void stop(struct cx_component *component CX_UNUSED)
{
        cx_dns_server_free(dns.server);
        cx_resolver_free(dns.resolver);
        cx_strings_release(&dns.addresses);
        cx_strings_release(&dns.upstreams);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return cx_informer_synced(dns.zone.services) && cx_informer_synced(dns.zone.slices) &&
               cx_informer_synced(dns.zone.namespaces);
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
        };
        return cx_component_main(&component, argc, argv);
}
