// SPDX-License-Identifier: Apache-2.0
// The socket's address is the one thing that is kept: written once before threads start, and only read from then on.
#include "libcommon/base/notify.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/strings.h"

#include <sys/socket.h>
#include <sys/un.h>

static struct {
        struct sockaddr_un address;
        socklen_t length; // 0: nobody wants to know
        int64_t watchdog;
} manager;

// "/path", or "@name" in the abstract name space.
static void take_socket(const char *text)
{
        size_t length = strlen(text);
        struct sockaddr_un *to = &manager.address;
        if ((text[0] != '/' && text[0] != '@') || length < 2 || length >= sizeof to->sun_path)
                return;
        to->sun_family = AF_UNIX;
        memcpy(to->sun_path, text, length);
        bool abstract = text[0] == '@';
        if (abstract)
                to->sun_path[0] = '\0';
        manager.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
}

void cx_notify_init(void)
{
        const char *socket_name = getenv("NOTIFY_SOCKET"), *period = getenv("WATCHDOG_USEC"),
                   *pid = getenv("WATCHDOG_PID");
        int64_t us, watched;
        memset(&manager, 0, sizeof manager);
        if (socket_name)
                take_socket(socket_name);
        bool ours = !pid || (cx_parse_int(pid, 1, INT32_MAX, &watched) == 0 && watched == getpid());
        if (manager.length && ours && period && cx_parse_int(period, 1, INT64_MAX / 1000, &us) == 0)
                manager.watchdog = us * 1000;
        (void)unsetenv("NOTIFY_SOCKET");
        (void)unsetenv("WATCHDOG_USEC");
        (void)unsetenv("WATCHDOG_PID");
}

bool cx_notify_wanted(void)
{
        return manager.length;
}

int64_t cx_notify_watchdog(void)
{
        return manager.watchdog;
}

int cx_notify(const char *state)
{
        if (!manager.length)
                return 0;
        CX_CLEANUP(cx_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        ssize_t n = sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                           (const struct sockaddr *)&manager.address, manager.length);
        return n < 0 ? -errno : 0;
}
