// SPDX-License-Identifier: Apache-2.0
// One thread looks at the folder when inotify tells of a change, when a try to register has ended, and when one that failed is
// to be made again. The tries run beside it, a few at a time, so that a registrar or a driver that hangs holds up nobody but
// itself. A socket is known by name and inode: one that was made anew is registered anew.
//
// A try ends at any time after its socket has gone. It counts only while the socket is there: what it brings about and what
// undoes it happen under one lock.
#include "kubelet/csi/drivers.h"

#include "kubelet/csi/csi_node.h"
#include "kubelet/csi/registrar.h"
#include "kubelet/volume/operations.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define RETRY (2 * CX_NS_PER_S)     // of what is not a registrar's fault
#define PATIENCE (10 * CX_NS_PER_S) // with drivers, after the start
#define DEPTH_MAX 4                 // of folders below the registry
#define SOCKETS_MAX 256
#define TRIES_MAX 16 // at a time

// To register what is behind a socket: the operation's, and the registrar's that waits for it.
struct csi_attempt {
        struct csi_drivers *drivers;
        char *socket, *key;
        unsigned refs; // atomic
        bool dropped;  // nobody waits any longer; with the next under the lock of the node's objects
        char *driver;  // that was registered; NULL: not (yet)
};
// A socket of a registrar.
struct registrar {
        ino_t inode;
        struct timespec made;
        bool seen;                   // at the present look
        bool told;                   // that it could not be registered
        struct csi_attempt *attempt; // NULL: none, or it has come to something
        char *driver;                // that it registered; NULL: not (yet)
        char *former;                // that was registered before it had to be done anew
};
struct csi_drivers {
        const struct kubelet *kubelet;
        char *folder;
        int64_t began; // monotonic ns
        struct operations *attempts;
        pthread_t thread;
        bool running;
        int wake_fd, inotify_fd;
        bool has_node;            // the thread's: there is a CSINode
        unsigned round;           // the thread's: how often all had to be registered
        struct cx_map registrars; // the thread's: path → struct registrar
        struct cx_strings stale;  // the thread's: keys of attempts that were dropped
        pthread_mutex_t node;     // held while CSINode, Node and `drivers` are brought in line; before the other lock
        pthread_mutex_t lock;     // guards what follows
        bool stopping, anew;      // anew: all have to be registered once more
        struct cx_map drivers;    // name → struct csi_driver
};

static void csi_attempt_unref(void *p)
{
        struct csi_attempt *a = p;
        if (__atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL))
                return;
        free(a->socket);
        free(a->key);
        free(a->driver);
        free(a);
}

static void registrar_free(void *p)
{
        struct registrar *r = p;
        if (r->attempt)
                csi_attempt_unref(r->attempt);
        free(r->driver);
        free(r->former);
        free(r);
}

static void wake(void *context, const char *key CX_UNUSED)
{
        (void)eventfd_write(((struct csi_drivers *)context)->wake_fd, 1);
}

static void driver_drop(void *p)
{
        csi_driver_unref(p);
}

struct csi_drivers *csi_drivers_new(const struct kubelet *kubelet)
{
        struct csi_drivers *d = cx_alloc(sizeof *d);
        d->kubelet = kubelet;
        d->began = cx_time_monotonic();
        d->folder = cx_sprintf("%s/plugins_registry", kubelet->root);
        d->wake_fd = d->inotify_fd = -1;
        d->registrars = (struct cx_map)CX_MAP_INIT_FREE(registrar_free);
        d->drivers = (struct cx_map)CX_MAP_INIT_FREE(driver_drop);
        d->attempts = operations_new(TRIES_MAX, wake, d);
        pthread_mutex_init(&d->node, NULL);
        pthread_mutex_init(&d->lock, NULL);
        return d;
}

int csi_drivers_find(struct csi_drivers *d, const char *name, struct csi_driver **ret, struct cx_error *err)
{
        pthread_mutex_lock(&d->lock);
        struct csi_driver *found = cx_map_get(&d->drivers, name);
        if (found)
                *ret = csi_driver_ref(found);
        pthread_mutex_unlock(&d->lock);
        bool early = cx_time_monotonic() - d->began < PATIENCE;
        return found ? 0
                     : cx_error_set(err, early ? -EAGAIN : -ENOENT,
                                    "driver name %s not found in the list of registered CSI drivers", name);
}

// --- one attempt -----------------------------------------------------------------------------------------------------

// Under the lock of the node's objects.
static int add_driver(struct csi_drivers *d, const struct registrar_answer *answer, struct cx_error *err)
{
        const char *name = csi_driver_name(answer->driver);
        int r = d->kubelet->rest ? csi_node_add(d->kubelet, name, answer->node, err) : 0;
        if (r < 0)
                return cx_error_wrap(err, "error updating CSINode object with CSI driver node info");
        pthread_mutex_lock(&d->lock);
        cx_map_set(&d->drivers, name, csi_driver_ref(answer->driver));
        pthread_mutex_unlock(&d->lock);
        cx_info("CSI driver registered", "driver", name, "endpoint", csi_driver_endpoint(answer->driver));
        return 0;
}

