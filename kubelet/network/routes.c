// SPDX-License-Identifier: Apache-2.0
// Routes by netlink, forwarding by sysctl files, masquerading by iptables.
#include "kubelet/network/routes.h"

#include "libcommon/base/alloc.h"
#include "libcommon/net/iptables.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

static void write_sysctl(const char *path, const char *value)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, value, strlen(value)) < 0)
                return; // not there or not ours to set: what needs it will say so
}

void network_prepare(void)
{
        write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
        write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1");
        write_sysctl("/proc/sys/net/bridge/bridge-nf-call-iptables", "1");
        write_sysctl("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "1");
}

struct route_message {
        struct nlmsghdr header;
        struct rtmsg route;
        char attributes[128];
};

static void add_attribute(struct route_message *m, unsigned short type, const void *data, size_t length)
{
        struct rtattr *a = (struct rtattr *)((char *)m + NLMSG_ALIGN(m->header.nlmsg_len));
        a->rta_type = type;
        a->rta_len = (unsigned short)RTA_LENGTH(length);
        memcpy(RTA_DATA(a), data, length);
        m->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->header.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

int network_route(const char *cidr, const char *gateway, struct cx_error *err)
{
        struct cx_network destination;
        struct cx_address via = {0};
        if (cx_network_parse(cidr, &destination) < 0 || destination.prefix == 0 ||
            (gateway && (cx_address_parse(gateway, &via) < 0 || via.family != destination.base.family)))
                return cx_error_set(err, -EINVAL, "no route to %s via %s can be made", cidr, cx_str(gateway));
        size_t size = (size_t)cx_address_bits(destination.base.family) / 8;
        struct route_message m = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof m.route),
                                             .nlmsg_type = gateway ? RTM_NEWROUTE : RTM_DELROUTE,
                                             .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK |
                                                                       (gateway ? NLM_F_CREATE | NLM_F_REPLACE : 0))},
                                  .route = {.rtm_family = destination.base.family == CX_IPV6 ? AF_INET6 : AF_INET,
                                            .rtm_dst_len = (unsigned char)destination.prefix,
                                            .rtm_table = RT_TABLE_MAIN,
                                            .rtm_protocol = RTPROT_STATIC,
                                            .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE,
                                            .rtm_type = gateway ? RTN_UNICAST : 0}};
        add_attribute(&m, RTA_DST, destination.base.bytes, size);
        if (gateway)
                add_attribute(&m, RTA_GATEWAY, via.bytes, size);
        CX_CLEANUP(cx_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        struct {
                struct nlmsghdr header;
                struct nlmsgerr error;
                char rest[512];
        } answer = {0};
        if (fd < 0 || send(fd, &m, m.header.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof answer, 0) < 0)
                return cx_error_set(err, -errno, "cannot talk to rtnetlink: %s", strerror(errno));
        int r = answer.header.nlmsg_type == NLMSG_ERROR ? answer.error.error : -EPROTO;
        if (r == -ESRCH && !gateway)
                return 0;
        return r < 0 ? cx_error_set(err, r, "cannot set the route to %s via %s: %s", cidr, cx_str(gateway),
                                    strerror(-r))
                     : 0;
}

int network_masquerade(const char *pod_cidr, const char *cluster_cidr, struct cx_error *err)
{
        const char *const rule[] = {"nat",
                                    "POSTROUTING",
                                    "-s",
                                    pod_cidr,
                                    "!",
                                    "-d",
                                    cluster_cidr,
                                    "-m",
                                    "comment",
                                    "--comment",
                                    "pods to outside of the cluster",
                                    "-j",
                                    "MASQUERADE",
                                    NULL};
        return cx_iptables_ensure(cx_is_network(pod_cidr, CX_IPV6) ? CX_IPV6 : CX_IPV4, rule, false, err);
}
