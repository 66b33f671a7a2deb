// SPDX-License-Identifier: Apache-2.0
// Reading: single objects and lists. resourceVersion=0 is answered at once from the cache; a consistent read waits for
// the cache to have caught up with etcd; pages after the first and exact revisions are read from etcd's history.
#include "apiserver/endpoints/selection.h"
#include "apiserver/endpoints/verbs.h"
#include "apiserver/endpoints/watch.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/respond.h"
#include "libcommon/api/status.h"
#include "libcommon/format/json.h"

// --- get ---

static void respond_get(struct call *call)
{
        struct stored *stored = scope_find(&call->scope);
        if (stored) {
                respond_stored(call, 200, stored);
                return;
        }
        CX_ERROR err = CX_ERROR_INIT;
        if (cache_check_readable(call->scope.kind->cache, call->scope.namespace, call->scope.name, &err) == 0)
                (void)object_not_found(call->scope.resource, call->scope.name, &err);
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

static void respond_cached(struct call *call, struct selection *o)
{
        STORED_LIST list = {0};
        CX_CLEANUP(cx_freep) char *token = NULL;
        int64_t remaining = -1;
        // Taken before the objects: a list may be newer than it says, never older.
        int64_t revision = store_revision(call->api->store);
        cache_list(call->scope.kind->cache, &o->filter, &list);
        if (o->limit && list.count > (size_t)o->limit) {
                remaining = (int64_t)list.count - o->limit;
                stored_list_truncate(&list, (size_t)o->limit);
                token = continue_token(revision, list.items[list.count - 1]->key);
        }
        respond_list(call, &list, revision, token, o->filter.labels || o->filter.fields ? -1 : remaining);
}

// Of a page whose revision is compacted: the way to the rest, as it is now.
static void respond_page_expired(struct call *call, const struct selection *o)
{
        CX_ERROR err = CX_ERROR_INIT;
        (void)cx_error_reason(
                &err, CX_REASON_EXPIRED,
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter, or use the continue token in this response to retrieve the "
                "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                "objects that were created, modified, or deleted between the time the first chunk was returned and now "
                "may show up in the list.");
        CX_CLEANUP(cx_freep) char *token = continue_token(-1, o->after);
        json_t *status = cx_status_from_error(&err);
        json_object_set_new(status, "metadata", json_pack("{s:s}", "continue", token));
        respond_object(call, cx_status_http_code(&err), status);
}

static int respond_history(struct call *call, struct selection *o, struct cx_error *err)
{
        STORED_LIST list = {0};
        CX_CLEANUP(cx_freep) char *token = NULL;
        bool more = false;
        int64_t revision = o->after ? o->continue_revision : o->revision;
        CX_ERROR why = CX_ERROR_INIT;
        int r = wait_for_revision(call, revision, err);
        if (r < 0)
                return r;
        struct page_request page = {.filter = &o->filter,
                                    .revision = revision,
                                    .after = o->after,
                                    .limit = o->limit ? (size_t)o->limit : SIZE_MAX};
        r = store_page(call->api->store, call->scope.kind->cache, &page, &list, &revision, &more, &why);
        if (cx_error_is(&why, CX_REASON_EXPIRED) && o->after) {
                respond_page_expired(call, o);
                return 0;
        }
        if (cx_error_is(&why, CX_REASON_EXPIRED))
                return cx_error_reason(err, CX_REASON_EXPIRED, "The resourceVersion for the provided list is too old.");
        if (r < 0)
                return cx_error_move(err, &why);
        if (more && list.count)
                token = continue_token(revision, list.items[list.count - 1]->key);
        respond_list(call, &list, revision, token, -1);
        return 0;
}

void handle_list(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        struct selection o = {0};
        int r = selection_of(call, &o, &err);
        if (r == 0 && (o.after || (o.exact && o.revision > 0))) {
                r = respond_history(call, &o, &err);
        } else if (r == 0) {
                r = wait_for_revision(call, o.revision, &err);
                if (r == 0)
                        r = cache_check_readable(call->scope.kind->cache, o.filter.namespace, NULL, &err);
                if (r == 0)
                        respond_cached(call, &o);
        }
        selection_release(&o);
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
