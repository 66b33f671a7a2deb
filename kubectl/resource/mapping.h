// SPDX-License-Identifier: Apache-2.0
// From what a user types or a file says to an API resource. The API's own resources come from the schema's tables without
// asking; categories and everything else from the server's discovery, which is kept in a file for ten minutes and asked
// for again when a word is not in it.
#pragma once

#include "kubectl/kubectl.h"
#include "schema/schema.h"

struct cx_mapping { // owned by ctl->discovery
        char *group, *version, *resource, *singular, *kind;
        bool namespaced;
        unsigned verbs;
        struct cx_strings short_names, categories, subresources;
        const struct cx_resource *schema; // NULL for custom resources
};
struct cx_discovery {
        struct cx_mapping **known; // one for each that was asked for or discovered
        size_t n_known;
        struct cx_mapping **all; // as the server says, in its order; borrowed from `known`
        size_t n_all;
        struct cx_strings versions; // "v1", "apps/v1", …
        bool loaded, fresh;
};

// "deploy", "deployments", "Deployment", "deployments.apps", "deployments.v1.apps". The error is upstream's.
int cx_mapping_find(struct cx_ctl *ctl, const char *word, const struct cx_mapping **ret_mapping, struct cx_error *err)
        CX_CHECK;
// -ENOENT without an error when the server has no such kind.
int cx_mapping_by_kind(struct cx_ctl *ctl, const char *api_version, const char *kind,
                       const struct cx_mapping **ret_mapping, struct cx_error *err) CX_CHECK;
// The resources of a category ("all"); 0 with *ret_count 0 when there is none.
int cx_mapping_category(struct cx_ctl *ctl, const char *word, const struct cx_mapping ***ret_list, size_t *ret_count,
                        struct cx_error *err) CX_CHECK;
// Loads ctl->discovery->all; `fresh`: from the server, not from the cache.
int cx_discovery_load(struct cx_ctl *ctl, bool fresh, struct cx_error *err) CX_CHECK;
// "deployment.apps" or "pod": how results are named on the screen. `to` takes 256 bytes.
const char *cx_mapping_label(const struct cx_mapping *mapping, char *to);
// "apps/v1, Resource=deployments" or "/v1, Kind=Pod", as Go prints such things; `to` takes 256 bytes.
const char *cx_mapping_resource_text(const struct cx_mapping *mapping, char *to);
const char *cx_mapping_kind_text(const struct cx_mapping *mapping, char *to);
