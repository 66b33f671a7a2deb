// SPDX-License-Identifier: Apache-2.0
// One thread drives all informers of a set through one curl multi handle. An informer is always in one of four states:
//
//     WAITING (until `due`) → LISTING → WATCHING → (connection ends) → WAITING → WATCHING …
//                                         └─ 410 Gone, or an ERROR event → LISTING
//
// A list is cut into items while it arrives; each item is parsed once and goes into the store at once. Items that the new
// list lacks are taken out when it is complete. A watch event's object is cut out of its line, so it is parsed once too.
#include "client/informer.h"

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "client/json_scan.h"
#include "client/store.h"
#include "format/json.h"
#include "format/json_arena.h"
#include "net/http_client_internal.h"

#include <pthread.h>

#define MAX_LINE ((size_t)64 << 20)
#define FIRST_BACKOFF (50 * CX_NS_PER_MS)
#define MAX_BACKOFF (10 * CX_NS_PER_S)

enum state { IDLE, WAITING, LISTING, WATCHING };

struct handler {
        cx_informer_handler call;
        void *context;
};

struct cx_informer {
        struct cx_informers *set;
        struct cx_informer *next;
        struct cx_informer_options options;
        char *group, *version, *resource, *namespace, *label_selector, *field_selector;
        struct cx_store store;
        struct handler *handlers;
        size_t n_handlers;

        // The I/O thread's own.
        enum state state;
        int64_t due, began;
        int failures;
        CURL *easy;
        void *headers;
        char *rv;         // where to resume; NULL: list
        bool rv_unusable; // the server said that rv is gone: list without one
        bool relist, got_data, failed_parse;
        long code;
        struct cx_list_splitter splitter;
        struct cx_map seen; // keys of the list in progress; only when the store was not empty
        bool track_seen;
        struct cx_buf pending; // an incomplete watch line, or the body of an error

        // Guarded by the set's lock.
        bool start, started, stop, stopped, synced, poll_now;
};

struct cx_informers {
        struct cx_rest *rest;
        CURLM *multi;
        pthread_mutex_t lock; // guards the list, the flags of informers, and the following
        pthread_cond_t changed;
        struct cx_informer *first;
        bool running, stop;
        pthread_t thread;
        // The I/O thread's own.
        struct cx_json_arena arena;
        int transfers;
};

// libcurl counts the connections in use as well: a few idle ones more are kept, or each poll would shake hands anew.
static void keep_connections(struct cx_informers *set)
{
        curl_multi_setopt(set->multi, CURLMOPT_MAXCONNECTS, (long)set->transfers + 3);
}

struct cx_informers *cx_informers_new(struct cx_rest *rest)
{
        struct cx_informers *set = cx_alloc(sizeof *set);
        set->rest = rest;
        set->multi = curl_multi_init();
        if (!set->multi)
                abort();
        keep_connections(set);
        pthread_mutex_init(&set->lock, NULL);
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&set->changed, &attributes);
        pthread_condattr_destroy(&attributes);
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
        informer->pending = (struct cx_buf)CX_BUF_INIT_MAX(MAX_LINE);
        cx_store_init(&informer->store);
        pthread_mutex_lock(&set->lock);
        informer->next = set->first;
        set->first = informer;
        pthread_mutex_unlock(&set->lock);
        return informer;
}

static void end_transfer(struct cx_informer *informer)
{
        if (!informer->easy)
                return;
        informer->set->transfers--;
        curl_multi_remove_handle(informer->set->multi, informer->easy);
        keep_connections(informer->set);
        cx_http_client_easy_free(informer->easy, informer->headers);
        informer->easy = NULL;
        informer->headers = NULL;
        cx_list_splitter_release(&informer->splitter);
        cx_buf_release(&informer->pending);
        cx_map_release(&informer->seen);
}

