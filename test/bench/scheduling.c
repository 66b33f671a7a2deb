// SPDX-License-Identifier: Apache-2.0
// Measures scheduling from outside: makes fake nodes and pods through the API server that a kubeconfig names, and watches
// until every pod is bound. An owner makes the pods itself; the pods of a Job are also ended here, and counted until the Job
// says that they are.
//
//     scheduling --kubeconfig FILE [--nodes 500] [--pods 3000] [--connections 16] [--owner KIND] [--shape SHAPE]
//     scheduling --kubeconfig FILE --nodes N --quiet SECONDS      only renews the nodes' leases, each every ten seconds
//
//     KIND      none, deployment, statefulset (Parallel), job
//     SHAPE     plain, anti-affinity (one on each host), spreading (over zones), node-affinity (a zone of three),
//               preemption (every pod takes the place of another one)
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/client/informer.h"
#include "libcommon/client/workqueue.h"
#include "libcommon/format/json.h"

#include <stdio.h>

#define PATIENCE (300 * CX_NS_PER_S)

static const char *kubeconfig, *owner = "none", *shape = "plain";
static int64_t n_nodes = 500, n_pods = 3000, connections = 16, quiet;

struct bench {
        struct cx_rest *rest;
        struct cx_informer *pods;
        struct cx_workqueue *ending; // keys of a Job's pods
        int64_t bound, failed;       // atomic
        int64_t succeeded;           // what the Job says; atomic
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

static bool is(const char *what, const char *word)
{
        return strcmp(what, word) == 0;
}

static json_t *affinity(void)
{
        if (is(shape, "anti-affinity"))
                return json_pack("{s:{s:[{s:s, s:{s:{s:s}}}]}}", "podAntiAffinity",
                                 "requiredDuringSchedulingIgnoredDuringExecution", "topologyKey",
                                 "kubernetes.io/hostname", "labelSelector", "matchLabels", "app", "bench");
        if (is(shape, "node-affinity"))
                return json_pack("{s:{s:{s:[{s:[{s:s, s:s, s:[s]}]}]}}}", "nodeAffinity",
                                 "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms",
                                 "matchExpressions", "key", "topology.kubernetes.io/zone", "operator", "In", "values",
                                 "zone-0");
        return NULL;
}

static json_t *pod_spec(void)
{
        bool preempts = is(shape, "preemption");
        json_t *spec = json_pack("{s:b, s:i, s:[{s:s, s:s, s:{s:{s:s, s:s}}}]}", "automountServiceAccountToken", 0,
                                 "terminationGracePeriodSeconds", 0, "containers", "name", "c", "image", "hello",
                                 "resources", "requests", "cpu", preempts ? "8" : "100m", "memory", "100Mi");
        json_t *rules = affinity();
        if (rules)
                json_object_set_new(spec, "affinity", rules);
        if (preempts)
                json_object_set_new(spec, "priorityClassName", json_string("bench"));
        if (is(shape, "spreading"))
                json_object_set_new(spec, "topologySpreadConstraints",
                                    json_pack("[{s:i, s:s, s:s, s:{s:{s:s}}}]", "maxSkew", 5, "topologyKey",
                                              "topology.kubernetes.io/zone", "whenUnsatisfiable", "DoNotSchedule",
                                              "labelSelector", "matchLabels", "app", "bench"));
        return spec;
}

static json_t *template(void)
{
        json_t *spec = pod_spec();
        if (is(owner, "job"))
                json_object_set_new(spec, "restartPolicy", json_string("Never"));
        return json_pack("{s:{s:{s:s}}, s:o}", "metadata", "labels", "app", "bench", "spec", spec);
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

// Four less important pods on each node, which leave no room.
static void create_victim(void *context, size_t i)
{
        char name[32], node[32];
        snprintf(name, sizeof name, "victim-%zu", i);
        snprintf(node, sizeof node, "node-%zu", i / 4);
        json_t *spec = pod_spec();
        json_object_del(spec, "priorityClassName");
        json_object_set_new(spec, "nodeName", json_string(node));
        create(context, CX_REF("", "v1", "pods", "bench"),
               json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata", "name", name,
                         "spec", spec));
}

static json_t *set_of_pods(const char *version, const char *kind)
{
        return json_pack("{s:s, s:s, s:{s:s}, s:{s:I, s:{s:{s:s}}, s:o}}", "apiVersion", version, "kind", kind,
                         "metadata", "name", "bench", "spec", "replicas", (json_int_t)n_pods, "selector", "matchLabels",
                         "app", "bench", "template", template());
}

static void create_owner(struct bench *bench)
{
        if (is(owner, "deployment")) {
                create(bench, CX_REF("apps", "v1", "deployments", "bench"), set_of_pods("apps/v1", "Deployment"));
        } else if (is(owner, "statefulset")) {
                json_t *set = set_of_pods("apps/v1", "StatefulSet");
                json_object_set_new(json_object_get(set, "spec"), "podManagementPolicy", json_string("Parallel"));
                json_object_set_new(json_object_get(set, "spec"), "serviceName", json_string("bench"));
                create(bench, CX_REF("apps", "v1", "statefulsets", "bench"), set);
        } else {
                create(bench, CX_REF("batch", "v1", "jobs", "bench"),
                       json_pack("{s:s, s:s, s:{s:s}, s:{s:I, s:I, s:o}}", "apiVersion", "batch/v1", "kind", "Job",
                                 "metadata", "name", "bench", "spec", "parallelism", (json_int_t)n_pods, "completions",
                                 (json_int_t)n_pods, "template", template()));
        }
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
        if (!now || !now->projection || (old && old->projection))
                return;
        __atomic_fetch_add(&bench->bound, 1, __ATOMIC_RELEASE);
        if (bench->ending)
                cx_workqueue_add(bench->ending, now->key);
}

// Plays the kubelet of a pod that has done its work.
static int end_pod(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        (void)retry_after;
        struct bench *bench = context;
        char namespace[256], name[256];
        cx_key_split(key, namespace, name);
        json_auto_t *patch = json_pack("{s:{s:s}}", "status", "phase", "Succeeded");
        return cx_rest_patch(bench->rest, CX_REF("", "v1", "pods", namespace, name), "status", CX_PATCH_MERGE, patch,
                             NULL, err);
}

static void on_job(void *context, const struct cx_object *old, const struct cx_object *now)
{
        (void)old;
        if (!now)
                return;
        json_auto_t *job = cx_object_json(now);
        __atomic_store_n(&((struct bench *)context)->succeeded, cx_json_int(job, "status.succeeded", 0),
                         __ATOMIC_RELEASE);
}

static void prepare(struct bench *bench)
{
        create(bench, CX_REF("", "v1", "namespaces"),
               json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace", "metadata", "name", "bench"));
        create(bench, CX_REF("", "v1", "serviceaccounts", "bench"),
               json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "ServiceAccount", "metadata", "name",
                         "default"));
        create(bench, CX_REF("scheduling.k8s.io", "v1", "priorityclasses"),
               json_pack("{s:s, s:s, s:{s:s}, s:i}", "apiVersion", "scheduling.k8s.io/v1", "kind", "PriorityClass",
                         "metadata", "name", "bench", "value", 1000));
        cx_parallel((size_t)n_nodes, (int)connections, create_node, bench);
        cx_parallel((size_t)n_nodes, (int)connections, untaint_node, bench);
        if (is(shape, "preemption"))
                cx_parallel((size_t)n_nodes * 4, (int)connections, create_victim, bench);
}

static struct cx_informers *watch(struct bench *bench)
{
        struct cx_informers *informers = cx_informers_new(bench->rest);
        bench->pods = cx_informers_add(informers, &(struct cx_informer_options){.ref = {"", "v1", "pods", "bench"},
                                                                                .label_selector = "app=bench",
                                                                                .drop_bytes = true,
                                                                                .project = project,
                                                                                .free_projection = free});
        cx_informer_on_event(bench->pods, on_pod, bench);
        if (is(owner, "job"))
                cx_informer_on_event(
                        cx_informers_add(informers,
                                         &(struct cx_informer_options){.ref = {"batch", "v1", "jobs", "bench"}}),
                        on_job, bench);
        cx_informers_start(informers);
        return informers;
}

static int64_t done(const struct bench *bench)
{
        return is(owner, "job") ? __atomic_load_n(&bench->succeeded, __ATOMIC_ACQUIRE)
                                : __atomic_load_n(&bench->bound, __ATOMIC_ACQUIRE);
}

static void renew(void *context, size_t i)
{
        struct bench *bench = context;
        char name[32], now[CX_TIME_TEXT];
        snprintf(name, sizeof name, "node-%zu", i);
        cx_time_format_micro(cx_time_now(), now);
        json_auto_t *patch = json_pack("{s:{s:s}}", "spec", "renewTime", now);
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_rest_patch(bench->rest, CX_REF("coordination.k8s.io", "v1", "leases", "kube-node-lease", name), NULL,
                          CX_PATCH_MERGE, patch, NULL, &err) == 0 ||
            !cx_error_is(&err, CX_REASON_NOT_FOUND))
                return;
        create(bench, CX_REF("coordination.k8s.io", "v1", "leases", "kube-node-lease"),
               json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:i}}", "apiVersion", "coordination.k8s.io/v1", "kind",
                         "Lease", "metadata", "name", name, "spec", "holderIdentity", name, "renewTime", now,
                         "leaseDurationSeconds", 40));
}

