// SPDX-License-Identifier: Apache-2.0
// What the API server serves now: every resource once, in the version that its group prefers. Kinds come and go while
// the cluster runs, so who has to know all of them asks again.
#pragma once

#include "libcommon/base/strings.h"
#include "libcommon/client/rest.h"
#include "libcommon/schema/schema.h"

struct discovered {
        char *group, *version, *resource, *kind; // owned
        bool namespaced;
        unsigned verbs; // CX_VERB_…
};
struct discovered_list {
        struct discovered *items;
        size_t count;
        struct cx_strings stale; // "group/version" whose server does not answer: what they have is not in the list
};
#define DISCOVERY CX_CLEANUP(discovery_release) struct discovered_list
int discovery_fetch(struct cx_rest *rest, struct discovered_list *ret_discovery, struct cx_error *err)
        CX_CHECK; // blocks
const struct discovered *discovery_find(const struct discovered_list *discovery, const char *group,
                                        const char *resource);
// Whether all that the group has is in the list.
bool discovery_knows(const struct discovered_list *discovery, const char *group);
// Upstream's sentence on what is stale; owned by the caller. NULL: nothing is.
char *discovery_failure(const struct discovered_list *discovery);
// How a kind is called where it is served: from the schema, else by asking. -EINVAL in upstream's words when it cannot be
// scaled (`scaled`), -ENOENT when there is no such kind. Blocks.
struct kind_names {
        char version[64], resource[256];
};
int discovery_kind(struct cx_rest *rest, const char *group, const char *kind, bool scaled, struct kind_names *ret_names,
                   struct cx_error *err) CX_CHECK;
void discovery_release(struct discovered_list *discovery);
