// SPDX-License-Identifier: Apache-2.0
// What `kubectl debug` makes: an ephemeral container in a pod, a copy of a pod, or a pod on a node. Nothing is asked of the
// server here.
#pragma once

#include "kubectl/cmd/commands.h"

struct debug {
        const char *container, *image, *pull_policy, *target, *copy_to, *profile, *custom_file;
        bool in, tty, quiet, attach, attach_given, args_only, replace, same_node, share_processes, share_given;
        bool keep_labels, keep_annotations, keep_liveness, keep_readiness, keep_startup, keep_init;
        struct cx_strings env, set_image; // NAME=VALUE
        json_t *args;                     // the words after "--"
        json_t *custom;                   // a part of a container; NULL: none
};
bool debug_knows_profile(const char *name);
int debug_check(const struct debug *debug, struct cx_error *err) CX_CHECK;
// The new object and the name of the container to look at, which may be NULL for a copy. New references; names are owned.
// Says which name it made up.
int debug_ephemeral(const struct debug *debug, const json_t *pod, json_t **ret_pod, char **ret_container,
                    struct cx_error *err) CX_CHECK;
int debug_copy(const struct debug *debug, const json_t *pod, json_t **ret_pod, char **ret_container,
               struct cx_error *err) CX_CHECK;
int debug_node(const struct debug *debug, const json_t *node, json_t **ret_pod, char **ret_container,
               struct cx_error *err) CX_CHECK;
// Whether the container has been given rights that the pod's user keeps it from using.
bool debug_wants_root(const json_t *pod, const char *container);
// Whether a text can name an image ("busybox", "host:5000/a/b:tag@sha256:…").
bool is_image_reference(const char *text);
