// SPDX-License-Identifier: Apache-2.0
// One walk over the services. For every port: its endpoints (those that are ready, or, when there is none, those that
// still serve while they terminate), the chains of the port and of each endpoint, and the entries in the shared chains.
#include "kube-proxy/rules.h"

#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#define MASQUERADE_MARK "0x4000"

const struct jump rule_jumps[] = {
        {TABLE_FILTER, "INPUT", "KUBE-FIREWALL", ""},
        {TABLE_FILTER, "OUTPUT", "KUBE-FIREWALL", ""},
        {TABLE_FILTER, "INPUT", "KUBE-EXTERNAL-SERVICES", "-m conntrack --ctstate NEW"},
        {TABLE_FILTER, "FORWARD", "KUBE-EXTERNAL-SERVICES", "-m conntrack --ctstate NEW"},
        {TABLE_FILTER, "INPUT", "KUBE-NODEPORTS", ""},
        {TABLE_FILTER, "FORWARD", "KUBE-SERVICES", "-m conntrack --ctstate NEW"},
        {TABLE_FILTER, "OUTPUT", "KUBE-SERVICES", "-m conntrack --ctstate NEW"},
        {TABLE_FILTER, "FORWARD", "KUBE-FORWARD", ""},
        {TABLE_FILTER, "INPUT", "KUBE-PROXY-FIREWALL", "-m conntrack --ctstate NEW"},
        {TABLE_FILTER, "OUTPUT", "KUBE-PROXY-FIREWALL", "-m conntrack --ctstate NEW"},
        {TABLE_FILTER, "FORWARD", "KUBE-PROXY-FIREWALL", "-m conntrack --ctstate NEW"},
        {TABLE_NAT, "OUTPUT", "KUBE-SERVICES", ""},
        {TABLE_NAT, "PREROUTING", "KUBE-SERVICES", ""},
        {TABLE_NAT, "POSTROUTING", "KUBE-POSTROUTING", ""},
};
const size_t n_rule_jumps = CX_ARRAY_SIZE(rule_jumps);

static const char *const service_prefixes[] = {"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-"};

bool is_service_chain(const char *name)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(service_prefixes); i++)
                if (cx_has_prefix(name, service_prefixes[i]))
                        return true;
        return false;
}

