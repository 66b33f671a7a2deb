// SPDX-License-Identifier: Apache-2.0
// Who has which address: a Lease for each address that is in use, in the namespace of the provider. An address is taken
// by creating its Lease, or by a write that holds only for the version of the Lease that was seen; either succeeds once
// in etcd, so no two Services get an address that they may not share, whoever else writes and whenever a process dies.
// The node that answers for the address writes its name into the same Lease (addons/loadbalancer).
//
// One thread calls; the informer's thread may tell of Leases that somebody deleted.
#pragma once

#include "libcommon/base/map.h"
#include "libcontroller/manager.h"

#include <pthread.h>

#define BOOK_LABEL "loadbalancer.coxswain.dev/kind"        // of such Leases: "address"
#define BOOK_ADDRESS "loadbalancer.coxswain.dev/address"   // annotation: the address
#define BOOK_SERVICES "loadbalancer.coxswain.dev/services" // annotation: a JSON array of uses (choose.h)

struct book {
        struct cx_rest *rest;
        const char *namespace;
        // Whether the Service of a use is still there.
        bool (*lives)(void *context, const json_t *use);
        void *context;
        pthread_mutex_t lock; // guards the rows
        struct cx_map rows;   // address -> struct book_row
};
void book_init(struct book *self);
void book_release(struct book *self);
void book_note(struct book *self, const json_t *lease); // what a Lease says, whichever it is
// Gives back what nobody has: the Services went while we were away.
int book_sweep(struct book *self, struct cx_error *err) CX_CHECK;
// A copy of who uses what, for addresses_choose.
void book_copy_uses(struct book *self, struct cx_map *ret_uses);
// Writes the use down, in place of what the same Service had of this address. 1: somebody was faster; look again.
int book_take(struct book *self, const char *address, const json_t *use, struct cx_error *err) CX_CHECK;
// Gives back what the Service has, but for the addresses that are kept (may be NULL). uid NULL: by the key alone.
int book_drop(struct book *self, const char *key, const char *uid, const struct cx_strings *kept, struct cx_error *err)
        CX_CHECK;
// A Lease has gone. True: it was in use, so its Services have to be looked at.
bool book_lost(struct book *self, const char *address, const char *uid);
