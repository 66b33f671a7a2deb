// SPDX-License-Identifier: Apache-2.0
// /metrics/cadvisor: what containers, pods and the machine use, under the names and labels that dashboards read. All is
// read when it is asked for. A pod as a whole has no container name; its network is told with it.
#include "kubelet/server/server_internal.h"

#include "kubelet/pod/pods.h"
#include "kubelet/runtime/cgroup.h"
#include "kubelet/runtime/cgroup_io.h"
#include "kubelet/runtime/net_usage.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

// Of one moment.
struct container_use {
        struct cgroup_usage usage;
        int64_t started;                             // µs; 0: not told
        int64_t cpu_quota, cpu_shares, memory_limit; // µs in 100 ms; bytes. 0: none
};

// --- values ----------------------------------------------------------------------------------------------------------

#define SECONDS(name, field)                                                                                           \
        static double name(const struct container_use *use)                                                            \
        {                                                                                                              \
                return (double)use->usage.field / 1e9;                                                                 \
        }
#define NUMBER(name, field)                                                                                            \
        static double name(const struct container_use *use)                                                            \
        {                                                                                                              \
                return (double)use->field;                                                                             \
        }
SECONDS(cpu, cpu_ns)
SECONDS(cpu_user, cpu_user_ns)
SECONDS(cpu_system, cpu_system_ns)
SECONDS(throttled, throttled_ns)
NUMBER(periods, usage.periods)
NUMBER(throttled_periods, usage.throttled_periods)
NUMBER(memory_usage, usage.memory_usage)
NUMBER(working_set, usage.memory_working_set)
NUMBER(rss, usage.memory_rss)
NUMBER(cache, usage.memory_cache)
NUMBER(processes, usage.pids)
NUMBER(quota, cpu_quota)
NUMBER(shares, cpu_shares)
NUMBER(memory_limit, memory_limit)

static double start_time(const struct container_use *use)
{
        return (double)(use->started / CX_US_PER_S);
}

static double last_seen(const struct container_use *use CX_UNUSED)
{
        return (double)(cx_time_now() / CX_US_PER_S);
}

static double period(const struct container_use *use CX_UNUSED)
{
        return 100000;
}

static const struct {
        const char *name, *help;
        bool counter, total; // total: has the label cpu="total"
        double (*value)(const struct container_use *use);
} metrics[] = {
        {"container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.", true, false, periods},
        {"container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.", true, false,
         throttled_periods},
        {"container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.", true,
         false, throttled},
        {"container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.", true, false,
         cpu_system},
        {"container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", true, true, cpu},
        {"container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.", true, false, cpu_user},
        {"container_last_seen", "Last time a container was seen by the exporter", false, false, last_seen},
        {"container_memory_cache", "Number of bytes of page cache memory.", false, false, cache},
        {"container_memory_rss", "Size of RSS in bytes.", false, false, rss},
        {"container_memory_usage_bytes",
         "Current memory usage in bytes, including all memory regardless of when it was "
         "accessed",
         false, false, memory_usage},
        {"container_memory_working_set_bytes", "Current working set in bytes.", false, false, working_set},
        {"container_processes", "Number of processes running inside the container.", false, false, processes},
        {"container_spec_cpu_period", "CPU period of the container.", false, false, period},
        {"container_spec_cpu_quota", "CPU quota of the container.", false, false, quota},
        {"container_spec_cpu_shares", "CPU share of the container.", false, false, shares},
        {"container_spec_memory_limit_bytes", "Memory limit for the container.", false, false, memory_limit},
        {"container_start_time_seconds", "Start time of the container since unix epoch in seconds.", false, false,
         start_time},
};
#define N_METRICS CX_ARRAY_SIZE(metrics)

#define OFFSET(field) offsetof(struct net_usage, field)
static const struct {
        const char *name, *help;
        size_t offset;
} networks[] = {
        {"container_network_receive_bytes_total", "Cumulative count of bytes received", OFFSET(rx_bytes)},
        {"container_network_receive_errors_total", "Cumulative count of errors encountered while receiving",
         OFFSET(rx_errors)},
        {"container_network_receive_packets_dropped_total", "Cumulative count of packets dropped while receiving",
         OFFSET(rx_dropped)},
        {"container_network_receive_packets_total", "Cumulative count of packets received", OFFSET(rx_packets)},
        {"container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", OFFSET(tx_bytes)},
        {"container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting",
         OFFSET(tx_errors)},
        {"container_network_transmit_packets_dropped_total", "Cumulative count of packets dropped while transmitting",
         OFFSET(tx_dropped)},
        {"container_network_transmit_packets_total", "Cumulative count of packets transmitted", OFFSET(tx_packets)},
};

static const struct {
        const char *name, *help;
        size_t offset;
} io_metrics[] = {
        {"container_fs_reads_bytes_total", "Cumulative count of bytes read", offsetof(struct cgroup_io, read_bytes)},
        {"container_fs_reads_total", "Cumulative count of reads completed", offsetof(struct cgroup_io, reads)},
        {"container_fs_writes_bytes_total", "Cumulative count of bytes written",
         offsetof(struct cgroup_io, written_bytes)},
        {"container_fs_writes_total", "Cumulative count of writes completed", offsetof(struct cgroup_io, writes)},
};

