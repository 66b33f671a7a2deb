// SPDX-License-Identifier: Apache-2.0
#include "kubelet/network/node_routes.h"

#include "kubelet/network/netlink.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/log.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define PROTOCOL 88 // of our routes; not one of those that have a name
#define VNI 1
#define MAC_SIZE 6
#define LEAST_MTU 576

struct node_routes {
        struct cx_address address;
        int mtu;
        int device; // its index; 0: not made yet
        struct cx_network own;
};

// 02 says that it is ours to give; the rest is the node's address.
static void mac_of(const struct cx_address *node, unsigned char to[MAC_SIZE])
{
        to[0] = 0x02;
        to[1] = 0x63;
        memcpy(to + 2, node->bytes, 4);
}

// --- the machine ---

struct own_interface {
        const struct cx_address *address;
        char name[IF_NAMESIZE];
};

static void find_own(void *context, const struct cx_interface *interface)
{
        struct own_interface *own = context;
        if (cx_address_compare(&interface->address, own->address) == 0)
                (void)cx_copy_string(own->name, sizeof own->name, interface->name);
}

// Of the interface that has the address; -EADDRNOTAVAIL.
static int mtu_of(const struct cx_address *address, int *ret_mtu)
{
        struct own_interface own = {.address = address};
        struct ifreq request = {0};
        cx_interfaces_each(find_own, &own);
        if (!*own.name)
                return -EADDRNOTAVAIL;
        memcpy(request.ifr_name, own.name, sizeof own.name);
        CX_CLEANUP(cx_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ioctl(fd, SIOCGIFMTU, &request) < 0)
                return -errno;
        *ret_mtu = request.ifr_mtu;
        return 0;
}

int node_routes_new(const char *address, struct node_routes **ret_routes, struct cx_error *err)
{
        struct cx_address parsed;
        int mtu = 0, r = address ? cx_address_parse(address, &parsed) : -EINVAL;
        if (r < 0 || parsed.family != CX_IPV4)
                return cx_error_set(err, -EINVAL,
                                    "the overlay needs an IPv4 address of the node (--node-ip), not \"%s\"",
                                    cx_str(address));
        r = mtu_of(&parsed, &mtu);
        if (r == 0 && mtu - NODE_ROUTES_OVERHEAD < LEAST_MTU)
                r = -EMSGSIZE;
        if (r < 0)
                return cx_error_set(err, r, "no overlay over the interface of %s: %s", address, strerror(-r));
        struct node_routes *self = cx_alloc(sizeof *self);
        self->address = parsed;
        self->mtu = mtu - NODE_ROUTES_OVERHEAD;
        *ret_routes = self;
        return 0;
}

void node_routes_free(struct node_routes *self)
{
        free(self);
}

int node_routes_mtu(const struct node_routes *self)
{
        return self->mtu;
}

// --- the device ---

static void link_message(struct netlink_message *m, int type, int flags, unsigned change)
{
        const struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_flags = change, .ifi_change = change};
        netlink_begin(m, type, flags, &head, sizeof head);
        netlink_add(m, IFLA_IFNAME, NODE_ROUTES_DEVICE, sizeof NODE_ROUTES_DEVICE);
}

static int make_link(const struct node_routes *self)
{
        struct netlink_message m;
        unsigned char mac[MAC_SIZE], off = 0;
        uint32_t vni = VNI, mtu = (uint32_t)self->mtu;
        uint16_t port = htons(NODE_ROUTES_PORT);
        mac_of(&self->address, mac);
        link_message(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, IFF_UP);
        netlink_add(&m, IFLA_ADDRESS, mac, sizeof mac);
        netlink_add(&m, IFLA_MTU, &mtu, sizeof mtu);
        size_t info = netlink_nest(&m, IFLA_LINKINFO);
        netlink_add(&m, IFLA_INFO_KIND, "vxlan", 5);
        size_t data = netlink_nest(&m, IFLA_INFO_DATA);
        netlink_add(&m, IFLA_VXLAN_ID, &vni, sizeof vni);
        netlink_add(&m, IFLA_VXLAN_LOCAL, self->address.bytes, 4);
        netlink_add(&m, IFLA_VXLAN_PORT, &port, sizeof port);
        netlink_add(&m, IFLA_VXLAN_LEARNING, &off, sizeof off);
        netlink_nest_end(&m, data);
        netlink_nest_end(&m, info);
        return netlink_ask(&m);
}

