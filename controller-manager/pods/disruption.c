// SPDX-License-Identifier: Apache-2.0
// The condition, then the deletion.
#include "controller-manager/pods/disruption.h"

int pod_disrupt(struct cx_rest *rest, const struct cx_object *pod, const struct disruption *disruption,
                struct cx_error *err)
{
        const struct cx_ref *ref = CX_REF("", "v1", "pods", pod->namespace, pod->name);
        int r = 0;
        if (!pod_is_terminal(pod)) {
                json_auto_t *patch =
                        json_pack("{s:{s:s}, s:{s:[{s:s, s:s, s:s, s:s, s:o}]}}", "metadata", "uid", pod->uid, "status",
                                  "conditions", "type", "DisruptionTarget", "status", "True", "reason",
                                  disruption->reason, "message", disruption->message, "lastTransitionTime", json_now());
                if (disruption->failed)
                        json_object_set_new(json_object_get(patch, "status"), "phase", json_string("Failed"));
                r = cx_rest_patch(rest, ref, "status", CX_PATCH_STRATEGIC, patch, NULL, err);
        }
        struct cx_delete_options options = {.grace = disruption->grace, .uid = pod->uid};
        if (r == 0)
                r = cx_rest_delete(rest, ref, &options, err);
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_CONFLICT))) {
                cx_error_release(err);
                return 0;
        }
        return r;
}
