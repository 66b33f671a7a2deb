// SPDX-License-Identifier: Apache-2.0
// Measures scheduling from outside: makes fake nodes and pods through the API server that a kubeconfig names, and watches
// until every pod is bound. With --deployment, one Deployment asks for the pods and the controllers make them.
//
//     scheduling --kubeconfig FILE [--nodes 500] [--pods 3000] [--connections 16] [--deployment]
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"

#include <stdio.h>

static const char *kubeconfig;
static int64_t n_nodes = 500, n_pods = 3000, connections = 16;
static bool deployment;

struct bench {
        struct cx_rest *rest;
        int64_t bound, failed; // atomic
};

static void create(struct bench *bench, const struct cx_ref *ref, json_t *object_steal)
{
        json_auto_t *object = object_steal;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_create(bench->rest, ref, object, NULL, &err) < 0 && !cx_error_is(&err, CX_REASON_ALREADY_EXISTS)) {
                cx_err(&err, "Cannot create");
                __atomic_fetch_add(&bench->failed, 1, __ATOMIC_RELAXED);
        }
}

static void create_node(void *context, size_t i)
{
        char name[32], zone[32];
        snprintf(name, sizeof name, "node-%zu", i);
        snprintf(zone, sizeof zone, "zone-%zu", i % 3);
        create(context, CX_REF("", "v1", "nodes"),
               json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s}}, s:{s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}}}",
                         "apiVersion", "v1", "kind", "Node", "metadata", "name", name, "labels",
                         "kubernetes.io/hostname", name, "topology.kubernetes.io/zone", zone, "status", "capacity",
                         "cpu", "32", "memory", "64Gi", "pods", "110", "ephemeral-storage", "100Gi", "allocatable",
                         "cpu", "32", "memory", "64Gi", "pods", "110", "ephemeral-storage", "100Gi"));
}

// Admission taints new nodes until they are ready; there is no controller here to take that off.
static void untaint_node(void *context, size_t i)
{
        struct bench *bench = context;
        char name[32];
        snprintf(name, sizeof name, "node-%zu", i);
        json_auto_t *patch = json_pack("{s:{s:n}}", "spec", "taints");
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_patch(bench->rest, CX_REF("", "v1", "nodes", NULL, name), NULL, CX_PATCH_MERGE, patch, NULL, &err) <
            0)
                cx_err(&err, "Cannot change the node", "node", name);
}

static json_t *pod_spec(void)
{
        return json_pack("{s:b, s:[{s:s, s:s, s:{s:{s:s, s:s}}}]}", "automountServiceAccountToken", 0, "containers",
                         "name", "c", "image", "hello", "resources", "requests", "cpu", "100m", "memory", "100Mi");
}

static void create_pod(void *context, size_t i)
{
        char name[32];
        snprintf(name, sizeof name, "pod-%zu", i);
        create(context, CX_REF("", "v1", "pods", "bench"),
               json_pack("{s:s, s:s, s:{s:s, s:{s:s}, s:[{s:s, s:s, s:s, s:s, s:b}]}, s:o}", "apiVersion", "v1", "kind",
                         "Pod", "metadata", "name", name, "labels", "app", "bench", "ownerReferences", "apiVersion",
                         "apps/v1", "kind", "ReplicaSet", "name", "bench", "uid",
                         "5c3c8d5c-0000-4000-8000-000000000001", "controller", 1, "spec", pod_spec()));
}

static void create_deployment(struct bench *bench)
{
        create(bench, CX_REF("apps", "v1", "deployments", "bench"),
               json_pack("{s:s, s:s, s:{s:s}, s:{s:I, s:{s:{s:s}}, s:{s:{s:{s:s}}, s:o}}}", "apiVersion", "apps/v1",
                         "kind", "Deployment", "metadata", "name", "bench", "spec", "replicas", (json_int_t)n_pods,
                         "selector", "matchLabels", "app", "deployed", "template", "metadata", "labels", "app",
                         "deployed", "spec", pod_spec()));
}

