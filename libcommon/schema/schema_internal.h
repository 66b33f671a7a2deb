// SPDX-License-Identifier: Apache-2.0
// What the generator writes (build/<variant>/gen/schema_tables.c). schema.c and validate.c read it.
#pragma once

#include "libcommon/schema/schema.h"

extern const struct cx_type cx_schema_table_types[]; // sorted by name
extern const size_t cx_schema_table_n_types;
extern const struct cx_kind cx_schema_table_kinds[]; // sorted by group, version, kind
extern const size_t cx_schema_table_n_kinds;
extern const struct cx_resource cx_schema_table_resources[]; // in discovery order
extern const size_t cx_schema_table_n_resources;
extern const uint16_t cx_schema_table_by_resource[]; // indexes, sorted by group, version, resource
