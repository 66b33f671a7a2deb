// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648 sections 4 and 5), appended to a buffer. Any thread may call.
#pragma once

#include "libcommon/base/buf.h"

void cx_base64_encode(const void *data, size_t length, struct cx_buf *to);
void cx_base64url_encode(const void *data, size_t length, struct cx_buf *to); // without padding
// Standard or URL alphabet, padding optional. 0, -EINVAL, or
// -E2BIG when the buffer is full.
int cx_base64_decode(const char *text, size_t length, struct cx_buf *to) CX_CHECK;
