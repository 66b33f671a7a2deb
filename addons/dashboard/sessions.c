// SPDX-License-Identifier: Apache-2.0
// The table of sessions, and the streams of each.
#include "addons/dashboard/sessions.h"

#include "libcommon/api/status.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#include <pthread.h>
#include <sys/socket.h>

#define LOGIN_TIMEOUT (10 * CX_NS_PER_S)
#define TRIM_IDLE (30 * CX_NS_PER_S)

// What a session is to this file. The head is what others see.
struct kept_session {
        struct user_session session;
        char digest[65]; // of id and proof
        struct sessions *all;
        struct kept_session *next; // guarded by all->lock, as is the rest
        int64_t opened, used;
        size_t references;
        struct session_use *uses;
        size_t n_streams;
};

struct sessions {
        struct sessions_options options;
        pthread_mutex_t lock; // guards the rest
        struct kept_session *first;
        size_t count;
};

static void wipe(char **secret)
{
        if (*secret)
                explicit_bzero(*secret, strlen(*secret));
        free(*secret);
        *secret = NULL;
}

void login_release(struct login *login)
{
        wipe(&login->token);
        wipe(&login->cert_pem);
        wipe(&login->key_pem);
}

struct sessions *sessions_new(const struct sessions_options *options)
{
        struct sessions *all = cx_alloc(sizeof *all);
        all->options = *options;
        pthread_mutex_init(&all->lock, NULL);
        return all;
}

static struct kept_session *kept(const struct user_session *session)
{
        return (struct kept_session *)session;
}

static void free_session(struct kept_session *s)
{
        cx_http_client_free(s->session.client);
        free(s->session.user);
        free(s);
}

// With the lock of all sessions. Whether that was the last reference: then the caller frees it, without the lock.
static bool drop(struct kept_session *s)
{
        return --s->references == 0;
}

// With the lock: takes it off the table and ends what goes on in it.
static void take_off(struct kept_session **at)
{
        struct kept_session *s = *at;
        *at = s->next;
        s->all->count--;
        __atomic_store_n(&s->session.ended, true, __ATOMIC_RELEASE);
        for (struct session_use *use = s->uses; use; use = use->next)
                use->end(use);
}

static bool is_over(const struct kept_session *s, int64_t now)
{
        return now - s->used >= s->all->options.idle || now - s->opened >= s->all->options.lifetime;
}

void sessions_tend(struct sessions *all)
{
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&all->lock);
        for (struct kept_session **at = &all->first; *at;) {
                struct kept_session *s = *at;
                if (!is_over(s, now)) {
                        cx_http_client_trim(s->session.client, TRIM_IDLE);
                        at = &s->next;
                        continue;
                }
                take_off(at);
                if (drop(s))
                        free_session(s);
        }
        pthread_mutex_unlock(&all->lock);
}

void sessions_free(struct sessions *all)
{
        while (all->first) {
                struct kept_session *s = all->first;
                take_off(&all->first);
                free_session(s);
        }
        pthread_mutex_destroy(&all->lock);
        free(all);
}

size_t sessions_count(struct sessions *all)
{
        pthread_mutex_lock(&all->lock);
        size_t count = all->count;
        pthread_mutex_unlock(&all->lock);
        return count;
}

static void digest_of(const struct session_key *key, char to[65])
{
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s %s", key->id, key->proof);
        cx_sha256_hex(text, strlen(text), to);
}

static void make_random(char to[SESSION_ID_TEXT])
{
        unsigned char random[32];
        CX_BUF text = CX_BUF_INIT;
        cx_random_bytes(random, sizeof random);
        cx_base64url_encode(random, sizeof random, &text);
        cx_copy_string(to, SESSION_ID_TEXT, text.data);
}

