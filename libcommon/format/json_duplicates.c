// SPDX-License-Identifier: Apache-2.0
// Keys that a JSON document has twice. The parser only says that there is one; this names them all, as Kubernetes' strict
// decoder does. It runs on documents that have been found to be good JSON, so it looks at structure alone.
#include "libcommon/base/flags.h"
#include "libcommon/base/map.h"
#include "libcommon/format/json.h"

struct scan {
        const char *at, *end;
        size_t most;
        struct cx_buf path;
        struct cx_strings *found;
};

static void scan_value(struct scan *s, int depth);

static void skip_blanks(struct scan *s)
{
        while (s->at < s->end && memchr(" \t\r\n", *s->at, 4))
                s->at++;
}

static bool take(struct scan *s, char c)
{
        skip_blanks(s);
        if (s->at >= s->end || *s->at != c)
                return false;
        s->at++;
        return true;
}

// The string at the cursor, with its escapes as they are written.
static char *take_string(struct scan *s)
{
        if (!take(s, '"'))
                return NULL;
        const char *from = s->at;
        while (s->at < s->end && *s->at != '"')
                s->at += *s->at == '\\' && s->at + 1 < s->end ? 2 : 1;
        char *text = cx_strndup(from, (size_t)(s->at - from));
        s->at += s->at < s->end;
        return text;
}

static void note(struct scan *s)
{
        for (size_t i = 0; i < s->found->count; i++)
                if (strcmp(s->found->items[i], s->path.data) == 0)
                        return;
        if (s->found->count < s->most)
                cx_strings_add(s->found, s->path.data);
}

static void scan_object(struct scan *s, int depth)
{
        static char seen;
        struct cx_map keys = CX_MAP_INIT;
        size_t length = s->path.length;
        while (s->at < s->end && !take(s, '}')) {
                CX_CLEANUP(cx_freep) char *key = take_string(s);
                if (!key || !take(s, ':'))
                        break;
                cx_buf_printf(&s->path, "%s%s", length ? "." : "", key);
                if (cx_map_has(&keys, key))
                        note(s);
                cx_map_set(&keys, key, &seen);
                scan_value(s, depth + 1);
                cx_buf_truncate(&s->path, length);
                (void)take(s, ',');
        }
        cx_map_release(&keys);
}

static void scan_array(struct scan *s, int depth)
{
        size_t length = s->path.length, i = 0;
        if (take(s, ']'))
                return;
        do {
                cx_buf_printf(&s->path, "[%zu]", i++);
                scan_value(s, depth + 1);
                cx_buf_truncate(&s->path, length);
        } while (take(s, ','));
        (void)take(s, ']');
}

static void scan_value(struct scan *s, int depth)
{
        if (depth > CX_JSON_MAX_DEPTH)
                s->at = s->end;
        else if (take(s, '{'))
                scan_object(s, depth);
        else if (take(s, '['))
                scan_array(s, depth);
        else if (s->at < s->end && *s->at == '"')
                free(take_string(s));
        else
                while (s->at < s->end && !memchr(",]} \t\r\n", *s->at, 7))
                        s->at++;
}

void cx_json_duplicates(const char *text, size_t length, size_t most, struct cx_strings *ret_paths)
{
        struct scan s = {.at = text, .end = text + length, .most = most, .path = CX_BUF_INIT, .found = ret_paths};
        scan_value(&s, 0);
        cx_buf_release(&s.path);
}
