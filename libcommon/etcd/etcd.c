// SPDX-License-Identifier: Apache-2.0
// etcd's KV, Watch, Lease and Maintenance services over gRPC (etcd API reference v3): requests packed with protobuf-c,
// repeated where that is safe, and a watch that goes on where it was interrupted.
#include "libcommon/etcd/etcd.h"

#include "etcd/rpc.pb-c.h"
#include "libcommon/base/log.h"
#include "libcommon/base/time.h"
#include "libcommon/net/grpc.h"

#include <assert.h>
#include <stdatomic.h>
#include <time.h>

#define MAX_MESSAGE ((size_t)512 << 20) // a page of a list, at the utmost

#define RETRY_DELAY (50 * CX_NS_PER_MS)

struct cx_etcd {
        struct cx_grpc *grpc;
        int64_t timeout;
        atomic_long limit; // monotonic ns; 0: none
};

void cx_etcd_kv_release(struct cx_etcd_kv *kv)
{
        free(kv->key);
        free(kv->value);
        *kv = (struct cx_etcd_kv){0};
}

int cx_etcd_new(const struct cx_etcd_options *options, struct cx_etcd **ret_etcd, struct cx_error *err)
{
        // A member that has lost its cluster ends a stream instead of being silent.
        static const char *const stream_headers[][2] = {{"hasleader", "true"}};
        for (const char *const *p = options->endpoints; *p; p++)
                if (!cx_has_prefix(*p, "https://"))
                        return cx_error_set(err, -EINVAL, "etcd endpoint \"%s\" must start with https://", *p);
        struct cx_etcd *etcd = cx_alloc(sizeof *etcd);
        etcd->timeout = options->timeout ? options->timeout : 10 * CX_NS_PER_S;
        const struct cx_grpc_options grpc = {.peer = "etcd",
                                             .endpoints = options->endpoints,
                                             .dial = {.ca_pem = options->ca_pem,
                                                      .cert_pem = options->cert_pem,
                                                      .key_pem = options->key_pem,
                                                      .ca_file = options->ca_file,
                                                      .cert_file = options->cert_file,
                                                      .key_file = options->key_file,
                                                      .default_port = "2379"},
                                             .stream_headers = stream_headers,
                                             .n_stream_headers = CX_ARRAY_SIZE(stream_headers),
                                             .max_message = MAX_MESSAGE};
        int r = cx_grpc_new(&grpc, &etcd->grpc, err);
        if (r < 0) {
                free(etcd);
                return r;
        }
        *ret_etcd = etcd;
        return 0;
}

void cx_etcd_free(struct cx_etcd *etcd)
{
        if (!etcd)
                return;
        cx_grpc_free(etcd->grpc);
        free(etcd);
}

void cx_etcd_hurry(struct cx_etcd *etcd, int64_t ns)
{
        int64_t limit = cx_time_monotonic() + ns;
        atomic_store(&etcd->limit, limit);
        cx_grpc_limit(etcd->grpc, limit);
}

// --- calls ---

static int fail(const struct cx_grpc_result *result, struct cx_error *err)
{
        const char *text = cx_str(result->text);
        switch (result->status) {
        case CX_GRPC_OUT_OF_RANGE:
                return cx_error_reason(err, CX_REASON_EXPIRED, "etcd: %s", text);
        case CX_GRPC_DEADLINE:
                return cx_error_reason(err, CX_REASON_TIMEOUT, "etcd: %s", text);
        case CX_GRPC_EXHAUSTED:
        case CX_GRPC_INVALID_ARGUMENT:
                if (strstr(text, "too large") || strstr(text, "larger than max"))
                        return cx_error_reason(err, CX_REASON_TOO_LARGE, "etcd: %s", text);
                return cx_error_reason(err, CX_REASON_INTERNAL, "etcd: %s", text);
        case CX_GRPC_UNAVAILABLE:
        case -1:
                if (result->unsent || result->status == CX_GRPC_UNAVAILABLE)
                        return cx_error_reason(err, CX_REASON_UNAVAILABLE, "etcd: %s", text);
                return cx_error_reason(err, CX_REASON_TIMEOUT, "etcd: %s", text);
        default:
                return cx_error_reason(err, CX_REASON_INTERNAL, "etcd: %s", text);
        }
}

