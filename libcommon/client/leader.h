// SPDX-License-Identifier: Apache-2.0
// Leader election by a coordination.k8s.io Lease, with upstream's rules: the lease is ours while we renew it; another
// takes it when it has not seen a renewal for lease_duration of its own clock.
#pragma once

#include "libcommon/client/events.h"
#include "libcommon/client/rest.h"

struct cx_leader_options {
        const char *namespace, *name;                         // NULL namespace: "kube-system"
        const char *identity;                                 // NULL: hostname_uuid
        int64_t lease_duration, renew_deadline, retry_period; // ns; 0: 15 s, 10 s, 2 s
};
struct cx_leader;
// Connections of `rest` that others use as well may be taken when the lease has to be renewed: on a slow machine it is lost then.
struct cx_leader *cx_leader_new(struct cx_rest *rest, struct cx_events *events,
                                const struct cx_leader_options *options);
// Blocks until the lease is ours (0) or cx_leader_stop was called (-ECANCELED). Then a thread keeps renewing it, and
// `lost` is called on that thread, once, when it could not for renew_deadline or another has it (the process should exit).
int cx_leader_acquire(struct cx_leader *leader, void (*lost)(void *context), void *context) CX_CHECK;
// Whether the lease has been seen, whoever holds it: the candidate is where it can be.
bool cx_leader_observed(const struct cx_leader *leader);
bool cx_leader_is(const struct cx_leader *leader);
void cx_leader_stop(struct cx_leader *leader); // any thread, also while acquire waits
void cx_leader_free(struct cx_leader *leader); // stops, releases the lease when held
