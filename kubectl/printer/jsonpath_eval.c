// SPDX-License-Identifier: Apache-2.0
// Walks a compiled template over JSON. What a pipeline finds is a list of borrowed values.
#include "kubectl/printer/jsonpath_internal.h"

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define MAX_FOUND 100000 // sanitizers make it slow
#else
#define MAX_FOUND 10000000
#endif

struct found {
        const json_t **items;
        size_t count, capacity;
};
struct path_eval {
        const json_t *top;
        bool allow_missing;
        struct cx_error *err;
        size_t work;
};

static void add(struct found *found, const json_t *value)
{
        if (found->count == found->capacity) {
                found->capacity = found->capacity ? found->capacity * 2 : 8;
                found->items = cx_realloc_array(found->items, found->capacity, sizeof(json_t *));
        }
        found->items[found->count++] = value;
}

static void release_found(struct found *found)
{
        free(found->items);
        *found = (struct found){0};
}
#define FOUND CX_CLEANUP(release_found) struct found

static int eval_list(struct path_eval *e, const struct jp_node *list, const json_t *at, struct found *ret_found);

static int eval_field(struct path_eval *e, const struct jp_node *node, const struct found *in, struct found *out)
{
        if (node->text[0] == 0 && (node->value || in->count == 0)) {
                add(out, e->top);
                return 0;
        }
        for (size_t i = 0; i < in->count; i++) {
                if (!node->text[0]) {
                        add(out, in->items[i]);
                        continue;
                }
                const json_t *value = json_object_get(in->items[i], node->text);
                if (value)
                        add(out, value);
        }
        if (out->count == 0 && !e->allow_missing)
                return cx_error_set(e->err, -ENOENT, "%s is not found", node->text);
        return 0;
}

static int eval_array(struct path_eval *e, const struct jp_node *node, const json_t *value, struct found *out)
{
        if (!json_is_array(value)) {
                if (e->allow_missing && (!value || json_is_null(value)))
                        return 0;
                return cx_error_set(e->err, -EINVAL, "%s is not array or slice",
                                    json_is_object(value) ? "map[string]interface {}" : "value");
        }
        int64_t n = (int64_t)json_array_size(value), from = node->has_from ? node->from : 0;
        int64_t to = node->has_to ? node->to : n, step = node->has_step ? node->step : 1;
        from = from < 0 ? from + n : from;
        if (node->single) {
                if (from < 0 || from >= n)
                        return cx_error_set(e->err, -ERANGE, "array index out of bounds: index %lld, length %lld",
                                            (long long)from, (long long)n);
                add(out, json_array_get(value, (size_t)from));
                return 0;
        }
        if (step <= 0)
                return cx_error_set(e->err, -EINVAL, "step must be > 0");
        to = to < 0 ? to + n : to;
        to = to > n ? n : to;
        if (node->has_from && (from < 0 || (from >= n && n > 0 && !e->allow_missing)))
                return cx_error_set(e->err, -ERANGE, "array index out of bounds: index %lld, length %lld",
                                    (long long)from, (long long)n);
        if (node->has_to && from > to && !e->allow_missing)
                return cx_error_set(e->err, -EINVAL, "starting index %lld is greater than ending index %lld",
                                    (long long)from, (long long)to);
        for (int64_t i = from; i < to; i += step)
                add(out, json_array_get(value, (size_t)i));
        return 0;
}

static void eval_wildcard(const json_t *value, struct found *out)
{
        size_t i;
        json_t *item;
        const char *key;
        json_array_foreach ((json_t *)value, i, item)
                add(out, item);
        json_object_foreach ((json_t *)value, key, item)
                add(out, item);
}

static void eval_recursive(struct path_eval *e, const json_t *value, struct found *out)
{
        size_t i;
        json_t *item;
        const char *key;
        if ((!json_is_object(value) && !json_is_array(value)) || e->work++ > MAX_FOUND)
                return;
        add(out, value);
        json_array_foreach ((json_t *)value, i, item)
                eval_recursive(e, item, out);
        json_object_foreach ((json_t *)value, key, item)
                eval_recursive(e, item, out);
}

static int compare(const json_t *a, const json_t *b, bool *ret_comparable)
{
        *ret_comparable = true;
        if (json_is_number(a) && json_is_number(b)) {
                double x = json_number_value(a), y = json_number_value(b);
                return x < y ? -1 : x > y;
        }
        if (json_is_string(a) && json_is_string(b))
                return strcmp(json_string_value(a), json_string_value(b));
        if (json_is_boolean(a) && json_is_boolean(b))
                return (int)json_is_true(a) - (int)json_is_true(b);
        *ret_comparable = false;
        return 1;
}