// Of the file system that has the containers' layers and logs.
enum { FS_USAGE, FS_LIMIT, FS_INODES_FREE, N_FS_METRICS };
static const struct {
        const char *name, *help;
} fs_metrics[N_FS_METRICS] = {
        [FS_USAGE] = {"container_fs_usage_bytes",
                      "Number of bytes that are consumed by the container on this filesystem."},
        [FS_LIMIT] = {"container_fs_limit_bytes",
                      "Number of bytes that can be consumed by the container on this filesystem."},
        [FS_INODES_FREE] = {"container_fs_inodes_free", "Number of available Inodes"},
};

// --- the report ------------------------------------------------------------------------------------------------------

struct cadvisor_report {
        struct cx_buf samples[N_METRICS], network[CX_ARRAY_SIZE(networks)], io[CX_ARRAY_SIZE(io_metrics)],
                fs[N_FS_METRICS];
        long long now; // ms
};

// A label's value: what would end it is escaped.
static char *escaped(const char *text)
{
        CX_BUF to = CX_BUF_INIT;
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        cx_buf_add(&to, "\\");
                if (*text == '\n')
                        cx_buf_add(&to, "\\n");
                else
                        cx_buf_append(&to, text, 1);
        }
        return cx_buf_detach(&to);
}

static void add(struct cadvisor_report *report, const struct container_use *use, const char *labels)
{
        for (size_t i = 0; i < N_METRICS; i++)
                if (metrics[i].value != quota || use->cpu_quota) // without a limit there is none
                        cx_buf_printf(&report->samples[i], "%s{%s%s} %.9g %lld\n", metrics[i].name, labels,
                                      metrics[i].total ? ",cpu=\"total\"" : "", metrics[i].value(use), report->now);
}

static void report_io(const char *cgroup, struct cadvisor_report *report, const char *labels)
{
        struct cgroup_io devices[MAX_IO_DEVICES];
        size_t count = cgroup_io_read(cgroup, devices);
        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < CX_ARRAY_SIZE(io_metrics); j++) {
                        uint64_t value;
                        memcpy(&value, (const char *)&devices[i] + io_metrics[j].offset, sizeof value);
                        cx_buf_printf(&report->io[j], "%s{%s,device=\"%s\"} %" PRIu64 " %lld\n", io_metrics[j].name,
                                      labels, devices[i].device, value, report->now);
                }
}

static void report_fs(struct kubelet_server *s, const struct container *c, struct cadvisor_report *report,
                      const char *labels)
{
        struct disk_use use;
        struct statvfs fs;
        struct stat st;
        char device[IO_DEVICE];
        if (!disk_uses_get(s->disk_uses, c->id, &use) || statvfs(c->data, &fs) < 0 || stat(c->data, &st) < 0)
                return;
        io_device_name(major(st.st_dev), minor(st.st_dev), device);
        const uint64_t values[N_FS_METRICS] = {[FS_USAGE] = (uint64_t)(use.layer_bytes + use.log_bytes),
                                               [FS_LIMIT] = (uint64_t)fs.f_blocks * fs.f_frsize,
                                               [FS_INODES_FREE] = fs.f_ffree};
        for (size_t i = 0; i < N_FS_METRICS; i++)
                cx_buf_printf(&report->fs[i], "%s{%s,device=\"%s\"} %" PRIu64 " %lld\n", fs_metrics[i].name, labels,
                              device, values[i], report->now);
}

static void read_limits(const json_t *resources, struct container_use *to)
{
        int64_t limit = cx_quantity_milli_of(json_object_get(json_object_get(resources, "limits"), "cpu"));
        int64_t request = cx_quantity_milli_of(json_object_get(json_object_get(resources, "requests"), "cpu"));
        to->cpu_quota = limit ? cgroup_quota(limit) : 0;
        to->cpu_shares = cgroup_shares(request);
        to->memory_limit = cx_quantity_value_of(json_object_get(json_object_get(resources, "limits"), "memory"));
}

