// SPDX-License-Identifier: Apache-2.0
// What the words of `kubectl port-forward` mean: ports here and in the pod, and addresses to listen on.
#pragma once

#include "kubectl/cmd/commands.h"
#include "libcommon/base/address.h"

struct forwarded_port {
        int local, remote; // local 0: any free one
};
#define FORWARDED_PORTS_MAX 100
// "[LOCAL:]REMOTE", REMOTE being a number, or the name of a port of the pod; of a service its port or the name of one, which
// stand for the pod's port behind it. Only TCP is forwarded.
int forwarded_port_parse(const char *word, const json_t *object, const json_t *pod, struct forwarded_port *ret_port,
                         struct cx_error *err) CX_CHECK;

struct forward_address {
        struct cx_address address;
        bool optional; // one of the two that "localhost" stands for: the other one is enough
};
#define FORWARD_ADDRESSES_MAX 32
// An IP address, or "localhost". Adds to the list.
int forward_address_parse(const char *word, struct forward_address *list, size_t *count, struct cx_error *err) CX_CHECK;
