// SPDX-License-Identifier: Apache-2.0
// Static pods from a folder (or one file) of manifests, watched by inotify, and their mirror pods in the apiserver.
#pragma once

#include "kubelet/kubelet.h"

struct manifests;
int manifests_start(const struct kubelet *kubelet, const char *path, struct manifests **ret_manifests,
                    struct cx_error *err) CX_CHECK;
void manifests_free(struct manifests *manifests);
// A manifest as a static pod of a node: name, uid and annotations as upstream gives them. New reference.
int manifest_parse(const char *text, size_t length, const char *source, const char *node, json_t **ret_pod,
                   struct cx_error *err) CX_CHECK;
