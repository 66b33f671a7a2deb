// SPDX-License-Identifier: Apache-2.0
// PodDisruptionBudgets as the API server, which spends them, and the controller, which counts, both see them. Any thread.
#pragma once

#include <jansson.h>

#define CX_BUDGET_SUFFICIENT "SufficientPods"
#define CX_BUDGET_INSUFFICIENT "InsufficientPods"
#define CX_BUDGET_FAILED "SyncFailed"

// Makes the condition DisruptionAllowed of a budget's status say `reason` (the first of these: True, the others: False)
// and the message, as of the status' generation. When it changed to that is kept while its status stays the same.
void cx_budget_set_condition(json_t *status, const char *reason, const char *message);
// The same by disruptionsAllowed.
void cx_budget_update_condition(json_t *status);
