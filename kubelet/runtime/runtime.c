// SPDX-License-Identifier: Apache-2.0
// Opening the runtime: records are read, compared with what lives, and leftovers of a crash are removed. The watcher
// thread turns conmon's exit files into events, and every ten seconds looks for containers whose monitor has died.
#include "kubelet/runtime/runtime_internal.h"

#include "kubelet/runtime/cgroup.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#define LOST_PERIOD (10 * CX_NS_PER_S)

struct cni *runtime_cni(struct runtime *rt)
{
        return rt->cni;
}

const char *runtime_cgroup_root(const struct runtime *rt)
{
        return rt->cgroup_root;
}

// Calls `each` with the name of every entry of a folder.
static void each_entry(struct runtime *rt, const char *root, const char *folder,
                       void (*each)(struct runtime *, const char *))
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", root, folder);
        CX_STRINGS names = CX_STRINGS_INIT; // first all, since `each` may remove some
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_list_folder(path, &names, &err) < 0)
                cx_err(&err, "Some of what was here before stays unknown");
        for (size_t i = 0; i < names.count; i++)
                each(rt, names.items[i]);
}

static void load_sandbox(struct runtime *rt, const char *name)
{
        CX_CLEANUP(cx_freep) char *id = cx_strndup(name, strcspn(name, "."));
        if (cx_map_has(&rt->sandboxes, id))
                return;
        struct sandbox *sandbox = sandbox_load(rt, id);
        if (sandbox) {
                cx_map_set(&rt->sandboxes, sandbox->id, sandbox);
                return;
        }
        cx_info("Removing a sandbox that was never finished", "id", id);
        sandbox_remove_files(rt, id);
}

static void load_container(struct runtime *rt, const char *id)
{
        if (cx_map_has(&rt->containers, id))
                return;
        struct container *container = container_load(rt, id);
        if (!container || (container->state.status == CONTAINER_CREATED && !container_adopt(rt, container))) {
                cx_info("Removing a container that was never finished", "id", id);
                CX_ERROR err = CX_ERROR_INIT;
                if (container_remove_files(rt, id, container ? container->cgroup : NULL, true, &err) < 0)
                        cx_err(&err, "Cannot remove a container's files", "id", id);
                container_unref(container);
                return;
        }
        (void)container_take_exit(rt, container);
        cx_map_set(&rt->containers, container->id, container);
}

// What runc or conmon wrote about a container that is gone by now: they outlive a kubelet that was killed.
static void drop_leftover(struct runtime *rt, const char *id)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (!cx_map_has(&rt->containers, id) && container_remove_files(rt, id, NULL, true, &err) < 0)
                cx_err(&err, "Cannot remove what is left of a container", "id", id);
}

static void drop_leases(struct runtime *rt)
{
        CX_STRINGS ids = CX_STRINGS_INIT;
        CX_MAP_FOREACH (&rt->sandboxes, entry) {
                cx_strings_add(&ids, entry->key);
        }
        cni_keep_leases(rt->cni, &ids);
}

// conmon wants the whole path of the runtime.
static char *find_program(const char *name)
{
        if (strchr(name, '/'))
                return cx_strdup(name);
        CX_STRINGS folders = CX_STRINGS_INIT;
        const char *path = getenv("PATH");
        cx_strings_split(&folders, path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ':');
        for (size_t i = 0; i < folders.count; i++) {
                char *candidate = cx_sprintf("%s/%s", folders.items[i], name);
                if (access(candidate, X_OK) == 0)
                        return candidate;
                free(candidate);
        }
        return cx_strdup(name);
}

