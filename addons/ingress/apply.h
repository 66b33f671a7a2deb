// SPDX-License-Identifier: Apache-2.0
// Brings a plan into the proxy: by its runtime API where that can, which is nearly always, otherwise by a configuration that it
// loads without losing a connection. The backends of the configuration are slots, some of them free, that a plan's backends
// take when they come; only when none is left, or something failed, is it written anew. One thread, but for _ended.
#pragma once

#include "addons/ingress/config.h"
#include "addons/ingress/haproxy.h"
#include "addons/ingress/secrets.h"

struct ingress_applier;
struct ingress_applier_options {
        struct config config; // without generation and cookie key
        const char *executable;
        const char *default_certificate; // "namespace/name" of a Secret; NULL: one that is made here
        void (*ended)(void *context);    // the proxy ended by itself: apply again. Any thread
        void *context;
};
int ingress_applier_new(const struct ingress_applier_options *options, struct ingress_applier **ret_applier,
                        struct cx_error *err) CX_CHECK;
// ret_again: something has to wait, since the proxy has loaded often enough of late; apply again in a second.
int ingress_applier_apply(struct ingress_applier *applier, const struct plan *plan, const struct secrets *secrets,
                          bool *ret_again, struct cx_error *err) CX_CHECK;
// Servers that wait for their connections to end are removed when these have; false: none is left.
bool ingress_applier_tend(struct ingress_applier *applier);
void ingress_applier_stop(struct ingress_applier *applier); // ends the proxy
void ingress_applier_free(struct ingress_applier *applier);

struct ingress_applier_counts {
        size_t reloads, commands, slots, servers;
};
struct ingress_applier_counts ingress_applier_counts(const struct ingress_applier *applier);
