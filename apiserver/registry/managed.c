// SPDX-License-Identifier: Apache-2.0
// Sets of fields (libcommon/schema/fields.h) by manager: what a write changed is taken from the others and given to the
// writer; what an applier no longer names goes from the object when nobody else owns it.
#include "apiserver/registry/managed.h"

#include "apiserver/registry/last_applied.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/fields.h"

#define BEFORE_FIRST_APPLY "before-first-apply"

// --- entries ---

static json_t *entries_of(const json_t *object)
{
        return cx_json_get(object, "metadata.managedFields");
}

static json_t *new_entry(const struct scope *scope, const char *manager, const char *operation, const char *subresource,
                         json_t *fields_steal)
{
        char api_version[128], now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        json_t *entry = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "manager", manager, "operation", operation, "apiVersion",
                                  cx_join_api_version(api_version, scope->resource->group, scope->resource->version),
                                  "time", now, "fieldsType", "FieldsV1", "fieldsV1", fields_steal);
        if (subresource)
                json_object_set_new(entry, "subresource", json_string(subresource));
        return entry;
}

static bool is_entry_of(const json_t *entry, const char *manager, const char *operation, const char *subresource)
{
        return cx_streq(cx_json_string(entry, "manager"), manager) &&
               cx_streq(cx_json_string(entry, "operation"), operation) &&
               strcmp(cx_json_string_or(entry, "subresource", ""), subresource ? subresource : "") == 0;
}

static json_t *find_entry(const json_t *entries, const char *manager, const char *operation, const char *subresource)
{
        for (size_t i = 0; i < json_array_size(entries); i++)
                if (is_entry_of(json_array_get(entries, i), manager, operation, subresource))
                        return json_array_get(entries, i);
        return NULL;
}

static bool is_well_formed(const json_t *entries)
{
        for (size_t i = 0; i < json_array_size(entries); i++) {
                const json_t *entry = json_array_get(entries, i);
                const char *operation = cx_json_string(entry, "operation");
                if ((!cx_streq(operation, "Apply") && !cx_streq(operation, "Update")) ||
                    !cx_json_string(entry, "manager") || !cx_json_string(entry, "apiVersion") ||
                    !json_is_object(json_object_get(entry, "fieldsV1")))
                        return false;
        }
        return true;
}

void managed_keep(json_t *metadata, const json_t *old_metadata)
{
        json_t *asked = json_object_get(metadata, "managedFields");
        json_t *stored = json_object_get(old_metadata, "managedFields");
        bool reset = json_is_array(asked) && (!json_array_size(asked) || !json_object_size(json_array_get(asked, 0)));
        if (reset)
                json_object_del(metadata, "managedFields");
        else if (!stored)
                json_object_del(metadata, "managedFields");
        else if (!json_is_array(asked) || !is_well_formed(asked))
                json_object_set(metadata, "managedFields", stored);
}

// --- sets of an object ---

static void forget(json_t *fields, const char *const *names, size_t count)
{
        for (size_t i = 0; i < count; i++)
                json_object_del(fields, names[i]);
}

// What nobody owns: identity, what the server keeps, and what the other endpoint of the object is for.
static void strip(const struct scope *scope, json_t *fields, const char *subresource)
{
        static const char *const top[] = {"f:apiVersion", "f:kind"};
        static const char *const meta[] = {
                ".",     "f:name",       "f:namespace",       "f:creationTimestamp", "f:selfLink",
                "f:uid", "f:generation", "f:resourceVersion", "f:clusterName",       "f:managedFields"};
        json_t *metadata = json_object_get(fields, "f:metadata");
        forget(fields, top, CX_ARRAY_SIZE(top));
        forget(metadata, meta, CX_ARRAY_SIZE(meta));
        if (metadata && !json_object_size(metadata))
                json_object_del(fields, "f:metadata");
        if (cx_streq(subresource, "status"))
                json_object_del(fields, "f:spec");
        else if (cx_resource_subresource(scope->resource, "status"))
                json_object_del(fields, "f:status");
}

static json_t *changed_fields(const struct scope *scope, const json_t *object, const json_t *old,
                              const char *subresource)
{
        json_t *fields = cx_fields_changed(scope->resource->kind->type, object, old);
        strip(scope, fields, subresource);
        return fields;
}

