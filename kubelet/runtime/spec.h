// SPDX-License-Identifier: Apache-2.0
// Builds the OCI runtime configuration (config.json) of a container from its pod. Pure but for reading the image's
// /etc/passwd and /etc/group and, for privileged containers, the host's /dev. Any thread may call.
#pragma once

#include "kubelet/runtime/privileges.h"
#include "libcommon/base/error.h"
#include "libcommon/base/flags.h"

#include <jansson.h>

struct spec_mount {
        char *source, *target;
        bool read_only, recursive; // recursive: what is mounted below is read-only, too
        bool no_exec;
        const char *propagation; // "rprivate", "rslave", "rshared"
};
// A block device of the node that a container is given, and may use.
struct spec_device {
        char *path; // in the container
        unsigned major, minor;
        bool read_only;
};
struct spec_input {
        const json_t *pod, *container, *image_config;
        const char *rootfs;                                    // mounted already
        const char *ns_net, *ns_ipc, *ns_uts, *ns_pid;         // NULL: the host's (pid: one of its own)
        const char *shm, *resolv_conf, *hosts, *hostname_file; // bind-mounted; NULL: none
        const struct cx_strings *args, *env;
        const struct spec_mount *mounts;
        size_t n_mounts;
        const struct spec_device *devices;
        size_t n_devices;
        const char *cgroups_path;
        int oom_score_adj;
        int64_t pids_limit; // 0: none
        bool cgroup_v2;
        const char *seccomp_folder; // of the node's own profiles
        bool seccomp_by_default;    // what asks for no profile gets the default one
};
// -EINVAL with upstream's sentence for what the user must fix (CreateContainerConfigError), also for what a pod asks for its
// security that cannot be enforced here.
int spec_build(const struct spec_input *input, json_t **ret_spec, struct cx_error *err) CX_CHECK;

// What may be changed while a container runs: its cpu and memory, as the runtime's `update` takes them. New reference.
json_t *spec_resources(const json_t *container);

// The user that a container runs as, from securityContext and the image.
struct spec_user {
        uint32_t uid, gid;
        uint32_t groups[SUPPLEMENTAL_GROUPS_MAX];
        size_t n_groups;
        bool too_many;
        const char *home; // "/root" or "/"; constant
};
int spec_user(const struct spec_input *input, struct spec_user *ret_user, struct cx_error *err) CX_CHECK;
// Opens a file of an image without following links out of its root.
int open_in_root(const char *root, const char *path, int flags) CX_CHECK;
// securityContext value: the container's own, else the pod's. Borrowed or NULL.
const json_t *security_value(const json_t *pod, const json_t *container, const char *key);
// By quality of service and, of burstable pods, by the container's share of the node's memory (bytes).
int oom_score_adj(const json_t *pod, const json_t *container, int64_t node_memory);
