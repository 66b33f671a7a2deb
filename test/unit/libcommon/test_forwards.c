// SPDX-License-Identifier: Apache-2.0
// Forwarded connections from end to end within a process: sockets, a client's engine, SPDY over a pair of sockets, a server's
// engine, an echo.
#include "libcommon/net/forwards.h"

#include "libcommon/net/streams_internal.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ECHO 80
#define ABSENT 81
#define MUTE 82 // ends at once
#define SLOW 83 // is made when the gate opens
#define MANY 100

struct place {
        struct cx_streams *client, *server;
        struct cx_wire *server_wire;
        struct cx_forward_listener listeners[4];
        int echo; // a listening socket
        int gate; // an eventfd
        pthread_t threads[3];
        int accepted, failed; // atomic
        bool ends;            // with the next failure; atomic
        char why[256];
};

// --- an echo ---------------------------------------------------------------------------------------------------------

static void *echo_one(void *context)
{
        int fd = (int)(intptr_t)context;
        char block[10000];
        ssize_t n;
        while ((n = read(fd, block, sizeof block)) > 0)
                for (ssize_t done = 0; done < n;) {
                        ssize_t m = send(fd, block + done, (size_t)(n - done), MSG_NOSIGNAL);
                        if (m <= 0)
                                goto out;
                        done += m;
                }
out:
        close(fd);
        return NULL;
}

static void *echo_all(void *context)
{
        const struct place *p = context;
        for (int fd; (fd = accept(p->echo, NULL, NULL)) >= 0;) {
                pthread_t thread;
                if (pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)fd) == 0)
                        pthread_detach(thread);
        }
        return NULL;
}

static int listen_somewhere(void)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(listen(fd, 2 * MANY), 0);
        return fd;
}

static int connect_to(int listener)
{
        struct sockaddr_in at;
        socklen_t length = sizeof at;
        getsockname(listener, (struct sockaddr *)&at, &length);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
                return fd;
        close(fd);
        return -1;
}

// --- the two ends ----------------------------------------------------------------------------------------------------

static int dial(void *context, int port, struct cx_buf *why)
{
        struct place *p = context;
        int pair[2];
        struct pollfd gate = {p->gate, POLLIN, 0};
        if (port == SLOW && poll(&gate, 1, 60000) != 1)
                return -ETIMEDOUT;
        if (port == ECHO || port == SLOW)
                return connect_to(p->echo);
        if (port == MUTE && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
                close(pair[1]);
                return pair[0];
        }
        cx_buf_add(why, "nobody listens");
        return -ECONNREFUSED;
}

static void accepted(void *context, const struct cx_forward_listener *listener)
{
        (void)listener;
        __atomic_add_fetch(&((struct place *)context)->accepted, 1, __ATOMIC_RELAXED);
}

static bool failed(void *context, const struct cx_forward_listener *listener, const char *why)
{
        struct place *p = context;
        snprintf(p->why, sizeof p->why, "%d: %s", listener->port, why);
        __atomic_add_fetch(&p->failed, 1, __ATOMIC_RELEASE);
        return __atomic_load_n(&p->ends, __ATOMIC_ACQUIRE);
}

static void *run_server(void *context)
{
        struct place *p = context;
        cx_forwards_run(&(struct cx_forwards_options){.streams = p->server, .dial = dial, .context = p});
        cx_streams_free(p->server);
        cx_wire_free(p->server_wire); // the client sees the end
        return NULL;
}

static void *run_client(void *context)
{
        struct place *p = context;
        cx_forwards_run(&(struct cx_forwards_options){.streams = p->client,
                                                      .listeners = p->listeners,
                                                      .n_listeners = 4,
                                                      .accepted = accepted,
                                                      .failed = failed,
                                                      .context = p});
        cx_streams_free(p->client);
        return NULL;
}

static int set_up(void **state)
{
        static const int ports[] = {ECHO, ABSENT, MUTE, SLOW};
        struct place *p = cx_alloc(sizeof *p);
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -1;
        p->server_wire = cx_wire_socket(pair[0], true);
        p->server = cx_streams_spdy(p->server_wire, true, "portforward.k8s.io");
        p->client = cx_streams_spdy(cx_wire_socket(pair[1], true), false, "portforward.k8s.io");
        p->echo = listen_somewhere();
        p->gate = eventfd(0, EFD_CLOEXEC);
        for (int i = 0; i < 4; i++)
                p->listeners[i] = (struct cx_forward_listener){listen_somewhere(), 0, ports[i]};
        pthread_create(&p->threads[0], NULL, echo_all, p);
        pthread_create(&p->threads[1], NULL, run_server, p);
        pthread_create(&p->threads[2], NULL, run_client, p);
        *state = p;
        return 0;
}

// A failure ends the client's engine, and that the server's.
static int tear_down(void **state)
{
        struct place *p = *state;
        __atomic_store_n(&p->ends, true, __ATOMIC_RELEASE);
        int fd = connect_to(p->listeners[1].fd);
        for (int i = 1; i < 3; i++)
                pthread_join(p->threads[i], NULL);
        close(fd);
        (void)shutdown(p->echo, SHUT_RDWR);
        pthread_join(p->threads[0], NULL);
        close(p->echo);
        close(p->gate);
        for (int i = 0; i < 4; i++)
                close(p->listeners[i].fd);
        free(p);
        return 0;
}

