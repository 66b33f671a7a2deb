// SPDX-License-Identifier: Apache-2.0
// What a cluster has from the start and keeps: namespaces, priority classes, default roles, the service "kubernetes"
// and who stands behind it. All of it is written through the registry, as the server's own doing. Functions block.
#pragma once

#include "apiserver/request/apiserver.h"

// objects.c: makes the namespaces and priority classes that are missing; called now and then, too.
int bootstrap_objects(struct apiserver *api, struct cx_error *err) CX_CHECK;
// policy.c: makes the default roles and bindings that are missing, and adds missing rules to those marked for it.
int bootstrap_policy(struct apiserver *api, struct cx_error *err) CX_CHECK;
// Makes those again that somebody has deleted; what has been changed stays as it is. As often as service_heartbeat. `seen`
// is the caller's, and begins with 0.
void policy_heartbeat(struct apiserver *api, uint64_t *seen);
// service.c: the service "kubernetes" and its address.
int bootstrap_service(struct apiserver *api, struct cx_error *err) CX_CHECK;
// Keeps this server listed behind the service and drops those that have gone; called every few seconds.
void service_heartbeat(struct apiserver *api);
void service_goodbye(struct apiserver *api);
// aggregation.c: keeps the APIServices of our own groups, and what other API servers recognize us by. As often.
void aggregation_heartbeat(struct apiserver *api);