struct found_link {
        bool there;
        unsigned char mac[MAC_SIZE];
        uint32_t mtu;
};

static void take_link(void *context, const struct nlmsghdr *answer)
{
        struct found_link *found = context;
        size_t length;
        const void *mac = netlink_attribute(answer, sizeof(struct ifinfomsg), IFLA_ADDRESS, &length);
        if (mac && length == MAC_SIZE)
                memcpy(found->mac, mac, MAC_SIZE);
        const void *mtu = netlink_attribute(answer, sizeof(struct ifinfomsg), IFLA_MTU, &length);
        if (mtu && length == sizeof found->mtu)
                memcpy(&found->mtu, mtu, sizeof found->mtu);
        found->there = true;
}

// One that is there from before is kept when it is of the same address and size, with what leads over it.
static int ensure_link(const struct node_routes *self)
{
        struct netlink_message m;
        struct found_link found = {0};
        unsigned char mac[MAC_SIZE];
        mac_of(&self->address, mac);
        link_message(&m, RTM_GETLINK, 0, 0);
        int r = netlink_read(&m, take_link, &found);
        if (r < 0 && r != -ENODEV)
                return r;
        if (found.there && memcmp(found.mac, mac, MAC_SIZE) == 0 && found.mtu == (uint32_t)self->mtu)
                return 0;
        if (found.there) {
                link_message(&m, RTM_DELLINK, 0, 0);
                r = netlink_ask(&m);
                if (r < 0)
                        return r;
        }
        return make_link(self);
}

int node_routes_set_own(struct node_routes *self, const char *pod_cidr, struct cx_error *err)
{
        struct netlink_message m;
        struct cx_network own;
        if (cx_network_parse(pod_cidr, &own) < 0 || own.base.family != CX_IPV4)
                return cx_error_set(err, -EINVAL, "the overlay needs an IPv4 podCIDR, not \"%s\"", pod_cidr);
        int r = ensure_link(self);
        unsigned index = r == 0 ? if_nametoindex(NODE_ROUTES_DEVICE) : 0;
        if (r == 0 && !index)
                r = -ENODEV;
        if (r == 0) {
                const struct ifaddrmsg head = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = index};
                netlink_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
                netlink_add(&m, IFA_LOCAL, own.base.bytes, 4);
                netlink_add(&m, IFA_ADDRESS, own.base.bytes, 4);
                r = netlink_ask(&m);
        }
        if (r < 0)
                return cx_error_set(err, r, "cannot set up the device " NODE_ROUTES_DEVICE ": %s", strerror(-r));
        self->device = (int)index;
        self->own = own;
        return 0;
}

// --- one node ---

static void take_gateway(void *context, const struct nlmsghdr *answer)
{
        if (netlink_attribute(answer, sizeof(struct rtmsg), RTA_GATEWAY, NULL))
                *(bool *)context = true;
}

// Whether the way to an address leads through a gateway, as the kernel would go.
static int is_behind_router(const struct cx_address *address, bool *ret_behind)
{
        struct netlink_message m;
        const struct rtmsg head = {.rtm_family = AF_INET, .rtm_dst_len = 32};
        netlink_begin(&m, RTM_GETROUTE, 0, &head, sizeof head);
        netlink_add(&m, RTA_DST, address->bytes, 4);
        *ret_behind = false;
        return netlink_read(&m, take_gateway, ret_behind);
}

