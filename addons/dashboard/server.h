// SPDX-License-Identifier: Apache-2.0
// What the dashboard's port serves: the page, who is logged in, and the API as the user of the session.
//
//     GET  /, /assets/...              the page
//     POST /session                    logs in (login.h); the answer sets the cookie
//     GET  /session                    who is logged in (null: nobody), and for how long
//     DELETE /session                  logs out
//     /forwards                        ports that lead to pods (forward.h); needs a session
//     POST /yaml                       YAML documents as a JSON array, for the editor; needs a session
//     /api, /apis, /openapi, /version, /readyz    passed on (pass.h); needs a session
//     GET  /healthz, /livez, /metrics
#pragma once

#include "addons/dashboard/forward.h"
#include "addons/dashboard/login.h"
#include "addons/dashboard/pass.h"
#include "libcommon/base/address.h"
#include "libcommon/base/metrics.h"

#include <pthread.h>

#define LOGINS_MAX 3            // at once: whoever logs in is nobody yet, and gets no more than a share of the workers
#define LOGINS_OF_ADDRESS_MAX 2 // so that one that is slow leaves room for another

struct dashboard {
        const struct cx_strings *hosts; // names of ours, besides localhost and addresses
        struct sessions *sessions;
        struct login_codes *codes; // NULL: no links
        struct api_passes *passes;
        struct hangups *hangups;
        struct cx_metrics *metrics;
        struct port_forwards *forwards;
        struct {
                pthread_mutex_t lock;
                char addresses[LOGINS_MAX]
                              [CX_ADDRESS_TEXT]; // where logins come from that are being looked at; "": free
        } logins;
        struct cx_metric *requests, *open_sessions;
};
void dashboard_init(struct dashboard *dashboard);                                    // its metrics
bool dashboard_handle_inline(struct cx_http_request *request, void *dashboard);      // what needs no waiting
size_t dashboard_body_limit(const struct cx_http_request *request, void *dashboard); // who has no session sends little
void dashboard_handle(struct cx_http_request *request, void *dashboard);
