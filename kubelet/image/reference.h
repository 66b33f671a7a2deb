// SPDX-License-Identifier: Apache-2.0
// Image references: "busybox", "ghcr.io/a/b:v1", "host:5000/x@sha256:…", with Docker Hub's short forms filled in.
#pragma once

#include "libcommon/base/error.h"

struct image_ref {
        char *registry;   // "docker.io", "127.0.0.1:5000"
        char *repository; // "library/busybox"
        char *tag;        // "latest" when neither tag nor digest was given; NULL when only a digest was
        char *digest;     // "sha256:…"; NULL when none
};
#define IMAGE_REF_INIT                                                                                                 \
        {                                                                                                              \
                0                                                                                                      \
        }
#define IMAGE_REF CX_CLEANUP(image_ref_release) struct image_ref

// -EINVAL with upstream's sentence when the text is not a reference.
int image_ref_parse(const char *text, struct image_ref *ret_ref, struct cx_error *err) CX_CHECK;
// "docker.io/library/busybox:latest"; with a digest "…@sha256:…". Owned by the caller.
char *image_ref_format(const struct image_ref *ref);
// "docker.io/library/busybox". Owned by the caller.
char *image_ref_name(const struct image_ref *ref);
void image_ref_release(struct image_ref *ref);
// True for "sha256:" and 64 lower-case hexadecimal digits.
bool digest_valid(const char *text);
