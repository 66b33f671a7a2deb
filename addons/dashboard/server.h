// SPDX-License-Identifier: Apache-2.0
// What the dashboard's port serves: the page, who is logged in, and the API as the user of the session.
//
//     GET  /, /assets/...              the page
//     POST /session                    logs in (login.h); the answer sets the cookie
//     GET  /session                    who is logged in (null: nobody), and for how long
//     DELETE /session                  logs out
//     POST /yaml                       YAML documents as a JSON array, for the editor; needs a session
//     /api, /apis, /openapi, /version, /readyz    passed on (pass.h); needs a session
//     GET  /healthz, /livez, /metrics
#pragma once

#include "addons/dashboard/login.h"
#include "addons/dashboard/pass.h"
#include "libcommon/base/metrics.h"

#include <stdatomic.h>

struct dashboard {
        const struct cx_strings *hosts; // names of ours, besides localhost and addresses
        struct sessions *sessions;
        struct login_codes *codes; // NULL: no links
        struct api_passes *passes;
        struct hangups *hangups;
        struct cx_metrics *metrics;
        atomic_int logins; // that are being looked at
        struct cx_metric *requests, *open_sessions;
};
void dashboard_init(struct dashboard *dashboard);                                    // its metrics
bool dashboard_handle_inline(struct cx_http_request *request, void *dashboard);      // what needs no waiting
size_t dashboard_body_limit(const struct cx_http_request *request, void *dashboard); // who has no session sends little
void dashboard_handle(struct cx_http_request *request, void *dashboard);
