// SPDX-License-Identifier: Apache-2.0
// What the commands of `minikube image` share.
#pragma once

#include "minikube/commands.h"

char *image_folder(const struct profile *profile, int node); // where the node's kubelet takes what it is given
// The kubelet removes what it has taken, and leaves <path>.error behind when it could not do it. `name` is minikube's name
// for what then fails.
int image_wait_taken(const char *path, int64_t patience, const char *name, struct cx_error *err) CX_CHECK;
// Loads an archive into the nodes that run; "-" is standard input.
int image_load(struct minikube *m, const char *archive, struct cx_error *err) CX_CHECK;
void image_tags(const struct profile *profile, struct cx_strings *ret_tags); // of all nodes, sorted
// Saves an image of the first node that has it.
int image_save(struct minikube *m, const char *image, const char *file, struct cx_error *err) CX_CHECK;
// "hello" is docker.io/library/hello:latest. Owned by the caller.
char *image_full_name(const char *image);
int image_push(struct minikube *m, const char *image, struct cx_error *err) CX_CHECK;
