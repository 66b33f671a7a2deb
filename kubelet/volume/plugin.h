// SPDX-License-Identifier: Apache-2.0
// What a kind of volume is to the kubelet: a constant with what can be done to volumes of that kind, from their set-up to
// their end. What a plugin cannot do is NULL, and is refused by name. main hands the table down; volumes.c finds the plugin
// of a volume, of the pod's own or of the PersistentVolume that its claim is bound to, knows where it lies and calls it.
//
// A volume lies below pods/<uid>/volumes/<folder>/<name> of the kubelet's root folder or, `in_memory`, of its state folder:
// at its end nothing may be known but that path. Calls about one volume of a pod come from one thread at a time, and may
// block; those of a `slow` plugin come from threads of their own, so that what it waits for holds up nobody else.
#pragma once

#include "kubelet/base/kubelet.h"

struct refs;
struct tokens;
struct locks;

// A volume that is being set up or changed.
struct volume_job {
        void *context; // the plugin's
        const struct kubelet *kubelet;
        struct refs *refs;
        struct tokens *tokens;
        struct locks *locks; // by what several pods share: a device, say
        const json_t *pod, *volume;
        const json_t *claim, *persistent; // the claim and the PersistentVolume; NULL: the volume is the pod's own
        const json_t *source;             // the member of the volume or of the PersistentVolume that is the plugin's
        const char *name;                 // in paths and events: the PersistentVolume's, or the volume's
        const char *folder;               // where it lies; not made yet at the first set-up
        const char *notes; // a folder of the plugin's for this volume, beside it, that goes with the pod; not made yet
        int64_t gid;       // fsGroup or -1
        int64_t uid;       // that all containers run as, or -1
        bool read_only;    // for this pod: its claim, or the source, says so
        bool block;        // wanted as a block device
        int64_t again;     // out: ns until it has to be set up again, should nothing happen before
        const char *step; // out: what failed, of the event's sentence; a constant. As it is: "MountVolume.SetUp failed"
};
// A volume of a pod of which nothing more may be known.
struct volume_place {
        void *context; // the plugin's
        const struct kubelet *kubelet;
        struct locks *locks;
        const char *pod_uid, *name, *folder;
};
struct volume_usage { // bytes, and files
        int64_t capacity, available, used, inodes, inodes_free, inodes_used;
};

struct volume_plugin {
        void *context;      // its own; NULL: none
        const char *source; // the member of a volume that makes it this plugin's: "emptyDir"
        const char
                *folder; // "kubernetes.io~empty-dir"; NULL: its volumes lie elsewhere, and are not the pod's to remove
        bool read_only;  // for containers, whatever they ask for
        bool no_exec;    // nothing in it can be run
        bool slow;       // it waits for others: registries, servers, drivers
        bool options;    // mount options of a PersistentVolume mean something to it
        bool measured;   // what is in it counts for the pod's ephemeral storage
        // Whether the volume lies in memory; NULL: never. Where one of a plugin without a folder lies.
        bool (*in_memory)(const json_t *source);
        const char *(*path)(const json_t *source);
        // What containers are given, when that is not the folder itself: a name in it.
        const char *within;
        // Of a slow plugin: whether the volume is set up and up to date. Does not block.
        bool (*ready)(struct volume_job *job);
        // Makes the volume, or brings it up to date; cheap when nothing changed. The error is the end of the sentence of
        // a FailedMount event. -EAGAIN of a slow plugin: soon again, nobody need be told.
        int (*set_up)(struct volume_job *job, struct cx_error *err);
        // Ends it and removes what is the pod's. Fails rather than remove what is still mounted; is tried again then.
        int (*tear_down)(const struct volume_place *place, struct cx_error *err);
        // Makes it at least that large.
        int (*expand)(struct volume_job *job, int64_t bytes, struct cx_error *err);
        int (*stats)(const struct volume_place *place, struct volume_usage *ret_usage, struct cx_error *err);
        // The block device that a container is given in place of a folder; owned by the caller.
        int (*block)(struct volume_job *job, char **ret_device, struct cx_error *err);
};