static void pause_ns(int64_t ns)
{
        struct timespec time = {.tv_sec = ns / CX_NS_PER_S, .tv_nsec = ns % CX_NS_PER_S};
        nanosleep(&time, NULL);
}

// Sends `request` and unpacks the answer as `type`. Reads are tried again until the deadline, writes only when they
// certainly reached no server.
static int call(struct cx_etcd *etcd, const char *method, const ProtobufCMessage *request, bool is_read,
                const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_reply, struct cx_error *err)
{
        size_t length = protobuf_c_message_get_packed_size(request);
        CX_CLEANUP(cx_freep) uint8_t *bytes = cx_alloc(length + 1);
        protobuf_c_message_pack(request, bytes);
        int64_t deadline = cx_time_monotonic() + etcd->timeout;
        for (;;) {
                struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
                int64_t left = deadline - cx_time_monotonic();
                cx_grpc_unary(etcd->grpc, method, bytes, length, left > CX_NS_PER_MS ? left : CX_NS_PER_MS, &result);
                if (result.status == CX_GRPC_OK) {
                        *ret_reply = protobuf_c_message_unpack(type, NULL, result.message.length,
                                                               (const uint8_t *)result.message.data);
                        cx_grpc_result_release(&result);
                        return *ret_reply ? 0
                                          : cx_error_reason(err, CX_REASON_INTERNAL, "etcd: the answer is malformed");
                }
                bool again = result.status == -1 || result.status == CX_GRPC_UNAVAILABLE;
                int64_t next = cx_time_monotonic() + RETRY_DELAY, limit = atomic_load(&etcd->limit);
                again = again && (is_read || result.unsent) && next < deadline && (!limit || next < limit);
                int code = again ? 0 : fail(&result, err);
                cx_grpc_result_release(&result);
                if (!again)
                        return code;
                pause_ns(RETRY_DELAY);
        }
}

static ProtobufCBinaryData bytes_of(const char *text)
{
        return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = text ? strlen(text) : 0};
}

static char *copy_bytes(const ProtobufCBinaryData *from)
{
        char *to = cx_alloc(from->len + 1);
        if (from->len)
                memcpy(to, from->data, from->len);
        return to;
}

static void fill_kv(struct cx_etcd_kv *to, const Etcdserverpb__KeyValue *from)
{
        *to = (struct cx_etcd_kv){
                .key = copy_bytes(&from->key),
                .key_length = from->key.len,
                .value = copy_bytes(&from->value),
                .value_length = from->value.len,
                .create_revision = from->create_revision,
                .mod_revision = from->mod_revision,
                .lease = from->lease,
        };
}

static int do_range(struct cx_etcd *etcd, Etcdserverpb__RangeRequest *request, Etcdserverpb__RangeResponse **ret_reply,
                    struct cx_error *err)
{
        return call(etcd, "/etcdserverpb.KV/Range", &request->base, true, &etcdserverpb__range_response__descriptor,
                    (ProtobufCMessage **)ret_reply, err);
}

int cx_etcd_get(struct cx_etcd *etcd, const char *key, struct cx_etcd_kv *ret_kv, int64_t *ret_revision,
                struct cx_error *err)
{
        Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
        Etcdserverpb__RangeResponse *reply = NULL;
        request.key = bytes_of(key);
        int r = do_range(etcd, &request, &reply, err);
        if (r < 0)
                return r;
        if (ret_revision && reply->header)
                *ret_revision = reply->header->revision;
        if (reply->n_kvs)
                fill_kv(ret_kv, reply->kvs[0]);
        else
                r = cx_error_reason(err, CX_REASON_NOT_FOUND, "key %s not found", key);
        etcdserverpb__range_response__free_unpacked(reply, NULL);
        return r;
}

int cx_etcd_range(struct cx_etcd *etcd, const char *key, const char *range_end, int64_t revision, int64_t limit,
                  void (*each)(void *context, struct cx_etcd_kv *kv), void *context, int64_t *ret_revision,
                  bool *ret_more, struct cx_error *err)
{
        Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
        Etcdserverpb__RangeResponse *reply = NULL;
        request.key = bytes_of(key);
        request.range_end = bytes_of(range_end);
        request.revision = revision;
        request.limit = limit;
        int r = do_range(etcd, &request, &reply, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < reply->n_kvs; i++) {
                struct cx_etcd_kv kv;
                fill_kv(&kv, reply->kvs[i]);
                each(context, &kv);
                cx_etcd_kv_release(&kv);
        }
        if (ret_revision)
                *ret_revision = reply->header ? reply->header->revision : 0;
        if (ret_more)
                *ret_more = reply->more;
        etcdserverpb__range_response__free_unpacked(reply, NULL);
        return 0;
}

