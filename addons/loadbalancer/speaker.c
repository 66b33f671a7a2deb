// SPDX-License-Identifier: Apache-2.0
// Packet sockets bound to one interface each, one for ARP and one for neighbour discovery (the kernel filters it), and a
// set of addresses. The node's own stack has no part in it: the addresses are no interface's, kube-proxy takes what comes
// for them.
#include "addons/loadbalancer/speaker.h"

#include "addons/loadbalancer/frame.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/time.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#define MAX_LINKS 16
#define BATCH 64 // frames that are read of a socket before the next has its turn

// When everybody is told after it has begun, in ms: at once, and again for those who did not hear.
static const int tellings[] = {0, 100, 300, 1000, 2000, 5000};

struct link {
        char name[IFNAMSIZ];
        int index, arp, neighbor; // sockets, -1: none
        unsigned char mac[MAC_LENGTH];
};
struct spoken {
        struct cx_address address;
        int64_t begun; // monotonic
        size_t told;   // of the tellings
};
struct speaker {
        struct speaker_options options;
        pthread_t thread;
        int wake, groups;     // an eventfd; a socket that is a member of multicast groups
        pthread_mutex_t lock; // guards what follows
        struct link links[MAX_LINKS];
        size_t n_links;
        struct cx_map spoken; // address -> struct spoken
        bool stopping;
};

// --- links ---

// Only neighbour solicitations and advertisements of ICMPv6.
static int filter_neighbors(int fd)
{
        static struct sock_filter program[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 6),
                                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 4),
                                               BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 40),
                                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 135, 1, 0),
                                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 0, 1),
                                               BPF_STMT(BPF_RET | BPF_K, 0xffff),
                                               BPF_STMT(BPF_RET | BPF_K, 0)};
        const struct sock_fprog filter = {CX_ARRAY_SIZE(program), program};
        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

