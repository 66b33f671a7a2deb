// SPDX-License-Identifier: Apache-2.0
// Runs the hooks of all plugins. cycle.at says which plugin is being called, which is how it finds its own states.
#include "scheduler/core/cycle.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/random.h"
#include "libcommon/base/strings.h"

#include <stdarg.h>

void reasons_add(struct reasons *reasons, const char *text)
{
        for (size_t i = 0; i < reasons->count; i++)
                if (strcmp(reasons->items[i].text, text) == 0) {
                        reasons->items[i].count++;
                        return;
                }
        *LIST_ADD(reasons) = (struct reason){cx_strdup(text), 1};
}

char *reasons_explain(const struct reasons *reasons, size_t nodes)
{
        CX_STRINGS parts = CX_STRINGS_INIT;
        for (size_t i = 0; i < reasons->count; i++) {
                CX_CLEANUP(cx_freep)
                char *part = cx_sprintf("%d %s", reasons->items[i].count, reasons->items[i].text);
                cx_strings_add(&parts, part);
        }
        cx_strings_sort(&parts);
        CX_CLEANUP(cx_freep) char *list = cx_strings_join(&parts, ", ");
        return cx_sprintf("0/%zu nodes are available: %s.", nodes, list);
}

void reasons_release(struct reasons *reasons)
{
        for (size_t i = 0; i < reasons->count; i++)
                free(reasons->items[i].text);
        free(reasons->items);
        *reasons = (struct reasons){0};
}

static void free_verdict(void *value)
{
        struct node_verdict *verdict = value;
        free(verdict->reason);
        free(verdict);
}

void verdicts_init(struct verdicts *verdicts)
{
        *verdicts = (struct verdicts){.by_node = CX_MAP_INIT_FREE(free_verdict)};
}

void verdicts_release(struct verdicts *verdicts)
{
        cx_map_release(&verdicts->by_node);
}

struct node_verdict *verdicts_of(struct verdicts *verdicts, const char *node)
{
        struct node_verdict *verdict = cx_map_get(&verdicts->by_node, node);
        if (!verdict) {
                verdict = cx_alloc(sizeof *verdict);
                cx_map_set(&verdicts->by_node, node, verdict);
        }
        return verdict;
}

void cycle_reject(struct cycle *cycle, const char *text)
{
        if (!cycle->quiet)
                reasons_add(&cycle->reasons, text);
}

void cycle_reject_for_good(struct cycle *cycle, const char *text)
{
        cycle->for_good = true;
        cycle_reject(cycle, text);
}

void cycle_refuse(struct cycle *cycle, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(&text, format, args);
        va_end(args);
        free(cycle->refusal);
        cycle->refusal = cx_buf_detach(&text);
        cycle->failed |= 1U << cycle->at;
}

void normalize_by_maximum(struct cycle *cycle, int64_t *scores, bool reverse)
{
        int64_t maximum = 0;
        for (size_t i = 0; i < cycle->n_feasible; i++)
                maximum = scores[i] > maximum ? scores[i] : maximum;
        for (size_t i = 0; i < cycle->n_feasible; i++) {
                int64_t score = maximum ? scores[i] * MAX_SCORE / maximum : 0;
                scores[i] = reverse ? MAX_SCORE - score : score;
        }
}

void cycle_init(struct cycle *cycle, struct node_cache *cache, struct template *template)
{
        *cycle = (struct cycle){.cache = cache,
                                .plugins = cache->plugins,
                                .profile = template->profile,
                                .template = template,
                                .states = cx_alloc(cache->plugins->cycle_size + 1)};
}

void cycle_release(struct cycle *cycle)
{
        const struct plugins *plugins = cycle->plugins;
        for (size_t i = 0; i < plugins->count; i++)
                if (plugins->items[i]->release_cycle)
                        plugins->items[i]->release_cycle(cycle->states + plugins->cycle_at[i]);
        reasons_release(&cycle->reasons);
        free(cycle->refusal);
        free(cycle->states);
        free(cycle->feasible);
        free(cycle->hopeful);
}

void cycle_pre_filter(struct cycle *cycle)
{
        for (size_t i = 0; i < cycle->plugins->count && !cycle->refusal; i++) {
                const struct plugin *plugin = cycle_call(cycle, i);
                if (cycle->profile->plugins[i].filters && (!plugin->pre_filter || plugin->pre_filter(cycle)))
                        cycle->filters[cycle->n_filters++] = (uint8_t)i;
        }
}

// One that came after the others were asked is not for this time.
static bool is_accepted(struct cycle *cycle, const struct node *node)
{
        const struct node_verdict *verdict = cx_map_get(&cycle->verdicts->by_node, node->name);
        bool asked = verdict && verdict->candidate;
        if (asked && !verdict->reason)
                return true;
        cycle->for_good = !asked || verdict->for_good;
        if (asked) {
                cycle_reject(cycle, verdict->reason);
                cycle->failed |= REJECTED_BY_OTHERS;
        }
        return false;
}

