// SPDX-License-Identifier: Apache-2.0
// What is written down of a container, so that a kubelet that is started anew knows it: its record, and how it ended.
#include "kubelet/runtime/runtime_internal.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#include <signal.h>
#include <sys/stat.h>

int container_save(struct runtime *rt, const struct container *c, bool durable, struct cx_error *err)
{
        struct container_state s;
        container_state(rt, c, &s);
        CX_CLEANUP(container_definition_release) struct container_definition definition = {0};
        container_definition(rt, c, &definition);
        json_auto_t *record = json_pack(
                "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:b, s:b, s:I}", "id",
                c->id, "sandbox", c->sandbox_id, "podUID", c->pod_uid, "namespace", c->pod_namespace, "pod",
                c->pod_name, "name", c->name, "image", c->image, "imageID", c->image_id, "imageRef", c->image_ref,
                "hash", definition.hash, "log", c->log_path, "cgroup", c->cgroup, "attempt", c->attempt, "stopSignal",
                c->stop_signal, "tty", c->tty, "stdin", c->stdin, "stdinOnce", c->stdin_once, "ownPidNs", c->own_pid_ns,
                "created", (json_int_t)c->created);
        json_object_set_new(record, "messagePath", json_string(c->message_path));
        json_object_set_new(record, "generation", json_integer(definition.generation));
        json_t *resources = container_resources(rt, c);
        if (resources)
                json_object_set_new(record, "resources", resources);
        if (c->user)
                json_object_set(record, "user", c->user);
        json_object_set_new(record, "state",
                            json_pack("{s:i, s:I, s:I, s:i, s:b, s:i, s:I, s:s, s:s}", "status", (int)s.status,
                                      "started", (json_int_t)s.started, "finished", (json_int_t)s.finished, "exitCode",
                                      s.exit_code, "oom", s.oom, "pid", (int)s.pid, "pidStart", (json_int_t)s.pid_start,
                                      "reason", s.reason, "message", s.message));
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/container.json", c->folder);
        CX_CLEANUP(cx_freep) char *kept = cx_sprintf("%s/container.json", c->data);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(record);
        int r = cx_write_file(path, text, strlen(text), 0600, false, err);
        return r == 0 && durable ? cx_write_file(kept, text, strlen(text), 0600, false, err) : r;
}

struct container *container_load(struct runtime *rt, const char *id)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/containers/%s/container.json", rt->state, id);
        CX_CLEANUP(cx_freep) char *kept = cx_sprintf("%s/containers/%s/container.json", rt->root, id);
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *r = NULL;
        bool rebooted = access(path, F_OK) < 0;
        if (cx_buf_read_file(&text, rebooted ? kept : path) < 0 ||
            cx_json_parse(text.data, text.length, false, &r, NULL) < 0 || !cx_streq(cx_json_string(r, "id"), id) ||
            !cx_json_string(r, "podUID") || !cx_json_string(r, "cgroup"))
                return NULL;
        const json_t *s = json_object_get(r, "state");
        struct container *c = cx_alloc(sizeof *c);
        c->refs = 1;
        c->id = cx_strdup(id);
        c->folder = cx_sprintf("%s/containers/%s", rt->state, id);
        c->data = cx_sprintf("%s/containers/%s", rt->root, id);
        struct {
                char **to;
                const char *key;
        } const texts[] = {{&c->sandbox_id, "sandbox"}, {&c->pod_uid, "podUID"},     {&c->pod_namespace, "namespace"},
                           {&c->pod_name, "pod"},       {&c->name, "name"},          {&c->image, "image"},
                           {&c->image_id, "imageID"},   {&c->image_ref, "imageRef"}, {&c->definition.hash, "hash"},
                           {&c->log_path, "log"},       {&c->cgroup, "cgroup"},      {&c->message_path, "messagePath"}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(texts); i++)
                *texts[i].to = cx_strdup(cx_json_string_or(r, texts[i].key, ""));
        c->definition.generation = cx_json_int(r, "generation", DEFINITION_IS_IMAGE);
        c->attempt = (int)cx_json_int(r, "attempt", 0);
        c->stop_signal = (int)cx_json_int(r, "stopSignal", SIGTERM);
        c->tty = cx_json_bool(r, "tty", false);
        c->stdin = cx_json_bool(r, "stdin", false);
        c->stdin_once = cx_json_bool(r, "stdinOnce", false);
        c->own_pid_ns = cx_json_bool(r, "ownPidNs", true);
        c->created = cx_json_int(r, "created", 0);
        c->user = json_incref(json_object_get(r, "user"));
        c->resources = json_incref(json_object_get(r, "resources"));
        c->state = (struct container_state){.status = (enum container_status)cx_json_int(s, "status", 0),
                                            .started = cx_json_int(s, "started", 0),
                                            .finished = cx_json_int(s, "finished", 0),
                                            .exit_code = (int)cx_json_int(s, "exitCode", 0),
                                            .oom = cx_json_bool(s, "oom", false),
                                            .pid = (pid_t)cx_json_int(s, "pid", 0),
                                            .pid_start = (uint64_t)cx_json_int(s, "pidStart", 0)};
        if (rebooted && c->state.status != CONTAINER_EXITED) // it ran: that is all that is known
                c->state = (struct container_state){.status = CONTAINER_RUNNING, .started = c->created};
        (void)cx_copy_string(c->state.reason, sizeof c->state.reason, cx_json_string_or(s, "reason", ""));
        (void)cx_copy_string(c->state.message, sizeof c->state.message, cx_json_string_or(s, "message", ""));
        return c;
}