static int make_folders(const struct runtime_options *o, struct cx_error *err)
{
        static const char *const names[] = {"sandboxes", "containers", "exits", "runc"};
        for (size_t i = 0; i < 2 * CX_ARRAY_SIZE(names); i++) {
                size_t k = i / 2; // of each, on disk and in state/; only the first two are on disk too
                if (i % 2 == 0 && k > 1)
                        continue;
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", i % 2 ? o->state : o->root, names[k]);
                int r = cx_mkdir_all(path, k < 2 ? 0711 : 0700, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int runtime_open(const struct runtime_options *o, struct runtime **ret_runtime, struct cx_error *err)
{
        int r = make_folders(o, err);
        if (r < 0)
                return r;
        struct runtime *rt = cx_alloc(sizeof *rt);
        rt->root = cx_strdup(o->root);
        rt->state = cx_strdup(o->state);
        rt->cgroup_root = cx_strdup(strcmp(o->cgroup_root, "/") == 0 ? "" : o->cgroup_root);
        rt->runc = find_program(o->runc);
        rt->conmon = find_program(o->conmon);
        rt->runc_root = cx_sprintf("%s/runc", o->state);
        rt->images = o->images;
        rt->cni = o->cni;
        rt->pids_limit = o->pids_limit;
        rt->seccomp_by_default = o->seccomp_by_default;
        rt->on_exit = o->on_exit;
        rt->context = o->context;
        rt->cgroup_v2 = cgroup_is_v2();
        rt->inotify_fd = rt->stop_fd = -1;
        pthread_mutex_init(&rt->lock, NULL);
        CX_BUF score = CX_BUF_INIT_MAX(64);
        int64_t own = 0;
        if (cx_buf_read_file(&score, "/proc/self/oom_score_adj") == 0) {
                score.data[strcspn(score.data, "\n")] = '\0';
                if (cx_parse_int(score.data, -1000, 1000, &own) < 0)
                        own = 0;
        }
        rt->own_oom_score = (int)own;
        CX_BUF status = CX_BUF_INIT_MAX(65536);
        const char *caps = cx_buf_read_file(&status, "/proc/self/status") == 0 ? strstr(status.data, "CapEff:") : NULL;
        rt->may_lower_oom = caps && (strtoull(caps + 7, NULL, 16) >> 24 & 1); // CAP_SYS_RESOURCE
        if (!rt->may_lower_oom)
                cx_warn("No CAP_SYS_RESOURCE: out-of-memory scores of containers are not lowered below the kubelet's "
                        "own",
                        "oomScoreAdj", CX_INT(own));
        const char *const roots[] = {rt->state, rt->root};
        for (size_t i = 0; i < CX_ARRAY_SIZE(roots); i++) {
                each_entry(rt, roots[i], "sandboxes", load_sandbox);
                each_entry(rt, roots[i], "containers", load_container);
        }
        each_entry(rt, rt->state, "exits", drop_leftover);
        each_entry(rt, rt->state, "runc", drop_leftover);
        drop_leases(rt);
        *ret_runtime = rt;
        return 0;
}

static void exited(struct runtime *rt, struct container *container)
{
        if (container_take_exit(rt, container) && rt->on_exit)
                rt->on_exit(rt->context, container->pod_uid);
}

static struct container *by_id(struct runtime *rt, const char *id)
{
        pthread_mutex_lock(&rt->lock);
        struct container *container = cx_map_get(&rt->containers, id);
        if (container)
                container_ref(container);
        pthread_mutex_unlock(&rt->lock);
        return container;
}

static void read_events(struct runtime *rt)
{
        char block[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(rt->inotify_fd, block, sizeof block);
        for (char *p = block; n > 0 && p < block + n;) {
                struct inotify_event *event = (struct inotify_event *)p;
                p += sizeof *event + event->len;
                CX_CLEANUP(container_unrefp)
                struct container *container = event->len ? by_id(rt, event->name) : NULL;
                if (container)
                        exited(rt, container);
        }
}

// A container whose process is gone without an exit file has lost its monitor, and gets the file's word from us. One that
// runs on without its monitor has nobody to read its output and to tell how it ends: it is ended.
static void check_lost(struct runtime *rt)
{
        CONTAINERS all = {0};
        runtime_containers(rt, NULL, &all);
        for (size_t i = 0; i < all.count; i++) {
                struct container *c = all.items[i];
                struct container_state state;
                container_state(rt, c, &state);
                if (state.status != CONTAINER_RUNNING)
                        continue;
                if (container_has_process(&state) && !container_monitored(c)) {
                        cx_warn("A container has lost its monitor and is ended", "id", c->id, "pod", c->pod_name);
                        (void)container_signal(rt, c, SIGKILL);
                        for (int n = 0; n < 100 && container_has_process(&state); n++)
                                nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
                }
                if (!container_has_process(&state))
                        exited(rt, c);
        }
}

static void *watch(void *context)
{
        struct runtime *rt = context;
        int64_t next = cx_time_monotonic() + LOST_PERIOD;
        for (;;) {
                struct pollfd fds[2] = {{rt->inotify_fd, POLLIN, 0}, {rt->stop_fd, POLLIN, 0}};
                int64_t left = (next - cx_time_monotonic()) / CX_NS_PER_MS;
                int n = poll(fds, 2, left > 0 ? (int)left + 1 : 0);
                if (n > 0 && fds[1].revents)
                        return NULL;
                if (n > 0 && fds[0].revents)
                        read_events(rt);
                if (cx_time_monotonic() < next)
                        continue;
                check_lost(rt);
                next = cx_time_monotonic() + LOST_PERIOD;
        }
}

int runtime_start(struct runtime *rt, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *exits = cx_sprintf("%s/exits", rt->state);
        rt->inotify_fd = inotify_init1(IN_CLOEXEC);
        rt->stop_fd = eventfd(0, EFD_CLOEXEC);
        if (rt->inotify_fd < 0 || rt->stop_fd < 0 ||
            inotify_add_watch(rt->inotify_fd, exits, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
                return cx_error_set(err, -errno, "cannot watch %s: %s", exits, strerror(errno));
        CONTAINERS all = {0};
        runtime_containers(rt, NULL, &all);
        for (size_t i = 0; i < all.count; i++) // what ended between opening and now
                exited(rt, all.items[i]);
        int r = -pthread_create(&rt->watcher, NULL, watch, rt);
        if (r < 0)
                return cx_error_set(err, r, "cannot start a thread: %s", strerror(-r));
        rt->watching = true;
        return 0;
}

void runtime_free(struct runtime *rt)
{
        if (!rt)
                return;
        if (rt->watching) {
                uint64_t one = 1;
                (void)!write(rt->stop_fd, &one, sizeof one);
                pthread_join(rt->watcher, NULL);
        }
        CX_MAP_FOREACH (&rt->sandboxes, entry) {
                sandbox_unref(entry->value);
        }
        CX_MAP_FOREACH (&rt->containers, other) {
                container_unref(other->value);
        }
        cx_map_release(&rt->sandboxes);
        cx_map_release(&rt->containers);
        if (rt->inotify_fd >= 0)
                close(rt->inotify_fd);
        if (rt->stop_fd >= 0)
                close(rt->stop_fd);
        pthread_mutex_destroy(&rt->lock);
        free(rt->root);
        free(rt->state);
        free(rt->cgroup_root);
        free(rt->runc);
        free(rt->conmon);
        free(rt->runc_root);
        free(rt);
}

static int older(const void *a, const void *b)
{
        const struct container *x = *(struct container *const *)a, *y = *(struct container *const *)b;
        if (x->created != y->created)
                return x->created < y->created ? -1 : 1;
        return strcmp(x->id, y->id);
}

void runtime_containers(struct runtime *rt, const char *pod_uid, struct containers *ret_list)
{
        pthread_mutex_lock(&rt->lock);
        CX_MAP_FOREACH (&rt->containers, entry) {
                struct container *container = entry->value;
                if (pod_uid && strcmp(container->pod_uid, pod_uid) != 0)
                        continue;
                ret_list->items = cx_realloc_array(ret_list->items, ret_list->count + 1, sizeof *ret_list->items);
                ret_list->items[ret_list->count++] = container_ref(container);
        }
        pthread_mutex_unlock(&rt->lock);
        if (ret_list->count)
                qsort(ret_list->items, ret_list->count, sizeof *ret_list->items, older);
}

void containers_release(struct containers *list)
{
        for (size_t i = 0; i < list->count; i++)
                container_unref(list->items[i]);
        free(list->items);
        *list = (struct containers){0};
}

struct container *runtime_container(struct runtime *rt, const char *pod_uid, const char *name, bool previous)
{
        CONTAINERS list = {0};
        runtime_containers(rt, pod_uid, &list);
        for (size_t i = list.count; i-- > 0;) {
                if (strcmp(list.items[i]->name, name) != 0)
                        continue;
                if (previous) {
                        previous = false;
                        continue;
                }
                return container_ref(list.items[i]);
        }
        return NULL;
}

void runtime_pods(struct runtime *rt, struct cx_strings *ret_uids)
{
        pthread_mutex_lock(&rt->lock);
        CX_MAP_FOREACH (&rt->sandboxes, entry) {
                const char *uid = ((struct sandbox *)entry->value)->pod_uid;
                if (!cx_strings_has(ret_uids, uid))
                        cx_strings_add(ret_uids, uid);
        }
        CX_MAP_FOREACH (&rt->containers, other) {
                const char *uid = ((struct container *)other->value)->pod_uid;
                if (!cx_strings_has(ret_uids, uid))
                        cx_strings_add(ret_uids, uid);
        }
        pthread_mutex_unlock(&rt->lock);
}

struct sandbox *runtime_sandbox(struct runtime *rt, const char *pod_uid)
{
        struct sandbox *best = NULL;
        pthread_mutex_lock(&rt->lock);
        CX_MAP_FOREACH (&rt->sandboxes, entry) {
                struct sandbox *sandbox = entry->value;
                if (strcmp(sandbox->pod_uid, pod_uid) == 0 && (!best || sandbox->created > best->created))
                        best = sandbox;
        }
        if (best)
                __atomic_add_fetch(&best->refs, 1, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&rt->lock);
        return best;
}

static bool ask_recursive(const struct runtime *rt)
{
        const char *const argv[] = {rt->runc, "features", NULL};
        CX_BUF out = CX_BUF_INIT_MAX(1 << 20);
        CX_ERROR err = CX_ERROR_INIT;
        if (syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) < 0 && errno == ENOSYS)
                return false;
        return cx_run_ok(argv, &out, &err) == 0 && strstr(out.data, "\"rro\"");
}

bool runtime_recursive_read_only(struct runtime *rt)
{
        pthread_mutex_lock(&rt->lock);
        int known = rt->recursive_read_only;
        pthread_mutex_unlock(&rt->lock);
        if (known == RECURSIVE_UNKNOWN) {
                known = ask_recursive(rt) ? RECURSIVE_YES : RECURSIVE_NO;
                pthread_mutex_lock(&rt->lock);
                rt->recursive_read_only = known;
                pthread_mutex_unlock(&rt->lock);
        }
        return known == RECURSIVE_YES;
}
