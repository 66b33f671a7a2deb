// SPDX-License-Identifier: Apache-2.0
// JSON patch (RFC 6902), JSON pointers (RFC 6901), merge patch (RFC 7386) and the two- and three-way merge patches.
//
// A patch is hostile input: its operations are counted, and what `copy` and `add` put in is weighed, since copying a
// document into itself doubles it each time.
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/engine.h"

#define MAX_OPERATIONS 10000
#define MAX_COPIED (3 * 1024 * 1024)

struct json_patcher {
        json_t *document; // owned
        size_t copied;
        struct cx_error *err;
};

static int rejected(struct json_patcher *p, const char *format, ...) CX_PRINTF(2, 3);
static int rejected(struct json_patcher *p, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        CX_BUF message = CX_BUF_INIT;
        cx_buf_vprintf(&message, format, args);
        va_end(args);
        int r = cx_error_reason(p->err, CX_REASON_INVALID,
                                "the server rejected our request due to an error in our request");
        cx_error_cause(p->err, "UnexpectedServerResponse", NULL, "%s", message.data);
        return r;
}

// Takes note of a value that goes in at `path`: how much has been put in, and how deep the document becomes.
static int weigh(struct json_patcher *p, const char *path, const json_t *value)
{
        int levels = 0;
        for (const char *c = path; *c; c++)
                levels += *c == '/';
        if (cx_json_weight(value, CX_JSON_MAX_DEPTH - levels, MAX_COPIED - p->copied) > MAX_COPIED - p->copied)
                return rejected(p,
                                "Unable to complete the copy, the accumulated size increase of copy is over %d bytes, "
                                "or the document would nest deeper than %d",
                                MAX_COPIED, CX_JSON_MAX_DEPTH);
        p->copied += cx_json_weight(value, CX_JSON_MAX_DEPTH, MAX_COPIED);
        return 0;
}

// --- pointers -------------------------------------------------------------------------------------------------------
// Cuts the next reference token ("a~1b" is "a/b") off *pointer, which stands at a slash. Owned.
static char *next_token(const char **pointer)
{
        const char *from = *pointer + 1;
        size_t length = strcspn(from, "/");
        char *token = cx_strndup(from, length), *to = token;
        for (const char *c = token; *c; c++) {
                if (c[0] == '~' && (c[1] == '0' || c[1] == '1'))
                        *to++ = *++c == '0' ? '~' : '/';
                else
                        *to++ = *c;
        }
        *to = 0;
        *pointer = from + length;
        return token;
}

// An array index. `size` itself is allowed when adding, as is "-". -1 when it is none or out of bounds.
static ssize_t index_of(const char *token, size_t size, bool adding)
{
        int64_t n;
        if (adding && strcmp(token, "-") == 0)
                return (ssize_t)size;
        if ((token[0] == '0' && token[1]) || token[0] == '+' || token[0] == '-' ||
            cx_parse_int(token, 0, INT32_MAX, &n) < 0)
                return -1;
        return (size_t)n < size || (adding && (size_t)n == size) ? (ssize_t)n : -1;
}

static json_t *child(const json_t *parent, const char *token)
{
        if (json_is_object(parent))
                return json_object_get(parent, token);
        ssize_t i = json_is_array(parent) ? index_of(token, json_array_size(parent), false) : -1;
        return i < 0 ? NULL : json_array_get(parent, (size_t)i);
}

// Walks to the parent of what `pointer` names; the last token is handed out (owned). NULL: no such parent.
static json_t *find_parent(json_t *document, const char *pointer, char **ret_last)
{
        json_t *at = document;
        while (*pointer == '/' && at) {
                CX_CLEANUP(cx_freep) char *token = next_token(&pointer);
                if (!*pointer) {
                        *ret_last = cx_steal(&token);
                        return json_is_object(at) || json_is_array(at) ? at : NULL;
                }
                at = child(at, token);
        }
        return NULL;
}

