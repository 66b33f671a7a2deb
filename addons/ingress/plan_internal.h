// SPDX-License-Identifier: Apache-2.0
// Between the files that build a plan.
#pragma once

#include "addons/ingress/plan.h"

struct plan_builder {
        const struct plan_config *config;
        const struct plan_input *input;
        struct plan *plan;
        struct cx_map services; // key -> const struct cx_object *, borrowed
        struct cx_map slices;   // key of a Service -> struct cx_objects *
        // Of the Ingress at hand; NULL: the controller's own backend.
        struct plan_ingress *ingress;
        struct settings *settings;
        char *profile;
        char id[PLAN_ID];
        char flags[16];
};
// Adds a warning about the Ingress at hand, each text once.
void plan_complain(struct plan_builder *builder, const char *reason, const char *format, ...) CX_PRINTF(3, 4);

// plan_backends.c: the backend of a reference, made when it is new; NULL with a warning when it cannot be served.
const struct plan_backend *plan_resolve(struct plan_builder *builder, const char *namespace,
                                        const struct backend_ref *ref, const char *where);
void plan_index(struct plan_builder *builder); // services and slices, for plan_resolve
void plan_backend_free(void *backend);

// plan_settings.c: the settings of the Ingress at hand become entries of the plan, and flags of its routes.
void plan_enter_settings(struct plan_builder *builder);
// How a path is matched once its pattern, if it is one, is understood. false: it is not; the prefix is what comes before it.
struct path_match {
        char *prefix; // owned
        int depth;    // elements that a rewrite takes away
        bool catches; // it has a pattern that catches what is behind the prefix
};
bool plan_match_path(const struct settings *settings, const struct ingress_path *path, struct path_match *ret_match);
