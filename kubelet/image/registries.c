// SPDX-License-Identifier: Apache-2.0
// registries.yaml: parsed once, and asked for the endpoints of each image.
#include "kubelet/image/registries.h"

#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#include <assert.h>
#include <regex.h>

struct registries {
        json_t *config;
};

int registries_parse(const char *text, size_t length, struct registries **ret_registries, struct cx_error *err)
{
        json_auto_t *documents = NULL;
        int r = cx_yaml_parse(text, length, &documents, err);
        if (r < 0)
                return cx_error_wrap(err, "registries.yaml");
        json_t *first = json_array_get(documents, 0);
        if (first && !json_is_object(first))
                return cx_error_set(err, -EINVAL, "registries.yaml: must be a map");
        struct registries *registries = cx_alloc(sizeof *registries);
        registries->config = first ? json_incref(first) : json_object();
        *ret_registries = registries;
        return 0;
}

int registries_load(const char *path, struct registries **ret_registries, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        if (path && *path) {
                int r = cx_buf_read_file(&text, path);
                if (r < 0 && r != -ENOENT)
                        return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        }
        return registries_parse(text.data, text.length, ret_registries, err);
}

void registries_free(struct registries *registries)
{
        if (!registries)
                return;
        json_decref(registries->config);
        free(registries);
}

static void endpoint_release(struct registry_endpoint *e)
{
        char *owned[] = {e->base,           e->host,   e->repository, e->username, e->password,
                         e->identity_token, e->ca_pem, e->cert_pem,   e->key_pem};
        for (size_t i = 0; i < CX_ARRAY_SIZE(owned); i++)
                free(owned[i]);
}

void registry_endpoints_release(struct registry_endpoints *list)
{
        for (size_t i = 0; i < list->count; i++)
                endpoint_release(&list->items[i]);
        free(list->items);
        *list = (struct registry_endpoints){0};
}

// One sed-like replacement: $1 to $9 (and ${1}) in `to` stand for groups. NULL when the pattern does not match.
static char *rewrite_one(const char *pattern, const char *to, const char *text)
{
        regex_t regex;
        regmatch_t match[10];
        if (regcomp(&regex, pattern, REG_EXTENDED) != 0)
                return NULL;
        int r = regexec(&regex, text, 10, match, 0);
        regfree(&regex);
        if (r != 0)
                return NULL;
        CX_BUF out = CX_BUF_INIT_MAX(4096);
        cx_buf_append(&out, text, (size_t)match[0].rm_so);
        for (const char *p = to; *p; p++) {
                bool brace = p[0] == '$' && p[1] == '{';
                const char *digit = p + (brace ? 2 : 1);
                if (*p != '$' || *digit < '0' || *digit > '9' || (brace && digit[1] != '}')) {
                        cx_buf_add_char(&out, *p);
                        continue;
                }
                const regmatch_t *m = &match[*digit - '0'];
                if (m->rm_so >= 0)
                        cx_buf_append(&out, text + m->rm_so, (size_t)(m->rm_eo - m->rm_so));
                p = digit + (brace ? 1 : 0);
        }
        cx_buf_add(&out, text + match[0].rm_eo);
        return cx_buf_detach(&out);
}

static char *rewrite(const json_t *rules, const char *repository)
{
        const char *pattern;
        json_t *to;
        json_object_foreach ((json_t *)rules, pattern, to) {
                char *done = json_is_string(to) ? rewrite_one(pattern, json_string_value(to), repository) : NULL;
                if (done)
                        return done;
        }
        return cx_strdup(repository);
}

static int read_pem(const json_t *tls, const char *key, char **ret_pem, struct cx_error *err)
{
        const char *path = json_string_value(json_object_get(tls, key));
        if (!path || !*path)
                return 0;
        CX_BUF data = CX_BUF_INIT_MAX(1 << 20);
        int r = cx_buf_read_file(&data, path);
        if (r < 0)
                return cx_error_set(err, r, "registries.yaml: %s %s: %s", key, path, strerror(-r));
        *ret_pem = cx_buf_detach(&data);
        return 0;
}

static char *dup_member(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text && *text ? cx_strdup(text) : NULL;
}

static bool is_loopback(const char *host)
{
        return cx_has_prefix(host, "127.") || cx_has_prefix(host, "localhost") || cx_has_prefix(host, "[::1]");
}

