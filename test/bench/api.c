// SPDX-License-Identifier: Apache-2.0
// Measures kube-apiserver from outside with 16 connections: create, get, list, patch, delete, and watch fan-out; beside
// them the limits of the same run: raw etcd puts, and the list's bytes from a static response of the same HTTP server.
//
//     api --kubeconfig FILE --etcd https://… --etcd-ca F --etcd-cert F --etcd-key F [--pods 5000] [--connections 16]
//
// Prints "name value unit" lines.
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/client/rest.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/etcd/etcd.h"
#include "libcommon/format/json.h"
#include "libcommon/net/http_server.h"
#include "libcommon/net/pki.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>

static const char *kubeconfig, *etcd_url, *etcd_ca, *etcd_cert, *etcd_key;
static int64_t n_pods = 5000, connections = 16, seconds = 3;

#define PODS "/api/v1/namespaces/bench/pods"
#define WATCHERS 200
#define WATCHED 300

struct bench {
        struct cx_http_client *http;
        struct cx_etcd *etcd;
        int64_t deadline, done, failed; // done and failed: atomic
        bool (*once)(struct bench *bench, size_t worker, int64_t i);
        struct cx_buf list; // the bytes of the last list
};

static void show(const char *name, double value, const char *unit)
{
        printf("%s\t%.1f\t%s\n", name, value, unit);
        fflush(stdout);
}

static bool call(struct bench *b, const char *method, const char *path, const char *body, const char *type,
                 int expected, struct cx_buf *keep)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_http_call http = {.method = method,
                                    .path = path,
                                    .body = body,
                                    .body_length = body ? strlen(body) : 0,
                                    .content_type = type};
        bool good = cx_http_do(b->http, &http, &reply, &err) == 0 && reply.code == expected;
        if (!good && __atomic_fetch_add(&b->failed, 1, __ATOMIC_RELAXED) < 3)
                fprintf(stderr, "%s %s: %d %s %.200s\n", method, path, reply.code, err.code ? cx_error_text(&err) : "",
                        reply.body.data);
        if (good && keep) {
                cx_buf_clear(keep);
                cx_buf_append(keep, reply.body.data, reply.body.length);
        }
        return good;
}

static bool create_pod(struct bench *b, size_t worker CX_UNUSED, int64_t i)
{
        CX_CLEANUP(cx_freep)
        char *body = cx_sprintf("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"pod-%ld\",\"labels\":"
                                "{\"app\":\"bench\",\"n\":\"%ld\"}},"
                                "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"hello:v1\",\"resources\":{"
                                "\"requests\":{\"cpu\":\"100m\","
                                "\"memory\":\"100Mi\"}},\"env\":[{\"name\":\"A\",\"value\":\"b\"}],\"ports\":[{"
                                "\"containerPort\":80}]}]}}",
                                (long)i, (long)i);
        return call(b, "POST", PODS, body, NULL, 201, NULL);
}

static bool get_pod(struct bench *b, size_t worker, int64_t i)
{
        CX_CLEANUP(cx_freep)
        char *path = cx_sprintf(PODS "/pod-%ld", (long)((i * 7919 + (int64_t)worker * 613) % n_pods));
        return call(b, "GET", path, NULL, NULL, 200, NULL);
}

static bool list_pods(struct bench *b, size_t worker, int64_t i CX_UNUSED)
{
        return call(b, "GET", PODS, NULL, NULL, 200, worker == 0 ? &b->list : NULL);
}

static bool patch_with(struct bench *b, size_t worker, int64_t i, const char *word)
{
        CX_CLEANUP(cx_freep)
        char *path = cx_sprintf(PODS "/pod-%ld",
                                (long)((int64_t)worker * (n_pods / connections) + i % (n_pods / connections)));
        CX_CLEANUP(cx_freep)
        char *body = cx_sprintf("{\"metadata\":{\"annotations\":{\"turn\":\"%s %ld\"}}}", word, (long)i);
        return call(b, "PATCH", path, body, "application/strategic-merge-patch+json", 200, NULL);
}

static bool patch_pod(struct bench *b, size_t worker, int64_t i)
{
        return patch_with(b, worker, i, "patched");
}

