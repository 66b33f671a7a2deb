// SPDX-License-Identifier: Apache-2.0
#include "libcommon/net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int cx_listen(const struct cx_address *address, int *port)
{
        struct sockaddr_storage at;
        socklen_t length = cx_address_to_socket(address, *port, &at);
        const int yes = 1;
        CX_CLEANUP(cx_closep) int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        if (at.ss_family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
        struct cx_address bound;
        if (bind(fd, (struct sockaddr *)&at, length) < 0 || listen(fd, SOMAXCONN) < 0 ||
            getsockname(fd, (struct sockaddr *)&at, &length) < 0)
                return -errno;
        if (cx_address_from_socket((struct sockaddr *)&at, &bound, port) < 0)
                return -EAFNOSUPPORT;
        return cx_steal_fd(&fd);
}

int cx_listen_unix(const char *path)
{
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        struct stat st;
        if (!*path || strlen(path) >= sizeof at.sun_path)
                return -ENAMETOOLONG;
        memcpy(at.sun_path, path, strlen(path) + 1);
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
                (void)unlink(path);
        mode_t mask = umask(077); // no threads yet
        int r = bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ? -errno : 0;
        umask(mask);
        if (r < 0)
                return r;
        return listen(fd, SOMAXCONN) < 0 ? -errno : cx_steal_fd(&fd);
}