int cx_etcd_revision(struct cx_etcd *etcd, int64_t *ret_revision, struct cx_error *err)
{
        Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
        Etcdserverpb__RangeResponse *reply = NULL;
        request.key = bytes_of("/");
        request.count_only = true;
        int r = do_range(etcd, &request, &reply, err);
        if (r < 0)
                return r;
        *ret_revision = reply->header ? reply->header->revision : 0;
        etcdserverpb__range_response__free_unpacked(reply, NULL);
        return 0;
}

struct probe {
        void (*done)(void *context, int result, int64_t revision);
        void *context;
};

static void on_revision(void *context, struct cx_grpc_result *result)
{
        CX_CLEANUP(cx_freep) struct probe *probe = context;
        Etcdserverpb__RangeResponse *reply = NULL;
        int64_t revision = 0;
        if (result->status == CX_GRPC_OK)
                reply = etcdserverpb__range_response__unpack(NULL, result->message.length,
                                                             (const uint8_t *)result->message.data);
        if (reply && reply->header)
                revision = reply->header->revision;
        if (reply)
                etcdserverpb__range_response__free_unpacked(reply, NULL);
        probe->done(probe->context, revision > 0 ? 0 : -EHOSTUNREACH, revision);
}

void cx_etcd_revision_async(struct cx_etcd *etcd, void (*done)(void *context, int result, int64_t revision),
                            void *context)
{
        Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
        request.key = bytes_of("/");
        request.count_only = true;
        uint8_t bytes[64];
        size_t length = etcdserverpb__range_request__pack(&request, bytes); // a key of one byte and a flag
        struct probe *probe = cx_alloc(sizeof *probe);
        *probe = (struct probe){.done = done, .context = context};
        cx_grpc_call(etcd->grpc, "/etcdserverpb.KV/Range", bytes, length, etcd->timeout, on_revision, probe);
}

// What happens to a key when its mod revision is `expected`.
struct conditional {
        const char *key;
        int64_t expected;
        Etcdserverpb__RequestOp op;
};

// What became of it: the new revision; or the first that does not hold (as many as there are: the guard), and what is
// there instead (key NULL: nothing).
struct committed {
        int64_t revision;
        size_t conflict;
        struct cx_etcd_kv current;
};
// Nothing in [key, end) may be newer.
struct guard {
        const char *key, *end;
        int64_t newest;
};

// The first key that is not at its expected revision, by what was read when the transaction failed.
static void find_mismatch(const Etcdserverpb__TxnResponse *reply, const struct conditional *all, size_t count,
                          struct committed *ret_committed)
{
        ret_committed->conflict = count;
        for (size_t i = 0; i < count && i < reply->n_responses; i++) {
                const Etcdserverpb__ResponseOp *response = reply->responses[i];
                if (response->response_case != ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE)
                        continue;
                const Etcdserverpb__RangeResponse *range = response->response_range;
                const Etcdserverpb__KeyValue *found = range->n_kvs ? range->kvs[0] : NULL;
                if ((found ? found->mod_revision : 0) == all[i].expected)
                        continue;
                ret_committed->conflict = i;
                if (found)
                        fill_kv(&ret_committed->current, found);
                return;
        }
}

static void compare_mod(Etcdserverpb__Compare *compare, const char *key, int64_t revision)
{
        etcdserverpb__compare__init(compare);
        compare->result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__EQUAL;
        compare->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
        compare->key = bytes_of(key);
        compare->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
        compare->mod_revision = revision;
}

