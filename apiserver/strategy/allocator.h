// SPDX-License-Identifier: Apache-2.0
// Cluster addresses and node ports. Taking one is one conditional write in etcd (an IPAddress object, a key of a port);
// who holds it is written with it, so that only its holder gives it back and a repair loop finds what a crash has left.
// The first address of the network is the service kubernetes' own, which bootstrap/ takes and nobody gives back.
// Functions block.
#pragma once

#include "apiserver/request/apiserver.h"
#include "libcommon/base/address.h"

// From --service-cluster-ip-range and --service-node-port-range.
int allocator_new(const struct apiserver_options *options, struct allocator **ret_allocator, struct cx_error *err)
        CX_CHECK;
void allocator_free(struct allocator *allocator);
void allocator_first_address(const struct allocator *allocator, char to[CX_ADDRESS_TEXT]);

// The holder of what is taken: a Service.
struct holder {
        const char *namespace, *name;
        bool dry_run; // looks what is free, and takes nothing
};
// INVALID when out of range or taken, with upstream's sentence.
int allocate_address(struct apiserver *api, const char *address, const struct holder *holder, struct cx_error *err)
        CX_CHECK;
int allocate_any_address(struct apiserver *api, const struct holder *holder, char to[CX_ADDRESS_TEXT],
                         struct cx_error *err) CX_CHECK;
void release_address(struct apiserver *api, const char *address, const struct holder *holder);
int allocate_port(struct apiserver *api, int port, const struct holder *holder, struct cx_error *err) CX_CHECK;
int allocate_any_port(struct apiserver *api, const struct holder *holder, int *ret_port, struct cx_error *err) CX_CHECK;
void release_port(struct apiserver *api, int port, const struct holder *holder);
// The IPAddress object by which a service holds an address. New reference.
json_t *address_object(const char *address, const struct holder *holder);
// Gives back what services that no longer exist still hold. Run now and then, by one thread.
void allocator_repair(struct apiserver *api);
