// SPDX-License-Identifier: Apache-2.0
// Two heaps, for active pods and for those that back off; the others are only in the map.
#include "scheduler/queue.h"

#include "libcommon/base/time.h"

static bool before_active(const struct queued_pod *a, const struct queued_pod *b)
{
        if (a->template->priority != b->template->priority)
                return a->template->priority > b->template->priority;
        return a->sequence < b->sequence;
}

static bool before_backoff(const struct queued_pod *a, const struct queued_pod *b)
{
        return a->backoff_until < b->backoff_until;
}

// --- heaps ---

static void place_at(struct pod_heap *heap, size_t at, struct queued_pod *pod)
{
        heap->items[at] = pod;
        pod->heap_index = at;
}

static void sift_up(struct pod_heap *heap, size_t at)
{
        struct queued_pod *pod = heap->items[at];
        while (at > 0 && heap->before(pod, heap->items[(at - 1) / 2])) {
                place_at(heap, at, heap->items[(at - 1) / 2]);
                at = (at - 1) / 2;
        }
        place_at(heap, at, pod);
}

static void sift_down(struct pod_heap *heap, size_t at)
{
        struct queued_pod *pod = heap->items[at];
        for (;;) {
                size_t child = 2 * at + 1;
                if (child >= heap->count)
                        break;
                if (child + 1 < heap->count && heap->before(heap->items[child + 1], heap->items[child]))
                        child++;
                if (!heap->before(heap->items[child], pod))
                        break;
                place_at(heap, at, heap->items[child]);
                at = child;
        }
        place_at(heap, at, pod);
}

static void heap_push(struct pod_heap *heap, struct queued_pod *pod)
{
        if (heap->count == heap->capacity) {
                heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
                heap->items = cx_realloc_array(heap->items, heap->capacity, sizeof(struct queued_pod *));
        }
        heap->items[heap->count++] = pod;
        sift_up(heap, heap->count - 1);
}

static void heap_remove(struct pod_heap *heap, struct queued_pod *pod)
{
        size_t at = pod->heap_index;
        struct queued_pod *last = heap->items[--heap->count];
        if (last == pod)
                return;
        place_at(heap, at, last);
        sift_up(heap, at);
        sift_down(heap, last->heap_index);
}

// --- places ---

static void count_rejection(struct queue *queue, const struct queued_pod *pod, bool comes)
{
        const struct scheduler_profile *profile = pod->template->profile;
        for (size_t i = 0; i < MAX_PLUGINS && profile; i++)
                if (pod->failed & (1U << i))
                        queue->rejected[profile->index][i] += comes ? 1 : -(size_t)1;
}

static void move(struct queue *queue, struct queued_pod *pod, enum queue_place place, enum queue_cause cause,
                 int64_t now)
{
        if (pod->place == QUEUE_UNSCHEDULABLE)
                count_rejection(queue, pod, false);
        if (place == QUEUE_UNSCHEDULABLE)
                count_rejection(queue, pod, true);
        if (place != pod->place)
                queue->came[place][cause]++;
        if (pod->place == QUEUE_ACTIVE)
                heap_remove(&queue->active, pod);
        else if (pod->place == QUEUE_BACKOFF)
                heap_remove(&queue->backoff, pod);
        queue->counts[pod->place]--;
        queue->counts[place]++;
        pod->place = place;
        pod->since = now;
        if (place == QUEUE_ACTIVE) {
                pod->sequence = ++queue->sequence;
                heap_push(&queue->active, pod);
        } else if (place == QUEUE_BACKOFF) {
                heap_push(&queue->backoff, pod);
        }
}

static void activate(struct queue *queue, struct queued_pod *pod, enum queue_cause cause, int64_t now)
{
        move(queue, pod, pod->backoff_until > now ? QUEUE_BACKOFF : QUEUE_ACTIVE, cause, now);
}

static void back_off(const struct queue *queue, struct queued_pod *pod, int64_t now)
{
        int64_t delay = queue->backoff_first;
        for (int i = 1; i < pod->attempts && delay < queue->backoff_max; i++)
                delay *= 2;
        pod->backoff_until = now + (delay < queue->backoff_max ? delay : queue->backoff_max);
}

void queued_pod_free(struct queued_pod *pod)
{
        if (!pod)
                return;
        cx_object_unref(pod->object);
        free(pod->message);
        free(pod);
}

static void free_pod(void *pod)
{
        queued_pod_free(pod);
}

void queue_init(struct queue *queue, int64_t backoff_first, int64_t backoff_max)
{
        *queue = (struct queue){.pods = CX_MAP_INIT_FREE(free_pod),
                                .active.before = before_active,
                                .backoff.before = before_backoff,
                                .backoff_first = backoff_first,
                                .backoff_max = backoff_max};
}

void queue_release(struct queue *queue)
{
        cx_map_release(&queue->pods);
        free(queue->active.items);
        free(queue->backoff.items);
}

static void replace_object(struct queued_pod *pod, const struct cx_object *object)
{
        const struct cx_object *old = pod->object;
        pod->object = cx_object_ref(object);
        pod->template = POD_INFO(object)->template;
        cx_object_unref(old);
}

static void add(struct queue *queue, const struct cx_object *object, int64_t now)
{
        struct queued_pod *pod = cx_alloc(sizeof *pod);
        pod->object = cx_object_ref(object);
        pod->template = POD_INFO(object)->template;
        cx_map_set(&queue->pods, object->key, pod);
        queue->counts[QUEUE_NOWHERE]++;
        pod->queued = now;
        move(queue, pod, POD_INFO(object)->gated ? QUEUE_GATED : QUEUE_ACTIVE, CAUSE_ADDED, now);
}

