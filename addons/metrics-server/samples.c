// SPDX-License-Identifier: Apache-2.0
// Prometheus' text format (version 0.0.4), as much of it as /metrics/resource speaks: NAME{LABEL="VALUE",…} VALUE [TIME].
#include "addons/metrics-server/samples.h"

#include "libcommon/base/time.h"

#include <math.h>
#include <stdlib.h>

#define MAX_CONTAINERS 20000
#define MAX_NAME 253
#define FRESH (10 * CX_NS_PER_S)
#define NS_PER_MS_TEXT 1e6
#define AHEAD (60 * CX_NS_PER_S) // that a kubelet's clock may be
// Of one container, so that no sum over a node leaves 64 bits: 128 TiB, and a hundred thousand cores.
#define MAX_MEMORY 140737488355328.0
#define MAX_CPU_NANO 1e14

static void free_pod(void *value)
{
        struct pod_samples *pod = value;
        for (size_t i = 0; i < pod->count; i++)
                free(pod->items[i].name);
        free(pod->items);
        free(pod);
}

void samples_init(struct samples *samples)
{
        *samples = (struct samples){.pods = CX_MAP_INIT_FREE(free_pod)};
}

void samples_release(struct samples *samples)
{
        cx_map_release(&samples->pods);
}

// --- lines -----------------------------------------------------------------------------------------------------------

struct line {
        char name[64];
        char container[MAX_NAME + 1], pod[MAX_NAME + 1], namespace[MAX_NAME + 1]; // "": not there
        double value;
        int64_t at; // ns; 0: not told
};

// Reads a label's value up to its closing quote; what is longer than `to` is malformed. Returns what follows, or NULL.
static const char *read_value(const char *text, char to[MAX_NAME + 1])
{
        size_t n = 0;
        for (; *text && *text != '"' && *text != '\n'; text++) {
                char c = *text;
                if (c == '\\') {
                        c = *++text;
                        if (c != '\\' && c != '"' && c != 'n')
                                return NULL;
                        c = c == 'n' ? '\n' : c;
                }
                if (n == MAX_NAME)
                        return NULL;
                to[n++] = c;
        }
        to[n] = '\0';
        return *text == '"' ? text + 1 : NULL;
}

static char *label_of(struct line *line, const char *name, size_t length)
{
        const struct {
                const char *name;
                char *to;
        } labels[] = {{"container", line->container}, {"pod", line->pod}, {"namespace", line->namespace}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(labels); i++)
                if (strlen(labels[i].name) == length && memcmp(labels[i].name, name, length) == 0)
                        return labels[i].to;
        return NULL;
}

static const char *read_labels(const char *text, struct line *line)
{
        char ignored[MAX_NAME + 1] = "";
        while (text && *text != '}') {
                size_t length = strcspn(text, "=\",}\n");
                if (!length || text[length] != '=' || text[length + 1] != '"')
                        return NULL;
                char *to = label_of(line, text, length);
                text = read_value(text + length + 2, to ? to : ignored);
                if (text && *text == ',')
                        text++;
        }
        return text ? text + 1 : NULL;
}

// 1: read; 0: a line of another kind; negative: malformed.
static int read_line(const char *text, struct line *line)
{
        size_t length = strcspn(text, "{ \t\n");
        char *end;
        *line = (struct line){0};
        if (!length || *text == '#' || length >= sizeof line->name)
                return 0;
        memcpy(line->name, text, length);
        text += length;
        if (*text == '{')
                text = read_labels(text + 1, line);
        if (!text || (*text != ' ' && *text != '\t'))
                return -EINVAL;
        line->value = strtod(text, &end);
        if (end == text)
                return -EINVAL;
        text = end + strspn(end, " \t");
        double ms = *text && *text != '\n' ? strtod(text, &end) : 0;
        if (isfinite(ms) && ms > 0 && ms < 9e12)
                line->at = (int64_t)(ms * NS_PER_MS_TEXT);
        return 1;
}

// --- what they say ---------------------------------------------------------------------------------------------------

