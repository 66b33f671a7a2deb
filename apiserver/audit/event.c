// SPDX-License-Identifier: Apache-2.0
// Members come in upstream's order.
#include "apiserver/audit/event.h"

#include "apiserver/audit/text.h"
#include "libcommon/base/address.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define MAX_AGENT 1024
#define SHORT_URI 512
#define SHORT_TEXT 512   // bytes of the sentences that speak of what was sent
#define MAX_REFUSED 4096 // bytes of a line about somebody who may not ask
#define TRUNCATED "audit.k8s.io/truncated"

enum extent { WHOLE, WITHOUT_BODIES, SHORT }; // short: without what a client can make as long as it likes

static void put_strings(struct cx_buf *to, const char *key, const struct cx_strings *list)
{
        text_key(to, key);
        for (size_t i = 0; i < list->count; i++) {
                cx_buf_add_char(to, i ? ',' : '[');
                text_string(to, list->items[i]);
        }
        cx_buf_add(to, list->count ? "]" : "[]");
}

static void put_moment(struct cx_buf *to, const char *key, int64_t us)
{
        char text[CX_TIME_TEXT];
        cx_time_format_micro(us, text);
        text_member(to, key, text);
}

static void put_user(struct cx_buf *to, const char *key, const struct user *user)
{
        text_key(to, key);
        cx_buf_add_char(to, '{');
        text_member(to, "username", user->name);
        text_member(to, "uid", user->uid);
        if (user->groups.count)
                put_strings(to, "groups", &user->groups);
        text_json(to, "extra", user->extra);
        cx_buf_add_char(to, '}');
}

// --- where it came from ---

static void add_address(struct cx_strings *to, const char *text, size_t length, bool once)
{
        char one[CX_ADDRESS_TEXT], canonical[CX_ADDRESS_TEXT];
        struct cx_address address;
        if (length >= sizeof one)
                return;
        (void)snprintf(one, sizeof one, "%.*s", (int)length, text);
        if (cx_address_parse(one, &address) < 0)
                return;
        cx_address_format(&address, canonical);
        if (!once || !cx_strings_has(to, canonical))
                cx_strings_add(to, canonical);
}

void audit_source_addresses(const char *forwarded, const char *real, const char *peer, struct cx_strings *ret_list)
{
        for (const char *at = forwarded; at && *at;) {
                size_t length = strcspn(at, ","), blanks = strspn(at, " \t"), end = length;
                while (end > blanks && strchr(" \t", at[end - 1]))
                        end--;
                if (blanks < end)
                        add_address(ret_list, at + blanks, end - blanks, false);
                at += length + (at[length] == ',');
        }
        if (real)
                add_address(ret_list, real, strlen(real), true);
        const char *last = ret_list->count ? ret_list->items[ret_list->count - 1] : NULL;
        if (!cx_streq(last, peer))
                add_address(ret_list, peer, strlen(peer), false);
}

static void put_sources(struct cx_buf *to, const struct cx_http_request *request, enum extent extent)
{
        CX_STRINGS list = CX_STRINGS_INIT;
        const char *forwarded = extent == SHORT ? NULL : cx_http_header(request, "X-Forwarded-For");
        audit_source_addresses(forwarded, cx_http_header(request, "X-Real-Ip"), cx_http_remote_address(request), &list);
        put_strings(to, "sourceIPs", &list);
}

static void put_agent(struct cx_buf *to, const char *agent)
{
        if (!agent || strlen(agent) <= MAX_AGENT) {
                text_member(to, "userAgent", agent);
                return;
        }
        CX_CLEANUP(cx_freep) char *cut = cx_sprintf("%.*s...TRUNCATED", MAX_AGENT, agent);
        text_member(to, "userAgent", cut);
}

// --- what it is about ---

static void put_object_ref(struct cx_buf *to, const struct request_info *info, const struct audited *audited)
{
        const struct recorded *recorded = &audited->recorded;
        const char *name = audited->selected ? audited->selected : recorded->name;
        text_key(to, "objectRef");
        cx_buf_add_char(to, '{');
        text_member(to, "resource", info->resource);
        text_member(to, "namespace", *info->namespace ? info->namespace : recorded->namespace);
        text_member(to, "name", *info->name ? info->name : name);
        text_member(to, "uid", recorded->uid);
        text_member(to, "apiGroup", info->group);
        text_member(to, "apiVersion", info->version);
        text_member(to, "resourceVersion", recorded->resource_version);
        text_member(to, "subresource", info->subresource);
        cx_buf_add_char(to, '}');
}

static void put_sentence(struct cx_buf *to, const char *key, const char *value, enum extent extent)
{
        if (extent != SHORT || !value || strlen(value) <= SHORT_TEXT) {
                text_member(to, key, value);
                return;
        }
        CX_CLEANUP(cx_freep) char *cut = cx_strndup(value, SHORT_TEXT);
        text_member(to, key, cut);
}

