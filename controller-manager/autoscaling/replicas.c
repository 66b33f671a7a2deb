// SPDX-License-Identifier: Apache-2.0
// Upstream's replica calculator (autoscaling/v2; "Algorithm details" of its documentation).
#include "controller-manager/autoscaling/replicas.h"

#include <math.h>

#define MAX_REPLICAS INT64_C(2147483647)

static bool is_within(const struct replica_settings *settings, double ratio)
{
        return ratio >= 1 - settings->tolerance_down && ratio <= 1 + settings->tolerance_up;
}

static int64_t up(double replicas)
{
        double whole = ceil(replicas);
        return whole < 0 ? 0 : whole > (double)MAX_REPLICAS ? MAX_REPLICAS : (int64_t)whole;
}

// --- groups ----------------------------------------------------------------------------------------------------------

// Whether a CPU figure is of the time in which a pod starts.
static bool is_starting(const struct replica_settings *settings, const struct scaled_pod *pod)
{
        if (!pod->has_ready || !pod->started)
                return true;
        if (pod->started + settings->initialization > settings->now)
                return !pod->ready || pod->at < pod->ready_since + pod->window / 1000;
        return !pod->ready && pod->started + settings->initial_readiness > pod->ready_since;
}

void group_pods(const struct replica_settings *settings, bool cpu, struct scaled_pods *pods)
{
        for (size_t i = 0; i < pods->count; i++) {
                struct scaled_pod *pod = &pods->items[i];
                pod->group = pod->going || pod->failed           ? POD_IGNORED
                             : pod->pending                      ? POD_UNREADY
                             : !pod->measured                    ? POD_MISSING
                             : cpu && is_starting(settings, pod) ? POD_UNREADY
                                                                 : POD_COUNTS;
        }
}

// --- the common course ------------------------------------------------------------------------------------------------

// What a ratio is made of.
struct sum {
        int64_t value, requests, pods;
};
struct course {
        const struct replica_settings *settings;
        const struct scaled_pods *pods;
        int64_t current, target;
        bool utilization; // in percent of the requests
};

static int64_t within_64_bits(__int128 value)
{
        return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

static void add(const struct scaled_pod *pod, int64_t value, struct sum *to)
{
        to->value = sum_of(to->value, value);
        to->requests = sum_of(to->requests, pod->request);
        to->pods++;
}

// In whole percents, or whole thousandths of an average, as upstream counts.
static int64_t level_of(const struct course *course, const struct sum *sum)
{
        return course->utilization ? within_64_bits((__int128)sum->value * 100 / sum->requests)
                                   : sum->value / sum->pods;
}

static double ratio_of(const struct course *course, const struct sum *sum)
{
        return (double)level_of(course, sum) / (double)course->target;
}

// What a pod without a figure is taken to use, when the others say that there are too many or too few.
static int64_t missing_value(const struct course *course, const struct scaled_pod *pod, double ratio)
{
        if (ratio >= 1)
                return 0;
        int64_t percent = course->target > 100 ? course->target : 100;
        return course->utilization ? within_64_bits((__int128)pod->request * percent / 100) : course->target;
}

static size_t count_group(const struct scaled_pods *pods, enum pod_group group)
{
        size_t count = 0;
        for (size_t i = 0; i < pods->count; i++)
                count += pods->items[i].group == group;
        return count;
}

// The others' ratio with what the rest may use: what follows from it may not go the other way.
static int64_t with_the_rest(const struct course *course, const struct sum *counted, double ratio, bool with_unready)
{
        struct sum sum = *counted;
        for (size_t i = 0; i < course->pods->count; i++) {
                const struct scaled_pod *pod = &course->pods->items[i];
                if (pod->group == POD_MISSING && (ratio != 1 || !course->utilization))
                        add(pod, missing_value(course, pod, ratio), &sum);
                else if (pod->group == POD_UNREADY && with_unready)
                        add(pod, 0, &sum);
        }
        double fresh = ratio_of(course, &sum);
        if (is_within(course->settings, fresh) || (ratio < 1 && fresh > 1) || (ratio > 1 && fresh < 1))
                return course->current;
        int64_t replicas = up(fresh * (double)sum.pods);
        bool turned = (fresh < 1 && replicas > course->current) || (fresh > 1 && replicas < course->current);
        return turned ? course->current : replicas;
}

static int compute(const struct course *course, struct replica_answer *ret, struct cx_error *err)
{
        struct sum sum = {0};
        for (size_t i = 0; i < course->pods->count; i++)
                if (course->pods->items[i].group == POD_COUNTS)
                        add(&course->pods->items[i], course->pods->items[i].value, &sum);
        if (!sum.pods)
                return cx_error_set(err, -ENOENT, "did not receive metrics for targeted pods (pods might be unready)");
        if (course->utilization && sum.requests <= 0)
                return cx_error_set(err, -ENOENT, "no metrics returned matched known pods");
        double ratio = ratio_of(course, &sum);
        *ret = (struct replica_answer){.replicas = course->current,
                                       .average = sum.value / sum.pods,
                                       .utilization = course->utilization ? level_of(course, &sum) : 0};
        bool with_unready = ratio > 1 && count_group(course->pods, POD_UNREADY);
        if (with_unready || count_group(course->pods, POD_MISSING))
                ret->replicas = with_the_rest(course, &sum, ratio, with_unready);
        else if (!is_within(course->settings, ratio))
                ret->replicas = up(ratio * (double)sum.pods);
        return 0;
}

int replicas_by_utilization(const struct replica_settings *settings, const struct scaled_pods *pods, int64_t current,
                            int64_t target, struct replica_answer *ret_answer, struct cx_error *err)
{
        const struct course course = {settings, pods, current, target, true};
        return compute(&course, ret_answer, err);
}

int replicas_by_average(const struct replica_settings *settings, const struct scaled_pods *pods, int64_t current,
                        int64_t target, struct replica_answer *ret_answer, struct cx_error *err)
{
        const struct course course = {settings, pods, current, target, false};
        return compute(&course, ret_answer, err);
}

// --- one value -------------------------------------------------------------------------------------------------------

int64_t replicas_by_value(const struct replica_settings *settings, int64_t value, int64_t target, int64_t current,
                          int64_t ready)
{
        double ratio = (double)value / (double)target;
        if (!current) // from none to some
                return up(ratio);
        return is_within(settings, ratio) ? current : up(ratio * (double)ready);
}

int64_t replicas_by_share(const struct replica_settings *settings, int64_t value, int64_t target, int64_t replicas)
{
        double ratio = replicas ? (double)value / ((double)target * (double)replicas) : INFINITY;
        if (!replicas && !value)
                return 0;
        return is_within(settings, ratio) ? replicas : up((double)value / (double)target);
}
