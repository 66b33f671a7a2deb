// SPDX-License-Identifier: Apache-2.0
// What is kept of the objects that an announcer watches, in place of the objects.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/client/informer.h"

// A Lease of the namespace: of an address, or of an announcer.
struct lease_view {
        bool of_address, of_member;
        struct cx_address address;
        char *holder, *renewed;  // never NULL
        struct cx_strings local; // Services whose traffic has to be taken by their own endpoints' nodes
        int64_t transitions;
};
struct cx_informer *view_leases(struct cx_informers *informers, const char *namespace);
static inline const struct lease_view *lease_view(const struct cx_object *lease)
{
        return lease->projection;
}

// The own node.
struct own_node_view {
        bool excluded, ready;
        struct cx_strings addresses; // its InternalIPs
};
struct cx_informer *view_node(struct cx_informers *informers, const char *name);
static inline const struct own_node_view *node_view(const struct cx_object *node)
{
        return node->projection;
}

// EndpointSlices, found by "namespace/service" in the index of that name.
#define INDEX_SERVICE "service"
struct slice_view {
        bool here; // an endpoint of the node takes connections
};
struct cx_informer *view_slices(struct cx_informers *informers, const char *node);
bool slices_here(const struct cx_informer *slices, const char *service); // of any slice of the Service