static unsigned hex_value(char c)
{
        return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void chain_name(const char *prefix, const char *service_port, const char *protocol, const char *endpoint, char to[32])
{
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s%s%s", service_port, protocol, endpoint);
        char hex[65];
        cx_sha256_hex(text, strlen(text), hex);
        size_t at = (size_t)snprintf(to, 16, "%s", prefix);
        unsigned bits = 0, value = 0;
        const char *p = hex;
        for (int i = 0; i < 16; i++) { // base32: five bits a character
                while (bits < 5) {
                        value = value << 4 | hex_value(*p++);
                        bits += 4;
                }
                to[at++] = alphabet[value >> (bits - 5) & 31];
                bits -= 5;
                value &= (1U << bits) - 1;
        }
        to[at] = '\0';
}

// --- the state of a walk ---

struct rule_builder {
        const struct rules_config *config;
        struct ruleset *out;
        struct cx_map slices; // "namespace/service" -> struct cx_objects *, borrowed objects
        // The shared chains.
        struct cx_buf services, node_ports, filter_services, external_services, filter_node_ports, firewall;
};

struct rule_target { // an endpoint of a port
        char name[32], address[64];
        const char *ip;
        bool local;
};
struct targets {
        struct rule_target *items;
        size_t count;
};

struct port_context {
        const struct cx_object *object;
        const struct service *service;
        const struct proxy_port *port;
        char full_name[600]; // namespace/name:port
        char chain[32], local_chain[32], external_chain[32], firewall_chain[32];
        struct targets all, local;
        enum { HINTS_NONE, HINTS_ZONE, HINTS_NODE } hints; // those that choose among the endpoints
        bool any_endpoints;
};

static void put_chain(struct ruleset *rules, int table, const char *name, struct cx_buf *text)
{
        cx_map_set(&rules->chains[table], name, cx_buf_detach(text));
}

static void free_slice_list(void *list)
{
        free(((struct cx_objects *)list)->items);
        free(list);
}

static void group_slices(struct rule_builder *b, const struct cx_objects *slices)
{
        b->slices.free_value = free_slice_list;
        for (size_t i = 0; i < slices->count; i++) {
                const char *name = cx_object_label(slices->items[i], "kubernetes.io/service-name");
                if (!name || slices->items[i]->deleted)
                        continue;
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", slices->items[i]->namespace, name);
                struct cx_objects *list = cx_map_get(&b->slices, key);
                if (!list) {
                        list = cx_alloc(sizeof *list);
                        cx_map_set(&b->slices, key, list);
                }
                list->items = cx_realloc_array(list->items, list->count + 1, sizeof *list->items);
                list->items[list->count++] = slices->items[i];
        }
}

static int compare_targets(const void *a, const void *b)
{
        return strcmp(((const struct rule_target *)a)->address, ((const struct rule_target *)b)->address);
}

static void add_target(const struct port_context *c, const struct endpoint *endpoint, int port, struct targets *to)
{
        struct rule_target target = {.ip = endpoint->ip, .local = endpoint->local};
        snprintf(target.address, sizeof target.address, "%s:%d", endpoint->ip, port);
        for (size_t i = 0; i < to->count; i++)
                if (strcmp(to->items[i].address, target.address) == 0) // in two slices while it moves
                        return;
        chain_name("KUBE-SEP-", c->full_name, c->port->protocol, target.address, target.name);
        to->items = cx_realloc_array(to->items, to->count + 1, sizeof *to->items);
        to->items[to->count++] = target;
}

static bool hinted(const struct rule_builder *b, const struct port_context *c, const struct endpoint *endpoint)
{
        return c->hints == HINTS_NONE ||
               (c->hints == HINTS_ZONE ? cx_strings_has(&endpoint->zones, b->config->zone)
                                       : cx_strings_has(&endpoint->nodes, b->config->node_name));
}

// Hints count when every ready endpoint has them and one of them is meant for this node: else traffic would be lost.
static void choose_hints(const struct rule_builder *b, struct port_context *c)
{
        const struct cx_objects *list = cx_map_get(&b->slices, c->object->key);
        bool all_zones = b->config->zone, all_nodes = b->config->node_name, my_zone = false, my_node = false;
        for (size_t i = 0; list && i < list->count; i++) {
                const struct slice *slice = SLICE(list->items[i]);
                for (size_t j = 0; j < slice->n_endpoints; j++) {
                        const struct endpoint *endpoint = &slice->endpoints[j];
                        if (!endpoint->ready)
                                continue;
                        all_zones = all_zones && endpoint->zones.count;
                        all_nodes = all_nodes && endpoint->nodes.count;
                        my_zone = my_zone || (all_zones && cx_strings_has(&endpoint->zones, b->config->zone));
                        my_node = my_node || (all_nodes && cx_strings_has(&endpoint->nodes, b->config->node_name));
                }
        }
        c->hints = all_nodes && my_node ? HINTS_NODE : all_zones && my_zone ? HINTS_ZONE : HINTS_NONE;
}

// The endpoints that take traffic: ready ones, else (`fallback`) those that terminate but still serve.
static void collect(const struct rule_builder *b, const struct port_context *c, bool local, bool fallback,
                    struct targets *to)
{
        const struct cx_objects *list = cx_map_get(&b->slices, c->object->key);
        for (size_t i = 0; list && i < list->count; i++) {
                const struct slice *slice = SLICE(list->items[i]);
                int port = 0;
                for (size_t j = 0; j < slice->n_ports && !port; j++)
                        if (strcmp(slice->ports[j].name, c->port->name) == 0 &&
                            slice->ports[j].protocol == c->port->protocol)
                                port = slice->ports[j].port;
                for (size_t j = 0; port && j < slice->n_endpoints; j++) {
                        const struct endpoint *endpoint = &slice->endpoints[j];
                        bool wanted = fallback ? endpoint->serving && endpoint->terminating : endpoint->ready;
                        if (wanted && (local ? endpoint->local : fallback || hinted(b, c, endpoint)))
                                add_target(c, endpoint, port, to);
                }
        }
        if (to->count)
                qsort(to->items, to->count, sizeof *to->items, compare_targets);
}

static void collect_both(const struct rule_builder *b, struct port_context *c)
{
        choose_hints(b, c);
        collect(b, c, false, false, &c->all);
        if (!c->all.count)
                collect(b, c, false, true, &c->all);
        if (!c->service->external_local && !c->service->internal_local)
                return;
        collect(b, c, true, false, &c->local);
        if (!c->local.count)
                collect(b, c, true, true, &c->local);
}

// --- chains of one port ---

// Sends what arrives in `chain` to one of the targets; the same one as before where the client has been there.
static void distribute(const struct port_context *c, const char *chain, const struct targets *targets,
                       struct cx_buf *to)
{
        for (size_t i = 0; c->service->affinity_seconds && i < targets->count; i++)
                cx_buf_printf(to,
                              "-A %s -m comment --comment \"%s -> %s\" -m recent --name %s --rcheck --seconds %d "
                              "--reap -j %s\n",
                              chain, c->full_name, targets->items[i].address, targets->items[i].name,
                              c->service->affinity_seconds, targets->items[i].name);
        for (size_t i = 0; i < targets->count; i++) {
                cx_buf_printf(to, "-A %s -m comment --comment \"%s -> %s\"", chain, c->full_name,
                              targets->items[i].address);
                if (i + 1 < targets->count)
                        cx_buf_printf(to, " -m statistic --mode random --probability %.10f",
                                      1.0 / (double)(targets->count - i));
                cx_buf_printf(to, " -j %s\n", targets->items[i].name);
        }
}

static void write_endpoint(struct rule_builder *b, const struct port_context *c, const struct rule_target *target)
{
        if (cx_map_has(&b->out->chains[TABLE_NAT], target->name))
                return;
        CX_BUF text = CX_BUF_INIT;
        const char *name = target->name, *protocol = c->port->protocol;
        // A pod that reaches itself through the service must see the node as the client, or the answer goes astray.
        cx_buf_printf(&text, "-A %s -m comment --comment \"%s\" -s %s -j KUBE-MARK-MASQ\n", name, c->full_name,
                      target->ip);
        cx_buf_printf(&text, "-A %s -m comment --comment \"%s\"", name, c->full_name);
        if (c->service->affinity_seconds)
                cx_buf_printf(&text, " -m recent --name %s --set", name);
        cx_buf_printf(&text, " -m %s -p %s -j DNAT --to-destination %s\n", protocol, protocol, target->address);
        put_chain(b->out, TABLE_NAT, name, &text);
        b->out->endpoints++;
}

static void write_service_chain(struct rule_builder *b, const struct port_context *c)
{
        const struct service *service = c->service;
        CX_BUF text = CX_BUF_INIT;
        const char *outside = b->config->masquerade_all ? "" : b->config->cluster_cidr;
        if (outside) {
                cx_buf_printf(&text, "-A %s -m comment --comment \"%s cluster IP\" -m %s -p %s -d %s --dport %d",
                              c->chain, c->full_name, c->port->protocol, c->port->protocol, service->cluster_ip,
                              c->port->port);
                if (*outside)
                        cx_buf_printf(&text, " ! -s %s", outside);
                cx_buf_add(&text, " -j KUBE-MARK-MASQ\n");
        }
        distribute(c, c->chain, &c->all, &text);
        put_chain(b->out, TABLE_NAT, c->chain, &text);
}

static void write_local_chain(struct rule_builder *b, const struct port_context *c)
{
        CX_BUF text = CX_BUF_INIT;
        const char *outside = b->config->masquerade_all ? "" : b->config->cluster_cidr;
        if (c->service->internal_local && outside) {
                cx_buf_printf(&text, "-A %s -m comment --comment \"%s cluster IP\" -m %s -p %s -d %s --dport %d",
                              c->local_chain, c->full_name, c->port->protocol, c->port->protocol,
                              c->service->cluster_ip, c->port->port);
                if (*outside)
                        cx_buf_printf(&text, " ! -s %s", outside);
                cx_buf_add(&text, " -j KUBE-MARK-MASQ\n");
        }
        distribute(c, c->local_chain, &c->local, &text);
        put_chain(b->out, TABLE_NAT, c->local_chain, &text);
}

static void write_external_chain(struct rule_builder *b, const struct port_context *c)
{
        CX_BUF text = CX_BUF_INIT;
        const char *chain = c->external_chain, *name = c->full_name;
        if (!c->service->external_local) {
                cx_buf_printf(&text,
                              "-A %s -m comment --comment \"masquerade traffic for %s external destinations\" -j "
                              "KUBE-MARK-MASQ\n-A %s -j %s\n",
                              chain, name, chain, c->chain);
        } else {
                // Pods and the node itself are no outsiders: they may use endpoints elsewhere.
                if (b->config->cluster_cidr)
                        cx_buf_printf(
                                &text,
                                "-A %s -m comment --comment \"pod traffic for %s external destinations\" -s %s -j "
                                "%s\n",
                                chain, name, b->config->cluster_cidr, c->chain);
                cx_buf_printf(&text,
                              "-A %s -m comment --comment \"masquerade LOCAL traffic for %s external destinations\" -m "
                              "addrtype --src-type LOCAL -j KUBE-MARK-MASQ\n"
                              "-A %s -m comment --comment \"route LOCAL traffic for %s external destinations\" -m "
                              "addrtype --src-type LOCAL -j %s\n",
                              chain, name, chain, name, c->chain);
                if (c->local.count)
                        cx_buf_printf(&text, "-A %s -j %s\n", chain, c->local_chain);
        }
        put_chain(b->out, TABLE_NAT, chain, &text);
}

static void write_firewall_chain(struct rule_builder *b, const struct port_context *c)
{
        CX_BUF text = CX_BUF_INIT;
        for (size_t i = 0; i < c->service->source_ranges.count; i++)
                cx_buf_printf(&text, "-A %s -m comment --comment \"%s loadbalancer IP\" -s %s -j %s\n",
                              c->firewall_chain, c->full_name, c->service->source_ranges.items[i], c->external_chain);
        put_chain(b->out, TABLE_NAT, c->firewall_chain, &text);
}

// --- entries in the shared chains ---

static void enter(struct cx_buf *to, const char *chain, const struct port_context *c, const char *what, const char *ip,
                  const char *target)
{
        cx_buf_printf(to, "-A %s -m comment --comment \"%s %s\" -m %s -p %s -d %s --dport %d -j %s\n", chain,
                      c->full_name, what, c->port->protocol, c->port->protocol, ip, c->port->port, target);
}

static void note_udp(struct rule_builder *b, const struct port_context *c, const char *address)
{
        if (strcmp(c->port->protocol, "udp") != 0 || !c->all.count)
                return;
        cx_map_set(&b->out->udp_served, address, NULL);
        for (size_t i = 0; i < c->all.count; i++) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s %s", address, c->all.items[i].ip);
                cx_map_set(&b->out->udp_endpoints, key, NULL);
        }
}

