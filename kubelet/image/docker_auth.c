// SPDX-License-Identifier: Apache-2.0
// Docker's configurations: which of their entries is for a repository, and what it says.
#include "kubelet/image/docker_auth.h"

#include "libcommon/base/buf.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#define CONFIG_MAX ((size_t)4 << 20)

// The decoded text; NULL when it is not base64.
static char *decode(const char *text)
{
        CX_BUF data = CX_BUF_INIT_MAX(CONFIG_MAX);
        return cx_base64_decode(text, strlen(text), &data) < 0 ? NULL : cx_buf_detach(&data);
}

json_t *docker_config_from_secret(const json_t *secret)
{
        const json_t *data = json_object_get(secret, "data");
        const char *modern = json_string_value(json_object_get(data, ".dockerconfigjson"));
        const char *legacy = json_string_value(json_object_get(data, ".dockercfg"));
        CX_CLEANUP(cx_freep) char *text = modern ? decode(modern) : legacy ? decode(legacy) : NULL;
        json_t *config = NULL;
        if (!text || cx_json_parse(text, strlen(text), false, &config, NULL) < 0)
                return NULL;
        return modern ? config : json_pack("{s:o}", "auths", config);
}

// "https://index.docker.io/v1/" and "docker.io" are the same place; "host/path" covers what lies below it.
static bool auth_covers(const char *key, const char *registry, const char *repository)
{
        const char *scheme = strstr(key, "://");
        if (scheme)
                key = scheme + 3;
        size_t n = strcspn(key, "/");
        bool hub = strcmp(registry, "docker.io") == 0 && ((n == 15 && memcmp(key, "index.docker.io", n) == 0) ||
                                                          (n == 20 && memcmp(key, "registry-1.docker.io", n) == 0));
        if (!hub && (strlen(registry) != n || memcmp(key, registry, n) != 0))
                return false;
        const char *path = key + n + (key[n] == '/');
        size_t length = strlen(path);
        while (length && path[length - 1] == '/')
                length--;
        if (!length || (length == 2 && path[0] == 'v' && (path[1] == '1' || path[1] == '2')))
                return true;
        return strncmp(repository, path, length) == 0 && (repository[length] == '/' || !repository[length]);
}

bool docker_auth_find(const json_t *docker_configs, const char *registry, const char *repository,
                      struct docker_auth *ret_auth)
{
        size_t i, best = 0;
        json_t *config, *entry, *found = NULL;
        const char *key;
        json_array_foreach ((json_t *)docker_configs, i, config) {
                json_object_foreach (json_object_get(config, "auths"), key, entry) {
                        if (strlen(key) + 1 > best && auth_covers(key, registry, repository)) {
                                best = strlen(key) + 1;
                                found = entry;
                        }
                }
        }
        if (!found)
                return false;
        const char *auth = json_string_value(json_object_get(found, "auth"));
        CX_CLEANUP(cx_freep) char *pair = auth && *auth ? decode(auth) : NULL;
        char *colon = pair ? strchr(pair, ':') : NULL;
        if (colon) {
                ret_auth->username = cx_strndup(pair, (size_t)(colon - pair));
                ret_auth->password = cx_strdup(colon + 1);
        } else {
                ret_auth->username = cx_strdup(json_string_value(json_object_get(found, "username")));
                ret_auth->password = cx_strdup(json_string_value(json_object_get(found, "password")));
        }
        ret_auth->identity_token = cx_strdup(json_string_value(json_object_get(found, "identitytoken")));
        return ret_auth->username || ret_auth->identity_token;
}

void docker_auth_release(struct docker_auth *auth)
{
        free(auth->username);
        free(auth->password);
        free(auth->identity_token);
        *auth = (struct docker_auth){0};
}
