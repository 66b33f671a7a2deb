// SPDX-License-Identifier: Apache-2.0
// Ports of this server that lead to ports of pods, so that a page can link to what runs there. The way is the API server's
// port-forward, as the user of the session. A port lets in nobody but the address that asked for it, and closes with the
// session, with the pod, or when its user says so. What is served there has another origin than the dashboard's page.
//
// Threads: any; a port has two of its own.
#pragma once

#include "addons/dashboard/sessions.h"
#include "libcommon/net/http_server.h"

#include <jansson.h>

#define FORWARDS_MAX 64
#define FORWARDS_OF_USER_MAX 16

struct port_forwards;
struct port_forwards *port_forwards_new(const char *bind_address); // borrowed
void port_forwards_cancel(struct port_forwards *all);              // ends them, and all that come
void port_forwards_free(struct port_forwards *all);                // waits for them
CX_DEFINE_CLEANUP(struct port_forwards, port_forwards_freep, port_forwards_free)

// POST: {"namespace", "pod", "port"} opens a port, and is answered with "at", its number. The same again gives the same.
// GET: the session's open ports. DELETE with ?at=N closes one. Takes the reference to the session, and answers.
void port_forwards_serve(struct port_forwards *all, struct user_session *session_steal,
                         struct cx_http_request *request);
