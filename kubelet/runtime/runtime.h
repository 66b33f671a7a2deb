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
// container_state). Calls about one pod come from one thread at a time; listing is open to any thread.
#pragma once

#include "kubelet/image/store.h"
#include "kubelet/network/cni.h"
#include "kubelet/runtime/spec.h"

#include <jansson.h>
#include <sys/types.h>

struct runtime;

struct runtime_options {
        const char *root, *state;  // see above; both exist
        const char *cgroup_root;   // "/" or "/node1"
        const char *runc, *conmon; // programs
        struct image_store *images;
        struct cni *cni;
        int64_t pids_limit;
        bool seccomp_by_default; // containers that ask for no profile get the default one
        // A container of the pod has ended; on the watcher's thread, must only enqueue.
        void (*on_exit)(void *context, const char *pod_uid);
        void *context;
};
// Loads the records and finds out what became of each container. runtime_start starts watching for exits.
int runtime_open(const struct runtime_options *options, struct runtime **ret_runtime, struct cx_error *err) CX_CHECK;
int runtime_start(struct runtime *runtime, struct cx_error *err) CX_CHECK;
void runtime_free(struct runtime *runtime); // leaves containers running
struct cni *runtime_cni(struct runtime *runtime);

// --- sandboxes -------------------------------------------------------------------------------------------------------
struct sandbox {
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
struct sandbox_config {
        const json_t *pod;
        const char *hostname, *fqdn; // fqdn NULL: none
        const char *resolv_conf;     // text
        const char *host_hosts;      // text of /etc/hosts for host-network pods
        int attempt;
};
// The name of a kernel parameter with dots between its parts, from either spelling ("a/b.c" is "a.b/c"). Owned by the caller.
char *sandbox_sysctl_name(const char *name);
int sandbox_create(struct runtime *runtime, const struct sandbox_config *config, struct sandbox **ret_sandbox,
                   struct cx_error *err) CX_CHECK;
// Removes the network, namespaces, mounts and files. Containers in it must be gone. Idempotent after a crash. Does not
// drop the caller's reference.
int sandbox_remove(struct runtime *runtime, struct sandbox *sandbox, struct cx_error *err) CX_CHECK;
// Whether it was made to the end, its namespaces are still pinned (they are not after a reboot) and its pause process lives.
bool sandbox_intact(const struct sandbox *sandbox);
void sandbox_unref(struct sandbox *sandbox);
static inline CX_UNUSED void sandbox_unrefp(struct sandbox **p)
{
        if (*p)
                sandbox_unref(*p);
}
// The newest sandbox of a pod: a new reference or NULL.
struct sandbox *runtime_sandbox(struct runtime *runtime, const char *pod_uid);
// A TCP connection to a port on the sandbox's loopback, from inside its network namespace. Returns an fd or -errno.
int sandbox_dial(const struct sandbox *sandbox, int port) CX_CHECK;
// The pause process of a shared PID namespace: what main does when PAUSE_ARGUMENT and the file for its pid are its only
// arguments. Never returns.
CX_NORETURN void pause_main(const char *pid_file);
#define PAUSE_ARGUMENT "--internal-pause"

// --- containers ------------------------------------------------------------------------------------------------------
enum container_status { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED };

struct container_state { // guarded by the runtime's lock
        enum container_status status;
        int64_t started, finished; // µs, 0: not yet
        int exit_code;
        bool oom;
        pid_t pid;
        uint64_t pid_start;
        char reason[64], message[1024]; // when set by us (StartError, …)
};
// What a container was made from.
struct container_definition {
        char *hash;
        int64_t generation; // of the pod; or:
};
#define DEFINITION_IS_IMAGE (-1) // the record is of an earlier kubelet, and the hash the image's name
struct container {
        unsigned refs;
        char *id, *folder, *data; // folder: in state/; data: on disk
        char *sandbox_id, *pod_uid, *pod_namespace, *pod_name, *name;
        char *image, *image_id, *image_ref; // as the pod says it; config digest; repo digest
        char *log_path, *cgroup, *message_path;
        int attempt, stop_signal;
        bool tty, stdin, stdin_once, own_pid_ns;
        int64_t created;   // µs
        json_t *user;      // {"uid", "gid", "supplementalGroups"}; NULL: not known
        json_t *resources; // requests and limits that it runs with, replaced under the runtime's lock; NULL: not known
        struct container_definition definition; // guarded by the runtime's lock: read it with container_definition
        struct container_state state;
};
struct container_config {
        const json_t *pod, *container, *image; // image: the store's record
        const struct sandbox *sandbox;
        int attempt;
        struct container_definition definition; // borrowed
        const char *log_path, *pod_cgroup;
        const char *ns_pid; // of another container, to be shared; NULL: the sandbox's, or one of its own
        const struct cx_strings *args, *env;
        const struct spec_mount *mounts;
        size_t n_mounts;
        const struct spec_device *devices;
        size_t n_devices;
        int64_t node_memory;
};
// Creates and starts. When runc refuses (no such executable), the container exists as exited with 128 "StartError" and
// the call fails with -ENOEXEC and ret_container set; on other failures nothing is left. -EINVAL: the user's
// configuration cannot work (CreateContainerConfigError).
int container_run(struct runtime *runtime, const struct container_config *config, struct container **ret_container,
                  struct cx_error *err) CX_CHECK;
int container_signal(struct runtime *runtime, struct container *container, int number);
// Removes an ended (or any) container: processes, mounts, cgroup, files; not its log. After a failure it is still known and
// can be removed again.
int container_remove(struct runtime *runtime, struct container *container, struct cx_error *err) CX_CHECK;
// A descriptor of the PID namespace of a container that runs; -ESRCH when it does not.
int container_pid_namespace(struct runtime *runtime, const struct container *container) CX_CHECK;
void container_state(struct runtime *runtime, const struct container *container, struct container_state *ret_state);
void container_definition(struct runtime *runtime, const struct container *container,
                          struct container_definition *ret_definition); // a copy
// Puts another definition into the container's record, of which a copy is made.
int container_define(struct runtime *runtime, struct container *container,
                     const struct container_definition *definition, struct cx_error *err) CX_CHECK;
void container_definition_release(struct container_definition *definition);
// Gives a container that runs the resources of `container` (of the pod's spec), by the OCI runtime, and keeps that in its
// record.
int container_update(struct runtime *runtime, struct container *running, const json_t *container, struct cx_error *err)
        CX_CHECK;
// The requests and limits that a container runs with; a new reference, immutable, or NULL.
json_t *container_resources(struct runtime *runtime, const struct container *container);
struct container *container_ref(struct container *container);
void container_unref(struct container *container);
static inline CX_UNUSED void container_unrefp(struct container **p)
{
        if (*p)
                container_unref(*p);
}
struct containers {
        struct container **items; // references
        size_t count;
};
void containers_release(struct containers *list);
#define CONTAINERS CX_CLEANUP(containers_release) struct containers
// Containers of a pod (NULL: all), oldest first.
void runtime_containers(struct runtime *runtime, const char *pod_uid, struct containers *ret_list);
// Uids of pods that have sandboxes or containers here.
void runtime_pods(struct runtime *runtime, struct cx_strings *ret_uids);
// Newest container of that name; a new reference or NULL.
struct container *runtime_container(struct runtime *runtime, const char *pod_uid, const char *name, bool previous);
// Asks conmon to reopen the log after it was renamed.
int container_reopen_log(const struct container *container);
// Connects to conmon's attach socket (a seqpacket: first byte 2 stdout, 3 stderr). fd or -errno.
int container_attach(const struct container *container) CX_CHECK;
int container_resize(const struct container *container, int width, int height);
const char *runtime_cgroup_root(const struct runtime *runtime);
// Whether kernel and runc can make a mount read-only with all that is mounted below it. Asks runc the first time.
bool runtime_recursive_read_only(struct runtime *runtime);

// --- exec ------------------------------------------------------------------------------------------------------------
struct exec_options {
        const char *const *argv; // NULL-ended
        int64_t timeout;         // ns, of container_exec
        bool tty, use_stdin;     // of container_exec_start
};
// Runs a command in a running container, output (both streams) capped at ret_output's max. -ETIMEDOUT kills it.
int container_exec(struct runtime *runtime, const struct container *container, const struct exec_options *options,
                   struct cx_buf *ret_output, int *ret_status, struct cx_error *err) CX_CHECK;
// Starts a command with streams of the caller: tty: one master fd in ret_fds[0], others -1; else stdin (when asked),
// stdout, stderr ends. The caller waits for *ret_pid (runc, whose exit status is the command's).
int container_exec_start(struct runtime *runtime, const struct container *container, const struct exec_options *options,
                         int ret_fds[3], pid_t *ret_pid, struct cx_error *err) CX_CHECK;
