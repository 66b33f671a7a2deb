// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "endpoints.h"

#define SLICE_MAX 100

struct packed_slice {
        json_t *object;    // as it is in the API; NULL when created
        json_t *endpoints; // owned
        bool created, changed;
};
// Distributes the wanted endpoints over the slices, moving none that is in one already; new slices are appended (the array
// must have room). `changed` says which must be written. Endpoints are told apart by targetRef.uid.
void slices_pack(struct packed_slice *slices, size_t *count, json_t *wanted, size_t max);
