// SPDX-License-Identifier: Apache-2.0
// Randomness from the kernel. Any thread may call.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CX_UID_TEXT 37

void cx_random_bytes(void *to, size_t length);
uint64_t cx_random_below(uint64_t limit); // uniform in [0, limit)
void cx_random_uid(char to[CX_UID_TEXT]); // a version 4 UUID (RFC 9562)
// Kubernetes' name suffixes: lower-case letters and digits without vowels and look-alikes. `to` takes length + 1.
void cx_random_suffix(char *to, size_t length);
