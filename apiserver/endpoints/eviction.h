// SPDX-License-Identifier: Apache-2.0
// Eviction: the deletion of a pod that has to be allowed by its disruption budget. What a budget allows is taken from
// it before the pod goes, in one write that fails when somebody else was faster: two evictions never share one
// allowance.
#pragma once

#include "apiserver/request/call.h"

void serve_eviction(struct call *call);
