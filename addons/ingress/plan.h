// SPDX-License-Identifier: Apache-2.0
// What the proxy is to do for a set of Ingresses and the Services, EndpointSlices and Secrets that they refer to: pure values.
// Nothing here touches the proxy.
//
// A request's host is looked up first: exact, then with its first label replaced by "*", then "*" for any host. Then its path
// below that host: exact, then the longest prefix by elements. The default backend of an Ingress is a prefix of no elements, which
// every other path comes before. Keys are encoded (grammar.h): "shop.example.com%2Fcart", and "%2F" behind each prefix.
#pragma once

#include "addons/ingress/annotations.h"
#include "libcommon/base/map.h"

struct plan_backend {
        char *key;                 // "namespace/service:port", and what else makes it one of its own
        char *profile;             // lines of configuration that it needs beside every backend's; "" for most
        bool tls, http2;           // how its servers are spoken to
        struct cx_strings servers; // "10.0.0.1:8080", sorted, each once
};
// What a route has beside its backend; the letters are the proxy's flags (config.c).
#define FLAG_SSL 's'
#define FLAG_REDIRECT 'r'
#define FLAG_ROOT 'o'
#define FLAG_DENY 'd'
#define FLAG_ALLOW 'a'
#define FLAG_LIMIT 'l'
#define FLAG_AUTH 'u'
#define FLAG_BODY 'b'
#define FLAG_TIMEOUT 't'
#define FLAG_REPLACE 'f' // the path becomes the target
#define FLAG_REWRITE 'w' // so many elements in front become the target
struct plan_route {
        const struct plan_backend *backend; // NULL: answers 503
        const struct cx_object *owner;      // its Ingress; NULL: the controller's own
        char flags[16];
        int depth; // of FLAG_REWRITE
};
// Settings of Ingresses by their id (plan_id); in each a value that was encoded or is a number.
enum setting_kind {
        SETTING_BODY,        // bytes
        SETTING_TIMEOUT,     // ms
        SETTING_RATE,        // requests in five seconds
        SETTING_MINUTE,      // requests in a minute
        SETTING_CONNECTIONS, // at once
        SETTING_ALLOW,       // "id:hexadecimal prefix" -> "1"
        SETTING_DENY,
        SETTING_REWRITE,
        SETTING_REDIRECT, // "code|URL"
        SETTING_ROOT,
        SETTING_REALM,
        SETTING_COUNT
};
struct plan_problem {
        const char *reason;
        char *message;
};
struct plan_ingress { // one of ours
        const struct cx_object *object;
        struct plan_problem *problems;
        size_t n_problems, n_routes;
};
struct plan {
        struct cx_map hosts;         // "shop.example.com", ".example.com" for "*.example.com", "*" -> nothing
        struct cx_map exact, prefix; // encoded key -> struct plan_route *
        struct cx_map settings[SETTING_COUNT];
        struct cx_map backends;     // key -> struct plan_backend *
        struct cx_map certificates; // host, as in an Ingress -> "namespace/secret"; "": the default certificate
        struct cx_map users;        // id -> "namespace/secret", with " map" behind it when it has a key a user
        struct cx_map services;     // "namespace/service" that anything refers to, there or not -> nothing
        struct plan_ingress *ingresses;
        size_t n_ingresses;
        struct cx_objects objects; // holds what the above borrows
};
#define PLAN CX_CLEANUP(plan_release) struct plan

struct plan_config {
        const char *controller_class;
        const char *default_backend; // "namespace/service"; NULL: none
};
struct plan_input {
        const struct cx_objects *ingresses, *classes, *services, *slices;
        const struct cx_map *secrets; // "namespace/name" -> struct secret_view, of those that are referred to and exist
};
struct secret_view {
        char *certificate_problem, *users_problem; // why it cannot be used as such; NULL: it can
        struct cx_strings names;                   // that the certificate is good for
};

void plan_build(const struct plan_config *config, const struct plan_input *input, struct plan *ret_plan);
void plan_release(struct plan *plan);
// Whether an Ingress is this controller's to serve.
bool ingress_is_ours(const struct plan_config *config, const struct cx_objects *classes,
                     const struct cx_object *ingress);
#define PLAN_ID 17
void plan_id(const struct cx_object *ingress, char to[PLAN_ID]);
