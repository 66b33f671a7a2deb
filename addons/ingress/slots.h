// SPDX-License-Identifier: Apache-2.0
// Which backend of the configuration serves which backend of a plan. Pure.
#pragma once

#include "addons/ingress/config.h"

// Gives every backend of the plan a slot; false: some had to be added, so the configuration has to be loaded anew. Slots of
// backends that the plan has no more keep their key until slots_retire.
bool slots_assign(struct slots *slots, const struct plan *plan);
// Frees the slots of backends that the plan lacks: their servers are gone then.
void slots_retire(struct slots *slots, const struct plan *plan);
// As after loading the configuration: what the plan lacks was never there, and servers are the plan's.
void slots_reset(struct slots *slots, const struct plan *plan);
void slots_release(struct slots *slots);
