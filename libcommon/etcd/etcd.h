// SPDX-License-Identifier: Apache-2.0
// etcd v3 over native gRPC: HTTP/2 by nghttp2 with TLS by OpenSSL, messages by protobuf-c. One connection, many streams, one I/O
// thread; calls block with a deadline and may come from any thread.
//
// Safe retries only: reads are retried on another endpoint; a write is retried only when it certainly did not reach
// the server. -ETIMEDOUT of a write means that its outcome is unknown.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

struct cx_etcd;

struct cx_etcd_options {
        const char *const *endpoints;            // "https://127.0.0.1:2379", NULL-ended
        const char *ca_pem, *cert_pem, *key_pem; // contents
        // Or files, which are read again when a connection is made and they have changed.
        const char *ca_file, *cert_file, *key_file;
        int64_t timeout; // ns a call; 0: 10 s
};

struct cx_etcd_kv {
        char *key, *value; // owned by the kv; terminated
        size_t key_length, value_length;
        int64_t create_revision, mod_revision, lease;
};
void cx_etcd_kv_release(struct cx_etcd_kv *kv);

int cx_etcd_new(const struct cx_etcd_options *options, struct cx_etcd **ret_etcd, struct cx_error *err) CX_CHECK;
void cx_etcd_free(struct cx_etcd *etcd);
CX_DEFINE_CLEANUP(struct cx_etcd, cx_etcd_freep, cx_etcd_free)

// From now on no call lasts longer than `ns` from this moment: a process that ends does not wait for an etcd that is away.
void cx_etcd_hurry(struct cx_etcd *etcd, int64_t ns);

// Reads one key. -ENOENT (reason NOT_FOUND) when absent. ret_revision (may be NULL): the store's revision.
int cx_etcd_get(struct cx_etcd *etcd, const char *key, struct cx_etcd_kv *ret_kv, int64_t *ret_revision,
                struct cx_error *err) CX_CHECK;
// Reads keys in [key, range_end) at a revision (0: now), at most `limit` (0: all), calling `each` in order; the kv is
// moved out by setting it to zero, else released after the call. ret_more: there is more.
int cx_etcd_range(struct cx_etcd *etcd, const char *key, const char *range_end, int64_t revision, int64_t limit,
                  void (*each)(void *context, struct cx_etcd_kv *kv), void *context, int64_t *ret_revision,
                  bool *ret_more, struct cx_error *err) CX_CHECK;
// Linearizable current revision: the probe of a consistent read.
int cx_etcd_revision(struct cx_etcd *etcd, int64_t *ret_revision, struct cx_error *err) CX_CHECK;
// The same without waiting and without trying again: `done` runs on the I/O thread; result is 0 or -EHOSTUNREACH.
void cx_etcd_revision_async(struct cx_etcd *etcd, void (*done)(void *context, int result, int64_t revision),
                            void *context);

// Writes when the key's mod revision is `expected` (0: must not exist). On a mismatch: -EAGAIN, reason CONFLICT, and
// ret_current (may be NULL) is what is there (key NULL when nothing). ret_revision: the new mod revision.
int cx_etcd_put(struct cx_etcd *etcd, const char *key, const void *value, size_t length, int64_t expected,
                int64_t lease, int64_t *ret_revision, struct cx_etcd_kv *ret_current, struct cx_error *err) CX_CHECK;
// Several writes in one transaction, each under its condition: all happen, or none. They share a revision. With a
// `guarded` prefix nothing that begins with it may be newer than `newest`, either.
#define CX_ETCD_MAX_WRITES 32
struct cx_etcd_write {
        const char *key;
        const void *value;
        size_t length;
        int64_t expected, lease;
};
struct cx_etcd_transaction {
        const struct cx_etcd_write *writes;
        size_t count;
        const char *guarded; // ends with '/'; NULL: nothing is
        int64_t newest;
};
// On a mismatch ret_conflict (may be NULL) is the first write that does not hold; `count`: the guard does not.
int cx_etcd_commit(struct cx_etcd *etcd, const struct cx_etcd_transaction *transaction, int64_t *ret_revision,
                   size_t *ret_conflict, struct cx_error *err) CX_CHECK;
// Deletes under the same condition (expected must be > 0).
int cx_etcd_delete(struct cx_etcd *etcd, const char *key, int64_t expected, int64_t *ret_revision,
                   struct cx_etcd_kv *ret_current, struct cx_error *err) CX_CHECK;
int cx_etcd_lease_grant(struct cx_etcd *etcd, int64_t ttl_seconds, int64_t *ret_lease, struct cx_error *err) CX_CHECK;
int cx_etcd_compact(struct cx_etcd *etcd, int64_t revision, struct cx_error *err) CX_CHECK;

// A watch on [key, range_end) from `revision`. Callbacks run on the I/O thread, must not block and must not call back
// into the client. After on_end the watch is over; `revision` in it is where to resume, compacted says that a new
// range read is needed. It reconnects by itself when a connection drops.
struct cx_etcd_event {
        bool is_delete;
        struct cx_etcd_kv kv;   // owned by the callback's caller; for deletes only key and mod_revision
        struct cx_etcd_kv prev; // the value before, when prev_kv was asked and there was one (key NULL otherwise)
};
struct cx_etcd_watch_callbacks {
        // Each event once, also after a reconnect. All up to `revision` came; of the one after it there may be more.
        void (*on_events)(void *context, struct cx_etcd_event *events, size_t count, int64_t revision);
        void (*on_progress)(void *context, int64_t revision);
        void (*on_end)(void *context, int64_t compact_revision, const struct cx_error *err);
        void *context;
};
struct cx_etcd_watch;
int cx_etcd_watch_new(struct cx_etcd *etcd, const char *key, const char *range_end, int64_t revision, bool prev_kv,
                      const struct cx_etcd_watch_callbacks *callbacks, struct cx_etcd_watch **ret_watch,
                      struct cx_error *err) CX_CHECK;
void cx_etcd_watch_free(struct cx_etcd_watch *watch); // no callback runs after it returns; not from a callback
// Asks for an immediate progress notification on the watch (etcd >= 3.4): on_progress follows.
void cx_etcd_watch_request_progress(struct cx_etcd_watch *watch);
