// SPDX-License-Identifier: Apache-2.0
// The cluster's network: a bridge on the host, a namespace and a veth pair a node, and a few rules.
#include "minikube/network.h"

#include "libcommon/base/process.h"
#include "libcommon/net/iptables.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

char *network_namespace(const struct profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        return cx_sprintf("/run/netns/%s", name);
}

// --- inside a namespace ---

struct inside {
        const char *path;
        int (*run)(void *context);
        void *context;
        int result;
};

static void *inside_main(void *context)
{
        struct inside *inside = context;
        CX_CLEANUP(cx_closep) int fd = open(inside->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
                inside->result = -errno;
        else
                inside->result = inside->run(inside->context);
        return NULL;
}

int network_in_node(const struct profile *profile, int node, int (*run)(void *context), void *context,
                    struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = network_namespace(profile, node);
        struct inside inside = {.path = path, .run = run, .context = context};
        pthread_t thread;
        if (pthread_create(&thread, NULL, inside_main, &inside) != 0)
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        pthread_join(thread, NULL);
        if (inside.result < 0)
                return cx_error_set(err, inside.result, "in namespace %s: %s", path, strerror(-inside.result));
        return inside.result;
}

static int set_sysctls(void *context CX_UNUSED)
{
        static const char *const settings[][2] = {{"/proc/sys/net/ipv4/ip_forward", "1"},
                                                  {"/proc/sys/net/ipv4/conf/all/rp_filter", "0"},
                                                  {"/proc/sys/net/ipv4/conf/default/rp_filter", "0"},
                                                  // A refused connection is told at once, each time: a redirect would
                                                  // come first, and one a second is all that the kernel lets through.
                                                  {"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
                                                  {"/proc/sys/net/ipv4/conf/eth0/send_redirects", "0"},
                                                  {"/proc/sys/net/ipv4/icmp_ratelimit", "0"},
                                                  {"/proc/sys/net/bridge/bridge-nf-call-iptables", "1"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(settings); i++) {
                CX_CLEANUP(cx_closep) int fd = open(settings[i][0], O_WRONLY | O_CLOEXEC);
                if (fd < 0 && i + 1 == CX_ARRAY_SIZE(settings))
                        continue; // br_netfilter is not loaded: bridged traffic does not pass iptables, nor needs to here
                if (fd < 0 || write(fd, settings[i][1], 1) != 1)
                        return -errno;
        }
        return 0;
}

// --- commands ---

#define RUN(err, ...) cx_run_ok((const char *const[]){__VA_ARGS__, NULL}, NULL, err)

static bool exists(const char *link)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/sys/class/net/%s", link);
        return access(path, F_OK) == 0;
}

// An interface gets its alias when all that belongs to it is made: one without was given up half-way.
static bool is_complete(const char *link)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/sys/class/net/%s/ifalias", link);
        CX_BUF alias = CX_BUF_INIT_MAX(4096);
        return cx_buf_read_file(&alias, path) == 0 && alias.length > 0;
}

// One batch for `ip`, in a namespace or on the host: a process a batch and not one a line.
static int ip_batch(const char *namespace, const char *lines, struct cx_error *err)
{
        CX_BUF complaint = CX_BUF_INIT;
        int status = 0;
        const char *in_node[] = {"ip", "-n", namespace, "-batch", "-", NULL};
        const char *on_host[] = {"ip", "-batch", "-", NULL};
        struct cx_run_options options = {
                .argv = namespace ? in_node : on_host, .input = lines, .input_length = strlen(lines)};
        int r = cx_run(&options, NULL, &complaint, &status, err);
        if (r == 0 && status != 0)
                r = cx_error_set(err, -EIO, "ip: %.*s", (int)strcspn(complaint.data, "\n"), complaint.data);
        return r;
}

// Rules of ours on the host, each with a comment by which it is found again.
static const char *const rules[][12] = {
        {"nat", "POSTROUTING", "-s", "SUBNET", "!", "-o", "BRIDGE", "-j", "MASQUERADE", NULL},
        {"filter", "FORWARD", "-i", "BRIDGE", "-j", "ACCEPT", NULL},
        {"filter", "FORWARD", "-o", "BRIDGE", "-j", "ACCEPT", NULL},
};

// Calls `action` with each rule, filled in for the profile.
static int each_host_rule(const struct profile *profile, int (*action)(const char *const *rule, struct cx_error *err),
                          struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *bridge = bridge_name(profile);
        CX_CLEANUP(cx_freep) char *host = host_address(profile);
        CX_CLEANUP(cx_freep) char *subnet = cx_sprintf("%.*s.0/24", (int)(strrchr(host, '.') - host), host);
        CX_CLEANUP(cx_freep) char *comment = cx_sprintf("coxswain %s", profile->name);
        int r = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(rules) && r == 0; i++) {
                const char *rule[32] = {rules[i][0], rules[i][1], "-m", "comment", "--comment", comment};
                size_t n = 6;
                for (const char *const *word = &rules[i][2]; *word; word++)
                        rule[n++] = strcmp(*word, "BRIDGE") == 0   ? bridge
                                    : strcmp(*word, "SUBNET") == 0 ? subnet
                                                                   : *word;
                r = action(rule, err);
        }
        return r;
}

