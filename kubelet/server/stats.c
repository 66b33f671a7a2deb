// SPDX-License-Identifier: Apache-2.0
// /stats/summary and the metrics of containers, read from control groups at the time of asking; and how full volumes
// are.
#include "kubelet/server/server_internal.h"

#include "kubelet/pod/pods.h"
#include "kubelet/runtime/cgroup.h"
#include "kubelet/runtime/net_usage.h"
#include "kubelet/volume/claims.h"
#include "kubelet/volume/volumes.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <sys/statvfs.h>

static json_t *cpu_json(const char *now, const struct cgroup_usage *u)
{
        return json_pack("{s:s, s:I}", "time", now, "usageCoreNanoSeconds", (json_int_t)u->cpu_ns);
}

static json_t *memory_json(const char *now, const struct cgroup_usage *u)
{
        return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "time", now, "usageBytes", (json_int_t)u->memory_usage,
                         "workingSetBytes", (json_int_t)u->memory_working_set, "rssBytes", (json_int_t)u->memory_rss,
                         "pageFaults", (json_int_t)u->page_faults, "majorPageFaults", (json_int_t)u->major_page_faults);
}

static json_t *fs_json(const char *now, const char *path)
{
        struct statvfs fs = {0};
        (void)statvfs(path, &fs);
        return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "time", now, "availableBytes",
                         (json_int_t)fs.f_bavail * (json_int_t)fs.f_frsize, "capacityBytes",
                         (json_int_t)fs.f_blocks * (json_int_t)fs.f_frsize, "usedBytes",
                         (json_int_t)(fs.f_blocks - fs.f_bfree) * (json_int_t)fs.f_frsize, "inodes",
                         (json_int_t)fs.f_files, "inodesFree", (json_int_t)fs.f_ffree);
}

// What files take of the file system that they are on; the rest of what it tells is the file system's.
static json_t *part_of_fs(const char *path, int64_t taken, int64_t bytes, int64_t inodes)
{
        char when[CX_TIME_TEXT];
        cx_time_format(taken, when);
        json_t *fs = fs_json(when, path);
        json_object_set_new(fs, "usedBytes", json_integer(bytes));
        json_object_set_new(fs, "inodesUsed", json_integer(inodes));
        return fs;
}

static json_t *volume_stats(struct kubelet_server *s, const json_t *pod, const char *now, bool claims_only)
{
        json_t *list = json_array(), *volume;
        size_t i;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                const char *name = cx_json_string_or(volume, "name", "");
                struct volume_usage u;
                CX_ERROR err = CX_ERROR_INIT;
                CX_CLEANUP(cx_freep) char *claim = volume_claim_name(pod, volume);
                if (claims_only && !claim)
                        continue;
                if (volumes_stats(s->volumes, pod, name, &u, &err) < 0)
                        continue; // one that is not measured, or not set up (any more)
                json_t *stats =
                        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name", name, "time", now,
                                  "capacityBytes", (json_int_t)u.capacity, "availableBytes", (json_int_t)u.available,
                                  "usedBytes", (json_int_t)u.used, "inodes", (json_int_t)u.inodes, "inodesFree",
                                  (json_int_t)u.inodes_free, "inodesUsed", (json_int_t)u.inodes_used);
                if (claim)
                        json_object_set_new(stats, "pvcRef",
                                            json_pack("{s:s, s:O}", "name", claim, "namespace",
                                                      cx_json_get(pod, "metadata.namespace")));
                json_array_append_new(list, stats);
        }
        return list;
}

static json_t *interface_json(const struct net_usage *usage)
{
        return json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", usage->interface, "rxBytes", (json_int_t)usage->rx_bytes,
                         "rxErrors", (json_int_t)usage->rx_errors, "txBytes", (json_int_t)usage->tx_bytes, "txErrors",
                         (json_int_t)usage->tx_errors);
}

// What went over the interfaces that a process sees, the first of them once more by itself; NULL: there are none.
static json_t *network_json(const char *now, pid_t pid)
{
        struct net_usage usage[MAX_INTERFACES];
        size_t count = net_usage_read(pid, usage);
        if (!count)
                return NULL;
        json_t *network = interface_json(&usage[0]), *list = json_array();
        for (size_t i = 0; i < count; i++)
                json_array_append_new(list, interface_json(&usage[i]));
        json_object_set_new(network, "time", json_string(now));
        json_object_set_new(network, "interfaces", list);
        return network;
}