static struct sample *sample_of(struct samples *samples, const struct line *line, size_t *count)
{
        if (!*line->pod || !*line->namespace || !*line->container)
                return NULL;
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", line->namespace, line->pod);
        struct pod_samples *pod = cx_map_get(&samples->pods, key);
        for (size_t i = 0; pod && i < pod->count; i++)
                if (strcmp(pod->items[i].name, line->container) == 0)
                        return &pod->items[i].sample;
        if (++*count > MAX_CONTAINERS)
                return NULL;
        if (!pod)
                cx_map_set(&samples->pods, key, pod = cx_alloc(sizeof *pod));
        pod->items = cx_realloc_array(pod->items, pod->count + 1, sizeof *pod->items);
        pod->items[pod->count] = (struct container_sample){.name = cx_strdup(line->container)};
        return &pod->items[pod->count++].sample;
}

enum { CPU, MEMORY, START };

static void take(struct sample *sample, int what, const struct line *line, int64_t now)
{
        if (!isfinite(line->value) || line->value < 0 || line->value > 1e18)
                return;
        if (what == CPU) {
                sample->cpu_ns = (uint64_t)fmin(line->value * 1e9, 9e18);
                sample->at = line->at && line->at < now + AHEAD ? line->at : now;
                sample->has |= SAMPLE_CPU;
        } else if (what == MEMORY && line->value <= MAX_MEMORY) {
                sample->memory = (uint64_t)line->value;
                sample->has |= SAMPLE_MEMORY;
        } else if (what == START && line->value < 9e9) {
                sample->start = (int64_t)(line->value * 1e9);
        }
}

int samples_parse(const char *text, size_t length, int64_t now, struct samples *samples, struct cx_error *err)
{
        static const struct {
                const char *name;
                bool node;
                int what;
        } known[] = {{"node_cpu_usage_seconds_total", true, CPU},
                     {"node_memory_working_set_bytes", true, MEMORY},
                     {"container_cpu_usage_seconds_total", false, CPU},
                     {"container_memory_working_set_bytes", false, MEMORY},
                     {"container_start_time_seconds", false, START}};
        const char *end = text + length;
        size_t count = 0, number = 0;
        for (; text < end; text += strcspn(text, "\n") + 1) {
                struct line line;
                number++;
                int r = read_line(text, &line);
                for (size_t i = 0; r > 0 && i < CX_ARRAY_SIZE(known); i++) {
                        if (strcmp(known[i].name, line.name) != 0)
                                continue;
                        struct sample *sample = known[i].node ? &samples->node : sample_of(samples, &line, &count);
                        if (count > MAX_CONTAINERS)
                                return cx_error_set(err, -EINVAL, "more than %d containers on one node",
                                                    MAX_CONTAINERS);
                        if (sample)
                                take(sample, known[i].what, &line, now);
                }
                if (r < 0)
                        return cx_error_set(err, -EINVAL, "line %zu of the kubelet's metrics is malformed", number);
        }
        return 0;
}

// --- usage -----------------------------------------------------------------------------------------------------------

bool usage_between(const struct sample *before, const struct sample *after, struct usage *ret)
{
        if (!before || !after || (after->has & SAMPLE_WHOLE) != SAMPLE_WHOLE || !(before->has & SAMPLE_CPU) ||
            after->at <= before->at || after->cpu_ns < before->cpu_ns || after->start < before->start)
                return false;
        int64_t window = after->at - before->at;
        double cores = (double)(after->cpu_ns - before->cpu_ns) / (double)window;
        *ret = (struct usage){.at = after->at,
                              .window = window,
                              .cpu_nano = (uint64_t)fmin(cores * 1e9, MAX_CPU_NANO),
                              .memory = after->memory};
        return true;
}

const struct sample *sample_before(const struct sample *before, const struct sample *after, int64_t resolution,
                                   struct sample *scratch)
{
        int64_t age = after->at - after->start;
        if (after->start && age < resolution && age >= FRESH) {
                *scratch = (struct sample){.at = after->start, .start = after->start, .has = SAMPLE_WHOLE};
                return scratch;
        }
        // One that was started anew since counts from zero.
        return before && after->start < before->at ? before : NULL;
}

const struct sample *pod_sample(const struct pod_samples *pod, const char *container)
{
        for (size_t i = 0; pod && i < pod->count; i++)
                if (strcmp(pod->items[i].name, container) == 0)
                        return &pod->items[i].sample;
        return NULL;
}
