// SPDX-License-Identifier: Apache-2.0
// What the API server serves now: every resource once, in the version that its group prefers. Kinds come and go while
// the cluster runs, so who has to know all of them asks again.
#pragma once

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
};
#define DISCOVERY CX_CLEANUP(discovery_release) struct discovered_list
int discovery_fetch(struct cx_rest *rest, struct discovered_list *ret_discovery, struct cx_error *err)
        CX_CHECK; // blocks
const struct discovered *discovery_find(const struct discovered_list *discovery, const char *group,
                                        const char *resource);
void discovery_release(struct discovered_list *discovery);
