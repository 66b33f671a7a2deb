// SPDX-License-Identifier: Apache-2.0
// Reads the query of a list: selectors, limits, continue tokens, and which revision is meant.
#include "apiserver/endpoints/selection.h"

#include "apiserver/request/convert.h"
#include "apiserver/request/query.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

int parse_revision(const char *text, int64_t *ret_revision, struct cx_error *err)
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
char *continue_token(int64_t revision, const char *last_key)
{
        json_auto_t *token =
                json_pack("{s:s,s:I,s:s}", "v", "meta.k8s.io/v1", "rv", (json_int_t)revision, "start", last_key);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(token);
        CX_BUF encoded = CX_BUF_INIT;
        cx_base64url_encode(text, strlen(text), &encoded);
        return cx_buf_detach(&encoded);
}

static int decode_continue(const char *text, struct selection *o, struct cx_error *err)
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
                if (!resource_selects_field(call->scope.resource, fields->requirements[i].key))
                        return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                               "Unable to find \"%s\" that match label selector \"\", field selector "
                                               "\"%s\": field label not supported: %s",
                                               call->scope.resource->resource, fields->requirements[i].key,
                                               fields->requirements[i].key);
        return 0;
}

// From the version that is asked for to the one that objects are stored in.
static void convert_fields(const struct served_kind *kind, struct cx_selector *fields)
{
        bool same = is_same_version(kind->resource, kind->stored);
        for (size_t i = 0; !same && kind->conversion && kind->conversion->field && i < fields->count; i++) {
                char *name = kind->conversion->field(fields->requirements[i].key, kind->stored);
                free(fields->requirements[i].key);
                fields->requirements[i].key = name;
        }
}

static int parse_selectors(struct call *call, struct selection *o, struct cx_error *err)
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

int selection_of(struct call *call, struct selection *o, struct cx_error *err)
{
        *o = (struct selection){.revision = -1};
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
        convert_fields(call->scope.kind, &o->fields);
        o->exact = cx_streq(match, "Exact");
        o->not_older_than = cx_streq(match, "NotOlderThan");
        o->filter = (struct filter){
                .namespace = call->scope.namespace,
                .labels = o->labels.count ? &o->labels : NULL,
                .fields = o->fields.count ? &o->fields : NULL,
        };
        return 0;
}

void selection_release(struct selection *o)
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
