// SPDX-License-Identifier: Apache-2.0
// kubectl expose.
#include "kubectl/cmd/commands.h"

// "a=b,c=d" as an object.
int parse_map(const char *text, json_t **ret_map, struct cx_error *err)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        json_auto_t *map = json_object();
        cx_strings_split(&parts, text, ',');
        for (size_t i = 0; i < parts.count; i++) {
                char *equals = strchr(parts.items[i], '=');
                if (!equals || equals == parts.items[i])
                        return cx_error_set(err, -EINVAL, "unexpected label spec: %s", parts.items[i]);
                *equals = 0;
                json_object_set_new(map, parts.items[i], json_string(equals + 1));
        }
        *ret_map = cx_steal(&map);
        return 0;
}

struct expose {
        const char *port, *target, *name, *type, *protocol, *selector, *labels, *cluster_ip, *external_ip,
                *load_balancer_ip;
        const char *affinity;
};

// What the pods of an object are selected by, as a map of labels; new.
static json_t *expose_selector(const struct info *info)
{
        const json_t *selector = cx_json_get(info->object, "spec.selector"),
                     *labels = cx_json_get(selector, "matchLabels");
        if (strcmp(info->mapping->kind, "Pod") == 0)
                return json_deep_copy(cx_json_get(info->object, "metadata.labels"));
        if (cx_json_count(selector, "matchExpressions"))
                return NULL;
        return json_deep_copy(labels ? labels : selector);
}

static json_t *ports_of(const struct expose *e, const struct info *info)
{
        json_t *ports = json_array();
        size_t i, j;
        json_t *container, *port;
        CX_STRINGS given = CX_STRINGS_INIT;
        if (e->port) {
                cx_strings_split(&given, e->port, ',');
        } else if (strcmp(info->mapping->kind, "Service") == 0) {
                json_array_foreach (cx_json_get(info->object, "spec.ports"), i, port)
                        cx_strings_add(&given, CX_INT(cx_json_int(port, "port", 0)));
        } else {
                json_array_foreach (json_object_get(pod_template(info->object), "containers"), i, container)
                        json_array_foreach (json_object_get(container, "ports"), j, port)
                                cx_strings_add(&given, CX_INT(cx_json_int(port, "containerPort", 0)));
        }
        for (i = 0; i < given.count; i++) {
                int64_t number, target;
                if (cx_parse_int(given.items[i], 1, 65535, &number) < 0) {
                        json_decref(ports);
                        return NULL;
                }
                json_t *entry = json_pack("{s:s,s:I}", "protocol", e->protocol ? e->protocol : "TCP", "port",
                                          (json_int_t)number);
                if (given.count > 1) {
                        CX_CLEANUP(cx_freep) char *name = cx_sprintf("port-%zu", i + 1);
                        json_object_set_new(entry, "name", json_string(name));
                }
                const char *to = e->target ? e->target : given.items[i];
                json_object_set_new(entry, "targetPort",
                                    cx_parse_int(to, 1, 65535, &target) == 0 ? json_integer(target) : json_string(to));
                json_array_append_new(ports, entry);
        }
        return ports;
}