// Adds a container that runs to the sum of its pod; its process tells of the pod's network.
static void report_container(struct kubelet_server *s, const json_t *pod, const struct container *c,
                             struct cadvisor_report *report, struct container_use *sum, pid_t *ret_pid)
{
        struct container_state state;
        struct container_use use = {0};
        container_state(s->kubelet->runtime, c, &state);
        if (state.status != CONTAINER_RUNNING || cgroup_usage(c->cgroup, &use.usage) < 0)
                return;
        const json_t *spec = cx_json_find(cx_json_get(pod, "spec.containers"), "name", c->name);
        read_limits(json_object_get(spec, "resources"), &use);
        use.started = state.started;
        CX_CLEANUP(cx_freep) char *image = escaped(cx_str(c->image));
        CX_CLEANUP(cx_freep)
        char *labels = cx_sprintf("container=\"%s\",id=\"%s\",image=\"%s\",name=\"%s\",namespace=\"%s\",pod=\"%s\"",
                                  c->name, c->cgroup, image, c->id, c->pod_namespace, c->pod_name);
        add(report, &use, labels);
        report_io(c->cgroup, report, labels);
        report_fs(s, c, report, labels);
        sum->usage.cpu_ns += use.usage.cpu_ns;
        sum->usage.cpu_user_ns += use.usage.cpu_user_ns;
        sum->usage.cpu_system_ns += use.usage.cpu_system_ns;
        sum->usage.memory_usage += use.usage.memory_usage;
        sum->usage.memory_working_set += use.usage.memory_working_set;
        sum->usage.memory_rss += use.usage.memory_rss;
        sum->usage.memory_cache += use.usage.memory_cache;
        sum->usage.pids += use.usage.pids;
        sum->memory_limit += use.memory_limit;
        if (!sum->started || use.started < sum->started)
                sum->started = use.started;
        *ret_pid = state.pid;
}

static void report_network(pid_t pid, const char *namespace, const char *name, struct cadvisor_report *report)
{
        struct net_usage usage[MAX_INTERFACES];
        size_t count = net_usage_read(pid, usage);
        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < CX_ARRAY_SIZE(networks); j++) {
                        uint64_t value;
                        memcpy(&value, (const char *)&usage[i] + networks[j].offset, sizeof value);
                        cx_buf_printf(&report->network[j],
                                      "%s{container=\"\",interface=\"%s\",namespace=\"%s\",pod=\"%s\"} %llu %lld\n",
                                      networks[j].name, usage[i].interface, namespace, name, (unsigned long long)value,
                                      report->now);
                }
}

static void report_pod(struct kubelet_server *s, const json_t *pod, struct cadvisor_report *report)
{
        CONTAINERS list = {0};
        struct container_use sum = {0};
        pid_t pid = 0;
        const char *namespace = cx_json_string_or(pod, "metadata.namespace", "");
        const char *name = cx_json_string_or(pod, "metadata.name", "");
        runtime_containers(s->kubelet->runtime, cx_json_string_or(pod, "metadata.uid", ""), &list);
        for (size_t i = 0; i < list.count; i++)
                report_container(s, pod, list.items[i], report, &sum, &pid);
        if (!pid)
                return;
        CX_CLEANUP(cx_freep)
        char *labels =
                cx_sprintf("container=\"\",id=\"/kubepods/pod%s\",image=\"\",name=\"\",namespace=\"%s\",pod=\"%s\"",
                           cx_json_string_or(pod, "metadata.uid", ""), namespace, name);
        add(report, &sum, labels);
        if (!cx_json_bool(pod, "spec.hostNetwork", false))
                report_network(pid, namespace, name, report);
}

static void flush(struct cx_buf *samples, const char *name, const char *help, const char *type, struct cx_buf *to)
{
        if (samples->length)
                cx_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
        cx_buf_append(to, samples->data, samples->length);
        cx_buf_release(samples);
}

void server_cadvisor_metrics(struct kubelet_server *s, struct cx_buf *to)
{
        json_auto_t *pods = pods_list(s->pods);
        struct cadvisor_report report = {.now = cx_time_now() / 1000};
        const json_t *pod;
        size_t i;
        for (i = 0; i < N_METRICS; i++)
                report.samples[i] = (struct cx_buf)CX_BUF_INIT;
        for (i = 0; i < CX_ARRAY_SIZE(networks); i++)
                report.network[i] = (struct cx_buf)CX_BUF_INIT;
        for (i = 0; i < CX_ARRAY_SIZE(io_metrics); i++)
                report.io[i] = (struct cx_buf)CX_BUF_INIT;
        for (i = 0; i < N_FS_METRICS; i++)
                report.fs[i] = (struct cx_buf)CX_BUF_INIT;
        json_array_foreach (pods, i, pod)
                report_pod(s, pod, &report);
        for (i = 0; i < N_METRICS; i++)
                flush(&report.samples[i], metrics[i].name, metrics[i].help, metrics[i].counter ? "counter" : "gauge",
                      to);
        for (i = 0; i < CX_ARRAY_SIZE(networks); i++)
                flush(&report.network[i], networks[i].name, networks[i].help, "counter", to);
        for (i = 0; i < CX_ARRAY_SIZE(io_metrics); i++)
                flush(&report.io[i], io_metrics[i].name, io_metrics[i].help, "counter", to);
        for (i = 0; i < N_FS_METRICS; i++)
                flush(&report.fs[i], fs_metrics[i].name, fs_metrics[i].help, "gauge", to);
        cx_buf_printf(to,
                      "# HELP machine_cpu_cores Number of logical CPU cores.\n# TYPE machine_cpu_cores gauge\n"
                      "machine_cpu_cores %ld\n# HELP machine_memory_bytes Amount of memory installed on the machine.\n"
                      "# TYPE machine_memory_bytes gauge\nmachine_memory_bytes %lld\n",
                      sysconf(_SC_NPROCESSORS_ONLN), (long long)s->kubelet->node_memory);
}
