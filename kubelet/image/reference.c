// SPDX-License-Identifier: Apache-2.0
// The grammar is the one of the distribution project: [registry/]path[:tag][@digest], where the first component is a
// registry when it has a dot, a colon, an upper-case letter, or is "localhost".
#include "kubelet/image/reference.h"

#include "libcommon/base/alloc.h"

#include <ctype.h>

bool digest_valid(const char *text)
{
        if (!text || strncmp(text, "sha256:", 7) != 0 || strlen(text) != 71)
                return false;
        for (const char *p = text + 7; *p; p++)
                if (!(isdigit((unsigned char)*p) || (*p >= 'a' && *p <= 'f')))
                        return false;
        return true;
}

static bool is_registry(const char *text, size_t length)
{
        if (length == 9 && strncmp(text, "localhost", 9) == 0)
                return true;
        for (size_t i = 0; i < length; i++)
                if (text[i] == '.' || text[i] == ':' || isupper((unsigned char)text[i]))
                        return true;
        return false;
}

static bool valid_registry(const char *text)
{
        if (!isalnum((unsigned char)*text) && *text != '[')
                return false;
        for (const char *p = text; *p; p++)
                if (!isalnum((unsigned char)*p) && !strchr(".-:[]_", *p))
                        return false;
        return true;
}

static bool valid_component(const char *p, size_t length)
{
        if (!length || !isalnum((unsigned char)p[0]) || !isalnum((unsigned char)p[length - 1]))
                return false;
        for (size_t i = 0; i < length; i++) {
                unsigned char c = (unsigned char)p[i];
                if (!islower(c) && !isdigit(c) && c != '.' && c != '_' && c != '-')
                        return false;
                if (c == '.' && p[i + 1] == '.')
                        return false;
        }
        return true;
}

static bool valid_repository(const char *text)
{
        if (strlen(text) > 255)
                return false;
        for (;;) {
                size_t n = strcspn(text, "/");
                if (!valid_component(text, n))
                        return false;
                if (!text[n])
                        return true;
                text += n + 1;
        }
}

static bool valid_tag(const char *text)
{
        size_t n = strlen(text);
        if (!n || n > 128 || (!isalnum((unsigned char)*text) && *text != '_'))
                return false;
        for (; *text; text++)
                if (!isalnum((unsigned char)*text) && !strchr("_.-", *text))
                        return false;
        return true;
}

static int parse(char *text, struct image_ref *ref)
{
        char *at = strchr(text, '@');
        if (at) {
                if (!digest_valid(at + 1))
                        return -EINVAL;
                ref->digest = cx_strdup(at + 1);
                *at = '\0';
        }
        char *slash = strrchr(text, '/'), *colon = strchr(slash ? slash : text, ':');
        if (colon) {
                if (!valid_tag(colon + 1))
                        return -EINVAL;
                ref->tag = cx_strdup(colon + 1);
                *colon = '\0';
        } else if (!at) {
                ref->tag = cx_strdup("latest");
        }
        size_t first = strcspn(text, "/");
        const char *path = text;
        if (text[first] && is_registry(text, first)) {
                ref->registry = cx_strndup(text, first);
                path = text + first + 1;
        } else {
                ref->registry = cx_strdup("docker.io");
        }
        if (strcmp(ref->registry, "index.docker.io") == 0) {
                free(ref->registry);
                ref->registry = cx_strdup("docker.io");
        }
        bool official = strcmp(ref->registry, "docker.io") == 0 && !strchr(path, '/');
        ref->repository = official ? cx_sprintf("library/%s", path) : cx_strdup(path);
        return valid_registry(ref->registry) && valid_repository(ref->repository) ? 0 : -EINVAL;
}

int image_ref_parse(const char *text, struct image_ref *ret_ref, struct cx_error *err)
{
        IMAGE_REF ref = IMAGE_REF_INIT;
        CX_CLEANUP(cx_freep) char *copy = cx_strdup(text);
        if (strlen(text) > 512 || parse(copy, &ref) < 0)
                return cx_error_set(err, -EINVAL, "couldn't parse image name \"%.512s\": invalid reference format",
                                    text);
        *ret_ref = ref;
        ref = (struct image_ref)IMAGE_REF_INIT;
        return 0;
}

char *image_ref_name(const struct image_ref *ref)
{
        return cx_sprintf("%s/%s", ref->registry, ref->repository);
}

char *image_ref_format(const struct image_ref *ref)
{
        if (ref->digest)
                return cx_sprintf("%s/%s@%s", ref->registry, ref->repository, ref->digest);
        return cx_sprintf("%s/%s:%s", ref->registry, ref->repository, ref->tag);
}

void image_ref_release(struct image_ref *ref)
{
        free(ref->registry);
        free(ref->repository);
        free(ref->tag);
        free(ref->digest);
        *ref = (struct image_ref)IMAGE_REF_INIT;
}