// All of them when all keys are as expected; else reads what is there.
static int conditional(struct cx_etcd *etcd, struct conditional *all, size_t count, const struct guard *guard,
                       struct committed *ret_committed, struct cx_error *err)
{
        Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
        Etcdserverpb__TxnResponse *reply = NULL;
        struct {
                Etcdserverpb__Compare compare;
                Etcdserverpb__RequestOp read;
                Etcdserverpb__RangeRequest range;
        } parts[CX_ETCD_MAX_WRITES];
        Etcdserverpb__Compare guarded, *compares[CX_ETCD_MAX_WRITES + 1];
        Etcdserverpb__RequestOp *ops[CX_ETCD_MAX_WRITES], *reads[CX_ETCD_MAX_WRITES];
        assert(count <= CX_ETCD_MAX_WRITES);
        for (size_t i = 0; i < count; i++) {
                compare_mod(compares[i] = &parts[i].compare, all[i].key, all[i].expected);
                etcdserverpb__request_op__init(reads[i] = &parts[i].read);
                etcdserverpb__range_request__init(&parts[i].range);
                parts[i].range.key = bytes_of(all[i].key);
                reads[i]->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
                reads[i]->request_range = &parts[i].range;
                ops[i] = &all[i].op;
        }
        txn.n_compare = txn.n_success = txn.n_failure = count;
        if (guard) {
                compare_mod(compares[txn.n_compare++] = &guarded, guard->key, guard->newest + 1);
                guarded.result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__LESS;
                guarded.range_end = bytes_of(guard->end);
        }
        txn.compare = compares;
        txn.success = ops;
        txn.failure = reads;
        int r = call(etcd, "/etcdserverpb.KV/Txn", &txn.base, false, &etcdserverpb__txn_response__descriptor,
                     (ProtobufCMessage **)&reply, err);
        if (r < 0)
                return r;
        if (reply->succeeded) {
                ret_committed->revision = reply->header ? reply->header->revision : 0;
        } else {
                find_mismatch(reply, all, count, ret_committed);
                r = cx_error_reason(err, CX_REASON_CONFLICT, "key %s was changed by someone else",
                                    ret_committed->conflict < count ? all[ret_committed->conflict].key
                                    : guard                         ? guard->key
                                                                    : "");
        }
        etcdserverpb__txn_response__free_unpacked(reply, NULL);
        return r;
}

static struct conditional put_of(const struct cx_etcd_write *write, Etcdserverpb__PutRequest *put)
{
        struct conditional one = {write->key, write->expected, ETCDSERVERPB__REQUEST_OP__INIT};
        etcdserverpb__put_request__init(put);
        put->key = bytes_of(write->key);
        put->value = (ProtobufCBinaryData){.data = (uint8_t *)write->value, .len = write->length};
        put->lease = write->lease;
        one.op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
        one.op.request_put = put;
        return one;
}

int cx_etcd_commit(struct cx_etcd *etcd, const struct cx_etcd_transaction *transaction, int64_t *ret_revision,
                   size_t *ret_conflict, struct cx_error *err)
{
        struct conditional all[CX_ETCD_MAX_WRITES];
        Etcdserverpb__PutRequest puts[CX_ETCD_MAX_WRITES];
        struct committed committed = {0};
        const char *guarded = transaction->guarded;
        assert(transaction->count <= CX_ETCD_MAX_WRITES);
        for (size_t i = 0; i < transaction->count; i++)
                all[i] = put_of(&transaction->writes[i], &puts[i]);
        CX_CLEANUP(cx_freep) char *end = guarded ? cx_sprintf("%.*s0", (int)strlen(guarded) - 1, guarded) : NULL;
        const struct guard guard = {guarded, end, transaction->newest};
        int r = conditional(etcd, all, transaction->count, guarded ? &guard : NULL, &committed, err);
        cx_etcd_kv_release(&committed.current);
        if (ret_revision)
                *ret_revision = committed.revision;
        if (ret_conflict)
                *ret_conflict = committed.conflict;
        return r;
}

// The end of a call about one key.
static int conditional_one(struct cx_etcd *etcd, struct conditional *one, int64_t *ret_revision,
                           struct cx_etcd_kv *ret_current, struct cx_error *err)
{
        struct committed committed = {0};
        int r = conditional(etcd, one, 1, NULL, &committed, err);
        if (ret_revision && r == 0)
                *ret_revision = committed.revision;
        if (ret_current && r == -EAGAIN)
                *ret_current = committed.current;
        else
                cx_etcd_kv_release(&committed.current);
        return r;
}

