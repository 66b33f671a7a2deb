// SPDX-License-Identifier: Apache-2.0
// What is written for the proxy, as text: its configuration, and its maps. Pure. The configuration is made of constants and
// numbers; of objects it holds the addresses of servers, and the lines of a profile (plan.h), which are made the same way.
// All that decides where a request goes stands in the maps, which change while the proxy runs.
#pragma once

#include "addons/ingress/plan.h"
#include "libcommon/base/buf.h"

// A backend of the proxy, which lends itself to any backend of a plan that needs its profile.
struct backend_slot {
        char name[16];
        char *profile;
        char *key;          // of the plan's backend; NULL: free
        bool tls, http2;    // of its servers
        struct cx_map live; // address -> nothing
        struct cx_map gone; // servers that get no more requests, and wait for their connections to end
};
struct slots {
        struct backend_slot **items;
        size_t count, made; // made: ever, for their names
};
struct config {
        const char *folder; // absolute; letters, digits, "/", ".", "_" and "-"
        const char *user;   // that the proxy becomes; NULL: stays
        int http_port, https_port;
        int max_connections;
        int generation; // of the configuration, to know it again
        const char *cookie_key;
        bool ipv6, auth;
};
void config_write(const struct config *config, const struct slots *slots, struct cx_buf *to);
void config_write_auth(struct cx_buf *to); // the agent that authenticates
// A server as "name address options": of a slot, by its address.
void config_write_server(const struct backend_slot *slot, const char *address, struct cx_buf *to);
// The name alone: the address without the brackets of IPv6.
void config_write_server_name(const char *address, struct cx_buf *to);

// The maps; what is in them of a plan, by key.
enum { MAP_HOSTS, MAP_EXACT, MAP_PREFIX, MAP_SETTINGS, MAP_COUNT = MAP_SETTINGS + SETTING_COUNT };
extern const char *const map_names[MAP_COUNT];
void config_maps(const struct plan *plan, const struct slots *slots, struct cx_map ret_maps[MAP_COUNT]);
bool config_is_safe(const char *text); // consists of what keys and values may consist of
