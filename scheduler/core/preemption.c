// SPDX-License-Identifier: Apache-2.0
// Finds, node by node, the pods that would have to leave.
#include "scheduler/core/preemption.h"

#include "libcommon/format/json.h"

struct victim {
        struct node *node;
        const char *key; // the cache's
        struct cached_pod *pod;
        bool stays, overdraws; // overdraws: its budget has nothing left for it
};
struct candidate {
        struct node *node;
        struct victim *pods; // those of lower priority on the node
        size_t n_pods;
        // Of the victims: how many overdraw a budget, priorities, how many, when the newest of the highest came.
        int64_t overdrawn, highest, sum, count, latest;
};
struct search {
        const struct preemption_search *asked;
        struct node_cache *cache;
        struct template *template;
        LIST(struct victim, lower); // by node, the most important first
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
        const char *slash = strrchr(victim->key, '/');
        return template->n_labels && budget->selector.count && strcmp(object->namespace, template->namespace) == 0 &&
               template_matches(template, &budget->selector) &&
               !cx_strings_has(&budget->disrupted, slash ? slash + 1 : victim->key);
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
        const struct victim *x = a, *y = b;
        if (x->node != y->node)
                return x->node->index < y->node->index ? -1 : 1;
        if (x->pod->template->priority != y->pod->template->priority)
                return x->pod->template->priority > y->pod->template->priority ? -1 : 1;
        return x->pod->created < y->pod->created ? -1 : x->pod->created > y->pod->created;
}

static bool anybody_is_lower(const struct node_cache *cache, int64_t priority)
{
        for (size_t i = 0; i < cache->groups.count; i++)
                if (cache->groups.items[i].template && cache->groups.items[i].template->priority < priority)
                        return true;
        return false;
}

static void gather(struct search *search)
{
        const struct node_cache *cache = search->cache;
        if (!anybody_is_lower(cache, search->template->priority))
                return;
        search->lower.items = cx_alloc_array(cache->pods.count + 1, sizeof *search->lower.items);
        CX_MAP_FOREACH (&cache->pods, entry) {
                struct cached_pod *pod = entry->value;
                if (pod->template->priority < search->template->priority && pod->node->index >= 0)
                        search->lower.items[search->lower.count++] =
                                (struct victim){pod->node, entry->key, pod, false, false};
        }
        qsort(search->lower.items, search->lower.count, sizeof *search->lower.items, compare_victims);
}

static void find_on(const struct search *search, struct candidate *candidate)
{
        size_t low = 0, high = search->lower.count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (search->lower.items[middle].node->index < candidate->node->index)
                        low = middle + 1;
                else
                        high = middle;
        }
        candidate->pods = search->lower.items ? &search->lower.items[low] : NULL;
        while (low + candidate->n_pods < search->lower.count &&
               search->lower.items[low + candidate->n_pods].node == candidate->node)
                candidate->n_pods++;
}

static bool fits(const struct search *search, const struct node *node, struct reasons *reasons)
{
        return cycle_fits(search->cache, search->template, node, reasons);
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
        if (!nominated)
                return false;
        for (size_t i = 0; i < search->lower.count; i++)
                if (search->lower.items[i].pod->terminating &&
                    strcmp(search->lower.items[i].node->name, nominated) == 0)
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
                if (!try_node(search, &candidate))
                        continue;
                if (!found++ || is_better(&candidate, &best))
                        best = candidate;
        }
        if (found) {
                ret_preemption->node = best.node;
                for (size_t i = 0; i < best.n_pods; i++)
                        if (!best.pods[i].stays && !best.pods[i].pod->terminating)
                                cx_strings_add(&ret_preemption->victims, best.pods[i].key);
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
        gather(&search);
        ret_preemption->waits = is_waiting(&search);
        if (ret_preemption->waits)
                ret_preemption->message =
                        cx_strdup("preemption: not eligible due to a terminating pod on the nominated node.");
        else
                choose(&search, ret_preemption);
        reasons_release(&search.reasons);
        free(search.lower.items);
}

void preemption_release(struct preemption *preemption)
{
        cx_strings_release(&preemption->victims);
        free(preemption->message);
}