static int csi_attempt_run(void *context, struct cx_error *err)
{
        struct csi_attempt *a = context;
        struct registrar_answer answer = REGISTRAR_ANSWER_INIT;
        bool tell;
        int r = registrar_ask(a->socket, &answer, &tell, err);
        if (r == 0) {
                pthread_mutex_lock(&a->drivers->node);
                tell = !a->dropped;
                r = a->dropped ? cx_error_set(err, -ECANCELED, "the socket has gone")
                               : add_driver(a->drivers, &answer, err);
                if (r == 0)
                        a->driver = cx_strdup(csi_driver_name(answer.driver));
                pthread_mutex_unlock(&a->drivers->node);
        }
        registrar_answer_release(&answer);
        if (tell)
                registrar_tell(a->socket, r < 0 ? err : NULL);
        return r;
}

static struct csi_attempt *csi_attempt_new(struct csi_drivers *d, const char *path, const struct registrar *r)
{
        struct csi_attempt *a = cx_alloc(sizeof *a);
        *a = (struct csi_attempt){.drivers = d, .socket = cx_strdup(path), .refs = 1};
        a->key = cx_sprintf("%u %ju %jd.%09ld %s", d->round, (uintmax_t)r->inode, (intmax_t)r->made.tv_sec,
                            r->made.tv_nsec, path);
        return a;
}

// 0: it has its driver. -EINPROGRESS: ret_again says when to ask again, ns; INT64_MAX: its end wakes the thread. Otherwise it
// failed, and is made again after ret_again.
static int csi_attempt_go_on(struct csi_drivers *d, struct csi_attempt *a, int64_t *ret_again, struct cx_error *err)
{
        __atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
        return operations_do(d->attempts,
                             &(struct volume_operation){.key = a->key,
                                                        .owner = a->key,
                                                        .run = csi_attempt_run,
                                                        .free_context = csi_attempt_unref,
                                                        .context = a},
                             ret_again, err);
}

// What it brought about and nobody has taken yet is the caller's; what it would bring about does not come.
static char *csi_attempt_drop(struct csi_drivers *d, struct csi_attempt *a)
{
        pthread_mutex_lock(&d->node);
        a->dropped = true;
        char *driver = a->driver;
        a->driver = NULL;
        pthread_mutex_unlock(&d->node);
        cx_strings_add(&d->stale, a->key);
        csi_attempt_unref(a);
        return driver;
}

// --- the folder ------------------------------------------------------------------------------------------------------

static void remove_driver(struct csi_drivers *d, const char *name)
{
        CX_ERROR err = CX_ERROR_INIT;
        pthread_mutex_lock(&d->node);
        pthread_mutex_lock(&d->lock);
        struct csi_driver *gone = cx_map_take(&d->drivers, name);
        pthread_mutex_unlock(&d->lock);
        if (gone)
                csi_driver_unref(gone);
        cx_info("CSI driver is gone", "driver", name);
        if (d->kubelet->rest && csi_node_remove(d->kubelet, name, &err) < 0)
                cx_err(&err, "Cannot take a CSI driver out of CSINode", "driver", name);
        pthread_mutex_unlock(&d->node);
}

static bool is_somebodys(struct csi_drivers *d, const char *driver)
{
        bool has = false;
        CX_MAP_FOREACH (&d->registrars, entry) {
                has = has || cx_streq(((struct registrar *)entry->value)->driver, driver);
        }
        return has;
}

// It has to be registered anew. What it has registered stays until it is known who is there now.
static void registrar_reset(struct csi_drivers *d, struct registrar *r)
{
        char *driver = cx_steal(&r->driver);
        if (r->attempt) {
                char *other = csi_attempt_drop(d, cx_steal(&r->attempt));
                if (driver)
                        free(other);
                else
                        driver = other;
        }
        if (driver) {
                free(r->former);
                r->former = driver;
        }
        r->told = false;
}

static void registrar_leave_former(struct csi_drivers *d, struct registrar *r)
{
        CX_CLEANUP(cx_freep) char *former = cx_steal(&r->former);
        if (former && !is_somebodys(d, former))
                remove_driver(d, former);
}

static struct registrar *find_registrar(struct csi_drivers *d, const char *path, const struct stat *st)
{
        struct registrar *r = cx_map_get(&d->registrars, path);
        bool same = r && r->inode == st->st_ino && r->made.tv_sec == st->st_ctim.tv_sec &&
                    r->made.tv_nsec == st->st_ctim.tv_nsec;
        if (r && !same)
                registrar_reset(d, r);
        if (!r) {
                r = cx_alloc(sizeof *r);
                cx_map_set(&d->registrars, path, r);
        }
        r->inode = st->st_ino;
        r->made = st->st_ctim;
        r->seen = true;
        return r;
}

