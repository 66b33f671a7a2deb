// SPDX-License-Identifier: Apache-2.0
// When a CertificateSigningRequest has served its time. Pure.
#pragma once

#include <jansson.h>
#include <stdint.h>

// µs since the epoch; INT64_MAX: never.
int64_t csr_ends_at(const json_t *request);