static void note_tcp(struct rule_builder *b, const struct port_context *c)
{
        for (size_t i = 0; i < c->all.count && strcmp(c->port->protocol, "tcp") == 0; i++)
                cx_map_set(&b->out->tcp_endpoints, c->all.items[i].ip, NULL);
}

static void enter_cluster_ip(struct rule_builder *b, const struct port_context *c)
{
        const struct service *service = c->service;
        const char *ip = service->cluster_ip;
        note_udp(b, c, ip);
        note_tcp(b, c);
        if (!c->all.count)
                enter(&b->filter_services, "KUBE-SERVICES", c, "has no endpoints", ip, "REJECT");
        else if (service->internal_local && !c->local.count)
                enter(&b->filter_services, "KUBE-SERVICES", c, "has no local endpoints", ip, "DROP");
        else
                enter(&b->services, "KUBE-SERVICES", c, "cluster IP", ip,
                      service->internal_local ? c->local_chain : c->chain);
}

// An address that outsiders use.
static void enter_external(struct rule_builder *b, const struct port_context *c, const char *ip, const char *what,
                           const char *target)
{
        note_udp(b, c, ip);
        if (!c->all.count) {
                enter(&b->external_services, "KUBE-EXTERNAL-SERVICES", c, "has no endpoints", ip, "REJECT");
                return;
        }
        enter(&b->services, "KUBE-SERVICES", c, what, ip, target);
        if (c->service->external_local && !c->local.count)
                enter(&b->external_services, "KUBE-EXTERNAL-SERVICES", c, "has no local endpoints", ip, "DROP");
}

