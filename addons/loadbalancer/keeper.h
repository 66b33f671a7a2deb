// SPDX-License-Identifier: Apache-2.0
// Keeps the Leases of addresses: takes those that nobody lives for, renews its own, and has the speaker announce what it
// holds (decide.h says what is done when). A thread of its own, which blocks in calls.
#pragma once

#include "addons/loadbalancer/speaker.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/rest.h"

struct lease_keeper;
struct keeper_options {
        struct cx_rest *rest;
        struct cx_informers *informers; // not started yet
        const char *node, *namespace;
        const struct cx_strings *interfaces; // to speak on; empty: those that have the node's addresses
};
struct lease_keeper *keeper_new(const struct keeper_options *options);
int keeper_start(struct lease_keeper *self, struct cx_error *err) CX_CHECK; // starts the informers, too
bool keeper_ready(struct lease_keeper *self);
void keeper_stop(struct lease_keeper *self); // gives up what it holds, so that others take it at once
void keeper_free(struct lease_keeper *self); // after the informers are gone
