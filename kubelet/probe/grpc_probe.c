// SPDX-License-Identifier: Apache-2.0
// gRPC probes: one call of the health protocol (grpc.health.v1.Health/Check), whose two messages are small enough to be
// written and read here.
#include "kubelet/probe/grpc_probe.h"

#include "libcommon/base/address.h"
#include "libcommon/base/time.h"
#include "libcommon/base/version.h"
#include "libcommon/net/grpc.h"

#define REPLY_MAX 4096
#define SERVICE_MAX 1024
#define UNIMPLEMENTED 12

// HealthCheckRequest{service = 1}.
static void make_request(const char *service, struct cx_buf *to)
{
        size_t n = strlen(service);
        if (!n)
                return;
        cx_buf_add_char(to, 0x0a);
        if (n < 128) {
                cx_buf_add_char(to, (char)n);
        } else {
                cx_buf_add_char(to, (char)((n & 0x7f) | 0x80));
                cx_buf_add_char(to, (char)(n >> 7));
        }
        cx_buf_append(to, service, n);
}

// HealthCheckResponse{status = 1}; UNKNOWN, which is 0, may be left out. -1: not such a message.
static int read_status(const struct cx_buf *body)
{
        if (body->length == 0)
                return 0;
        return body->length >= 2 && body->data[0] == 0x08 ? body->data[1] & 0x7f : -1;
}

static int judge(const struct cx_grpc_result *result, struct cx_buf *ret_output)
{
        static const char *const words[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
        if (result->status == UNIMPLEMENTED) {
                cx_buf_add(ret_output, "error: this server does not implement the grpc health protocol "
                                       "(grpc.health.v1.Health)");
                return 1;
        }
        if (result->status != 0) {
                cx_buf_printf(ret_output, "error: health rpc probe failed: rpc error: code = %d", result->status);
                return 1;
        }
        int status = read_status(&result->message);
        if (status == 1)
                return 0;
        cx_buf_printf(ret_output, "service unhealthy (responded with \"%s\")",
                      status >= 0 && (size_t)status < CX_ARRAY_SIZE(words) ? words[status] : "UNKNOWN");
        return 1;
}

// No answer: the words for a server that was not reached, and for one that said nothing a probe understands.
static void explain(const struct cx_grpc_result *result, const char *where, int64_t timeout_ns, struct cx_buf *to)
{
        char within[CX_TIME_TEXT];
        cx_duration_format(timeout_ns, within);
        if (result->unsent)
                cx_buf_printf(to, "timeout: failed to connect service \"%s\" within %s: %s", where, within,
                              cx_str(result->text));
        else if (result->status == CX_GRPC_DEADLINE)
                cx_buf_printf(to, "timeout: failed to connect service \"%s\" within %s: context deadline exceeded",
                              where, within);
        else
                cx_buf_printf(to, "error: health rpc probe failed: %s", cx_str(result->text));
}

int grpc_probe(const char *host, int port, const char *service, int64_t timeout_ns, struct cx_buf *ret_output)
{
        struct cx_address address;
        char where[CX_ENDPOINT_TEXT];
        if (strlen(cx_str(service)) > SERVICE_MAX || cx_address_parse(host, &address) < 0) {
                cx_buf_add(ret_output, "error: the address or the name of the service is not valid");
                return 1;
        }
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("http://%s", cx_address_format_port(&address, port, where));
        CX_BUF request = CX_BUF_INIT_MAX(SERVICE_MAX + 16);
        make_request(cx_str(service), &request);
        struct cx_grpc *grpc;
        CX_ERROR err = CX_ERROR_INIT;
        const struct cx_grpc_options options = {.peer = "probe",
                                                .user_agent = "kube-probe/" CX_VERSION_SERIES,
                                                .endpoints = (const char *[]){url, NULL},
                                                .max_message = REPLY_MAX};
        if (cx_grpc_new(&options, &grpc, &err) < 0) {
                cx_buf_printf(ret_output, "error: health rpc probe failed: %s", cx_error_text(&err));
                return 1;
        }
        struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
        cx_grpc_unary(grpc, "/grpc.health.v1.Health/Check", request.data, request.length, timeout_ns, &result);
        int r = 1;
        if (result.status == -1 || result.status == CX_GRPC_DEADLINE)
                explain(&result, where, timeout_ns, ret_output);
        else
                r = judge(&result, ret_output);
        cx_grpc_result_release(&result);
        cx_grpc_free(grpc);
        return r;
}