static void enter_balancer(struct rule_builder *b, const struct port_context *c)
{
        bool restricted = c->service->source_ranges.count;
        for (size_t i = 0; i < c->service->balancer_ips.count; i++) {
                const char *ip = c->service->balancer_ips.items[i];
                enter_external(b, c, ip, "loadbalancer IP", restricted ? c->firewall_chain : c->external_chain);
                // What the source ranges let through has another destination by then.
                if (restricted && c->all.count) {
                        CX_CLEANUP(cx_freep) char *what = cx_sprintf("traffic not accepted by %s", c->firewall_chain);
                        enter(&b->firewall, "KUBE-PROXY-FIREWALL", c, what, ip, "DROP");
                }
        }
        if (restricted && c->service->balancer_ips.count && c->all.count)
                write_firewall_chain(b, c);
}

static void enter_node_port(struct rule_builder *b, const struct port_context *c)
{
        const char *protocol = c->port->protocol;
        int port = c->port->node_port;
        char address[16];
        snprintf(address, sizeof address, ":%d", port);
        note_udp(b, c, address);
        b->out->has_node_ports = true;
        if (c->all.count)
                cx_buf_printf(&b->node_ports,
                              "-A KUBE-NODEPORTS -m comment --comment \"%s\" -m %s -p %s --dport %d -j %s\n",
                              c->full_name, protocol, protocol, port, c->external_chain);
        if (!c->all.count || (c->service->external_local && !c->local.count))
                cx_buf_printf(&b->external_services,
                              "-A KUBE-EXTERNAL-SERVICES -m comment --comment \"%s has no %sendpoints\" -m addrtype "
                              "--dst-type LOCAL -m %s -p %s --dport %d -j %s\n",
                              c->full_name, c->all.count ? "local " : "", protocol, protocol, port,
                              c->all.count ? "DROP" : "REJECT");
}

