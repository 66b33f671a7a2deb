// SPDX-License-Identifier: Apache-2.0
// What scheduling needs to know of a pod, parsed once. Pods made from one template differ in nothing that matters here,
// so everything is kept in a template that they share: namespace, labels, owner and the parts of the spec that plugins
// read. A node then counts its pods by template, and a selector is tried once a template instead of once a pod.
//
// A template is immutable and refcounted; the table that holds them has a lock of its own, so the informers' thread may
// make them while the scheduling thread works. `group` belongs to the cache (cache.h).
#pragma once

#include "libcommon/api/selector.h"
#include "libcommon/client/object.h"

enum { RESOURCE_CPU, RESOURCE_MEMORY, RESOURCE_EPHEMERAL, RESOURCE_BASE }; // cpu in thousandths, the others in units

struct resource_amount {
        uint64_t id; // keyed hash of the name
        char *name;
        int64_t amount;
};
struct resources {
        int64_t base[RESOURCE_BASE];
        struct resource_amount *extended;
        size_t n_extended;
};

struct host_port {
        uint64_t ip; // hash of the address; 0: any
        uint16_t port;
        char protocol; // 'T', 'U', 'S'
};

enum taint_effect { EFFECT_ALL, EFFECT_NO_SCHEDULE, EFFECT_PREFER_NO_SCHEDULE, EFFECT_NO_EXECUTE };
struct toleration {
        char *key, *value; // key "": any
        bool exists;
        enum taint_effect effect;
};
struct taint {
        char *key, *value;
        enum taint_effect effect;
};

struct node_term {
        struct cx_selector labels, fields;
        int64_t weight;
};
struct spread_constraint {
        char *topology;
        int max_skew, min_domains;
        bool required; // DoNotSchedule
        bool honor_affinity, honor_taints;
        bool self_match, by_owner; // by_owner: counts the pods of the same controller, not those of the selector
        struct cx_selector selector;
};
struct pod_term {
        char *topology;
        struct cx_selector selector, namespace_selector;
        struct cx_strings namespaces;
        bool has_namespace_selector;
        int64_t weight; // negative in preferred anti-affinity
};
#define LIST(type, name)                                                                                               \
        struct {                                                                                                       \
                type *items;                                                                                           \
                size_t count;                                                                                          \
        } name

struct template
{
        unsigned refs;                     // guarded by the table's lock
        char *key, *namespace, *owner_uid; // owner_uid "" when no controller spreads it
        struct cx_object_pair *labels;
        size_t n_labels;
        char *scheduler;
        int64_t priority;
        struct resources requests;
        int64_t nonzero[2]; // cpu and memory as scoring sees them: with something for containers that ask for nothing
        bool best_effort;
        bool never_preempts; // preemptionPolicy
        LIST(struct host_port, ports);
        LIST(struct toleration, tolerations);
        struct cx_selector node_selector;
        bool has_node_terms;
        LIST(struct node_term, node_terms); // required: any of them
        LIST(struct node_term, preferred_nodes);
        LIST(struct spread_constraint, spread);
        bool default_spread; // the constraints are the system's own
        LIST(struct pod_term, affinity);
        LIST(struct pod_term, anti_affinity);
        LIST(struct pod_term, preferred_pods);
        int group; // guarded by the scheduler's lock; -1: no pod on a node
};

struct templates;
struct templates *templates_new(void);
void templates_free(struct templates *templates); // all references must be gone
// The template of a pod: a reference for the caller. Any thread.
struct template *templates_get(struct templates *templates, const json_t *pod);
struct template *template_ref(struct templates *templates, struct template *template);
void template_unref(struct templates *templates, struct template *template);
size_t templates_count(struct templates *templates);

// The projection of pods: what differs between pods of one template. `context` of pod_project is the table.
struct pod_info {
        struct templates *templates;
        struct template *template;
        char *node;      // NULL: not bound
        char *nominated; // status.nominatedNodeName; NULL: none
        bool terminal;
        int gates;
};
#define POD_INFO(object) ((const struct pod_info *)(object)->projection)
void *pod_project(void *context, const json_t *pod);
void pod_free_projection(void *projection);

// --- for the parser's parts ---
const char *template_label(const struct template *template, const char *key);
bool template_matches(const struct template *template, const struct cx_selector *selector);
void parse_requests(const json_t *spec, struct template *to);
void parse_affinity(const json_t *spec, struct template *to);
void parse_spread(const json_t *spec, struct template *to);
void release_affinity(struct template *template);
uint64_t resource_id(const char *name);
enum taint_effect taint_effect_of(const char *text);
bool tolerates(const struct toleration *toleration, const struct taint *taint);
#define LIST_ADD(list)                                                                                                 \
        ({                                                                                                             \
                (list)->items = cx_realloc_array((list)->items, (list)->count + 1, sizeof *(list)->items);             \
                memset(&(list)->items[(list)->count], 0, sizeof *(list)->items);                                       \
                &(list)->items[(list)->count++];                                                                       \
        })
