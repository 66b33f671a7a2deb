// SPDX-License-Identifier: Apache-2.0
// What is served besides plain objects: documents about the API itself, subresources with a shape of their own,
// reviews, and everything that goes on to a kubelet, a pod or a service. Each returns false when it is none of its.
#pragma once

#include "apiserver/request/call.h"

bool health_ready(struct apiserver *api);  // what /readyz says
bool serve_document(struct call *call);    // documents.c: health, version, discovery, OpenAPI, metrics, keys
bool serve_subresource(struct call *call); // subresources.c: scale, binding, eviction, token, finalize
bool serve_review(struct call *call);      // reviews.c: TokenReview, SubjectAccessReview and relatives
bool serve_connect(struct call *call);     // connect.c: log, exec, attach, portforward and proxy

// aggregate.c: passes a call on to the API server that serves its group and version (call->api_service).
void serve_aggregated(struct call *call);
// The same for a path that says whom it is about: "GROUP/VERSION" or "GROUP/VERSION/". False when nobody else serves it.
bool serve_if_aggregated(struct call *call, const char *group_version);
