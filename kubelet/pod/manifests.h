// SPDX-License-Identifier: Apache-2.0
// Static pods from a folder (or one file) of manifests, watched by inotify.
#pragma once

#include "libcommon/base/error.h"

#include <jansson.h>

struct manifests;
struct pods;
// `node`: its name, which outlives the manifests.
int manifests_start(struct pods *pods, const char *node, const char *path, struct manifests **ret_manifests,
                    struct cx_error *err) CX_CHECK;
void manifests_free(struct manifests *manifests);
// A manifest as a static pod of a node: name, uid and annotations as upstream gives them. New reference.
int manifest_parse(const char *text, size_t length, const char *source, const char *node, json_t **ret_pod,
                   struct cx_error *err) CX_CHECK;