static json_t *find(json_t *document, const char *pointer)
{
        if (!*pointer)
                return document;
        CX_CLEANUP(cx_freep) char *last = NULL;
        json_t *parent = find_parent(document, pointer, &last);
        return parent ? child(parent, last) : NULL;
}

// --- operations -----------------------------------------------------------------------------------------------------
static int missing(struct json_patcher *p, const char *op, const char *path)
{
        return rejected(p, "jsonpatch %s operation does not apply: doc is missing path: \"%.500s\": missing value", op,
                        path);
}

static int add(struct json_patcher *p, const char *op, const char *path, const json_t *value)
{
        int r = weigh(p, path, value);
        if (r < 0)
                return r;
        if (!*path) {
                json_decref(p->document);
                p->document = json_deep_copy(value);
                return 0;
        }
        CX_CLEANUP(cx_freep) char *last = NULL;
        json_t *parent = find_parent(p->document, path, &last);
        if (!parent)
                return missing(p, op, path);
        if (json_is_object(parent)) {
                json_object_set_new(parent, last, json_deep_copy(value));
                return 0;
        }
        ssize_t i = index_of(last, json_array_size(parent), true);
        if (i < 0)
                return rejected(p, "jsonpatch %s operation does not apply: \"%.500s\": invalid index referenced", op,
                                path);
        json_array_insert_new(parent, (size_t)i, json_deep_copy(value));
        return 0;
}

static int take_out(struct json_patcher *p, const char *op, const char *path, json_t **ret_value)
{
        CX_CLEANUP(cx_freep) char *last = NULL;
        json_t *parent = find_parent(p->document, path, &last);
        json_t *value = parent ? child(parent, last) : NULL;
        if (!value)
                return missing(p, op, path);
        if (ret_value)
                *ret_value = json_incref(value);
        if (json_is_object(parent))
                json_object_del(parent, last);
        else
                json_array_remove(parent, (size_t)index_of(last, json_array_size(parent), false));
        return 0;
}

static int replace(struct json_patcher *p, const char *path, const json_t *value)
{
        if (!*path)
                return add(p, "replace", path, value);
        int r = weigh(p, path, value);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *last = NULL;
        json_t *parent = find_parent(p->document, path, &last);
        if (!parent || !child(parent, last))
                return missing(p, "replace", path);
        if (json_is_object(parent))
                json_object_set_new(parent, last, json_deep_copy(value));
        else
                json_array_set_new(parent, (size_t)index_of(last, json_array_size(parent), false),
                                   json_deep_copy(value));
        return 0;
}

static int test(struct json_patcher *p, const char *path, const json_t *value)
{
        json_t *found = find(p->document, path);
        bool equal = found ? value && json_equal(found, value) : !value || json_is_null(value);
        return equal ? 0 : rejected(p, "testing value %.500s failed", path);
}

static int move_or_copy(struct json_patcher *p, const char *op, const char *from, const char *path)
{
        json_auto_t *value = NULL;
        if (strcmp(op, "copy") == 0) {
                value = json_incref(find(p->document, from));
                return value ? add(p, op, path, value) : missing(p, op, from);
        }
        size_t length = strlen(from);
        if (strncmp(path, from, length) == 0 && path[length] == '/')
                return rejected(p, "jsonpatch move operation does not apply: \"%.500s\" is inside \"%.500s\"", path,
                                from);
        int r = take_out(p, op, from, &value);
        return r < 0 ? r : add(p, op, path, value);
}

