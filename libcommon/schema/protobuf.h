// SPDX-License-Identifier: Apache-2.0
// Kubernetes' protobuf encoding (media type application/vnd.kubernetes.protobuf) read by the schema's tables: client-go's
// typed clients send bodies in it. Input is hostile: every length is checked, depth and sizes are capped.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

#define CX_PROTOBUF_TYPE "application/vnd.kubernetes.protobuf"

// Decodes "k8s\0" and a runtime.Unknown envelope into the JSON of the object, with apiVersion and kind. Unknown fields
// are dropped, as upstream's decoder does. BAD_REQUEST when malformed or of a kind without a schema. New reference.
int cx_protobuf_decode(const void *data, size_t length, json_t **ret_object, struct cx_error *err) CX_CHECK;
