// SPDX-License-Identifier: Apache-2.0
// Intervals are appended as they come and then put in order.
#include "libcommon/api/indexes.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/strings.h"

void cx_indexes_release(struct cx_indexes *self)
{
        free(self->items);
        *self = (struct cx_indexes)CX_INDEXES_INIT;
}

static void append(struct cx_indexes *self, int64_t first, int64_t last)
{
        if (self->count == self->capacity) {
                self->capacity = self->capacity ? self->capacity * 2 : 8;
                self->items = cx_realloc_array(self->items, self->capacity, sizeof *self->items);
        }
        self->items[self->count++] = (struct cx_interval){first, last};
}

static int compare(const void *a, const void *b)
{
        const struct cx_interval *x = a, *y = b;
        return x->first < y->first ? -1 : x->first > y->first;
}

static void put_in_order(struct cx_indexes *self)
{
        if (!self->count)
                return;
        qsort(self->items, self->count, sizeof *self->items, compare);
        size_t end = 0; // of the last interval that is kept
        for (size_t i = 1; i < self->count; i++) {
                struct cx_interval *last = &self->items[end];
                if (self->items[i].first > last->last + 1)
                        self->items[++end] = self->items[i];
                else if (self->items[i].last > last->last)
                        last->last = self->items[i].last;
        }
        self->count = end + 1;
}

// "3" or "3-5", at the start of `text`, up to `length`.
static bool parse_interval(const char *text, size_t length, struct cx_interval *ret)
{
        char copy[32];
        if (length >= sizeof copy)
                return false;
        snprintf(copy, sizeof copy, "%.*s", (int)length, text);
        char *dash = strchr(copy, '-');
        if (dash)
                *dash = 0;
        if (cx_parse_int(copy, 0, INT32_MAX, &ret->first) < 0)
                return false;
        ret->last = ret->first;
        return !dash || (cx_parse_int(dash + 1, 0, INT32_MAX, &ret->last) == 0 && ret->first <= ret->last);
}

void cx_indexes_parse(struct cx_indexes *self, const char *text, int64_t limit)
{
        for (text = cx_str(text); *text;) {
                size_t length = strcspn(text, ",");
                struct cx_interval interval;
                if (parse_interval(text, length, &interval) && interval.first < limit)
                        append(self, interval.first, interval.last < limit ? interval.last : limit - 1);
                text += length + (text[length] == ',');
        }
        put_in_order(self);
}

char *cx_indexes_text(const struct cx_indexes *self)
{
        CX_BUF text = CX_BUF_INIT;
        for (size_t i = 0; i < self->count; i++) {
                int64_t first = self->items[i].first, last = self->items[i].last;
                cx_buf_printf(&text, "%s%lld", i ? "," : "", (long long)first);
                if (last > first)
                        cx_buf_printf(&text, "%c%lld", last == first + 1 ? ',' : '-', (long long)last);
        }
        return cx_buf_detach(&text);
}

void cx_indexes_add(struct cx_indexes *self, const int64_t *indexes, size_t count)
{
        for (size_t i = 0; i < count; i++)
                append(self, indexes[i], indexes[i]);
        put_in_order(self);
}

void cx_indexes_unite(struct cx_indexes *self, const struct cx_indexes *other)
{
        for (size_t i = 0; i < other->count; i++)
                append(self, other->items[i].first, other->items[i].last);
        put_in_order(self);
}

bool cx_indexes_has(const struct cx_indexes *self, int64_t index)
{
        size_t low = 0, high = self->count; // the first interval that does not end before it is in [low, high]
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (self->items[middle].last < index)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < self->count && self->items[low].first <= index;
}

int64_t cx_indexes_total(const struct cx_indexes *self)
{
        int64_t total = 0;
        for (size_t i = 0; i < self->count; i++)
                total += self->items[i].last - self->items[i].first + 1;
        return total;
}

int64_t cx_indexes_common(const struct cx_indexes *a, const struct cx_indexes *b)
{
        int64_t common = 0;
        for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
                const struct cx_interval *x = &a->items[i], *y = &b->items[j];
                int64_t first = x->first > y->first ? x->first : y->first, last = x->last < y->last ? x->last : y->last;
                common += last >= first ? last - first + 1 : 0;
                if (x->last < y->last)
                        i++;
                else
                        j++;
        }
        return common;
}

size_t cx_indexes_missing(const struct cx_indexes *self, int64_t limit, size_t most, int64_t *to)
{
        size_t found = 0;
        int64_t next = 0;
        for (size_t i = 0; i <= self->count; i++) {
                int64_t end = i < self->count && self->items[i].first < limit ? self->items[i].first : limit;
                while (next < end && found < most)
                        to[found++] = next++;
                if (i < self->count && self->items[i].last >= next)
                        next = self->items[i].last + 1;
        }
        return found;
}

// One side of an interval; NULL, or why it is none.
static char *check_index(const char *text, int64_t limit, int64_t *ret_index)
{
        if (cx_parse_int(text, 0, INT64_MAX, ret_index) < 0)
                return cx_sprintf("cannot convert string to integer for index: \"%.64s\"", text);
        return *ret_index < limit ? NULL : cx_sprintf("too large index: \"%s\"", text);
}

static char *check_interval(const char *text, int64_t limit, struct cx_interval *ret)
{
        CX_STRINGS sides = CX_STRINGS_INIT;
        cx_strings_split(&sides, text, '-');
        if (sides.count > 2)
                return cx_sprintf(
                        "the fragment \"%.64s\" violates the requirement that an index interval can have at most two "
                        "parts separated by '-'",
                        text);
        char *why = check_index(sides.items[0], limit, &ret->first);
        ret->last = ret->first;
        if (why || sides.count == 1)
                return why;
        why = check_index(sides.items[1], limit, &ret->last);
        if (!why && ret->first >= ret->last)
                why = cx_sprintf("non-increasing order, previous: %lld, current: %lld", (long long)ret->first,
                                 (long long)ret->last);
        return why;
}

char *cx_indexes_check(const char *text, int64_t limit, int64_t *ret_total)
{
        int64_t total = 0, last = -1;
        CX_STRINGS parts = CX_STRINGS_INIT;
        if (*text)
                cx_strings_split(&parts, text, ',');
        for (size_t i = 0; i < parts.count; i++) {
                struct cx_interval interval = {0};
                char *why = check_interval(parts.items[i], limit, &interval);
                if (why)
                        return why;
                if (last >= interval.first)
                        return cx_sprintf("non-increasing order, previous: %lld, current: %lld", (long long)last,
                                          (long long)interval.first);
                total += interval.last - interval.first + 1;
                last = interval.last;
        }
        *ret_total = total;
        return NULL;
}
