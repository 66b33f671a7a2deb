// SPDX-License-Identifier: Apache-2.0
// Members come in upstream's order. Text from outside that is no UTF-8 is shown without what is none: nothing of it may make a
// member, or the event, disappear.
#include "apiserver/audit/event.h"

#include "libcommon/base/address.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define MAX_AGENT 1024
#define TRUNCATED "audit.k8s.io/truncated"

static json_t *text_of(const char *text)
{
        json_t *json = json_string(text);
        if (json)
                return json;
        CX_BUF clean = CX_BUF_INIT;
        for (; *text; text++)
                if ((unsigned char)*text < 0x80)
                        cx_buf_add_char(&clean, *text);
                else
                        cx_buf_add(&clean, "\xef\xbf\xbd");
        return json_stringn(clean.data, clean.length);
}

static void add_text(json_t *to, const char *key, const char *text)
{
        if (text && *text)
                json_object_set_new(to, key, text_of(text));
}

static void add_moment(json_t *to, const char *key, int64_t us)
{
        char text[CX_TIME_TEXT];
        cx_time_format_micro(us, text);
        json_object_set_new(to, key, json_string(text));
}

static json_t *user_json(const struct user *user)
{
        json_t *json = json_object();
        add_text(json, "username", user->name);
        add_text(json, "uid", user->uid);
        if (user->groups.count) {
                json_t *groups = cx_json_array_at(json, "groups");
                for (size_t i = 0; i < user->groups.count; i++)
                        json_array_append_new(groups, text_of(user->groups.items[i]));
        }
        if (user->extra)
                json_object_set(json, "extra", user->extra);
        return json;
}

// --- where it came from ---

static void add_address(json_t *to, const char *text, size_t length, bool known_is_enough)
{
        char one[CX_ADDRESS_TEXT], canonical[CX_ADDRESS_TEXT];
        struct cx_address address;
        size_t i;
        json_t *known;
        if (length >= sizeof one)
                return;
        (void)snprintf(one, sizeof one, "%.*s", (int)length, text);
        if (cx_address_parse(one, &address) < 0)
                return;
        cx_address_format(&address, canonical);
        json_array_foreach (to, i, known)
                if (known_is_enough && strcmp(json_string_value(known), canonical) == 0)
                        return;
        json_array_append_new(to, json_string(canonical));
}

json_t *audit_source_addresses(const char *forwarded, const char *real, const char *peer)
{
        json_t *list = json_array();
        for (const char *at = forwarded; at && *at;) {
                size_t length = strcspn(at, ","), blanks = strspn(at, " \t"), end = length;
                while (end > blanks && strchr(" \t", at[end - 1]))
                        end--;
                if (blanks < end)
                        add_address(list, at + blanks, end - blanks, false);
                at += length + (at[length] == ',');
        }
        if (real)
                add_address(list, real, strlen(real), true);
        const char *last = json_string_value(json_array_get(list, json_array_size(list) - 1));
        if (!cx_streq(last, peer))
                add_address(list, peer, strlen(peer), false);
        return list;
}

static json_t *agent_of(const char *agent)
{
        if (strlen(agent) <= MAX_AGENT)
                return text_of(agent);
        CX_CLEANUP(cx_freep) char *cut = cx_sprintf("%.*s...TRUNCATED", MAX_AGENT, agent);
        return text_of(cut);
}

// --- what it is about ---

static json_t *object_ref(const struct request_info *info, const struct recorded *recorded)
{
        json_t *ref = json_object();
        add_text(ref, "resource", info->resource);
        add_text(ref, "namespace", *info->namespace ? info->namespace : recorded->namespace);
        add_text(ref, "name", *info->name ? info->name : recorded->name);
        add_text(ref, "uid", recorded->uid);
        add_text(ref, "apiGroup", info->group);
        add_text(ref, "apiVersion", info->version);
        add_text(ref, "resourceVersion", recorded->resource_version);
        add_text(ref, "subresource", info->subresource);
        return ref;
}

