// SPDX-License-Identifier: Apache-2.0
// One thread drives all informers of a set through one curl multi handle. An informer is always in one of four states:
//
//     WAITING (until `due`) → LISTING → WATCHING → (connection ends) → WAITING → WATCHING …
//                                         └─ 410 Gone, or an ERROR event → LISTING
#include "libcommon/base/log.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/client/informer_internal.h"

struct cx_informers *cx_informers_new(struct cx_rest *rest)
{
        struct cx_informers *set = cx_alloc(sizeof *set);
        set->rest = rest;
        set->multi = curl_multi_init();
        if (!set->multi)
                abort();
        cx_informers_keep_connections(set);
        pthread_mutex_init(&set->lock, NULL);
        cx_cond_init(&set->changed);
        return set;
}

struct cx_informer *cx_informers_add(struct cx_informers *set, const struct cx_informer_options *options)
{
        struct cx_informer *informer = cx_alloc(sizeof *informer);
        informer->set = set;
        informer->options = *options;
        informer->group = cx_strdup(cx_str(options->ref.group));
        informer->version = cx_strdup(options->ref.version);
        informer->resource = cx_strdup(options->ref.resource);
        informer->namespace = cx_strdup(options->ref.namespace);
        informer->label_selector = cx_strdup(options->label_selector);
        informer->field_selector = options->ref.name ? cx_sprintf("metadata.name=%s", options->ref.name)
                                                     : cx_strdup(options->field_selector);
        informer->options.ref =
                (struct cx_ref){informer->group, informer->version, informer->resource, informer->namespace, NULL};
        informer->pending = (struct cx_buf)CX_BUF_INIT_MAX(CX_INFORMER_MAX_LINE);
        cx_store_init(&informer->store);
        pthread_mutex_lock(&set->lock);
        informer->next = set->first;
        set->first = informer;
        pthread_mutex_unlock(&set->lock);
        return informer;
}

static void free_informer(struct cx_informer *informer)
{
        cx_informer_transfer_drop(informer);
        cx_store_release(&informer->store);
        free(informer->handlers);
        free(informer->rv);
        free(informer->group);
        free(informer->version);
        free(informer->resource);
        free(informer->namespace);
        free(informer->label_selector);
        free(informer->field_selector);
        free(informer);
}

static void finish_transfers(struct cx_informers *set)
{
        int left;
        CURLMsg *message;
        while ((message = curl_multi_info_read(set->multi, &left))) {
                if (message->msg != CURLMSG_DONE)
                        continue;
                CURL *easy = message->easy_handle;
                CURLcode result = message->data.result;
                pthread_mutex_lock(&set->lock);
                struct cx_informer *informer = set->first;
                while (informer && informer->easy != easy)
                        informer = informer->next;
                pthread_mutex_unlock(&set->lock);
                if (informer)
                        cx_informer_transfer_ended(informer, result);
        }
}

// Starts what is due, drops what was stopped; returns how long the thread may wait.
static int64_t look_around(struct cx_informers *set)
{
        int64_t now = cx_time_monotonic(), next = now + CX_NS_PER_S;
        pthread_mutex_lock(&set->lock);
        for (struct cx_informer *informer = set->first; informer; informer = informer->next) {
                if (informer->stop && !informer->stopped) {
                        cx_informer_transfer_drop(informer);
                        informer->state = CX_INFORMER_IDLE;
                        informer->stopped = true;
                        pthread_cond_broadcast(&set->changed);
                        continue;
                }
                if (informer->start && !informer->started) {
                        informer->started = true;
                        cx_informer_wait_for(informer, 0);
                        informer->due = now;
                }
                if (informer->stopped || informer->state != CX_INFORMER_WAITING)
                        continue;
                if (informer->poll_now)
                        informer->due = now;
                informer->poll_now = false;
                if (informer->due <= now)
                        cx_informer_transfer_start(informer);
                else if (informer->due < next)
                        next = informer->due;
        }
        pthread_mutex_unlock(&set->lock);
        return next - now;
}

