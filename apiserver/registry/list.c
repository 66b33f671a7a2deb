// SPDX-License-Identifier: Apache-2.0
// Reading: single objects and lists. resourceVersion=0 is answered at once from the cache; a consistent read waits for
// the cache to have caught up with etcd; pages after the first and exact revisions are read from etcd's history.
#include "apiserver/convert.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/options.h"
#include "apiserver/registry/registry.h"
#include "apiserver/respond.h"
#include "libcommon/api/status.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

// --- options ---

static int parse_revision(const char *text, int64_t *ret_revision, struct cx_error *err)
{
        if (cx_parse_int(text, 0, INT64_MAX, ret_revision) < 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "resourceVersion: Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": "
                                       "invalid syntax",
                                       text, text);
        return 0;
}

// A continue token is {"v":"meta.k8s.io/v1","rv":N,"start":"key"} in base64url, as upstream's. -1 for N: go on at the
// revision of now.
static char *encode_continue(int64_t revision, const char *last_key)
{
        json_auto_t *token =
                json_pack("{s:s,s:I,s:s}", "v", "meta.k8s.io/v1", "rv", (json_int_t)revision, "start", last_key);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(token);
        CX_BUF encoded = CX_BUF_INIT;
        cx_base64url_encode(text, strlen(text), &encoded);
        return cx_buf_detach(&encoded);
}

static int decode_continue(const char *text, struct list_options *o, struct cx_error *err)
{
        CX_BUF bytes = CX_BUF_INIT_MAX(4096);
        json_auto_t *token = NULL;
        if (strlen(text) > 4096 || cx_base64_decode(text, strlen(text), &bytes) < 0 ||
            cx_json_parse(bytes.data, bytes.length, true, &token, NULL) < 0 || !cx_json_string(token, "start") ||
            cx_json_int(token, "rv", 0) < -1 || cx_json_int(token, "rv", 0) == 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "continue key is not valid");
        o->after = cx_strdup(cx_json_string(token, "start"));
        int64_t revision = cx_json_int(token, "rv", 0);
        o->continue_revision = revision > 0 ? revision : 0;
        return 0;
}

static int check_fields(const struct call *call, const struct cx_selector *fields, struct cx_error *err)
{
        for (size_t i = 0; i < fields->count; i++)
                if (!resource_selects_field(call->resource, fields->requirements[i].key))
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                               "Unable to find \"%s\" that match label selector \"\", field selector "
                                               "\"%s\": field label not supported: %s",
                                               call->resource->resource, fields->requirements[i].key,
                                               fields->requirements[i].key);
        return 0;
}

// From the call's version to the one that objects are stored in.
static void convert_fields(const struct call *call, const struct cx_resource *stored, struct cx_selector *fields)
{
        for (size_t i = 0; i < fields->count; i++) {
                char *name = convert_field(fields->requirements[i].key, call->resource, stored);
                free(fields->requirements[i].key);
                fields->requirements[i].key = name;
        }
}

static int parse_selectors(struct call *call, struct list_options *o, struct cx_error *err)
{
        const char *labels = cx_http_query(call->request, "labelSelector");
        const char *fields = cx_http_query(call->request, "fieldSelector");
        int r = 0;
        if (labels && *labels)
                r = cx_selector_parse_labels(labels, &o->labels, err);
        CX_CLEANUP(cx_freep) char *one = NULL;
        if (*call->info.name && cx_streq(call->info.verb, "watch")) // /api/v1/watch/…/NAME
                fields = one = cx_sprintf("metadata.name=%s%s%s", call->info.name, fields && *fields ? "," : "",
                                          cx_str(fields));
        if (r == 0 && fields && *fields)
                r = cx_selector_parse_fields(fields, &o->fields, err);
        if (r == 0)
                r = check_fields(call, &o->fields, err);
        return r;
}

