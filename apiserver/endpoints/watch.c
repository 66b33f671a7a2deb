// SPDX-License-Identifier: Apache-2.0
// Watches: a stream that reads the cache's window from its own position and sleeps while there is nothing new. One
// reaper thread ends watches whose time is up and sends bookmarks.
#include "apiserver/endpoints/watch.h"

#include "apiserver/endpoints/selection.h"
#include "apiserver/request/query.h"
#include "apiserver/request/respond.h"
#include "libcommon/api/status.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define BOOKMARK_INTERVAL (60 * CX_NS_PER_S)

struct watch {
        struct cache_watcher watcher;
        struct selection selection;
        struct store *store;
        struct watch_reaper *reaper;
        struct accept_header accept;
        struct served_kind *kind; // reference; as the client asked for
        bool plain;               // events are the stored bytes
        bool columns_sent;
        char namespace[INFO_PART];
        struct cx_http_stream *stream;
        struct stored_list initial; // sent first, as ADDED
        size_t next_initial;
        bool bookmarks, initial_end_wanted;
        int64_t initial_revision;
        atomic_bool bookmark_due, expired;
        int64_t deadline, next_bookmark; // monotonic; reaper's
        bool ended;
        // what is being sent: a head, the object's own bytes or a made-up text, a tail
        struct cx_buf head;
        struct stored *object;
        size_t sent;
        struct watch *next, *previous; // reaper's list
};

struct watch_reaper {
        pthread_mutex_t lock; // guards watches, stopping
        pthread_cond_t wake;
        struct watch *watches;
        bool stopping;
        pthread_t thread;
};

static const char *const event_names[] = {
        [EVENT_ADDED] = "ADDED", [EVENT_MODIFIED] = "MODIFIED", [EVENT_DELETED] = "DELETED"};

// --- events as text ---

static void begin_event(struct watch *watch, const char *type, struct stored *object_steal)
{
        cx_buf_clear(&watch->head);
        watch->sent = 0;
        cx_buf_printf(&watch->head, "{\"type\":\"%s\",\"object\":", type);
        if (watch->plain) {
                watch->object = object_steal;
                return;
        }
        format_stored(watch->kind, object_steal, &watch->accept, !watch->columns_sent, &watch->head);
        watch->columns_sent = true;
        cx_buf_add(&watch->head, "}\n");
        stored_unref(object_steal);
}

static void begin_bookmark(struct watch *watch, int64_t revision, bool initial_end)
{
        char api_version[128];
        bool partial = watch->accept.form == FORM_METADATA, table = watch->accept.form == FORM_TABLE;
        cx_buf_clear(&watch->head);
        watch->sent = 0;
        cx_buf_printf(&watch->head,
                      "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{"
                      "\"resourceVersion\":\"%ld\"%s}%s}}\n",
                      partial ? "PartialObjectMetadata"
                      : table ? "Table"
                              : watch->kind->resource->kind->kind,
                      partial || table ? "meta.k8s.io/v1"
                                       : cx_join_api_version(api_version, watch->kind->resource->group,
                                                             watch->kind->resource->version),
                      (long)revision,
                      initial_end
                              ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"},\"creationTimestamp\":null"
                              : ",\"creationTimestamp\":null",
                      table ? ",\"columnDefinitions\":[],\"rows\":[]" : "");
}

static void begin_error(struct watch *watch, const struct cx_error *err)
{
        json_auto_t *status = cx_status_from_error(err);
        cx_buf_clear(&watch->head);
        watch->sent = 0;
        cx_buf_add(&watch->head, "{\"type\":\"ERROR\",\"object\":");
        cx_json_dump(status, &watch->head);
        cx_buf_add(&watch->head, "}\n");
}

// Copies on with the event at hand; true when it is all out.
static bool send_part(struct watch *watch, const char *bytes, size_t length, size_t *start, char *to, size_t max,
                      size_t *filled)
{
        if (watch->sent < *start + length) {
                size_t offset = watch->sent - *start, n = length - offset;
                if (n > max - *filled)
                        n = max - *filled;
                memcpy(to + *filled, bytes + offset, n);
                *filled += n;
                watch->sent += n;
                if (watch->sent < *start + length)
                        return false;
        }
        *start += length;
        return true;
}

static bool send_event(struct watch *watch, char *to, size_t max, size_t *filled)
{
        size_t start = 0;
        if (!send_part(watch, watch->head.data, watch->head.length, &start, to, max, filled))
                return false;
        if (watch->object && (!send_part(watch, watch->object->json, watch->object->length, &start, to, max, filled) ||
                              !send_part(watch, "}\n", 2, &start, to, max, filled)))
                return false;
        stored_unref(cx_steal(&watch->object));
        cx_buf_clear(&watch->head);
        watch->sent = 0;
        return true;
}

