// SPDX-License-Identifier: Apache-2.0
// What is passed on to backends at the moment. Cancelled, all of it ends within a tenth of a second, begun or not.
#pragma once

struct relays *relays_new(void);
void relays_cancel(struct relays *relays);
void relays_free(struct relays *relays); // waits for them to end

// The clients that backends are asked by (backend.h). Freed after the relays.
struct backends *backends_new(void);
void backends_free(struct backends *backends);
void backends_trim(struct backends *backends); // closes connections that nobody has used for a while
