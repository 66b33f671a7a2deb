// SPDX-License-Identifier: Apache-2.0
// Finds, node by node, the pods that would have to leave.
#include "scheduler/core/preemption.h"

#include "libcommon/format/json.h"

struct victim {
        struct cached_pod *pod;
        bool stays, overdraws; // overdraws: its budget has nothing left for it
};
struct candidate {
        struct node *node;
        struct victim *pods; // those of lower priority on the node, the most important first; owned
        size_t n_pods;
        // Of the victims: how many overdraw a budget, priorities, how many, when the newest of the highest came.
        int64_t overdrawn, highest, sum, count, latest;
};
struct search {
        const struct preemption_search *asked;
        struct node_cache *cache;
        struct template *template;
        bool anybody_is_lower;
        struct cycle cycle; // when `local`: what filters the pod looks at nothing but the node, so one look is enough
        bool local;
        struct reasons reasons;
};

// --- budgets ---------------------------------------------------------------------------------------------------------

void *preemption_budget_project(void *context CX_UNUSED, const json_t *budget)
{
        struct preemption_budget *self = cx_alloc(sizeof *self);
        const char *name;
        json_t *time;
        if (cx_selector_from_json(cx_json_get(budget, "spec.selector"), &self->selector, NULL) < 0) {
                cx_selector_release(&self->selector);
                self->selector.nothing = true;
        }
        self->allowed = cx_json_int(budget, "status.disruptionsAllowed", 0);
        json_object_foreach (cx_json_get(budget, "status.disruptedPods"), name, time)
                cx_strings_add(&self->disrupted, name);
        return self;
}

void preemption_budget_free(void *projection)
{
        struct preemption_budget *self = projection;
        cx_selector_release(&self->selector);
        cx_strings_release(&self->disrupted);
        free(self);
}

// Whether a budget is for the pod and was not charged for it yet. One with an empty selector is for nobody here.
static bool is_charged(const struct cx_object *object, const struct victim *victim)
{
        const struct preemption_budget *budget = object->projection;
        const struct template *template = victim->pod->template;
        const char *key = victim->pod->key, *slash = strrchr(key, '/');
        return template->n_labels && budget->selector.count && strcmp(object->namespace, template->namespace) == 0 &&
               template_matches(template, &budget->selector) &&
               !cx_strings_has(&budget->disrupted, slash ? slash + 1 : key);
}

// Marks the pods of a node that more of them would leave than their budgets allow: the most important ones still may.
static void mark_overdrawing(const struct cx_objects *budgets, struct candidate *candidate)
{
        for (size_t i = 0; budgets && i < budgets->count; i++) {
                int64_t left = ((const struct preemption_budget *)budgets->items[i]->projection)->allowed;
                for (size_t j = 0; j < candidate->n_pods; j++)
                        if (is_charged(budgets->items[i], &candidate->pods[j]))
                                candidate->pods[j].overdraws |= left-- <= 0;
        }
}

// --- victims ---------------------------------------------------------------------------------------------------------

static int compare_victims(const void *a, const void *b)
{
        const struct cached_pod *x = ((const struct victim *)a)->pod, *y = ((const struct victim *)b)->pod;
        if (x->template->priority != y->template->priority)
                return x->template->priority > y->template->priority ? -1 : 1;
        if (x->created != y->created)
                return x->created < y->created ? -1 : 1;
        return strcmp(x->key, y->key);
}

static bool is_anybody_lower(const struct node_cache *cache, int64_t priority)
{
        for (size_t i = 0; i < cache->groups.count; i++)
                if (cache->groups.items[i].template && cache->groups.items[i].template->priority < priority)
                        return true;
        return false;
}

static void find_on(const struct search *search, struct candidate *candidate)
{
        const struct node *node = candidate->node;
        if (!search->anybody_is_lower)
                return;
        candidate->pods = cx_alloc_array(node->running.count + 1, sizeof *candidate->pods);
        for (size_t i = 0; i < node->running.count; i++)
                if (node->running.items[i]->template->priority < search->template->priority)
                        candidate->pods[candidate->n_pods++].pod = node->running.items[i];
        qsort(candidate->pods, candidate->n_pods, sizeof *candidate->pods, compare_victims);
}

static bool fits(struct search *search, const struct node *node, struct reasons *reasons)
{
        if (!search->local)
                return cycle_fits(search->cache, search->template, node, reasons);
        reasons_release(&search->cycle.reasons);
        search->cycle.quiet = !reasons;
        bool fit = cycle_passes(&search->cycle, node);
        for (size_t i = 0; reasons && i < search->cycle.reasons.count; i++)
                reasons_add(reasons, search->cycle.reasons.items[i].text);
        return fit;
}

static void weigh(struct candidate *candidate)
{
        candidate->highest = candidate->latest = INT64_MIN;
        for (size_t i = 0; i < candidate->n_pods; i++) {
                const struct cached_pod *pod = candidate->pods[i].pod;
                if (candidate->pods[i].stays || pod->terminating)
                        continue;
                int64_t priority = pod->template->priority;
                candidate->count++;
                candidate->overdrawn += candidate->pods[i].overdraws;
                candidate->sum += priority + INT32_MAX + 1; // so that fewer weigh less also below zero
                if (priority > candidate->highest) {
                        candidate->highest = priority;
                        candidate->latest = pod->created;
                } else if (priority == candidate->highest && pod->created < candidate->latest) {
                        candidate->latest = pod->created;
                }
        }
}

