// SPDX-License-Identifier: Apache-2.0
// From what a user types or a file says to an API resource. The API's own resources come from the schema's tables without
// asking; categories and everything else from the server's discovery, which is kept in a file for ten minutes and asked
// for again when a word is not in it.
#pragma once

#include "kubectl/ctl/ctl.h"
#include "libcommon/schema/schema.h"

struct mapping { // owned by ctl->discovery
        char *group, *version, *resource, *singular, *kind;
        bool namespaced;
        unsigned verbs;
        struct cx_strings short_names, categories, subresources;
        const struct cx_resource *schema; // NULL for custom resources
};
struct discovery {
        struct mapping **known; // one for each that was asked for or discovered
        size_t n_known;
        struct mapping **all; // as the server says, in its order; borrowed from `known`
        size_t n_all;
        struct cx_strings versions; // "v1", "apps/v1", …
        bool loaded, fresh;
};

// "deploy", "deployments", "Deployment", "deployments.apps", "deployments.v1.apps". The error is upstream's.
int mapping_find(struct ctl *ctl, const char *word, const struct mapping **ret_mapping, struct cx_error *err) CX_CHECK;
// -ENOENT without an error when the server has no such kind.
int mapping_by_kind(struct ctl *ctl, const char *api_version, const char *kind, const struct mapping **ret_mapping,
                    struct cx_error *err) CX_CHECK;
// The resources of a category ("all"); 0 with *ret_count 0 when there is none.
int mapping_category(struct ctl *ctl, const char *word, const struct mapping ***ret_list, size_t *ret_count,
                     struct cx_error *err) CX_CHECK;
// Loads ctl->discovery->all; `fresh`: from the server, not from the cache.
int discovery_load(struct ctl *ctl, bool fresh, struct cx_error *err) CX_CHECK;
// "deployment.apps" or "pod": how results are named on the screen. `to` takes 256 bytes.
const char *mapping_label(const struct mapping *mapping, char *to);
// "apps/v1, Resource=deployments" or "/v1, Kind=Pod", as Go prints such things; `to` takes 256 bytes.
const char *mapping_resource_text(const struct mapping *mapping, char *to);
const char *mapping_kind_text(const struct mapping *mapping, char *to);
