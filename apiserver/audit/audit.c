// SPDX-License-Identifier: Apache-2.0
// Stages: which events a request has, and when. In blocking mode an event is written before the answer that it tells of goes out,
// by a worker; the last one of a long-running request nobody waits for, so it goes by the queue.
#include "apiserver/audit/audit.h"

#include "apiserver/audit/event.h"
#include "apiserver/audit/sink.h"
#include "apiserver/request/query.h"
#include "libcommon/api/selector.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metrics.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"

#define MAX_ID 256

struct audit {
        struct audit_policy *policy;
        struct audit_sink *sink;
        bool batch, strict;
        size_t most; // bytes of an event
        struct cx_metric *events, *levels, *rejected;
};

// --- requests ---

static bool is_long_running(const struct request_info *info)
{
        static const char *const parts[] = {"attach", "exec", "proxy", "log", "portforward"};
        for (size_t i = 0; info->is_resource && i < CX_ARRAY_SIZE(parts); i++)
                if (strcmp(info->subresource, parts[i]) == 0)
                        return true;
        return cx_streq(info->verb, "watch");
}

// The name that a list or watch is narrowed to, for which it counts as a request for one object. NULL: none. Owned by the caller.
static char *selected_by(const struct call *call)
{
        const char *text = cx_http_query(call->request, "fieldSelector");
        bool reads = cx_streq(call->info.verb, "list") || cx_streq(call->info.verb, "watch");
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        if (!text || !reads || *call->info.name || cx_selector_parse_fields(text, &selector, NULL) < 0)
                return NULL;
        const char *name = query_selected_name(&selector);
        return *name ? cx_strdup(name) : NULL;
}

// The client's, when it is one that can be told in a header and a line.
static char *id_of(const struct cx_http_request *request)
{
        const char *given = cx_http_header(request, "Audit-ID");
        size_t length = given ? strlen(given) : 0;
        bool good = length && length <= MAX_ID;
        for (size_t i = 0; good && i < length; i++)
                good = given[i] > ' ' && given[i] < 0x7f;
        if (good)
                return cx_strdup(given);
        char id[CX_UID_TEXT];
        cx_random_uid(id);
        return cx_strdup(id);
}

static char *attempts_of(const struct cx_http_request *request)
{
        CX_STRINGS tried = CX_STRINGS_INIT;
        const char *header = cx_str(cx_http_header(request, "Authorization")), *why;
        if (strncasecmp(header, "Basic ", 6) == 0)
                cx_strings_add(&tried, "basic");
        if (strncasecmp(header, "Bearer ", 7) == 0)
                cx_strings_add(&tried, "bearer");
        if (*cx_str(cx_http_query(request, "access_token")))
                cx_strings_add(&tried, "access_token");
        if (cx_http_client_certificate_bad(request, &why))
                cx_strings_add(&tried, "x509");
        if (!tried.count)
                return cx_strdup("Authentication failed, no credentials provided");
        CX_CLEANUP(cx_freep) char *list = cx_strings_join(&tried, ", ");
        return cx_sprintf("Authentication failed, attempted: %s", list);
}

static struct audited *audited_of(const struct call *call)
{
        return (struct audited *)call->recorded;
}

// Writes the event of this stage. False: it is lost.
static bool tell(const struct call *call, enum audit_stage stage, int code, bool may_wait)
{
        const struct audited *audited = audited_of(call);
        struct audit *audit = call->api->audit;
        CX_BUF line = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (audited->verdict.omitted & 1U << stage)
                return true;
        cx_metric_add(audit->events, 1);
        if (audit_event_write(call, audited, stage, code, audit->most, &line, &err) < 0) {
                audit_sink_lost(audit->sink, "truncate", &err);
                return false;
        }
        return audit_sink_put(audit->sink, &line, may_wait);
}

// The answer is made.
static void answered(struct cx_http_request *request)
{
        struct call *call = cx_http_user_data(request);
        struct audited *audited = audited_of(call);
        int code = cx_http_response_code(request);
        // What others answer comes by a thread that all of them share.
        bool may_wait = !call->api_service && (!audited->long_running || cx_streq(call->info.verb, "watch"));
        audited->began = true;
        if (audited->long_running || audited->failed)
                (void)tell(call, AUDIT_RESPONSE_STARTED, code, may_wait);
        if (!audited->long_running) {
                if (!audited->failed)
                        (void)tell(call, AUDIT_RESPONSE_COMPLETE, code, may_wait);
                audited->over = true;
        }
}