int list_options(struct call *call, struct list_options *o, struct cx_error *err)
{
        *o = (struct list_options){.revision = -1};
        const char *token = cx_http_query(call->request, "continue");
        int64_t ignored = 0;
        const char *revision = cx_http_query(call->request, "resourceVersion");
        const char *match = cx_http_query(call->request, "resourceVersionMatch");
        int r = parse_selectors(call, o, err);
        if (r == 0)
                r = query_int(call, "limit", &o->limit, err);
        if (r == 0)
                r = query_int(call, "timeoutSeconds", &ignored, err);
        if (r == 0)
                r = check_list_options(call, cx_streq(call->info.verb, "watch"), err);
        if (o->limit < 0)
                o->limit = 0;
        if (r == 0 && revision && *revision)
                r = parse_revision(revision, &o->revision, err);
        if (r == 0 && token && *token)
                r = decode_continue(token, o, err);
        if (r < 0)
                return r;
        if (o->after && o->revision > 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "specifying resource version is not allowed when using continue");
        const struct cx_resource *stored = store_cache(call->api->store, call->resource)->resource;
        convert_fields(call, stored, &o->fields);
        o->exact = cx_streq(match, "Exact");
        o->not_older_than = cx_streq(match, "NotOlderThan");
        o->filter = (struct filter){
                .resource = stored,
                .namespace = call->resource->namespaced && *call->info.namespace ? call->info.namespace : NULL,
                .labels = o->labels.count ? &o->labels : NULL,
                .fields = o->fields.count ? &o->fields : NULL,
        };
        return 0;
}

void list_options_release(struct list_options *o)
{
        cx_selector_release(&o->labels);
        cx_selector_release(&o->fields);
        free(o->after);
        o->after = NULL;
}

// A consistent read brings every revision that any server has given out: what is greater then does not exist.
int wait_for_revision(struct call *call, int64_t revision, struct cx_error *err)
{
        if (revision >= 0 && revision <= store_revision(call->api->store))
                return 0;
        int r = store_sync(call->api->store, err);
        int64_t current = store_revision(call->api->store);
        if (r < 0 || revision <= current)
                return r;
        r = cx_error_reason(err, CX_REASON_TIMEOUT, "Too large resource version: %ld, current: %ld", (long)revision,
                            (long)current);
        cx_error_cause(err, "ResourceVersionTooLarge", NULL, "Too large resource version");
        err->retry_after = 1;
        return r;
}

// --- get ---

static void respond_get(struct call *call)
{
        struct stored *stored = store_get(call->api->store, call->resource,
                                          call->resource->namespaced ? call->info.namespace : NULL, call->info.name);
        if (stored) {
                respond_stored(call, 200, stored);
                return;
        }
        CX_ERROR err = CX_ERROR_INIT;
        (void)call_not_found(call, call->info.name, &err);
        respond_error(call, &err);
}

void handle_get(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        int64_t revision = -1;
        const char *text = cx_http_query(call->request, "resourceVersion");
        int r = text && *text ? parse_revision(text, &revision, &err) : 0;
        if (r == 0)
                r = wait_for_revision(call, revision, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_get(call);
}

// --- list ---

static void respond_cached(struct call *call, struct list_options *o)
{
        STORED_LIST list = {0};
        CX_CLEANUP(cx_freep) char *token = NULL;
        int64_t remaining = -1;
        // Taken before the objects: a list may be newer than it says, never older.
        int64_t revision = store_revision(call->api->store);
        cache_list(store_cache(call->api->store, call->resource), &o->filter, &list);
        if (o->limit && list.count > (size_t)o->limit) {
                remaining = (int64_t)list.count - o->limit;
                stored_list_truncate(&list, (size_t)o->limit);
                token = encode_continue(revision, list.items[list.count - 1]->key);
        }
        respond_list(call, &list, revision, token, o->filter.labels || o->filter.fields ? -1 : remaining);
}

// Of a page whose revision is compacted: the way to the rest, as it is now.
static void respond_page_expired(struct call *call, const struct list_options *o)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(
                &err, CX_REASON_EXPIRED,
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list "
                "without the continue parameter, or use the continue token in this response to retrieve the remainder "
                "of "
                "the results. Continuing with the provided token results in an inconsistent list - objects that were "
                "created, modified, or deleted between the time the first chunk was returned and now may show up in "
                "the "
                "list.");
        CX_CLEANUP(cx_freep) char *token = encode_continue(-1, o->after);
        json_t *status = cx_status_from_error(&err);
        json_object_set_new(status, "metadata", json_pack("{s:s}", "continue", token));
        respond_object(call, cx_status_http_code(&err), status);
}

