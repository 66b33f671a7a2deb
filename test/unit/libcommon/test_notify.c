// SPDX-License-Identifier: Apache-2.0
// What a service manager hears, over real sockets. A child plays the service.
#include "libcommon/base/alloc.h"
#include "libcommon/base/notify.h"
#include "libcommon/base/process.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define PATIENCE 60000 // ms

struct listener {
        char name[64]; // as NOTIFY_SOCKET says it
        int fd;
};

static void listener_open(struct listener *listener, bool abstract)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(listener->name, sizeof listener->name, "%s/tmp/cx-notify-%d", abstract ? "@" : "", (int)getpid());
        size_t length = strlen(listener->name);
        memcpy(address.sun_path, listener->name, length);
        if (abstract)
                address.sun_path[0] = '\0';
        listener->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener->fd, (struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract)),
                         0);
}

static void listener_close(struct listener *listener)
{
        close(listener->fd);
        if (listener->name[0] == '/')
                unlink(listener->name);
}

// The next message; "" when there is none for `wait` ms.
static const char *heard(const struct listener *listener, int wait, char to[64])
{
        struct pollfd fd = {listener->fd, POLLIN, 0};
        ssize_t n = poll(&fd, 1, wait) == 1 ? recv(listener->fd, to, 63, 0) : 0;
        to[n > 0 ? n : 0] = '\0';
        return to;
}

// A service that is ready, and lives, once the test says so: by a byte in a pipe each.
struct service {
        int ready, dead;
};

static bool told(int fd)
{
        struct pollfd p = {fd, POLLIN, 0};
        return poll(&p, 1, 0) == 1;
}

static bool is_ready(void *context)
{
        return told(((struct service *)context)->ready);
}

static bool is_alive(void *context, int64_t limit)
{
        return limit == 200 * CX_NS_PER_MS && !told(((struct service *)context)->dead);
}

static pid_t start(const struct listener *listener, const char *watchdog, struct service *service)
{
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid)
                return pid;
        setenv("NOTIFY_SOCKET", listener->name, 1);
        if (watchdog)
                setenv("WATCHDOG_USEC", watchdog, 1);
        cx_process_init();
        bool kept = getenv("NOTIFY_SOCKET") || getenv("WATCHDOG_USEC");
        const struct cx_service of = {.ready = is_ready, .alive = is_alive, .context = service};
        _exit(kept || cx_process_wait_stop_with(&of) != SIGTERM);
}

static void end(pid_t pid)
{
        int status;
        kill(pid, SIGTERM);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void ready_when_it_is(bool abstract)
{
        struct listener listener;
        char text[64];
        int ready[2], dead[2];
        assert_int_equal(pipe(ready) | pipe(dead), 0);
        listener_open(&listener, abstract);
        struct service service = {ready[0], dead[0]};
        pid_t pid = start(&listener, NULL, &service);
        assert_string_equal(heard(&listener, 100, text), "");
        assert_int_equal(write(ready[1], "", 1), 1);
        assert_string_equal(heard(&listener, PATIENCE, text), "READY=1");
        assert_string_equal(heard(&listener, 100, text), ""); // nobody asked whether it lives
        end(pid);
        assert_string_equal(heard(&listener, PATIENCE, text), "STOPPING=1");
        listener_close(&listener);
}

static void test_ready(void **state CX_UNUSED)
{
        ready_when_it_is(false);
        ready_when_it_is(true);
}

static void test_watchdog(void **state CX_UNUSED)
{
        struct listener listener;
        char text[64];
        int ready[2], dead[2];
        assert_int_equal(pipe(ready) | pipe(dead), 0);
        listener_open(&listener, true);
        struct service service = {ready[0], dead[0]};
        pid_t pid = start(&listener, "200000", &service);
        assert_string_equal(heard(&listener, 150, text), ""); // before it is ready it need not live
        assert_int_equal(write(ready[1], "", 1), 1);
        assert_string_equal(heard(&listener, PATIENCE, text), "READY=1");
        for (int i = 0; i < 3; i++)
                assert_string_equal(heard(&listener, PATIENCE, text), "WATCHDOG=1");
        assert_int_equal(write(dead[1], "", 1), 1);
        while (strcmp(heard(&listener, 1000, text), "WATCHDOG=1") == 0)
                ; // those that were on their way
        assert_string_equal(text, "");
        assert_int_equal(read(dead[0], text, 1), 1);
        assert_string_equal(heard(&listener, PATIENCE, text), "WATCHDOG=1");
        end(pid);
        listener_close(&listener);
}

// What the environment says, and whether anybody is told then.
static void test_environment(void **state CX_UNUSED)
{
        static const struct {
                const char *socket, *period, *pid;
                bool wanted;
                int64_t watchdog;
        } rows[] = {
                {NULL, "1000", NULL, false, 0},
                {"", NULL, NULL, false, 0},
                {"relative", NULL, NULL, false, 0},
                {"@", NULL, NULL, false, 0},
                {"/run/a", NULL, NULL, true, 0},
                {"@a", "3000000", NULL, true, 3 * CX_NS_PER_S},
                {"@a", "0", NULL, true, 0},
                {"@a", "-1", NULL, true, 0},
                {"@a", "x", NULL, true, 0},
                {"@a", "3000000", "1", true, 0},
                {"/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
                 "01234567",
                 NULL, NULL, false, 0},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(rows); i++) {
                const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
                const char *const values[] = {rows[i].socket, rows[i].period, rows[i].pid};
                for (size_t k = 0; k < CX_ARRAY_SIZE(names); k++)
                        if (values[k])
                                setenv(names[k], values[k], 1);
                cx_notify_init();
                assert_int_equal(cx_notify_wanted(), rows[i].wanted);
                assert_int_equal(cx_notify_watchdog(), rows[i].watchdog);
                for (size_t k = 0; k < CX_ARRAY_SIZE(names); k++)
                        assert_null(getenv(names[k]));
        }
        setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
        cx_notify_init();
        assert_int_equal(cx_notify("READY=1"), -ENOENT);
        cx_notify_init();
        assert_int_equal(cx_notify("READY=1"), 0);
}

static void test_pulse(void **state CX_UNUSED)
{
        struct cx_pulse pulse = {0};
        assert_true(cx_pulse_alive(&pulse, 0));
        cx_pulse_begin(&pulse);
        assert_true(cx_pulse_alive(&pulse, 3600 * CX_NS_PER_S));
        assert_false(cx_pulse_alive(&pulse, -1));
        cx_pulse_end(&pulse);
        assert_true(cx_pulse_alive(&pulse, 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ready),
                cmocka_unit_test(test_watchdog),
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_pulse),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