static int open_packets(int index, int protocol)
{
        // Without a protocol nothing comes before it is bound and filtered.
        CX_CLEANUP(cx_closep) int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const struct sockaddr_ll address = {
                .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = index};
        if (fd < 0 || (protocol == ETH_P_IPV6 && filter_neighbors(fd) < 0) ||
            bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
                return -1;
        return cx_steal_fd(&fd);
}

static bool open_link(const char *name, struct link *to)
{
        struct ifreq request = {0};
        *to = (struct link){.index = (int)if_nametoindex(name), .arp = -1, .neighbor = -1};
        cx_copy_string(to->name, sizeof to->name, name);
        cx_copy_string(request.ifr_name, sizeof request.ifr_name, name);
        CX_CLEANUP(cx_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (!to->index || fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0 ||
            request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
                return false;
        memcpy(to->mac, request.ifr_hwaddr.sa_data, MAC_LENGTH);
        to->arp = open_packets(to->index, ETH_P_ARP);
        to->neighbor = open_packets(to->index, ETH_P_IPV6);
        if (to->arp < 0 || to->neighbor < 0)
                cx_warn("Cannot speak on an interface", "interface", name, "why", strerror(errno));
        return true;
}

static void close_link(struct link *link)
{
        cx_closep(&link->arp);
        cx_closep(&link->neighbor);
}

// With the lock. Joining makes the switch, or the bridge, pass on to us who asks.
static void join_group(struct speaker *self, const struct link *link, const struct cx_address *address, bool join)
{
        if (address->family != CX_IPV6 || self->groups < 0)
                return;
        struct cx_address group = solicited_group(address);
        struct ipv6_mreq request = {.ipv6mr_interface = (unsigned)link->index};
        memcpy(&request.ipv6mr_multiaddr, group.bytes, 16);
        // Failing is no harm where nothing snoops; a group that two addresses share stays while one is spoken for.
        (void)!setsockopt(self->groups, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request,
                          sizeof request);
}

static bool same_link(const struct link *a, const struct link *b)
{
        return a->index == b->index && memcmp(a->mac, b->mac, MAC_LENGTH) == 0 && strcmp(a->name, b->name) == 0;
}

void speaker_use(struct speaker *self, const struct cx_strings *interfaces)
{
        struct link now[MAX_LINKS];
        size_t count = 0;
        for (size_t i = 0; i < interfaces->count && count < MAX_LINKS; i++)
                if (open_link(interfaces->items[i], &now[count]))
                        count++;
        pthread_mutex_lock(&self->lock);
        bool same = count == self->n_links;
        for (size_t i = 0; same && i < count; i++)
                same = same_link(&now[i], &self->links[i]);
        for (size_t i = 0; i < (same ? count : self->n_links); i++)
                close_link(same ? &now[i] : &self->links[i]);
        if (!same) {
                memcpy(self->links, now, sizeof now);
                self->n_links = count;
                CX_MAP_FOREACH (&self->spoken, entry) {
                        struct spoken *spoken = entry->value;
                        spoken->begun = cx_time_monotonic();
                        spoken->told = 0;
                        for (size_t i = 0; i < count; i++)
                                join_group(self, &self->links[i], &spoken->address, true);
                }
        }
        pthread_mutex_unlock(&self->lock);
        eventfd_write(self->wake, 1);
        for (size_t i = 0; !same && i < count; i++)
                cx_info("Speaking on an interface", "interface", now[i].name);
}

// --- addresses ---

static void tell(const struct speaker *self, const struct cx_address *address)
{
        unsigned char frame[FRAME_MAX];
        for (size_t i = 0; i < self->n_links; i++)
                for (int as_answer = 0; as_answer < (address->family == CX_IPV4 ? 2 : 1); as_answer++) {
                        const struct link *link = &self->links[i];
                        size_t length = frame_announce(address, link->mac, as_answer, frame);
                        (void)!send(address->family == CX_IPV4 ? link->arp : link->neighbor, frame, length,
                                    MSG_DONTWAIT);
                }
}

void speaker_begin(struct speaker *self, const struct cx_address *address)
{
        char text[CX_ADDRESS_TEXT];
        pthread_mutex_lock(&self->lock);
        bool begins = !cx_map_has(&self->spoken, cx_address_format(address, text));
        if (begins) {
                struct spoken *spoken = cx_alloc(sizeof *spoken);
                *spoken = (struct spoken){*address, cx_time_monotonic(), 1};
                cx_map_set(&self->spoken, text, spoken);
                for (size_t i = 0; i < self->n_links; i++)
                        join_group(self, &self->links[i], address, true);
                tell(self, address);
        }
        pthread_mutex_unlock(&self->lock);
        if (begins) {
                eventfd_write(self->wake, 1);
                cx_info("Announcing an address", "address", text);
        }
}

void speaker_end(struct speaker *self, const struct cx_address *address)
{
        char text[CX_ADDRESS_TEXT];
        pthread_mutex_lock(&self->lock);
        bool ends = cx_map_remove(&self->spoken, cx_address_format(address, text));
        for (size_t i = 0; ends && i < self->n_links; i++)
                join_group(self, &self->links[i], address, false);
        CX_MAP_FOREACH (&self->spoken, entry) { // one that shares the group joins again
                for (size_t i = 0; ends && i < self->n_links; i++)
                        join_group(self, &self->links[i], &((struct spoken *)entry->value)->address, true);
        }
        pthread_mutex_unlock(&self->lock);
        if (ends)
                cx_info("Announcing an address no more", "address", text);
}

void speaker_tell(struct speaker *self, const struct cx_address *address)
{
        pthread_mutex_lock(&self->lock);
        tell(self, address);
        pthread_mutex_unlock(&self->lock);
}

// --- the thread ---

// Reads one frame. False: there is none. ret_contested: somebody else claims an address of ours.
static bool hear(struct speaker *self, const struct link *link, int fd, struct cx_address *ret_contested)
{
        unsigned char data[2048], frame[FRAME_MAX];
        struct sockaddr_ll from = {0};
        socklen_t size = sizeof from;
        struct neighbor_message message;
        char text[CX_ADDRESS_TEXT];
        ssize_t n = recvfrom(fd, data, sizeof data, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &size);
        if (n <= 0)
                return false;
        if (from.sll_pkttype == PACKET_OUTGOING || (size_t)n > sizeof data || !frame_parse(data, (size_t)n, &message) ||
            memcmp(message.sender, link->mac, MAC_LENGTH) == 0)
                return true;
        if (!cx_map_has(&self->spoken, cx_address_format(&message.address, text)))
                return true;
        if (message.kind == NEIGHBOR_ASKED && from.sll_pkttype == PACKET_OTHERHOST)
                return true; // it asks somebody else, and we overheard it
        if (message.kind == NEIGHBOR_CLAIMED)
                *ret_contested = message.address;
        else
                (void)!send(fd, frame, frame_answer(&message, link->mac, frame), MSG_DONTWAIT);
        return true;
}

static void hear_all(struct speaker *self, const struct pollfd *fds, size_t n_fds)
{
        struct cx_address contested[BATCH];
        size_t n_contested = 0;
        pthread_mutex_lock(&self->lock);
        for (size_t i = 0; i < self->n_links; i++)
                for (size_t j = 0; j < n_fds; j++) {
                        const struct link *link = &self->links[i];
                        bool ours = fds[j].revents && (fds[j].fd == link->arp || fds[j].fd == link->neighbor);
                        for (size_t read = 0; ours && read < BATCH; read++) {
                                struct cx_address by_other = {0};
                                if (!hear(self, link, fds[j].fd, &by_other))
                                        break;
                                if (by_other.family != CX_FAMILY_NONE && n_contested < BATCH)
                                        contested[n_contested++] = by_other;
                        }
                }
        pthread_mutex_unlock(&self->lock);
        for (size_t i = 0; i < n_contested; i++)
                self->options.contested(self->options.context, &contested[i]);
}

// Tells what is due; ms until the next is, -1: none.
static int tell_due(struct speaker *self)
{
        int64_t now = cx_time_monotonic(), next = INT64_MAX;
        CX_MAP_FOREACH (&self->spoken, entry) {
                struct spoken *spoken = entry->value;
                while (spoken->told < CX_ARRAY_SIZE(tellings)) {
                        int64_t due = spoken->begun + tellings[spoken->told] * CX_NS_PER_MS;
                        if (due > now) {
                                next = due < next ? due : next;
                                break;
                        }
                        tell(self, &spoken->address);
                        spoken->told++;
                }
        }
        return next == INT64_MAX ? -1 : (int)((next - now) / CX_NS_PER_MS) + 1;
}

static void *speak(void *context)
{
        struct speaker *self = context;
        for (;;) {
                struct pollfd fds[1 + 2 * MAX_LINKS] = {{self->wake, POLLIN, 0}};
                size_t n = 1;
                pthread_mutex_lock(&self->lock);
                bool stopping = self->stopping;
                int timeout = tell_due(self);
                for (size_t i = 0; i < self->n_links; i++) {
                        fds[n++] = (struct pollfd){self->links[i].arp, POLLIN, 0};
                        fds[n++] = (struct pollfd){self->links[i].neighbor, POLLIN, 0};
                }
                pthread_mutex_unlock(&self->lock);
                if (stopping)
                        return NULL;
                if (poll(fds, n, timeout) <= 0)
                        continue;
                eventfd_t ignored;
                if (fds[0].revents)
                        (void)!eventfd_read(self->wake, &ignored);
                hear_all(self, fds + 1, n - 1);
        }
}

int speaker_new(const struct speaker_options *options, struct speaker **ret_self, struct cx_error *err)
{
        struct speaker *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->spoken.free_value = free;
        self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        self->groups = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0); // -1: there is no IPv6
        pthread_mutex_init(&self->lock, NULL);
        CX_CLEANUP(cx_closep) int packets = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        int r = 0;
        if (packets < 0)
                r = cx_error_set(err, -errno, "cannot open a packet socket: %s; CAP_NET_RAW is needed",
                                 strerror(errno));
        else if (self->wake < 0 || pthread_create(&self->thread, NULL, speak, self))
                r = cx_error_set(err, -EAGAIN, "cannot start a thread");
        if (r == 0)
                *ret_self = self;
        return r; // on failure the process ends
}

void speaker_free(struct speaker *self)
{
        if (!self)
                return;
        pthread_mutex_lock(&self->lock);
        self->stopping = true;
        pthread_mutex_unlock(&self->lock);
        eventfd_write(self->wake, 1);
        pthread_join(self->thread, NULL);
        for (size_t i = 0; i < self->n_links; i++)
                close_link(&self->links[i]);
        cx_closep(&self->wake);
        cx_closep(&self->groups);
        cx_map_release(&self->spoken);
        pthread_mutex_destroy(&self->lock);
        free(self);
}
