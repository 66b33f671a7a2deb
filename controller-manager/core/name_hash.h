// SPDX-License-Identifier: Apache-2.0
// Hashes that become parts of names: 32-bit FNV-1a, written in the letters that Kubernetes uses for generated names (no
// vowels, so that no word comes out).
#pragma once

#include <jansson.h>
#include <stdint.h>

#define NAME_HASH_START 2166136261u
uint32_t name_hash_text(uint32_t hash, const char *text);
// Of a JSON value, whatever the order of its keys; another one for each number of collisions.
uint32_t name_hash_json(const json_t *value, int64_t collisions);
void name_hash_write(uint32_t hash, char to[11]);                   // a letter for each decimal digit
void name_hash_write_letters(uint32_t hash, int count, char to[8]); // `count` letters (at most 7)