bool cycle_passes(struct cycle *cycle, const struct node *node)
{
        cycle->for_good = cycle->refusal;
        if (cycle->refusal)
                return false;
        for (size_t i = 0; i < cycle->n_filters; i++)
                if (!cycle_call(cycle, cycle->filters[i])->filter(cycle, node)) {
                        cycle->failed |= 1U << cycle->filters[i];
                        return false;
                }
        return !cycle->verdicts || is_accepted(cycle, node);
}

bool cycle_is_local(const struct cycle *cycle)
{
        for (size_t i = 0; i < cycle->n_filters; i++)
                if (!cycle->plugins->items[cycle->filters[i]]->node_local)
                        return false;
        return true;
}

void cycle_score(struct cycle *cycle, int64_t *totals)
{
        CX_CLEANUP(cx_freep) int64_t *scores = cx_alloc_array(cycle->n_feasible, sizeof *scores);
        for (size_t i = 0; i < cycle->plugins->count; i++) {
                const struct plugin *plugin = cycle_call(cycle, i);
                int64_t weight = cycle->profile->plugins[i].weight;
                if (!weight || (plugin->pre_score && !plugin->pre_score(cycle)))
                        continue;
                for (size_t j = 0; j < cycle->n_feasible; j++)
                        scores[j] = plugin->score(cycle, cycle->feasible[j]);
                if (plugin->normalize)
                        plugin->normalize(cycle, scores);
                for (size_t j = 0; j < cycle->n_feasible; j++)
                        totals[j] += scores[j] * weight;
        }
        for (size_t j = 0; cycle->verdicts && j < cycle->n_feasible; j++) {
                const struct node_verdict *verdict = cx_map_get(&cycle->verdicts->by_node, cycle->feasible[j]->name);
                totals[j] += verdict ? verdict->score : 0;
        }
}

static uint64_t next_random(uint64_t *random)
{
        if (!*random)
                cx_random_bytes(random, sizeof *random);
        *random |= !*random;
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        return *random;
}

struct node *cycle_choose(struct cycle *cycle, uint64_t *random)
{
        if (cycle->n_feasible == 1)
                return cycle->feasible[0];
        CX_CLEANUP(cx_freep) int64_t *totals = cx_alloc_array(cycle->n_feasible, sizeof *totals);
        cycle_score(cycle, totals);
        size_t best = 0, ties = 1;
        for (size_t i = 1; i < cycle->n_feasible; i++) {
                if (totals[i] > totals[best]) {
                        best = i;
                        ties = 1;
                } else if (totals[i] == totals[best] && next_random(random) % ++ties == 0) {
                        best = i;
                }
        }
        return cycle->feasible[best];
}

bool cycle_fits(struct node_cache *cache, struct template *template, const struct node *node, struct reasons *reasons)
{
        CX_CLEANUP(cycle_release) struct cycle cycle;
        cycle_init(&cycle, cache, template);
        cycle.quiet = !reasons;
        cache->cycle++;
        cycle_pre_filter(&cycle);
        bool fit = cycle_passes(&cycle, node);
        for (size_t i = 0; reasons && i < cycle.reasons.count; i++)
                reasons_add(reasons, cycle.reasons.items[i].text);
        return fit;
}

// Plugins that look only at the node are asked whether it would do now; so a pod that wants a GPU does not wake up for
// every pod that ends elsewhere.
static bool passes_locally(struct node_cache *cache, struct template *template, const struct node *node)
{
        CX_CLEANUP(cycle_release) struct cycle cycle;
        cycle_init(&cycle, cache, template);
        cycle.quiet = true;
        for (size_t i = 0; i < cycle.plugins->count; i++) {
                const struct plugin *plugin = cycle_call(&cycle, i);
                if (plugin->node_local && cycle.profile->plugins[i].filters &&
                    (!plugin->pre_filter || plugin->pre_filter(&cycle)) && !plugin->filter(&cycle, node))
                        return false;
        }
        return true;
}

bool cycle_helps(struct node_cache *cache, struct template *template, unsigned failed, unsigned events,
                 const struct node *node, const char *claim)
{
        bool local_only = true, interested = false;
        if (failed & REJECTED_BY_OTHERS)
                return true;
        for (size_t i = 0; i < cache->plugins->count; i++) {
                const struct plugin *plugin = cache->plugins->items[i];
                if (!(failed & (1U << i)))
                        continue;
                interested |= plugin->events & events &&
                              (!claim || !plugin->concerns ||
                               plugin->concerns(template, template->states + cache->plugins->pod_at[i], claim));
                local_only &= plugin->node_local;
        }
        if (!interested || !local_only || !node)
                return interested;
        return passes_locally(cache, template, node);
}
