// SPDX-License-Identifier: Apache-2.0
// FNV-1a, and how its value is spelled in letters.
#include "controller-manager/core/name_hash.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/strings.h"

#define PRIME 16777619u

static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";

uint32_t name_hash_text(uint32_t hash, const char *text)
{
        for (; *text; text++)
                hash = (hash ^ (unsigned char)*text) * PRIME;
        return hash;
}

uint32_t name_hash_json(const json_t *value, int64_t collisions)
{
        CX_CLEANUP(cx_freep) char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        uint32_t hash = name_hash_text(NAME_HASH_START, cx_str(text));
        for (int i = 0; collisions && i < 8; i++)
                hash = (hash ^ (unsigned char)(collisions >> (8 * i))) * PRIME;
        return hash;
}

void name_hash_write(uint32_t hash, char to[11])
{
        int n = snprintf(to, 11, "%u", hash);
        for (int i = 0; i < n; i++)
                to[i] = letters[(unsigned char)to[i] % (sizeof letters - 1)];
}

void name_hash_write_letters(uint32_t hash, int count, char to[8])
{
        for (int i = 0; i < count; i++, hash /= sizeof letters - 1)
                to[i] = letters[hash % (sizeof letters - 1)];
        to[count] = 0;
}
