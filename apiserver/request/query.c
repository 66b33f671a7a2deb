// SPDX-License-Identifier: Apache-2.0
// Options of the query. What is wrong with them is collected and said at once, as upstream's validation does.
#include "apiserver/request/query.h"

#include "apiserver/request/errors.h"
#include "libcommon/api/selector.h"

#define GROUP "meta.k8s.io"

static void forbidden(struct cx_error *causes, const char *field, const char *why)
{
        cx_error_cause(causes, "FieldValueForbidden", field, "Forbidden: %s", why);
}

static void unsupported(struct cx_error *causes, const char *field, const char *value, const char *supported)
{
        cx_error_cause(causes, "FieldValueNotSupported", field, "Unsupported value: \"%s\": supported values: %s",
                       value, supported);
}

// --- values of the query ---

int query_int(const struct call *call, const char *name, int64_t *ret_value, struct cx_error *err)
{
        const char *text = cx_http_query(call->request, name);
        if (!text || !*text || cx_parse_int(text, INT64_MIN, INT64_MAX, ret_value) == 0)
                return 0;
        return cx_error_reason(err, CX_REASON_BAD_REQUEST, "strconv.ParseInt: parsing \"%s\": invalid syntax", text);
}

int query_bool(const struct call *call, const char *name)
{
        const char *text = cx_http_query(call->request, name);
        if (!text)
                return -1;
        return strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0;
}

// --- writes ---

static void check_dry_run(const struct cx_strings *values, struct cx_error *causes)
{
        for (size_t i = 0; i < values->count; i++) {
                if (strcmp(values->items[i], "All") == 0)
                        continue;
                CX_CLEANUP(cx_freep) char *all = cx_strings_join(values, "\",\"");
                cx_error_cause(causes, "FieldValueNotSupported", "dryRun",
                               "Unsupported value: [\"%s\"]: supported values: \"All\"", all);
                return;
        }
}

static void read_validation(struct call *call, struct cx_error *causes)
{
        const char *text = cx_http_query(call->request, "fieldValidation");
        call->scope.field_validation = CX_FIELDS_WARN;
        if (!text || !*text || strcmp(text, "Warn") == 0)
                return;
        if (strcmp(text, "Strict") == 0)
                call->scope.field_validation = CX_FIELDS_STRICT;
        else if (strcmp(text, "Ignore") == 0)
                call->scope.field_validation = CX_FIELDS_IGNORE;
        else
                unsupported(causes, "fieldValidation", text, "\"Ignore\", \"Strict\", \"Warn\"");
}

static void check_manager(const struct call *call, struct cx_error *causes)
{
        const char *manager = cx_http_query(call->request, "fieldManager");
        if (!manager)
                return;
        if (strlen(manager) > MAX_MANAGER)
                cx_error_cause(causes, "FieldValueTooLong", "fieldManager", "Too long: may not be more than %d bytes",
                               MAX_MANAGER);
        for (const char *p = manager; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f) {
                        cx_error_cause(causes, "FieldValueInvalid", "fieldManager",
                                       "Invalid value: \"%s\": should only contain printable characters", manager);
                        return;
                }
}

// The name that a writer goes by: `fieldManager`, or the first part of its User-Agent.
static void set_manager(struct call *call)
{
        const char *name = cx_str(cx_http_query(call->request, "fieldManager"));
        int length = MAX_MANAGER;
        if (!*name) {
                name = cx_str(cx_http_header(call->request, "User-Agent"));
                length = (int)strcspn(name, "/");
        }
        (void)snprintf(call->manager, sizeof call->manager, "%.*s", length, name);
        if (!*call->manager)
                cx_copy_string(call->manager, sizeof call->manager, "unknown");
        call->scope.manager = call->manager;
}

