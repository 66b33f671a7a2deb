// SPDX-License-Identifier: Apache-2.0
// Waiting until a cluster works: the apiserver answers, the nodes are Ready, names resolve as pods would ask for them.
#include "libcommon/base/address.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/certs.h"
#include "minikube/commands.h"
#include "minikube/network.h"

#include <ldns/ldns.h>
#include <poll.h>

#define PAUSE_MS 25

int admin_client(const struct profile *profile, int64_t patience, struct cx_rest **ret_rest, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = profile_path(profile, "kubeconfigs/admin.kubeconfig");
        struct cx_rest_options options = {.user_agent = "minikube", .patience = patience, .timeout = 10 * CX_NS_PER_S};
        return cx_rest_from_kubeconfig(path, &options, ret_rest, err);
}

static int too_late(const struct profile *profile, const char *what, struct cx_error *last, struct cx_error *err)
{
        return cx_error_set(err, -ETIMEDOUT, "%s did not get ready in time%s%s; see the logs in %s/logs", what,
                            last->code ? ": " : "", last->code ? cx_error_text(last) : "", profile->folder);
}

int wait_apiserver(const struct profile *profile, int64_t deadline, struct cx_error *err)
{
        CX_CLEANUP(cx_rest_freep) struct cx_rest *rest = NULL;
        int r = admin_client(profile, 0, &rest, err);
        if (r < 0)
                return r;
        for (;;) {
                CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                CX_ERROR why = CX_ERROR_INIT;
                struct cx_http_call call = {.path = "/readyz", .timeout = 2 * CX_NS_PER_S, .accept = "*/*"};
                r = cx_http_do(cx_rest_http(rest), &call, &reply, &why);
                if (r == 0 && reply.code == 200)
                        return 0;
                if (cx_time_monotonic() > deadline)
                        return too_late(profile, "kube-apiserver", &why, err);
                (void)poll(NULL, 0, PAUSE_MS);
        }
}

static bool is_ready(const json_t *node)
{
        const json_t *condition = cx_json_find(cx_json_get(node, "status.conditions"), "type", "Ready");
        return cx_streq(cx_json_string(condition, "status"), "True");
}

static const json_t *find_node(const json_t *items, const char *name)
{
        for (size_t i = 0; i < json_array_size(items); i++)
                if (cx_streq(cx_json_string(json_array_get(items, i), "metadata.name"), name))
                        return json_array_get(items, i);
        return NULL;
}

int wait_nodes(const struct profile *profile, struct cx_rest *rest, int64_t deadline, struct cx_error *err)
{
        for (;;) {
                json_auto_t *list = NULL;
                CX_ERROR why = CX_ERROR_INIT;
                bool ready = true;
                int r = cx_rest_list(rest, CX_REF("", "v1", "nodes"), NULL, &list, &why);
                const json_t *items = json_object_get(list, "items");
                for (int node = 0; r == 0 && node < profile->nodes; node++) {
                        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
                        ready = ready && (!node_runs(profile, node) || is_ready(find_node(items, name)));
                }
                if (r == 0 && ready)
                        return 0;
                if (cx_time_monotonic() > deadline)
                        return too_late(profile, "a node", &why, err);
                (void)poll(NULL, 0, PAUSE_MS);
        }
}

// --- DNS: asked inside each node, as its pods ask ---

static int ask(void *context CX_UNUSED)
{
        ldns_pkt *query = NULL;
        uint8_t *wire = NULL;
        size_t length = 0;
        int result = -EAGAIN;
        if (ldns_pkt_query_new_frm_str(&query, "kubernetes.default.svc." CLUSTER_DOMAIN ".", LDNS_RR_TYPE_A,
                                       LDNS_RR_CLASS_IN, LDNS_RD) != LDNS_STATUS_OK)
                return -ENOMEM;
        ldns_pkt_set_id(query, 4711);
        struct cx_address address;
        struct sockaddr_storage server;
        if (cx_address_parse(DNS_ADDRESS, &address) < 0)
                abort(); // a constant
        socklen_t size = cx_address_to_socket(&address, 53, &server);
        CX_CLEANUP(cx_closep) int fd = socket(server.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&server, size) == 0 &&
            ldns_pkt2wire(&wire, query, &length) == LDNS_STATUS_OK && write(fd, wire, length) == (ssize_t)length) {
                struct pollfd wait = {fd, POLLIN, 0};
                uint8_t answer[1500];
                ldns_pkt *reply = NULL;
                ssize_t n = poll(&wait, 1, 300) == 1 ? read(fd, answer, sizeof answer) : -1;
                if (n > 0 && ldns_wire2pkt(&reply, answer, (size_t)n) == LDNS_STATUS_OK && ldns_pkt_ancount(reply) > 0)
                        result = 0;
                ldns_pkt_free(reply);
        }
        free(wire);
        ldns_pkt_free(query);
        return result;
}

int wait_dns(const struct profile *profile, int64_t deadline, struct cx_error *err)
{
        for (int node = 0; node < profile->nodes; node++)
                while (node_runs(profile, node)) {
                        CX_ERROR why = CX_ERROR_INIT;
                        if (network_in_node(profile, node, ask, NULL, &why) == 0)
                                break;
                        if (cx_time_monotonic() > deadline)
                                return too_late(profile, "cluster-dns", &why, err);
                        (void)poll(NULL, 0, PAUSE_MS);
                }
        return 0;
}
