// SPDX-License-Identifier: Apache-2.0
// Kustomization directories: what `kubectl kustomize DIR` prints and -k takes for its files.
//
// Done: resources (files and directories), components, generators with their hashes, patches of every form, namespace,
// prefixes and suffixes, labels, annotations, images, replicas and replacements. Refused, by name: what reaches beyond the
// machine (remote bases, Helm charts), runs plugins, or is configured by files of its own.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/strings.h"

#include <jansson.h>

struct kustomize_options {
        bool unrestricted; // files may lie outside the directory that names them
        bool sorted;       // in the order in which they are to be created, not in that of the files
};
// The objects, as a new array. Warnings go to standard error.
int kustomize_build(const char *path, const struct kustomize_options *options, json_t **ret_objects,
                    struct cx_error *err) CX_CHECK;
