// SPDX-License-Identifier: Apache-2.0
// The flags of the audit log, and what they may be.
#include "apiserver/audit/audit.h"

static const char *const refused[] = {
        "audit-webhook-config-file",
        "audit-webhook-initial-backoff",
        "audit-webhook-mode",
        "audit-webhook-version",
        "audit-webhook-batch-buffer-size",
        "audit-webhook-batch-max-size",
        "audit-webhook-batch-max-wait",
        "audit-webhook-batch-throttle-burst",
        "audit-webhook-batch-throttle-enable",
        "audit-webhook-batch-throttle-qps",
        "audit-webhook-truncate-enabled",
        "audit-webhook-truncate-max-batch-size",
        "audit-webhook-truncate-max-event-size",
        "audit-log-batch-throttle-burst",
        "audit-log-batch-throttle-enable",
        "audit-log-batch-throttle-qps",
};

void audit_flags_make(struct audit_options *o, struct audit_flags *ret_flags)
{
        static const char *ignored; // what is given to them is not looked at
        static bool switched;
        *o = (struct audit_options){.format = "json",
                                    .mode = "blocking",
                                    .version = "audit.k8s.io/v1",
                                    .buffer = 10000,
                                    .batch_size = 1,
                                    .truncate_event = 100 << 10,
                                    .truncate_batch = 10 << 20};
        const struct cx_flag flags[] = {
                {"audit-policy-file", 0, CX_FLAG_STRING, &o->policy_file, "file that says what the audit log tells of"},
                {"audit-log-path", 0, CX_FLAG_STRING, &o->path, "file of the audit log; - is standard output"},
                {"audit-log-format", 0, CX_FLAG_STRING, &o->format, "json"},
                {"audit-log-version", 0, CX_FLAG_STRING, &o->version, "API version of events; audit.k8s.io/v1"},
                {"audit-log-maxage", 0, CX_FLAG_INT, &o->max_age, "days that old audit logs are kept; 0: for ever"},
                {"audit-log-maxbackup", 0, CX_FLAG_INT, &o->max_backups, "old audit logs that are kept; 0: all"},
                {"audit-log-maxsize", 0, CX_FLAG_INT, &o->max_size, "MB at which the audit log is set aside; 0: 100"},
                {"audit-log-compress", 0, CX_FLAG_BOOL, &o->compress, "compress old audit logs with gzip"},
                {"audit-log-mode", 0, CX_FLAG_STRING, &o->mode,
                 "blocking: written before the answer; blocking-strict: and refused when it cannot be; batch: by a "
                 "queue"},
                {"audit-log-batch-buffer-size", 0, CX_FLAG_INT, &o->buffer, "events in the queue of batch mode"},
                {"audit-log-batch-max-size", 0, CX_FLAG_INT, &o->batch_size, "events that batch mode writes at once"},
                {"audit-log-batch-max-wait", 0, CX_FLAG_DURATION, &o->batch_wait,
                 "how long batch mode waits for so many"},
                {"audit-log-truncate-enabled", 0, CX_FLAG_BOOL, &o->truncate,
                 "leave bodies out of events that are too large"},
                {"audit-log-truncate-max-event-size", 0, CX_FLAG_INT, &o->truncate_event, "bytes of an event then"},
                {"audit-log-truncate-max-batch-size", 0, CX_FLAG_INT, &o->truncate_batch,
                 "bytes that batch mode writes at once"},
        };
        _Static_assert(CX_ARRAY_SIZE(flags) < AUDIT_FLAGS && CX_ARRAY_SIZE(refused) < AUDIT_FLAGS, "and an end");
        *ret_flags = (struct audit_flags){0};
        memcpy(ret_flags->known, flags, sizeof flags);
        for (size_t i = 0; i < CX_ARRAY_SIZE(refused); i++)
                ret_flags->refused[i] =
                        (struct cx_flag){.name = refused[i],
                                         .kind = strstr(refused[i], "-enable") ? CX_FLAG_BOOL : CX_FLAG_STRING,
                                         .target = strstr(refused[i], "-enable") ? (void *)&switched : (void *)&ignored,
                                         .changed = &o->refused};
}

// Upstream's messages.
int audit_options_check(const struct audit_options *o, struct cx_error *err)
{
        if (o->refused)
                return cx_error_set(err, -EINVAL,
                                    "--audit-webhook-* and --audit-log-batch-throttle-* are not supported: events are "
                                    "written to --audit-log-path, and as fast as they come");
        if (!o->path || !*o->path)
                return 0;
        if (strcmp(o->mode, "batch") != 0 && strcmp(o->mode, "blocking") != 0 &&
            strcmp(o->mode, "blocking-strict") != 0)
                return cx_error_set(err, -EINVAL,
                                    "invalid audit log mode %s, allowed modes are \"batch,blocking,blocking-strict\"",
                                    o->mode);
        if (strcmp(o->format, "json") != 0)
                return cx_error_set(err, -EINVAL, "invalid audit log format %s, allowed formats are \"json\"",
                                    o->format);
        if (strcmp(o->version, "audit.k8s.io/v1") != 0)
                return cx_error_set(err, -EINVAL, "invalid group version %s, allowed versions are \"audit.k8s.io/v1\"",
                                    o->version);
        const struct {
                int64_t value, least, most;
                const char *message;
        } numbers[] = {
                {o->max_age, 0, 100000, "--audit-log-maxage %lld can't be a negative number"},
                {o->max_backups, 0, INT32_MAX, "--audit-log-maxbackup %lld can't be a negative number"},
                {o->max_size, 0, 1 << 20, "--audit-log-maxsize %lld can't be a negative number"},
                {o->buffer, 1, 1 << 20, "invalid audit batch log buffer size %lld, must be a positive number"},
                {o->batch_size, 1, 1 << 20, "invalid audit batch log max batch size %lld, must be a positive number"},
                {o->truncate_event, 1, INT32_MAX,
                 "invalid audit truncate log max event size %lld, must be a positive number"},
                {o->truncate_batch - o->truncate_event, 0, INT32_MAX,
                 "invalid audit truncate log max batch size, it is %lld beyond the max event size and must not be "
                 "smaller"},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(numbers); i++)
                if (numbers[i].value < numbers[i].least)
                        return cx_error_set(err, -EINVAL, numbers[i].message, (long long)numbers[i].value);
                else if (numbers[i].value > numbers[i].most)
                        return cx_error_set(err, -EINVAL, "a number of the audit flags is too large: %lld",
                                            (long long)numbers[i].value);
        return 0;
}
