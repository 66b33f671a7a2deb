// SPDX-License-Identifier: Apache-2.0
// create service and ingress.
#include "kubectl/cmd/commands.h"
#include "libcommon/base/time.h"

// --- services -------------------------------------------------------------------------------------------------------
// "80", "80:8080", "80:http"
static int parse_port(const char *text, int64_t node_port, json_t *ports, struct cx_error *err)
{
        const char *colon = strchr(text, ':');
        CX_CLEANUP(cx_freep) char *first = cx_strndup(text, colon ? (size_t)(colon - text) : strlen(text));
        int64_t port, target;
        if (cx_parse_int(first, 0, 65535, &port) < 0)
                return cx_error_set(err, -EINVAL, "strconv.ParseUint: parsing \"%s\": %s", first,
                                    *first && !first[strspn(first, "0123456789")] ? "value out of range"
                                                                                  : "invalid syntax");
        json_t *entry = json_pack("{s:I,s:s}", "port", (json_int_t)port, "protocol", "TCP");
        CX_CLEANUP(cx_freep) char *name = cx_strdup(text);
        for (char *p = name; *p; p++)
                if (*p == ':')
                        *p = '-';
        json_object_set_new(entry, "name", json_string(name));
        if (!colon)
                json_object_set_new(entry, "targetPort", json_integer(port));
        else if (cx_parse_int(colon + 1, 1, 65535, &target) == 0)
                json_object_set_new(entry, "targetPort", json_integer(target));
        else
                json_object_set_new(entry, "targetPort", json_string(colon + 1));
        if (node_port)
                json_object_set_new(entry, "nodePort", json_integer(node_port));
        json_array_append_new(ports, entry);
        return 0;
}

static int create_service(struct ctl *ctl, int argc, char **argv, const char *type, struct cx_error *err)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, tcp = CX_STRINGS_INIT;
        const char *cluster_ip = NULL, *external = NULL;
        int64_t node_port = 0;
        struct cx_flag special = {0}; // the flag of the type
        if (strcmp(type, "ClusterIP") == 0)
                special = (struct cx_flag){"clusterip", 0, CX_FLAG_STRING, &cluster_ip, "The cluster IP, or None."};
        else if (strcmp(type, "NodePort") == 0)
                special = (struct cx_flag){"node-port", 0,    CX_FLAG_INT, &node_port, "The node port.",
                                           NULL,        NULL, 0,           65535};
        else if (strcmp(type, "ExternalName") == 0)
                special =
                        (struct cx_flag){"external-name", 0, CX_FLAG_STRING, &external, "The name that it stands for."};
        const struct cx_flag flags[] = {
                CREATE_FLAGS(&create), {"tcp", 0, CX_FLAG_CSV, &tcp, "PORT:TARGET pairs."}, special, {0}};
        const struct required required[] = {
                {strcmp(type, "ExternalName") == 0 ? "external-name" : NULL, &external, NULL}, {0}};
        int r = create_begin(ctl, &create, flags, required, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        json_auto_t *ports = json_array();
        for (size_t i = 0; r == 0 && i < tcp.count; i++)
                r = parse_port(tcp.items[i], strcmp(type, "NodePort") == 0 ? node_port : 0, ports, err);
        if (r < 0)
                return r;
        if (!tcp.count && !cx_streq(cluster_ip, "None") && strcmp(type, "ExternalName") != 0)
                return cx_error_set(err, -EINVAL, "at least one tcp port specifier must be provided");
        json_auto_t *object =
                json_pack("{s:s,s:s,s:{s:s,s:{s:s}},s:{s:s,s:{s:s}},s:{s:{}}}", "apiVersion", "v1", "kind", "Service",
                          "metadata", "name", args.items[0], "labels", "app", args.items[0], "spec", "type", type,
                          "selector", "app", args.items[0], "status", "loadBalancer");
        json_t *spec = json_object_get(object, "spec");
        if (json_array_size(ports))
                json_object_set(spec, "ports", ports);
        if (cluster_ip)
                json_object_set_new(spec, "clusterIP", json_string(cluster_ip));
        if (strcmp(type, "ExternalName") == 0)
                json_object_set_new(spec, "externalName", json_string(external));
        return ctl_create_object(ctl, &create, json_incref(object), err);
}

COMMAND(create_service_clusterip)
{
        return create_service(ctl, argc, argv, "ClusterIP", err);
}

COMMAND(create_service_nodeport)
{
        return create_service(ctl, argc, argv, "NodePort", err);
}

COMMAND(create_service_loadbalancer)
{
        return create_service(ctl, argc, argv, "LoadBalancer", err);
}

COMMAND(create_service_externalname)
{
        return create_service(ctl, argc, argv, "ExternalName", err);
}

// --- ingress --------------------------------------------------------------------------------------------------------
// "service:port", where the port is a number or a name.
static json_t *ingress_backend(const char *text, size_t length)
{
        const char *colon = memchr(text, ':', length);
        if (!colon || colon == text || colon == text + length - 1)
                return NULL;
        CX_CLEANUP(cx_freep) char *port = cx_strndup(colon + 1, length - (size_t)(colon + 1 - text));
        int64_t number;
        bool numeric = cx_parse_int(port, 0, INT32_MAX, &number) == 0;
        if (strchr(port, ':'))
                return NULL;
        return json_pack("{s:{s:s#,s:{s:o}}}", "service", "name", text, (int)(colon - text), "port",
                         numeric ? "number" : "name", numeric ? json_integer(number) : json_string(port));
}

