// SPDX-License-Identifier: Apache-2.0
// Requests that go on to the API server as the user of the session.
//
// Plain ones are asked by a thread each; the answer comes back block by block through a bounded buffer. A WebSocket is one
// of two things: for exec, attach and port-forward the two connections are joined, whatever they say; for anything else
// (watches, logs) the answer's code comes as a first message of text, then its body in binary messages. Browsers open few
// plain connections to a server at once, but any number of WebSockets; and nothing is kept of a stream but what TCP holds.
#pragma once

#include "addons/dashboard/hangups.h"
#include "addons/dashboard/sessions.h"
#include "libcommon/net/http_server.h"

#define PASSES_MAX 128
#define PASSES_OF_USER_MAX 48

struct api_passes; // those that are on their way
struct api_passes *passes_new(void);
void passes_cancel(struct api_passes *passes); // ends them, and all that come
void passes_free(struct api_passes *passes);   // waits for them
CX_DEFINE_CLEANUP(struct api_passes, passes_freep, passes_free)

// Both take the reference to the session and answer the request. `path` is encoded.
void pass_plain(struct api_passes *passes, struct user_session *session_steal, struct cx_http_request *request,
                const char *path);
void pass_stream(struct hangups *hangups, struct user_session *session_steal, struct cx_http_request *request,
                 const char *path);