// Prepares the next event; false when there is none.
static bool next_event(struct watch *watch)
{
        if (watch->next_initial < watch->initial.count) {
                struct stored *object = watch->initial.items[watch->next_initial];
                watch->initial.items[watch->next_initial++] = NULL;
                begin_event(watch, "ADDED", object);
                return true;
        }
        if (watch->initial_end_wanted) {
                watch->initial_end_wanted = false;
                begin_bookmark(watch, watch->initial_revision, true);
                return true;
        }
        // The revision is read before the window: what it covers is then in the window.
        int64_t revision = atomic_exchange(&watch->bookmark_due, false) ? store_revision(watch->store) : 0;
        enum event_type type;
        struct stored *object = NULL;
        int r = cache_watch_next(&watch->watcher, &type, &object);
        if (r == 1) {
                if (revision)
                        atomic_store(&watch->bookmark_due, true);
                begin_event(watch, event_names[type], object);
                return true;
        }
        if (r < 0) {
                CX_ERROR err = CX_ERROR_INIT;
                (void)cx_error_reason(&err, CX_REASON_EXPIRED,
                                      "too old resource version: the watch was too slow or the cache was "
                                      "read again");
                watch->ended = true;
                begin_error(watch, &err);
                return true;
        }
        if (revision && watch->bookmarks) {
                begin_bookmark(watch, revision, false);
                return true;
        }
        return false;
}

static ssize_t read_watch(void *context, uint64_t offset CX_UNUSED, char *to, size_t max)
{
        struct watch *watch = context;
        size_t filled = 0;
        while (filled < max) {
                if (watch->head.length && !send_event(watch, to, max, &filled))
                        break;
                if (watch->ended || atomic_load(&watch->expired))
                        return filled ? (ssize_t)filled : CX_HTTP_STREAM_END;
                bool over = served_kind_is_over(watch->kind); // asked first: what came before is sent
                if (next_event(watch))
                        continue;
                if (!over)
                        break;
                watch->ended = true;
        }
        return filled ? (ssize_t)filled : CX_HTTP_STREAM_WAIT;
}

// --- life ---

static void free_watch(struct watch *watch)
{
        for (; watch->next_initial < watch->initial.count; watch->next_initial++)
                stored_unref(watch->initial.items[watch->next_initial]);
        free(watch->initial.items);
        stored_unref(watch->object);
        cx_buf_release(&watch->head);
        selection_release(&watch->selection);
        served_kind_unref(watch->kind);
        free(watch);
}

static void release_watch(void *context)
{
        struct watch *watch = context;
        struct watch_reaper *reaper = watch->reaper;
        if (watch->watcher.cache) // not so when it was refused
                cache_unwatch(&watch->watcher);
        pthread_mutex_lock(&reaper->lock);
        if (watch->previous)
                watch->previous->next = watch->next;
        else if (reaper->watches == watch)
                reaper->watches = watch->next;
        if (watch->next)
                watch->next->previous = watch->previous;
        pthread_mutex_unlock(&reaper->lock);
        cx_http_stream_unref(watch->stream);
        free_watch(watch);
}

static void wake(void *context)
{
        struct watch *watch = context;
        struct cx_http_stream *stream = __atomic_load_n(&watch->stream, __ATOMIC_ACQUIRE);
        if (stream)
                cx_http_stream_wake(stream);
}

static void *reaper_main(void *context)
{
        struct watch_reaper *reaper = context;
        pthread_mutex_lock(&reaper->lock);
        while (!reaper->stopping) {
                struct timespec tick;
                clock_gettime(CLOCK_REALTIME, &tick);
                tick.tv_sec++;
                pthread_cond_timedwait(&reaper->wake, &reaper->lock, &tick);
                int64_t now = cx_time_monotonic();
                for (struct watch *watch = reaper->watches; watch; watch = watch->next) {
                        bool late = now >= watch->deadline, due = watch->bookmarks && now >= watch->next_bookmark;
                        if (late)
                                atomic_store(&watch->expired, true);
                        if (due) {
                                atomic_store(&watch->bookmark_due, true);
                                watch->next_bookmark = now + BOOKMARK_INTERVAL;
                        }
                        if (late || due)
                                wake(watch);
                }
        }
        pthread_mutex_unlock(&reaper->lock);
        return NULL;
}

