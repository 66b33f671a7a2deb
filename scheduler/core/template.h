// SPDX-License-Identifier: Apache-2.0
// What scheduling needs to know of a pod, parsed once. Pods made from one template differ in nothing that matters here,
// so everything is kept in a template that they share. A node then counts its pods by template, and a selector is tried
// once a template instead of once a pod.
//
// Which pods are alike follows from the fields that the plugins declare: a template is found by the text of exactly
// these.
//
// A template is immutable and refcounted; the table that holds them has a lock of its own, so the informers' thread may
// make them while the scheduling thread works. `group` belongs to the cache (cache.h).
#pragma once

#include "libcommon/api/selector.h"
#include "libcommon/client/object.h"
#include "scheduler/core/profile.h"

struct template
{
        unsigned refs; // guarded by the table's lock
        char *key, *namespace;
        struct cx_object_pair *labels; // sorted by key
        size_t n_labels;
        const struct scheduler_profile *profile; // by its spec.schedulerName; NULL: another scheduler's
        int64_t priority;
        bool never_preempts; // preemptionPolicy
        int group;           // guarded by the scheduler's lock; -1: no pod on a node
        char *states;        // the plugins'
};

struct templates;
struct templates *templates_new(const struct profiles *profiles); // borrowed, with their plugins
void templates_free(struct templates *templates);                 // all references must be gone
const struct plugins *templates_plugins(const struct templates *templates);
// The template of a pod: a reference for the caller. Any thread. Plugins see an ephemeral volume as its claim, with the pod's
// uid in `ephemeral.owner`.
struct template *templates_get(struct templates *templates, const json_t *pod);
struct template *template_ref(struct templates *templates, struct template *template);
void template_unref(struct templates *templates, struct template *template);
size_t templates_count(struct templates *templates);

const char *template_label(const struct template *template, const char *key); // NULL when absent
bool template_matches(const struct template *template, const struct cx_selector *selector);

// The projection of pods: what differs between pods of one template. `context` of pod_project is the table.
struct pod_info {
        struct templates *templates;
        struct template *template;
        char *node;      // NULL: not bound
        char *nominated; // status.nominatedNodeName; NULL: none
        bool terminal;
        bool gated; // and its profile heeds that
};
#define POD_INFO(object) ((const struct pod_info *)(object)->projection)
void *pod_project(void *context, const json_t *pod);
void pod_free_projection(void *projection);
