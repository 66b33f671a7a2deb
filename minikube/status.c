// SPDX-License-Identifier: Apache-2.0
// minikube status, and how a cluster is in a word.
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "minikube/commands.h"
#include "minikube/network.h"
#include "minikube/services.h"

#include <stdio.h>

// minikube's exit status, added up: 1 when a host does not run, 2 when a kubelet or the API server does not, 4 when the
// kubeconfig does not lead there.
enum { HOST_DOWN = 1, CLUSTER_DOWN = 2, CONFIG_DOWN = 4 };

static const char *running(bool is)
{
        return is ? "Running" : "Stopped";
}

static bool node_exists(const struct profile *profile, int node)
{
        CX_CLEANUP(cx_freep) char *path = network_namespace(profile, node);
        return access(path, F_OK) == 0;
}

static json_t *node_status(const struct profile *profile, int node, int *problems)
{
        CX_CLEANUP(cx_freep) char *name = node_name(profile, node);
        CX_CLEANUP(cx_freep) char *kubelet = cx_sprintf("kubelet-%s", name);
        bool host = node_exists(profile, node);
        if (!host) { // the rest is what the host is
                *problems |= HOST_DOWN | CLUSTER_DOWN | CONFIG_DOWN;
                return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "Name", name, "Host", "Stopped", "Kubelet", "Stopped",
                                 "APIServer", "Stopped", "Kubeconfig", "Stopped", "Worker", node != 0);
        }
        bool agent = service_pid(profile, kubelet) != 0 && !service_paused(profile, kubelet), apiserver = true,
             context = true, paused = node == 0 && service_paused(profile, "kube-apiserver");
        if (node == 0) {
                apiserver = !paused && wait_apiserver(profile, cx_time_monotonic(), NULL) == 0;
                context = context_present(profile);
        }
        *problems |= (agent && apiserver ? 0 : CLUSTER_DOWN) | (context ? 0 : CONFIG_DOWN);
        return json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "Name", name, "Host", "Running", "Kubelet", running(agent),
                         "APIServer",
                         node     ? "Irrelevant"
                         : paused ? "Paused"
                                  : running(apiserver),
                         "Kubeconfig",
                         node      ? "Irrelevant"
                         : context ? "Configured"
                                   : "Misconfigured",
                         "Worker", node != 0);
}

const char *cluster_state(const struct profile *profile)
{
        int problems = 0;
        if (!node_exists(profile, 0))
                return "Stopped";
        if (service_paused(profile, "kube-apiserver"))
                return "Paused";
        for (int node = 0; node < profile->nodes; node++)
                if (node_there(profile, node))
                        json_decref(node_status(profile, node, &problems));
        return problems & (HOST_DOWN | CLUSTER_DOWN) ? "Degraded" : "OK";
}

static void print_status(const struct profile *profile, const json_t *s)
{
        bool worker = cx_json_bool(s, "Worker", false);
        printf("%s\ntype: %s\nhost: %s\nkubelet: %s\n", cx_json_string(s, "Name"), worker ? "Worker" : "Control Plane",
               cx_json_string(s, "Host"), cx_json_string(s, "Kubelet"));
        if (!worker)
                printf("apiserver: %s\nkubeconfig: %s\n", cx_json_string(s, "APIServer"),
                       cx_json_string(s, "Kubeconfig"));
        printf("\n");
        if (cx_streq(cx_json_string(s, "Kubeconfig"), "Misconfigured"))
                printf("\nWARNING: Your kubeconfig does not lead to this cluster.\nTo fix the kubectl context, run "
                       "`minikube update-context -p %s`\n",
                       profile->name);
}

int command_status(struct minikube *m, struct cx_error *err)
{
        int r = need_profile(m, err), problems = 0;
        if (r == 0 && m->output && strcmp(m->output, "json") != 0 && strcmp(m->output, "text") != 0)
                r = cx_error_set(err, -EINVAL, "MK_USAGE: invalid output format: %s. Valid values: 'text', 'json'",
                                 m->output);
        if (r < 0)
                return r;
        json_auto_t *all = json_array();
        for (int node = 0; node < m->profile.nodes; node++)
                if (node_there(&m->profile, node))
                        json_array_append_new(all, node_status(&m->profile, node, &problems));
        if (cx_streq(m->output, "json")) {
                CX_CLEANUP(cx_freep)
                char *text = cx_json_text(json_array_size(all) == 1 ? json_array_get(all, 0) : all);
                printf("%s\n", text);
        } else {
                for (size_t i = 0; i < json_array_size(all); i++)
                        print_status(&m->profile, json_array_get(all, i));
        }
        return problems;
}