// Adds what is known of a container's layer and logs, and of its pod's.
static void add_disk_use(struct kubelet_server *s, const struct container *c, json_t *to, struct disk_use *sum)
{
        struct disk_use use;
        if (!disk_uses_get(s->disk_uses, c->id, &use))
                return;
        json_object_set_new(to, "rootfs", part_of_fs(c->data, use.taken, use.layer_bytes, use.layer_inodes));
        json_object_set_new(to, "logs", part_of_fs(c->log_path, use.taken, use.log_bytes, use.log_inodes));
        sum->layer_bytes += use.layer_bytes + use.log_bytes;
        sum->layer_inodes += use.layer_inodes + use.log_inodes;
        sum->taken = use.taken;
}

// With the volumes that are on the node's own disk and go with the pod.
static json_t *ephemeral_storage(const struct kubelet_server *s, const json_t *pod, const json_t *volumes,
                                 const struct disk_use *containers)
{
        int64_t bytes = containers->layer_bytes, inodes = containers->layer_inodes;
        size_t i;
        json_t *stats;
        if (!containers->taken)
                return NULL;
        json_array_foreach ((json_t *)volumes, i, stats) {
                const json_t *volume =
                        cx_json_find(cx_json_get(pod, "spec.volumes"), "name", cx_json_string_or(stats, "name", ""));
                const json_t *empty = json_object_get(volume, "emptyDir");
                if (!empty || cx_json_string(empty, "medium"))
                        continue;
                bytes += json_integer_value(json_object_get(stats, "usedBytes"));
                inodes += json_integer_value(json_object_get(stats, "inodesUsed"));
        }
        return part_of_fs(s->kubelet->root, containers->taken, bytes, inodes);
}

static json_t *pod_stats(struct kubelet_server *s, const json_t *pod, const char *now)
{
        const char *uid = cx_json_string_or(pod, "metadata.uid", "");
        CONTAINERS list = {0};
        runtime_containers(s->kubelet->runtime, uid, &list);
        json_t *containers = json_array();
        struct cgroup_usage sum = {0};
        struct disk_use disk = {0};
        pid_t pid = 0;
        for (size_t i = 0; i < list.count; i++) {
                struct container_state state;
                struct cgroup_usage u;
                container_state(s->kubelet->runtime, list.items[i], &state);
                if (state.status != CONTAINER_RUNNING || cgroup_usage(list.items[i]->cgroup, &u) < 0)
                        continue;
                char since[CX_TIME_TEXT];
                cx_time_format(state.started, since);
                pid = state.pid;
                json_t *stats = json_pack("{s:s, s:s, s:o, s:o}", "name", list.items[i]->name, "startTime", since,
                                          "cpu", cpu_json(now, &u), "memory", memory_json(now, &u));
                add_disk_use(s, list.items[i], stats, &disk);
                json_array_append_new(containers, stats);
                sum.cpu_ns += u.cpu_ns;
                sum.memory_usage += u.memory_usage;
                sum.memory_working_set += u.memory_working_set;
                sum.memory_rss += u.memory_rss;
                sum.major_page_faults += u.major_page_faults;
                sum.page_faults += u.page_faults;
                sum.pids += u.pids;
        }
        bool own_network = pid && !cx_json_bool(pod, "spec.hostNetwork", false);
        json_t *volumes = volume_stats(s, pod, now, false);
        return json_pack("{s:{s:O?, s:O?, s:O?}, s:s, s:o, s:o, s:o, s:o*, s:o, s:o*, s:{s:I}}", "podRef", "name",
                         cx_json_get(pod, "metadata.name"), "namespace", cx_json_get(pod, "metadata.namespace"), "uid",
                         cx_json_get(pod, "metadata.uid"), "startTime", cx_json_string_or(pod, "status.startTime", now),
                         "containers", containers, "cpu", cpu_json(now, &sum), "memory", memory_json(now, &sum),
                         "ephemeral-storage", ephemeral_storage(s, pod, volumes, &disk), "volume", volumes, "network",
                         own_network ? network_json(now, pid) : NULL, "process_stats", "process_count",
                         (json_int_t)sum.pids);
}

// The node's own use, of the whole machine.
static struct cgroup_usage node_usage(const struct kubelet *k)
{
        struct cgroup_usage u = {0};
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        unsigned long long user = 0, nice_time = 0, sys = 0, available = 0;
        if (cx_buf_read_file(&text, "/proc/stat") == 0 &&
            sscanf(text.data, "cpu %llu %llu %llu", &user, &nice_time, &sys) == 3)
                u.cpu_ns = (user + nice_time + sys) * (1000000000ULL / (unsigned long long)sysconf(_SC_CLK_TCK));
        cx_buf_clear(&text);
        const char *p = cx_buf_read_file(&text, "/proc/meminfo") == 0 ? strstr(text.data, "MemAvailable:") : NULL;
        if (p)
                available = strtoull(p + 13, NULL, 10) * 1024;
        u.memory_usage = u.memory_working_set = (uint64_t)k->node_memory - available;
        return u;
}

