// SPDX-License-Identifier: Apache-2.0
// What is served besides plain objects: documents about the API itself, subresources with a shape of their own, reviews,
// and everything that goes on to a kubelet, a pod or a service.
#pragma once

#include "apiserver/apiserver.h"

// documents.c: health, version, discovery, OpenAPI, metrics, keys. False when the path is none of these.
bool cx_serve_document(struct cx_call *call);
// openapi.c: /openapi/…, and discovery as one document. False when the path is none of its.
bool cx_serve_openapi(struct cx_call *call);
void cx_serve_aggregated_discovery(struct cx_call *call, bool core);
void cx_document_free(void *document);
// subresources.c: scale, binding, eviction, token, finalize, approval. False when it is none of these.
bool cx_serve_subresource(struct cx_call *call);
// eviction.c: deletion of a pod that its disruption budgets have to allow
void cx_serve_eviction(struct cx_call *call);
// reviews.c: TokenReview, SubjectAccessReview and relatives. False when the resource is none of these.
bool cx_serve_review(struct cx_call *call);
// connect.c: log, exec, attach, portforward and proxy. False when it is none of these.
bool cx_serve_connect(struct cx_call *call);
// What it passes on at the moment. Cancelled, all of it ends within a tenth of a second, begun or not.
struct cx_relays *cx_relays_new(void);
void cx_relays_cancel(struct cx_relays *relays);
void cx_relays_free(struct cx_relays *relays); // waits for them to end

// kubernetes_service.c: the system's namespaces, priority classes, the service "kubernetes" and who stands behind it.
int cx_system_objects(struct cx_apiserver *api, struct cx_error *err) CX_CHECK;
// Keeps this server listed behind the service and drops those that have gone; called every few seconds.
void cx_system_heartbeat(struct cx_apiserver *api);
void cx_system_goodbye(struct cx_apiserver *api);
