// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648), standard alphabet with padding. Any thread may call.
#pragma once

#include "base/buf.h"

void cx_base64_encode(struct cx_buf *to, const void *data, size_t length);
// Appends the decoded bytes. Line breaks are skipped. 0, or -EINVAL with nothing appended.
int cx_base64_decode(struct cx_buf *to, const char *text, size_t length) CX_CHECK;