static json_t *status_json(const struct audited *audited, int code)
{
        static const char *const members[] = {"status", "message", "reason", "details"};
        const json_t *from = audited->recorded.status;
        json_t *status = json_object();
        (void)cx_json_object_at(status, "metadata");
        for (size_t i = 0; i < CX_ARRAY_SIZE(members); i++)
                if (json_object_get(from, members[i]))
                        json_object_set(status, members[i], json_object_get(from, members[i]));
        if (audited->failed)
                json_object_set_new(status, "message", text_of(audited->failed));
        json_object_set_new(status, "code", json_integer(code));
        return status;
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

static void add_body(json_t *event, const char *key, const json_t *body, const struct audited *audited)
{
        if (!body)
                return;
        json_t *copy = audited->verdict.omit_managed_fields ? json_deep_copy(body) : json_incref((json_t *)body);
        if (audited->verdict.omit_managed_fields)
                drop_managed(copy);
        json_object_set_new(event, key, copy);
}

static json_t *annotations_of(const struct recorded *recorded, bool cut)
{
        json_t *annotations = json_object();
        if (recorded->decided) {
                json_object_set_new(annotations, "authorization.k8s.io/decision",
                                    json_string(recorded->allowed ? "allow" : "forbid"));
                json_object_set_new(annotations, "authorization.k8s.io/reason", text_of(cx_str(recorded->reason)));
        }
        if (cut)
                json_object_set_new(annotations, TRUNCATED, json_string("true"));
        return annotations;
}

// --- the event ---

static json_t *event_head(const struct call *call, const struct audited *audited, enum audit_stage stage)
{
        const struct recorded *recorded = &audited->recorded;
        const char *query = cx_http_raw_query(call->request), *agent = cx_http_header(call->request, "User-Agent");
        CX_CLEANUP(cx_freep)
        char *uri = cx_sprintf("%s%s%s", cx_http_raw_path(call->request), *query ? "?" : "", query);
        json_t *event = json_object();
        add_text(event, "kind", "Event");
        add_text(event, "apiVersion", "audit.k8s.io/v1");
        add_text(event, "level", audit_level_names[audited->verdict.level]);
        add_text(event, "auditID", audited->id);
        add_text(event, "stage", audit_stage_names[stage]);
        add_text(event, "requestURI", uri);
        add_text(event, "verb", call->info.verb);
        bool other = recorded->original.name != NULL;
        json_object_set_new(event, "user", user_json(other ? &recorded->original : &call->user));
        if (other)
                json_object_set_new(event, "impersonatedUser", user_json(&call->user));
        json_object_set_new(event, "sourceIPs",
                            audit_source_addresses(cx_http_header(call->request, "X-Forwarded-For"),
                                                   cx_http_header(call->request, "X-Real-Ip"),
                                                   cx_http_remote_address(call->request)));
        if (agent && *agent)
                json_object_set_new(event, "userAgent", agent_of(agent));
        if (call->info.is_resource)
                json_object_set_new(event, "objectRef", object_ref(&call->info, recorded));
        return event;
}

static void dump(const struct call *call, const struct audited *audited, enum audit_stage stage, int code, bool bodies,
                 struct cx_buf *to)
{
        const struct recorded *recorded = &audited->recorded;
        json_auto_t *event = event_head(call, audited, stage),
                    *annotations = annotations_of(recorded, recorded->cut || !bodies);
        if (code)
                json_object_set_new(event, "responseStatus", status_json(audited, code));
        if (bodies) {
                add_body(event, "requestObject", recorded->request, audited);
                add_body(event, "responseObject", recorded->response, audited);
        }
        add_moment(event, "requestReceivedTimestamp", audited->received);
        add_moment(event, "stageTimestamp", stage == AUDIT_REQUEST_RECEIVED ? audited->received : cx_time_now());
        if (json_object_size(annotations))
                json_object_set(event, "annotations", annotations);
        cx_json_dump(event, to);
        cx_buf_add_char(to, '\n');
}

int audit_event_write(const struct call *call, const struct audited *audited, enum audit_stage stage, int code,
                      size_t most, struct cx_buf *to, struct cx_error *err)
{
        dump(call, audited, stage, code, true, to);
        if (to->length > most && (audited->recorded.request || audited->recorded.response)) {
                cx_buf_clear(to);
                dump(call, audited, stage, code, false, to);
        }
        return to->length > most ? cx_error_set(err, -EFBIG, "event is too large even after truncating") : 0;
}
