// SPDX-License-Identifier: Apache-2.0
// Recording formats the text and queues; one thread correlates and writes, at a modest pace: when thousands of pods come
// at once, their events follow a little later instead of taking a third of the API server from the pods themselves. The
// correlator keeps three small maps, emptied when they grow too large: they only save writes, so forgetting is harmless.
// Their keys are hashes (map.h), not the texts, which would be most of a small component's memory; two that were alike
// would be counted together.
#include "libcommon/client/events.h"

#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/thread.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <pthread.h>

#define QUEUE_MAX 10000
#define MAX_MESSAGE 1024 // bytes: what the API allows
#define WRITE_RATE 100   // a second, after a burst of as many
#define CACHE_MAX 2048
#define BURST 25
#define REFILL (300 * CX_NS_PER_S)
#define SIMILAR_MAX 10
#define SIMILAR_WINDOW (600 * CX_NS_PER_S)

struct event {
        struct event *next;
        char *component, *type, *reason, *message;
        char *api_version, *kind, *namespace, *name, *uid, *resource_version, *field_path;
        int64_t moment; // µs
};

struct written { // the event object that stands for a key, in the namespace of its events
        int64_t count;
        char name[];
};
struct similar { // different messages with the same reason about the same object
        int64_t last;
        size_t count;
        uint64_t messages[SIMILAR_MAX]; // hashes
};
struct event_key {
        char text[17];
};
struct event_bucket {
        double tokens;
        int64_t refilled;
};

struct core {
        struct cx_rest *rest;
        char *host;
        pthread_mutex_t lock; // guards what follows
        pthread_cond_t wake, pause;
        struct event *first, **last;
        size_t length;
        bool running, stop;
        int64_t give_up; // monotonic; after stop
        pthread_t thread;
        // The thread's own.
        struct cx_map written, similar, buckets;
        struct event_bucket pace;
};

struct cx_events {
        struct core *core;
        char *component;
        bool owner;
};

static struct event_key hashed(const char *text)
{
        struct event_key key;
        (void)snprintf(key.text, sizeof key.text, "%016llx", (unsigned long long)cx_hash(text, strlen(text)));
        return key;
}

static void free_event(struct event *event)
{
        free(event->component);
        free(event->type);
        free(event->reason);
        free(event->message);
        free(event->api_version);
        free(event->kind);
        free(event->namespace);
        free(event->name);
        free(event->uid);
        free(event->resource_version);
        free(event->field_path);
        free(event);
}

struct cx_events *cx_events_new(struct cx_rest *rest, const char *component, const char *host)
{
        struct core *core = cx_alloc(sizeof *core);
        core->rest = rest;
        core->host = cx_strdup(host);
        core->last = &core->first;
        core->written.free_value = free;
        core->similar.free_value = free;
        core->buckets.free_value = free;
        pthread_mutex_init(&core->lock, NULL);
        cx_cond_init(&core->wake);
        cx_cond_init(&core->pause);
        struct cx_events *events = cx_alloc(sizeof *events);
        events->core = core;
        events->component = cx_strdup(component);
        events->owner = true;
        return events;
}

struct cx_events *cx_events_for(struct cx_events *events, const char *component)
{
        struct cx_events *other = cx_alloc(sizeof *other);
        other->core = events->core;
        other->component = cx_strdup(component);
        return other;
}

static void refill(struct event_bucket *bucket, int64_t now, double each, double most)
{
        bucket->tokens += (double)(now - bucket->refilled) / each;
        if (bucket->tokens > most)
                bucket->tokens = most;
        bucket->refilled = now;
}

// One token from the bucket of (source, object); false when it is empty.
static bool take_token(struct core *core, const struct event *event)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("%s|%s|%s|%s|%s", event->component, event->kind, cx_str(event->namespace), event->name,
                                cx_str(event->uid));
        struct event_key key = hashed(text);
        if (core->buckets.count > CACHE_MAX)
                cx_map_clear(&core->buckets);
        int64_t now = cx_time_monotonic();
        struct event_bucket *bucket = cx_map_get(&core->buckets, key.text);
        if (!bucket) {
                bucket = cx_alloc(sizeof *bucket);
                *bucket = (struct event_bucket){BURST, now};
                cx_map_set(&core->buckets, key.text, bucket);
        }
        refill(bucket, now, (double)REFILL, BURST);
        if (bucket->tokens < 1)
                return false;
        bucket->tokens -= 1;
        return true;
}

// Whether this message is one too many of different ones.
static bool is_one_of_many(struct similar *similar, const char *message)
{
        uint64_t hash = cx_hash(message, strlen(message));
        int64_t now = cx_time_monotonic();
        size_t i = 0;
        if (now - similar->last > SIMILAR_WINDOW)
                similar->count = 0;
        similar->last = now;
        while (i < similar->count && similar->messages[i] != hash)
                i++;
        if (i == similar->count && i < SIMILAR_MAX)
                similar->messages[similar->count++] = hash;
        return similar->count >= SIMILAR_MAX;
}

