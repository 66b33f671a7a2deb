// SPDX-License-Identifier: Apache-2.0
// Routes by netlink, forwarding by sysctl files, masquerading by iptables.
#include "kubelet/network/routes.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/process.h"

#include <arpa/inet.h>
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
        char network[INET_ADDRSTRLEN + 4];
        struct in_addr destination, via = {0};
        int64_t prefix = 0;
        const char *slash = strchr(cidr, '/');
        if (!slash || !cx_copy_string(network, sizeof network, cidr))
                return cx_error_set(err, -EINVAL, "\"%s\" is not an IPv4 range", cidr);
        network[slash - cidr] = '\0';
        if (inet_pton(AF_INET, network, &destination) != 1 || cx_parse_int(slash + 1, 1, 32, &prefix) < 0 ||
            (gateway && inet_pton(AF_INET, gateway, &via) != 1))
                return cx_error_set(err, -EINVAL, "no IPv4 route to %s via %s", cidr, cx_str(gateway));
        struct route_message m = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof m.route),
                                             .nlmsg_type = gateway ? RTM_NEWROUTE : RTM_DELROUTE,
                                             .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK |
                                                                       (gateway ? NLM_F_CREATE | NLM_F_REPLACE : 0))},
                                  .route = {.rtm_family = AF_INET,
                                            .rtm_dst_len = (unsigned char)prefix,
                                            .rtm_table = RT_TABLE_MAIN,
                                            .rtm_protocol = RTPROT_STATIC,
                                            .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE,
                                            .rtm_type = gateway ? RTN_UNICAST : 0}};
        add_attribute(&m, RTA_DST, &destination, sizeof destination);
        if (gateway)
                add_attribute(&m, RTA_GATEWAY, &via, sizeof via);
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
        const char *const rule[] = {
                "POSTROUTING", "-s",        pod_cidr,  "!",         "-d",
                cluster_cidr,  "-m",        "comment", "--comment", "pods to outside of the cluster",
                "-j",          "MASQUERADE"};
        const char *argv[24] = {"iptables", "-w", "-t", "nat", "-C"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(rule); i++)
                argv[5 + i] = rule[i];
        if (cx_run_ok(argv, NULL, NULL) == 0)
                return 0;
        argv[4] = "-A";
        return cx_run_ok(argv, NULL, err);
}