// The element of `list` whose `member` is `value`; NULL when there is none. A NULL value is an element without it.
static json_t *find_by(json_t *list, const char *member, const char *value)
{
        size_t i;
        json_t *item;
        json_array_foreach (list, i, item)
                if (cx_streq(cx_str(cx_json_string(item, member)), cx_str(value)))
                        return item;
        return NULL;
}

static void ingress_tls(json_t *spec, const char *host, const char *secret)
{
        json_t *list = cx_json_array_at(spec, "tls"), *entry = find_by(list, "secretName", secret);
        if (!entry) {
                entry = json_pack("{s:s*}", "secretName", secret);
                json_array_append_new(list, entry);
        }
        if (!*host)
                return;
        json_t *hosts = cx_json_array_at(entry, "hosts");
        size_t i;
        json_t *known;
        json_array_foreach (hosts, i, known)
                if (cx_streq(json_string_value(known), host))
                        return;
        json_array_append_new(hosts, json_string(host));
}

// host/path=service:port[,tls[=secret]]; a path that ends with * is a prefix.
static int ingress_rule(json_t *spec, const char *text, struct cx_error *err)
{
        const char *slash = text + strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.*");
        const char *equals = *slash == '/' || *slash == '=' ? strchr(slash, '=') : NULL;
        const char *comma = equals ? strchrnul(equals, ',') : NULL;
        json_t *backend = equals ? ingress_backend(equals + 1, (size_t)(comma - equals - 1)) : NULL;
        if (!backend || (*comma && strcmp(comma, ",tls") != 0 && !cx_has_prefix(comma, ",tls="))) {
                json_decref(backend);
                return cx_error_set(
                        err, -EINVAL,
                        "rule %s is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]", text);
        }
        CX_CLEANUP(cx_freep) char *host = cx_strndup(text, (size_t)(slash - text));
        CX_CLEANUP(cx_freep) char *path = cx_strndup(slash, (size_t)(equals - slash));
        size_t length = strlen(path);
        bool prefix = length && path[length - 1] == '*';
        if (prefix)
                path[length - 1] = 0;
        json_t *rules = cx_json_array_at(spec, "rules"), *rule = find_by(rules, "host", host);
        if (!rule) {
                rule = json_pack("{s:s*,s:{s:[]}}", "host", *host ? host : NULL, "http", "paths");
                json_array_append_new(rules, rule);
        }
        json_array_append_new(
                cx_json_array_at(json_object_get(rule, "http"), "paths"),
                json_pack("{s:o,s:s,s:s}", "backend", backend, "path", path, "pathType", prefix ? "Prefix" : "Exact"));
        if (*comma)
                ingress_tls(spec, host, comma[4] == '=' && comma[5] ? comma + 5 : NULL);
        return 0;
}

COMMAND(create_ingress)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, rules = CX_STRINGS_INIT, annotations = CX_STRINGS_INIT;
        const char *class = NULL, *backend = NULL;
        const struct cx_flag flags[] = {
                CREATE_FLAGS(&create),
                {"class", 0, CX_FLAG_STRING, &class, "Ingress class."},
                {"default-backend", 0, CX_FLAG_STRING, &backend, "SERVICE:PORT for what no rule takes."},
                {"rule", 0, CX_FLAG_LIST, &rules, "host/path=service:port[,tls[=secret]]; may be repeated."},
                {"annotation", 0, CX_FLAG_LIST, &annotations, "KEY=VALUE; may be repeated."},
                {0}};
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (!rules.count && !backend)
                return cx_error_set(err, -EINVAL,
                                    "not enough information provided: every ingress has to either specify a "
                                    "default-backend (which catches all traffic) or a list of rules (which catch "
                                    "specific paths)");
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s},s:{s:s*},s:{s:{}}}", "apiVersion", "networking.k8s.io/v1",
                                        "kind", "Ingress", "metadata", "name", args.items[0], "spec",
                                        "ingressClassName", class, "status", "loadBalancer");
        json_t *spec = json_object_get(object, "spec");
        for (size_t i = 0; r == 0 && i < rules.count; i++)
                r = ingress_rule(spec, rules.items[i], err);
        for (size_t i = 0; r == 0 && i < annotations.count; i++) {
                char *equals = strchr(annotations.items[i], '=');
                if (!equals || equals == annotations.items[i])
                        return cx_error_set(err, -EINVAL,
                                            "annotation %s is invalid and should be in format key=[value]",
                                            annotations.items[i]);
                *equals = 0;
                json_object_set_new(cx_json_object_at(json_object_get(object, "metadata"), "annotations"),
                                    annotations.items[i], json_string(equals + 1));
        }
        json_t *all = backend ? ingress_backend(backend, strlen(backend)) : NULL;
        if (backend && !all)
                return cx_error_set(err, -EINVAL, "default-backend should be in format servicename:serviceport");
        if (all)
                json_object_set_new(spec, "defaultBackend", all);
        return r < 0 ? r : ctl_create_object(ctl, &create, json_incref(object), err);
}
