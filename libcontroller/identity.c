// SPDX-License-Identifier: Apache-2.0
// Tokens of service accounts, asked for with TokenRequest and kept until shortly before they end.
#include "libcontroller/identity.h"

#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <pthread.h>

#define NAMESPACE "kube-system"
#define LIFETIME 3600 // seconds that are asked for
#define RETRY (10 * CX_NS_PER_S)

struct identity {
        struct identity *next;
        struct identities *set;
        char *account;
        struct cx_rest *rest;
        pthread_mutex_t lock; // guards what follows
        char *token;
        int64_t refresh, expires; // monotonic
};
struct identities {
        struct cx_rest *root, *anonymous;
        struct identity *first;
};

int identities_new(const struct cx_component *component, struct identities **ret_self, struct cx_error *err)
{
        struct identities *self = cx_alloc(sizeof *self);
        self->root = component->rest;
        int r = cx_component_anonymous(component, &self->anonymous, err);
        if (r < 0)
                free(self);
        else
                *ret_self = self;
        return r;
}

static void forget(struct identity *identity)
{
        if (identity->token)
                explicit_bzero(identity->token, strlen(identity->token));
        free(identity->token);
        identity->token = NULL;
}

static int make_account(const struct identity *identity, struct cx_error *err)
{
        json_auto_t *account = json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "v1", "kind", "ServiceAccount",
                                         "metadata", "name", identity->account, "namespace", NAMESPACE);
        int r = cx_rest_create(identity->set->root, CX_REF("", "v1", "serviceaccounts", NAMESPACE), account, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_ALREADY_EXISTS)) {
                cx_error_release(err);
                r = 0;
        }
        return r;
}

static int ask(const struct identity *identity, json_t **ret_answer, struct cx_error *err)
{
        json_auto_t *request = json_pack("{s:s, s:s, s:{s:i}}", "apiVersion", "authentication.k8s.io/v1", "kind",
                                         "TokenRequest", "spec", "expirationSeconds", LIFETIME);
        const struct cx_ref *ref = CX_REF("", "v1", "serviceaccounts", NAMESPACE, identity->account);
        int r = cx_rest_create_sub(identity->set->root, ref, "token", request, ret_answer, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                r = make_account(identity, err);
                if (r == 0)
                        r = cx_rest_create_sub(identity->set->root, ref, "token", request, ret_answer, err);
        }
        return r;
}

// Gets a token, with the lock. The server says how long it holds, which may be less than was asked for.
static int renew(struct identity *identity, struct cx_error *err)
{
        json_auto_t *answer = NULL;
        int r = ask(identity, &answer, err);
        if (r < 0)
                return r;
        const char *token = cx_json_string(answer, "status.token");
        if (!token || !*token)
                return cx_error_set(err, -EPROTO, "the server gave no token for %s", identity->account);
        const char *until = cx_json_string_or(answer, "status.expirationTimestamp", "");
        int64_t end, lifetime = LIFETIME * CX_NS_PER_S;
        if (cx_time_parse(until, &end) == 0)
                lifetime = (end - cx_time_now()) * 1000;
        forget(identity);
        identity->token = cx_strdup(token);
        identity->expires = cx_time_monotonic() + lifetime;
        identity->refresh = identity->expires - lifetime / 5;
        cx_debug(2, "Got a token", "account", identity->account);
        return 0;
}

static int get_token(void *context, char **ret_token, struct cx_error *err)
{
        struct identity *identity = context;
        pthread_mutex_lock(&identity->lock);
        int64_t now = cx_time_monotonic();
        int r = 0;
        if (!identity->token || now >= identity->refresh) {
                r = renew(identity, err);
                if (r < 0 && identity->token && now < identity->expires) { // the old one will do for now
                        cx_warn("Cannot renew a token, will try again", "account", identity->account, "err",
                                cx_error_text(err));
                        cx_error_release(err);
                        identity->refresh = now + RETRY;
                        r = 0;
                }
        }
        if (r == 0)
                *ret_token = cx_strdup(identity->token);
        pthread_mutex_unlock(&identity->lock);
        return r < 0 ? cx_error_wrap(err, "no token for service account %s", identity->account) : 0;
}

static void refused(void *context, const char *token)
{
        struct identity *identity = context;
        pthread_mutex_lock(&identity->lock);
        if (cx_streq(identity->token, token))
                forget(identity);
        pthread_mutex_unlock(&identity->lock);
}

struct cx_rest *identities_rest(struct identities *self, const char *account)
{
        for (struct identity *identity = self->first; identity; identity = identity->next)
                if (strcmp(identity->account, account) == 0)
                        return identity->rest;
        struct identity *identity = cx_alloc(sizeof *identity);
        identity->set = self;
        identity->account = cx_strdup(account);
        pthread_mutex_init(&identity->lock, NULL);
        identity->rest = cx_rest_derive(self->anonymous, &(struct cx_rest_identity){get_token, refused, identity});
        identity->next = self->first;
        self->first = identity;
        return identity->rest;
}

void identities_trim(struct identities *self)
{
        cx_rest_trim(self->anonymous);
}

void identities_free(struct identities *self)
{
        if (!self)
                return;
        while (self->first) {
                struct identity *identity = self->first;
                self->first = identity->next;
                forget(identity);
                cx_rest_free(identity->rest);
                pthread_mutex_destroy(&identity->lock);
                free(identity->account);
                free(identity);
        }
        cx_rest_free(self->anonymous);
        free(self);
}
