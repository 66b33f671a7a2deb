// SPDX-License-Identifier: Apache-2.0
// What a node does about an address, from what it sees of the address' Lease. Pure.
//
// A Lease names its holder. A holder renews a Lease of its own, as long as it holds anything; one that has not been
// renewed for ANNOUNCER_TTL of the observer's clock counts as dead, and another takes the address by a write that
// succeeds once. A holder that cannot renew goes on: while the API server is away nobody can take anything. It ends when
// it hears that somebody else speaks for the address.
#pragma once

#include "libcommon/base/time.h"

#include <stdbool.h>

#define ANNOUNCER_TTL (1400 * CX_NS_PER_MS)
#define ANNOUNCER_RENEWAL (400 * CX_NS_PER_MS)

enum address_step {
        STEP_NONE,     // be silent
        STEP_ANNOUNCE, // it is ours
        STEP_WAIT,     // nobody has it; others come first, by `wait`
        STEP_TAKE,
        STEP_GIVE_UP // it is ours, and must not be
};
struct address_view {
        bool mine;      // the Lease names us
        bool held;      // it names somebody else who lives
        bool eligible;  // we may have it
        bool disputed;  // somebody else speaks for it, and the API server does not say that it is ours
        int64_t vacant; // ns for which nobody has had it
        int64_t turn;   // ns of that after which it is our turn
};
enum address_step address_decide(const struct address_view *view, int64_t *ret_wait);
// When a node's turn is: different nodes at different times, and each first for other addresses.
int64_t address_turn(const char *address, const char *node, bool ready);
