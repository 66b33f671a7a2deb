// SPDX-License-Identifier: Apache-2.0
// kubectl certificate approve and deny.
#include "kubectl/cmd/commands.h"
#include "libcommon/base/time.h"

#define MAX_CONFLICTS 10

struct csr_verdict {
        const char *type, *opposite, *reason, *message, *word;
};
static const struct csr_verdict approval = {"Approved", "Denied", "KubectlApprove",
                                            "This CSR was approved by kubectl certificate approve.", "approved"};
static const struct csr_verdict denial = {"Denied", "Approved", "KubectlDeny",
                                          "This CSR was denied by kubectl certificate deny.", "denied"};

static int judge(struct ctl *ctl, struct info *info, const struct csr_verdict *verdict, bool force,
                 struct cx_error *err)
{
        for (int attempt = 0;; attempt++) {
                json_t *status = cx_json_object_at(info->object, "status");
                json_t *conditions = cx_json_array_at(status, "conditions");
                if (cx_json_find(conditions, "type", verdict->opposite))
                        return cx_error_set(err, -EINVAL, "certificate signing request \"%s\" is already %s",
                                            info->name, verdict->opposite);
                bool already = cx_json_find(conditions, "type", verdict->type) != NULL;
                if (already && !force)
                        return 0;
                if (!already) {
                        char now[CX_TIME_TEXT];
                        cx_time_format(cx_time_now(), now);
                        json_array_append_new(conditions,
                                              json_pack("{s:s,s:s,s:s,s:s,s:s}", "type", verdict->type, "status",
                                                        "True", "reason", verdict->reason, "message", verdict->message,
                                                        "lastUpdateTime", now));
                }
                CX_BUF path = CX_BUF_INIT;
                CX_ERROR failure = CX_ERROR_INIT;
                info_path(info, "approval", &path);
                if (ctl_json(ctl, "PUT", path.data, NULL, info->object, NULL, &failure) == 0)
                        return 0;
                if (failure.reason != CX_REASON_CONFLICT || attempt >= MAX_CONFLICTS || info_fetch(ctl, info, NULL) < 0)
                        return cx_error_move(err, &failure);
        }
}

static int certificate(struct ctl *ctl, int argc, char **argv, const struct csr_verdict *verdict, struct cx_error *err)
{
        BUILDER builder = {0};
        OUTPUT output = {0};
        bool force = false;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                OUTPUT_FLAGS(&output),
                {"force", 0, CX_FLAG_BOOL, &force, "Write it again when it is decided already."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT, words = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r < 0)
                return r;
        if (builder_empty(&builder, &args))
                return cx_error_set(err, -EINVAL, "one or more CSRs must be specified as <name> or -f <filename>");
        for (size_t i = 0; i < args.count; i++) {
                CX_CLEANUP(cx_freep)
                char *word = cx_sprintf("%s%s", strchr(args.items[i], '/') ? "" : "certificatesigningrequests/",
                                        args.items[i]);
                cx_strings_add(&words, word);
        }
        r = builder_objects(ctl, &builder, &words, &infos, err);
        for (size_t i = 0; r == 0 && i < infos.count; i++) {
                r = judge(ctl, infos.items[i], verdict, force, err);
                if (r == 0)
                        r = output_result(&output, infos.items[i], verdict->word, DRY_NONE, err);
        }
        return r;
}

COMMAND(certificate_approve)
{
        return certificate(ctl, argc, argv, &approval, err);
}

COMMAND(certificate_deny)
{
        return certificate(ctl, argc, argv, &denial, err);
}