static bool delete_pod(struct bench *b, size_t worker CX_UNUSED, int64_t i)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(PODS "/pod-%ld", (long)i);
        return call(b, "DELETE", path, NULL, NULL, 200, NULL);
}

static bool put_raw(struct bench *b, size_t worker, int64_t i)
{
        char value[1200];
        memset(value, 'x', sizeof value);
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("/bench/%zu/%ld", worker, (long)i);
        bool good = cx_etcd_put(b->etcd, key, value, sizeof value, 0, 0, NULL, NULL, NULL) == 0;
        if (!good)
                __atomic_fetch_add(&b->failed, 1, __ATOMIC_RELAXED);
        return good;
}

// Each of the workers takes the next number until the count is reached or the time is over.
static int64_t limit;
static void work(void *context, size_t worker)
{
        struct bench *b = context;
        for (int64_t own = 0;; own++) {
                int64_t i = limit ? __atomic_fetch_add(&b->done, 1, __ATOMIC_RELAXED) : own;
                if ((limit && i >= limit) || (!limit && cx_time_monotonic() >= b->deadline))
                        return;
                (void)b->once(b, worker, i);
                if (!limit)
                        __atomic_fetch_add(&b->done, 1, __ATOMIC_RELAXED);
        }
}

static double measure(struct bench *b, const char *name, int64_t count, bool (*once)(struct bench *, size_t, int64_t))
{
        b->once = once;
        b->done = 0;
        limit = count;
        int64_t began = cx_time_monotonic();
        b->deadline = began + seconds * CX_NS_PER_S;
        cx_parallel((size_t)connections, (int)connections, work, b);
        int64_t done = count ? count : b->done;
        double rate = (double)done * 1e9 / (double)(cx_time_monotonic() - began);
        show(name, rate, "/s");
        return rate;
}

// --- watch fan-out ---

// Libcurl's event interface over epoll: a client that polls 200 connections anew for each event would be the limit.
struct fan {
        CURLM *multi;
        int epoll;
        int64_t seen;
        int64_t sent[WATCHED];              // when each change was sent, monotonic ns
        int64_t delays[WATCHERS * WATCHED]; // from there until a watcher had the event
        int64_t n_delays;
        struct bench *bench;
};

// Events are lines; the change's number stands in an annotation.
static size_t take_events(char *data, size_t size, size_t count, void *context)
{
        static const char mark[] = "\"turn\":\"watched ";
        struct fan *fan = context;
        int64_t now = cx_time_monotonic();
        const char *end = data + size * count;
        for (const char *p = data; (p = memchr(p, '\n', (size_t)(end - p))); p++)
                fan->seen++;
        for (const char *p = data; (p = memmem(p, (size_t)(end - p), mark, sizeof mark - 1));) {
                long number = strtol(p += sizeof mark - 1, NULL, 10);
                if (number >= 0 && number < WATCHED && fan->n_delays < WATCHERS * WATCHED)
                        fan->delays[fan->n_delays++] = now - fan->sent[number];
        }
        return size * count;
}

