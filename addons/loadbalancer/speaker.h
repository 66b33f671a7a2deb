// SPDX-License-Identifier: Apache-2.0
// Speaks for addresses on the node's networks: answers who asks for one (ARP, neighbour solicitation), and tells everybody
// when it begins to speak for one. A thread of its own; any thread may call.
#pragma once

#include "libcommon/base/address.h"
#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"

struct speaker;
struct speaker_options {
        // Somebody else says that it has an address that we speak for. On the speaker's thread; must not call back.
        void (*contested)(void *context, const struct cx_address *address);
        void *context;
};
int speaker_new(const struct speaker_options *options, struct speaker **ret_self, struct cx_error *err) CX_CHECK;
void speaker_free(struct speaker *self);
// The interfaces to speak on, by name; those that are not there, or are no Ethernet, are left out. May be called again
// when they may have changed.
void speaker_use(struct speaker *self, const struct cx_strings *interfaces);
void speaker_begin(struct speaker *self, const struct cx_address *address); // does nothing when it has begun
void speaker_end(struct speaker *self, const struct cx_address *address);
void speaker_tell(struct speaker *self, const struct cx_address *address); // tells everybody once more
