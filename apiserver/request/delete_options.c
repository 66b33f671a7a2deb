// SPDX-License-Identifier: Apache-2.0
// DeleteOptions of the body, or the same in the query.
#include "apiserver/request/delete_options.h"

#include "apiserver/request/decode.h"
#include "apiserver/request/query.h"
#include "libcommon/format/json.h"

void delete_options_release(struct delete_options *options)
{
        free(options->uid);
        free(options->resource_version);
        free(options->propagation_text);
}

static int decode_options(struct call *call, json_t **ret_options, struct cx_error *err)
{
        json_auto_t *body = NULL;
        int r = decode_any(call, &body, err);
        if (r < 0)
                return r;
        const char *kind = cx_json_string(body, "kind");
        if (!json_is_object(body) || (kind && *kind && strcmp(kind, "DeleteOptions") != 0))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "decoded object cannot be converted to DeleteOptions");
        r = cx_schema_decode(cx_schema_type("meta.v1.DeleteOptions"), body, CX_FIELDS_IGNORE, NULL, NULL, err);
        if (r == 0)
                *ret_options = cx_steal(&body);
        return r;
}

// Without a body the query says the same.
static int options_of_query(struct call *call, json_t **ret_options, struct cx_error *err)
{
        CX_STRINGS dry_run = CX_STRINGS_INIT;
        int64_t grace = INT64_MIN;
        const char *policy = cx_http_query(call->request, "propagationPolicy");
        int orphan = query_bool(call, "orphanDependents"), r = query_int(call, "gracePeriodSeconds", &grace, err);
        if (r < 0)
                return r;
        json_t *options = json_object(), *list = json_array();
        cx_http_query_all(call->request, "dryRun", &dry_run);
        for (size_t i = 0; i < dry_run.count; i++)
                json_array_append_new(list, json_string(dry_run.items[i]));
        json_object_set_new(options, "dryRun", list);
        if (grace != INT64_MIN)
                json_object_set_new(options, "gracePeriodSeconds", json_integer(grace));
        if (policy && *policy)
                json_object_set_new(options, "propagationPolicy", json_string(policy));
        if (orphan >= 0)
                json_object_set_new(options, "orphanDependents", json_boolean(orphan));
        *ret_options = options;
        return 0;
}

int delete_options_from(const json_t *json, struct delete_options *ret_options, struct cx_error *err)
{
        const json_t *grace = json_object_get(json, "gracePeriodSeconds");
        const json_t *orphan = json_object_get(json, "orphanDependents"), *list = json_object_get(json, "dryRun");
        const char *policy = cx_json_string(json, "propagationPolicy");
        CX_STRINGS dry_run = CX_STRINGS_INIT;
        *ret_options = (struct delete_options){.grace_period = -1, .dry_run = json_array_size(list) > 0};
        for (size_t i = 0; i < json_array_size(list); i++)
                cx_strings_add(&dry_run, cx_str(json_string_value(json_array_get(list, i))));
        int r = check_delete_options(&dry_run, policy, orphan, err);
        if (r < 0)
                return r;
        if (json_is_integer(grace)) {
                json_int_t seconds = json_integer_value(grace);
                // A negative period means "as fast as can be, but gracefully".
                ret_options->grace_period = seconds < 0 ? 1 : seconds > INT32_MAX ? INT32_MAX : seconds;
        }
        if (!policy && json_is_boolean(orphan))
                policy = json_is_true(orphan) ? "Orphan" : "Background";
        ret_options->propagation = ret_options->propagation_text = cx_strdup(policy);
        ret_options->uid = cx_strdup(cx_json_string(json, "preconditions.uid"));
        ret_options->resource_version = cx_strdup(cx_json_string(json, "preconditions.resourceVersion"));
        return 0;
}

int delete_options(struct call *call, struct delete_options *ret_options, struct cx_error *err)
{
        size_t length;
        json_auto_t *json = NULL;
        *ret_options = (struct delete_options){.grace_period = -1};
        (void)cx_http_body(call->request, &length);
        int r = length ? decode_options(call, &json, err) : options_of_query(call, &json, err);
        return r < 0 ? r : delete_options_from(json, ret_options, err);
}
