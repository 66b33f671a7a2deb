// SPDX-License-Identifier: Apache-2.0
// What `kubectl apply` without --server-side leaves in an annotation, and what server-side apply makes of it: such an
// object is taken over without conflicts, and the annotation stays true.
#pragma once

#include "apiserver/request/scope.h"

#define CLIENT_SIDE_APPLY "kubectl-client-side-apply"

// The fields that were applied last and still have the value that they were given, with the annotation itself; NULL when
// nothing was. New reference.
json_t *last_applied_fields(const struct scope *scope, const json_t *live);
// Whether conflicts over those fields are none for the scope's manager: only for kubectl itself.
bool last_applied_allows(const struct scope *scope);
// After an apply: the annotation, where there is one, tells of `config` from now on.
void last_applied_refresh(const struct scope *scope, const json_t *config, json_t *object);