static int apply(struct json_patcher *p, const json_t *operation)
{
        const char *op = cx_str(json_string_value(json_object_get(operation, "op")));
        const char *path = json_string_value(json_object_get(operation, "path"));
        const char *from = json_string_value(json_object_get(operation, "from"));
        const json_t *value = json_object_get(operation, "value");
        if (!path || (*path && *path != '/'))
                return rejected(p, "jsonpatch %.20s operation does not apply: bad path", op);
        if (strcmp(op, "remove") == 0)
                return take_out(p, op, path, NULL);
        if (strcmp(op, "test") == 0)
                return test(p, path, value);
        if (strcmp(op, "move") == 0 || strcmp(op, "copy") == 0)
                return from && (!*from || *from == '/')
                               ? move_or_copy(p, op, from, path)
                               : rejected(p, "jsonpatch %s operation does not apply: bad from", op);
        if (strcmp(op, "add") != 0 && strcmp(op, "replace") != 0)
                return rejected(p, "Unexpected kind: %.50s", op);
        if (!value)
                return rejected(p, "jsonpatch %s operation does not apply: no value", op);
        return *op == 'a' ? add(p, op, path, value) : replace(p, path, value);
}

int cx_patch_json(const json_t *original, const json_t *operations, json_t **ret_patched, struct cx_error *err)
{
        if (!json_is_array(operations))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "error decoding patch: a JSON patch is an array of operations");
        if (json_array_size(operations) > MAX_OPERATIONS)
                return cx_error_reason(err, CX_REASON_TOO_LARGE,
                                       "The allowed maximum operations in a JSON patch is %d, got %zu", MAX_OPERATIONS,
                                       json_array_size(operations));
        struct json_patcher p = {.document = json_deep_copy(original), .err = err};
        size_t i;
        json_t *operation;
        int r = 0;
        json_array_foreach (operations, i, operation) {
                r = apply(&p, operation);
                if (r < 0)
                        break;
        }
        if (r == 0)
                *ret_patched = p.document;
        else
                json_decref(p.document);
        return r;
}

// --- merge patch ----------------------------------------------------------------------------------------------------
json_t *cx_patch_merge(const json_t *original, const json_t *patch)
{
        if (!json_is_object(patch))
                return json_deep_copy(patch);
        json_t *result = json_is_object(original) ? json_copy((json_t *)original) : json_object();
        const char *key;
        json_t *change;
        json_object_foreach ((json_t *)patch, key, change) {
                if (json_is_null(change))
                        json_object_del(result, key);
                else
                        json_object_set_new(result, key, cx_patch_merge(json_object_get(original, key), change));
        }
        // What the patch does not touch is still shared with the original.
        json_object_foreach ((json_t *)original, key, change)
                if (json_object_get(result, key) == change)
                        json_object_set_new(result, key, json_deep_copy(change));
        return result;
}

json_t *cx_patch_merge_diff(const json_t *from, const json_t *to)
{
        json_t *patch = json_object();
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)to, key, value) {
                json_t *before = json_object_get(from, key);
                if (json_is_object(before) && json_is_object(value)) {
                        json_auto_t *change = cx_patch_merge_diff(before, value);
                        if (json_object_size(change))
                                json_object_set(patch, key, change);
                } else if (!before || !json_equal(before, value)) {
                        json_object_set_new(patch, key, json_deep_copy(value));
                }
        }
        json_object_foreach ((json_t *)from, key, value)
                if (!json_object_get(to, key))
                        json_object_set_new(patch, key, json_null());
        return patch;
}

json_t *cx_patch_merge_three_way(const json_t *original, const json_t *modified, const json_t *current)
{
        json_t *patch = json_object();
        const char *key;
        json_t *wanted;
        json_object_foreach ((json_t *)modified, key, wanted) {
                json_t *live = json_object_get(current, key);
                if (json_is_null(wanted)) {
                        if (live)
                                json_object_set_new(patch, key, json_null());
                } else if (json_is_object(wanted) && json_is_object(live)) {
                        json_auto_t *change = cx_patch_merge_three_way(json_object_get(original, key), wanted, live);
                        if (json_object_size(change))
                                json_object_set(patch, key, change);
                } else if (!live || !json_equal(wanted, live)) {
                        json_object_set_new(patch, key, json_deep_copy(wanted));
                }
        }
        json_object_foreach ((json_t *)original, key, wanted)
                if (!json_object_get(modified, key) && json_object_get(current, key))
                        json_object_set_new(patch, key, json_null());
        return patch;
}
