// SPDX-License-Identifier: Apache-2.0
// NodeResourcesFit: a node must have what the pod requests; and its score by how much of the node is taken, in one of three
// ways that a profile chooses.
#include "scheduler/plugins/requests.h"

#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"

#include <math.h>

struct shape_point {
        int64_t utilization, score; // of 100 each
};
struct fit_args {
        struct scored_resources resources;
        enum { LEAST_ALLOCATED, MOST_ALLOCATED, REQUESTED_TO_CAPACITY } strategy;
        LIST(struct shape_point, shape);
        struct cx_strings ignored, ignored_groups; // extended resources that somebody else looks after
};

// --- arguments -------------------------------------------------------------------------------------------------------

static int parse_shape(struct fit_args *args, const json_t *points, struct cx_error *err)
{
        size_t i;
        json_t *point;
        if (!json_array_size(points))
                return cx_error_set(err, -EINVAL, "scoringStrategy.requestedToCapacityRatio.shape: at least one point");
        json_array_foreach (points, i, point) {
                int64_t utilization = cx_json_int(point, "utilization", 0);
                if (i && utilization <= args->shape.items[i - 1].utilization)
                        return cx_error_set(err, -EINVAL,
                                            "scoringStrategy.requestedToCapacityRatio.shape[%zu].utilization: the "
                                            "values must rise",
                                            i);
                *LIST_ADD(&args->shape) = (struct shape_point){utilization, cx_json_int(point, "score", 0) * 10};
        }
        return 0;
}

static void parse_ignored(const json_t *list, struct cx_strings *to)
{
        size_t i;
        json_t *name;
        json_array_foreach (list, i, name)
                cx_strings_add(to, cx_str(json_string_value(name)));
}

static int parse_args(void *state, const json_t *json, struct cx_error *err)
{
        struct fit_args *args = state;
        const json_t *strategy = json_object_get(json, "scoringStrategy");
        const char *type = cx_json_string_or(strategy, "type", "");
        args->strategy = strcmp(type, "MostAllocated") == 0              ? MOST_ALLOCATED
                         : strcmp(type, "RequestedToCapacityRatio") == 0 ? REQUESTED_TO_CAPACITY
                                                                         : LEAST_ALLOCATED;
        parse_ignored(json_object_get(json, "ignoredResources"), &args->ignored);
        parse_ignored(json_object_get(json, "ignoredResourceGroups"), &args->ignored_groups);
        int r = scored_parse(&args->resources, json_object_get(strategy, "resources"), err);
        if (r == 0 && args->strategy == REQUESTED_TO_CAPACITY)
                r = parse_shape(args, cx_json_get(strategy, "requestedToCapacityRatio.shape"), err);
        return r;
}

static void release_args(void *state)
{
        struct fit_args *args = state;
        scored_release(&args->resources);
        free(args->shape.items);
        cx_strings_release(&args->ignored);
        cx_strings_release(&args->ignored_groups);
}

static bool is_ignored(const struct fit_args *args, const char *name)
{
        if (!args->ignored.count && !args->ignored_groups.count)
                return false;
        CX_CLEANUP(cx_freep) char *group = cx_strdup(name);
        group[strcspn(group, "/")] = 0;
        return cx_strings_has(&args->ignored, name) || cx_strings_has(&args->ignored_groups, group);
}

// --- filter ----------------------------------------------------------------------------------------------------------

static bool lacks(struct cycle *cycle, const char *reason)
{
        cycle_reject(cycle, reason);
        return true;
}

static bool lacks_extended(struct cycle *cycle, const struct node *node, const struct wanted_resource *wanted)
{
        int64_t allocatable, requested;
        requests_extended(cycle, node, wanted->amount.id, &allocatable, &requested);
        if (wanted->amount.amount == 0 || wanted->amount.amount <= allocatable - requested ||
            is_ignored(args_of_plugin(cycle), wanted->name))
                return false;
        cycle->for_good |= wanted->amount.amount > allocatable;
        if (!cycle->quiet) {
                CX_BUF text = CX_BUF_INIT;
                cx_buf_printf(&text, "Insufficient %s", wanted->name);
                cycle_reject(cycle, text.data);
        }
        return true;
}

