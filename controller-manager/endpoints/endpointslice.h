// SPDX-License-Identifier: Apache-2.0
// Bringing the EndpointSlices of an owner (a Service, or Endpoints that are mirrored) to where they should be.
#pragma once

#include "controller-manager/endpoints/endpoints.h"
#include "libcommon/base/map.h"

#define SLICE_MAX 100 // endpoints, as upstream's default
#define SLICE_SERVICE_NAME "kubernetes.io/service-name"

// "namespace/name" of the Service or Endpoints that the slice says it is of; NULL when another controller manages it.
// Owned.
char *slice_owner_key(const struct cx_object *slice, const char *managed_by);

struct packed_slice {
        json_t *object;    // as it is in the API; NULL when created
        json_t *endpoints; // owned
        bool created, changed;
};
// Distributes the wanted endpoints over the slices, moving none that is in one already; new slices are appended (the
// array must have room). `changed` says which must be written. Endpoints are told apart by targetRef.uid, or by
// address.
void slices_pack(struct packed_slice *slices, size_t *count, json_t *wanted, size_t max);

struct slice_owner {
        struct cx_rest *rest;
        const char *kind, *namespace, *name, *uid; // of v1
};
// The endpoints of one address family with the same ports.
struct slice_group {
        const struct slice_owner *owner;
        const char *family, *ports;   // ports: a JSON array
        json_t *labels, *annotations; // of the slices; annotations NULL: whatever they are
};
// Writes what must be written so that the slices of the group hold `wanted`; when that is nothing, there is one empty
// slice. `existing` are the owner's slices; those of the group are taken out of it (set to null). `taken` holds the
// names that are not free. -EAGAIN: the informer is a moment behind.
int slice_group_sync(const struct slice_group *group, json_t *existing, json_t *wanted, struct cx_map *taken,
                     struct cx_error *err) CX_CHECK;
int slice_delete(struct cx_rest *rest, const json_t *slice, struct cx_error *err) CX_CHECK; // gone already: 0