static int make_service(const struct expose *e, const struct info *info, json_t **ret_service, struct cx_error *err)
{
        json_auto_t *selector = NULL, *ports = ports_of(e, info), *labels = NULL;
        int r = e->selector ? parse_map(e->selector, &selector, err) : 0;
        if (r == 0 && e->labels)
                r = parse_map(e->labels, &labels, err);
        if (r < 0)
                return r;
        if (!e->selector)
                selector = expose_selector(info);
        if (!json_object_size(selector))
                return cx_error_set(err, -EINVAL,
                                    "couldn't retrieve selectors via --selector flag or introspection: the %s has "
                                    "no labels and cannot be exposed",
                                    info->mapping->singular);
        if (!ports)
                return cx_error_set(err, -EINVAL, "invalid port: %s", cx_str(e->port));
        if (!json_array_size(ports) && !cx_streq(e->cluster_ip, "None"))
                return cx_error_set(err, -EINVAL, "couldn't find port via --port flag or introspection");
        json_t *service = json_pack("{s:s,s:s,s:{s:s},s:{s:O},s:{s:{}}}", "apiVersion", "v1", "kind", "Service",
                                    "metadata", "name", e->name ? e->name : info->name, "spec", "selector", selector,
                                    "status", "loadBalancer");
        json_t *spec = json_object_get(service, "spec");
        if (!labels)
                labels = json_deep_copy(cx_json_get(info->object, "metadata.labels"));
        if (json_object_size(labels))
                (void)cx_json_set(service, "metadata.labels", json_incref(labels));
        if (json_array_size(ports))
                json_object_set(spec, "ports", ports);
        cx_json_set_string(spec, "type", e->type);
        cx_json_set_string(spec, "clusterIP", e->cluster_ip);
        cx_json_set_string(spec, "loadBalancerIP", e->load_balancer_ip);
        cx_json_set_string(spec, "sessionAffinity", e->affinity);
        if (e->external_ip)
                json_object_set_new(spec, "externalIPs", json_pack("[s]", e->external_ip));
        *ret_service = service;
        return 0;
}

COMMAND(expose)
{
        BUILDER builder = {0};
        CREATE create = {.manager = "kubectl-expose", .operation = "exposed"};
        struct expose e = {0};
        const char *overrides = NULL, *how = "merge";
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                MAKE_FLAGS(&create),
                {"port", 0, CX_FLAG_STRING, &e.port, "The port of the service; default: the containers' ports."},
                {"target-port", 0, CX_FLAG_STRING, &e.target, "Name or number of the containers' port."},
                {"name", 0, CX_FLAG_STRING, &e.name, "Name of the service."},
                {"type", 0, CX_FLAG_STRING, &e.type, "ClusterIP, NodePort, LoadBalancer or ExternalName."},
                {"protocol", 0, CX_FLAG_STRING, &e.protocol, "TCP, UDP or SCTP."},
                {"selector", 0, CX_FLAG_STRING, &e.selector, "Labels of the pods."},
                {"labels", 'l', CX_FLAG_STRING, &e.labels, "Labels of the service."},
                {"cluster-ip", 0, CX_FLAG_STRING, &e.cluster_ip, "The cluster IP, or None."},
                {"external-ip", 0, CX_FLAG_STRING, &e.external_ip, "A further external address."},
                {"load-balancer-ip", 0, CX_FLAG_STRING, &e.load_balancer_ip, "Address of the load balancer."},
                {"session-affinity", 0, CX_FLAG_STRING, &e.affinity, "None or ClientIP."},
                {"overrides", 0, CX_FLAG_STRING, &overrides, "JSON that overrides the service that is made."},
                {"override-type", 0, CX_FLAG_STRING, &how, "json, merge or strategic."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = create_prepare(ctl, &create, err);
        if (r == 0)
                r = builder_objects(ctl, &builder, &args, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                static const char *const kinds[] = {"Pod", "Service", "Deployment", "ReplicaSet",
                                                    "ReplicationController"};
                bool can = false;
                for (size_t k = 0; k < CX_ARRAY_SIZE(kinds); k++)
                        can = can || strcmp(kinds[k], infos.items[i]->mapping->kind) == 0;
                if (!can)
                        return cx_error_set(err, -EINVAL, "cannot expose a %s%s%s", infos.items[i]->mapping->kind,
                                            *infos.items[i]->mapping->group ? "." : "", infos.items[i]->mapping->group);
                json_t *service = NULL;
                r = make_service(&e, infos.items[i], &service, err);
                if (r == 0 && infos.items[i]->namespace && !cx_streq(infos.items[i]->namespace, ctl->namespace))
                        (void)cx_json_set(service, "metadata.namespace", json_string(infos.items[i]->namespace));
                if (r == 0 && overrides)
                        r = object_override(overrides, how, "Service", &service, err);
                if (r < 0)
                        json_decref(service);
                else
                        r = ctl_create_object(ctl, &create, service, err);
        }
        return r;
}