static int on_socket(CURL *easy CX_UNUSED, curl_socket_t fd, int what, void *context, void *known)
{
        struct fan *fan = context;
        struct epoll_event event = {.data.fd = fd};
        event.events = (uint32_t)((what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0));
        if (what == CURL_POLL_REMOVE) {
                epoll_ctl(fan->epoll, EPOLL_CTL_DEL, fd, NULL);
                return 0;
        }
        epoll_ctl(fan->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
        curl_multi_assign(fan->multi, fd, fan);
        return 0;
}

static void turn(struct fan *fan)
{
        struct epoll_event events[64];
        int running, n = epoll_wait(fan->epoll, events, 64, 5);
        for (int i = 0; i < n; i++)
                curl_multi_socket_action(fan->multi, events[i].data.fd, 0, &running);
        if (n <= 0)
                curl_multi_socket_action(fan->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void *make_changes(void *context)
{
        struct fan *fan = context;
        for (int64_t i = 0; i < WATCHED; i++) {
                fan->sent[i] = cx_time_monotonic();
                (void)patch_with(fan->bench, 0, i, "watched");
        }
        return NULL;
}

static int compare_delays(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return x < y ? -1 : x > y;
}

static void blob(CURL *easy, CURLoption option, const char *pem)
{
        struct curl_blob bytes = {(void *)pem, pem ? strlen(pem) : 0, CURL_BLOB_NOCOPY};
        if (pem)
                curl_easy_setopt(easy, option, &bytes);
}

static void watch_fan_out(struct bench *b, const struct cx_credentials *credentials)
{
        static struct fan fan;
        CURLM *multi = fan.multi = curl_multi_init();
        fan.epoll = epoll_create1(EPOLL_CLOEXEC);
        fan.bench = b;
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, &fan);
        CURL *handles[WATCHERS];
        CX_BUF list = CX_BUF_INIT;
        if (!call(b, "GET", PODS "?limit=1", NULL, NULL, 200, &list))
                return;
        json_auto_t *page = NULL;
        if (cx_json_parse(list.data, list.length, false, &page, NULL) < 0)
                return;
        CX_CLEANUP(cx_freep)
        char *url = cx_sprintf("%s" PODS "?watch=1&resourceVersion=%s&timeoutSeconds=60", credentials->server,
                               cx_json_string_or(page, "metadata.resourceVersion", "0"));
        for (size_t i = 0; i < WATCHERS; i++) {
                CURL *easy = handles[i] = curl_easy_init();
                curl_easy_setopt(easy, CURLOPT_URL, url);
                blob(easy, CURLOPT_CAINFO_BLOB, credentials->ca_pem);
                blob(easy, CURLOPT_SSLCERT_BLOB, credentials->cert_pem);
                blob(easy, CURLOPT_SSLKEY_BLOB, credentials->key_pem);
                curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
                curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_events);
                curl_easy_setopt(easy, CURLOPT_WRITEDATA, &fan);
                curl_multi_add_handle(multi, easy);
        }
        // All connected before the first change: nothing is to be seen in two seconds of waiting for handshakes.
        int64_t until = cx_time_monotonic() + 2 * CX_NS_PER_S;
        while (cx_time_monotonic() < until)
                turn(&fan);
        pthread_t changer;
        int64_t began = cx_time_monotonic();
        pthread_create(&changer, NULL, make_changes, &fan);
        while (fan.seen < (int64_t)WATCHERS * WATCHED && cx_time_monotonic() - began < 60 * CX_NS_PER_S)
                turn(&fan);
        double rate = (double)fan.seen * 1e9 / (double)(cx_time_monotonic() - began);
        pthread_join(changer, NULL);
        for (size_t i = 0; i < WATCHERS; i++) {
                curl_multi_remove_handle(multi, handles[i]);
                curl_easy_cleanup(handles[i]);
        }
        curl_multi_cleanup(multi);
        close(fan.epoll);
        show("watch-events", rate, "/s");
        qsort(fan.delays, (size_t)fan.n_delays, sizeof fan.delays[0], compare_delays);
        show("watch-p99", fan.n_delays ? (double)fan.delays[fan.n_delays * 99 / 100] / 1e6 : 0, "ms");
}

// --- the same bytes from a static response ---

static void serve_static(struct cx_http_request *request, void *context)
{
        const struct cx_buf *bytes = context;
        cx_http_respond(request, 200, NULL, bytes->data, bytes->length);
}

static void static_limit(struct bench *b)
{
        CX_CLEANUP(cx_freep) char *cert = NULL, *key = NULL, *url = NULL;
        CX_STRINGS addresses = CX_STRINGS_INIT;
        CX_CLEANUP(cx_http_server_freep) struct cx_http_server *server = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        cx_strings_add(&addresses, "127.0.0.1");
        struct cx_certificate_spec spec = {
                .common_name = "bench", .ip_addresses = &addresses, .is_ca = true, .server = true, .lifetime = 3600};
        struct cx_http_client *before = b->http;
        CX_CLEANUP(cx_freep) char *made_key = NULL;
        if (cx_pki_issue(&spec, NULL, NULL, &cert, &made_key, &err) < 0 ||
            cx_http_server_new(&(struct cx_http_server_options){.address = "127.0.0.1",
                                                                .cert_pem = cert,
                                                                .key_pem = made_key,
                                                                .workers = 16,
                                                                .handler = serve_static,
                                                                .context = &b->list},
                               &server, &err) < 0) {
                cx_err(&err, "Cannot serve");
                return;
        }
        url = cx_sprintf("https://127.0.0.1:%d", cx_http_server_port(server));
        if (cx_http_client_new(&(struct cx_http_client_options){.base_url = url, .insecure = true}, &b->http, &err) < 0)
                return;
        struct cx_buf kept = b->list; // list_pods would replace what is served
        (void)measure(b, "list-static", 0, get_pod);
        b->list = kept;
        cx_http_client_free(b->http);
        b->http = before;
}

static char *read_pem(const char *path)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        return path && cx_buf_read_file(&text, path) == 0 ? cx_buf_detach(&text) : NULL;
}