int cx_etcd_put(struct cx_etcd *etcd, const char *key, const void *value, size_t length, int64_t expected,
                int64_t lease, int64_t *ret_revision, struct cx_etcd_kv *ret_current, struct cx_error *err)
{
        Etcdserverpb__PutRequest put;
        struct conditional one = put_of(&(struct cx_etcd_write){key, value, length, expected, lease}, &put);
        return conditional_one(etcd, &one, ret_revision, ret_current, err);
}

int cx_etcd_delete(struct cx_etcd *etcd, const char *key, int64_t expected, int64_t *ret_revision,
                   struct cx_etcd_kv *ret_current, struct cx_error *err)
{
        Etcdserverpb__DeleteRangeRequest range = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
        struct conditional one = {key, expected, ETCDSERVERPB__REQUEST_OP__INIT};
        range.key = bytes_of(key);
        one.op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
        one.op.request_delete_range = &range;
        return conditional_one(etcd, &one, ret_revision, ret_current, err);
}

int cx_etcd_lease_grant(struct cx_etcd *etcd, int64_t ttl_seconds, int64_t *ret_lease, struct cx_error *err)
{
        Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
        Etcdserverpb__LeaseGrantResponse *reply = NULL;
        request.ttl = ttl_seconds;
        int r = call(etcd, "/etcdserverpb.Lease/LeaseGrant", &request.base, false,
                     &etcdserverpb__lease_grant_response__descriptor, (ProtobufCMessage **)&reply, err);
        if (r < 0)
                return r;
        *ret_lease = reply->id;
        etcdserverpb__lease_grant_response__free_unpacked(reply, NULL);
        return 0;
}

int cx_etcd_compact(struct cx_etcd *etcd, int64_t revision, struct cx_error *err)
{
        Etcdserverpb__CompactionRequest request = ETCDSERVERPB__COMPACTION_REQUEST__INIT;
        Etcdserverpb__CompactionResponse *reply = NULL;
        request.revision = revision;
        int r = call(etcd, "/etcdserverpb.KV/Compact", &request.base, false,
                     &etcdserverpb__compaction_response__descriptor, (ProtobufCMessage **)&reply, err);
        if (r == 0)
                etcdserverpb__compaction_response__free_unpacked(reply, NULL);
        return r;
}

// --- watch ---

struct cx_etcd_watch {
        struct cx_grpc_stream *stream;
        char *key, *range_end;
        bool prev_kv;
        struct cx_etcd_watch_callbacks callbacks;
        // I/O thread only. Of the events of next_revision `seen` came already, in a part of an answer; after a reconnect
        // `again` of them are still to come once more.
        int64_t next_revision;
        size_t seen, again;
        bool over;
};

static void pack_watch_request(Etcdserverpb__WatchRequest *request, struct cx_buf *to)
{
        size_t length = etcdserverpb__watch_request__get_packed_size(request);
        char *room = cx_buf_reserve(to, length);
        etcdserverpb__watch_request__pack(request, (uint8_t *)room);
        cx_buf_advance(to, length);
}

static void on_start(void *context, struct cx_buf *first)
{
        struct cx_etcd_watch *watch = context;
        Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
        Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
        create.key = bytes_of(watch->key);
        create.range_end = bytes_of(watch->range_end);
        create.start_revision = watch->next_revision;
        watch->again = watch->seen;
        create.prev_kv = watch->prev_kv;
        create.progress_notify = true;
        create.fragment = true;
        request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
        request.create_request = &create;
        pack_watch_request(&request, first);
}

// Whether it came before a reconnect. etcd tells a revision's events in the same order each time.
static bool was_seen(struct cx_etcd_watch *watch, const Etcdserverpb__Event *event)
{
        if (!event->kv || event->kv->mod_revision < watch->next_revision)
                return true;
        if (!watch->again || event->kv->mod_revision > watch->next_revision)
                return false;
        watch->again--;
        return true;
}

// The answer's last event is of this revision. Of a part of an answer the next one may go on with it.
static void move_on(struct cx_etcd_watch *watch, const struct cx_etcd_event *events, size_t n, int64_t last, bool part)
{
        size_t of_last = 0;
        while (of_last < n && events[n - 1 - of_last].kv.mod_revision == last)
                of_last++;
        watch->seen = !part ? 0 : watch->next_revision == last ? watch->seen + of_last : of_last;
        watch->next_revision = part ? last : last + 1;
}

