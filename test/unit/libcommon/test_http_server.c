// SPDX-License-Identifier: Apache-2.0
// The server's limits, in cleartext and with short times: slow clients, too many of them, bodies, clients that leave.
// (test/integration/apiserver/hostile.py has the same with TLS and the real times.)

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/net/http_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define PATIENCE_MS 60000
#define MAX_CONNECTIONS 20

static struct {
        struct cx_http_server *server;
        atomic_int begun, released;
        atomic_bool let_go;
        bool left; // atomic
} world;

static ssize_t never(void *context, uint64_t offset, char *to, size_t max)
{
        (void)context;
        (void)offset;
        (void)to;
        (void)max;
        return CX_HTTP_STREAM_WAIT;
}

static ssize_t forever(void *context, uint64_t offset, char *to, size_t max)
{
        (void)context;
        (void)offset;
        memset(to, 'x', max);
        return (ssize_t)max;
}

static void released(void *context)
{
        (void)context;
        atomic_fetch_add(&world.released, 1);
}

static void handle(struct cx_http_request *request, void *context)
{
        (void)context;
        const char *path = cx_http_path(request);
        if (cx_streq(path, "/sleep") || cx_streq(path, "/endless")) {
                struct cx_http_stream_source source = {.read = path[1] == 's' ? never : forever, .release = released};
                cx_http_stream_unref(cx_http_respond_stream(request, 200, "text/plain", -1, &source));
        } else if (cx_streq(path, "/hang")) {
                cx_http_notice_leaving(request, &world.left);
                atomic_store(&world.begun, 1);
                for (int i = 0; i < PATIENCE_MS && !__atomic_load_n(&world.left, __ATOMIC_ACQUIRE); i++)
                        usleep(1000);
                cx_http_notice_leaving(request, NULL);
                cx_http_respond_text(request, 200, "late");
        } else {
                for (int i = 0; i < PATIENCE_MS && path[1] == 'h' && !atomic_load(&world.let_go); i++)
                        usleep(1000);
                cx_http_respond_text(request, 200, "ok");
        }
}

static int setup(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        struct cx_http_server_options options = {.address = "127.0.0.1",
                                                 .handler = handle,
                                                 .workers = 2,
                                                 .max_body = 100000,
                                                 .max_bodies = 250000,
                                                 .max_connections = MAX_CONNECTIONS,
                                                 .head_timeout = CX_NS_PER_S,
                                                 .body_timeout = CX_NS_PER_S,
                                                 .send_timeout = CX_NS_PER_S};
        return cx_http_server_new(&options, &world.server, &err);
}

static int teardown(void **state)
{
        (void)state;
        cx_http_server_free(world.server);
        return 0;
}

static int dial(const char *text)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)cx_http_server_port(world.server))};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
        return fd;
}

static bool is_cut(int fd, int ms)
{
        struct pollfd entry = {.fd = fd, .events = POLLRDHUP};
        return poll(&entry, 1, ms) > 0;
}

// The status of the answer; 0 when the connection ends without one.
static int status(int fd)
{
        char text[4096];
        size_t have = 0;
        while (have < 12) {
                struct pollfd entry = {.fd = fd, .events = POLLIN};
                assert_int_equal(poll(&entry, 1, PATIENCE_MS), 1);
                ssize_t n = recv(fd, text + have, sizeof text - have, 0);
                if (n <= 0)
                        return 0;
                have += (size_t)n;
        }
        int64_t code = 0;
        text[12] = 0;
        return cx_parse_int(text + 9, 100, 999, &code) == 0 ? (int)code : -1;
}

// Byte by byte until the server has enough.
static void test_trickles(void **state)
{
        static const char *const starts[] = {"", "GET /", "GET / HTTP/1.1\r\nHost: x\r\nA: ",
                                             "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(starts); i++) {
                int fd = dial(starts[i]), tries = 0;
                for (; !is_cut(fd, 20) && tries < PATIENCE_MS / 20; tries++)
                        if (send(fd, "a", 1, MSG_NOSIGNAL) < 0)
                                break;
                assert_true(tries > 10 && tries < PATIENCE_MS / 20);
                close(fd);
        }
        int fd = dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); // an idle one is left alone
        assert_int_equal(status(fd), 200);
        assert_false(is_cut(fd, 3000));
        close(fd);
}

