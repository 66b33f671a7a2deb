// SPDX-License-Identifier: Apache-2.0
// Media types and their parameters, taken apart.
#include "apiserver/request/media.h"

#include "libcommon/base/alloc.h"

#include <strings.h>

static void trim(const char **text, size_t *length)
{
        while (*length && (**text == ' ' || **text == '"')) {
                (*text)++;
                (*length)--;
        }
        while (*length && ((*text)[*length - 1] == ' ' || (*text)[*length - 1] == '"'))
                (*length)--;
}

static void set(char *to, size_t size, const char *value, size_t length)
{
        trim(&value, &length);
        if (length < size) {
                memcpy(to, value, length);
                to[length] = '\0';
        }
}

static void take_parameter(struct media *media, const char *text, size_t length)
{
        const char *equals = memchr(text, '=', length);
        if (!equals)
                return;
        size_t name = (size_t)(equals - text), rest = length - name - 1;
        trim(&text, &name);
        if (name == 2 && strncmp(text, "as", 2) == 0)
                set(media->as, sizeof media->as, equals + 1, rest);
        else if (name == 1 && *text == 'g')
                set(media->group, sizeof media->group, equals + 1, rest);
        else if (name == 1 && *text == 'v')
                set(media->version, sizeof media->version, equals + 1, rest);
}

bool media_next(const char **header, struct media *ret_media)
{
        const char *part = *header + strspn(*header, ", ");
        size_t length = strcspn(part, ",");
        *header = part + length;
        if (!length)
                return false;
        *ret_media = (struct media){.type = part, .length = strcspn(part, ";,")};
        for (const char *p = part + ret_media->length; p < part + length;) {
                p++; // the semicolon
                size_t n = strcspn(p, ";,");
                take_parameter(ret_media, p, n);
                p += n;
        }
        trim(&ret_media->type, &ret_media->length);
        return true;
}

bool media_is(const struct media *media, const char *type)
{
        return media->length == strlen(type) && strncasecmp(media->type, type, media->length) == 0;
}

bool media_is_json(const struct media *media)
{
        return media_is(media, "application/json") || media_is(media, "application/*") || media_is(media, "*/*");
}
