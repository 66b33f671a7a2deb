// SPDX-License-Identifier: Apache-2.0
// gRPC without TLS, over a Unix socket and by a connect function of the caller's, against a real etcd's health service.
#include "libcommon/base/macro.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/net/grpc.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern char **environ;

struct fixture {
        char folder[32];
        int port, peer_port;
        pid_t etcd;
};

static int dial_port(int port)
{
        const struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
                return fd;
        int r = -errno;
        close(fd);
        return r;
}

static int free_port(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        CX_CLEANUP(cx_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
        return ntohs(address.sin_port);
}

static int set_up(void **state)
{
        struct fixture *f = cx_alloc(sizeof *f);
        (void)snprintf(f->folder, sizeof f->folder, "/tmp/grpc-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        f->port = free_port();
        f->peer_port = free_port();
        CX_CLEANUP(cx_freep) char *client = cx_sprintf("http://127.0.0.1:%d", f->port);
        CX_CLEANUP(cx_freep) char *peer = cx_sprintf("http://127.0.0.1:%d", f->peer_port);
        CX_CLEANUP(cx_freep) char *cluster = cx_sprintf("default=%s", peer);
        const char *const argv[] = {"etcd",    "--data-dir",
                                    f->folder, "--listen-client-urls",
                                    client,    "--advertise-client-urls",
                                    client,    "--listen-peer-urls",
                                    peer,      "--initial-advertise-peer-urls",
                                    peer,      "--initial-cluster",
                                    cluster,   "--log-level",
                                    "panic",   NULL};
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        assert_int_equal(posix_spawnp(&f->etcd, "etcd", &actions, NULL, (char *const *)argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        kill(f->etcd, SIGKILL);
        waitpid(f->etcd, NULL, 0);
        const char *const argv[] = {"rm", "-rf", "--", f->folder, NULL};
        pid_t pid;
        if (posix_spawnp(&pid, "rm", NULL, NULL, (char *const *)argv, environ) == 0)
                waitpid(pid, NULL, 0);
        free(f);
        return 0;
}

// Asks until the server is there; HealthCheckResponse{status: SERVING} is two bytes.
static void check_serving(const struct cx_grpc_options *options)
{
        struct cx_grpc *grpc;
        assert_int_equal(cx_grpc_new(options, &grpc, NULL), 0);
        struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
        int64_t deadline = cx_time_monotonic() + 60 * CX_NS_PER_S;
        do {
                cx_grpc_result_release(&result);
                cx_grpc_unary(grpc, "/grpc.health.v1.Health/Check", "", 0, 5 * CX_NS_PER_S, &result);
        } while (result.status != 0 && cx_time_monotonic() < deadline);
        assert_int_equal(result.status, 0);
        assert_int_equal(result.message.length, 2);
        assert_memory_equal(result.message.data, "\x08\x01", 2);
        cx_grpc_result_release(&result);
        cx_grpc_unary(grpc, "/grpc.health.v1.Health/None", "", 0, 60 * CX_NS_PER_S, &result);
        assert_int_equal(result.status, 12); // UNIMPLEMENTED
        cx_grpc_result_release(&result);
        cx_grpc_free(grpc);
}

static void test_cleartext(void **state)
{
        const struct fixture *f = *state;
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("http://127.0.0.1:%d", f->port);
        check_serving(&(struct cx_grpc_options){
                .peer = "etcd", .endpoints = (const char *[]){url, NULL}, .max_message = 4096});
}

// --- a connect function ---

static int connect_there(void *context, const char *host, const char *port, int64_t deadline CX_UNUSED,
                         int cancel_fd CX_UNUSED)
{
        const struct fixture *f = context;
        assert_string_equal(host, "somewhere.else");
        assert_string_equal(port, "7");
        int fd = dial_port(f->port);
        if (fd >= 0)
                assert_true(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        return fd;
}

static void test_connect(void **state)
{
        check_serving(&(struct cx_grpc_options){.peer = "etcd",
                                                .endpoints = (const char *[]){"http://somewhere.else:7", NULL},
                                                .dial = {.connect = connect_there, .context = *state},
                                                .max_message = 4096});
}

// --- a Unix socket, whose bytes go on to the server ---

struct relay {
        int listener, port;
};

static void pass_on(int a, int b)
{
        struct pollfd fds[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
        char block[4096];
        while (poll(fds, 2, -1) > 0) {
                for (int i = 0; i < 2; i++) {
                        ssize_t n = fds[i].revents ? read(fds[i].fd, block, sizeof block) : -1;
                        if (fds[i].revents && (n <= 0 || write(fds[1 - i].fd, block, (size_t)n) != n))
                                return;
                }
        }
}

static void *relay_main(void *context)
{
        const struct relay *relay = context;
        int near;
        while ((near = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                int far = dial_port(relay->port);
                if (far >= 0) {
                        pass_on(near, far);
                        close(far);
                }
                close(near);
        }
        return NULL;
}

static void test_unix(void **state)
{
        const struct fixture *f = *state;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct relay relay = {.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .port = f->port};
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s.sock", f->folder);
        assert_int_equal(bind(relay.listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(relay.listener, 4), 0);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, relay_main, &relay), 0);
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("unix://%s", address.sun_path);
        check_serving(&(struct cx_grpc_options){
                .peer = "the driver", .endpoints = (const char *[]){url, NULL}, .max_message = 4096});
        shutdown(relay.listener, SHUT_RDWR);
        pthread_join(thread, NULL);
        close(relay.listener);
        unlink(address.sun_path);
}

static void test_refused(void **state)
{
        (void)state;
        CX_CLEANUP(cx_freep) char *url = cx_sprintf("http://127.0.0.1:%d", free_port());
        struct cx_grpc *grpc;
        const struct cx_grpc_options options = {
                .peer = "it", .endpoints = (const char *[]){url, NULL}, .max_message = 4096};
        assert_int_equal(cx_grpc_new(&options, &grpc, NULL), 0);
        struct cx_grpc_result result = CX_GRPC_RESULT_INIT;
        cx_grpc_unary(grpc, "/grpc.health.v1.Health/Check", "", 0, 60 * CX_NS_PER_S, &result);
        assert_int_equal(result.status, -1);
        assert_true(result.unsent);
        assert_non_null(strstr(result.text, "Connection refused"));
        cx_grpc_result_release(&result);
        cx_grpc_free(grpc);
}

int main(void)
{
        cx_process_init();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cleartext),
                cmocka_unit_test(test_connect),
                cmocka_unit_test(test_unix),
                cmocka_unit_test(test_refused),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