static void add_port(struct rule_builder *b, const struct cx_object *object, const struct proxy_port *port)
{
        struct port_context c = {.object = object, .service = SERVICE(object), .port = port};
        snprintf(c.full_name, sizeof c.full_name, "%s%s%s", object->key, *port->name ? ":" : "", port->name);
        chain_name("KUBE-SVC-", c.full_name, port->protocol, "", c.chain);
        chain_name("KUBE-SVL-", c.full_name, port->protocol, "", c.local_chain);
        chain_name("KUBE-EXT-", c.full_name, port->protocol, "", c.external_chain);
        chain_name("KUBE-FW-", c.full_name, port->protocol, "", c.firewall_chain);
        collect_both(b, &c);
        bool external = port->node_port || c.service->external_ips.count || c.service->balancer_ips.count;
        enter_cluster_ip(b, &c);
        for (size_t i = 0; i < c.service->external_ips.count; i++)
                enter_external(b, &c, c.service->external_ips.items[i], "external IP", c.external_chain);
        enter_balancer(b, &c);
        if (port->node_port)
                enter_node_port(b, &c);
        for (size_t i = 0; i < c.all.count; i++)
                write_endpoint(b, &c, &c.all.items[i]);
        for (size_t i = 0; i < c.local.count; i++)
                write_endpoint(b, &c, &c.local.items[i]);
        if (c.all.count && (!c.service->internal_local || external))
                write_service_chain(b, &c);
        if (c.local.count)
                write_local_chain(b, &c);
        if (c.all.count && external)
                write_external_chain(b, &c);
        free(c.all.items);
        free(c.local.items);
}

