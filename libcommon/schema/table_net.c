// SPDX-License-Identifier: Apache-2.0
// Rows of services, endpoints, endpoint slices, ingresses, network policies and address ranges.
#include "libcommon/schema/table_internal.h"

#define MAX_SHOWN 3

// Addresses or names of a Service's or Ingress's load balancer.
static void add_load_balancer(struct cx_buf *text, const json_t *object)
{
        size_t i;
        json_t *ingress;
        json_array_foreach (cx_json_get(object, "status.loadBalancer.ingress"), i, ingress) {
                const char *ip = cx_json_string_or(ingress, "ip", "");
                cx_buf_printf(text, "%s%s", i ? "," : "", *ip ? ip : cx_json_string_or(ingress, "hostname", ""));
        }
}

static void print_external_ip(struct cx_row *row, const json_t *service, const char *type)
{
        const json_t *external = cx_json_get(service, "spec.externalIPs");
        if (strcmp(type, "ExternalName") == 0) {
                cx_cell_at(row, service, "spec.externalName", "");
                return;
        }
        CX_CLEANUP(cx_freep) char *ips = cx_join_list(external, NULL, ",");
        if (strcmp(type, "LoadBalancer") != 0) {
                cx_cell_or(row, ips, "<none>");
                return;
        }
        CX_BUF text = CX_BUF_INIT;
        add_load_balancer(&text, service);
        if (*ips)
                cx_buf_printf(&text, "%s%s", text.length ? "," : "", ips);
        cx_cell_or(row, text.data, "<pending>");
}

static void print_service_ports(struct cx_row *row, const json_t *service)
{
        CX_BUF text = CX_BUF_INIT;
        size_t i;
        json_t *port;
        json_array_foreach (cx_json_get(service, "spec.ports"), i, port) {
                int64_t node_port = cx_json_int(port, "nodePort", 0);
                cx_buf_printf(&text, "%s%lld", i ? "," : "", (long long)cx_json_int(port, "port", 0));
                if (node_port)
                        cx_buf_printf(&text, ":%lld", (long long)node_port);
                cx_buf_printf(&text, "/%s", cx_json_string_or(port, "protocol", "TCP"));
        }
        cx_cell_or(row, text.data, "<none>");
}

static void print_service(struct cx_row *row, const json_t *service)
{
        const char *type = cx_json_string_or(service, "spec.type", "ClusterIP");
        cx_cell_name(row, service);
        cx_cell(row, type);
        const char *ip = json_string_value(json_array_get(cx_json_get(service, "spec.clusterIPs"), 0));
        cx_cell_or(row, ip ? ip : cx_json_string(service, "spec.clusterIP"), "<none>");
        print_external_ip(row, service, type);
        print_service_ports(row, service);
        cx_cell_age(row, service);
        cx_cell_labels(row, cx_json_get(service, "spec.selector"));
}

