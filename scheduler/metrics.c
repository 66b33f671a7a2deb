// SPDX-License-Identifier: Apache-2.0
// The series are looked up once; those of plugins when a decision names them.
#include "scheduler/metrics.h"

#include "libcommon/base/time.h"

#define DOUBLING_4(first) (first), 2 * (first), 4 * (first), 8 * (first)
#define DOUBLING_12(first) DOUBLING_4(first), DOUBLING_4(16 * (first)), DOUBLING_4(256 * (first))

static const double from_millisecond[] = {DOUBLING_12(0.001), 4.096, 8.192, 16.384};
static const double from_ten_milliseconds[] = {DOUBLING_12(0.01), DOUBLING_4(40.96), DOUBLING_4(655.36)};
static const double from_tenth[] = {DOUBLING_12(0.0001)};
static const double victims[] = {1, 2, 4, 8, 16, 32, 64};
static const double attempts[] = {1, 2, 4, 8, 16};

#define HISTOGRAM(name, help, labels, bounds)                                                                          \
        cx_metrics_histogram(metrics, "scheduler_" name, help, labels, bounds, CX_ARRAY_SIZE(bounds))

static const char *const results[] = {"scheduled", "unschedulable", "error"};
static const char *const points[] = {[POINT_PRE_FILTER] = "PreFilter",
                                     [POINT_FILTER] = "Filter",
                                     [POINT_POST_FILTER] = "PostFilter",
                                     [POINT_SCORE] = "Score",
                                     [POINT_RESERVE] = "Reserve",
                                     [POINT_PRE_BIND] = "PreBind",
                                     [POINT_BIND] = "Bind"};
static const char *const places[] = {[QUEUE_ACTIVE] = "active",
                                     [QUEUE_BACKOFF] = "backoff",
                                     [QUEUE_UNSCHEDULABLE] = "unschedulable",
                                     [QUEUE_GATED] = "gated"};
static const char *const causes[QUEUE_CAUSES] = {[CAUSE_ADDED] = "UnschedulablePodAdd",
                                                 [CAUSE_UPDATED] = "UnschedulablePodUpdate",
                                                 [CAUSE_FAILED] = "ScheduleAttemptFailure",
                                                 [CAUSE_BACKOFF_OVER] = "BackoffComplete",
                                                 [CAUSE_TIMEOUT] = "UnschedulableTimeout",
                                                 // the bits of enum cluster_event, in their order
                                                 [CAUSE_EVENT] = "NodeAdd",
                                                 "NodeLabelChange",
                                                 "NodeTaintChange",
                                                 "AssignedPodDelete",
                                                 "AssignedPodAdd",
                                                 "AssignedPodUpdate",
                                                 "NamespaceUpdate",
                                                 "PersistentVolumeClaimUpdate",
                                                 "PersistentVolumeUpdate",
                                                 "StorageClassUpdate",
                                                 "CSINodeUpdate",
                                                 "CSIDriverUpdate",
                                                 "CSIStorageCapacityUpdate",
                                                 "VolumeAttachmentDelete"};
static const char *const cached[] = {"nodes", "pods", "assumed_pods"};

struct profile_series {
        struct cx_series *attempts[ATTEMPT_RESULTS], *durations[ATTEMPT_RESULTS], *points[EXTENSION_POINTS][2];
        struct cx_series *unschedulable[MAX_PLUGINS];
};
struct scheduler_metrics {
        const struct profiles *profiles;
        struct profile_series *series; // by profile
        struct cx_series *algorithm, *victims, *preemptions, *tries;
        struct cx_metric *sli;
        struct cx_series *pending[QUEUE_PLACES], *incoming[QUEUE_PLACES][QUEUE_CAUSES], *cached[CX_ARRAY_SIZE(cached)];
        uint64_t shown[QUEUE_PLACES][QUEUE_CAUSES]; // of incoming; under the scheduler's lock
};

static struct profile_series *series_of(struct scheduler_metrics *self, const struct scheduler_profile *profile)
{
        return &self->series[profile - self->profiles->items];
}

static void declare_profiles(struct scheduler_metrics *self, struct cx_metrics *metrics)
{
        static const char *const by_result[] = {"result", "profile", NULL};
        static const char *const by_point[] = {"extension_point", "status", "profile", NULL};
        static const char *const by_plugin[] = {"plugin", "profile", NULL};
        static const char *const statuses[] = {"Unschedulable", "Success"};
        struct cx_metric *count = cx_metrics_counter(metrics, "scheduler_schedule_attempts_total",
                                                     "Attempts to schedule pods, by result.", by_result);
        struct cx_metric *duration = HISTOGRAM("scheduling_attempt_duration_seconds",
                                               "Time of an attempt with its bind.", by_result, from_millisecond);
        struct cx_metric *point = HISTOGRAM("framework_extension_point_duration_seconds",
                                            "Time of all plugins at an extension point.", by_point, from_tenth);
        struct cx_metric *unschedulable =
                cx_metrics_gauge(metrics, "scheduler_unschedulable_pods",
                                 "Pods that wait, by the plugins that rejected them.", by_plugin);
        for (size_t i = 0; i < self->profiles->count; i++) {
                const char *name = self->profiles->items[i].name;
                struct profile_series *to = &self->series[i];
                for (int r = 0; r < ATTEMPT_RESULTS; r++) {
                        to->attempts[r] = cx_metric_series(count, (const char *const[]){results[r], name});
                        to->durations[r] = cx_metric_series(duration, (const char *const[]){results[r], name});
                }
                for (int p = 0; p < EXTENSION_POINTS; p++)
                        for (int s = 0; s < 2; s++)
                                to->points[p][s] =
                                        cx_metric_series(point, (const char *const[]){points[p], statuses[s], name});
                for (size_t p = 0; p < self->profiles->plugins->count; p++)
                        to->unschedulable[p] = cx_metric_series(
                                unschedulable, (const char *const[]){self->profiles->plugins->items[p]->name, name});
        }
}

