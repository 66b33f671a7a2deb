// SPDX-License-Identifier: Apache-2.0
// Expansion of $(NAME), as commands, arguments, variables and subPathExpr have it.
#include "kubelet/base/expand.h"

#include <string.h>

const char *expand_lookup(const struct cx_strings *env, const char *name, size_t length)
{
        for (size_t i = env->count; i-- > 0;)
                if (strncmp(env->items[i], name, length) == 0 && env->items[i][length] == '=')
                        return env->items[i] + length + 1;
        return NULL;
}

char *expand(const char *text, const struct cx_strings *env)
{
        CX_BUF out = CX_BUF_INIT_MAX(4 << 20);
        for (const char *p = text; *p; p++) {
                if (*p != '$' || !p[1]) {
                        cx_buf_add_char(&out, *p);
                        continue;
                }
                if (p[1] == '$') {
                        cx_buf_add_char(&out, *p++);
                        continue;
                }
                const char *end = p[1] == '(' ? strchr(p + 2, ')') : NULL;
                if (!end) {
                        cx_buf_add_char(&out, *p);
                        continue;
                }
                const char *value = expand_lookup(env, p + 2, (size_t)(end - p - 2));
                if (value)
                        cx_buf_add(&out, value);
                else
                        cx_buf_append(&out, p, (size_t)(end - p + 1));
                p = end;
        }
        return cx_buf_detach(&out);
}

char *expand_missing(const char *text, const struct cx_strings *env)
{
        for (const char *p = text; *p; p++) {
                const char *end = p[0] == '$' && p[1] == '(' ? strchr(p + 2, ')') : NULL;
                if (end && !expand_lookup(env, p + 2, (size_t)(end - p - 2)))
                        return cx_strndup(p + 2, (size_t)(end - p - 2));
                if (end)
                        p = end;
                else if (p[0] == '$' && p[1] == '$')
                        p++;
        }
        return NULL;
}