static int ask_who(struct cx_http_client *client, char **ret_user, struct cx_error *err)
{
        static const char body[] = "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}";
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        const struct cx_http_call call = {.method = "POST",
                                          .path = "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                                          .body = body,
                                          .body_length = sizeof body - 1,
                                          .timeout = LOGIN_TIMEOUT,
                                          .max_reply = 1 << 20};
        int r = cx_http_do(client, &call, &reply, err);
        if (r < 0) {
                CX_ERROR why = CX_ERROR_INIT;
                cx_error_move(&why, err);
                return cx_error_reason(err, CX_REASON_UNAVAILABLE, "the API server does not answer: %s",
                                       cx_error_text(&why));
        }
        if (reply.code == 401)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED,
                                       "the API server does not accept these credentials: the token or certificate is "
                                       "wrong, has expired, or is of another cluster");
        if (reply.code >= 300)
                return cx_error_from_status(err, reply.code, reply.body.data, reply.body.length);
        json_auto_t *review = NULL;
        r = cx_json_parse(reply.body.data, reply.body.length, false, &review, err);
        if (r < 0)
                return r;
        const char *user = cx_json_string(review, "status.userInfo.username");
        if (!user || strcmp(user, "system:anonymous") == 0)
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "the API server does not know these credentials");
        *ret_user = cx_strdup(user);
        return 0;
}

static int make_client(const struct sessions *all, const struct login *login, struct cx_http_client **ret_client,
                       struct cx_error *err)
{
        const struct cx_http_client_options options = {.base_url = all->options.server,
                                                       .ca_pem = all->options.ca_pem,
                                                       .cert_pem = login->cert_pem,
                                                       .key_pem = login->key_pem,
                                                       .bearer_token = login->token,
                                                       .user_agent = "coxswain-dashboard",
                                                       .max_idle = 4};
        if (!login->token && !(login->cert_pem && login->key_pem))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "a token, or a certificate with its key, is needed");
        return cx_http_client_new(&options, ret_client, err);
}

static size_t count_of(const struct sessions *all, const char *user)
{
        size_t count = 0;
        for (const struct kept_session *s = all->first; s; s = s->next)
                count += strcmp(s->session.user, user) == 0;
        return count;
}

// With the lock: when the table is full, whoever has the most sessions gives up the one that was not used for the longest
// time. Or else any account of the cluster, such as that of a pod, could keep everybody else out. NULL: nobody has two.
static struct kept_session *make_room(struct sessions *all)
{
        struct kept_session **victim = NULL;
        size_t most = 1;
        for (struct kept_session **at = &all->first; *at; at = &(*at)->next) {
                size_t count = count_of(all, (*at)->session.user);
                if (count > most || (victim && count == most && (*at)->used < (*victim)->used)) {
                        most = count;
                        victim = at;
                }
        }
        if (!victim)
                return NULL;
        struct kept_session *s = *victim;
        take_off(victim);
        return s;
}

int user_session_open(struct sessions *all, const struct login *login, struct session_key *ret_key,
                      struct user_session **ret_session, struct cx_error *err)
{
        CX_CLEANUP(cx_http_client_freep) struct cx_http_client *client = NULL;
        CX_CLEANUP(cx_freep) char *user = NULL;
        int r = make_client(all, login, &client, err);
        if (r == 0)
                r = ask_who(client, &user, err);
        if (r < 0)
                return r;
        make_random(ret_key->id);
        make_random(ret_key->proof);
        struct kept_session *s = cx_alloc(sizeof *s);
        s->session.client = cx_steal(&client);
        s->session.user = cx_steal(&user);
        s->all = all;
        s->references = 2;
        s->opened = s->used = cx_time_monotonic();
        digest_of(ret_key, s->digest);
        sessions_tend(all);
        struct kept_session *old = NULL;
        pthread_mutex_lock(&all->lock);
        if (all->count >= SESSIONS_MAX)
                old = make_room(all);
        bool old_unused = old && drop(old), room = all->count < SESSIONS_MAX;
        if (room) {
                s->next = all->first;
                all->first = s;
                all->count++;
        }
        pthread_mutex_unlock(&all->lock);
        if (old_unused)
                free_session(old);
        if (!room) {
                free_session(s);
                return cx_error_reason(err, CX_REASON_TOO_MANY_REQUESTS,
                                       "%d sessions are open; log out of one, or wait until one has ended",
                                       SESSIONS_MAX);
        }
        *ret_session = &s->session;
        return 0;
}

// With the lock.
static struct kept_session *find(struct sessions *all, const char digest[65], int64_t now)
{
        for (struct kept_session *s = all->first; s; s = s->next)
                if (memcmp(s->digest, digest, sizeof s->digest) == 0 && !is_over(s, now))
                        return s;
        return NULL;
}

