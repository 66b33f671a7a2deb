// SPDX-License-Identifier: Apache-2.0
#include "kubelet/probe/grpc_probe.h"

#include "libcommon/base/flags.h"
#include "libcommon/base/time.h"

#include <curl/curl.h>
#include <string.h>

#define REPLY_MAX 4096
#define SERVICE_MAX 1024

CX_DEFINE_CLEANUP(CURL, curl_freep, curl_easy_cleanup)
CX_DEFINE_CLEANUP(struct curl_slist, headers_freep, curl_slist_free_all)

struct answer {
        struct cx_buf body;
        int64_t status; // grpc-status; -1: none
};

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
        struct answer *a = context;
        if (a->body.length + size * count > REPLY_MAX)
                return 0;
        cx_buf_append(&a->body, data, size * count);
        return size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
        struct answer *a = context;
        static const char name[] = "grpc-status:";
        size_t n = size * count;
        if (n > sizeof name && n < 64 && strncasecmp(data, name, sizeof name - 1) == 0) {
                char text[64];
                memcpy(text, data + sizeof name - 1, n - (sizeof name - 1));
                text[n - (sizeof name - 1)] = '\0';
                text[strcspn(text, "\r\n")] = '\0';
                if (cx_parse_int(text + strspn(text, " "), 0, 1000, &a->status) < 0)
                        a->status = 2;
                return 0; // all is said: do not wait for the stream's end
        }
        return n;
}

// A message of one frame: HealthCheckRequest{service = 1}.
static void make_request(const char *service, struct cx_buf *to)
{
        size_t n = strlen(service), length = n ? 1 + (n < 128 ? 1 : 2) + n : 0;
        const char head[5] = {0, 0, 0, (char)(length >> 8), (char)(length & 0xff)};
        cx_buf_append(to, head, sizeof head);
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

// HealthCheckResponse{status = 1}; UNKNOWN, which is 0, may be left out. -1: no such message.
static int read_status(const struct cx_buf *body)
{
        if (body->length < 5 || body->data[0] != 0)
                return -1;
        if (body->length == 5)
                return 0;
        return body->length >= 7 && body->data[5] == 0x08 ? body->data[6] & 0x7f : -1;
}

static int judge(const struct answer *a, struct cx_buf *ret_output)
{
        static const char *const words[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
        if (a->status == 12) {
                cx_buf_add(ret_output, "error: this server does not implement the grpc health protocol "
                                       "(grpc.health.v1.Health)");
                return 1;
        }
        if (a->status != 0) {
                cx_buf_printf(ret_output, "error: health rpc probe failed: rpc error: code = %lld",
                              (long long)a->status);
                return 1;
        }
        int status = read_status(&a->body);
        if (status == 1)
                return 0;
        cx_buf_printf(ret_output, "service unhealthy (responded with \"%s\")",
                      status >= 0 && (size_t)status < CX_ARRAY_SIZE(words) ? words[status] : "UNKNOWN");
        return 1;
}

int grpc_probe(const char *host, int port, const char *service, int64_t timeout_ns, struct cx_buf *ret_output)
{
        CX_BUF request = CX_BUF_INIT_MAX(SERVICE_MAX + 16);
        struct answer answer = {.body = CX_BUF_INIT_MAX(REPLY_MAX + 1), .status = -1};
        CX_CLEANUP(cx_freep)
        char *url = cx_sprintf(strchr(host, ':') ? "http://[%s]:%d/grpc.health.v1.Health/Check"
                                                 : "http://%s:%d/grpc.health.v1.Health/Check",
                               host, port);
        if (strlen(cx_str(service)) > SERVICE_MAX) {
                cx_buf_add(ret_output, "the service's name is too long");
                return 1;
        }
        make_request(cx_str(service), &request);
        CX_CLEANUP(curl_freep) CURL *curl = curl_easy_init();
        CX_CLEANUP(headers_freep) struct curl_slist *headers = NULL;
        headers = curl_slist_append(headers, "Content-Type: application/grpc");
        headers = curl_slist_append(headers, "TE: trailers");
        headers = curl_slist_append(headers, "Expect:");
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "kube-probe/1.35");
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request.length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.data);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(timeout_ns / CX_NS_PER_MS));
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
        CURLcode code = curl_easy_perform(curl);
        int r = 1;
        if (answer.status < 0 && (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_COULDNT_CONNECT)) {
                char within[CX_TIME_TEXT];
                cx_duration_format(timeout_ns, within);
                cx_buf_printf(ret_output, "timeout: failed to connect service \"%s:%d\" within %s: %s", host, port,
                              within,
                              code == CURLE_COULDNT_CONNECT ? "connection refused" : "context deadline exceeded");
        } else if (code != CURLE_OK && answer.status < 0) {
                cx_buf_printf(ret_output, "error: health rpc probe failed: %s", curl_easy_strerror(code));
        } else {
                r = judge(&answer, ret_output);
        }
        cx_buf_release(&answer.body);
        return r;
}
