// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms with labels, in Prometheus' text format, and the process_* metrics of the process
// itself. Metrics are declared once and live as long as their registry; any thread may update and write.
#pragma once

#include "libcommon/base/buf.h"

struct cx_metrics;
struct cx_metric;
struct cx_series; // one combination of label values of a metric: keep it where updates are frequent

struct cx_metrics *cx_metrics_new(void);
void cx_metrics_free(struct cx_metrics *metrics);

// Declares a metric (an existing name gives the same metric again). `labels` is NULL-ended or NULL. Owned by the
// registry. Texts are borrowed constants.
struct cx_metric *cx_metrics_counter(struct cx_metrics *metrics, const char *name, const char *help,
                                     const char *const *labels);
struct cx_metric *cx_metrics_gauge(struct cx_metrics *metrics, const char *name, const char *help,
                                   const char *const *labels);
// `bounds` are upper bounds in rising order, borrowed constants; NULL: cx_metrics_latency_bounds.
struct cx_metric *cx_metrics_histogram(struct cx_metrics *metrics, const char *name, const char *help,
                                       const char *const *labels, const double *bounds, size_t n_bounds);
extern const double cx_metrics_latency_bounds[]; // seconds: 1 ms to 10 s
extern const size_t cx_metrics_n_latency_bounds;

// The series for these label values (as many as labels; NULL counts as ""). A metric keeps at most 10,000 series; what
// comes after shares one with the values "other".
struct cx_series *cx_metric_series(struct cx_metric *metric, const char *const *values);
void cx_series_add(struct cx_series *series, double amount);    // counters and gauges
void cx_series_set(struct cx_series *series, double value);     // gauges
void cx_series_observe(struct cx_series *series, double value); // histograms
double cx_series_value(const struct cx_series *series);         // the count, of a histogram
// Shorthands that look the series up: cx_metric_add(m, 1, "GET", "200").
#define cx_metric_add(metric, amount, ...) cx_series_add(cx_metric_series((metric), CX_LABELS_(__VA_ARGS__)), (amount))
#define cx_metric_set(metric, value, ...) cx_series_set(cx_metric_series((metric), CX_LABELS_(__VA_ARGS__)), (value))
#define cx_metric_observe(metric, value, ...)                                                                          \
        cx_series_observe(cx_metric_series((metric), CX_LABELS_(__VA_ARGS__)), (value))
#ifdef __cppcheck__ // which does not know __VA_OPT__
#define CX_LABELS_(...) NULL
#else
#define CX_LABELS_(...)                                                                                                \
        (const char *const[])                                                                                          \
        {                                                                                                              \
                __VA_ARGS__ __VA_OPT__(, ) NULL                                                                        \
        }
#endif

// Everything in text format 0.0.4, with process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds,
// process_max_fds, process_virtual_memory_bytes, process_threads and process_start_time_seconds.
void cx_metrics_write(struct cx_metrics *metrics, struct cx_buf *to);
#define CX_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