static void test_nobody_reads(void **state)
{
        (void)state;
        int before = atomic_load(&world.released), fd = dial("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(is_cut(fd, PATIENCE_MS));
        close(fd);
        for (int i = 0; i < PATIENCE_MS && atomic_load(&world.released) == before; i++)
                usleep(1000);
        assert_int_equal(atomic_load(&world.released), before + 1);
}

static void test_clients_leave(void **state)
{
        (void)state;
        int before = atomic_load(&world.released), fd = dial("GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(status(fd), 200);
        close(fd);
        for (int i = 0; i < PATIENCE_MS && atomic_load(&world.released) == before; i++)
                usleep(1000);
        assert_int_equal(atomic_load(&world.released), before + 1);
        fd = dial("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
        for (int i = 0; i < PATIENCE_MS && !atomic_load(&world.begun); i++)
                usleep(1000);
        close(fd);
        for (int i = 0; i < PATIENCE_MS && !__atomic_load_n(&world.left, __ATOMIC_ACQUIRE); i++)
                usleep(1000);
        assert_true(__atomic_load_n(&world.left, __ATOMIC_ACQUIRE));
}

static void test_too_many(void **state)
{
        int fds[2 * MAX_CONNECTIONS], cut = 0;
        (void)state;
        for (int i = 0; i < PATIENCE_MS; i++) { // those of the tests before are gone
                int fd = dial("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), code = status(fd);
                close(fd);
                if (code == 200)
                        break;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(fds); i++)
                fds[i] = dial("");
        for (int rounds = 0; rounds < 100 && cut < MAX_CONNECTIONS; rounds++) {
                cut = 0;
                for (size_t i = 0; i < CX_ARRAY_SIZE(fds); i++)
                        cut += is_cut(fds[i], rounds ? 10 : 0);
        }
        assert_true(cut >= MAX_CONNECTIONS);
        for (size_t i = 0; i < CX_ARRAY_SIZE(fds); i++)
                close(fds[i]);
        int code = 0;
        for (int i = 0; i < PATIENCE_MS && code != 200; i++) {
                int fd = dial("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                code = status(fd);
                close(fd);
        }
        assert_int_equal(code, 200);
}

static void test_bodies(void **state)
{
        static const struct {
                const char *head;
                int code;
        } cases[] = {{"Content-Length: 100001\r\nExpect: 100-continue\r\n", 413},
                     {"Content-Length: 99999999\r\n", 413},
                     {"Content-Length: 5\r\nContent-Length: 6\r\n", 400},
                     {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
                     {"Transfer-Encoding: gzip\r\n", 501},
                     {"Host: y\r\nContent-Length: 2\r\n", 400},
                     {"Expect: more\r\nContent-Length: 2\r\n", 417}};
        (void)state;
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                CX_CLEANUP(cx_freep) char *text = cx_sprintf("POST / HTTP/1.1\r\nHost: x\r\n%s\r\n", cases[i].head);
                int fd = dial(text);
                assert_int_equal(status(fd), cases[i].code);
                assert_true(is_cut(fd, PATIENCE_MS));
                close(fd);
        }
        // Four bodies of 90,000 bytes at once are more than 250,000: while the first are held, one at least is refused.
        CX_CLEANUP(cx_freep) char *body = cx_alloc(90000);
        struct pollfd fds[4];
        int codes[2] = {0};
        memset(body, ' ', 90000);
        for (size_t i = 0; i < CX_ARRAY_SIZE(fds); i++) {
                int fd = dial("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n");
                fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
                for (size_t sent = 0; sent < 90000;) {
                        ssize_t n = send(fd, body + sent, 90000 - sent, MSG_NOSIGNAL);
                        assert_true(n > 0);
                        sent += (size_t)n;
                }
        }
        assert_true(poll(fds, CX_ARRAY_SIZE(fds), PATIENCE_MS) > 0);
        atomic_store(&world.let_go, true);
        for (size_t i = 0; i < CX_ARRAY_SIZE(fds); i++) {
                int code = status(fds[i].fd);
                assert_true(code == 200 || code == 429);
                codes[code == 429]++;
                close(fds[i].fd);
        }
        assert_true(codes[0] >= 1 && codes[1] >= 1);
}

// An I/O thread that hangs until the test lets it go.
static bool hang(struct cx_http_request *request, void *context)
{
        bool hangs = cx_streq(cx_http_path(request), "/hang");
        atomic_store(&world.begun, hangs);
        for (int i = 0; i < PATIENCE_MS && hangs && !atomic_load((atomic_bool *)context); i++)
                usleep(1000);
        cx_http_respond_text(request, 200, "ok");
        return true;
}

static void test_alive(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        atomic_bool let_go = false;
        struct cx_http_server *usual = world.server;
        const struct cx_http_server_options options = {
                .address = "0.0.0.0", .io_threads = 1, .workers = 1, .handler_inline = hang, .context = &let_go};
        assert_int_equal(cx_http_server_new(&options, &world.server, &err), 0);
        assert_true(cx_http_server_alive(world.server, PATIENCE_MS * CX_NS_PER_MS));
        atomic_store(&world.begun, 0);
        int fd = dial("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
        for (int i = 0; i < PATIENCE_MS && !atomic_load(&world.begun); i++)
                usleep(1000);
        assert_false(cx_http_server_alive(world.server, 100 * CX_NS_PER_MS));
        atomic_store(&let_go, true);
        assert_int_equal(status(fd), 200);
        assert_true(cx_http_server_alive(world.server, PATIENCE_MS * CX_NS_PER_MS));
        close(fd);
        cx_http_server_free(world.server);
        world.server = usual;
}

// Workers that are all taken, and strangers who hold every connection, do not make a server look dead.
static void test_alive_though_busy(void **state)
{
        int fds[MAX_CONNECTIONS];
        (void)state;
        atomic_store(&world.let_go, false);
        for (int i = 0; i < 2; i++)
                fds[i] = dial("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(cx_http_server_alive(world.server, PATIENCE_MS * CX_NS_PER_MS));
        for (int i = 2; i < MAX_CONNECTIONS; i++)
                fds[i] = dial("");
        assert_true(cx_http_server_alive(world.server, PATIENCE_MS * CX_NS_PER_MS));
        atomic_store(&world.let_go, true);
        for (int i = 0; i < MAX_CONNECTIONS; i++)
                close(fds[i]);
}

static int count_workers(void)
{
        int count = 0;
        char path[300], name[32];
        DIR *folder = opendir("/proc/self/task");
        for (struct dirent *entry; folder && (entry = readdir(folder));) {
                (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
                FILE *file = fopen(path, "re");
                count += file && fgets(name, sizeof name, file) && cx_streq(name, "http-worker\n");
                if (file)
                        fclose(file);
        }
        if (folder)
                closedir(folder);
        return count;
}

// A thread may be there a little longer than it works, and without its name at first.
static bool workers_become(int count)
{
        for (int i = 0; i < PATIENCE_MS && count_workers() != count; i++)
                usleep(1000);
        return count_workers() == count;
}

static void handle_counted(struct cx_http_request *request, void *context)
{
        (void)context;
        atomic_fetch_add(&world.begun, 1);
        for (int i = 0; i < PATIENCE_MS && !atomic_load(&world.let_go); i++)
                usleep(1000);
        cx_http_respond_text(request, 200, "ok");
}

// There are as many workers as requests at once, up to the limit; others wait. One stays when nothing is to be done.
static void test_workers(void **state)
{
        (void)state;
        CX_ERROR err = CX_ERROR_INIT;
        cx_http_server_free(cx_steal(&world.server));
        const struct cx_http_server_options options = {.address = "0.0.0.0", .workers = 4, .handler = handle_counted};
        int fds[7];
        assert_true(workers_become(0));
        assert_int_equal(cx_http_server_new(&options, &world.server, &err), 0);
        for (int round = 0; round < 2; round++) {
                atomic_store(&world.begun, 0);
                atomic_store(&world.let_go, false);
                for (int i = 0; i < 7; i++)
                        fds[i] = dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                for (int i = 0; i < PATIENCE_MS && atomic_load(&world.begun) < 4; i++)
                        usleep(1000);
                assert_int_equal(atomic_load(&world.begun), 4);
                assert_true(workers_become(4));
                atomic_store(&world.let_go, true);
                for (int i = 0; i < 7; i++) {
                        assert_int_equal(status(fds[i]), 200);
                        close(fds[i]);
                }
                assert_int_equal(atomic_load(&world.begun), 7);
                assert_true(workers_become(1));
        }
        cx_http_server_free(cx_steal(&world.server));
        assert_true(workers_become(0));
        assert_int_equal(setup(NULL), 0);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_trickles),
                                           cmocka_unit_test(test_nobody_reads),
                                           cmocka_unit_test(test_clients_leave),
                                           cmocka_unit_test(test_too_many),
                                           cmocka_unit_test(test_bodies),
                                           cmocka_unit_test(test_alive),
                                           cmocka_unit_test(test_alive_though_busy),
                                           cmocka_unit_test(test_workers)};
        return cmocka_run_group_tests(tests, setup, teardown);
}
