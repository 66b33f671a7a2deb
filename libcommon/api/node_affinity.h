// SPDX-License-Identifier: Apache-2.0
// Which nodes a pod may run on and likes: nodeSelector and node affinity, parsed once; also any other v1.NodeSelector (of a
// PersistentVolume, say). Immutable when parsed; any thread may match.
#pragma once

#include "libcommon/api/selector.h"

struct cx_node_term {
        struct cx_selector labels, fields; // both must hold
        int64_t weight;                    // of a preference
};
struct cx_node_terms {
        struct cx_node_term *items;
        size_t count;
};
struct cx_node_affinity {
        struct cx_selector selector;    // spec.nodeSelector
        bool has_required;              // there is a required node affinity: one of its terms must hold
        struct cx_node_terms required;  // requiredDuringSchedulingIgnoredDuringExecution
        struct cx_node_terms preferred; // preferredDuringSchedulingIgnoredDuringExecution
};
// What a term is matched against.
struct cx_node_facts {
        const char *name;
        const char *(*label)(void *node, const char *key); // NULL when the node does not have it
        void *node;
};

void cx_node_affinity_parse(const json_t *pod_spec, struct cx_node_affinity *ret_affinity);
void cx_node_affinity_release(struct cx_node_affinity *affinity);
// The nodeSelector and the required terms.
bool cx_node_affinity_matches(const struct cx_node_affinity *affinity, const struct cx_node_facts *facts);

// v1.NodeSelector: its terms. A term that is empty or cannot be read matches nothing.
void cx_node_terms_parse(const json_t *node_selector, struct cx_node_terms *ret_terms);
// A list of v1.TopologySelectorTerm (of a StorageClass): labels that must have one of some values.
void cx_topology_terms_parse(const json_t *list, struct cx_node_terms *ret_terms);
void cx_node_terms_release(struct cx_node_terms *terms);
bool cx_node_term_matches(const struct cx_node_term *term, const struct cx_node_facts *facts);
bool cx_node_terms_match(const struct cx_node_terms *terms, const struct cx_node_facts *facts); // any of them
// The facts of a node's JSON, borrowed.
struct cx_node_facts cx_node_facts_of(const json_t *node);