// The key under which the event is counted; too many alike messages share one, and the message says so.
static struct event_key correlation_key(struct core *core, struct event *event)
{
        CX_CLEANUP(cx_freep)
        char *alike =
                cx_sprintf("%s|%s|%s|%s|%s|%s|%s|%s", event->component, event->kind, cx_str(event->namespace),
                           event->name, cx_str(event->uid), cx_str(event->field_path), event->type, event->reason);
        struct event_key key = hashed(alike);
        if (core->similar.count > CACHE_MAX)
                cx_map_clear(&core->similar);
        struct similar *similar = cx_map_get(&core->similar, key.text);
        if (!similar) {
                similar = cx_alloc(sizeof *similar);
                cx_map_set(&core->similar, key.text, similar);
        }
        if (!is_one_of_many(similar, event->message)) {
                CX_CLEANUP(cx_freep) char *whole = cx_sprintf("%s|%s", alike, event->message);
                return hashed(whole);
        }
        char *message = cx_sprintf("(combined from similar events): %s", event->message);
        free(event->message);
        event->message = message;
        return key;
}

static json_t *event_body(const struct core *core, const struct event *event, const char *namespace, const char *name)
{
        char moment[CX_TIME_TEXT];
        cx_time_format(event->moment, moment);
        json_t *about = json_pack("{s:s, s:s}", "kind", event->kind, "name", event->name);
        const struct {
                const char *field, *value;
        } parts[] = {{"namespace", event->namespace},
                     {"uid", event->uid},
                     {"apiVersion", event->api_version},
                     {"resourceVersion", event->resource_version},
                     {"fieldPath", event->field_path}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(parts); i++)
                if (parts[i].value && *parts[i].value)
                        json_object_set_new(about, parts[i].field, json_string(parts[i].value));
        json_t *source = json_pack("{s:s}", "component", event->component);
        if (core->host)
                json_object_set_new(source, "host", json_string(core->host));
        return json_pack("{s:s, s:s, s:{s:s, s:s}, s:o, s:s, s:s, s:o, s:s, s:s, s:i, s:s, s:n, s:s, s:s}",
                         "apiVersion", "v1", "kind", "Event", "metadata", "name", name, "namespace", namespace,
                         "involvedObject", about, "reason", event->reason, "message", event->message, "source", source,
                         "firstTimestamp", moment, "lastTimestamp", moment, "count", 1, "type", event->type,
                         "eventTime", "reportingComponent", event->component, "reportingInstance", cx_str(core->host));
}

static int raise_count(struct core *core, struct written *written, const char *namespace, const struct event *event,
                       struct cx_error *err)
{
        char moment[CX_TIME_TEXT];
        cx_time_format(event->moment, moment);
        json_auto_t *patch = json_pack("{s:I, s:s, s:s}", "count", (json_int_t)written->count + 1, "lastTimestamp",
                                       moment, "message", event->message);
        int r = cx_rest_patch(core->rest, CX_REF("", "v1", "events", namespace, written->name), NULL,
                              CX_PATCH_STRATEGIC, patch, NULL, err);
        if (r == 0)
                written->count++;
        return r;
}

static void write_event(struct core *core, struct event *event)
{
        if (!take_token(core, event))
                return;
        struct event_key key = correlation_key(core, event);
        const char *namespace = event->namespace && *event->namespace ? event->namespace : "default";
        CX_ERROR err = CX_ERROR_INIT;
        struct written *written = cx_map_get(&core->written, key.text);
        if (written) {
                if (raise_count(core, written, namespace, event, &err) == 0)
                        return;
                if (!cx_error_is(&err, CX_REASON_NOT_FOUND)) {
                        cx_debug(2, "Event not written", "err", cx_error_text(&err));
                        return;
                }
                cx_error_release(&err);
        }
        CX_CLEANUP(cx_freep)
        char *name = cx_sprintf("%.200s.%llx", event->name,
                                (unsigned long long)event->moment * 1000ULL +
                                        (unsigned long long)(cx_time_monotonic() % 1000));
        json_auto_t *body = event_body(core, event, namespace, name);
        if (cx_rest_create(core->rest, CX_REF("", "v1", "events", namespace, NULL), body, NULL, &err) < 0) {
                cx_debug(2, "Event not written", "err", cx_error_text(&err));
                return;
        }
        if (core->written.count > CACHE_MAX)
                cx_map_clear(&core->written);
        size_t size = strlen(name) + 1;
        written = cx_alloc(sizeof *written + size);
        memcpy(written->name, name, size);
        written->count = 1;
        cx_map_set(&core->written, key.text, written);
}

