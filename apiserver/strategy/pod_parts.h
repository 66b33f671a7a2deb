// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apiserver/apiserver.h"

// "Guaranteed", "Burstable" or "BestEffort".
const char *cx_pod_quality_of_service(const json_t *pod);

// Subresources that are a part of a pod's spec: "ephemeralcontainers" and "resize".
bool cx_is_pod_part(const char *subresource);
// Makes `object` the old one but for that part.
void cx_pod_take_part(json_t *object, const json_t *old, const char *subresource);
void cx_check_pod_part(const json_t *object, const json_t *old, const char *subresource, struct cx_error *causes);