static void add_health_check(struct rule_builder *b, const struct cx_object *object)
{
        const struct service *service = SERVICE(object);
        CX_MAP ips = CX_MAP_INIT;
        const struct cx_objects *list = cx_map_get(&b->slices, object->key);
        for (size_t i = 0; list && i < list->count; i++)
                for (size_t j = 0; j < SLICE(list->items[i])->n_endpoints; j++) {
                        const struct endpoint *endpoint = &SLICE(list->items[i])->endpoints[j];
                        if (endpoint->local && endpoint->ready)
                                cx_map_set(&ips, endpoint->ip, NULL);
                }
        struct ruleset *out = b->out;
        out->health_checks = cx_realloc_array(out->health_checks, out->n_health_checks + 1, sizeof *out->health_checks);
        out->health_checks[out->n_health_checks++] = (struct health_check){
                cx_strdup(object->namespace), cx_strdup(object->name), service->health_port, (int)ips.count};
        cx_buf_printf(
                &b->filter_node_ports,
                "-A KUBE-NODEPORTS -m comment --comment \"%s health check node port\" -m tcp -p tcp --dport %d -j "
                "ACCEPT\n",
                object->key, service->health_port);
}

// --- what every node has ---

static void jump_to_node_ports(struct rule_builder *b)
{
        static const char *const comment = "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; "
                                           "NOTE: this must be the last rule "
                                           "in this chain\"";
        const struct cx_strings *addresses = b->config->node_port_addresses;
        if (!addresses) {
                cx_buf_printf(&b->services, "%s -m addrtype --dst-type LOCAL%s -j KUBE-NODEPORTS\n", comment,
                              b->config->localhost_node_ports ? "" : " ! -d 127.0.0.0/8");
                return;
        }
        for (size_t i = 0; i < addresses->count; i++)
                cx_buf_printf(&b->services, "%s -d %s -j KUBE-NODEPORTS\n", comment, addresses->items[i]);
}

static void put_text(struct ruleset *rules, int table, const char *name, const char *text)
{
        cx_map_set(&rules->chains[table], name, cx_strdup(text));
}