json_t *server_stats(struct kubelet_server *s)
{
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        json_auto_t *pods = pods_list(s->pods);
        json_t *list = json_array(), *pod;
        size_t i;
        json_array_foreach (pods, i, pod)
                json_array_append_new(list, pod_stats(s, pod, now));
        struct cgroup_usage u = node_usage(s->kubelet);
        return json_pack("{s:{s:s, s:o, s:o, s:o, s:o*}, s:o}", "node", "nodeName", s->kubelet->node_name, "cpu",
                         cpu_json(now, &u), "memory", memory_json(now, &u), "fs", fs_json(now, s->kubelet->root),
                         "network", network_json(now, 0), "pods", list);
}

// The metrics of one request, each with its samples, by upstream's names. All samples are of the same moment.
enum { CONTAINER_CPU, CONTAINER_MEMORY, CONTAINER_START, POD_CPU, POD_MEMORY, N_RESOURCE_METRICS };
static const struct {
        const char *name, *help, *type;
} resource_metrics[N_RESOURCE_METRICS] = {
        [CONTAINER_CPU] = {"container_cpu_usage_seconds_total",
                           "Cumulative cpu time consumed by the container in core-seconds", "counter"},
        [CONTAINER_MEMORY] = {"container_memory_working_set_bytes", "Current working set of the container in bytes",
                              "gauge"},
        [CONTAINER_START] = {"container_start_time_seconds", "Start time of the container since unix epoch in seconds",
                             "gauge"},
        [POD_CPU] = {"pod_cpu_usage_seconds_total", "Cumulative cpu time consumed by the pod in core-seconds",
                     "counter"},
        [POD_MEMORY] = {"pod_memory_working_set_bytes", "Current working set of the pod in bytes", "gauge"},
};

struct resource_report {
        struct cx_buf samples[N_RESOURCE_METRICS];
        int64_t now; // ms since the epoch
        bool failed; // something could not be read
};

static void add_resource_sample(struct resource_report *report, int metric, const char *labels, double value)
{
        cx_buf_printf(&report->samples[metric], "%s{%s} %.9f %lld\n", resource_metrics[metric].name, labels, value,
                      (long long)report->now);
}

static void report_container(struct kubelet_server *s, const struct container *c, struct resource_report *report,
                             struct cgroup_usage *sum)
{
        struct container_state state;
        struct cgroup_usage u;
        container_state(s->kubelet->runtime, c, &state);
        if (state.status != CONTAINER_RUNNING)
                return;
        if (cgroup_usage(c->cgroup, &u) < 0) {
                report->failed = true;
                return;
        }
        CX_CLEANUP(cx_freep)
        char *labels =
                cx_sprintf("container=\"%s\",namespace=\"%s\",pod=\"%s\"", c->name, c->pod_namespace, c->pod_name);
        add_resource_sample(report, CONTAINER_CPU, labels, (double)u.cpu_ns / 1e9);
        add_resource_sample(report, CONTAINER_MEMORY, labels, (double)u.memory_working_set);
        add_resource_sample(report, CONTAINER_START, labels, (double)state.started / 1e6);
        sum->cpu_ns += u.cpu_ns;
        sum->memory_working_set += u.memory_working_set;
}

static void report_pod(struct kubelet_server *s, const json_t *pod, struct resource_report *report)
{
        CONTAINERS list = {0};
        struct cgroup_usage sum = {0};
        runtime_containers(s->kubelet->runtime, cx_json_string_or(pod, "metadata.uid", ""), &list);
        for (size_t i = 0; i < list.count; i++)
                report_container(s, list.items[i], report, &sum);
        if (!list.count)
                return;
        CX_CLEANUP(cx_freep)
        char *labels = cx_sprintf("namespace=\"%s\",pod=\"%s\"", cx_json_string_or(pod, "metadata.namespace", ""),
                                  cx_json_string_or(pod, "metadata.name", ""));
        add_resource_sample(report, POD_CPU, labels, (double)sum.cpu_ns / 1e9);
        add_resource_sample(report, POD_MEMORY, labels, (double)sum.memory_working_set);
}

static void add_head(struct cx_buf *to, const char *name, const char *help, const char *type)
{
        cx_buf_printf(to, "# HELP %s [STABLE] %s\n# TYPE %s %s\n", name, help, name, type);
}