int write_options(struct call *call, struct cx_error *err)
{
        static const struct {
                const char *verb, *kind;
        } kinds[] = {{"create", "CreateOptions"}, {"update", "UpdateOptions"}, {"patch", "PatchOptions"}};
        const char *kind = NULL;
        for (size_t i = 0; i < CX_ARRAY_SIZE(kinds); i++)
                if (cx_streq(call->info.verb, kinds[i].verb))
                        kind = kinds[i].kind;
        if (!kind)
                return 0;
        CX_ERROR causes = CX_ERROR_INIT;
        CX_STRINGS dry_run = CX_STRINGS_INIT;
        cx_http_query_all(call->request, "dryRun", &dry_run);
        check_dry_run(&dry_run, &causes);
        check_manager(call, &causes);
        read_validation(call, &causes);
        set_manager(call);
        call->scope.dry_run = dry_run.count > 0;
        const char *type = cx_http_header(call->request, "Content-Type");
        if (query_bool(call, "force") >= 0 && cx_streq(kind, "PatchOptions") &&
            !(type && cx_has_prefix(type, "application/apply-patch")))
                forbidden(&causes, "force", "may not be specified for non-apply patch");
        return object_invalid(GROUP, kind, NULL, &causes, err);
}

// --- reads ---

static void check_watch_match(const char *match, bool initial_events, bool continued, struct cx_error *causes)
{
        if (initial_events && !cx_streq(match, "NotOlderThan"))
                forbidden(causes, "resourceVersionMatch",
                          "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        if (!*match)
                return;
        if (!initial_events)
                forbidden(causes, "resourceVersionMatch",
                          "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        if (strcmp(match, "NotOlderThan") != 0)
                unsupported(causes, "resourceVersionMatch", match, "\"NotOlderThan\"");
        if (continued)
                forbidden(causes, "resourceVersionMatch",
                          "resourceVersionMatch is forbidden when continue is provided");
}

static void check_list_match(const char *match, const char *revision, bool continued, struct cx_error *causes)
{
        bool exact = strcmp(match, "Exact") == 0;
        if (!*match)
                return;
        if (!*revision)
                forbidden(causes, "resourceVersionMatch",
                          "resourceVersionMatch is forbidden unless resourceVersion is provided");
        if (continued)
                forbidden(causes, "resourceVersionMatch",
                          "resourceVersionMatch is forbidden when continue is provided");
        if (!exact && strcmp(match, "NotOlderThan") != 0)
                unsupported(causes, "resourceVersionMatch", match, "\"Exact\", \"NotOlderThan\", \"\"");
        if (exact && strcmp(revision, "0") == 0)
                forbidden(causes, "resourceVersionMatch",
                          "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
}

int check_list_options(const struct call *call, bool watch, struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        const char *match = cx_str(cx_http_query(call->request, "resourceVersionMatch"));
        const char *revision = cx_str(cx_http_query(call->request, "resourceVersion"));
        bool continued = *cx_str(cx_http_query(call->request, "continue"));
        bool initial_events = query_bool(call, "sendInitialEvents") >= 0;
        if (watch) {
                check_watch_match(match, initial_events, continued, &causes);
        } else {
                check_list_match(match, revision, continued, &causes);
                if (initial_events)
                        forbidden(&causes, "sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        return object_invalid(GROUP, "ListOptions", NULL, &causes, err);
}

// --- deletions ---

int check_delete_options(const struct cx_strings *dry_run, const char *policy, const json_t *orphan,
                         struct cx_error *err)
{
        CX_ERROR causes = CX_ERROR_INIT;
        if (policy && json_is_boolean(orphan))
                cx_error_cause(&causes, "FieldValueInvalid", "propagationPolicy",
                               "Invalid value: \"%s\": orphanDependents and deletionPropagation cannot be both set",
                               policy);
        if (policy && strcmp(policy, "Foreground") != 0 && strcmp(policy, "Background") != 0 &&
            strcmp(policy, "Orphan") != 0)
                unsupported(&causes, "propagationPolicy", policy,
                            "\"Foreground\", \"Background\", \"Orphan\", \"nil\"");
        check_dry_run(dry_run, &causes);
        return object_invalid(GROUP, "DeleteOptions", NULL, &causes, err);
}

const char *query_selected_name(const struct cx_selector *selector)
{
        for (size_t i = 0; i < selector->count; i++) {
                const struct cx_requirement *r = &selector->requirements[i];
                if (r->op == CX_OP_EQUALS && r->n_values == 1 && strcmp(r->key, "metadata.name") == 0)
                        return r->values[0];
        }
        return "";
}
