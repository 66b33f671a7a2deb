// SPDX-License-Identifier: Apache-2.0
// What is served besides plain objects: documents about the API itself, subresources with a shape of their own, reviews,
// and everything that goes on to a kubelet, a pod or a service.
#pragma once

#include "apiserver/apiserver.h"

// documents.c: health, version, discovery, OpenAPI, metrics, keys. False when the path is none of these.
bool serve_document(struct call *call);
// openapi.c: /openapi/…, and discovery as one document. False when the path is none of its.
bool serve_openapi(struct call *call);
void serve_aggregated_discovery(struct call *call, bool core);
void document_free(void *document);
// subresources.c: scale, binding, eviction, token, finalize, approval. False when it is none of these.
bool serve_subresource(struct call *call);
// eviction.c: deletion of a pod that its disruption budgets have to allow
void serve_eviction(struct call *call);
// reviews.c: TokenReview, SubjectAccessReview and relatives. False when the resource is none of these.
bool serve_review(struct call *call);
// connect.c: log, exec, attach, portforward and proxy. False when it is none of these.
bool serve_connect(struct call *call);
// What it passes on at the moment. Cancelled, all of it ends within a tenth of a second, begun or not.
struct relays *relays_new(void);
void relays_cancel(struct relays *relays);
void relays_free(struct relays *relays); // waits for them to end

// kubernetes_service.c: the system's namespaces, priority classes, the service "kubernetes" and who stands behind it.
int system_objects(struct apiserver *api, struct cx_error *err) CX_CHECK;
// Keeps this server listed behind the service and drops those that have gone; called every few seconds.
void system_heartbeat(struct apiserver *api);
void system_goodbye(struct apiserver *api);