static void add_endpoint(struct cx_buf *text, size_t *count, const char *ip, int64_t port)
{
        if ((*count)++ >= MAX_SHOWN)
                return;
        cx_buf_add(text, text->length ? "," : "");
        if (port < 0)
                cx_buf_add(text, ip);
        else
                cx_buf_printf(text, strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", ip, (long long)port);
}

static void print_endpoints(struct cx_row *row, const json_t *object)
{
        CX_BUF text = CX_BUF_INIT;
        size_t count = 0, i, j, k;
        json_t *subset, *port, *address;
        json_array_foreach (json_object_get(object, "subsets"), i, subset) {
                const json_t *ports = json_object_get(subset, "ports"),
                             *addresses = json_object_get(subset, "addresses");
                if (!json_array_size(ports))
                        json_array_foreach (addresses, k, address)
                                add_endpoint(&text, &count, cx_json_string_or(address, "ip", ""), -1);
                json_array_foreach (ports, j, port)
                        json_array_foreach (addresses, k, address)
                                add_endpoint(&text, &count, cx_json_string_or(address, "ip", ""),
                                             cx_json_int(port, "port", 0));
        }
        if (count > MAX_SHOWN)
                cx_buf_printf(&text, " + %zu more...", count - MAX_SHOWN);
        cx_cell_name(row, object);
        cx_cell_or(row, text.data, "<none>");
        cx_cell_age(row, object);
}

static void print_slice(struct cx_row *row, const json_t *slice)
{
        CX_BUF ports = CX_BUF_INIT, addresses = CX_BUF_INIT;
        size_t n_ports = 0, n_addresses = 0, i, j;
        json_t *item, *address;
        json_array_foreach (json_object_get(slice, "ports"), i, item) {
                if (n_ports++ >= MAX_SHOWN)
                        continue;
                cx_buf_add(&ports, ports.length ? "," : "");
                if (json_object_get(item, "port"))
                        cx_buf_printf(&ports, "%lld", (long long)cx_json_int(item, "port", 0));
                else
                        cx_buf_add(&ports, "*");
        }
        json_array_foreach (json_object_get(slice, "endpoints"), i, item)
                json_array_foreach (json_object_get(item, "addresses"), j, address)
                        add_endpoint(&addresses, &n_addresses, cx_str(json_string_value(address)), -1);
        if (n_ports > MAX_SHOWN)
                cx_buf_printf(&ports, " + %zu more...", n_ports - MAX_SHOWN);
        if (n_addresses > MAX_SHOWN)
                cx_buf_printf(&addresses, " + %zu more...", n_addresses - MAX_SHOWN);
        cx_cell_name(row, slice);
        cx_cell_at(row, slice, "addressType", "");
        cx_cell_or(row, ports.data, "<unset>");
        cx_cell_or(row, addresses.data, "<unset>");
        cx_cell_age(row, slice);
}

static void print_ingress_hosts(struct cx_row *row, const json_t *ingress)
{
        CX_BUF text = CX_BUF_INIT;
        size_t count = 0, i;
        json_t *rule;
        json_array_foreach (cx_json_get(ingress, "spec.rules"), i, rule) {
                const char *host = cx_json_string_or(rule, "host", "");
                if (*host)
                        add_endpoint(&text, &count, host, -1);
        }
        if (count > MAX_SHOWN)
                cx_buf_printf(&text, " + %zu more...", count - MAX_SHOWN);
        cx_cell_or(row, text.data, "*");
}

static void print_ingress(struct cx_row *row, const json_t *ingress)
{
        CX_BUF address = CX_BUF_INIT;
        add_load_balancer(&address, ingress);
        cx_cell_name(row, ingress);
        cx_cell_at(row, ingress, "spec.ingressClassName", "<none>");
        print_ingress_hosts(row, ingress);
        cx_cell(row, address.data);
        cx_cell(row, cx_json_count(ingress, "spec.tls") ? "80, 443" : "80");
        cx_cell_age(row, ingress);
}

static void print_ingress_class(struct cx_row *row, const json_t *object)
{
        const char *kind = cx_json_string(object, "spec.parameters.kind");
        const char *group = cx_json_string_or(object, "spec.parameters.apiGroup", "");
        cx_cell_name(row, object);
        cx_cell_at(row, object, "spec.controller", "");
        if (kind)
                cx_cell_printf(row, "%s%s%s/%s", kind, *group ? "." : "", group,
                               cx_json_string_or(object, "spec.parameters.name", ""));
        else
                cx_cell(row, "<none>");
        cx_cell_age(row, object);
}

static void print_network_policy(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_label_selector(row, cx_json_get(object, "spec.podSelector"));
        cx_cell_age(row, object);
}

static void print_ip_address(struct cx_row *row, const json_t *object)
{
        static const char *const parts[] = {"resource", "group", "namespace", "name"};
        const json_t *parent = cx_json_get(object, "spec.parentRef");
        CX_BUF text = CX_BUF_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(parts); i++) {
                const char *part = cx_json_string_or(parent, parts[i], "");
                if (*part)
                        cx_buf_printf(&text, "%s%s", i == 0 ? "" : i == 1 ? "." : "/", part);
        }
        cx_cell_name(row, object);
        cx_cell(row, text.data);
        cx_cell_age(row, object);
}

static void print_service_cidr(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_steal(row, cx_join_list(cx_json_get(object, "spec.cidrs"), NULL, ","));
        cx_cell_age(row, object);
}

const struct cx_printer cx_printers_net[] = {
        {"core.v1.Service", print_service},
        {"core.v1.Endpoints", print_endpoints},
        {"discovery.v1.EndpointSlice", print_slice},
        {"networking.v1.Ingress", print_ingress},
        {"networking.v1.IngressClass", print_ingress_class},
        {"networking.v1.NetworkPolicy", print_network_policy},
        {"networking.v1.IPAddress", print_ip_address},
        {"networking.v1.ServiceCIDR", print_service_cidr},
        {NULL, NULL},
};