// When to look again, ns; INT64_MAX: when something happens.
static int64_t look_at_socket(struct csi_drivers *d, const char *path, const struct stat *st)
{
        struct registrar *r = find_registrar(d, path, st);
        int64_t again;
        CX_ERROR err = CX_ERROR_INIT;
        if (r->driver)
                return INT64_MAX;
        if (!r->attempt)
                r->attempt = csi_attempt_new(d, path, r);
        int code = csi_attempt_go_on(d, r->attempt, &again, &err);
        if (code == 0) {
                r->driver = cx_steal(&r->attempt->driver);
                csi_attempt_unref(cx_steal(&r->attempt));
                registrar_leave_former(d, r);
        } else if (code != -EINPROGRESS && !r->told) {
                cx_info("CSI driver is not registered", "socket", path, "why", cx_error_text(&err));
                r->told = true;
        }
        return again;
}

static int64_t look_in(struct csi_drivers *d, const char *folder, int depth)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        int64_t again = INT64_MAX;
        if (cx_list_folder(folder, &names, &err) < 0)
                return RETRY;
        (void)inotify_add_watch(d->inotify_fd, folder, IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR | IN_DONT_FOLLOW);
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, names.items[i]);
                struct stat st;
                int64_t wait = INT64_MAX;
                if (lstat(path, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
                        wait = look_in(d, path, depth + 1);
                else if (S_ISSOCK(st.st_mode) &&
                         (cx_map_get(&d->registrars, path) || d->registrars.count < SOCKETS_MAX))
                        wait = look_at_socket(d, path, &st);
                again = wait < again ? wait : again;
        }
        return again;
}

static void remove_unseen(struct csi_drivers *d)
{
        CX_MAP_FOREACH (&d->registrars, entry) {
                struct registrar *r = entry->value;
                if (r->seen)
                        continue;
                registrar_reset(d, r);
                registrar_leave_former(d, r);
                cx_map_remove(&d->registrars, entry->key);
        }
}

// Results that nobody will take.
static void forget_stale(struct csi_drivers *d)
{
        size_t kept = 0;
        for (size_t i = 0; i < d->stale.count; i++) {
                if (operations_forget(d->attempts, d->stale.items[i]))
                        free(d->stale.items[i]);
                else
                        d->stale.items[kept++] = d->stale.items[i];
        }
        d->stale.count = kept;
}

static int64_t look(struct csi_drivers *d)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (d->kubelet->rest && !d->has_node) {
                int r = csi_node_ensure(d->kubelet, &err);
                d->has_node = r == 0;
                if (r != 0)
                        return RETRY;
        }
        CX_MAP_FOREACH (&d->registrars, entry) {
                ((struct registrar *)entry->value)->seen = false;
        }
        int64_t again = look_in(d, d->folder, 0);
        remove_unseen(d);
        forget_stale(d);
        return again;
}

// False when it is to stop.
static bool take_orders(struct csi_drivers *d)
{
        eventfd_t count;
        (void)eventfd_read(d->wake_fd, &count);
        pthread_mutex_lock(&d->lock);
        bool stopping = d->stopping, anew = d->anew;
        d->anew = false;
        pthread_mutex_unlock(&d->lock);
        if (!anew && !stopping)
                return true;
        d->has_node = false;
        d->round++;
        CX_MAP_FOREACH (&d->registrars, entry) {
                registrar_reset(d, entry->value);
        }
        return !stopping;
}

static void *watch(void *context)
{
        struct csi_drivers *d = context;
        while (take_orders(d)) {
                int64_t again = look(d);
                struct pollfd fds[] = {{d->wake_fd, POLLIN, 0}, {d->inotify_fd, POLLIN, 0}};
                char events[4096];
                int wait = again == INT64_MAX ? -1 : (int)(again / CX_NS_PER_MS) + 1;
                if (poll(fds, 2, wait) < 0 && errno != EINTR)
                        return NULL;
                while (read(d->inotify_fd, events, sizeof events) > 0)
                        ;
        }
        return NULL;
}

int csi_drivers_start(struct csi_drivers *d, struct cx_error *err)
{
        int r = cx_mkdir_all(d->folder, 0750, err);
        if (r < 0)
                return r;
        d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        d->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (d->wake_fd < 0 || d->inotify_fd < 0)
                return cx_error_set(err, -errno, "cannot watch %s: %s", d->folder, strerror(errno));
        r = -pthread_create(&d->thread, NULL, watch, d);
        if (r < 0)
                return cx_error_set(err, r, "cannot start a thread: %s", strerror(-r));
        d->running = true;
        return 0;
}

void csi_drivers_stop(struct csi_drivers *d)
{
        if (!d || !d->running)
                return;
        pthread_mutex_lock(&d->lock);
        d->stopping = true;
        pthread_mutex_unlock(&d->lock);
        (void)eventfd_write(d->wake_fd, 1);
        pthread_join(d->thread, NULL);
        d->running = false;
}

void csi_drivers_node_made(void *context)
{
        struct csi_drivers *d = context;
        pthread_mutex_lock(&d->lock);
        d->anew = true;
        pthread_mutex_unlock(&d->lock);
        (void)eventfd_write(d->wake_fd, 1);
}