// Whether one element passes `left op right`.
static int passes(struct path_eval *e, const struct jp_node *node, const json_t *item, bool *ret_pass)
{
        bool saved = e->allow_missing;
        e->allow_missing = true;
        FOUND left = {0}, right = {0};
        *ret_pass = false;
        int r = eval_list(e, node->children[0], item, &left);
        if (r == 0 && node->n_children > 1)
                r = eval_list(e, node->children[1], item, &right);
        e->allow_missing = saved;
        if (r < 0)
                return r;
        if (strcmp(node->text, "exists") == 0) {
                *ret_pass = left.count > 0;
                return 0;
        }
        if (!left.count || !right.count)
                return 0;
        if (left.count > 1 || right.count > 1)
                return cx_error_set(e->err, -EINVAL, "can only compare one element at a time");
        bool comparable;
        int c = compare(left.items[0], right.items[0], &comparable);
        const char *op = node->text;
        if (!comparable && strcmp(op, "!=") != 0)
                return 0;
        *ret_pass = strcmp(op, "==") == 0   ? c == 0
                    : strcmp(op, "!=") == 0 ? c != 0
                    : strcmp(op, "<") == 0  ? c < 0
                    : strcmp(op, ">") == 0  ? c > 0
                    : strcmp(op, "<=") == 0 ? c <= 0
                                            : c >= 0;
        return 0;
}

static int eval_filter(struct path_eval *e, const struct jp_node *node, const json_t *value, struct found *out)
{
        if (!json_is_array(value)) {
                if (!value || json_is_null(value))
                        return 0;
                return cx_error_set(e->err, -EINVAL, "value is not array or slice and cannot be filtered");
        }
        size_t i;
        json_t *item;
        json_array_foreach ((json_t *)value, i, item) {
                bool pass;
                int r = passes(e, node, item, &pass);
                if (r < 0)
                        return r;
                if (pass)
                        add(out, item);
        }
        return 0;
}

static int eval_node(struct path_eval *e, const struct jp_node *node, const struct found *in, struct found *out)
{
        int r = 0;
        if (e->work++ > MAX_FOUND)
                return cx_error_set(e->err, -E2BIG, "the template finds too much");
        switch (node->kind) {
        case JP_FIELD:
                return eval_field(e, node, in, out);
        case JP_VALUE:
                add(out, node->value);
                return 0;
        case JP_UNION:
                for (size_t i = 0; r == 0 && i < node->n_children; i++)
                        r = eval_node(e, node->children[i], in, out);
                return r;
        default:
                break;
        }
        for (size_t i = 0; r == 0 && i < in->count; i++) {
                const json_t *value = in->items[i];
                if (node->kind == JP_ARRAY)
                        r = eval_array(e, node, value, out);
                else if (node->kind == JP_FILTER)
                        r = eval_filter(e, node, value, out);
                else if (node->kind == JP_WILDCARD)
                        eval_wildcard(value, out);
                else if (node->kind == JP_RECURSIVE)
                        eval_recursive(e, value, out);
        }
        return r;
}

static int eval_list(struct path_eval *e, const struct jp_node *list, const json_t *at, struct found *ret_found)
{
        FOUND now = {0};
        add(&now, at);
        for (size_t i = 0; i < list->n_children; i++) {
                FOUND next = {0};
                // after "..", fields that some of the objects lack are no error
                bool saved = e->allow_missing;
                if (i && list->children[i - 1]->kind == JP_RECURSIVE)
                        e->allow_missing = true;
                int r = eval_node(e, list->children[i], &now, &next);
                e->allow_missing = saved;
                if (r < 0)
                        return r;
                struct found swap = now;
                now = next;
                next = swap;
        }
        *ret_found = now;
        now = (struct found){0};
        return 0;
}

void jsonpath_value(const json_t *value, struct cx_buf *to)
{
        if (json_is_string(value)) {
                cx_buf_append(to, json_string_value(value), json_string_length(value));
        } else if (json_is_real(value)) {
                cx_buf_printf(to, "%.15g", json_real_value(value));
        } else if (value && !json_is_null(value)) {
                char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
                cx_buf_add(to, cx_str(text));
                free(text);
        }
}

static int print_nodes(struct path_eval *e, struct jp_node *const *nodes, size_t n, const json_t *at, struct cx_buf *to,
                       json_t *values)
{
        for (size_t i = 0; i < n; i++) {
                const struct jp_node *node = nodes[i];
                if (node->kind == JP_TEXT) {
                        if (to)
                                cx_buf_add(to, node->text);
                        continue;
                }
                FOUND found = {0};
                bool range = node->kind == JP_RANGE;
                int r = eval_list(e, range ? node->children[0] : node, at, &found);
                for (size_t j = 0; r == 0 && j < found.count; j++) {
                        if (range) {
                                r = print_nodes(e, node->children + 1, node->n_children - 1, found.items[j], to,
                                                values);
                                continue;
                        }
                        if (values)
                                json_array_append(values, (json_t *)found.items[j]);
                        if (to && j)
                                cx_buf_add_char(to, ' ');
                        if (to)
                                jsonpath_value(found.items[j], to);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int jsonpath_print(const struct jsonpath *path, const json_t *data, bool allow_missing, struct cx_buf *to,
                   struct cx_error *err)
{
        struct path_eval e = {.top = data, .allow_missing = allow_missing, .err = err};
        return print_nodes(&e, path->root->children, path->root->n_children, data, to, NULL);
}

int jsonpath_find(const struct jsonpath *path, const json_t *data, bool allow_missing, json_t **ret_values,
                  struct cx_error *err)
{
        struct path_eval e = {.top = data, .allow_missing = allow_missing, .err = err};
        json_auto_t *values = json_array();
        int r = print_nodes(&e, path->root->children, path->root->n_children, data, NULL, values);
        if (r < 0)
                return r;
        *ret_values = cx_steal(&values);
        return 0;
}
