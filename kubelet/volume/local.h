// SPDX-License-Identifier: Apache-2.0
// What plugins share whose volumes are folders of this machine. See plugin.h.
#pragma once

#include "kubelet/volume/plugin.h"

bool local_in_memory(const json_t *source); // always
// Gives the volume's own folder to everybody or, with an fsGroup, to the group too, which new files in it then get.
int local_own_folder(const struct volume_job *job, struct cx_error *err) CX_CHECK;
// Unmounts what is mounted at or below the folder, and removes it when nothing is.
int local_tear_down(const struct volume_place *place, struct cx_error *err) CX_CHECK;
// Of a volume that is nothing but a mount of data that stays: unmounts it, and removes the empty folder alone.
int local_end_mount(const struct volume_place *place, struct cx_error *err) CX_CHECK;
// Of a mount the file system's own figures; of a folder those of its file system, and what is counted in it.
int local_stats(const struct volume_place *place, struct volume_usage *ret_usage, struct cx_error *err) CX_CHECK;
// What is counted in a folder, of its own mount: used bytes and inodes alone.
int local_usage(const char *folder, struct volume_usage *ret_usage, struct cx_error *err) CX_CHECK;
