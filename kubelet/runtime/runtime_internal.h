// SPDX-License-Identifier: Apache-2.0
// What the files of the runtime share.
#pragma once

#include "base/map.h"
#include "kubelet/runtime/runtime.h"

#include <pthread.h>

struct cx_runtime {
        char *root, *state, *cgroup_root, *runc, *conmon, *runc_root;
        struct cx_image_store *images;
        struct cx_cni *cni;
        int64_t pids_limit;
        int own_oom_score;
        bool may_lower_oom, cgroup_v2;
        void (*on_exit)(void *, const char *, const char *);
        void *context;
        pthread_mutex_t lock; // guards the maps, reference counts and container states
        struct cx_map sandboxes, containers;
        pthread_t watcher;
        bool watching;
        int inotify_fd, stop_fd;
};

void cx_runtime_new_id(char to[65]);
// pid's start time in clock ticks; 0 when there is no such process (or it is a zombie).
uint64_t cx_pid_start(pid_t pid);
// Writes the record into state/, and (durable) what of it counts after a reboot to the disk.
int cx_container_save(struct cx_runtime *runtime, const struct cx_container *container, bool durable,
                      struct cx_error *err) CX_CHECK;
struct cx_container *cx_container_load(struct cx_runtime *runtime, const char *id);
// Of a record of a kubelet that died while it started the container: true when it did run, which the record then says.
bool cx_container_adopt(struct cx_runtime *runtime, struct cx_container *container);
struct cx_sandbox *cx_sandbox_load(struct cx_runtime *runtime, const char *id);
// Ends conmon and runc at work for a container, then removes its control group (NULL: not known), mounts and files.
// Works from the id alone, for what a crash left without a record. Idempotent.
int cx_container_remove_files(struct cx_runtime *runtime, const char *id, const char *cgroup, bool makers,
                              struct cx_error *err) CX_CHECK;
void cx_sandbox_remove_files(struct cx_runtime *runtime, const char *id);
// Whether the process that the record names is there.
bool cx_container_has_process(const struct cx_container_state *state);
// Whether conmon is there to write how the container ends.
bool cx_container_monitored(const struct cx_container *container);
// Takes the exit file's word; true when the state changed.
bool cx_container_take_exit(struct cx_runtime *runtime, struct cx_container *container);
