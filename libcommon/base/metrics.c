// SPDX-License-Identifier: Apache-2.0
// Values are doubles changed by compare-and-swap on their bits; a metric's series are found through a map under the
// registry's lock. Nothing is ever removed but with the registry.
#include "libcommon/base/metrics.h"

#include "libcommon/base/map.h"
#include "libcommon/base/time.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sys/resource.h>

#define MAX_SERIES 10000
#define MAX_LABELS 8

const double cx_metrics_latency_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
const size_t cx_metrics_n_latency_bounds = CX_ARRAY_SIZE(cx_metrics_latency_bounds);

enum metric_kind { COUNTER, GAUGE, HISTOGRAM };

struct cx_series {
        struct cx_metric *metric;
        char *labels;       // `a="x",b="y"`, escaped; "" when there are none
        uint64_t value;     // bits of a double: the value, or a histogram's sum
        uint64_t count;     // of a histogram
        uint64_t buckets[]; // not cumulative
};

struct cx_metric {
        struct cx_metrics *registry;
        const char *name, *help;
        const char *labels[MAX_LABELS];
        size_t n_labels;
        enum metric_kind kind;
        const double *bounds;
        size_t n_bounds;
        struct cx_map by_labels;
        struct cx_series **series; // in the order of their making
        size_t n_series;
};

struct cx_metrics {
        pthread_mutex_t lock; // guards the lists, not the values
        struct cx_metric **metrics;
        size_t count;
        double start_time;
};

static double load(const uint64_t *bits)
{
        uint64_t raw = __atomic_load_n(bits, __ATOMIC_RELAXED);
        double value;
        memcpy(&value, &raw, sizeof value);
        return value;
}

