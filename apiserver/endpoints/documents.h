// SPDX-License-Identifier: Apache-2.0
// Documents that are big and seldom change: OpenAPI and aggregated discovery. Each is made when it is first asked for
// and kept, with a hash of its bytes, which is its ETag, until a kind changes that it speaks of.
#pragma once

#include "apiserver/request/call.h"

struct documents *documents_new(struct kinds *kinds);
void documents_free(struct documents *documents);
// /openapi/…; false when the path is none of its.
bool serve_openapi(struct call *call);
void serve_aggregated_discovery(struct call *call, bool core);
