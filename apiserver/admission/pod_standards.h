// SPDX-License-Identifier: Apache-2.0
// The Pod Security Standards: what a level forbids in a version of the standards, and which levels a namespace has. Pure: nothing
// of the server is known here. The sentences are upstream's. Any thread may call.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <jansson.h>

#define POD_SECURITY "pod-security.kubernetes.io/" // how labels and audit annotations begin

enum pod_level { POD_PRIVILEGED, POD_BASELINE, POD_RESTRICTED, POD_LEVELS }; // each forbids more
#define POD_LATEST (-1)

struct pod_standard {
        enum pod_level level;
        int64_t minor; // of the version v1.MINOR, or POD_LATEST
};
#define POD_STANDARD_TEXT 40
extern const char *const pod_level_names[POD_LEVELS];
// What is wrong with the text, or NULL. What was asked for is the strictest then.
const char *pod_level_parse(const char *text, enum pod_level *ret_level);
const char *pod_version_parse(const char *text, int64_t *ret_minor);
void pod_standard_text(const struct pod_standard *standard, char to[POD_STANDARD_TEXT]); // "restricted:latest"
static inline bool pod_standard_equal(const struct pod_standard *a, const struct pod_standard *b)
{
        return a->level == b->level && a->minor == b->minor;
}

// --- what a namespace asks for ---

enum pod_mode { POD_ENFORCE, POD_AUDIT, POD_WARN, POD_MODES };
extern const char *const pod_mode_names[POD_MODES];
struct pod_policy {
        struct pod_standard of[POD_MODES];
        bool said[POD_MODES]; // by a label, level or version; else it is the default
};
// A label's value, or NULL.
typedef const char *(*pod_label_fn)(const void *context, const char *key);
// Labels that cannot be read are causes of `wrong`; the policy is one in any case.
struct pod_policy pod_policy_of(pod_label_fn label, const void *context, const struct pod_policy *defaults,
                                struct cx_error *wrong);
bool pod_policy_is_privileged(const struct pod_policy *policy); // in all modes
// Whether they come to the same: versions of privileged do not count.
bool pod_policy_equal(const struct pod_policy *a, const struct pod_policy *b);

// --- whether a pod complies ---

struct pod_verdict {
        struct cx_buf reasons; // "privileged, hostPort"; empty: nothing is forbidden
        struct cx_buf details; // "privileged (container "a" must …), hostPort (…)"
};
#define POD_VERDICT CX_CLEANUP(pod_verdict_release) struct pod_verdict
#define POD_VERDICT_INIT                                                                                               \
        {                                                                                                              \
                CX_BUF_INIT, CX_BUF_INIT                                                                               \
        }
void pod_verdict_release(struct pod_verdict *verdict);
static inline bool pod_verdict_allows(const struct pod_verdict *verdict)
{
        return !verdict->reasons.length;
}
// `pod` is a pod or a pod template. The verdict is empty before.
void pod_standard_check(const struct pod_standard *standard, const json_t *pod, struct pod_verdict *ret_verdict);