static void set_fields(json_t *entry, json_t *fields_steal, bool touch)
{
        char now[CX_TIME_TEXT];
        if (json_equal(json_object_get(entry, "fieldsV1"), fields_steal)) {
                json_decref(fields_steal);
                return;
        }
        json_object_set_new(entry, "fieldsV1", fields_steal);
        cx_time_format(cx_time_now(), now);
        if (touch)
                json_object_set_new(entry, "time", json_string(now));
}

static void drop_empty(json_t *entries)
{
        for (size_t i = json_array_size(entries); i-- > 0;)
                if (cx_fields_empty(json_object_get(json_array_get(entries, i), "fieldsV1")))
                        json_array_remove(entries, i);
}

// --- writes other than apply ---

void managed_update(const struct scope *scope, json_t *object, const json_t *old)
{
        const char *subresource = scope->subresource;
        json_t *stored = entries_of(object);
        if (!json_array_size(stored))
                return;
        json_auto_t *entries = json_deep_copy(stored);
        json_auto_t *fields = changed_fields(scope, object, old, subresource);
        json_auto_t *gone = changed_fields(scope, old, object, subresource); // with what only has another value
        json_auto_t *lost = cx_fields_minus(gone, fields);
        const char *manager = scope->manager;
        json_t *own = find_entry(entries, manager, "Update", subresource);
        for (size_t i = 0; i < json_array_size(entries); i++) {
                json_t *entry = json_array_get(entries, i);
                json_auto_t *left = cx_fields_minus(json_object_get(entry, "fieldsV1"), lost);
                set_fields(entry, entry == own ? json_incref(left) : cx_fields_minus(left, fields), false);
        }
        if (own)
                set_fields(own, cx_fields_union(json_object_get(own, "fieldsV1"), fields), true);
        else if (!cx_fields_empty(fields))
                json_array_append_new(entries, new_entry(scope, manager, "Update", subresource, json_incref(fields)));
        drop_empty(entries);
        json_object_set(json_object_get(object, "metadata"), "managedFields", entries);
}

// --- apply ---

static void describe_owner(const json_t *entry, struct cx_buf *to)
{
        const char *subresource = cx_json_string(entry, "subresource"), *time = cx_json_string(entry, "time");
        cx_buf_printf(to, "\"%s\"", cx_json_string_or(entry, "manager", ""));
        if (subresource)
                cx_buf_printf(to, " with subresource \"%s\"", subresource);
        if (!cx_streq(cx_json_string(entry, "operation"), "Update"))
                return;
        cx_buf_printf(to, " using %s", cx_json_string_or(entry, "apiVersion", ""));
        if (time)
                cx_buf_printf(to, " at %s", time);
}

struct conflicts {
        struct cx_error causes;
        struct cx_buf text;
};

static void add_conflicts(struct conflicts *found, const json_t *entry, const json_t *fields)
{
        json_auto_t *paths = json_array();
        CX_BUF owner = CX_BUF_INIT;
        cx_fields_paths(fields, paths);
        describe_owner(entry, &owner);
        cx_buf_printf(&found->text, "%sconflicts with %s:", found->text.length ? "\n" : "", owner.data);
        for (size_t i = 0; i < json_array_size(paths); i++) {
                const char *path = json_string_value(json_array_get(paths, i));
                cx_error_cause(&found->causes, "FieldManagerConflict", path, "conflict with %s", owner.data);
                cx_buf_printf(&found->text, "\n- %s", path);
        }
}

static int report(struct conflicts *found, struct cx_error *err)
{
        size_t count = found->causes.n_causes;
        int r = 0;
        if (count == 1)
                r = cx_error_reason(err, CX_REASON_CONFLICT, "Apply failed with 1 conflict: %s: %s",
                                    found->causes.causes[0].message, found->causes.causes[0].field);
        else if (count)
                r = cx_error_reason(err, CX_REASON_CONFLICT, "Apply failed with %zu conflicts: %s", count,
                                    found->text.data);
        for (size_t i = 0; i < count; i++)
                cx_error_cause(err, found->causes.causes[i].reason, found->causes.causes[i].field, "%s",
                               found->causes.causes[i].message);
        cx_error_release(&found->causes);
        cx_buf_release(&found->text);
        return r;
}