static void *run(void *argument)
{
        struct cx_informers *set = argument;
        for (;;) {
                pthread_mutex_lock(&set->lock);
                bool stop = set->stop;
                set->turned = cx_time_monotonic();
                pthread_mutex_unlock(&set->lock);
                if (stop)
                        return NULL;
                int64_t wait = look_around(set);
                int running;
                curl_multi_perform(set->multi, &running);
                finish_transfers(set);
                int64_t again = look_around(set);
                if (again < wait)
                        wait = again;
                curl_multi_poll(set->multi, NULL, 0, (int)(wait / CX_NS_PER_MS) + (wait > 0), NULL);
        }
}

static void start_thread(struct cx_informers *set) // with the lock
{
        if (set->running)
                return;
        if (pthread_create(&set->thread, NULL, run, set))
                abort();
        set->running = true;
        set->turned = cx_time_monotonic();
}

void cx_informers_start(struct cx_informers *set)
{
        pthread_mutex_lock(&set->lock);
        for (struct cx_informer *informer = set->first; informer; informer = informer->next)
                informer->start = true;
        start_thread(set);
        pthread_mutex_unlock(&set->lock);
        curl_multi_wakeup(set->multi);
}

void cx_informer_start(struct cx_informer *informer)
{
        struct cx_informers *set = informer->set;
        pthread_mutex_lock(&set->lock);
        informer->start = true;
        start_thread(set);
        pthread_mutex_unlock(&set->lock);
        curl_multi_wakeup(set->multi);
}

void cx_informer_stop(struct cx_informer *informer)
{
        struct cx_informers *set = informer->set;
        pthread_mutex_lock(&set->lock);
        informer->stop = true;
        curl_multi_wakeup(set->multi);
        while (set->running && !informer->stopped)
                pthread_cond_wait(&set->changed, &set->lock);
        struct cx_informer **at = &set->first;
        while (*at != informer)
                at = &(*at)->next;
        *at = informer->next;
        pthread_mutex_unlock(&set->lock);
        free_informer(informer);
}

void cx_informers_free(struct cx_informers *set)
{
        if (!set)
                return;
        pthread_mutex_lock(&set->lock);
        set->stop = true;
        bool running = set->running;
        pthread_mutex_unlock(&set->lock);
        if (running) {
                curl_multi_wakeup(set->multi);
                pthread_join(set->thread, NULL);
        }
        while (set->first) {
                struct cx_informer *informer = set->first;
                set->first = informer->next;
                free_informer(informer);
        }
        curl_multi_cleanup(set->multi);
        cx_json_arena_release(&set->arena);
        pthread_cond_destroy(&set->changed);
        pthread_mutex_destroy(&set->lock);
        free(set);
}

void cx_informer_poll_now(struct cx_informer *informer)
{
        pthread_mutex_lock(&informer->set->lock);
        informer->poll_now = true;
        pthread_mutex_unlock(&informer->set->lock);
        curl_multi_wakeup(informer->set->multi);
}

bool cx_informer_synced(const struct cx_informer *informer)
{
        pthread_mutex_lock(&informer->set->lock);
        bool synced = informer->synced;
        pthread_mutex_unlock(&informer->set->lock);
        return synced;
}