static int respond_history(struct call *call, struct list_options *o, struct cx_error *err)
{
        STORED_LIST list = {0};
        CX_CLEANUP(cx_freep) char *token = NULL;
        bool more = false;
        int64_t revision = o->after ? o->continue_revision : o->revision;
        size_t limit = o->limit ? (size_t)o->limit : SIZE_MAX;
        CX_ERROR why = CX_ERROR_INIT;
        int r = wait_for_revision(call, revision, err);
        if (r < 0)
                return r;
        r = store_page(call->api->store, call->resource, &o->filter, revision, o->after, limit, &list, &revision, &more,
                       &why);
        if (cx_error_is(&why, CX_REASON_EXPIRED) && o->after) {
                respond_page_expired(call, o);
                return 0;
        }
        if (cx_error_is(&why, CX_REASON_EXPIRED))
                return cx_error_reason(err, CX_REASON_EXPIRED, "The resourceVersion for the provided list is too old.");
        if (r < 0)
                return cx_error_move(err, &why);
        if (more && list.count)
                token = encode_continue(revision, list.items[list.count - 1]->key);
        respond_list(call, &list, revision, token, -1);
        return 0;
}

void handle_list(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct list_options o = {0};
        int r = list_options(call, &o, &err);
        if (r == 0 && (o.after || (o.exact && o.revision > 0))) {
                r = respond_history(call, &o, &err);
        } else if (r == 0) {
                r = wait_for_revision(call, o.revision, &err);
                if (r == 0)
                        respond_cached(call, &o);
        }
        list_options_release(&o);
        if (r < 0)
                respond_error(call, &err);
}

// A consistent get needs no worker: whoever brings the news that the cache is fresh answers it.
static void on_fresh(struct waiter *waiter, int result)
{
        struct call *call = (struct call *)((char *)waiter - offsetof(struct call, waiter));
        CX_ERROR err = CX_ERROR_INIT;
        if (store_waited(result, &err) < 0)
                respond_error(call, &err);
        else
                respond_get(call);
}

static bool get_inline(struct call *call)
{
        const char *revision = cx_http_query(call->request, "resourceVersion");
        if (cx_streq(revision, "0")) {
                respond_get(call);
                return true;
        }
        if (revision && *revision)
                return false;
        call->waiter.done = on_fresh;
        progress_await_fresh(store_progress(call->api->store), &call->waiter);
        return true;
}

static bool watch_inline(struct call *call)
{
        const char *revision = cx_http_query(call->request, "resourceVersion");
        // A watch from a given revision starts at once; "from now" needs a consistent read first.
        if (!revision || !*revision)
                return false;
        int64_t asked;
        if (cx_parse_int(revision, 0, INT64_MAX, &asked) == 0 && asked > store_revision(call->api->store))
                return false;
        handle_watch(call);
        return true;
}

static bool list_inline(struct call *call)
{
        const char *token = cx_http_query(call->request, "continue");
        if (!cx_streq(cx_http_query(call->request, "resourceVersion"), "0") || (token && *token))
                return false;
        handle_list(call);
        return true;
}

bool handle_read_inline(struct call *call)
{
        if (cx_streq(call->info.verb, "get"))
                return get_inline(call);
        if (cx_streq(call->info.verb, "watch"))
                return watch_inline(call);
        return cx_streq(call->info.verb, "list") && list_inline(call);
}
