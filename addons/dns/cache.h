// SPDX-License-Identifier: Apache-2.0
// Answers of other name servers, kept for a while. The memory that they take is bounded. Who asked first pays for an
// answer: when there is no room, the oldest answer of whoever holds most goes, so that no client can push out what the
// others asked for. Any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_CACHE_ENTRY 8192 // bytes of an answer that is kept at most

struct answer_cache;
struct answer_cache *answer_cache_new(size_t max_bytes);
void answer_cache_free(struct answer_cache *cache);
// Keeps a copy for `ttl` seconds, on the account of `client` (a hash).
void answer_cache_put(struct answer_cache *cache, const char *key, uint64_t client, const uint8_t *wire, size_t length,
                      uint32_t ttl);
// A copy (malloc'd) and how many seconds ago it was put; false when there is none that is fresh and no longer than `room`.
bool answer_cache_get(struct answer_cache *cache, const char *key, size_t room, uint8_t **ret_wire, size_t *ret_length,
                      int64_t *ret_age);
size_t answer_cache_bytes(struct answer_cache *cache);
