// SPDX-License-Identifier: Apache-2.0
// Sorted keys.
#include "kubectl/printer/keys.h"

#include "libcommon/base/alloc.h"

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **sorted_keys(const json_t *object)
{
        size_t n = 0;
        const char **keys = cx_alloc_array(json_object_size(object) + 1, sizeof *keys), *key;
        json_t *value;
        json_object_foreach ((json_t *)object, key, value)
                keys[n++] = key;
        qsort(keys, n, sizeof *keys, compare_keys);
        return keys;
}