// Adds host "h" (whose base URL is given or made) with what `configs` says about it.
static int add_endpoint(const struct registries *registries, const char *url, const char *repository,
                        struct registry_endpoints *list, struct registry_endpoint **ret_endpoint, struct cx_error *err)
{
        const char *scheme = strstr(url, "://");
        const char *host = scheme ? scheme + 3 : url;
        size_t length = strcspn(host, "/");
        if (!length || (scheme && !cx_has_prefix(url, "http://") && !cx_has_prefix(url, "https://")))
                return cx_error_set(err, -EINVAL, "registries.yaml: \"%s\" is not an endpoint", url);
        list->items = cx_realloc_array(list->items, list->count + 1, sizeof *list->items);
        struct registry_endpoint *e = &list->items[list->count++];
        *e = (struct registry_endpoint){0};
        e->host = cx_strndup(host, length);
        const json_t *configs = json_object_get(registries->config, "configs");
        const json_t *config = json_object_get(configs, e->host);
        const json_t *tls = json_object_get(config, "tls"), *auth = json_object_get(config, "auth");
        const char *path = host + length;
        while (*path == '/' && !path[1])
                path++;
        const char *prefix = scheme ? "" : is_loopback(e->host) && !tls ? "http://" : "https://";
        CX_CLEANUP(cx_freep) char *head = cx_strndup(url, (size_t)(path - url));
        while (*head && head[strlen(head) - 1] == '/')
                head[strlen(head) - 1] = '\0';
        e->base = cx_sprintf("%s%s%s", prefix, head, *path ? path : "/v2");
        while (e->base[strlen(e->base) - 1] == '/')
                e->base[strlen(e->base) - 1] = '\0';
        e->repository = cx_strdup(repository);
        e->username = dup_member(auth, "username");
        e->password = dup_member(auth, "password");
        e->identity_token = dup_member(auth, "identity_token");
        e->insecure = json_is_true(json_object_get(tls, "insecure_skip_verify"));
        int r = read_pem(tls, "ca_file", &e->ca_pem, err);
        if (r == 0)
                r = read_pem(tls, "cert_file", &e->cert_pem, err);
        if (r == 0)
                r = read_pem(tls, "key_file", &e->key_pem, err);
        *ret_endpoint = e;
        return r;
}

// Whether an endpoint of the configuration is the registry itself, of which it says how to reach it.
static bool is_itself(const struct registry_endpoint *e, const char *host)
{
        return strcmp(e->host, host) == 0 && cx_streq(strstr(e->base, "://") + 3 + strlen(host), "/v2");
}

int registries_endpoints(const struct registries *registries, const char *registry, const char *repository,
                         struct registry_endpoints *ret_list, struct cx_error *err)
{
        const json_t *mirrors = json_object_get(registries->config, "mirrors");
        const json_t *mirror = json_object_get(mirrors, registry);
        if (!mirror)
                mirror = json_object_get(mirrors, "*");
        const char *self = strcmp(registry, "docker.io") == 0 ? "registry-1.docker.io" : registry;
        CX_CLEANUP(cx_freep) char *rewritten = rewrite(json_object_get(mirror, "rewrite"), repository);
        REGISTRY_ENDPOINTS list = {0};
        bool named = false;
        size_t i;
        json_t *url;
        json_array_foreach (json_object_get(mirror, "endpoint"), i, url) {
                struct registry_endpoint *e = NULL;
                int r = json_is_string(url)
                                ? add_endpoint(registries, json_string_value(url), rewritten, &list, &e, err)
                                : cx_error_set(err, -EINVAL, "registries.yaml: endpoint must be a list of strings");
                if (r < 0)
                        return r;
                assert(e);
                e->mirror = !is_itself(e, self);
                named = named || !e->mirror;
        }
        struct registry_endpoint *last = NULL;
        int r = named ? 0 : add_endpoint(registries, self, repository, &list, &last, err);
        if (r < 0)
                return r;
        // Credentials for Docker Hub may be kept under its short name.
        const json_t *auth =
                cx_json_get(json_object_get(json_object_get(registries->config, "configs"), registry), "auth");
        if (last && !last->username && auth) {
                last->username = dup_member(auth, "username");
                last->password = dup_member(auth, "password");
        }
        *ret_list = list;
        list = (struct registry_endpoints){0};
        return 0;
}