static void *project(void *context, const json_t *pod)
{
        (void)context;
        const char *node = cx_json_string(pod, "spec.nodeName");
        return node && *node ? cx_strdup(node) : NULL;
}

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct bench *bench = context;
        if (now && now->projection && !(old && old->projection))
                __atomic_fetch_add(&bench->bound, 1, __ATOMIC_RELEASE);
}

static int run(struct cx_error *err)
{
        struct bench bench = {0};
        int r = cx_rest_from_kubeconfig(kubeconfig, &(struct cx_rest_options){.max_idle = (int)connections + 2},
                                        &bench.rest, err);
        if (r < 0)
                return r;
        create(&bench, CX_REF("", "v1", "namespaces"),
               json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace", "metadata", "name", "bench"));
        create(&bench, CX_REF("", "v1", "serviceaccounts", "bench"),
               json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "ServiceAccount", "metadata", "name",
                         "default"));
        cx_parallel((size_t)n_nodes, (int)connections, create_node, &bench);
        cx_parallel((size_t)n_nodes, (int)connections, untaint_node, &bench);
        struct cx_informers *informers = cx_informers_new(bench.rest);
        struct cx_informer *pods = cx_informers_add(
                informers, &(struct cx_informer_options){.ref = {"", "v1", "pods", "bench"},
                                                         .label_selector = deployment ? "app=deployed" : "app=bench",
                                                         .drop_bytes = true,
                                                         .project = project,
                                                         .free_projection = free});
        cx_informer_on_event(pods, on_pod, &bench);
        cx_informers_start(informers);
        r = cx_informers_wait_synced(informers, 10 * CX_NS_PER_S, err);
        int64_t start = cx_time_monotonic(), created = 0;
        if (r == 0) {
                if (deployment)
                        create_deployment(&bench);
                else
                        cx_parallel((size_t)n_pods, (int)connections, create_pod, &bench);
                created = cx_time_monotonic();
                while (__atomic_load_n(&bench.bound, __ATOMIC_ACQUIRE) + bench.failed < n_pods &&
                       cx_time_monotonic() - start < 120 * CX_NS_PER_S)
                        usleep(1000);
        }
        double whole = (double)(cx_time_monotonic() - start) / 1e9, creating = (double)(created - start) / 1e9;
        int64_t bound = __atomic_load_n(&bench.bound, __ATOMIC_ACQUIRE);
        if (r == 0)
                printf("nodes %ld pods %ld bound %ld created-in %.2fs (%.0f/s) bound-in %.2fs (%.0f/s)\n",
                       (long)n_nodes, (long)n_pods, (long)bound, creating, (double)n_pods / creating, whole,
                       (double)bound / whole);
        cx_informers_free(informers);
        cx_rest_free(bench.rest);
        return r < 0 ? r : bound == n_pods ? 0 : cx_error_set(err, -ETIMEDOUT, "not every pod was bound");
}

int main(int argc, char **argv)
{
        static const struct cx_flag flags[] = {
                {"kubeconfig", 0, CX_FLAG_STRING, &kubeconfig, "How to reach the API server."},
                {"nodes", 0, CX_FLAG_INT, &n_nodes, "How many nodes to make."},
                {"pods", 0, CX_FLAG_INT, &n_pods, "How many pods to make."},
                {"connections", 0, CX_FLAG_INT, &connections, "How many at once."},
                {"deployment", 0, CX_FLAG_BOOL, &deployment, "Let a Deployment make the pods."},
                {0}};
        cx_process_init();
        cx_process_unblock_signals();
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS args = CX_STRINGS_INIT;
        const struct cx_flag *tables[] = {flags};
        if (cx_flags_parse(tables, 1, argc, argv, &args, NULL, &err) < 0 || run(&err) < 0) {
                fprintf(stderr, "Error: %s\n", cx_error_text(&err));
                return 1;
        }
        return 0;
}