static void deliver(struct cx_etcd_watch *watch, const Etcdserverpb__WatchResponse *reply)
{
        CX_CLEANUP(cx_freep) struct cx_etcd_event *events = cx_alloc_array(reply->n_events, sizeof *events);
        size_t n = 0;
        for (size_t i = 0; i < reply->n_events; i++) {
                const Etcdserverpb__Event *from = reply->events[i];
                if (was_seen(watch, from))
                        continue;
                events[n].is_delete = from->type == ETCDSERVERPB__EVENT__EVENT_TYPE__DELETE;
                fill_kv(&events[n].kv, from->kv);
                if (from->prev_kv)
                        fill_kv(&events[n].prev, from->prev_kv);
                n++;
        }
        const Etcdserverpb__Event *end = reply->events[reply->n_events - 1];
        int64_t last = end->kv ? end->kv->mod_revision : 0;
        if (last >= watch->next_revision) {
                watch->callbacks.on_events(watch->callbacks.context, events, n, reply->fragment ? last - 1 : last);
                move_on(watch, events, n, last, reply->fragment);
        }
        for (size_t i = 0; i < n; i++) {
                cx_etcd_kv_release(&events[i].kv);
                cx_etcd_kv_release(&events[i].prev);
        }
}

static void on_message(void *context, const void *data, size_t length)
{
        struct cx_etcd_watch *watch = context;
        Etcdserverpb__WatchResponse *reply = etcdserverpb__watch_response__unpack(NULL, length, data);
        if (!reply || watch->over) {
                if (reply)
                        etcdserverpb__watch_response__free_unpacked(reply, NULL);
                return;
        }
        if (reply->canceled) {
                CX_ERROR err = CX_ERROR_INIT;
                (void)cx_error_reason(&err, reply->compact_revision ? CX_REASON_EXPIRED : CX_REASON_UNAVAILABLE,
                                      "etcd ended the watch: %s", cx_str(reply->cancel_reason));
                watch->over = true;
                watch->callbacks.on_end(watch->callbacks.context, reply->compact_revision, &err);
        } else if (reply->n_events) {
                deliver(watch, reply);
        } else if (!reply->created && reply->header && watch->callbacks.on_progress) {
                watch->callbacks.on_progress(watch->callbacks.context, reply->header->revision);
        }
        etcdserverpb__watch_response__free_unpacked(reply, NULL);
}

static int64_t on_stream_end(void *context, int status, const char *text)
{
        struct cx_etcd_watch *watch = context;
        if (watch->over)
                return -1;
        cx_warn("Watch on etcd was interrupted and will be resumed", "status", CX_INT(status), "why", cx_str(text),
                "revision", CX_INT(watch->next_revision));
        return RETRY_DELAY;
}

int cx_etcd_watch_new(struct cx_etcd *etcd, const char *key, const char *range_end, int64_t revision, bool prev_kv,
                      const struct cx_etcd_watch_callbacks *callbacks, struct cx_etcd_watch **ret_watch,
                      struct cx_error *err CX_UNUSED)
{
        struct cx_etcd_watch *watch = cx_alloc(sizeof *watch);
        watch->key = cx_strdup(key);
        watch->range_end = cx_strdup(range_end);
        watch->prev_kv = prev_kv;
        watch->callbacks = *callbacks;
        watch->next_revision = revision;
        watch->stream = cx_grpc_stream_new(
                etcd->grpc, "/etcdserverpb.Watch/Watch",
                &(struct cx_grpc_stream_callbacks){
                        .on_start = on_start, .on_message = on_message, .on_end = on_stream_end, .context = watch});
        *ret_watch = watch;
        return 0;
}

void cx_etcd_watch_free(struct cx_etcd_watch *watch)
{
        if (!watch)
                return;
        cx_grpc_stream_free(watch->stream);
        free(watch->key);
        free(watch->range_end);
        free(watch);
}

void cx_etcd_watch_request_progress(struct cx_etcd_watch *watch)
{
        Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
        Etcdserverpb__WatchProgressRequest progress = ETCDSERVERPB__WATCH_PROGRESS_REQUEST__INIT;
        request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST;
        request.progress_request = &progress;
        CX_BUF message = CX_BUF_INIT;
        pack_watch_request(&request, &message);
        cx_grpc_stream_send(watch->stream, message.data, message.length);
}
