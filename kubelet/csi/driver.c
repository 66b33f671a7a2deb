// SPDX-License-Identifier: Apache-2.0
// One channel a driver, made when it is registered. What comes back is capped, and unpacked by libprotobuf-c, which allocates
// no more than a message holds.
#include "kubelet/csi/driver.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"
#include "libcommon/net/grpc.h"

#include <pthread.h>

#define CALL_TIMEOUT (120 * CX_NS_PER_S) // upstream's
#define ANSWER_MAX ((size_t)1 << 20)
#define CALLS_MAX 10 // at a time

struct csi_driver {
        char *name, *endpoint;
        struct cx_grpc *grpc;
        pthread_mutex_t lock; // guards what follows
        unsigned refs, calls;
        bool asked;
        uint32_t can; // bits of csi_can
};

static int open_channel(const char *socket, struct cx_grpc **ret_grpc, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("unix://%s", socket);
        const struct cx_grpc_options options = {
                .peer = "CSI driver", .endpoints = (const char *[]){url, NULL}, .max_message = ANSWER_MAX};
        return cx_grpc_new(&options, ret_grpc, err);
}

int csi_driver_new(const char *name, const char *endpoint, struct csi_driver **ret, struct cx_error *err)
{
        struct cx_grpc *grpc = NULL;
        int r = open_channel(endpoint, &grpc, err);
        if (r < 0)
                return r;
        struct csi_driver *d = cx_alloc(sizeof *d);
        d->name = cx_strdup(name);
        d->endpoint = cx_strdup(endpoint);
        d->grpc = grpc;
        d->refs = 1;
        pthread_mutex_init(&d->lock, NULL);
        *ret = d;
        return 0;
}

struct csi_driver *csi_driver_ref(struct csi_driver *d)
{
        pthread_mutex_lock(&d->lock);
        d->refs++;
        pthread_mutex_unlock(&d->lock);
        return d;
}

void csi_driver_unref(struct csi_driver *d)
{
        pthread_mutex_lock(&d->lock);
        bool last = --d->refs == 0;
        pthread_mutex_unlock(&d->lock);
        if (!last)
                return;
        cx_grpc_free(d->grpc);
        pthread_mutex_destroy(&d->lock);
        free(d->name);
        free(d->endpoint);
        free(d);
}

const char *csi_driver_name(const struct csi_driver *d)
{
        return d->name;
}

const char *csi_driver_endpoint(const struct csi_driver *d)
{
        return d->endpoint;
}

static const char *code_name(int code)
{
        static const char *const names[] = {
                "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
                "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
                "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
                "DataLoss", "Unauthenticated"};
        return code >= 0 && (size_t)code < CX_ARRAY_SIZE(names) ? names[code] : "Unavailable";
}

static int judge(const struct cx_grpc_result *result, const ProtobufCMessageDescriptor *type,
                 ProtobufCMessage **ret_answer, struct cx_error *err)
{
        if (result->status == CX_GRPC_DEADLINE)
                return cx_error_set(err, -ETIMEDOUT,
                                    "rpc error: code = DeadlineExceeded desc = context deadline exceeded");
        if (result->status != CX_GRPC_OK)
                return cx_error_set(err, -EIO, "rpc error: code = %s desc = %.500s", code_name(result->status),
                                    cx_str(result->text));
        if (!ret_answer)
                return 0;
        *ret_answer =
                protobuf_c_message_unpack(type, NULL, result->message.length, (const uint8_t *)result->message.data);
        return *ret_answer ? 0 : cx_error_set(err, -EBADMSG, "the driver's answer cannot be read");
}

static int call(struct cx_grpc *grpc, const char *method, int64_t timeout, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_answer, struct cx_error *err)
{
        size_t length = protobuf_c_message_get_packed_size(request);
        CX_CLEANUP(cx_freep) uint8_t *packed = cx_alloc(length + 1);
        protobuf_c_message_pack(request, packed);
        struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
        cx_grpc_unary(grpc, method, packed, length, timeout, &result);
        int r = judge(&result, type, ret_answer, err);
        cx_grpc_result_release(&result);
        return r;
}

int csi_call_once(const struct csi_once *to, const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                  ProtobufCMessage **ret_answer, struct cx_error *err)
{
        CX_CLEANUP(cx_grpc_freep) struct cx_grpc *grpc = NULL;
        int r = open_channel(to->socket, &grpc, err);
        return r < 0 ? r : call(grpc, to->method, to->timeout, request, type, ret_answer, err);
}

int csi_driver_call(struct csi_driver *d, const struct csi_call *of, ProtobufCMessage **ret_answer,
                    struct cx_error *err)
{
        pthread_mutex_lock(&d->lock);
        bool busy = d->calls >= CALLS_MAX;
        d->calls += !busy;
        pthread_mutex_unlock(&d->lock);
        if (busy)
                return cx_error_set(err, -EAGAIN, "CSI driver %s has not answered %d calls yet", d->name, CALLS_MAX);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/csi.v1.Node/%s", of->method);
        int r = call(d->grpc, path, of->timeout ? of->timeout : CALL_TIMEOUT, of->request, of->type, ret_answer, err);
        pthread_mutex_lock(&d->lock);
        d->calls--;
        pthread_mutex_unlock(&d->lock);
        return r;
}

static int ask(struct csi_driver *d, uint32_t *ret_can, struct cx_error *err)
{
        Csi__Empty nothing = CSI__EMPTY__INIT;
        ProtobufCMessage *answer = NULL;
        const struct csi_call of = {
                .method = "NodeGetCapabilities", .request = &nothing.base, .type = &csi__node_capabilities__descriptor};
        int r = csi_driver_call(d, &of, &answer, err);
        if (r < 0)
                return r;
        const Csi__NodeCapabilities *list = (const Csi__NodeCapabilities *)answer;
        for (size_t i = 0; i < list->n_capabilities; i++)
                if (list->capabilities[i]->rpc && list->capabilities[i]->rpc->type < 32)
                        *ret_can |= UINT32_C(1) << list->capabilities[i]->rpc->type;
        protobuf_c_message_free_unpacked(answer, NULL);
        return 0;
}

int csi_driver_can(struct csi_driver *d, enum csi_can what, bool *ret_can, struct cx_error *err)
{
        uint32_t can = 0;
        pthread_mutex_lock(&d->lock);
        bool asked = d->asked;
        can = d->can;
        pthread_mutex_unlock(&d->lock);
        if (!asked) {
                int r = ask(d, &can, err);
                if (r < 0)
                        return r;
                pthread_mutex_lock(&d->lock);
                d->can = can;
                d->asked = true;
                pthread_mutex_unlock(&d->lock);
        }
        *ret_can = can >> what & 1;
        return 0;
}