void queue_set(struct queue *queue, const struct cx_object *object, int64_t now)
{
        struct queued_pod *pod = cx_map_get(&queue->pods, object->key);
        if (pod && strcmp(pod->object->uid, object->uid) != 0) {
                queue_remove(queue, object->key);
                pod = NULL;
        }
        if (!pod) {
                add(queue, object, now);
                return;
        }
        // The keys of the heaps come from the template, so a changed pod leaves its heap first.
        bool changed = pod->template != POD_INFO(object)->template;
        bool was_active = pod->place == QUEUE_ACTIVE;
        if (changed && was_active)
                move(queue, pod, QUEUE_NOWHERE, CAUSE_UPDATED, now);
        if (changed && pod->place == QUEUE_UNSCHEDULABLE)
                activate(queue, pod, CAUSE_UPDATED, now);
        replace_object(pod, object);
        if (POD_INFO(object)->gated) {
                if (pod->place != QUEUE_GATED)
                        move(queue, pod, QUEUE_GATED, CAUSE_UPDATED, now);
        } else if (pod->place == QUEUE_GATED || (changed && was_active)) {
                move(queue, pod, QUEUE_ACTIVE, CAUSE_UPDATED, now);
        }
}

bool queue_has(const struct queue *queue, const char *key)
{
        return cx_map_has(&queue->pods, key);
}

struct queued_pod *queue_find_popped(const struct queue *queue, const struct cx_object *object)
{
        struct queued_pod *pod = cx_map_get(&queue->pods, object->key);
        return pod && pod->place == QUEUE_NOWHERE && strcmp(pod->object->uid, object->uid) == 0 ? pod : NULL;
}

void queue_remove(struct queue *queue, const char *key)
{
        struct queued_pod *pod = cx_map_get(&queue->pods, key);
        if (pod)
                queued_pod_free(queue_take(queue, pod));
}

struct queued_pod *queue_take(struct queue *queue, struct queued_pod *pod)
{
        move(queue, pod, QUEUE_NOWHERE, CAUSE_UPDATED, 0);
        queue->counts[QUEUE_NOWHERE]--;
        return cx_map_take(&queue->pods, pod->object->key);
}

struct queued_pod *queue_pop(struct queue *queue, int64_t now)
{
        while (queue->backoff.count && queue->backoff.items[0]->backoff_until <= now)
                move(queue, queue->backoff.items[0], QUEUE_ACTIVE, CAUSE_BACKOFF_OVER, now);
        struct queued_pod *pod = queue->active.count ? queue->active.items[0] : NULL;
        // With nothing else to do there is no reason to wait, except after errors.
        for (size_t i = 0; !pod && i < queue->backoff.count; i++)
                if (!queue->backoff.items[i]->error)
                        pod = queue->backoff.items[i];
        if (!pod)
                return NULL;
        move(queue, pod, QUEUE_NOWHERE, CAUSE_UPDATED, now);
        pod->attempts++;
        pod->error = false;
        queue->missed = 0;
        return pod;
}

void queue_park(struct queue *queue, struct queued_pod *pod, unsigned failed, int64_t now)
{
        pod->failed = failed;
        back_off(queue, pod, now);
        move(queue, pod, QUEUE_UNSCHEDULABLE, CAUSE_FAILED, now);
        if (queue->missed) // what the decision did not see
                activate(queue, pod, CAUSE_EVENT + (enum queue_cause)__builtin_ctz(queue->missed), now);
}

void queue_retry(struct queue *queue, struct queued_pod *pod, const struct cx_object *object, int64_t now)
{
        if (queue_has(queue, object->key)) { // it came again in the meantime
                queued_pod_free(pod);
                return;
        }
        replace_object(pod, object);
        pod->error = true;
        back_off(queue, pod, now);
        cx_map_set(&queue->pods, object->key, pod);
        queue->counts[QUEUE_NOWHERE]++;
        move(queue, pod, QUEUE_BACKOFF, CAUSE_FAILED, now);
}

void queue_wake(struct queue *queue, struct node_cache *cache, unsigned events, const struct node *node,
                const char *claim, int64_t now)
{
        queue->missed |= events;
        if (!queue->counts[QUEUE_UNSCHEDULABLE] || !events)
                return;
        enum queue_cause cause = CAUSE_EVENT + (enum queue_cause)__builtin_ctz(events);
        CX_MAP_FOREACH (&queue->pods, entry) {
                struct queued_pod *pod = entry->value;
                if (pod->place == QUEUE_UNSCHEDULABLE &&
                    cycle_helps(cache, pod->template, pod->failed, events, node, claim))
                        activate(queue, pod, cause, now);
        }
}

void queue_flush(struct queue *queue, int64_t now)
{
        CX_MAP_FOREACH (&queue->pods, entry) {
                struct queued_pod *pod = entry->value;
                if (pod->place == QUEUE_UNSCHEDULABLE && now - pod->since >= QUEUE_UNSCHEDULABLE_MAX)
                        activate(queue, pod, CAUSE_TIMEOUT, now);
        }
}

int64_t queue_deadline(const struct queue *queue)
{
        if (queue->active.count)
                return 0;
        return queue->backoff.count ? queue->backoff.items[0]->backoff_until : INT64_MAX;
}
