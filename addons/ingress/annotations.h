// SPDX-License-Identifier: Apache-2.0
// The annotations of an Ingress in ingress-nginx' words (nginx.ingress.kubernetes.io/…), as settings of its routes. Those that
// only tune are left out with a warning when they are not supported. Any other that is not supported, or not understood,
// might be what keeps strangers out: with one of these the Ingress is refused, and its routes answer 503.
#pragma once

#include "addons/ingress/model.h"

struct network_list {
        struct cx_network *items;
        size_t count;
};
struct settings {
        bool refused;
        bool ssl_redirect, force_ssl_redirect;
        bool use_regex;
        int64_t body_size;             // bytes; 0: any
        int64_t server_timeout;        // ms; 0: the proxy's
        int64_t connect_timeout;       // s; 0: the proxy's
        int64_t rps, rpm, connections; // of a client's address; 0: any
        struct network_list allow, deny;
        char *rewrite_target; // a path, or NULL
        char *redirect;       // URL that everything is sent to, or NULL
        int redirect_code;
        char *app_root; // where "/" is sent to, or NULL
        // Stickiness by a cookie.
        bool sticky, cookie_secure;
        char *cookie_name, *same_site;
        int64_t cookie_max_age; // s; 0: as long as the browser runs
        // Basic authentication.
        char *auth_secret, *auth_realm; // "namespace/name"; NULL: none
        bool auth_map;                  // a key a user, rather than one file
        bool tls_backend, http2_backend;
};
// `problem` is called with the reason and the text of each warning.
void settings_init(struct settings *settings, const char *namespace, const struct ingress *ingress,
                   void (*problem)(void *context, const char *reason, const char *message), void *context);
void settings_release(struct settings *settings);
// The Secret with the users, "namespace/name", whatever the other settings say; NULL: none. Owned by the caller.
char *settings_auth_secret(const char *namespace, const struct ingress *ingress);