// Others lose what the apply changes, or it fails where that is not allowed.
static int settle_conflicts(const json_t *entries, const json_t *own, const json_t *changed, const json_t *allowed,
                            struct cx_error *err)
{
        struct conflicts found = {.causes = CX_ERROR_INIT, .text = CX_BUF_INIT};
        for (size_t i = 0; i < json_array_size(entries); i++) {
                json_t *entry = json_array_get(entries, i);
                const json_t *fields = json_object_get(entry, "fieldsV1");
                if (entry == own)
                        continue;
                json_auto_t *both = cx_fields_both(fields, changed);
                if (cx_fields_empty(both))
                        continue;
                json_auto_t *refused = allowed ? cx_fields_minus(both, allowed) : json_incref(both);
                if (cx_fields_empty(refused))
                        set_fields(entry, cx_fields_minus(fields, both), false);
                else
                        add_conflicts(&found, entry, refused);
        }
        return report(&found, err);
}

// What this manager had applied before, does not apply any more, and nobody else owns.
static json_t *abandoned(const json_t *entries, const json_t *own, const json_t *fields)
{
        json_t *left = cx_fields_minus_above(json_object_get(own, "fieldsV1"), fields);
        for (size_t i = 0; i < json_array_size(entries); i++) {
                const json_t *entry = json_array_get(entries, i);
                if (entry == own)
                        continue;
                json_t *rest = cx_fields_minus_above(left, json_object_get(entry, "fieldsV1"));
                json_decref(left);
                left = rest;
        }
        return left;
}

static void add_applied(json_t *entries, json_t *entry_steal)
{
        size_t at = 0;
        while (at < json_array_size(entries) &&
               cx_streq(cx_json_string(json_array_get(entries, at), "operation"), "Apply"))
                at++;
        json_array_insert_new(entries, at, entry_steal);
}

// Who owns what of an object that has no entries yet: what `kubectl apply` says that it applied is its own.
static int first_entries(const struct scope *scope, const json_t *live, json_t *entries, struct cx_error *err)
{
        json_auto_t *all = NULL, *client = last_applied_fields(scope, live);
        int r = cx_fields_of(scope->resource->kind->type, live, false, &all, err);
        if (r < 0)
                return r;
        json_object_del(all, "f:status");
        strip(scope, all, scope->subresource);
        if (client) {
                json_t *rest = cx_fields_minus(all, client);
                strip(scope, client, scope->subresource);
                json_array_append_new(entries,
                                      new_entry(scope, CLIENT_SIDE_APPLY, "Update", NULL, json_incref(client)));
                json_decref(all);
                all = rest;
        }
        json_array_append_new(entries, new_entry(scope, BEFORE_FIRST_APPLY, "Update", NULL, json_incref(all)));
        return 0;
}

int managed_apply(const struct scope *scope, const json_t *live, const json_t *config, bool force, json_t **ret_object,
                  struct cx_error *err)
{
        const struct cx_type *type = scope->resource->kind->type;
        const char *subresource = scope->subresource, *manager = scope->manager;
        json_auto_t *fields = NULL;
        int r = cx_fields_of(type, config, true, &fields, err);
        if (r < 0)
                return r;
        strip(scope, fields, subresource);
        json_t *stored = entries_of(live);
        json_auto_t *entries = stored ? json_deep_copy(stored) : json_array();
        if (live && !json_array_size(stored) && (r = first_entries(scope, live, entries, err)) < 0)
                return r;
        json_t *own = find_entry(entries, manager, "Apply", subresource);
        json_auto_t *merged = live ? cx_fields_merge(type, live, config) : json_deep_copy(config);
        if (own) {
                json_auto_t *left = abandoned(entries, own, fields);
                json_t *pruned = cx_fields_remove(type, merged, left);
                json_decref(merged);
                merged = pruned;
        }
        json_auto_t *changed = live ? changed_fields(scope, merged, live, subresource) : json_object();
        json_auto_t *allowed = force                        ? json_incref(changed)
                               : last_applied_allows(scope) ? last_applied_fields(scope, live)
                                                            : NULL;
        r = settle_conflicts(entries, own, changed, allowed, err);
        if (r < 0)
                return r;
        if (own)
                set_fields(own, json_incref(fields), true);
        else
                add_applied(entries, new_entry(scope, manager, "Apply", subresource, json_incref(fields)));
        drop_empty(entries);
        json_object_set(cx_json_object_at(merged, "metadata"), "managedFields", entries);
        last_applied_refresh(scope, config, merged);
        *ret_object = cx_steal(&merged);
        return 0;
}
