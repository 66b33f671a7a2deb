// SPDX-License-Identifier: Apache-2.0
// Services and EndpointSlices as the proxy sees them.
#include "kube-proxy/model.h"

#include "libcommon/base/address.h"
#include "libcommon/format/json.h"

static bool is_ipv4_network(const char *text)
{
        return cx_is_network(text, CX_IPV4);
}

static bool is_plain(const char *text)
{
        for (; *text; text++)
                if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *text))
                        return false;
        return true;
}

static const char *protocol_of(const json_t *port)
{
        const char *text = cx_json_string_or(port, "protocol", "TCP");
        return strcmp(text, "TCP") == 0    ? "tcp"
               : strcmp(text, "UDP") == 0  ? "udp"
               : strcmp(text, "SCTP") == 0 ? "sctp"
                                           : NULL;
}

static int port_number(const json_t *port, const char *field)
{
        int64_t number = cx_json_int(port, field, 0);
        return number >= 1 && number <= 65535 ? (int)number : 0;
}

static void project_ports(const json_t *list, struct proxy_port **ret_ports, size_t *ret_count)
{
        struct proxy_port *ports = cx_alloc_array(json_array_size(list) + 1, sizeof *ports);
        size_t i, n = 0;
        json_t *from;
        json_array_foreach (list, i, from) {
                struct proxy_port port = {.protocol = protocol_of(from),
                                          .port = port_number(from, "port"),
                                          .node_port = port_number(from, "nodePort")};
                const char *name = cx_json_string_or(from, "name", "");
                if (!port.protocol || !port.port || !is_plain(name))
                        continue;
                port.name = cx_strdup(name);
                ports[n++] = port;
        }
        *ret_ports = ports;
        *ret_count = n;
}

static void free_ports(struct proxy_port *ports, size_t count)
{
        for (size_t i = 0; i < count; i++)
                free(ports[i].name);
        free(ports);
}

static void free_endpoint(struct endpoint *endpoint)
{
        free(endpoint->ip);
        cx_strings_release(&endpoint->zones);
        cx_strings_release(&endpoint->nodes);
}

static void project_hints(const json_t *list, struct cx_strings *to)
{
        size_t i;
        json_t *from;
        json_array_foreach (list, i, from)
                if (cx_json_string(from, "name"))
                        cx_strings_add(to, cx_json_string(from, "name"));
}

static void add_checked(struct cx_strings *to, const char *text, bool (*check)(const char *text))
{
        while (text && *text == ' ')
                text++;
        if (check(text))
                cx_strings_add(to, text);
}

static void project_addresses(const json_t *spec, const json_t *status, struct service *to)
{
        size_t i;
        json_t *from;
        json_array_foreach (json_object_get(spec, "externalIPs"), i, from)
                add_checked(&to->external_ips, json_string_value(from), cx_is_ipv4);
        json_array_foreach (json_object_get(spec, "loadBalancerSourceRanges"), i, from)
                add_checked(&to->source_ranges, json_string_value(from), is_ipv4_network);
        // An address in Proxy mode is served by the balancer itself.
        json_array_foreach (cx_json_get(status, "loadBalancer.ingress"), i, from)
                if (to->balancer && !cx_streq(cx_json_string(from, "ipMode"), "Proxy"))
                        add_checked(&to->balancer_ips, cx_json_string(from, "ip"), cx_is_ipv4);
}

void *service_project(void *context CX_UNUSED, const json_t *json)
{
        struct service *self = cx_alloc(sizeof *self);
        const json_t *spec = json_object_get(json, "spec");
        const char *type = cx_json_string_or(spec, "type", "ClusterIP"), *ip = cx_json_string(spec, "clusterIP");
        if (strcmp(type, "ExternalName") == 0)
                return self;
        size_t i;
        json_t *other;
        self->cluster_ip = cx_is_ipv4(ip) ? cx_strdup(ip) : NULL;
        json_array_foreach (json_object_get(spec, "clusterIPs"), i, other)
                if (!self->cluster_ip && cx_is_ipv4(json_string_value(other)))
                        self->cluster_ip = cx_strdup(json_string_value(other));
        self->balancer = strcmp(type, "LoadBalancer") == 0;
        project_ports(json_object_get(spec, "ports"), &self->ports, &self->n_ports);
        project_addresses(spec, json_object_get(json, "status"), self);
        self->external_local = cx_streq(cx_json_string(spec, "externalTrafficPolicy"), "Local");
        self->internal_local = cx_streq(cx_json_string(spec, "internalTrafficPolicy"), "Local");
        if (cx_streq(cx_json_string(spec, "sessionAffinity"), "ClientIP")) {
                int64_t seconds = cx_json_int(spec, "sessionAffinityConfig.clientIP.timeoutSeconds", 10800);
                self->affinity_seconds = seconds >= 1 && seconds <= 86400 ? (int)seconds : 10800;
        }
        if (self->balancer && self->external_local)
                self->health_port = port_number(spec, "healthCheckNodePort");
        return self;
}

void service_free(void *projection)
{
        struct service *self = projection;
        free(self->cluster_ip);
        free_ports(self->ports, self->n_ports);
        cx_strings_release(&self->external_ips);
        cx_strings_release(&self->balancer_ips);
        cx_strings_release(&self->source_ranges);
        free(self);
}

void *slice_project(void *node_name, const json_t *json)
{
        struct slice *self = cx_alloc(sizeof *self);
        if (!cx_streq(cx_json_string(json, "addressType"), "IPv4"))
                return self;
        const json_t *list = json_object_get(json, "endpoints");
        project_ports(json_object_get(json, "ports"), &self->ports, &self->n_ports);
        self->endpoints = cx_alloc_array(json_array_size(list) + 1, sizeof *self->endpoints);
        size_t i;
        json_t *from;
        json_array_foreach (list, i, from) {
                // All addresses of an endpoint are the same one; the first counts.
                const char *ip = json_string_value(json_array_get(json_object_get(from, "addresses"), 0));
                if (!cx_is_ipv4(ip))
                        continue;
                bool ready = cx_json_bool(from, "conditions.ready", true);
                self->endpoints[self->n_endpoints++] =
                        (struct endpoint){.ip = cx_strdup(ip),
                                          .ready = ready,
                                          .serving = cx_json_bool(from, "conditions.serving", ready),
                                          .terminating = cx_json_bool(from, "conditions.terminating", false),
                                          .local = cx_streq(cx_json_string(from, "nodeName"), node_name)};
                struct endpoint *made = &self->endpoints[self->n_endpoints - 1];
                project_hints(cx_json_get(from, "hints.forZones"), &made->zones);
                project_hints(cx_json_get(from, "hints.forNodes"), &made->nodes);
        }
        return self;
}

void slice_free(void *projection)
{
        struct slice *self = projection;
        free_ports(self->ports, self->n_ports);
        for (size_t i = 0; i < self->n_endpoints; i++)
                free_endpoint(&self->endpoints[i]);
        free(self->endpoints);
        free(self);
}