// --- tests -----------------------------------------------------------------------------------------------------------

struct talk {
        struct place *place;
        int number;
        size_t size;
        bool good;
        int fd;
};

static char byte_at(int number, size_t at)
{
        return (char)(at * 31 + at / 251 + (size_t)number);
}

static void *say(void *context)
{
        struct talk *t = context;
        char block[3000];
        for (size_t done = 0; done < t->size;) {
                size_t n = t->size - done < sizeof block ? t->size - done : sizeof block;
                for (size_t i = 0; i < n; i++)
                        block[i] = byte_at(t->number, done + i);
                ssize_t sent = send(t->fd, block, n, MSG_NOSIGNAL);
                if (sent <= 0)
                        break;
                done += (size_t)sent;
        }
        (void)shutdown(t->fd, SHUT_WR);
        return NULL;
}

static void *talk(void *context)
{
        struct talk *t = context;
        pthread_t thread;
        char block[3000];
        size_t got = 0;
        t->fd = connect_to(t->place->listeners[0].fd);
        pthread_create(&thread, NULL, say, t);
        t->good = true;
        for (ssize_t n; (n = read(t->fd, block, sizeof block)) > 0;)
                for (ssize_t i = 0; i < n; i++)
                        t->good &= block[i] == byte_at(t->number, got++);
        t->good &= got == t->size;
        pthread_join(thread, NULL);
        close(t->fd);
        return NULL;
}

static void talk_at_once(struct place *p, int count, size_t size)
{
        struct talk *talks = cx_alloc_array((size_t)count, sizeof *talks);
        pthread_t *threads = cx_alloc_array((size_t)count, sizeof *threads);
        for (int i = 0; i < count; i++) {
                talks[i] = (struct talk){.place = p, .number = i, .size = size};
                assert_int_equal(pthread_create(&threads[i], NULL, talk, &talks[i]), 0);
        }
        for (int i = 0; i < count; i++) {
                pthread_join(threads[i], NULL);
                if (!talks[i].good)
                        fail_msg("connection %d", i);
        }
        free(talks);
        free(threads);
}

static void one(void **state)
{
        talk_at_once(*state, 1, 5000000);
}

static void many(void **state)
{
        struct place *p = *state;
        talk_at_once(p, MANY, 30000);
        talk_at_once(p, MANY, 10);
        assert_int_equal(__atomic_load_n(&p->accepted, __ATOMIC_RELAXED), 2 * MANY);
}

static bool has_ended(int fd)
{
        struct pollfd e = {fd, POLLIN, 0};
        char byte;
        return poll(&e, 1, 60000) == 1 && read(fd, &byte, 1) <= 0;
}

static void absent(void **state)
{
        struct place *p = *state;
        int fd = connect_to(p->listeners[1].fd);
        assert_true(has_ended(fd));
        close(fd);
        for (int i = 0; i < 6000 && !__atomic_load_n(&p->failed, __ATOMIC_ACQUIRE); i++)
                (void)poll(NULL, 0, 10);
        assert_string_equal(p->why, "81: nobody listens");
        talk_at_once(p, 1, 1000); // the session goes on
}

// What the peer ends is ended here; what leaves here without reading holds nothing up.
static void early_ends(void **state)
{
        struct place *p = *state;
        int fd = connect_to(p->listeners[2].fd);
        assert_true(has_ended(fd));
        close(fd);
        const struct linger at_once = {.l_onoff = 1};
        char block[20000] = "";
        for (int i = 0; i < 20; i++) {
                fd = connect_to(p->listeners[0].fd);
                assert_int_equal(send(fd, block, sizeof block, MSG_NOSIGNAL), sizeof block);
                (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
                close(fd);
        }
        talk_at_once(p, 2, 100000);
}

// A connection that takes long to make holds up no other, and gets all that was sent to it meanwhile.
static void slow(void **state)
{
        struct place *p = *state;
        char block[50000], back[1000];
        for (size_t i = 0; i < sizeof block; i++)
                block[i] = byte_at(5, i);
        int fd = connect_to(p->listeners[3].fd), other = connect_to(p->listeners[3].fd);
        assert_int_equal(send(fd, block, sizeof block, MSG_NOSIGNAL), sizeof block);
        (void)shutdown(fd, SHUT_WR);
        close(other); // leaves before it is made
        talk_at_once(p, 5, 100000);
        assert_int_equal(eventfd_write(p->gate, 1), 0);
        size_t got = 0;
        for (ssize_t n; (n = read(fd, back, sizeof back)) > 0;)
                for (ssize_t i = 0; i < n; i++, got++)
                        assert_int_equal(back[i], byte_at(5, got));
        assert_int_equal(got, sizeof block);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(one, set_up, tear_down),
                cmocka_unit_test_setup_teardown(many, set_up, tear_down),
                cmocka_unit_test_setup_teardown(absent, set_up, tear_down),
                cmocka_unit_test_setup_teardown(early_ends, set_up, tear_down),
                cmocka_unit_test_setup_teardown(slow, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