int watch_reaper_new(struct watch_reaper **ret_reaper, struct cx_error *err)
{
        struct watch_reaper *reaper = cx_alloc(sizeof *reaper);
        pthread_mutex_init(&reaper->lock, NULL);
        pthread_cond_init(&reaper->wake, NULL);
        if (pthread_create(&reaper->thread, NULL, reaper_main, reaper) != 0) {
                free(reaper);
                return cx_error_set(err, -EAGAIN, "cannot start the watch reaper");
        }
        *ret_reaper = reaper;
        return 0;
}

void watch_reaper_free(struct watch_reaper *reaper)
{
        if (!reaper)
                return;
        pthread_mutex_lock(&reaper->lock);
        reaper->stopping = true;
        pthread_cond_broadcast(&reaper->wake);
        pthread_mutex_unlock(&reaper->lock);
        pthread_join(reaper->thread, NULL);
        pthread_mutex_destroy(&reaper->lock);
        pthread_cond_destroy(&reaper->wake);
        free(reaper);
}

static int64_t watch_time(struct call *call)
{
        const char *text = cx_http_query(call->request, "timeoutSeconds");
        int64_t seconds = 0;
        if (text && cx_parse_int(text, 1, 86400, &seconds) == 0)
                return seconds * CX_NS_PER_S;
        int64_t least = call->api->options.min_request_timeout;
        return (least + (int64_t)cx_random_below((uint64_t)least)) * CX_NS_PER_S;
}

static int register_watch(struct call *call, struct watch *watch, struct cx_error *err)
{
        struct cache *cache = call->scope.kind->cache;
        int initial_events = query_bool(call, "sendInitialEvents");
        bool send_initial = initial_events > 0;
        bool from_now = watch->selection.revision <= 0;
        int r = wait_for_revision(call, watch->selection.revision, err);
        if (r == 0 && from_now)
                r = cache_check_readable(cache, watch->selection.filter.namespace, NULL, err);
        if (r < 0)
                return r;
        watch->initial_end_wanted = send_initial && watch->bookmarks;
        watch->initial_revision = store_revision(call->api->store);
        if (initial_events == 0 && from_now)
                return cache_watch(cache, &watch->watcher, watch->initial_revision, &watch->initial, err);
        return cache_watch(cache, &watch->watcher, send_initial || from_now ? -1 : watch->selection.revision,
                           &watch->initial, err);
}

void handle_watch(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct watch *watch = cx_alloc(sizeof *watch);
        watch->store = call->api->store;
        struct watch_reaper *reaper = watch->reaper = call->api->watches;
        watch->kind = served_kind_ref(call->scope.kind);
        watch->head = (struct cx_buf)CX_BUF_INIT;
        watch->bookmarks = query_bool(call, "allowWatchBookmarks") > 0;
        int r = accept_header(call, true, &watch->accept, &err);
        if (r == 0)
                r = selection_of(call, &watch->selection, &err);
        if (r == 0) {
                // The filter outlives the call.
                cx_copy_string(watch->namespace, sizeof watch->namespace, cx_str(watch->selection.filter.namespace));
                watch->watcher.filter = watch->selection.filter;
                watch->watcher.filter.namespace = *watch->namespace ? watch->namespace : NULL;
                watch->watcher.filter.labels = watch->selection.labels.count ? &watch->selection.labels : NULL;
                watch->watcher.filter.fields = watch->selection.fields.count ? &watch->selection.fields : NULL;
                watch->watcher.wake = wake;
                watch->watcher.context = watch;
                watch->plain = watch->accept.form == FORM_JSON && !needs_conversion(call->scope.kind);
                r = register_watch(call, watch, &err);
        }
        if (cx_error_is(&err, CX_REASON_EXPIRED)) { // said as an event, as clients expect once a watch is granted
                watch->ended = true;
                begin_error(watch, &err);
        } else if (r < 0) {
                free_watch(watch);
                respond_error(call, &err);
                return;
        }
        watch->deadline = cx_time_monotonic() + watch_time(call);
        watch->next_bookmark = cx_time_monotonic() + BOOKMARK_INTERVAL;
        struct cx_http_stream_source source = {.read = read_watch, .release = release_watch, .context = watch};
        cx_http_add_header(call->request, "Cache-Control", "no-cache, private");
        pthread_mutex_lock(&reaper->lock);
        watch->next = reaper->watches;
        if (watch->next)
                watch->next->previous = watch;
        reaper->watches = watch;
        pthread_mutex_unlock(&reaper->lock);
        cx_http_respond_stream_into(call->request, 200, NULL, -1, &source, &watch->stream);
}
