// SPDX-License-Identifier: Apache-2.0
// Cluster addresses and node ports. Taking one is one conditional write in etcd; who holds it is written with it, so that
// only its holder gives it back and a repair loop finds what a crash has left. Functions block.
#pragma once

#include "apiserver/apiserver.h"

// INVALID when out of range or taken, with upstream's sentence.
int allocate_address(struct apiserver *api, const char *address, const char *namespace, const char *service,
                     struct cx_error *err) CX_CHECK;
int allocate_any_address(struct apiserver *api, const char *namespace, const char *service, char to[16],
                         struct cx_error *err) CX_CHECK;
void release_address(struct apiserver *api, const char *address, const char *namespace, const char *service);
int allocate_port(struct apiserver *api, int port, const char *namespace, const char *service, struct cx_error *err)
        CX_CHECK;
int allocate_any_port(struct apiserver *api, const char *namespace, const char *service, int *ret_port,
                      struct cx_error *err) CX_CHECK;
void release_port(struct apiserver *api, int port, const char *namespace, const char *service);
// Gives back what services that no longer exist still hold. Run now and then.
void allocator_repair(struct apiserver *api);