static int connect_etcd(struct bench *bench, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *ca = read_pem(etcd_ca), *cert = read_pem(etcd_cert);
        CX_CLEANUP(cx_freep) char *key = read_pem(etcd_key);
        const char *const endpoints[] = {etcd_url, NULL};
        struct cx_etcd_options options = {.endpoints = endpoints, .ca_pem = ca, .cert_pem = cert, .key_pem = key};
        return cx_etcd_new(&options, &bench->etcd, err);
}

static void measure_all(struct bench *bench, const struct cx_credentials *credentials)
{
        if (bench->etcd)
                measure(bench, "etcd-put", 0, put_raw);
        (void)call(bench, "POST", "/api/v1/namespaces", "{\"metadata\":{\"name\":\"bench\"}}", NULL, 201, NULL);
        (void)call(bench, "POST", "/api/v1/namespaces/bench/serviceaccounts", "{\"metadata\":{\"name\":\"default\"}}",
                   NULL, 201, NULL);
        bench->failed = 0;
        measure(bench, "create", n_pods, create_pod);
        measure(bench, "get", 0, get_pod);
        measure(bench, "list", 0, list_pods);
        static_limit(bench);
        measure(bench, "patch", 0, patch_pod);
        watch_fan_out(bench, credentials);
        measure(bench, "delete", n_pods, delete_pod);
        show("failed", (double)bench->failed, "requests");
}

int main(int argc, char **argv)
{
        const struct cx_flag flags[] = {
                {.name = "kubeconfig", .kind = CX_FLAG_STRING, .target = &kubeconfig},
                {.name = "etcd", .kind = CX_FLAG_STRING, .target = &etcd_url},
                {.name = "etcd-ca", .kind = CX_FLAG_STRING, .target = &etcd_ca},
                {.name = "etcd-cert", .kind = CX_FLAG_STRING, .target = &etcd_cert},
                {.name = "etcd-key", .kind = CX_FLAG_STRING, .target = &etcd_key},
                {.name = "pods", .kind = CX_FLAG_INT, .target = &n_pods},
                {.name = "connections", .kind = CX_FLAG_INT, .target = &connections},
                {.name = "seconds", .kind = CX_FLAG_INT, .target = &seconds},
                {0},
        };
        const struct cx_flag *const tables[] = {flags};
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        CX_KUBECONFIG config = CX_KUBECONFIG_INIT;
        CX_CREDENTIALS credentials = CX_CREDENTIALS_INIT;
        struct cx_kubeconfig_overrides overrides = {0};
        static struct bench bench;
        cx_process_init();
        cx_process_unblock_signals();
        if (cx_flags_parse(tables, 1, argc, argv, &args, NULL, &err) < 0 ||
            cx_kubeconfig_load(kubeconfig, false, &config, &err) < 0 ||
            cx_kubeconfig_resolve(&config, &overrides, &credentials, &err) < 0) {
                cx_err(&err, "Cannot start");
                return 1;
        }
        struct cx_http_client_options options = {.base_url = credentials.server,
                                                 .ca_pem = credentials.ca_pem,
                                                 .cert_pem = credentials.cert_pem,
                                                 .key_pem = credentials.key_pem,
                                                 .max_idle = (int)connections};
        bench.list = (struct cx_buf)CX_BUF_INIT;
        if (cx_http_client_new(&options, &bench.http, &err) < 0 || (etcd_url && connect_etcd(&bench, &err) < 0)) {
                cx_err(&err, "Cannot start");
                return 1;
        }
        measure_all(&bench, &credentials);
        cx_http_client_free(bench.http);
        cx_etcd_free(bench.etcd);
        cx_buf_release(&bench.list);
        return bench.failed != 0;
}