static int add_rule(const char *const *rule, struct cx_error *err)
{
        return cx_iptables_ensure(CX_IPV4, rule, true, err);
}

static int remove_rule(const char *const *rule, struct cx_error *err CX_UNUSED)
{
        cx_iptables_remove(CX_IPV4, rule);
        return 0;
}

static int host_up(const struct profile *profile, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *bridge = bridge_name(profile);
        CX_CLEANUP(cx_freep) char *host = host_address(profile);
        CX_CLEANUP(cx_freep) char *balancers = balancer_cidr(profile);
        if (!is_complete(bridge)) {
                if (exists(bridge))
                        (void)!RUN(NULL, "ip", "link", "delete", bridge);
                CX_CLEANUP(cx_freep)
                char *lines = cx_sprintf("link add %s type bridge\naddr add %s/25 dev %s\nlink set %s up\n"
                                         "route replace %s dev %s\nlink set %s alias coxswain-%s\n",
                                         bridge, host, bridge, bridge, balancers, bridge, bridge, profile->name);
                int r = ip_batch(NULL, lines, err);
                if (r < 0)
                        return r;
        }
        return each_host_rule(profile, add_rule, err);
}

static int node_up(const struct profile *profile, int node, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        CX_CLEANUP(cx_freep) char *path = network_namespace(profile, node);
        CX_CLEANUP(cx_freep) char *bridge = bridge_name(profile);
        CX_CLEANUP(cx_freep) char *host = host_address(profile);
        CX_CLEANUP(cx_freep) char *address = node_address(profile, node);
        CX_CLEANUP(cx_freep) char *outer = cx_sprintf("%s-%d", bridge, node);
        CX_CLEANUP(cx_freep) char *master = cx_sprintf("/sys/class/net/%s/master", outer);
        if (access(path, F_OK) == 0 && is_complete(outer)) // it leaves a bridge that somebody deletes
                return access(master, F_OK) == 0 ? 0 : RUN(err, "ip", "link", "set", outer, "master", bridge, "up");
        if (exists(outer))
                (void)!RUN(NULL, "ip", "link", "delete", outer);
        if (access(path, F_OK) == 0)
                (void)!RUN(NULL, "ip", "netns", "delete", name);
        int r = RUN(err, "ip", "netns", "add", name);
        CX_CLEANUP(cx_freep)
        char *links = cx_sprintf("link add %s type veth peer name eth0 netns %s\nlink set %s master %s up\n", outer,
                                 name, outer, bridge);
        if (r == 0)
                r = ip_batch(NULL, links, err);
        CX_CLEANUP(cx_freep)
        char *inner =
                // cluster-dns listens at its cluster IP on every node: the address is the node's own
                cx_sprintf("link set lo up\naddr add %s/25 dev eth0\nlink set eth0 up\nroute add default via %s\n"
                           "addr add " DNS_ADDRESS "/32 dev lo\n",
                           address, host);
        if (r == 0)
                r = ip_batch(name, inner, err);
        if (r == 0)
                r = network_in_node(profile, node, set_sysctls, NULL, err);
        return r < 0 ? r : RUN(err, "ip", "link", "set", outer, "alias", name);
}

int network_up(const struct profile *profile, struct cx_error *err)
{
        int r = host_up(profile, err);
        for (int node = 0; r == 0 && node < profile->nodes; node++)
                if (node_runs(profile, node))
                        r = node_up(profile, node, err);
        return r;
}

void network_node_down(const struct profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *bridge = bridge_name(profile);
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        CX_CLEANUP(cx_freep) char *path = network_namespace(profile, node);
        CX_CLEANUP(cx_freep) char *outer = cx_sprintf("%s-%d", bridge, node);
        if (exists(outer))
                (void)!RUN(NULL, "ip", "link", "delete", outer);
        if (access(path, F_OK) == 0)
                (void)!RUN(NULL, "ip", "netns", "delete", name);
}

void network_down(const struct profile *profile)
{
        CX_CLEANUP(cx_freep) char *bridge = bridge_name(profile);
        for (int node = 0; node < profile->nodes; node++)
                network_node_down(profile, node);
        if (exists(bridge))
                (void)!RUN(NULL, "ip", "link", "delete", bridge);
        (void)!each_host_rule(profile, remove_rule, NULL);
}