// Keeps to the pace, with the lock; at the end there is no time for that.
static void wait_turn(struct core *core)
{
        const double each = (double)CX_NS_PER_S / WRITE_RATE;
        int64_t now = cx_time_monotonic();
        refill(&core->pace, now, each, WRITE_RATE);
        core->pace.tokens -= 1;
        if (core->pace.tokens >= 0)
                return;
        int64_t until = now + (int64_t)(-core->pace.tokens * each);
        while (!core->stop && !cx_cond_wait_until(&core->pause, &core->lock, until))
                ;
}

static void *run(void *argument)
{
        struct core *core = argument;
        pthread_mutex_lock(&core->lock);
        for (;;) {
                while (!core->first && !core->stop)
                        pthread_cond_wait(&core->wake, &core->lock);
                if (core->first && !core->stop)
                        wait_turn(core);
                if (!core->first || (core->stop && cx_time_monotonic() > core->give_up))
                        break;
                struct event *event = core->first;
                core->first = event->next;
                if (!core->first)
                        core->last = &core->first;
                core->length--;
                pthread_mutex_unlock(&core->lock);
                write_event(core, event);
                free_event(event);
                pthread_mutex_lock(&core->lock);
        }
        pthread_mutex_unlock(&core->lock);
        return NULL;
}

void cx_events_stop(struct cx_events *events)
{
        struct core *core = events->core;
        pthread_mutex_lock(&core->lock);
        core->stop = true;
        core->give_up = cx_time_monotonic() + 2 * CX_NS_PER_S;
        pthread_cond_signal(&core->wake);
        pthread_cond_signal(&core->pause);
        bool running = core->running;
        core->running = false;
        pthread_mutex_unlock(&core->lock);
        if (running)
                pthread_join(core->thread, NULL);
}

void cx_events_free(struct cx_events *events)
{
        if (!events)
                return;
        struct core *core = events->core;
        bool owner = events->owner;
        if (owner)
                cx_events_stop(events);
        free(events->component);
        free(events);
        if (!owner)
                return;
        while (core->first) {
                struct event *event = core->first;
                core->first = event->next;
                free_event(event);
        }
        cx_map_release(&core->written);
        cx_map_release(&core->similar);
        cx_map_release(&core->buckets);
        pthread_cond_destroy(&core->wake);
        pthread_cond_destroy(&core->pause);
        pthread_mutex_destroy(&core->lock);
        free(core->host);
        free(core);
}

static char *format_message(const char *format, va_list args)
{
        CX_BUF message = CX_BUF_INIT_MAX(65536);
        cx_buf_vprintf(&message, format, args);
        if (message.length > MAX_MESSAGE)
                message.data[MAX_MESSAGE] = 0;
        return cx_buf_detach(&message);
}

static void record(struct cx_events *events, const struct cx_event_about *about, const char *type, const char *reason,
                   const char *format, va_list args)
{
        struct core *core = events->core;
        struct event *event = cx_alloc(sizeof *event);
        *event = (struct event){
                .component = cx_strdup(events->component),
                .type = cx_strdup(type),
                .reason = cx_strdup(reason),
                .message = format_message(format, args),
                .api_version = cx_strdup(about->api_version),
                .kind = cx_strdup(about->kind),
                .namespace = cx_strdup(about->namespace),
                .name = cx_strdup(about->name),
                .uid = cx_strdup(about->uid),
                .resource_version = cx_strdup(about->resource_version),
                .field_path = cx_strdup(about->field_path),
                .moment = cx_time_now(),
        };
        pthread_mutex_lock(&core->lock);
        bool full = core->length >= QUEUE_MAX || core->stop;
        if (!full) {
                *core->last = event;
                core->last = &event->next;
                core->length++;
                if (!core->running)
                        core->running = pthread_create(&core->thread, NULL, run, core) == 0;
                if (core->length == 1)
                        pthread_cond_signal(&core->wake);
        }
        pthread_mutex_unlock(&core->lock);
        if (full)
                free_event(event);
}

void cx_event(struct cx_events *events, const struct cx_event_about *about, const char *type, const char *reason,
              const char *format, ...)
{
        if (!events)
                return;
        va_list args;
        va_start(args, format);
        record(events, about, type, reason, format, args);
        va_end(args);
}

void cx_event_object(struct cx_events *events, const char *api_version, const char *kind,
                     const struct cx_object *object, const char *type, const char *reason, const char *format, ...)
{
        if (!events)
                return;
        struct cx_event_about about = {.api_version = api_version,
                                       .kind = kind,
                                       .namespace = object->namespace,
                                       .name = object->name,
                                       .uid = object->uid,
                                       .resource_version = object->resource_version};
        va_list args;
        va_start(args, format);
        record(events, &about, type, reason, format, args);
        va_end(args);
}
