// SPDX-License-Identifier: Apache-2.0
// Decides who gets in where basic authentication is asked for: the proxy hands over the route's id and the Authorization header,
// over a Unix socket that nobody else reaches. Passwords cost time to check, so that is not done in the proxy; what was right
// once is known by a keyed digest until the users change. While no agent answers, nobody gets in.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/map.h"

struct auth_agent;
int auth_agent_new(const char *socket, struct auth_agent **ret_agent, struct cx_error *err) CX_CHECK;
// id -> lines of users (htpasswd.h); "" lets nobody in. Copied. Any thread.
void auth_agent_set(struct auth_agent *agent, const struct cx_map *users);
// Whether the header lets its sender in. Any thread.
bool auth_agent_accepts(struct auth_agent *agent, const char *id, const char *authorization);
void auth_agent_free(struct auth_agent *agent); // closes its connections
