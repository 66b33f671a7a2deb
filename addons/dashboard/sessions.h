// SPDX-License-Identifier: Apache-2.0
// Who has logged in. Sessions live in memory only: a server that starts again knows nobody. A session ends when it was not used
// for a while, when it is too old, or when its user says so, and with it end its streams.
//
// A session is known by two random texts, of which digests are kept: an id in a cookie, which no script can read, and a
// proof, which the page keeps and sends itself. Browsers send cookies to all ports of a host, such as to a Service that
// somebody else runs on a node port: neither of the two is of use without the other.
//
// Threads: any. A session that was got is referenced until user_session_unref.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/net/http_client.h"

#include <stdbool.h>

#define SESSIONS_MAX 256
#define SESSION_STREAMS_MAX 128
#define USER_STREAMS_MAX 256 // in all sessions of a user: half of what the server has
#define SESSION_ID_TEXT 44   // 32 random bytes in base64, terminated

struct session_key {
        char id[SESSION_ID_TEXT], proof[SESSION_ID_TEXT];
};

// What somebody logs in with: a token, or a certificate with its key.
struct login {
        char *token, *cert_pem, *key_pem; // owned; NULL: none
};
#define LOGIN CX_CLEANUP(login_release) struct login
void login_release(struct login *login); // wipes what it held

struct user_session {
        struct cx_http_client *client; // asks the API server as the user
        char *user;
        bool ended; // atomic
};

struct sessions;
struct sessions_options {
        const char *server, *ca_pem; // of the API server; ca_pem NULL: the system's authorities
        int64_t idle, lifetime;      // ns
};
struct sessions *sessions_new(const struct sessions_options *options);
void sessions_free(struct sessions *sessions);
CX_DEFINE_CLEANUP(struct sessions, sessions_freep, sessions_free)
void sessions_tend(struct sessions *sessions); // ends those whose time is over; to be called now and then
size_t sessions_count(struct sessions *sessions);

// Asks the API server who the credentials belong to, and keeps the session when it knows. When there are too many already,
// the user who has the most gives up one; TOO_MANY_REQUESTS when nobody has two.
int user_session_open(struct sessions *sessions, const struct login *login, struct session_key *ret_key,
                      struct user_session **ret_session, struct cx_error *err) CX_CHECK;
// The session of a key, whose idle time begins anew. UNAUTHORIZED when there is none.
int user_session_get(struct sessions *sessions, const struct session_key *key, struct user_session **ret_session,
                     struct cx_error *err) CX_CHECK;
// Whether there is one; it is not used by that.
bool user_session_known(struct sessions *sessions, const struct session_key *key);
void user_session_end(struct sessions *sessions, struct user_session *session);
void user_session_unref(struct user_session *session);
CX_DEFINE_CLEANUP(struct user_session, user_session_unrefp, user_session_unref)
// Seconds until the session ends if nothing is asked, and at the latest.
void user_session_times(struct sessions *sessions, const struct user_session *session, int64_t *ret_idle,
                        int64_t *ret_lifetime);

// What goes on in a session: its end ends it, too.
struct session_use {
        void (*end)(struct session_use *use); // under the lock of sessions: may call nothing of this file, nor wait
        struct session_use *next, *previous;
};
enum session_use_kind { USE_REQUEST, USE_STREAM }; // streams are counted
// False when the session or its user has too many streams, or when the session has ended.
bool user_session_use_begin(struct user_session *session, struct session_use *use, enum session_use_kind kind);
void user_session_use_end(struct user_session *session, struct session_use *use, enum session_use_kind kind);

// A stream's socket, which is shut down.
struct session_stream {
        struct session_use use;
        int fd;
};
bool user_session_stream_add(struct user_session *session, struct session_stream *stream, int fd);
void user_session_stream_remove(struct user_session *session, struct session_stream *stream);
