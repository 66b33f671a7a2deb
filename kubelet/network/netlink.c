// SPDX-License-Identifier: Apache-2.0
#include "kubelet/network/netlink.h"

#include "libcommon/base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ANSWER 65536

void netlink_begin(struct netlink_message *m, int type, int flags, const void *head, size_t size)
{
        memset(m, 0, sizeof *m);
        m->header = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(size),
                                      .nlmsg_type = (uint16_t)type,
                                      .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
        memcpy(NLMSG_DATA(&m->header), head, size);
}

void netlink_add(struct netlink_message *m, int type, const void *data, size_t length)
{
        size_t at = NLMSG_ALIGN(m->header.nlmsg_len);
        assert(at + RTA_SPACE(length) <= sizeof m->bytes);
        struct rtattr *attribute = (struct rtattr *)(m->bytes + at);
        *attribute = (struct rtattr){.rta_type = (unsigned short)type, .rta_len = (unsigned short)RTA_LENGTH(length)};
        if (length)
                memcpy(RTA_DATA(attribute), data, length);
        m->header.nlmsg_len = (uint32_t)(at + RTA_SPACE(length));
}

size_t netlink_nest(struct netlink_message *m, int type)
{
        size_t at = NLMSG_ALIGN(m->header.nlmsg_len);
        netlink_add(m, type, NULL, 0);
        return at;
}

void netlink_nest_end(struct netlink_message *m, size_t at)
{
        ((struct rtattr *)(m->bytes + at))->rta_len = (unsigned short)(m->header.nlmsg_len - at);
}

const void *netlink_attribute(const struct nlmsghdr *answer, size_t size, int type, size_t *ret_length)
{
        size_t at = NLMSG_LENGTH(NLMSG_ALIGN(size)), end = answer->nlmsg_len;
        while (at + sizeof(struct rtattr) <= end) {
                const struct rtattr *attribute = (const struct rtattr *)((const char *)answer + at);
                if (attribute->rta_len < sizeof *attribute || at + attribute->rta_len > end)
                        return NULL;
                if ((attribute->rta_type & NLA_TYPE_MASK) == type) {
                        if (ret_length)
                                *ret_length = attribute->rta_len - RTA_LENGTH(0);
                        return RTA_DATA(attribute);
                }
                at += RTA_ALIGN(attribute->rta_len);
        }
        return NULL;
}

static int open_and_send(const struct netlink_message *m)
{
        CX_CLEANUP(cx_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0 || send(fd, m, m->header.nlmsg_len, 0) < 0)
                return -errno;
        return cx_steal_fd(&fd);
}

int netlink_ask(struct netlink_message *m)
{
        struct {
                struct nlmsghdr header;
                struct nlmsgerr error;
                char rest[2048];
        } answer = {0};
        m->header.nlmsg_flags |= NLM_F_ACK;
        CX_CLEANUP(cx_closep) int fd = open_and_send(m);
        if (fd < 0)
                return fd;
        if (recv(fd, &answer, sizeof answer, 0) < 0)
                return -errno;
        return answer.header.nlmsg_type == NLMSG_ERROR ? answer.error.error : -EPROTO;
}

// 1: there is more to come; 0: that was all; or an errno, negative.
static int take(const char *bytes, size_t length, bool dump, void (*each)(void *context, const struct nlmsghdr *answer),
                void *context)
{
        for (size_t at = 0; at + sizeof(struct nlmsghdr) <= length;) {
                const struct nlmsghdr *answer = (const struct nlmsghdr *)(bytes + at);
                if (answer->nlmsg_len < sizeof *answer || at + answer->nlmsg_len > length)
                        return -EPROTO;
                if (answer->nlmsg_type == NLMSG_DONE)
                        return 0;
                if (answer->nlmsg_type == NLMSG_ERROR)
                        return ((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
                if (answer->nlmsg_type >= NLMSG_MIN_TYPE)
                        each(context, answer);
                at += NLMSG_ALIGN(answer->nlmsg_len);
        }
        return dump;
}

int netlink_read(struct netlink_message *m, void (*each)(void *context, const struct nlmsghdr *answer), void *context)
{
        CX_CLEANUP(cx_freep) char *bytes = cx_alloc(MAX_ANSWER);
        CX_CLEANUP(cx_closep) int fd = open_and_send(m);
        int r = fd;
        if (fd < 0)
                return fd;
        do {
                ssize_t n = recv(fd, bytes, MAX_ANSWER, 0);
                if (n <= 0)
                        return n < 0 ? -errno : -EPROTO;
                r = take(bytes, (size_t)n, m->header.nlmsg_flags & NLM_F_DUMP, each, context);
        } while (r > 0);
        return r;
}
