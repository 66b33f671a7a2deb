// SPDX-License-Identifier: Apache-2.0
// Static pods from a folder (or one file) of manifests, watched by inotify, and their mirror pods in the apiserver.
#pragma once

#include "kubelet/kubelet.h"

struct cx_manifests;
int cx_manifests_start(const struct cx_kubelet *kubelet, const char *path, struct cx_manifests **ret_manifests,
                       struct cx_error *err) CX_CHECK;
void cx_manifests_free(struct cx_manifests *manifests);
// A manifest as a static pod of a node: name, uid and annotations as upstream gives them. New reference.
int cx_manifest_parse(const char *text, size_t length, const char *source, const char *node, json_t **ret_pod,
                      struct cx_error *err) CX_CHECK;
