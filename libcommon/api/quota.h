// SPDX-License-Identifier: Apache-2.0
// What a ResourceQuota counts: which kind a name of a resource belongs to, how much of what an object uses, and which
// objects the scopes of a quota take in. Admission, which charges, and the controller, which counts again, both ask here,
// so that they agree. Pure; any thread may call.
#pragma once

#include "libcommon/api/resources.h"

// A kind of objects: its resource and group ("" is the core).
struct cx_quota_kind {
        char resource[256], group[256];
};
struct cx_quota_kind cx_quota_kind_make(const char *group, const char *resource);
// The kind whose objects use what the name ("pods", "requests.cpu", "count/jobs.batch") stands for; false: nothing that
// quotas know.
bool cx_quota_kind_of(const char *name, struct cx_quota_kind *ret_kind);
bool cx_quota_concerns(const struct cx_quota_kind *kind, const char *name);
// Kinds whose objects may come to use more, or less, while they live.
bool cx_quota_kind_changes(const struct cx_quota_kind *kind);

// Adds what an object uses, by the names of quotas. Pods that have ended are counted as objects and use nothing else,
// and neither do those whose grace is over at `now` (µs).
void cx_quota_usage(const struct cx_quota_kind *kind, const json_t *object, int64_t now, struct cx_resource_list *to);
// Whether all scopes of a ResourceQuota's spec take in the object.
bool cx_quota_takes(const struct cx_quota_kind *kind, const json_t *spec, const json_t *object);
// What the object must say because the quota limits it ("must specify limits.cpu for: a,b"); owned, NULL: nothing is
// missing. `hard` is a map of limits.
char *cx_quota_unspecified(const struct cx_quota_kind *kind, const json_t *hard, const json_t *object);