static void neighbour_message(struct netlink_message *m, int type, int flags, int device, int family,
                              const struct cx_address *destination, const unsigned char mac[MAC_SIZE])
{
        const struct ndmsg head = {.ndm_family = (unsigned char)family,
                                   .ndm_ifindex = device,
                                   .ndm_state = NUD_PERMANENT,
                                   .ndm_flags = family == AF_BRIDGE ? NTF_SELF : 0};
        netlink_begin(m, type, flags, &head, sizeof head);
        netlink_add(m, NDA_DST, destination->bytes, 4);
        netlink_add(m, NDA_LLADDR, mac, MAC_SIZE);
}

static int set_route(const struct cx_network *pods, const struct cx_address *gateway, int device)
{
        struct netlink_message m;
        const struct rtmsg head = {.rtm_family = AF_INET,
                                   .rtm_dst_len = (unsigned char)pods->prefix,
                                   .rtm_table = RT_TABLE_MAIN,
                                   .rtm_protocol = PROTOCOL,
                                   .rtm_scope = RT_SCOPE_UNIVERSE,
                                   .rtm_type = RTN_UNICAST,
                                   .rtm_flags = device ? RTNH_F_ONLINK : 0};
        netlink_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
        netlink_add(&m, RTA_DST, pods->base.bytes, 4);
        netlink_add(&m, RTA_GATEWAY, gateway->bytes, 4);
        if (device)
                netlink_add(&m, RTA_OIF, &device, sizeof device);
        return netlink_ask(&m);
}

// The node's end of the overlay is known by the first address of its podCIDR.
static int set_overlay(const struct node_routes *self, const struct other_node *node)
{
        struct netlink_message m;
        unsigned char mac[MAC_SIZE];
        const int flags = NLM_F_CREATE | NLM_F_REPLACE;
        mac_of(&node->address, mac);
        neighbour_message(&m, RTM_NEWNEIGH, flags, self->device, AF_BRIDGE, &node->address, mac);
        int r = netlink_ask(&m);
        if (r == 0) {
                neighbour_message(&m, RTM_NEWNEIGH, flags, self->device, AF_INET, &node->pods.base, mac);
                r = netlink_ask(&m);
        }
        return r < 0 ? r : set_route(&node->pods, &node->pods.base, self->device);
}

static int set_node(const struct node_routes *self, const struct other_node *node, bool *ret_overlay)
{
        if (node->pods.base.family != CX_IPV4 || node->address.family != CX_IPV4)
                return -EAFNOSUPPORT;
        if (node->pods.prefix == 0 || cx_network_overlaps(&node->pods, &self->own))
                return -EINVAL;
        int r = is_behind_router(&node->address, ret_overlay);
        if (r < 0)
                return r;
        return *ret_overlay ? set_overlay(self, node) : set_route(&node->pods, &node->address, 0);
}

// --- what is there, and not to be ---

struct present {
        const struct other_node *nodes;
        const bool *overlay;
        size_t count;
        int device;
        struct netlink_message *stale; // deletions
        size_t n_stale;
};

static void add_stale(struct present *present, const struct netlink_message *m)
{
        present->stale = cx_realloc_array(present->stale, present->n_stale + 1, sizeof *present->stale);
        present->stale[present->n_stale++] = *m;
}

static void take_route(void *context, const struct nlmsghdr *answer)
{
        struct present *present = context;
        const struct rtmsg *head = NLMSG_DATA(answer);
        size_t length;
        const unsigned char *to = netlink_attribute(answer, sizeof *head, RTA_DST, &length);
        if (head->rtm_protocol != PROTOCOL || head->rtm_table != RT_TABLE_MAIN || !to || length != 4)
                return;
        for (size_t i = 0; i < present->count; i++)
                if (present->nodes[i].pods.prefix == head->rtm_dst_len &&
                    memcmp(present->nodes[i].pods.base.bytes, to, 4) == 0)
                        return;
        struct netlink_message m;
        const struct rtmsg gone = {.rtm_family = AF_INET,
                                   .rtm_dst_len = head->rtm_dst_len,
                                   .rtm_table = RT_TABLE_MAIN,
                                   .rtm_protocol = PROTOCOL,
                                   .rtm_scope = RT_SCOPE_NOWHERE};
        netlink_begin(&m, RTM_DELROUTE, 0, &gone, sizeof gone);
        netlink_add(&m, RTA_DST, to, 4);
        add_stale(present, &m);
}

