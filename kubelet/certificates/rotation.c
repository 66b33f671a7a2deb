// SPDX-License-Identifier: Apache-2.0
#include "kubelet/certificates/rotation.h"

#include "kubelet/certificates/pair.h"
#include "libcommon/base/file_stamp.h"
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/net/pki.h"

#include <pthread.h>

#define LOOK_PERIOD (30 * CX_NS_PER_S) // the wall clock may be set
#define FIRST_RETRY (1 * CX_NS_PER_S)
#define LAST_RETRY (64 * CX_NS_PER_S)

int64_t rotation_due(int64_t not_before, int64_t not_after, int64_t share)
{
        return not_before + (not_after - not_before) * (700 + share / 5) / 1000;
}

// When to ask for another; 0: at once. ret_expired: nobody believes this one any more. Seconds since the epoch.
static int64_t due(const struct rotation_options *o, int64_t share, bool *ret_expired)
{
        CX_CLEANUP(cx_freep) char *pem = NULL, *path = pair_path(o->folder, o->name);
        int64_t begin, end, at = 0;
        *ret_expired = true;
        if (pair_read(o->folder, o->name, &pem, NULL) < 0)
                return 0;
        if (cx_pki_validity(pem, &begin, &end, NULL) == 0) {
                *ret_expired = end <= cx_time_now() / CX_US_PER_S;
                // Signers date back, some by more than a short life is long: it counts from when we got it.
                int64_t got = cx_file_stamp_of(path).modified.tv_sec;
                begin = got > begin && got < end ? got : begin;
                if (!*ret_expired && cx_pki_has_names(pem, o->want.dns_names, o->want.ip_addresses))
                        at = rotation_due(begin, end, share);
        }
        explicit_bzero(pem, strlen(pem));
        return at;
}

// An expired certificate asks for nothing: then the way that the node joined by is taken again.
static int ask(const struct rotation_options *o, bool expired, const char *key, char **ret_cert, struct cx_error *err)
{
        struct cx_rest *first = NULL;
        bool anew = expired && !o->want.server && o->bootstrap_kubeconfig;
        int r = anew ? cx_rest_from_kubeconfig(o->bootstrap_kubeconfig, NULL, &first, err) : 0;
        if (r == 0)
                r = certificate_request(anew ? first : o->rest, &o->want, key, NULL, NULL, NULL, ret_cert, err);
        cx_rest_free(first);
        return r;
}

static int rotate(const struct rotation_options *o, bool expired, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *key = NULL;
        CX_CLEANUP(cx_freep) char *cert = NULL;
        int r = cx_pki_new_key(&key, err);
        if (r == 0)
                r = ask(o, expired, key, &cert, err);
        if (r == 0)
                r = pair_write(o->folder, o->name, cert, key, err);
        if (key)
                explicit_bzero(key, strlen(key));
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *path = pair_path(o->folder, o->name);
        cx_info("A certificate was renewed", "path", path);
        if (o->made)
                o->made(o->context, path);
        return 0;
}

static void rest_for(int64_t ns)
{
        const struct timespec time = {.tv_sec = ns / CX_NS_PER_S, .tv_nsec = ns % CX_NS_PER_S};
        (void)nanosleep(&time, NULL);
}

static void *run(void *context)
{
        const struct rotation_options *o = context;
        int64_t retry = FIRST_RETRY;
        for (;;) {
                int64_t share = (int64_t)cx_random_below(1000);
                bool expired;
                int64_t at = due(o, share, &expired), now;
                while ((now = cx_time_now() / CX_US_PER_S) < at) {
                        int64_t left = (at - now) * CX_NS_PER_S;
                        rest_for(left < LOOK_PERIOD ? left : LOOK_PERIOD);
                }
                CX_ERROR err = CX_ERROR_INIT;
                (void)due(o, share, &expired);
                if (rotate(o, expired, &err) < 0) {
                        cx_err(&err, "A certificate was not renewed", "name", o->name);
                } else if (due(o, 0, &expired) > cx_time_now() / CX_US_PER_S) {
                        retry = FIRST_RETRY;
                        continue;
                } else { // or each would be asked for right after the last
                        cx_warn("The new certificate has expired or lacks a name that was asked for", "name", o->name);
                }
                rest_for(retry / 2 + (int64_t)cx_random_below((uint64_t)retry));
                retry = retry * 2 < LAST_RETRY ? retry * 2 : LAST_RETRY;
        }
        return NULL;
}

int rotation_start(const struct rotation_options *options, struct cx_error *err)
{
        struct rotation_options *own = cx_alloc(sizeof *own); // for as long as the process
        *own = *options;
        pthread_t thread;
        int r = -pthread_create(&thread, NULL, run, own);
        if (r < 0) {
                free(own);
                return cx_error_set(err, r, "cannot start a thread: %s", strerror(-r));
        }
        pthread_detach(thread);
        return 0;
}
