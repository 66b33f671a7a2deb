// SPDX-License-Identifier: Apache-2.0
// Which backend of the configuration serves which backend of a plan. Pure.
#pragma once

#include "addons/ingress/config.h"

// Gives every backend of the plan a slot. Those with a profile get none when they would need a new one and may not have it:
// each text of a profile, which users choose, costs a load. Slots of backends that the plan has no more keep their key until
// slots_retire.
enum slots_outcome {
        SLOTS_ENOUGH,
        SLOTS_ADDED,   // the configuration has to be loaded anew
        SLOTS_MISSING, // some backends have none
};
enum slots_outcome slots_assign(struct slots *slots, const struct plan *plan, bool may_add_profiles);
// Frees the slots of backends that the plan lacks: their servers are gone then.
void slots_retire(struct slots *slots, const struct plan *plan);
// As after loading the configuration: what the plan lacks was never there, servers are the plan's, and there are no more free
// slots than would be made.
void slots_reset(struct slots *slots, const struct plan *plan);
void slots_release(struct slots *slots);