static void put_status(struct cx_buf *to, const struct audited *audited, int code, enum extent extent)
{
        const json_t *status = audited->recorded.status;
        text_key(to, "responseStatus");
        cx_buf_add(to, "{\"metadata\":{}");
        text_member(to, "status", cx_json_string(status, "status"));
        put_sentence(to, "message", audited->failed ? audited->failed : cx_json_string(status, "message"), extent);
        text_member(to, "reason", cx_json_string(status, "reason"));
        text_json(to, "details", json_object_get(status, "details"));
        cx_buf_printf(to, ",\"code\":%d}", code);
}

static void drop_managed(json_t *object)
{
        json_t *metadata = json_object_get(object, "metadata");
        size_t i;
        json_t *item;
        json_object_del(metadata, "managedFields");
        json_array_foreach (json_object_get(object, "items"), i, item)
                json_object_del(json_object_get(item, "metadata"), "managedFields");
        json_array_foreach (json_object_get(object, "rows"), i, item)
                json_object_del(cx_json_get(item, "object.metadata"), "managedFields");
}

static void put_body(struct cx_buf *to, const char *key, const json_t *body, const struct audited *audited)
{
        if (!body || !audited->verdict.omit_managed_fields) {
                text_json(to, key, body);
                return;
        }
        json_auto_t *copy = json_deep_copy(body);
        drop_managed(copy);
        text_json(to, key, copy);
}

static void put_annotations(struct cx_buf *to, const struct recorded *recorded, enum extent extent)
{
        const struct cx_strings *others = &recorded->annotations;
        bool cut = recorded->cut || extent != WHOLE;
        if (!recorded->decided && !cut && !others->count)
                return;
        text_key(to, "annotations");
        cx_buf_add_char(to, '{');
        if (recorded->decided) {
                text_member(to, "authorization.k8s.io/decision", recorded->allowed ? "allow" : "forbid");
                text_key(to, "authorization.k8s.io/reason");
                text_string(to, cx_str(recorded->reason));
        }
        for (size_t i = 0; i < others->count; i += 2)
                put_sentence(to, others->items[i], others->items[i + 1], extent);
        if (cut)
                text_member(to, TRUNCATED, "true");
        cx_buf_add_char(to, '}');
}

// --- the event ---

static void put_uri(struct cx_buf *to, const struct cx_http_request *request, enum extent extent)
{
        const char *query = cx_http_raw_query(request);
        CX_CLEANUP(cx_freep) char *uri = cx_sprintf("%s%s%s", cx_http_raw_path(request), *query ? "?" : "", query);
        if (extent == SHORT && strlen(uri) > SHORT_URI)
                uri[SHORT_URI] = '\0';
        text_member(to, "requestURI", uri);
}

static void put_head(struct cx_buf *to, const struct call *call, const struct audited *audited, enum audit_stage stage,
                     enum extent extent)
{
        const struct recorded *recorded = &audited->recorded;
        bool other = recorded->original.name != NULL;
        text_member(to, "kind", "Event");
        text_member(to, "apiVersion", "audit.k8s.io/v1");
        text_member(to, "level", audit_level_names[audited->verdict.level]);
        text_member(to, "auditID", audited->id);
        text_member(to, "stage", audit_stage_names[stage]);
        put_uri(to, call->request, extent);
        text_member(to, "verb", call->info.verb);
        put_user(to, "user", other ? &recorded->original : &call->user);
        if (other)
                put_user(to, "impersonatedUser", &call->user);
        put_sources(to, call->request, extent);
        put_agent(to, cx_http_header(call->request, "User-Agent"));
        if (call->info.is_resource)
                put_object_ref(to, &call->info, audited);
}

static void put_event(struct cx_buf *to, const struct call *call, const struct audited *audited, enum audit_stage stage,
                      int code, enum extent extent)
{
        const struct recorded *recorded = &audited->recorded;
        cx_buf_add_char(to, '{');
        put_head(to, call, audited, stage, extent);
        if (code)
                put_status(to, audited, code, extent);
        if (extent == WHOLE) {
                put_body(to, "requestObject", recorded->request, audited);
                put_body(to, "responseObject", recorded->response, audited);
        }
        put_moment(to, "requestReceivedTimestamp", audited->received);
        put_moment(to, "stageTimestamp", stage == AUDIT_REQUEST_RECEIVED ? audited->received : cx_time_now());
        put_annotations(to, recorded, extent);
        cx_buf_add(to, "}\n");
}

int audit_event_write(const struct call *call, const struct audited *audited, enum audit_stage stage, int code,
                      size_t most, struct cx_buf *to, struct cx_error *err)
{
        // Who is let do nothing could push all else out of the log; before that is known, the beginning is told in short.
        bool refused = stage == AUDIT_REQUEST_RECEIVED || code == 401 || (code == 403 && !audited->recorded.allowed);
        for (enum extent extent = WHOLE; extent <= SHORT; extent++) {
                size_t limit = refused && extent != SHORT && most > MAX_REFUSED ? MAX_REFUSED : most;
                cx_buf_clear(to);
                put_event(to, call, audited, stage, code, extent);
                if (to->length <= limit)
                        return 0;
        }
        return cx_error_set(err, -EFBIG, "event is too large even after truncating");
}