bool audit_begin(struct call *call, const struct cx_error *refusal)
{
        struct audit *audit = call->api->audit;
        const struct request_info *info = &call->info;
        if (!audit)
                return false;
        CX_CLEANUP(cx_freep) char *selected = selected_by(call);
        const struct audit_subject subject = {.user = refusal ? NULL : call->user.name,
                                              .groups = refusal ? NULL : &call->user.groups,
                                              .is_resource = info->is_resource,
                                              .verb = info->verb,
                                              .group = info->group,
                                              .resource = info->resource,
                                              .subresource = info->subresource,
                                              .namespace = info->namespace,
                                              .name = selected ? selected : info->name,
                                              .path = info->path};
        const struct audit_verdict verdict = audit_policy_judge(audit->policy, &subject);
        cx_metric_add(audit->levels, 1, audit_level_names[verdict.level]);
        if (verdict.level == AUDIT_NONE)
                return false;
        struct audited *audited = cx_alloc(sizeof *audited);
        audited->verdict = verdict;
        audited->recorded.level = info->is_resource ? verdict.level : AUDIT_METADATA; // other paths have no objects
        audited->id = id_of(call->request);
        audited->selected = cx_steal(&selected);
        audited->received = cx_time_now();
        audited->long_running = is_long_running(info);
        audited->failed = refusal ? attempts_of(call->request) : NULL;
        call->recorded = &audited->recorded;
        call->scope.annotations = &audited->recorded.annotations;
        cx_http_add_header(call->request, "Audit-ID", audited->id);
        return !audit->batch;
}

bool audit_received(struct call *call)
{
        struct audited *audited = audited_of(call);
        if (!audited)
                return true;
        if (!audited->failed && !tell(call, AUDIT_REQUEST_RECEIVED, 0, true) && call->api->audit->strict) {
                cx_metric_add(call->api->audit->rejected, 1);
                return false;
        }
        cx_http_before_answer(call->request, answered);
        return true;
}

void audit_end(struct call *call)
{
        struct audited *audited = audited_of(call);
        if (!audited)
                return;
        if (audited->began && !audited->over)
                (void)tell(call, AUDIT_RESPONSE_COMPLETE, cx_http_response_code(call->request), false);
        recorded_release(&audited->recorded);
        free(audited->id);
        free(audited->selected);
        free(audited->failed);
        free(audited);
        call->recorded = NULL;
        call->scope.annotations = NULL;
}

// --- the log ---

static struct audit_sink_options sink_options(const struct audit_options *o)
{
        return (struct audit_sink_options){.file = {.path = o->path,
                                                    .max_size = (o->max_size ? o->max_size : 100) << 20,
                                                    .max_backups = o->max_backups,
                                                    .max_age_days = o->max_age,
                                                    .compress = o->compress},
                                           .batch = strcmp(o->mode, "batch") == 0,
                                           .buffer = o->buffer,
                                           .batch_size = o->batch_size,
                                           .batch_bytes = o->truncate_batch,
                                           .batch_wait = o->batch_wait};
}

int audit_new(const struct audit_options *options, struct cx_metrics *metrics, struct audit **ret_audit,
              struct cx_error *err)
{
        static const char *const by_level[] = {"level", NULL};
        CX_CLEANUP(audit_policy_freep) struct audit_policy *policy = NULL;
        bool logs = options->path && *options->path;
        *ret_audit = NULL;
        int r = audit_options_check(options, err);
        if (r == 0 && options->policy_file)
                r = audit_policy_load(options->policy_file, &policy, err);
        if (r < 0)
                return r;
        if (!policy || !logs) {
                if (logs)
                        cx_debug(2, "No audit policy file provided, no events will be recorded for log backend");
                return 0;
        }
        const struct audit_sink_options to = sink_options(options);
        struct audit_sink *sink = NULL;
        r = audit_sink_new(&to, metrics, &sink, err);
        if (r < 0)
                return cx_error_wrap(err, "--audit-log-path");
        struct audit *audit = *ret_audit = cx_alloc(sizeof *audit);
        audit->policy = cx_steal(&policy);
        audit->sink = sink;
        audit->batch = to.batch;
        audit->strict = strcmp(options->mode, "blocking-strict") == 0;
        audit->most = options->truncate ? (size_t)options->truncate_event : EVENT_MAX;
        if (audit->most > (size_t)to.file.max_size) // what does not fit into the file would be lost
                audit->most = (size_t)to.file.max_size;
        audit->events = cx_metrics_counter(metrics, "apiserver_audit_event_total",
                                           "Events that were made for the audit log.", NULL);
        audit->levels = cx_metrics_counter(metrics, "apiserver_audit_level_total",
                                           "Requests by the level at which the audit policy tells of them.", by_level);
        audit->rejected = cx_metrics_counter(metrics, "apiserver_audit_requests_rejected_total",
                                             "Requests that were refused since they could not be written down.", NULL);
        return 0;
}

void audit_free(struct audit *audit)
{
        if (!audit)
                return;
        audit_sink_free(audit->sink);
        audit_policy_free(audit->policy);
        free(audit);
}