static bool filter(struct cycle *cycle, const struct node *node)
{
        static const char *const texts[] = {[RESOURCE_CPU] = "Insufficient cpu",
                                            [RESOURCE_MEMORY] = "Insufficient memory",
                                            [RESOURCE_EPHEMERAL] = "Insufficient ephemeral-storage"};
        const struct pod_requests *wanted = state_of_pod(cycle);
        const struct node_requests *requested = state_of_node(cycle, node);
        const struct node_info *info = node->info;
        bool short_of = false;
        if (node->pods + 1 > info->max_pods)
                short_of = lacks(cycle, "Too many pods");
        for (int i = 0; i < RESOURCE_BASE; i++)
                if (wanted->base[i] && wanted->base[i] > info->allocatable[i] - requested->base[i]) {
                        short_of = lacks(cycle, texts[i]);
                        cycle->for_good |= wanted->base[i] > info->allocatable[i]; // too much for the empty node
                }
        for (size_t i = 0; i < wanted->extended.count; i++)
                short_of |= lacks_extended(cycle, node, &wanted->extended.items[i]);
        return !short_of;
}

// --- score -----------------------------------------------------------------------------------------------------------

// Of 100, without overflow.
static int64_t percent(int64_t part, int64_t whole)
{
        return (int64_t)((__int128)part * MAX_SCORE / whole);
}

// The line through the points of the shape, level beyond its ends.
static int64_t shape_at(const struct fit_args *args, int64_t utilization)
{
        const struct shape_point *points = args->shape.items;
        for (size_t i = 0; i < args->shape.count; i++) {
                if (utilization > points[i].utilization)
                        continue;
                if (i == 0)
                        return points[0].score;
                return points[i - 1].score + (points[i].score - points[i - 1].score) *
                                                     (utilization - points[i - 1].utilization) /
                                                     (points[i].utilization - points[i - 1].utilization);
        }
        return points[args->shape.count - 1].score;
}

static int64_t score_resource(const struct fit_args *args, int64_t allocatable, int64_t requested)
{
        switch (args->strategy) {
        case LEAST_ALLOCATED:
                return requested > allocatable ? 0 : percent(allocatable - requested, allocatable);
        case MOST_ALLOCATED: // pods that do not say what they need may add up to more than there is
                return percent(requested < allocatable ? requested : allocatable, allocatable);
        default:
                return shape_at(args, requested > allocatable ? 100 : percent(requested, allocatable));
        }
}

static int64_t score(struct cycle *cycle, const struct node *node)
{
        const struct fit_args *args = args_of_plugin(cycle);
        int64_t sum = 0, weights = 0;
        for (size_t i = 0; i < args->resources.list.count; i++) {
                const struct scored_resource *resource = &args->resources.list.items[i];
                int64_t allocatable, requested;
                if (!scored_amounts(cycle, node, resource, true, &allocatable, &requested))
                        continue;
                int64_t one = score_resource(args, allocatable, requested);
                if (one <= 0 && args->strategy == REQUESTED_TO_CAPACITY)
                        continue;
                sum += one * resource->weight;
                weights += resource->weight;
        }
        if (!weights)
                return 0;
        return args->strategy == REQUESTED_TO_CAPACITY ? (int64_t)round((double)sum / (double)weights) : sum / weights;
}

const struct plugin node_resources_fit_plugin = {
        .name = "NodeResourcesFit",
        .events = EVENT_ON_NODE,
        .node_local = true,
        .weight = 1,
        .args_size = sizeof(struct fit_args),
        .parse_args = parse_args,
        .release_args = release_args,
        .fields = requests_fields,
        .pod_size = sizeof(struct pod_requests),
        .parse = requests_parse,
        .release_pod = requests_release,
        .node_size = sizeof(struct node_requests),
        .count = requests_count,
        .release_node = requests_release_node,
        .filter = filter,
        .score = score,
};
