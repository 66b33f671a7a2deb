// SPDX-License-Identifier: Apache-2.0
// The folders of this node's volumes, all below one root. Nothing outside the root is ever made, changed or removed: names are
// single ones, symbolic links are not followed, and what is mounted stays. Any thread.
#pragma once

#include "addons/storage-provisioner/room.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

struct folders {
        char *root;
        int fd;     // of the root
        bool quota; // its file system limits what a folder holds
};
int folders_open(struct folders *folders, const char *root, struct cx_error *err) CX_CHECK; // makes the root
void folders_close(struct folders *folders);
char *folders_path(const struct folders *folders, const char *name); // owned
int folders_room(const struct folders *folders, struct room *ret_room, struct cx_error *err) CX_CHECK;
// Makes the folder, open to everybody, with room for `bytes` where there are quotas; one that is there is put right.
int folders_make(const struct folders *folders, const char *name, int64_t bytes, struct cx_error *err) CX_CHECK;
// Lets a folder grow to `bytes`.
int folders_grow(const struct folders *folders, const char *name, int64_t bytes, struct cx_error *err) CX_CHECK;
// Removes a folder with all that is in it; absent is success.
int folders_remove(const struct folders *folders, const char *name, struct cx_error *err) CX_CHECK;
// Removes those that are empty, for which `wanted` says no.
void folders_sweep(const struct folders *folders, bool (*wanted)(void *context, const char *name), void *context);