bool container_adopt(struct runtime *rt, struct container *c)
{
        CX_CLEANUP(cx_freep) char *fifo = cx_sprintf("%s/%s/exec.fifo", rt->runc_root, c->id);
        CX_CLEANUP(cx_freep) char *pidfile = cx_sprintf("%s/pidfile", c->folder);
        CX_BUF text = CX_BUF_INIT_MAX(32);
        struct stat st;
        int64_t pid = 0;
        if (access(fifo, F_OK) == 0 || stat(pidfile, &st) < 0 || cx_buf_read_file(&text, pidfile) < 0 ||
            cx_parse_int(text.data, 2, INT32_MAX, &pid) < 0)
                return false;
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
        CX_BUF groups = CX_BUF_INIT_MAX(65536);
        bool alive = cx_buf_read_file(&groups, path) == 0 && strstr(groups.data, c->id);
        c->state.status = CONTAINER_RUNNING;
        c->state.started = st.st_mtim.tv_sec * CX_US_PER_S + st.st_mtim.tv_nsec / 1000;
        c->state.pid = (pid_t)pid;
        c->state.pid_start = alive ? pid_start((pid_t)pid) : 0;
        // Over already, it did run all the same, and is not to run twice: how it ended, its monitor tells, or nobody.
        CX_ERROR err = CX_ERROR_INIT;
        if (container_save(rt, c, false, &err) < 0)
                cx_err(&err, "Cannot keep a container's record", "id", c->id);
        return true;
}

bool container_has_process(const struct container_state *state)
{
        // Of one that had ended when its pid was told, the start is not known; after a reboot neither is the pid.
        return state->pid_start && pid_start(state->pid) == state->pid_start;
}

// What conmon wrote at the container's end; false when it has not (yet).
static bool read_exit(const struct runtime *rt, const struct container *c, int *ret_code, int64_t *ret_when)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/exits/%s", rt->state, c->id);
        CX_BUF text = CX_BUF_INIT_MAX(64);
        struct stat st = {0};
        int64_t code = 0;
        if (cx_buf_read_file(&text, path) < 0 || !text.length || stat(path, &st) < 0)
                return false;
        text.data[strcspn(text.data, "\n")] = '\0';
        *ret_code = cx_parse_int(text.data, -1, 255, &code) < 0 ? 255 : (int)code;
        *ret_when = st.st_mtim.tv_sec * CX_US_PER_S + st.st_mtim.tv_nsec / 1000;
        return true;
}

bool container_take_exit(struct runtime *rt, struct container *c)
{
        CX_CLEANUP(cx_freep) char *oom = cx_sprintf("%s/oom", c->folder);
        struct container_state now;
        int code = 0;
        int64_t when = 0;
        bool told = read_exit(rt, c, &code, &when), lost = false;
        container_state(rt, c, &now);
        // Between a process's end and conmon's word lies a moment; only without conmon nobody will tell any more.
        if (!told && now.status == CONTAINER_RUNNING && !container_has_process(&now) && !container_monitored(c)) {
                told = read_exit(rt, c, &code, &when);
                lost = !told;
        }
        bool oom_killed = access(oom, F_OK) == 0;
        pthread_mutex_lock(&rt->lock);
        struct container_state *s = &c->state;
        bool changed = s->status != CONTAINER_EXITED && (told || lost);
        if (changed) {
                s->status = CONTAINER_EXITED;
                s->finished = told ? when : cx_time_now();
                s->exit_code = told ? code : 137;
                s->oom = oom_killed;
                if (lost) {
                        (void)cx_copy_string(s->reason, sizeof s->reason, "ContainerStatusUnknown");
                        (void)cx_copy_string(s->message, sizeof s->message,
                                             "The container could not be located when the pod was terminated");
                }
        }
        pthread_mutex_unlock(&rt->lock);
        CX_ERROR err = CX_ERROR_INIT;
        if (changed && container_save(rt, c, true, &err) < 0)
                cx_err(&err, "Cannot keep a container's record", "id", c->id);
        return changed;
}