// Those of the node's pods that may stay beside the new one come back.
static void reprieve(struct search *search, struct candidate *candidate, bool overdrawing)
{
        for (size_t i = 0; i < candidate->n_pods; i++) {
                struct victim *victim = &candidate->pods[i];
                if (victim->pod->terminating || victim->overdraws != overdrawing) // it goes anyway; not its turn
                        continue;
                cache_show(search->cache, victim->pod);
                victim->stays = fits(search, candidate->node, NULL);
                if (!victim->stays)
                        cache_hide(search->cache, victim->pod);
        }
}

// True when the pod fits on the node without some of its pods: those whose `stays` is false.
static bool try_node(struct search *search, struct candidate *candidate)
{
        struct node_cache *cache = search->cache;
        find_on(search, candidate);
        if (!candidate->n_pods) {
                reasons_add(&search->reasons, "No preemption victims found for incoming pod");
                return false;
        }
        for (size_t i = 0; i < candidate->n_pods; i++)
                cache_hide(cache, candidate->pods[i].pod);
        bool fit = fits(search, candidate->node, &search->reasons);
        mark_overdrawing(search->asked->budgets, candidate);
        if (fit) {
                reprieve(search, candidate, true);
                reprieve(search, candidate, false);
        }
        for (size_t i = 0; i < candidate->n_pods; i++)
                if (!candidate->pods[i].stays)
                        cache_show(cache, candidate->pods[i].pod);
        if (fit)
                weigh(candidate);
        return fit;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
        if (a->overdrawn != b->overdrawn)
                return a->overdrawn < b->overdrawn;
        if (a->highest != b->highest)
                return a->highest < b->highest;
        if (a->sum != b->sum)
                return a->sum < b->sum;
        if (a->count != b->count)
                return a->count < b->count;
        return a->latest > b->latest;
}

// An earlier preemption for this pod is still under way.
static bool is_waiting(const struct search *search)
{
        const char *nominated = search->asked->nominated;
        const struct node *node = nominated ? cache_node(search->cache, nominated) : NULL;
        for (size_t i = 0; node && i < node->running.count; i++)
                if (node->running.items[i]->terminating &&
                    node->running.items[i]->template->priority < search->template->priority)
                        return true;
        return false;
}

static void choose(struct search *search, struct preemption *ret_preemption)
{
        size_t n_hopeful = search->asked->n_hopeful;
        size_t n_nodes = search->cache->n_nodes, found = 0;
        const struct scheduler_profile *profile = search->template->profile;
        size_t part = n_nodes * (size_t)profile->candidates_percentage / 100, least = (size_t)profile->candidates_least;
        size_t enough = part > least ? part : least;
        struct candidate best = {0};
        for (size_t i = 0; i < n_hopeful && found < enough; i++) {
                struct candidate candidate = {.node = search->asked->hopeful[i]};
                bool better = try_node(search, &candidate) && (!found++ || is_better(&candidate, &best));
                free(better ? best.pods : candidate.pods);
                if (better)
                        best = candidate;
        }
        if (found) {
                ret_preemption->node = best.node;
                for (size_t i = 0; i < best.n_pods; i++)
                        if (!best.pods[i].stays && !best.pods[i].pod->terminating)
                                cx_strings_add(&ret_preemption->victims, best.pods[i].pod->key);
                free(best.pods);
                return;
        }
        for (size_t i = n_hopeful; i < n_nodes; i++)
                reasons_add(&search->reasons, "Preemption is not helpful for scheduling");
        CX_CLEANUP(cx_freep) char *why = reasons_explain(&search->reasons, n_nodes);
        ret_preemption->message = cx_sprintf("preemption: %s", why);
}

void preemption_find(const struct preemption_search *asked, struct preemption *ret_preemption)
{
        *ret_preemption = (struct preemption){0};
        if (asked->template->never_preempts) {
                ret_preemption->message = cx_strdup("preemption: not eligible due to preemptionPolicy=Never.");
                return;
        }
        struct search search = {.asked = asked, .cache = asked->cache, .template = asked->template};
        search.anybody_is_lower = is_anybody_lower(asked->cache, asked->template->priority);
        cycle_init(&search.cycle, asked->cache, asked->template);
        asked->cache->cycle++;
        cycle_pre_filter(&search.cycle);
        search.local = cycle_is_local(&search.cycle);
        ret_preemption->waits = is_waiting(&search);
        if (ret_preemption->waits)
                ret_preemption->message =
                        cx_strdup("preemption: not eligible due to a terminating pod on the nominated node.");
        else
                choose(&search, ret_preemption);
        reasons_release(&search.reasons);
        cycle_release(&search.cycle);
}

void preemption_release(struct preemption *preemption)
{
        cx_strings_release(&preemption->victims);
        free(preemption->message);
}
