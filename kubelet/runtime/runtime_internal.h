// SPDX-License-Identifier: Apache-2.0
// What the files of the runtime share.
#pragma once

#include "kubelet/runtime/identity.h"
#include "kubelet/runtime/runtime.h"
#include "libcommon/base/map.h"

#include <pthread.h>

struct runtime {
        char *root, *state, *cgroup_root, *runc, *conmon, *runc_root;
        struct image_store *images;
        struct cni *cni;
        int64_t pids_limit;
        bool seccomp_by_default;
        int own_oom_score;
        bool may_lower_oom, cgroup_v2;
        void (*on_exit)(void *, const char *);
        void *context;
        pthread_mutex_t lock; // guards the maps, reference counts and container states
        struct cx_map sandboxes, containers;
        enum { RECURSIVE_UNKNOWN, RECURSIVE_NO, RECURSIVE_YES } recursive_read_only; // guarded by lock
        pthread_t watcher;
        bool watching;
        int inotify_fd, stop_fd;
};

// Writes the record into state/, and (durable) what of it counts after a reboot to the disk.
int container_save(struct runtime *runtime, const struct container *container, bool durable, struct cx_error *err)
        CX_CHECK;
struct container *container_load(struct runtime *runtime, const char *id);
// Of a record of a kubelet that died while it started the container: true when it did run, which the record then says.
bool container_adopt(struct runtime *runtime, struct container *container);
struct sandbox *sandbox_load(struct runtime *runtime, const char *id);
// Ends conmon and runc at work for a container, then removes its control group (NULL: not known), mounts and files.
// Works from the id alone, for what a crash left without a record. Idempotent.
int container_remove_files(struct runtime *runtime, const char *id, const char *cgroup, bool makers,
                           struct cx_error *err) CX_CHECK;
void sandbox_remove_files(struct runtime *runtime, const char *id);
// Whether the process that the record names is there.
bool container_has_process(const struct container_state *state);
// Makes the container, with its init waiting for the start, and leaves conmon with it. -ENOEXEC: runc refuses.
int conmon_run(struct runtime *runtime, struct container *container, struct cx_error *err) CX_CHECK;
// Whether conmon is there to write how the container ends.
bool container_monitored(const struct container *container);
// Takes the exit file's word; true when the state changed.
bool container_take_exit(struct runtime *runtime, struct container *container);
