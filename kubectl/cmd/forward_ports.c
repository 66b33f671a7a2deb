// SPDX-License-Identifier: Apache-2.0
// Ports by number and by name, and the addresses of --address.
#include "kubectl/cmd/forward_ports.h"

#include "libcommon/api/pod.h"

// --- ports -----------------------------------------------------------------------------------------------------------

static int pod_port_by_name(const json_t *pod, const char *name, int64_t *ret_port, struct cx_error *err)
{
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_MAIN | CX_POD_INIT)
        {
                const json_t *port = cx_json_find(json_object_get(walk.container, "ports"), "name", name);
                if (port) {
                        *ret_port = cx_json_int(port, "containerPort", 0);
                        return 0;
                }
        }
        return cx_error_set(err, -ENOENT, "Pod '%s' does not have a named port '%s'",
                            cx_json_string_or(pod, "metadata.name", ""), name);
}

// The pod's port that is behind a port of the service.
static int port_behind(const json_t *service, const json_t *pod, int64_t number, int64_t *ret_port,
                       struct cx_error *err)
{
        size_t i;
        const json_t *port;
        *ret_port = number;
        if (cx_streq(cx_json_string(service, "spec.clusterIP"), "None"))
                return 0;
        json_array_foreach (cx_json_get(service, "spec.ports"), i, port) {
                const json_t *target = json_object_get(port, "targetPort");
                if (cx_json_int(port, "port", 0) != number || cx_streq(cx_json_string(port, "protocol"), "UDP"))
                        continue;
                if (json_is_string(target))
                        return pod_port_by_name(pod, json_string_value(target), ret_port, err);
                if (json_integer_value(target))
                        *ret_port = json_integer_value(target);
                return 0;
        }
        return cx_error_set(err, -ENOENT, "Service %s does not have a service port %ld",
                            cx_json_string_or(service, "metadata.name", ""), (long)number);
}

// Whether the ports declare this one, and none of them for TCP.
static bool is_udp_only(const json_t *ports, const char *key, int64_t number)
{
        bool udp = false, tcp = false;
        size_t i;
        const json_t *port;
        json_array_foreach (ports, i, port) {
                const char *protocol = cx_json_string_or(port, "protocol", "TCP");
                if (cx_json_int(port, key, 0) != number)
                        continue;
                udp |= strcmp(protocol, "UDP") == 0;
                tcp |= strcmp(protocol, "TCP") == 0;
        }
        return udp && !tcp;
}

static bool is_udp_only_in_pod(const json_t *pod, int64_t number)
{
        bool udp = false;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_MAIN)
        udp |= is_udp_only(json_object_get(walk.container, "ports"), "containerPort", number);
        return udp;
}

static int service_remote(const char *remote, const json_t *service, const json_t *pod, int64_t *ret_named,
                          int64_t *ret_port, struct cx_error *err)
{
        const json_t *ports = cx_json_get(service, "spec.ports");
        if (cx_parse_int(remote, INT32_MIN, INT32_MAX, ret_named) < 0) {
                const json_t *port = cx_json_find(ports, "name", remote);
                if (!port)
                        return cx_error_set(err, -ENOENT, "Service '%s' does not have a named port '%s'",
                                            cx_json_string_or(service, "metadata.name", ""), remote);
                *ret_named = cx_json_int(port, "port", 0);
        }
        if (is_udp_only(ports, "port", *ret_named))
                return cx_error_set(err, -EINVAL, "UDP protocol is not supported for %s", remote);
        return port_behind(service, pod, *ret_named, ret_port, err);
}

static int pod_remote(const char *remote, const json_t *pod, int64_t *ret_port, struct cx_error *err)
{
        if (!*remote)
                return cx_error_set(err, -EINVAL, "remote port cannot be empty");
        if (cx_parse_int(remote, INT32_MIN, INT32_MAX, ret_port) < 0) {
                int r = pod_port_by_name(pod, remote, ret_port, err);
                if (r < 0)
                        return r;
        }
        if (is_udp_only_in_pod(pod, *ret_port))
                return cx_error_set(err, -EINVAL, "UDP protocol is not supported for %s", remote);
        return 0;
}

static int take_number(const char *which, int64_t number, const char *text, int *ret_number, struct cx_error *err)
{
        if (number < 0 || number > 65535)
                return cx_error_set(err, -EINVAL, "error parsing %s port '%s': strconv.ParseUint: parsing \"%s\": %s",
                                    which, text, text, number < 0 ? "invalid syntax" : "value out of range");
        *ret_number = (int)number;
        return 0;
}

int forwarded_port_parse(const char *word, const json_t *object, const json_t *pod, struct forwarded_port *ret_port,
                         struct cx_error *err)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        cx_strings_split(&parts, word, ':');
        const char *colon = strchr(word, ':');
        if (colon && strchr(colon + 1, ':'))
                return cx_error_set(err, -EINVAL, "invalid port format '%s'", word);
        CX_CLEANUP(cx_freep) char *local = colon ? cx_strndup(word, (size_t)(colon - word)) : cx_strdup(word);
        const char *remote = colon ? colon + 1 : word;
        bool service = cx_streq(cx_json_string(object, "kind"), "Service");
        int64_t port = 0, named = 0, here = 0;
        int r = service ? service_remote(remote, object, pod, &named, &port, err) : pod_remote(remote, pod, &port, err);
        if (r < 0)
                return r;
        if (!colon) // what is named is listened on: a service's own port
                here = service ? named : port;
        else if (*local && cx_parse_int(local, 0, INT32_MAX, &here) < 0)
                here = -1;
        r = take_number("local", here, local, &ret_port->local, err);
        if (r == 0)
                r = take_number("remote", port, remote, &ret_port->remote, err);
        if (r == 0 && ret_port->remote == 0)
                r = cx_error_set(err, -EINVAL, "remote port must be > 0");
        return r;
}

// --- addresses -------------------------------------------------------------------------------------------------------

static int add_address(const char *text, bool optional, struct forward_address *list, size_t *count,
                       struct cx_error *err)
{
        struct cx_address address;
        if (cx_address_parse(text, &address) < 0)
                return cx_error_set(err, -EINVAL, "%s is not a valid IP", text);
        for (size_t i = 0; i < *count; i++)
                if (cx_address_compare(&list[i].address, &address) == 0)
                        return 0;
        if (*count == FORWARD_ADDRESSES_MAX)
                return cx_error_set(err, -E2BIG, "more than %d addresses", FORWARD_ADDRESSES_MAX);
        list[(*count)++] = (struct forward_address){address, optional};
        return 0;
}

int forward_address_parse(const char *word, struct forward_address *list, size_t *count, struct cx_error *err)
{
        if (strcmp(word, "localhost") != 0)
                return add_address(word, false, list, count, err);
        int r = add_address("127.0.0.1", true, list, count, err);
        return r < 0 ? r : add_address("::1", true, list, count, err);
}