static void free_informer(struct cx_informer *informer)
{
        end_transfer(informer);
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

static void set_rv(struct cx_informer *informer, const char *rv)
{
        if (!rv || !*rv || cx_streq(informer->rv, rv))
                return;
        free(informer->rv);
        informer->rv = cx_strdup(rv);
}

static void wait_for(struct cx_informer *informer, int64_t delay)
{
        informer->state = WAITING;
        informer->due = cx_time_monotonic() + delay;
}

static void back_off(struct cx_informer *informer)
{
        int64_t delay = informer->failures < 8 ? FIRST_BACKOFF << informer->failures : MAX_BACKOFF;
        if (delay > MAX_BACKOFF)
                delay = MAX_BACKOFF;
        informer->failures++;
        wait_for(informer, delay / 2 + (int64_t)cx_random_below((uint64_t)delay));
}

static void notify(struct cx_informer *informer, const struct cx_object *old, const struct cx_object *now)
{
        for (size_t i = 0; i < informer->n_handlers; i++)
                informer->handlers[i].call(informer->handlers[i].context, old, now);
}

// Makes an object of its raw text; NULL when the text is no object.
static struct cx_object *decode(const struct cx_informer *informer, const char *text, size_t length)
{
        const struct cx_informer_options *options = &informer->options;
        struct cx_object *object = NULL;
        json_t *json = NULL;
        cx_json_arena_open(&informer->set->arena);
        if (cx_json_parse(text, length, false, &json, NULL) == 0 && json_is_object(json)) {
                object = cx_object_new(json, options->drop_bytes ? NULL : text, options->drop_bytes ? 0 : length);
                if (options->project) {
                        object->projection = options->project(options->context, json);
                        object->free_projection = options->free_projection;
                }
        }
        json_decref(json);
        cx_json_arena_close(&informer->set->arena);
        return object;
}

// Takes in an object's raw text. A negative result means that the text is no object.
static int apply(struct cx_informer *informer, const char *text, size_t length, bool deleted)
{
        struct cx_object *object = decode(informer, text, length);
        if (!object)
                return -EPROTO;
        if (informer->state == WATCHING)
                set_rv(informer, object->resource_version);
        else if (informer->track_seen)
                cx_map_set(&informer->seen, object->key, informer);
        if (deleted) {
                CX_OBJECT *old = cx_store_remove(&informer->store, object->key);
                if (old) // the last state is the one that the event brings
                        notify(informer, object, NULL);
        } else {
                CX_OBJECT *have = cx_store_get(&informer->store, object->key);
                bool same = have && strcmp(have->resource_version, object->resource_version) == 0 &&
                            *object->resource_version && strcmp(have->uid, object->uid) == 0;
                if (!same) {
                        CX_OBJECT *old = cx_store_set(&informer->store, object);
                        notify(informer, old, object);
                }
        }
        cx_object_unref(object);
        return 0;
}

static int list_item(void *context, const char *text, size_t length)
{
        return apply(context, text, length, false);
}

static void error_event(struct cx_informer *informer, const char *text, size_t length)
{
        json_auto_t *status = NULL;
        int64_t code = 0;
        if (cx_json_parse(text, length, false, &status, NULL) == 0)
                code = cx_json_int(status, "code", 0);
        informer->relist = true;
        if (code == 410)
                informer->rv_unusable = true;
        else
                cx_warn("Watch ended with an error", "resource", informer->resource, "message",
                        cx_json_string_or(status, "message", ""));
}

static int watch_line(struct cx_informer *informer, const char *line, size_t length)
{
        const char *type, *object;
        size_t type_length, object_length;
        if (cx_json_scan_member(line, length, "type", &type, &type_length) < 0 ||
            cx_json_scan_member(line, length, "object", &object, &object_length) < 0)
                return -EPROTO;
#define IS(name) (type_length == sizeof(name) + 1 && memcmp(type + 1, name, sizeof(name) - 1) == 0)
        if (IS("ADDED") || IS("MODIFIED"))
                return apply(informer, object, object_length, false);
        if (IS("DELETED"))
                return apply(informer, object, object_length, true);
        if (IS("ERROR")) {
                error_event(informer, object, object_length);
                return -ESTALE; // ends the transfer
        }
        if (IS("BOOKMARK")) {
                json_auto_t *json = NULL;
                if (cx_json_parse(object, object_length, false, &json, NULL) < 0)
                        return -EPROTO;
                set_rv(informer, cx_json_string(json, "metadata.resourceVersion"));
        }
#undef IS
        return 0;
}

static int watch_data(struct cx_informer *informer, const char *data, size_t length)
{
        // Lines that lie whole in this block are taken from it; only the rest is copied.
        while (length) {
                const char *end = memchr(data, '\n', length);
                if (!end) {
                        cx_buf_append(&informer->pending, data, length);
                        return informer->pending.overflow ? -EMSGSIZE : 0;
                }
                size_t n = (size_t)(end - data);
                int r = 0;
                if (informer->pending.length) {
                        cx_buf_append(&informer->pending, data, n);
                        r = watch_line(informer, informer->pending.data, informer->pending.length);
                        if (informer->pending.capacity > 65536)
                                cx_buf_release(&informer->pending);
                        else
                                cx_buf_clear(&informer->pending);
                } else if (n) {
                        r = watch_line(informer, data, n);
                }
                if (r < 0)
                        return r;
                data += n + 1;
                length -= n + 1;
        }
        return 0;
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
        struct cx_informer *informer = user;
        size_t length = size * count;
        if (!informer->code)
                curl_easy_getinfo(informer->easy, CURLINFO_RESPONSE_CODE, &informer->code);
        if (informer->code != 200) {
                if (informer->pending.length + length < 65536)
                        cx_buf_append(&informer->pending, data, length);
                return length;
        }
        informer->got_data = true;
        int r = informer->state == LISTING ? cx_list_splitter_feed(&informer->splitter, data, length)
                                           : watch_data(informer, data, length);
        if (r < 0) {
                informer->failed_parse = r != -ESTALE;
                return 0;
        }
        return length;
}

static void start_transfer(struct cx_informer *informer)
{
        bool watch = informer->rv && !informer->relist;
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, &informer->options.ref, NULL);
        cx_rest_query(&path, "labelSelector", informer->label_selector);
        cx_rest_query(&path, "fieldSelector", informer->field_selector);
        if (watch) {
                cx_rest_query(&path, "watch", "1");
                cx_rest_query(&path, "allowWatchBookmarks", "true");
                cx_rest_query(&path, "timeoutSeconds", CX_INT(300 + (int64_t)cx_random_below(300)));
                cx_rest_query(&path, "resourceVersion", informer->rv);
        } else if (!informer->rv_unusable) {
                cx_rest_query(&path, "resourceVersion", informer->rv ? informer->rv : "0");
        }
        const char *accept = NULL;
        if (informer->options.metadata_only)
                accept = watch ? "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
                               : "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        struct cx_http_call call = {.path = path.data, .accept = accept, .timeout = watch ? -1 : 120 * CX_NS_PER_S};
        informer->easy = cx_http_client_easy(cx_rest_http(informer->set->rest), &call, &informer->headers);
        curl_easy_setopt(informer->easy, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(informer->easy, CURLOPT_WRITEDATA, informer);
        if (watch) // of the dozens of watches of a process most are silent: a small buffer each
                curl_easy_setopt(informer->easy, CURLOPT_BUFFERSIZE, 4096L);
        informer->state = watch ? WATCHING : LISTING;
        informer->began = cx_time_monotonic();
        informer->relist = informer->got_data = informer->failed_parse = false;
        informer->code = 0;
        cx_list_splitter_init(&informer->splitter, list_item, informer);
        informer->track_seen = !watch && cx_store_count(&informer->store) > 0;
        informer->pending = (struct cx_buf)CX_BUF_INIT_MAX(MAX_LINE);
        informer->set->transfers++;
        keep_connections(informer->set);
        if (curl_multi_add_handle(informer->set->multi, informer->easy) != CURLM_OK)
                abort();
}

// What the store has and the list that just ended has not.
static void remove_unseen(struct cx_informer *informer)
{
        if (!informer->track_seen)
                return;
        CX_OBJECTS all = CX_OBJECTS_INIT;
        cx_store_list(&informer->store, NULL, &all);
        for (size_t i = 0; i < all.count; i++) {
                if (cx_map_has(&informer->seen, all.items[i]->key))
                        continue;
                CX_OBJECT *old = cx_store_remove(&informer->store, all.items[i]->key);
                if (old)
                        notify(informer, old, NULL);
        }
}

static bool list_ended(struct cx_informer *informer)
{
        json_auto_t *rest = NULL;
        if (!cx_list_splitter_done(&informer->splitter) ||
            cx_json_parse(informer->splitter.rest.data, informer->splitter.rest.length, false, &rest, NULL) < 0)
                return false;
        const char *rv = cx_json_string(rest, "metadata.resourceVersion");
        if (!rv)
                return false;
        remove_unseen(informer);
        set_rv(informer, rv);
        informer->rv_unusable = false;
        informer->failures = 0;
        pthread_mutex_lock(&informer->set->lock);
        informer->synced = true;
        pthread_cond_broadcast(&informer->set->changed);
        pthread_mutex_unlock(&informer->set->lock);
        return true;
}

static void transfer_ended(struct cx_informer *informer, CURLcode result)
{
        if (!informer->code)
                curl_easy_getinfo(informer->easy, CURLINFO_RESPONSE_CODE, &informer->code);
        bool listing = informer->state == LISTING, relist = informer->relist;
        bool fine = informer->code == 200 && !informer->failed_parse;
        bool complete = listing && fine && result == CURLE_OK && list_ended(informer);
        bool lasted = !listing && fine && !relist &&
                      (informer->got_data || cx_time_monotonic() - informer->began > CX_NS_PER_S);
        if (informer->code == 410)
                informer->relist = informer->rv_unusable = true;
        bool ended = !listing && fine && result == CURLE_OK;
        if (!complete && !lasted && !ended && informer->code != 410 && !relist && (informer->failures == 0 || cx_v(3)))
                cx_warn("Cannot list or watch, will try again", "resource", informer->resource, "verb",
                        listing ? "list" : "watch", "code", CX_INT(informer->code), "why",
                        informer->failed_parse ? "malformed data"
                        : result               ? curl_easy_strerror(result)
                                               : informer->pending.data);
        relist = informer->relist || (listing && !complete);
        end_transfer(informer);
        informer->relist = relist;
        int64_t poll = informer->options.poll_while_empty;
        if (complete && poll && !cx_store_count(&informer->store)) {
                informer->relist = true;
                wait_for(informer, poll / 2 + (int64_t)cx_random_below((uint64_t)poll));
        } else if (complete) {
                wait_for(informer, 0);
        } else if (lasted) {
                informer->failures = 0;
                // The server's end of a watch spreads over time; a broken connection may be broken for all.
                wait_for(informer, result == CURLE_OK ? 0 : (int64_t)cx_random_below((uint64_t)FIRST_BACKOFF));
        } else {
                back_off(informer);
        }
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
                        transfer_ended(informer, result);
        }
}