static void stay_quiet(struct bench *bench)
{
        create(bench, CX_REF("", "v1", "namespaces"),
               json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace", "metadata", "name",
                         "kube-node-lease"));
        int64_t start = cx_time_monotonic(), step = 10 * CX_NS_PER_S / n_nodes;
        for (int64_t i = 0; cx_time_monotonic() - start < quiet * CX_NS_PER_S; i++) {
                renew(bench, (size_t)(i % n_nodes));
                int64_t wait = start + (i + 1) * step - cx_time_monotonic();
                if (wait > 0)
                        usleep((unsigned)(wait / 1000));
        }
}

static int run(struct cx_error *err)
{
        struct bench bench = {0};
        struct cx_workers *workers = NULL;
        int r = cx_rest_from_kubeconfig(kubeconfig, &(struct cx_rest_options){.max_idle = 2 * (int)connections + 2},
                                        &bench.rest, err);
        if (r < 0)
                return r;
        prepare(&bench);
        if (quiet) {
                stay_quiet(&bench);
                cx_rest_free(bench.rest);
                return 0;
        }
        if (is(owner, "job")) {
                bench.ending = cx_workqueue_new("ending");
                workers = cx_workers_start(bench.ending, (int)connections, end_pod, &bench);
        }
        struct cx_informers *informers = watch(&bench);
        r = cx_informers_wait_synced(informers, 60 * CX_NS_PER_S, err);
        int64_t start = cx_time_monotonic(), created = 0;
        if (r == 0) {
                if (!is(owner, "none"))
                        create_owner(&bench);
                else
                        cx_parallel((size_t)n_pods, (int)connections, create_pod, &bench);
                created = cx_time_monotonic();
                while (done(&bench) + bench.failed < n_pods && cx_time_monotonic() - start < PATIENCE)
                        usleep(1000);
        }
        double whole = (double)(cx_time_monotonic() - start) / 1e9, creating = (double)(created - start) / 1e9;
        int64_t reached = done(&bench);
        if (r == 0)
                printf("nodes %ld pods %ld bound %ld created-in %.2fs (%.0f/s) bound-in %.2fs (%.0f/s)\n",
                       (long)n_nodes, (long)n_pods, (long)reached, creating, (double)n_pods / creating, whole,
                       (double)reached / whole);
        cx_informers_free(informers);
        if (workers)
                cx_workers_stop(workers);
        cx_workqueue_free(bench.ending);
        cx_rest_free(bench.rest);
        return r < 0 ? r : reached == n_pods ? 0 : cx_error_set(err, -ETIMEDOUT, "not every pod was bound");
}

int main(int argc, char **argv)
{
        static const struct cx_flag flags[] = {
                {"kubeconfig", 0, CX_FLAG_STRING, &kubeconfig, "How to reach the API server."},
                {"nodes", 0, CX_FLAG_INT, &n_nodes, "How many nodes to make."},
                {"pods", 0, CX_FLAG_INT, &n_pods, "How many pods to make."},
                {"connections", 0, CX_FLAG_INT, &connections, "How many at once."},
                {"owner", 0, CX_FLAG_STRING, &owner, "What makes the pods: none, deployment, statefulset, job."},
                {"shape", 0, CX_FLAG_STRING, &shape,
                 "What they ask for: plain, anti-affinity, spreading, node-affinity, preemption."},
                {"quiet", 0, CX_FLAG_INT, &quiet, "Only speak for the nodes, for so many seconds."},
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