void server_resource_metrics(struct kubelet_server *s, struct cx_buf *to)
{
        json_auto_t *pods = pods_list(s->pods);
        struct resource_report report = {.now = cx_time_now() / 1000};
        size_t i;
        const json_t *pod;
        for (i = 0; i < N_RESOURCE_METRICS; i++)
                report.samples[i] = (struct cx_buf)CX_BUF_INIT;
        json_array_foreach (pods, i, pod)
                report_pod(s, pod, &report);
        for (i = 0; i < N_RESOURCE_METRICS; i++) {
                if (report.samples[i].length)
                        add_head(to, resource_metrics[i].name, resource_metrics[i].help, resource_metrics[i].type);
                cx_buf_append(to, report.samples[i].data, report.samples[i].length);
                cx_buf_release(&report.samples[i]);
        }
        struct cgroup_usage u = node_usage(s->kubelet);
        add_head(to, "node_cpu_usage_seconds_total", "Cumulative cpu time consumed by the node in core-seconds",
                 "counter");
        cx_buf_printf(to, "node_cpu_usage_seconds_total %.9f %lld\n", (double)u.cpu_ns / 1e9, (long long)report.now);
        add_head(to, "node_memory_working_set_bytes", "Current working set of the node in bytes", "gauge");
        cx_buf_printf(to, "node_memory_working_set_bytes %llu %lld\n", (unsigned long long)u.memory_working_set,
                      (long long)report.now);
        add_head(to, "resource_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise",
                 "gauge");
        cx_buf_printf(to, "resource_scrape_error %d\n", report.failed);
}

// How full claims are, under upstream's names.
static void write_claims(struct kubelet_server *s, const json_t *pods, struct cx_buf *to)
{
        static const struct {
                const char *name, *help, *key;
        } kinds[] = {{"capacity_bytes", "Capacity in bytes of the volume", "capacityBytes"},
                     {"available_bytes", "Number of available bytes in the volume", "availableBytes"},
                     {"used_bytes", "Number of used bytes in the volume", "usedBytes"},
                     {"inodes", "Maximum number of inodes in the volume", "inodes"},
                     {"inodes_free", "Number of free inodes in the volume", "inodesFree"},
                     {"inodes_used", "Number of used inodes in the volume", "inodesUsed"}};
        json_auto_t *all = json_array();
        json_t *pod, *volume;
        size_t i;
        json_array_foreach ((json_t *)pods, i, pod) {
                json_auto_t *list = volume_stats(s, pod, "", true);
                json_array_extend(all, list);
        }
        for (size_t kind = 0; kind < CX_ARRAY_SIZE(kinds); kind++) {
                cx_buf_printf(to, "# HELP kubelet_volume_stats_%s %s\n# TYPE kubelet_volume_stats_%s gauge\n",
                              kinds[kind].name, kinds[kind].help, kinds[kind].name);
                json_array_foreach (all, i, volume) {
                        const json_t *ref = json_object_get(volume, "pvcRef");
                        const char *claim = cx_json_string(ref, "name");
                        if (claim)
                                cx_buf_printf(to,
                                              "kubelet_volume_stats_%s{namespace=\"%s\",persistentvolumeclaim=\"%s\"} "
                                              "%lld\n",
                                              kinds[kind].name, cx_json_string_or(ref, "namespace", ""), claim,
                                              (long long)cx_json_int(volume, kinds[kind].key, 0));
                }
        }
}

void server_metrics(struct kubelet_server *s, struct cx_buf *to)
{
        json_auto_t *pods = pods_list(s->pods);
        write_claims(s, pods, to);
        CONTAINERS list = {0};
        size_t running = 0;
        runtime_containers(s->kubelet->runtime, NULL, &list);
        for (size_t i = 0; i < list.count; i++) {
                struct container_state state;
                container_state(s->kubelet->runtime, list.items[i], &state);
                running += state.status == CONTAINER_RUNNING;
        }
        cx_metric_set(cx_metrics_gauge(s->metrics, "kubelet_running_pods", "Number of pods that this node knows", NULL),
                      (double)json_array_size(pods));
        static const char *const labels[] = {"container_state", NULL};
        struct cx_metric *containers =
                cx_metrics_gauge(s->metrics, "kubelet_running_containers", "Number of containers by state", labels);
        cx_metric_set(containers, (double)running, "running");
        cx_metric_set(containers, (double)(list.count - running), "exited");
        cx_metrics_write(s->metrics, to);
}