static void put_shared(struct rule_builder *b)
{
        struct ruleset *out = b->out;
        jump_to_node_ports(b);
        put_chain(out, TABLE_NAT, "KUBE-SERVICES", &b->services);
        put_chain(out, TABLE_NAT, "KUBE-NODEPORTS", &b->node_ports);
        put_chain(out, TABLE_FILTER, "KUBE-SERVICES", &b->filter_services);
        put_chain(out, TABLE_FILTER, "KUBE-EXTERNAL-SERVICES", &b->external_services);
        put_chain(out, TABLE_FILTER, "KUBE-NODEPORTS", &b->filter_node_ports);
        put_chain(out, TABLE_FILTER, "KUBE-PROXY-FIREWALL", &b->firewall);
        put_text(out, TABLE_NAT, "KUBE-MARK-MASQ", "-A KUBE-MARK-MASQ -j MARK --or-mark " MASQUERADE_MARK "\n");
        put_text(out, TABLE_NAT, "KUBE-POSTROUTING",
                 "-A KUBE-POSTROUTING -m mark ! --mark " MASQUERADE_MARK "/" MASQUERADE_MARK " -j RETURN\n"
                 "-A KUBE-POSTROUTING -j MARK --xor-mark " MASQUERADE_MARK "\n"
                 "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE "
                 "--random-fully\n");
        put_text(out, TABLE_FILTER, "KUBE-FORWARD",
                 "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n"
                 "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark " MASQUERADE_MARK
                 "/" MASQUERADE_MARK " -j ACCEPT\n"
                 "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate "
                 "RELATED,ESTABLISHED -j ACCEPT\n");
        // With route_localnet, packets for 127.0.0.0/8 from the wire would be taken; only translated ones may be.
        put_text(out, TABLE_FILTER, "KUBE-FIREWALL",
                 b->config->localhost_node_ports
                         ? "-A KUBE-FIREWALL -m comment --comment \"block incoming localnet connections\" -d "
                           "127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n"
                         : "");
        // Gone when somebody else flushes the tables: then everything is written anew.
        put_text(out, TABLE_NAT, "KUBE-PROXY-CANARY", "");
        put_text(out, TABLE_FILTER, "KUBE-PROXY-CANARY", "");
}

static int compare_objects(const void *a, const void *b)
{
        return strcmp((*(const struct cx_object *const *)a)->key, (*(const struct cx_object *const *)b)->key);
}

void rules_build(const struct rules_config *config, const struct cx_objects *services, const struct cx_objects *slices,
                 struct ruleset *ret_rules)
{
        *ret_rules = (struct ruleset){.chains = {CX_MAP_INIT_FREE(free), CX_MAP_INIT_FREE(free)}};
        struct rule_builder b = {.config = config,
                                 .out = ret_rules,
                                 .services = CX_BUF_INIT,
                                 .node_ports = CX_BUF_INIT,
                                 .filter_services = CX_BUF_INIT,
                                 .external_services = CX_BUF_INIT,
                                 .filter_node_ports = CX_BUF_INIT,
                                 .firewall = CX_BUF_INIT};
        group_slices(&b, slices);
        // In one order always, so that what has not changed compares equal.
        CX_CLEANUP(cx_freep) const struct cx_object **sorted = cx_alloc_array(services->count + 1, sizeof *sorted);
        for (size_t i = 0; i < services->count; i++)
                sorted[i] = services->items[i];
        qsort(sorted, services->count, sizeof *sorted, compare_objects);
        for (size_t i = 0; i < services->count; i++) {
                const struct service *service = SERVICE(sorted[i]);
                if (!service->cluster_ip)
                        continue;
                ret_rules->services++;
                for (size_t j = 0; j < service->n_ports; j++)
                        add_port(&b, sorted[i], &service->ports[j]);
                if (service->health_port)
                        add_health_check(&b, sorted[i]);
        }
        put_shared(&b);
        cx_map_release(&b.slices);
}

void ruleset_release(struct ruleset *rules)
{
        for (int table = 0; table < TABLE_COUNT; table++)
                cx_map_release(&rules->chains[table]);
        cx_map_release(&rules->udp_endpoints);
        cx_map_release(&rules->udp_served);
        cx_map_release(&rules->tcp_endpoints);
        for (size_t i = 0; i < rules->n_health_checks; i++) {
                free(rules->health_checks[i].namespace);
                free(rules->health_checks[i].name);
        }
        free(rules->health_checks);
        *rules = (struct ruleset){0};
}
