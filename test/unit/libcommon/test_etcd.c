// SPDX-License-Identifier: Apache-2.0
// The etcd client against a real etcd over TLS: conditions, watches, flow control, deadlines, servers that die or fall
// silent, and failing over.

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/etcd/etcd.h"
#include "libcommon/net/dial.h"
#include "libcommon/net/pki.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct fixture {
        char folder[64];
        char *ca, *ca_key, *cert, *key;
        int client_port, peer_port;
        char *url;
        pid_t etcd;
        struct cx_etcd *client;
};

static int free_port(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        CX_CLEANUP(cx_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
        return ntohs(address.sin_port);
}

static char *write_file(const struct fixture *f, const char *name, const char *text)
{
        char *path = cx_sprintf("%s/%s", f->folder, name);
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        return path;
}

static void start_etcd(struct fixture *f)
{
        CX_CLEANUP(cx_freep) char *ca = write_file(f, "ca.crt", f->ca);
        CX_CLEANUP(cx_freep) char *cert = write_file(f, "server.crt", f->cert);
        CX_CLEANUP(cx_freep) char *key = write_file(f, "server.key", f->key);
        CX_CLEANUP(cx_freep) char *data = cx_sprintf("%s/data", f->folder);
        CX_CLEANUP(cx_freep) char *peer = cx_sprintf("http://127.0.0.1:%d", f->peer_port);
        CX_CLEANUP(cx_freep) char *cluster = cx_sprintf("test=%s", peer);
        const char *const argv[] = {
                // clang-format off
                "etcd", "--name", "test", "--data-dir", data, "--log-level", "panic", "--logger", "zap",
                "--listen-client-urls", f->url, "--advertise-client-urls", f->url,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
                "--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", ca, NULL,
                // clang-format on
        };
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        assert_int_equal(posix_spawnp(&f->etcd, "etcd", &actions, NULL, (char *const *)argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
}

static void kill_etcd(struct fixture *f)
{
        kill(f->etcd, SIGKILL);
        waitpid(f->etcd, NULL, 0);
}

// Stops it and waits until it has stopped: before that it may still answer.
static void silence_etcd(struct fixture *f)
{
        kill(f->etcd, SIGSTOP);
        int status = 0;
        assert_int_equal(waitpid(f->etcd, &status, WUNTRACED), f->etcd);
        assert_true(WIFSTOPPED(status));
}

static struct cx_etcd *new_client(const struct fixture *f, const char *const *endpoints, int64_t timeout)
{
        struct cx_etcd *client = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        assert_int_equal(cx_etcd_new(&(struct cx_etcd_options){.endpoints = endpoints,
                                                               .ca_pem = f->ca,
                                                               .cert_pem = f->cert,
                                                               .key_pem = f->key,
                                                               .timeout = timeout},
                                     &client, &err),
                         0);
        return client;
}

static void wait_until_up(struct cx_etcd *client)
{
        int64_t revision, deadline = cx_time_monotonic() + 20 * CX_NS_PER_S;
        while (cx_etcd_revision(client, &revision, NULL) < 0)
                assert_true(cx_time_monotonic() < deadline);
}

static int set_up(void **state)
{
        struct fixture *f = cx_alloc(sizeof *f);
        CX_STRINGS addresses = CX_STRINGS_INIT;
        cx_strings_add(&addresses, "127.0.0.1");
        (void)snprintf(f->folder, sizeof f->folder, "/tmp/cx-etcd.XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        struct cx_certificate_spec ca = {.common_name = "ca", .is_ca = true, .lifetime = 3600};
        struct cx_certificate_spec own = {
                .common_name = "etcd", .ip_addresses = &addresses, .server = true, .client = true, .lifetime = 3600};
        assert_int_equal(cx_pki_issue(&ca, NULL, NULL, &f->ca, &f->ca_key, NULL), 0);
        assert_int_equal(cx_pki_issue(&own, f->ca, f->ca_key, &f->cert, &f->key, NULL), 0);
        f->client_port = free_port();
        f->peer_port = free_port();
        f->url = cx_sprintf("https://127.0.0.1:%d", f->client_port);
        start_etcd(f);
        f->client = new_client(f, (const char *[]){f->url, NULL}, 0);
        wait_until_up(f->client);
        *state = f;
        return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
        (void)info, (void)kind, (void)where;
        return remove(path);
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        cx_etcd_free(f->client);
        kill_etcd(f);
        nftw(f->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(f->ca);
        free(f->ca_key);
        free(f->cert);
        free(f->key);
        free(f->url);
        free(f);
        return 0;
}

static int put(struct cx_etcd *client, const char *key, const char *value, int64_t expected, int64_t *ret_revision,
               struct cx_error *err)
{
        return cx_etcd_put(client, key, value, strlen(value), expected, 0, ret_revision, NULL, err);
}

static void test_conditions(void **state)
{
        struct fixture *f = *state;
        int64_t first = 0, second = 0, now = 0;
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_etcd_kv kv = {0};
        assert_int_equal(put(f->client, "/c/a", "one", 0, &first, &err), 0);
        assert_int_equal(put(f->client, "/c/a", "two", first, &second, &err), 0);
        assert_true(second > first);
        assert_int_equal(cx_etcd_put(f->client, "/c/a", "three", 5, first, 0, NULL, &kv, &err), -EAGAIN);
        assert_true(cx_error_is(&err, CX_REASON_CONFLICT));
        assert_string_equal(kv.value, "two");
        assert_int_equal(kv.mod_revision, second);
        cx_etcd_kv_release(&kv);
        assert_int_equal(cx_etcd_get(f->client, "/c/a", &kv, &now, NULL), 0);
        assert_string_equal(kv.value, "two");
        cx_etcd_kv_release(&kv);
        assert_int_equal(cx_etcd_delete(f->client, "/c/a", first, NULL, NULL, NULL), -EAGAIN);
        assert_int_equal(cx_etcd_delete(f->client, "/c/a", second, NULL, NULL, NULL), 0);
        CX_ERROR gone = CX_ERROR_INIT;
        assert_int_equal(cx_etcd_get(f->client, "/c/a", &kv, NULL, &gone), -ENOENT);
}

// Several writes happen together or not at all; a guard refuses what is newer than somebody has seen.
static void test_transactions(void **state)
{
        struct fixture *f = *state;
        int64_t before = 0, together = 0;
        assert_int_equal(put(f->client, "/t/a", "1", 0, &before, NULL), 0);
        const struct cx_etcd_write writes[] = {{"/t/b", "1", 1, 0, 0}, {"/t/a", "2", 1, before, 0}};
        struct cx_etcd_transaction t = {.writes = writes, .count = 2};
        size_t conflict = 99;
        assert_int_equal(cx_etcd_commit(f->client, &t, &together, &conflict, NULL), 0);
        struct cx_etcd_kv a = {0}, b = {0};
        assert_int_equal(cx_etcd_get(f->client, "/t/a", &a, NULL, NULL), 0);
        assert_int_equal(cx_etcd_get(f->client, "/t/b", &b, NULL, NULL), 0);
        assert_true(a.mod_revision == together && b.mod_revision == together && strcmp(a.value, "2") == 0);
        cx_etcd_kv_release(&a);
        cx_etcd_kv_release(&b);
        const struct cx_etcd_write late[] = {{"/t/c", "1", 1, 0, 0}, {"/t/a", "3", 1, before, 0}};
        t.writes = late;
        assert_int_equal(cx_etcd_commit(f->client, &t, NULL, &conflict, NULL), -EAGAIN);
        assert_int_equal(conflict, 1);
        assert_int_equal(cx_etcd_get(f->client, "/t/c", &a, NULL, NULL), -ENOENT);
        const struct cx_etcd_write other[] = {{"/u/a", "1", 1, 0, 0}};
        t = (struct cx_etcd_transaction){.writes = other, .count = 1, .guarded = "/t/", .newest = together - 1};
        assert_int_equal(cx_etcd_commit(f->client, &t, NULL, &conflict, NULL), -EAGAIN);
        assert_int_equal(conflict, 1); // as many as there are: the guard
        t.newest = together;
        assert_int_equal(cx_etcd_commit(f->client, &t, NULL, &conflict, NULL), 0);
        const struct cx_etcd_write more[] = {{"/u/b", "1", 1, 0, 0}};
        t = (struct cx_etcd_transaction){.writes = more, .count = 1, .guarded = "/nothing/", .newest = 0};
        assert_int_equal(cx_etcd_commit(f->client, &t, NULL, NULL, NULL), 0);
}

struct seen {
        pthread_mutex_t lock;
        int64_t last, count, out_of_order;
};

static void on_events(void *context, struct cx_etcd_event *events, size_t count, int64_t revision)
{
        struct seen *seen = context;
        pthread_mutex_lock(&seen->lock);
        for (size_t i = 0; i < count; i++) {
                seen->out_of_order += events[i].kv.mod_revision <= seen->last;
                seen->last = events[i].kv.mod_revision;
                seen->count++;
        }
        assert_true(revision >= seen->last);
        pthread_mutex_unlock(&seen->lock);
}

static void on_end(void *context, int64_t compact_revision, const struct cx_error *err)
{
        (void)context, (void)compact_revision, (void)err;
}

static struct cx_etcd_watch *watch_all(struct cx_etcd *client, const char *from, const char *to, struct seen *seen)
{
        struct cx_etcd_watch_callbacks callbacks = {.on_events = on_events, .on_end = on_end, .context = seen};
        struct cx_etcd_watch *watch = NULL;
        int64_t revision = 0;
        assert_int_equal(cx_etcd_revision(client, &revision, NULL), 0);
        assert_int_equal(cx_etcd_watch_new(client, from, to, revision + 1, false, &callbacks, &watch, NULL), 0);
        return watch;
}

static int64_t count_of(struct seen *seen)
{
        pthread_mutex_lock(&seen->lock);
        int64_t count = seen->count;
        pthread_mutex_unlock(&seen->lock);
        return count;
}

static void wait_for_count(struct seen *seen, int64_t count)
{
        int64_t deadline = cx_time_monotonic() + 20 * CX_NS_PER_S;
        while (count_of(seen) < count && cx_time_monotonic() < deadline)
                sched_yield();
        assert_int_equal(count_of(seen), count);
}

#define THREADS 16
#define EACH 100

struct writer {
        struct cx_etcd *client;
        int number, good;
};

static void *write_many(void *context)
{
        struct writer *writer = context;
        for (int i = 0; i < EACH; i++) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("/m/%d/%d", writer->number, i);
                writer->good += put(writer->client, key, "value", 0, NULL, NULL) == 0;
        }
        return NULL;
}

static void test_many_at_once(void **state)
{
        struct fixture *f = *state;
        struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
        struct cx_etcd_watch *watch = watch_all(f->client, "/m/", "/m0", &seen);
        pthread_t threads[THREADS];
        struct writer writers[THREADS];
        for (int i = 0; i < THREADS; i++) {
                writers[i] = (struct writer){.client = f->client, .number = i};
                assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(writers[i].good, EACH);
        }
        wait_for_count(&seen, THREADS * EACH);
        assert_int_equal(seen.out_of_order, 0);
        cx_etcd_watch_free(watch);
}

static void count_bytes(void *context, struct cx_etcd_kv *kv)
{
        *(size_t *)context += kv->value_length;
}

// More than HTTP/2's windows hold, in both directions.
static void test_large(void **state)
{
        struct fixture *f = *state;
        size_t length = (size_t)1 << 20, total = 0;
        CX_CLEANUP(cx_freep) char *value = cx_alloc(3 * length);
        memset(value, 'x', 3 * length);
        for (int i = 0; i < 20; i++) {
                CX_CLEANUP(cx_freep) char *key = cx_sprintf("/l/%d", i);
                assert_int_equal(cx_etcd_put(f->client, key, value, length, 0, 0, NULL, NULL, NULL), 0);
        }
        assert_int_equal(cx_etcd_range(f->client, "/l/", "/l0", 0, 0, count_bytes, &total, NULL, NULL, NULL), 0);
        assert_int_equal(total, 20 * length);
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(cx_etcd_put(f->client, "/l/big", value, 3 * length, 0, 0, NULL, NULL, &err) < 0);
        assert_true(cx_error_is(&err, CX_REASON_TOO_LARGE));
}

// Nothing acknowledged is lost, the watch goes on where it was.
static void test_killed(void **state)
{
        struct fixture *f = *state;
        struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
        struct cx_etcd_watch *watch = watch_all(f->client, "/k/", "/k0", &seen);
        int64_t revision = 0;
        for (int round = 0; round < 3; round++) {
                CX_CLEANUP(cx_freep) char *before = cx_sprintf("/k/%d/before", round);
                CX_CLEANUP(cx_freep) char *after = cx_sprintf("/k/%d/after", round);
                struct cx_etcd_kv kv = {0};
                assert_int_equal(put(f->client, before, "x", 0, NULL, NULL), 0);
                kill_etcd(f);
                start_etcd(f);
                wait_until_up(f->client);
                assert_int_equal(cx_etcd_get(f->client, before, &kv, &revision, NULL), 0);
                cx_etcd_kv_release(&kv);
                assert_int_equal(put(f->client, after, "y", 0, NULL, NULL), 0);
        }
        wait_for_count(&seen, 6);
        assert_int_equal(seen.out_of_order, 0);
        cx_etcd_watch_free(watch);
}

// --- an answer in parts ---

#define PAIRS 8
#define BREAK_AFTER ((size_t)3 << 20)

// Hands on between clients and etcd, and ends a connection when so much went to clients.
struct relay {
        int port, listener, to_port;
        struct pollfd ends[2 * PAIRS + 1]; // client and server by turns, the listener last
        size_t handed;
        atomic_bool broken, over;
};

static void relay_accept(struct relay *relay)
{
        const struct sockaddr_in to = {.sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)relay->to_port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        size_t i = 0;
        while (relay->ends[i].fd >= 0)
                i += 2;
        assert_true(i < 2 * PAIRS);
        relay->ends[i].fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
        relay->ends[i + 1].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(relay->ends[i + 1].fd, (const struct sockaddr *)&to, sizeof to), 0);
}

static void relay_hand_on(struct relay *relay, size_t i)
{
        char block[16384];
        size_t other = i ^ 1U;
        ssize_t n = read(relay->ends[i].fd, block, sizeof block);
        relay->handed += i & 1U && n > 0 ? (size_t)n : 0;
        bool ends = n <= 0 || send(relay->ends[other].fd, block, (size_t)n, MSG_NOSIGNAL) != n;
        if (relay->handed > BREAK_AFTER && !atomic_exchange(&relay->broken, true))
                ends = true;
        if (!ends)
                return;
        close(relay->ends[i].fd);
        close(relay->ends[other].fd);
        relay->ends[i].fd = relay->ends[other].fd = -1;
}

static void *relay_main(void *context)
{
        struct relay *relay = context;
        while (!atomic_load(&relay->over)) {
                poll(relay->ends, 2 * PAIRS + 1, 50);
                for (size_t i = 0; i < (size_t)2 * PAIRS; i++)
                        if (relay->ends[i].fd >= 0 && relay->ends[i].revents)
                                relay_hand_on(relay, i);
                if (relay->ends[2 * PAIRS].revents)
                        relay_accept(relay);
        }
        for (size_t i = 0; i <= (size_t)2 * PAIRS; i++)
                if (relay->ends[i].fd >= 0)
                        close(relay->ends[i].fd);
        return NULL;
}

static void relay_listen(struct relay *relay)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        for (size_t i = 0; i <= (size_t)2 * PAIRS; i++)
                relay->ends[i] = (struct pollfd){.fd = -1, .events = POLLIN};
        relay->listener = relay->ends[2 * PAIRS].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(relay->listener, (struct sockaddr *)&address, length), 0);
        assert_int_equal(getsockname(relay->listener, (struct sockaddr *)&address, &length), 0);
        assert_int_equal(listen(relay->listener, PAIRS), 0);
        relay->port = ntohs(address.sin_port);
}

struct parts {
        struct seen seen;
        int64_t complete, early; // what was said to have come, and came after it
};

static void on_part(void *context, struct cx_etcd_event *events, size_t count, int64_t revision)
{
        struct parts *parts = context;
        pthread_mutex_lock(&parts->seen.lock);
        for (size_t i = 0; i < count; i++) {
                parts->seen.out_of_order += events[i].kv.mod_revision < parts->seen.last;
                parts->early += events[i].kv.mod_revision <= parts->complete;
                parts->seen.last = events[i].kv.mod_revision;
                parts->seen.count++;
        }
        parts->complete = revision;
        pthread_mutex_unlock(&parts->seen.lock);
}

// Revisions of eight events, each event of which fills a good part of an answer; returns the revision before.
static int64_t write_large(struct fixture *f, int revisions)
{
        static char value[150000];
        int64_t before = 0;
        memset(value, 'v', sizeof value - 1);
        assert_int_equal(cx_etcd_revision(f->client, &before, NULL), 0);
        for (int i = 0; i < revisions; i++) {
                struct cx_etcd_write writes[8];
                char keys[8][32];
                for (int k = 0; k < 8; k++) {
                        (void)snprintf(keys[k], sizeof keys[k], "/p/%d/%d", i, k);
                        writes[k] = (struct cx_etcd_write){keys[k], value, sizeof value - 1, 0, 0};
                }
                const struct cx_etcd_transaction t = {.writes = writes, .count = 8};
                assert_int_equal(cx_etcd_commit(f->client, &t, NULL, NULL, NULL), 0);
        }
        return before;
}

// A connection that ends between the parts of an answer: nothing comes twice, and no half revision is said to have come.
static void test_parts(void **state)
{
        struct fixture *f = *state;
        int64_t before = write_large(f, 6);
        struct relay relay = {.to_port = f->client_port};
        struct parts parts = {.seen.lock = PTHREAD_MUTEX_INITIALIZER};
        struct cx_etcd_watch_callbacks callbacks = {.on_events = on_part, .on_end = on_end, .context = &parts};
        struct cx_etcd_watch *watch = NULL;
        pthread_t thread;
        relay_listen(&relay);
        assert_int_equal(pthread_create(&thread, NULL, relay_main, &relay), 0);
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("https://127.0.0.1:%d", relay.port);
        struct cx_etcd *client = new_client(f, (const char *[]){url, NULL}, 0);
        assert_int_equal(cx_etcd_watch_new(client, "/p/", "/p0", before + 1, false, &callbacks, &watch, NULL), 0);
        wait_for_count(&parts.seen, 6 * (int64_t)8);
        assert_true(atomic_load(&relay.broken));
        assert_int_equal(parts.seen.out_of_order, 0);
        assert_int_equal(parts.early, 0);
        cx_etcd_watch_free(watch);
        cx_etcd_free(client);
        atomic_store(&relay.over, true);
        pthread_join(thread, NULL);
}

// A server that takes connections and says nothing: calls end at their deadline, and what comes after works again.
static void test_silent(void **state)
{
        struct fixture *f = *state;
        struct cx_etcd *client = new_client(f, (const char *[]){f->url, NULL}, 300 * CX_NS_PER_MS);
        CX_ERROR err = CX_ERROR_INIT;
        wait_until_up(client);
        silence_etcd(f);
        int64_t began = cx_time_monotonic();
        assert_int_equal(put(client, "/s/a", "x", 0, NULL, &err), -ETIMEDOUT);
        assert_true(cx_time_monotonic() - began >= 300 * CX_NS_PER_MS);
        kill(f->etcd, SIGCONT);
        wait_until_up(client);
        cx_etcd_free(client);
}

struct answer {
        sem_t told;
        int result;
        int64_t revision;
};

static void on_answer(void *context, int result, int64_t revision)
{
        struct answer *answer = context;
        answer->result = result;
        answer->revision = revision;
        sem_post(&answer->told);
}

static void test_async(void **state)
{
        struct fixture *f = *state;
        struct answer answer = {0};
        int64_t revision = 0;
        sem_init(&answer.told, 0, 0);
        assert_int_equal(cx_etcd_revision(f->client, &revision, NULL), 0);
        cx_etcd_revision_async(f->client, on_answer, &answer);
        sem_wait(&answer.told);
        assert_int_equal(answer.result, 0);
        assert_true(answer.revision >= revision);
        // For a process that ends: ten seconds of patience become 50 ms, for what is under way as well.
        struct cx_etcd *client = new_client(f, (const char *[]){f->url, NULL}, 10 * CX_NS_PER_S);
        wait_until_up(client);
        silence_etcd(f);
        cx_etcd_revision_async(client, on_answer, &answer);
        cx_etcd_hurry(client, 50 * CX_NS_PER_MS);
        int64_t began = cx_time_monotonic();
        sem_wait(&answer.told);
        assert_int_equal(answer.result, -EHOSTUNREACH);
        assert_true(cx_etcd_revision(client, &revision, NULL) < 0);
        assert_true(cx_time_monotonic() - began < 8 * CX_NS_PER_S);
        kill(f->etcd, SIGCONT);
        cx_etcd_free(client);
        sem_destroy(&answer.told);
}

static void test_fail_over(void **state)
{
        struct fixture *f = *state;
        CX_CLEANUP(cx_freep) char *dead = cx_sprintf("https://127.0.0.1:%d", free_port());
        struct cx_etcd *client = new_client(f, (const char *[]){dead, f->url, NULL}, 0);
        int64_t revision = 0;
        assert_int_equal(cx_etcd_revision(client, &revision, NULL), 0);
        assert_int_equal(put(client, "/f/a", "x", 0, NULL, NULL), 0);
        cx_etcd_free(client);
}

static void test_trust(void **state)
{
        struct fixture *f = *state;
        struct fixture other = *f;
        CX_CLEANUP(cx_freep) char *ca = NULL;
        CX_CLEANUP(cx_freep) char *ca_key = NULL;
        struct cx_certificate_spec spec = {.common_name = "other", .is_ca = true, .lifetime = 3600};
        assert_int_equal(cx_pki_issue(&spec, NULL, NULL, &ca, &ca_key, NULL), 0);
        other.ca = ca;
        struct cx_etcd *client = new_client(&other, (const char *[]){f->url, NULL}, 200 * CX_NS_PER_MS);
        CX_ERROR err = CX_ERROR_INIT;
        assert_true(put(client, "/t/a", "x", 0, NULL, &err) < 0);
        assert_non_null(strstr(cx_error_text(&err), "certificate"));
        cx_etcd_free(client);
}

static void test_endpoints(void **state)
{
        static const struct {
                const char *url, *host, *port, *authority; // authority NULL: refused; host NULL: a Unix socket
        } table[] = {
                {"https://127.0.0.1:2379", "127.0.0.1", "2379", "127.0.0.1:2379"},
                {"https://etcd-0.local", "etcd-0.local", "2379", "etcd-0.local"},
                {"https://[::1]:4001/", "::1", "4001", "[::1]:4001"},
                {"https://[fe80::1]", "fe80::1", "2379", "[fe80::1]"},
                {"http://127.0.0.1:80", "127.0.0.1", "80", "127.0.0.1:80"},
                {"unix:///run/csi.sock", NULL, NULL, "localhost"},
                {"unix://csi.sock", NULL, NULL, NULL},
                {"unix:///"
                 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
                 "0123456789",
                 NULL, NULL, NULL},
                {"ftp://host:1", NULL, NULL, NULL},
                {"https://", NULL, NULL, NULL},
                {"https://host:", NULL, NULL, NULL},
                {"https://host:0", NULL, NULL, NULL},
                {"https://host:65536", NULL, NULL, NULL},
                {"https://host:2379/path", NULL, NULL, NULL},
                {"https://[::1", NULL, NULL, NULL},
                {"https://host:12x", NULL, NULL, NULL},
        };
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++) {
                CX_ENDPOINT endpoint = {0};
                int r = cx_endpoint_parse(table[i].url, "2379", &endpoint, NULL);
                assert_int_equal(r, table[i].authority ? 0 : -EINVAL);
                if (r < 0)
                        continue;
                assert_string_equal(endpoint.authority, table[i].authority);
                assert_int_equal(endpoint.path != NULL, table[i].host == NULL);
                if (table[i].host) {
                        assert_string_equal(endpoint.host, table[i].host);
                        assert_string_equal(endpoint.port, table[i].port);
                }
        }
        struct cx_etcd *client;
        const struct cx_etcd_options plain = {.endpoints = (const char *[]){"http://127.0.0.1:2379", NULL}};
        assert_int_equal(cx_etcd_new(&plain, &client, NULL), -EINVAL);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_endpoints),    cmocka_unit_test(test_conditions),

                cmocka_unit_test(test_endpoints),    cmocka_unit_test(test_transactions),
                cmocka_unit_test(test_many_at_once), cmocka_unit_test(test_large),
                cmocka_unit_test(test_killed),       cmocka_unit_test(test_parts),
                cmocka_unit_test(test_silent),       cmocka_unit_test(test_async),
                cmocka_unit_test(test_fail_over),    cmocka_unit_test(test_trust),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