static void add(uint64_t *bits, double amount)
{
        uint64_t old = __atomic_load_n(bits, __ATOMIC_RELAXED), new;
        do {
                double value;
                memcpy(&value, &old, sizeof value);
                value += amount;
                memcpy(&new, &value, sizeof new);
        } while (!__atomic_compare_exchange_n(bits, &old, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

struct cx_metrics *cx_metrics_new(void)
{
        struct cx_metrics *metrics = cx_alloc(sizeof *metrics);
        pthread_mutex_init(&metrics->lock, NULL);
        metrics->start_time = (double)cx_time_now() / CX_US_PER_S;
        return metrics;
}

void cx_metrics_free(struct cx_metrics *metrics)
{
        if (!metrics)
                return;
        for (size_t i = 0; i < metrics->count; i++) {
                struct cx_metric *metric = metrics->metrics[i];
                for (size_t j = 0; j < metric->n_series; j++) {
                        free(metric->series[j]->labels);
                        free(metric->series[j]);
                }
                free(metric->series);
                cx_map_release(&metric->by_labels);
                free(metric);
        }
        free(metrics->metrics);
        pthread_mutex_destroy(&metrics->lock);
        free(metrics);
}

static struct cx_metric *declare(struct cx_metrics *metrics, enum metric_kind kind, const char *name, const char *help,
                                 const char *const *labels, const double *bounds, size_t n_bounds)
{
        pthread_mutex_lock(&metrics->lock);
        struct cx_metric *metric = NULL;
        for (size_t i = 0; i < metrics->count && !metric; i++)
                if (strcmp(metrics->metrics[i]->name, name) == 0)
                        metric = metrics->metrics[i];
        if (!metric) {
                metric = cx_alloc(sizeof *metric);
                metric->registry = metrics;
                metric->kind = kind;
                metric->name = name;
                metric->help = help;
                metric->bounds = bounds;
                metric->n_bounds = n_bounds;
                while (labels && labels[metric->n_labels] && metric->n_labels < MAX_LABELS) {
                        metric->labels[metric->n_labels] = labels[metric->n_labels];
                        metric->n_labels++;
                }
                metrics->metrics = cx_realloc_array(metrics->metrics, metrics->count + 1, sizeof *metrics->metrics);
                metrics->metrics[metrics->count++] = metric;
        }
        pthread_mutex_unlock(&metrics->lock);
        return metric;
}

struct cx_metric *cx_metrics_counter(struct cx_metrics *metrics, const char *name, const char *help,
                                     const char *const *labels)
{
        return declare(metrics, COUNTER, name, help, labels, NULL, 0);
}

struct cx_metric *cx_metrics_gauge(struct cx_metrics *metrics, const char *name, const char *help,
                                   const char *const *labels)
{
        return declare(metrics, GAUGE, name, help, labels, NULL, 0);
}

struct cx_metric *cx_metrics_histogram(struct cx_metrics *metrics, const char *name, const char *help,
                                       const char *const *labels, const double *bounds, size_t n_bounds)
{
        if (!bounds) {
                bounds = cx_metrics_latency_bounds;
                n_bounds = cx_metrics_n_latency_bounds;
        }
        return declare(metrics, HISTOGRAM, name, help, labels, bounds, n_bounds);
}

static void add_label(struct cx_buf *to, const char *name, const char *value)
{
        cx_buf_printf(to, "%s%s=\"", to->length ? "," : "", name);
        for (const char *p = cx_str(value); *p; p++) {
                if (*p == '\n')
                        cx_buf_add(to, "\\n");
                else if (*p == '"' || *p == '\\')
                        cx_buf_append(to, (char[]){'\\', *p}, 2);
                else
                        cx_buf_add_char(to, *p);
        }
        cx_buf_add_char(to, '"');
}

struct cx_series *cx_metric_series(struct cx_metric *metric, const char *const *values)
{
        CX_BUF text = CX_BUF_INIT;
        bool ended = false;
        for (size_t i = 0; i < metric->n_labels; i++) {
                ended = ended || !values || !values[i];
                add_label(&text, metric->labels[i], ended ? "" : values[i]);
        }
        pthread_mutex_lock(&metric->registry->lock);
        struct cx_series *series = cx_map_get(&metric->by_labels, text.data);
        if (!series && metric->n_series >= MAX_SERIES) {
                cx_buf_clear(&text);
                for (size_t i = 0; i < metric->n_labels; i++)
                        add_label(&text, metric->labels[i], "other");
                series = cx_map_get(&metric->by_labels, text.data);
        }
        if (!series) {
                series = cx_alloc(sizeof *series + (metric->n_bounds + 1) * sizeof series->buckets[0]);
                series->metric = metric;
                series->labels = cx_strdup(text.data);
                cx_map_set(&metric->by_labels, text.data, series);
                metric->series = cx_realloc_array(metric->series, metric->n_series + 1, sizeof *metric->series);
                metric->series[metric->n_series++] = series;
        }
        pthread_mutex_unlock(&metric->registry->lock);
        return series;
}

void cx_series_add(struct cx_series *series, double amount)
{
        add(&series->value, amount);
}

void cx_series_set(struct cx_series *series, double value)
{
        uint64_t raw;
        memcpy(&raw, &value, sizeof raw);
        __atomic_store_n(&series->value, raw, __ATOMIC_RELAXED);
}

void cx_series_observe(struct cx_series *series, double value)
{
        const struct cx_metric *metric = series->metric;
        size_t i = 0;
        while (i < metric->n_bounds && value > metric->bounds[i])
                i++;
        __atomic_fetch_add(&series->buckets[i], 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&series->count, 1, __ATOMIC_RELAXED);
        add(&series->value, value);
}

double cx_series_value(const struct cx_series *series)
{
        if (series->metric->kind == HISTOGRAM)
                return (double)__atomic_load_n(&series->count, __ATOMIC_RELAXED);
        return load(&series->value);
}

static void add_number(struct cx_buf *to, double value)
{
        if (isinf(value))
                cx_buf_add(to, value > 0 ? "+Inf" : "-Inf");
        else if (value == floor(value) && fabs(value) < 1e15)
                cx_buf_printf(to, "%.0f", value);
        else
                cx_buf_printf(to, "%.15g", value);
}

static void write_histogram(const struct cx_series *series, struct cx_buf *to)
{
        const struct cx_metric *metric = series->metric;
        const char *comma = *series->labels ? "," : "";
        uint64_t total = 0;
        for (size_t i = 0; i <= metric->n_bounds; i++) {
                total += __atomic_load_n(&series->buckets[i], __ATOMIC_RELAXED);
                cx_buf_printf(to, "%s_bucket{%s%sle=\"", metric->name, series->labels, comma);
                add_number(to, i < metric->n_bounds ? metric->bounds[i] : INFINITY);
                cx_buf_printf(to, "\"} %llu\n", (unsigned long long)total);
        }
        const char *open = *series->labels ? "{" : "", *close = *series->labels ? "}" : "";
        cx_buf_printf(to, "%s_sum%s%s%s ", metric->name, open, series->labels, close);
        add_number(to, load(&series->value));
        cx_buf_printf(to, "\n%s_count%s%s%s %llu\n", metric->name, open, series->labels, close,
                      (unsigned long long)total);
}

static void write_plain(struct cx_buf *to, const char *name, const char *type, const char *help, double value)
{
        cx_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
        add_number(to, value);
        cx_buf_add_char(to, '\n');
}

static double count_fds(void)
{
        DIR *folder = opendir("/proc/self/fd");
        if (!folder)
                return 0;
        double count = -3; // ".", "..", and the folder's own
        while (readdir(folder))
                count++;
        closedir(folder);
        return count;
}

static void write_process(const struct cx_metrics *metrics, struct cx_buf *to)
{
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        struct rlimit limit = {0};
        getrlimit(RLIMIT_NOFILE, &limit);
        CX_BUF statm = CX_BUF_INIT_MAX(4096);
        unsigned long size = 0, resident = 0;
        if (cx_buf_read_file(&statm, "/proc/self/statm") < 0 || sscanf(statm.data, "%lu %lu", &size, &resident) != 2)
                size = resident = 0;
        CX_BUF stat = CX_BUF_INIT_MAX(4096);
        long threads = 0;
        if (cx_buf_read_file(&stat, "/proc/self/stat") == 0) {
                const char *after = strrchr(stat.data, ')');
                if (after &&
                    sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld",
                           &threads) != 1)
                        threads = 0;
        }
        double page = (double)sysconf(_SC_PAGESIZE);
        write_plain(to, "process_cpu_seconds_total", "counter", "Processor time spent, user and system, in seconds.",
                    cpu);
        write_plain(to, "process_open_fds", "gauge", "Open file descriptors.", count_fds());
        write_plain(to, "process_max_fds", "gauge", "Limit of open file descriptors.", (double)limit.rlim_cur);
        write_plain(to, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.", (double)resident * page);
        write_plain(to, "process_virtual_memory_bytes", "gauge", "Virtual memory in bytes.", (double)size * page);
        write_plain(to, "process_threads", "gauge", "Threads of the process.", (double)threads);
        write_plain(to, "process_start_time_seconds", "gauge", "When the process started, in seconds since the epoch.",
                    metrics->start_time);
}

void cx_metrics_write(struct cx_metrics *metrics, struct cx_buf *to)
{
        static const char *const types[] = {[COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};
        pthread_mutex_lock(&metrics->lock);
        for (size_t i = 0; i < metrics->count; i++) {
                const struct cx_metric *metric = metrics->metrics[i];
                if (!metric->n_series)
                        continue;
                cx_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                              types[metric->kind]);
                for (size_t j = 0; j < metric->n_series; j++) {
                        const struct cx_series *series = metric->series[j];
                        if (metric->kind == HISTOGRAM) {
                                write_histogram(series, to);
                                continue;
                        }
                        if (*series->labels)
                                cx_buf_printf(to, "%s{%s} ", metric->name, series->labels);
                        else
                                cx_buf_printf(to, "%s ", metric->name);
                        add_number(to, load(&series->value));
                        cx_buf_add_char(to, '\n');
                }
        }
        pthread_mutex_unlock(&metrics->lock);
        write_process(metrics, to);
}
