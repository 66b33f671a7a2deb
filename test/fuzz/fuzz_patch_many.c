// SPDX-License-Identifier: Apache-2.0
// JSON patches of many operations that work on each other's results (copies into copies, ever deeper paths), on a small
// stack: what comes out is within the budget of one request.
#include "test/fuzz/grammar.h"

#include "libcommon/format/json.h"

#include <pthread.h>

#define MOST 10000                // operations, as the server takes
#define STACK ((size_t)512 << 10) // sanitizers make frames larger
#define KEYS "abcd"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A path of a few keys, or of many times the same.
static void add_path(struct cx_buf *to, struct fuzz_bytes *bytes)
{
        unsigned shape = fuzz_take(bytes);
        for (unsigned n = shape & 128 ? shape % 128 * 4 : shape % 5; n; n--)
                cx_buf_printf(to, "/%c", KEYS[(shape & 64 ? shape : fuzz_take(bytes)) % 4]);
        if (shape % 32 == 31)
                cx_buf_add(to, "/-");
}

static json_t *operation(struct fuzz_bytes *bytes)
{
        static const char *const names[] = {"add", "copy", "copy", "move", "replace", "remove", "test", "add"};
        CX_BUF path = CX_BUF_INIT, from = CX_BUF_INIT;
        unsigned roll = fuzz_take(bytes);
        add_path(&path, bytes);
        add_path(&from, bytes);
        json_t *value = roll & 64 ? json_pack("{s:[i]}", "a", 1) : roll & 32 ? json_array() : fuzz_any(bytes, 3);
        return json_pack("{s:s, s:s, s:s, s:o}", "op", names[roll % 8], "path", path.data, "from", from.data, "value",
                         value);
}

// Some operations, over and over.
static json_t *operations(struct fuzz_bytes *bytes)
{
        json_auto_t *few = json_array();
        json_t *many = json_array();
        size_t times = 1 + (fuzz_take(bytes) << 4), count = 1 + fuzz_take(bytes) % 6;
        for (size_t i = 0; i < count; i++)
                json_array_append_new(few, operation(bytes));
        for (size_t i = 0; i < times * count && i < MOST; i++)
                json_array_append(many, json_array_get(few, i % count));
        return many;
}

static void *run(void *context)
{
        struct fuzz_bytes *bytes = context;
        json_auto_t *document = fuzz_any(bytes, 4), *before = json_deep_copy(document), *result = NULL;
        json_auto_t *patch = operations(bytes);
        if (cx_patch_json(document, patch, &result, NULL) == 0 && cx_json_check_weight(result, NULL) < 0)
                abort();
        if (!json_equal(document, before))
                abort();
        return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_bytes bytes = {data, data + size};
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK);
        if (pthread_create(&thread, &attributes, run, &bytes) != 0)
                abort();
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        return 0;
}
