// SPDX-License-Identifier: Apache-2.0
// One list or watch of an informer, from its request to its end, on the set's I/O thread.
//
// A list is cut into items while it arrives; each item is parsed once and goes into the store at once. Items that the new
// list lacks are taken out when it is complete. A watch event's object is cut out of its line, so it is parsed once too.
#include "libcommon/base/log.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/client/informer_internal.h"
#include "libcommon/format/json.h"

#define FIRST_BACKOFF (50 * CX_NS_PER_MS)
#define MAX_BACKOFF (10 * CX_NS_PER_S)

// libcurl counts the connections in use as well: a few idle ones more are kept, or each poll would shake hands anew.
void cx_informers_keep_connections(struct cx_informers *set)
{
        curl_multi_setopt(set->multi, CURLMOPT_MAXCONNECTS, (long)set->transfers + 3);
}

void cx_informer_transfer_drop(struct cx_informer *informer)
{
        if (!informer->easy)
                return;
        informer->set->transfers--;
        curl_multi_remove_handle(informer->set->multi, informer->easy);
        cx_informers_keep_connections(informer->set);
        curl_easy_cleanup(informer->easy);
        cx_http_setup_release(&informer->setup);
        informer->easy = NULL;
        cx_list_splitter_release(&informer->splitter);
        cx_buf_release(&informer->pending);
        cx_map_release(&informer->seen);
}

static void set_rv(struct cx_informer *informer, const char *rv)
{
        if (!rv || !*rv || cx_streq(informer->rv, rv))
                return;
        free(informer->rv);
        informer->rv = cx_strdup(rv);
}

void cx_informer_wait_for(struct cx_informer *informer, int64_t delay)
{
        informer->state = CX_INFORMER_WAITING;
        informer->due = cx_time_monotonic() + delay;
}

static void back_off(struct cx_informer *informer)
{
        int64_t delay = informer->failures < 8 ? FIRST_BACKOFF << informer->failures : MAX_BACKOFF;
        if (delay > MAX_BACKOFF)
                delay = MAX_BACKOFF;
        informer->failures++;
        cx_informer_wait_for(informer, delay / 2 + (int64_t)cx_random_below((uint64_t)delay));
}

static void notify(struct cx_informer *informer, const struct cx_object *old, const struct cx_object *now)
{
        for (size_t i = 0; i < informer->n_handlers; i++)
                informer->handlers[i].call(informer->handlers[i].context, old, now);
}

// Makes an object of its raw text; NULL when the text is not an object.
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

// Takes in an object's raw text. A negative result means that the text is not an object.
static int apply(struct cx_informer *informer, const char *text, size_t length, bool deleted)
{
        struct cx_object *object = decode(informer, text, length);
        if (!object)
                return -EPROTO;
        if (informer->state == CX_INFORMER_WATCHING)
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
        int r = informer->state == CX_INFORMER_LISTING ? cx_list_splitter_feed(&informer->splitter, data, length)
                                                       : watch_data(informer, data, length);
        if (r < 0) {
                informer->failed_parse = r != -ESTALE;
                return 0;
        }
        return length;
}

void cx_informer_transfer_start(struct cx_informer *informer)
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
        informer->easy = curl_easy_init();
        if (!informer->easy)
                abort();
        unsigned first = 1; // the transfers of a set share connections, and nobody knows what each was made with
        cx_http_setup(informer->easy, cx_rest_http(informer->set->rest), &call, &first, &informer->setup);
        curl_easy_setopt(informer->easy, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(informer->easy, CURLOPT_WRITEDATA, informer);
        if (watch) // of the dozens of watches of a process most are silent: a small buffer each
                curl_easy_setopt(informer->easy, CURLOPT_BUFFERSIZE, 4096L);
        informer->state = watch ? CX_INFORMER_WATCHING : CX_INFORMER_LISTING;
        informer->began = cx_time_monotonic();
        informer->relist = informer->got_data = informer->failed_parse = false;
        informer->code = 0;
        cx_list_splitter_init(&informer->splitter, list_item, informer);
        informer->track_seen = !watch && cx_store_count(&informer->store) > 0;
        informer->pending = (struct cx_buf)CX_BUF_INIT_MAX(CX_INFORMER_MAX_LINE);
        informer->set->transfers++;
        cx_informers_keep_connections(informer->set);
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

void cx_informer_transfer_ended(struct cx_informer *informer, CURLcode result)
{
        if (!informer->code)
                curl_easy_getinfo(informer->easy, CURLINFO_RESPONSE_CODE, &informer->code);
        if (!informer->failed_parse && !informer->relist) // which end a transfer from this side
                (void)cx_http_server_lost(&informer->setup, informer->easy, result);
        bool listing = informer->state == CX_INFORMER_LISTING, relist = informer->relist;
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
        cx_informer_transfer_drop(informer);
        informer->relist = relist;
        int64_t poll = informer->options.poll_while_empty;
        if (complete && poll && !cx_store_count(&informer->store)) {
                informer->relist = true;
                cx_informer_wait_for(informer, poll / 2 + (int64_t)cx_random_below((uint64_t)poll));
        } else if (complete) {
                cx_informer_wait_for(informer, 0);
        } else if (lasted) {
                informer->failures = 0;
                // The server's end of a watch spreads over time; a broken connection may be broken for all.
                cx_informer_wait_for(informer,
                                     result == CURLE_OK ? 0 : (int64_t)cx_random_below((uint64_t)FIRST_BACKOFF));
        } else {
                back_off(informer);
        }
}
