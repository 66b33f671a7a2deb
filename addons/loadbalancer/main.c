// SPDX-License-Identifier: Apache-2.0
// loadbalancer-announcer: runs on every node, and makes the node answer for the addresses of load balancers that it holds.
#include "addons/loadbalancer/keeper.h"
#include "libcommon/client/component.h"

#define MAX_NODE_NAME 240 // its Lease is named after it

static const char *node, *namespace = "loadbalancer-system";
static struct cx_strings interfaces;
static struct lease_keeper *keeper;

static const struct cx_flag flags[] = {
        {.name = "node-name", .kind = CX_FLAG_STRING, .target = &node, .help = "Name of the node that it runs on."},
        {.name = "namespace",
         .kind = CX_FLAG_STRING,
         .target = &namespace,
         .help = "Namespace of the Leases of addresses."},
        {.name = "interface",
         .kind = CX_FLAG_CSV,
         .target = &interfaces,
         .help = "Interfaces to announce on; those that have the node's addresses when there is none."},
        {0},
};

static int configure(struct cx_component *component CX_UNUSED, struct cx_error *err)
{
        if (!node || !*node)
                return cx_error_set(err, -EINVAL, "--node-name is missing");
        if (strlen(node) > MAX_NODE_NAME)
                return cx_error_set(err, -EINVAL, "--node-name: %d letters at most", MAX_NODE_NAME);
        return 0;
}

static int start(struct cx_component *component, struct cx_error *err)
{
        keeper = keeper_new(&(struct keeper_options){.rest = component->rest,
                                                     .informers = component->informers,
                                                     .node = node,
                                                     .namespace = namespace,
                                                     .interfaces = &interfaces});
        return keeper_start(keeper, err);
}

static void stop(struct cx_component *component)
{
        keeper_stop(keeper);
        cx_informers_free(component->informers);
        component->informers = NULL;
        keeper_free(keeper);
        cx_strings_release(&interfaces);
}

static bool ready(struct cx_component *component CX_UNUSED)
{
        return keeper_ready(keeper);
}

int main(int argc, char **argv)
{
        static struct cx_component component = {
                .name = "loadbalancer-announcer",
                .description = "Announces addresses of load balancers to the network of its node.",
                .flags = flags,
                .configure = configure,
                .start = start,
                .stop = stop,
                .ready = ready,
        };
        return cx_component_main(&component, argc, argv);
}
