// SPDX-License-Identifier: Apache-2.0
// NodePorts: ports of the node that containers ask for (hostPort) must be free there.
#include "libcommon/api/pod.h"
#include "libcommon/format/json.h"
#include "scheduler/plugins/plugins.h"

struct host_port {
        uint64_t ip; // keyed hash of the address; 0: any
        uint16_t port;
        char protocol; // 'T', 'U', 'S'
};
struct wanted_ports {
        LIST(struct host_port, list);
};
struct used_port {
        struct host_port port;
        int refs;
};
struct used_ports {
        LIST(struct used_port, list);
};

static const char *const fields[] = {"spec.initContainers[].ports", "spec.containers[].ports", NULL};

static void add_port(struct wanted_ports *to, const json_t *from)
{
        int64_t number = cx_json_int(from, "hostPort", 0);
        if (number < 1 || number > 65535)
                return;
        const char *ip = cx_json_string_or(from, "hostIP", "");
        bool any = !*ip || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
        *LIST_ADD(&to->list) = (struct host_port){.ip = any ? 0 : cx_hash(ip, strlen(ip)),
                                                  .port = (uint16_t)number,
                                                  .protocol = *cx_json_string_or(from, "protocol", "TCP")};
}

static void parse(void *state, const json_t *pod)
{
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        {
                size_t i;
                json_t *port;
                json_array_foreach (json_object_get(walk.container, "ports"), i, port)
                        add_port(state, port);
        }
}

static void release_pod(void *state)
{
        free(((struct wanted_ports *)state)->list.items);
}

static bool is_same(const struct host_port *a, const struct host_port *b)
{
        return a->port == b->port && a->protocol == b->protocol && a->ip == b->ip;
}

static void count(void *node_state, const void *pod_state, int sign)
{
        struct used_ports *used = node_state;
        const struct wanted_ports *wanted = pod_state;
        for (size_t i = 0; i < wanted->list.count; i++) {
                struct used_port *entry = NULL;
                for (size_t j = 0; j < used->list.count && !entry; j++)
                        if (is_same(&used->list.items[j].port, &wanted->list.items[i]))
                                entry = &used->list.items[j];
                if (!entry) {
                        entry = LIST_ADD(&used->list);
                        entry->port = wanted->list.items[i];
                }
                entry->refs += sign;
                if (entry->refs == 0)
                        *entry = used->list.items[--used->list.count];
        }
}

static void release_node(void *state)
{
        free(((struct used_ports *)state)->list.items);
}

static bool pre_filter(struct cycle *cycle)
{
        return ((const struct wanted_ports *)state_of_pod(cycle))->list.count;
}

static bool collide(const struct host_port *a, const struct host_port *b)
{
        return a->port == b->port && a->protocol == b->protocol && (!a->ip || !b->ip || a->ip == b->ip);
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        const struct wanted_ports *wanted = state_of_pod(cycle);
        const struct used_ports *used = state_of_node(cycle, node);
        for (size_t i = 0; i < wanted->list.count; i++)
                for (size_t j = 0; j < used->list.count; j++)
                        if (collide(&wanted->list.items[i], &used->list.items[j].port)) {
                                cycle_reject(cycle, "node(s) didn't have free ports for the requested pod ports");
                                return false;
                        }
        return true;
}

const struct plugin node_ports_plugin = {
        .name = "NodePorts",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .fields = fields,
        .pod_size = sizeof(struct wanted_ports),
        .parse = parse,
        .release_pod = release_pod,
        .node_size = sizeof(struct used_ports),
        .count = count,
        .release_node = release_node,
        .pre_filter = pre_filter,
        .filter = filter,
};