// Neighbours and forwarding entries of the device: those of nodes that are reached over it stay.
static void take_neighbour(void *context, const struct nlmsghdr *answer)
{
        struct present *present = context;
        const struct ndmsg *head = NLMSG_DATA(answer);
        size_t length, mac_length;
        const unsigned char *to = netlink_attribute(answer, sizeof *head, NDA_DST, &length);
        const unsigned char *mac = netlink_attribute(answer, sizeof *head, NDA_LLADDR, &mac_length);
        if (head->ndm_ifindex != present->device || !(head->ndm_state & NUD_PERMANENT) || !to || length != 4 || !mac ||
            mac_length != MAC_SIZE)
                return;
        struct cx_address destination = {.family = CX_IPV4};
        memcpy(destination.bytes, to, 4);
        for (size_t i = 0; i < present->count; i++) {
                unsigned char wanted[MAC_SIZE];
                const struct other_node *node = &present->nodes[i];
                const struct cx_address *end = head->ndm_family == AF_BRIDGE ? &node->address : &node->pods.base;
                mac_of(&node->address, wanted);
                if (present->overlay[i] && cx_address_compare(end, &destination) == 0 && !memcmp(mac, wanted, MAC_SIZE))
                        return;
        }
        struct netlink_message m;
        neighbour_message(&m, RTM_DELNEIGH, 0, present->device, head->ndm_family, &destination, mac);
        add_stale(present, &m);
}

static int find_stale(struct present *present)
{
        struct netlink_message m;
        const struct rtmsg routes = {.rtm_family = AF_INET};
        netlink_begin(&m, RTM_GETROUTE, NLM_F_DUMP, &routes, sizeof routes);
        int r = netlink_read(&m, take_route, present);
        static const int families[] = {AF_INET, AF_BRIDGE};
        for (size_t i = 0; i < CX_ARRAY_SIZE(families) && r == 0; i++) {
                const struct ndmsg neighbours = {.ndm_family = (unsigned char)families[i]};
                netlink_begin(&m, RTM_GETNEIGH, NLM_F_DUMP, &neighbours, sizeof neighbours);
                r = netlink_read(&m, take_neighbour, present);
        }
        return r;
}

int node_routes_apply(struct node_routes *self, const struct other_node *nodes, size_t count, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) bool *overlay = cx_alloc_array(count + 1, sizeof *overlay);
        int r = 0;
        if (!self->device)
                return 0; // the own podCIDR is not known yet
        for (size_t i = 0; i < count; i++) {
                int one = set_node(self, &nodes[i], &overlay[i]);
                char pods[CX_NETWORK_TEXT], address[CX_ADDRESS_TEXT];
                if (one < 0 && r == 0)
                        r = cx_error_set(err, one, "cannot set the route to %s of node %s: %s",
                                         cx_network_format(&nodes[i].pods, pods),
                                         cx_address_format(&nodes[i].address, address), strerror(-one));
        }
        struct present present = {.nodes = nodes, .overlay = overlay, .count = count, .device = self->device};
        int found = find_stale(&present);
        for (size_t i = 0; i < present.n_stale && found == 0; i++) {
                int gone = netlink_ask(&present.stale[i]);
                if (gone < 0 && gone != -ESRCH && gone != -ENOENT)
                        found = gone;
        }
        free(present.stale);
        return r == 0 && found < 0 ? cx_error_set(err, found, "cannot remove the routes of nodes that are gone: %s",
                                                  strerror(-found))
                                   : r;
}