static void declare_queue(struct scheduler_metrics *self, struct cx_metrics *metrics)
{
        static const char *const by_queue[] = {"queue", NULL}, *const by_event[] = {"queue", "event", NULL};
        static const char *const by_type[] = {"type", NULL};
        struct cx_metric *pending =
                cx_metrics_gauge(metrics, "scheduler_pending_pods", "Pods that wait, by queue.", by_queue);
        struct cx_metric *incoming = cx_metrics_counter(metrics, "scheduler_queue_incoming_pods_total",
                                                        "Pods that came into a queue, and why.", by_event);
        struct cx_metric *cache = cx_metrics_gauge(metrics, "scheduler_scheduler_cache_size",
                                                   "Nodes and pods that the scheduler knows.", by_type);
        for (int place = QUEUE_ACTIVE; place < QUEUE_PLACES; place++) {
                self->pending[place] = cx_metric_series(pending, (const char *const[]){places[place]});
                for (int cause = 0; cause < QUEUE_CAUSES && place != QUEUE_GATED; cause++)
                        self->incoming[place][cause] =
                                cx_metric_series(incoming, (const char *const[]){places[place], causes[cause]});
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(cached); i++)
                self->cached[i] = cx_metric_series(cache, (const char *const[]){cached[i]});
}

struct scheduler_metrics *scheduler_metrics_new(struct cx_metrics *metrics, const struct profiles *profiles)
{
        static const char *const by_attempts[] = {"attempts", NULL};
        struct scheduler_metrics *self = cx_alloc(sizeof *self);
        self->profiles = profiles;
        self->series = cx_alloc_array(profiles->count, sizeof *self->series);
        declare_profiles(self, metrics);
        declare_queue(self, metrics);
        self->algorithm = cx_metric_series(
                HISTOGRAM("scheduling_algorithm_duration_seconds", "Time of a decision.", NULL, from_millisecond),
                NULL);
        self->victims =
                cx_metric_series(HISTOGRAM("preemption_victims", "Pods that a preemption chose.", NULL, victims), NULL);
        self->preemptions = cx_metric_series(cx_metrics_counter(metrics, "scheduler_preemption_attempts_total",
                                                                "Preemptions that were tried.", NULL),
                                             NULL);
        self->tries = cx_metric_series(
                HISTOGRAM("pod_scheduling_attempts", "Attempts until a pod was bound.", NULL, attempts), NULL);
        self->sli = HISTOGRAM("pod_scheduling_sli_duration_seconds", "Time from a pod's coming to its bind.",
                              by_attempts, from_ten_milliseconds);
        return self;
}

void scheduler_metrics_free(struct scheduler_metrics *self)
{
        if (!self)
                return;
        free(self->series);
        free(self);
}

static double since(int64_t started)
{
        return (double)(cx_time_monotonic() - started) / 1e9;
}

void metrics_attempt(struct scheduler_metrics *self, const struct scheduler_profile *profile,
                     enum attempt_result result, int64_t started)
{
        struct profile_series *series = series_of(self, profile);
        cx_series_add(series->attempts[result], 1);
        cx_series_observe(series->durations[result], since(started));
}

void metrics_bound(struct scheduler_metrics *self, int n, int64_t queued)
{
        cx_series_observe(self->tries, n);
        cx_metric_observe(self->sli, since(queued), n < 15 ? CX_INT(n) : "15+");
}

void metrics_decision(struct scheduler_metrics *self, const struct scheduler_profile *profile,
                      const struct decision *decision, int64_t started)
{
        struct profile_series *series = series_of(self, profile);
        cx_series_observe(self->algorithm, since(started));
        for (int p = 0; p < EXTENSION_POINTS; p++)
                if (decision->times[p])
                        cx_series_observe(series->points[p][decision->node != NULL], (double)decision->times[p] / 1e9);
        if (decision->times[POINT_POST_FILTER])
                cx_series_add(self->preemptions, 1);
        if (decision->nominated)
                cx_series_observe(self->victims, (double)decision->victims.count);
}

void metrics_point(struct scheduler_metrics *self, const struct scheduler_profile *profile, enum extension_point point,
                   bool success, int64_t started)
{
        cx_series_observe(series_of(self, profile)->points[point][success], since(started));
}

void metrics_show(struct scheduler_metrics *self, const struct queue *queue, const struct node_cache *cache)
{
        for (int place = QUEUE_ACTIVE; place < QUEUE_PLACES; place++) {
                cx_series_set(self->pending[place], (double)queue->counts[place]);
                for (int cause = 0; cause < QUEUE_CAUSES && place != QUEUE_GATED; cause++) {
                        uint64_t more = queue->came[place][cause] - self->shown[place][cause];
                        if (more)
                                cx_series_add(self->incoming[place][cause], (double)more);
                        self->shown[place][cause] = queue->came[place][cause];
                }
        }
        for (size_t i = 0; i < self->profiles->count; i++)
                for (size_t p = 0; p < self->profiles->plugins->count; p++)
                        cx_series_set(self->series[i].unschedulable[p], (double)queue->rejected[i][p]);
        cx_series_set(self->cached[0], (double)cache->n_nodes);
        cx_series_set(self->cached[1], (double)cache->pods.count);
        cx_series_set(self->cached[2], (double)cache->n_assumed);
}
