// SPDX-License-Identifier: Apache-2.0
// What is passed on to backends at the moment. Cancelled, all of it ends within a tenth of a second, begun or not.
#pragma once

struct relays *relays_new(void);
void relays_cancel(struct relays *relays);
void relays_free(struct relays *relays); // waits for them to end
