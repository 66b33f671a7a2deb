// SPDX-License-Identifier: Apache-2.0
// Pod sandboxes and containers on this machine, through runc and conmon, with their records on disk so that a kubelet that
// was killed finds them again:
//
//     sandboxes/<id>.json     the record, for after a reboot, when a network configuration of others is used
//     containers/<id>/        container.json, upper/ work/ (overlay), termination-log
//     state/                  a tmpfs: what means nothing after a reboot, and is made and removed a hundred times a second
//       sandboxes/<id>/       sandbox.json, ns/{net,ipc,uts,pid} (bind mounts that keep the namespaces), and own/, a small
//                             tmpfs of what the pod may write: shm/, hosts, resolv.conf, hostname
//       containers/<id>/      container.json, config.json, rootfs/ (the overlay's mount), pidfile, attach, ctl
//       exits/<id>            written by conmon when the container ends
//       runc/                 runc's own state
//
// Records are refcounted. Everything in them is immutable but what `lock` of the runtime guards (read it with
// cx_container_state). Calls about one pod come from one thread at a time; listing is open to any thread.
#pragma once

#include "kubelet/image/store.h"
#include "kubelet/network/cni.h"
#include "kubelet/runtime/spec.h"

#include <jansson.h>
#include <sys/types.h>

struct cx_runtime;

struct cx_runtime_options {
        const char *root, *state;  // see above; both exist
        const char *cgroup_root;   // "/" or "/node1"
        const char *runc, *conmon; // programs
        struct cx_image_store *images;
        struct cx_cni *cni;
        int64_t pids_limit;
        // A container has ended; on the watcher's thread, must only enqueue.
        void (*on_exit)(void *context, const char *pod_uid, const char *container_id);
        void *context;
};
// Loads the records and finds out what became of each container. cx_runtime_start starts watching for exits.
int cx_runtime_open(const struct cx_runtime_options *options, struct cx_runtime **ret_runtime, struct cx_error *err)
        CX_CHECK;
int cx_runtime_start(struct cx_runtime *runtime, struct cx_error *err) CX_CHECK;
void cx_runtime_free(struct cx_runtime *runtime); // leaves containers running
struct cx_cni *cx_runtime_cni(struct cx_runtime *runtime);

// --- sandboxes -------------------------------------------------------------------------------------------------------
struct cx_sandbox {
        unsigned refs;
        char *id, *folder, *pod_uid, *pod_namespace, *pod_name; // folder: in state/
        int attempt;
        int64_t created; // µs
        bool host_network, host_ipc, host_pid;
        bool complete;                           // has its network and all files: what a crash left half-made is not
        char *ns_net, *ns_ipc, *ns_uts, *ns_pid; // paths, NULL where it is the host's (pid: or each container's own)
        char *own, *shm, *resolv_conf, *hosts, *hostname_file;
        struct cx_strings ips;
        json_t *port_mappings, *attachment; // may be NULL
        pid_t pause_pid;                    // of a shared PID namespace, else 0
        uint64_t pause_start;
};
struct cx_sandbox_config {
        const json_t *pod;
        const char *hostname, *fqdn; // fqdn NULL: none
        const char *resolv_conf;     // text
        const char *host_hosts;      // text of /etc/hosts for host-network pods
        int attempt;
};
int cx_sandbox_create(struct cx_runtime *runtime, const struct cx_sandbox_config *config,
                      struct cx_sandbox **ret_sandbox, struct cx_error *err) CX_CHECK;
// Removes the network, namespaces, mounts and files. Containers in it must be gone. Idempotent after a crash. Does not
// drop the caller's reference.
int cx_sandbox_remove(struct cx_runtime *runtime, struct cx_sandbox *sandbox, struct cx_error *err) CX_CHECK;
// Whether it was made to the end, its namespaces are still pinned (they are not after a reboot) and its pause process lives.
bool cx_sandbox_intact(const struct cx_sandbox *sandbox);
void cx_sandbox_unref(struct cx_sandbox *sandbox);
static inline CX_UNUSED void cx_sandbox_unrefp(struct cx_sandbox **p)
{
        if (*p)
                cx_sandbox_unref(*p);
}
// The newest sandbox of a pod: a new reference or NULL.
struct cx_sandbox *cx_runtime_sandbox(struct cx_runtime *runtime, const char *pod_uid);
// A TCP connection to a port on the sandbox's loopback, from inside its network namespace. Returns an fd or -errno.
int cx_sandbox_dial(const struct cx_sandbox *sandbox, int port) CX_CHECK;
// The pause process of a shared PID namespace: what main does when CX_PAUSE_ARGUMENT and the file for its pid are its only
// arguments. Never returns.
CX_NORETURN void cx_pause_main(const char *pid_file);
#define CX_PAUSE_ARGUMENT "--internal-pause"