// For all started informers of the set, or only for the one.
static int wait_synced(struct cx_informers *set, const struct cx_informer *only, int64_t timeout, struct cx_error *err)
{
        int64_t deadline = timeout < 0 ? INT64_MAX : cx_time_monotonic() + timeout;
        int r = 0;
        pthread_mutex_lock(&set->lock);
        for (;;) {
                const char *missing = NULL;
                for (const struct cx_informer *informer = set->first; informer; informer = informer->next)
                        if (informer->start && !informer->synced && (!only || only == informer))
                                missing = informer->resource;
                if (!missing)
                        break;
                if (set->cancelled)
                        r = cx_error_set(err, -ECANCELED, "stopped waiting for the list of %s", missing);
                else if (cx_time_monotonic() >= deadline)
                        r = cx_error_set(err, -ETIMEDOUT, "timed out waiting for the list of %s", missing);
                if (r < 0)
                        break;
                (void)cx_cond_wait_until(&set->changed, &set->lock, deadline);
        }
        pthread_mutex_unlock(&set->lock);
        return r;
}

int cx_informers_wait_synced(struct cx_informers *set, int64_t timeout, struct cx_error *err)
{
        return wait_synced(set, NULL, timeout, err);
}

int cx_informer_wait_synced(struct cx_informer *informer, int64_t timeout, struct cx_error *err)
{
        return wait_synced(informer->set, informer, timeout, err);
}

bool cx_informers_alive(struct cx_informers *set, int64_t limit)
{
        pthread_mutex_lock(&set->lock);
        bool alive = !set->running || cx_time_monotonic() - set->turned <= limit + CX_NS_PER_S;
        pthread_mutex_unlock(&set->lock);
        return alive;
}

void cx_informers_cancel_waits(struct cx_informers *set)
{
        pthread_mutex_lock(&set->lock);
        set->cancelled = true;
        pthread_cond_broadcast(&set->changed);
        pthread_mutex_unlock(&set->lock);
}

void cx_informer_on_event(struct cx_informer *informer, cx_informer_handler handler, void *context)
{
        informer->handlers = cx_realloc_array(informer->handlers, informer->n_handlers + 1, sizeof *informer->handlers);
        informer->handlers[informer->n_handlers++] = (struct cx_informer_callback){handler, context};
}

void cx_informer_widen(struct cx_informer *informer, bool keep_bytes)
{
        informer->options.metadata_only = false;
        informer->options.poll_while_empty = 0;
        if (keep_bytes)
                informer->options.drop_bytes = false;
}

void cx_informer_add_index(struct cx_informer *informer, const char *name,
                           void (*keys)(void *context, const struct cx_object *object, struct cx_strings *ret_keys),
                           void *context)
{
        cx_store_add_index(&informer->store, name, keys, context);
}

static void controller_keys(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *ret_keys)
{
        const struct cx_object_owner *owner = cx_object_controller(object);
        if (owner)
                cx_strings_add(ret_keys, owner->uid);
}

static void namespace_keys(void *context CX_UNUSED, const struct cx_object *object, struct cx_strings *ret_keys)
{
        cx_strings_add(ret_keys, object->namespace);
}

void cx_informer_index_controller(struct cx_informer *informer)
{
        cx_informer_add_index(informer, CX_INDEX_CONTROLLER, controller_keys, NULL);
}

void cx_informer_index_namespace(struct cx_informer *informer)
{
        cx_informer_add_index(informer, CX_INDEX_NAMESPACE, namespace_keys, NULL);
}

const struct cx_object *cx_informer_get(const struct cx_informer *informer, const char *namespace, const char *name)
{
        if (!namespace || !*namespace)
                return cx_store_get(&informer->store, name);
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", namespace, name);
        return cx_store_get(&informer->store, key);
}

const struct cx_object *cx_informer_get_key(const struct cx_informer *informer, const char *key)
{
        return cx_store_get(&informer->store, key);
}

void cx_informer_list(const struct cx_informer *informer, const char *namespace, struct cx_objects *ret_list)
{
        cx_store_list(&informer->store, namespace, ret_list);
}

void cx_informer_by_index(const struct cx_informer *informer, const char *index, const char *key,
                          struct cx_objects *ret_list)
{
        cx_store_by_index(&informer->store, index, key, ret_list);
}

size_t cx_informer_count(const struct cx_informer *informer)
{
        return cx_store_count(&informer->store);
}
