// SPDX-License-Identifier: Apache-2.0
// Credentials from pull secrets. Pure; any thread.
#pragma once

#include <jansson.h>
#include <stdbool.h>

// Credentials for registry/repository in a list of Docker configs; owned strings, NULL when there are none.
struct docker_auth {
        char *username, *password, *identity_token;
};
bool docker_auth_find(const json_t *docker_configs, const char *registry, const char *repository,
                      struct docker_auth *ret_auth);
void docker_auth_release(struct docker_auth *auth);
// What a Secret of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg holds; a new reference or NULL.
json_t *docker_config_from_secret(const json_t *secret);
