// SPDX-License-Identifier: Apache-2.0
// As much of rtnetlink as routes, neighbours and links need: messages that are built in place, and asked one at a time.
#pragma once

#include "libcommon/base/error.h"

#include <linux/netlink.h>

struct netlink_message {
        union {
                struct nlmsghdr header;
                char bytes[1024];
        };
};
// `head`: what follows the header (struct rtmsg, ndmsg, ifinfomsg, ifaddrmsg). Attributes that would not fit are a bug.
void netlink_begin(struct netlink_message *m, int type, int flags, const void *head, size_t size);
void netlink_add(struct netlink_message *m, int type, const void *data, size_t length);
size_t netlink_nest(struct netlink_message *m, int type); // what follows is inside, until the end
void netlink_nest_end(struct netlink_message *m, size_t at);

int netlink_ask(struct netlink_message *m) CX_CHECK; // 0 when the kernel has done it, else its errno, negative
// Calls `each` with every answer: of a dump, or the one of a plain question.
int netlink_read(struct netlink_message *m, void (*each)(void *context, const struct nlmsghdr *answer), void *context)
        CX_CHECK;
// An attribute of an answer whose head is `size` long; NULL: it has none. ret_length may be NULL.
const void *netlink_attribute(const struct nlmsghdr *answer, size_t size, int type, size_t *ret_length);