// Starts what is due, drops what was stopped; returns how long the thread may wait.
static int64_t look_around(struct cx_informers *set)
{
        int64_t now = cx_time_monotonic(), next = now + CX_NS_PER_S;
        pthread_mutex_lock(&set->lock);
        for (struct cx_informer *informer = set->first; informer; informer = informer->next) {
                if (informer->stop && !informer->stopped) {
                        end_transfer(informer);
                        informer->state = IDLE;
                        informer->stopped = true;
                        pthread_cond_broadcast(&set->changed);
                        continue;
                }
                if (informer->start && !informer->started) {
                        informer->started = true;
                        wait_for(informer, 0);
                        informer->due = now;
                }
                if (informer->stopped || informer->state != WAITING)
                        continue;
                if (informer->poll_now)
                        informer->due = now;
                informer->poll_now = false;
                if (informer->due <= now)
                        start_transfer(informer);
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

// The name of a started informer (of all, or the one) that is not synced at the deadline; NULL when all are.
static const char *wait_synced(struct cx_informers *set, const struct cx_informer *only, int64_t timeout)
{
        int64_t deadline = cx_time_monotonic() + timeout;
        struct timespec ts = {deadline / CX_NS_PER_S, deadline % CX_NS_PER_S};
        const char *missing;
        pthread_mutex_lock(&set->lock);
        for (;;) {
                missing = NULL;
                for (const struct cx_informer *informer = set->first; informer; informer = informer->next)
                        if (informer->start && !informer->synced && (!only || only == informer))
                                missing = informer->resource;
                if (!missing || (timeout >= 0 && cx_time_monotonic() >= deadline))
                        break;
                if (timeout < 0)
                        pthread_cond_wait(&set->changed, &set->lock);
                else
                        pthread_cond_timedwait(&set->changed, &set->lock, &ts);
        }
        pthread_mutex_unlock(&set->lock);
        return missing;
}

int cx_informers_wait_synced(struct cx_informers *set, int64_t timeout, struct cx_error *err)
{
        const char *missing = wait_synced(set, NULL, timeout);
        return missing ? cx_error_set(err, -ETIMEDOUT, "timed out waiting for the list of %s", missing) : 0;
}

int cx_informer_wait_synced(struct cx_informer *informer, int64_t timeout, struct cx_error *err)
{
        const char *missing = wait_synced(informer->set, informer, timeout);
        return missing ? cx_error_set(err, -ETIMEDOUT, "timed out waiting for the list of %s", missing) : 0;
}

void cx_informer_on_event(struct cx_informer *informer, cx_informer_handler handler, void *context)
{
        informer->handlers = cx_realloc_array(informer->handlers, informer->n_handlers + 1, sizeof *informer->handlers);
        informer->handlers[informer->n_handlers++] = (struct handler){handler, context};
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
