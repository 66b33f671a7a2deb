// SPDX-License-Identifier: Apache-2.0
// A small web server for tests: "/" says hello (or $GREETING) with its pod's name and version, "/error" makes it exit with 1,
// "/healthz" answers ok (or 500 once the file /tmp/unhealthy exists), "/slow" answers after a second, "/env" shows its
// environment. On SIGTERM it answers what has begun and ends.
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "v1"
#endif

extern char **environ;
static int listener = -1, busy;

static void answer(int fd, int code, const char *text)
{
        char head[160];
        int n = snprintf(head, sizeof head,
                         "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                         "Connection: close\r\n\r\n",
                         code, code == 200 ? "OK" : "Error", strlen(text));
        if (write(fd, head, (size_t)n) < 0 || write(fd, text, strlen(text)) < 0)
                return;
        shutdown(fd, SHUT_WR);
}

static void serve_env(int fd)
{
        static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
        if (write(fd, head, sizeof head - 1) < 0)
                return;
        for (char **e = environ; *e; e++)
                dprintf(fd, "%s\n", *e);
        shutdown(fd, SHUT_WR);
}

static void *serve(void *context)
{
        int fd = (int)(long)context;
        char request[4096];
        size_t n = 0;
        while (n < sizeof request - 1) {
                ssize_t got = read(fd, request + n, sizeof request - 1 - n);
                if (got <= 0)
                        break;
                n += (size_t)got;
                request[n] = '\0';
                if (strstr(request, "\r\n\r\n"))
                        break;
        }
        request[n] = '\0';
        char path[256] = "";
        sscanf(request, "%*15s %255s", path);
        if (strcmp(path, "/error") == 0) {
                answer(fd, 500, "Goodbye\n");
                fprintf(stderr, "asked to fail\n");
                exit(1);
        }
        if (strcmp(path, "/healthz") == 0) {
                int bad = access("/tmp/unhealthy", F_OK) == 0;
                answer(fd, bad ? 500 : 200, bad ? "unhealthy\n" : "ok\n");
        } else if (strcmp(path, "/env") == 0) {
                serve_env(fd);
        } else if (strcmp(path, "/") == 0 || strcmp(path, "/slow") == 0) {
                if (path[1])
                        sleep(1);
                char text[512], name[256] = "";
                const char *pod = getenv("POD_NAME"), *greeting = getenv("GREETING");
                gethostname(name, sizeof name - 1);
                snprintf(text, sizeof text, "%s from %s, version %s\n", greeting ? greeting : "Hello", pod ? pod : name,
                         VERSION);
                answer(fd, 200, text);
                printf("GET %s\n", path);
                fflush(stdout);
        } else {
                answer(fd, 404, "not found\n");
        }
        char rest[256]; // let the client close first, so that nothing it has not read is reset
        while (read(fd, rest, sizeof rest) > 0)
                ;
        close(fd);
        __atomic_sub_fetch(&busy, 1, __ATOMIC_ACQ_REL);
        return NULL;
}

static void stop(int number)
{
        (void)number;
        shutdown(listener, SHUT_RD);
}

int main(void)
{
        const char *port = getenv("PORT");
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((unsigned short)(port ? atoi(port) : 8080))};
        int one = 1;
        signal(SIGPIPE, SIG_IGN);
        signal(SIGTERM, stop);
        listener = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1024) < 0) {
                perror("listen");
                return 1;
        }
        printf("hello %s listens on %d\n", VERSION, ntohs(address.sin_port));
        fflush(stdout);
        for (;;) {
                int fd = accept(listener, NULL, NULL);
                if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
                        continue;
                if (fd < 0)
                        break;
                __atomic_add_fetch(&busy, 1, __ATOMIC_ACQ_REL);
                pthread_t thread;
                pthread_attr_t small;
                pthread_attr_init(&small);
                pthread_attr_setstacksize(&small, 65536);
                pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
                if (pthread_create(&thread, &small, serve, (void *)(long)fd) != 0) {
                        __atomic_sub_fetch(&busy, 1, __ATOMIC_ACQ_REL);
                        close(fd);
                }
        }
        for (int i = 0; i < 500 && __atomic_load_n(&busy, __ATOMIC_ACQUIRE); i++)
                usleep(10000);
        return 0;
}