// --- containers ------------------------------------------------------------------------------------------------------
enum cx_container_status { CX_CONTAINER_CREATED, CX_CONTAINER_RUNNING, CX_CONTAINER_EXITED };

struct cx_container_state { // guarded by the runtime's lock
        enum cx_container_status status;
        int64_t started, finished; // µs, 0: not yet
        int exit_code;
        bool oom;
        pid_t pid;
        uint64_t pid_start;
        char reason[64], message[1024]; // when set by us (StartError, …)
};
struct cx_container {
        unsigned refs;
        char *id, *folder, *data; // folder: in state/; data: on disk
        char *sandbox_id, *pod_uid, *pod_namespace, *pod_name, *name;
        char *image, *image_id, *image_ref; // as the pod says it; config digest; repo digest
        char *hash, *log_path, *cgroup, *message_path;
        int attempt, stop_signal;
        bool tty, stdin, stdin_once, own_pid_ns;
        int64_t created;   // µs
        json_t *user;      // {"uid", "gid", "supplementalGroups"}; NULL: not known
        json_t *resources; // requests and limits that it runs with, replaced under the runtime's lock; NULL: not known
        struct cx_container_state state;
};
struct cx_container_config {
        const json_t *pod, *container, *image; // image: the store's record
        const struct cx_sandbox *sandbox;
        int attempt;
        const char *hash, *log_path, *pod_cgroup;
        const struct cx_strings *args, *env;
        const struct cx_spec_mount *mounts;
        size_t n_mounts;
        int64_t node_memory;
};
// Creates and starts. When runc refuses (no such executable), the container exists as exited with 128 "StartError" and
// the call fails with -ENOEXEC and ret_container set; on other failures nothing is left. -EINVAL: the user's
// configuration cannot work (CreateContainerConfigError).
int cx_container_run(struct cx_runtime *runtime, const struct cx_container_config *config,
                     struct cx_container **ret_container, struct cx_error *err) CX_CHECK;
int cx_container_signal(struct cx_runtime *runtime, struct cx_container *container, int number);
// Removes an ended (or any) container: processes, mounts, cgroup, files; not its log. After a failure it is still known and
// can be removed again.
int cx_container_remove(struct cx_runtime *runtime, struct cx_container *container, struct cx_error *err) CX_CHECK;
void cx_container_state(struct cx_runtime *runtime, const struct cx_container *container,
                        struct cx_container_state *ret_state);
// The requests and limits that a container runs with; a new reference, immutable, or NULL.
json_t *cx_container_resources(struct cx_runtime *runtime, const struct cx_container *container);
void cx_container_unref(struct cx_container *container);
static inline CX_UNUSED void cx_container_unrefp(struct cx_container **p)
{
        if (*p)
                cx_container_unref(*p);
}
struct cx_containers {
        struct cx_container **items; // references
        size_t count;
};
void cx_containers_release(struct cx_containers *list);
#define CX_CONTAINERS CX_CLEANUP(cx_containers_release) struct cx_containers
// Containers of a pod (NULL: all), oldest first.
void cx_runtime_containers(struct cx_runtime *runtime, const char *pod_uid, struct cx_containers *ret_list);
// Uids of pods that have sandboxes or containers here.
void cx_runtime_pods(struct cx_runtime *runtime, struct cx_strings *ret_uids);
// Newest container of that name; a new reference or NULL.
struct cx_container *cx_runtime_container(struct cx_runtime *runtime, const char *pod_uid, const char *name,
                                          bool previous);
// Asks conmon to reopen the log after it was renamed.
int cx_container_reopen_log(const struct cx_container *container);
// Connects to conmon's attach socket (a seqpacket: first byte 2 stdout, 3 stderr). fd or -errno.
int cx_container_attach(const struct cx_container *container) CX_CHECK;
int cx_container_resize(const struct cx_container *container, int width, int height);
const char *cx_runtime_cgroup_root(const struct cx_runtime *runtime);

// --- exec ------------------------------------------------------------------------------------------------------------
// Runs a command in a running container, output (both streams) capped at ret_output's max. -ETIMEDOUT kills it.
int cx_container_exec(struct cx_runtime *runtime, const struct cx_container *container, const char *const *argv,
                      int64_t timeout, struct cx_buf *ret_output, int *ret_status, struct cx_error *err) CX_CHECK;
// Starts a command with streams of the caller: tty: one master fd in ret_fds[0], others -1; else stdin (when asked),
// stdout, stderr ends. The caller waits for *ret_pid (runc, whose exit status is the command's).
int cx_container_exec_start(struct cx_runtime *runtime, const struct cx_container *container, const char *const *argv,
                            bool tty, bool use_stdin, int ret_fds[3], pid_t *ret_pid, struct cx_error *err) CX_CHECK;
