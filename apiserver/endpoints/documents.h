// SPDX-License-Identifier: Apache-2.0
// Documents that are big and seldom change: OpenAPI and aggregated discovery. Each is made when it is first asked for
// and kept, with a hash of its bytes, which is its ETag, until a kind changes that it speaks of.
#pragma once

#include "apiserver/endpoints/api_services.h"

struct documents *documents_new(struct apiserver *api);
void documents_free(struct documents *documents);
void documents_forget(struct documents *documents); // all that is made: an aggregated server changed
// /openapi/…; false when the path is none of its.
bool serve_openapi(struct call *call);
void serve_aggregated_discovery(struct call *call, bool core);

// aggregate_documents.c: what aggregated servers add to a document of ours. Each changes the document in place.
void aggregate_groups(struct api_services *services, json_t *list);                        // /apis: APIGroupList
void aggregate_group(struct api_services *services, const char *group, json_t **document); // APIGroup; may be NULL
void aggregate_discovery(struct api_services *services, json_t *list);                     // APIGroupDiscoveryList
void aggregate_openapi_v2(struct api_services *services, json_t *document);
void aggregate_openapi_v3(struct api_services *services, json_t *index);