bool user_session_known(struct sessions *all, const struct session_key *key)
{
        char digest[65];
        digest_of(key, digest);
        pthread_mutex_lock(&all->lock);
        bool known = find(all, digest, cx_time_monotonic()) != NULL;
        pthread_mutex_unlock(&all->lock);
        return known;
}

int user_session_get(struct sessions *all, const struct session_key *key, struct user_session **ret_session,
                     struct cx_error *err)
{
        char digest[65];
        int64_t now = cx_time_monotonic();
        digest_of(key, digest);
        pthread_mutex_lock(&all->lock);
        struct kept_session *found = find(all, digest, now);
        if (found) {
                found->references++;
                found->used = now;
        }
        pthread_mutex_unlock(&all->lock);
        if (!found) {
                sessions_tend(all);
                return cx_error_reason(err, CX_REASON_UNAUTHORIZED, "nobody is logged in, or the session has ended");
        }
        *ret_session = &found->session;
        return 0;
}

void user_session_end(struct sessions *all, struct user_session *session)
{
        pthread_mutex_lock(&all->lock);
        for (struct kept_session **at = &all->first; *at; at = &(*at)->next)
                if (*at == kept(session)) {
                        take_off(at);
                        (void)drop(kept(session)); // the caller has another
                        break;
                }
        pthread_mutex_unlock(&all->lock);
}

void user_session_unref(struct user_session *session)
{
        struct kept_session *s = kept(session);
        pthread_mutex_lock(&s->all->lock);
        bool last = drop(s);
        pthread_mutex_unlock(&s->all->lock);
        if (last)
                free_session(s);
}

void user_session_times(struct sessions *all, const struct user_session *session, int64_t *ret_idle,
                        int64_t *ret_lifetime)
{
        int64_t now = cx_time_monotonic();
        pthread_mutex_lock(&all->lock);
        *ret_idle = (kept(session)->used + all->options.idle - now) / CX_NS_PER_S;
        *ret_lifetime = (kept(session)->opened + all->options.lifetime - now) / CX_NS_PER_S;
        pthread_mutex_unlock(&all->lock);
}

// With the lock.
static size_t streams_of(const struct sessions *all, const char *user)
{
        size_t count = 0;
        for (const struct kept_session *s = all->first; s; s = s->next)
                count += strcmp(s->session.user, user) == 0 ? s->n_streams : 0;
        return count;
}

bool user_session_use_begin(struct user_session *session, struct session_use *use, enum session_use_kind kind)
{
        struct kept_session *s = kept(session);
        pthread_mutex_lock(&s->all->lock);
        bool room = !__atomic_load_n(&session->ended, __ATOMIC_ACQUIRE);
        if (room && kind == USE_STREAM)
                room = s->n_streams < SESSION_STREAMS_MAX && streams_of(s->all, session->user) < USER_STREAMS_MAX;
        if (room) {
                s->n_streams += kind == USE_STREAM;
                use->previous = NULL;
                use->next = s->uses;
                if (use->next)
                        use->next->previous = use;
                s->uses = use;
        }
        pthread_mutex_unlock(&s->all->lock);
        return room;
}

void user_session_use_end(struct user_session *session, struct session_use *use, enum session_use_kind kind)
{
        struct kept_session *s = kept(session);
        pthread_mutex_lock(&s->all->lock);
        *(use->previous ? &use->previous->next : &s->uses) = use->next;
        if (use->next)
                use->next->previous = use->previous;
        s->n_streams -= kind == USE_STREAM;
        pthread_mutex_unlock(&s->all->lock);
}

static void end_stream(struct session_use *use)
{
        (void)shutdown(((struct session_stream *)use)->fd, SHUT_RDWR);
}

bool user_session_stream_add(struct user_session *session, struct session_stream *stream, int fd)
{
        *stream = (struct session_stream){.use.end = end_stream, .fd = fd};
        return user_session_use_begin(session, &stream->use, USE_STREAM);
}

void user_session_stream_remove(struct user_session *session, struct session_stream *stream)
{
        user_session_use_end(session, &stream->use, USE_STREAM);
}
