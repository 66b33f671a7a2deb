// SPDX-License-Identifier: Apache-2.0
// One thread looks at the folder when inotify tells of a change, and every few seconds: a registrar that could not be talked
// to yet, or an apiserver, is tried again then. A socket is known by name and inode, so that one that was made anew is
// registered anew. What a driver says of itself is checked before it counts.
#include "kubelet/csi/drivers.h"

#include "kubelet/csi/csi_node.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define REGISTRAR_TIMEOUT (10 * CX_NS_PER_S)
#define RETRY_MS 2000
#define PATIENCE (10 * CX_NS_PER_S) // with drivers, after the start
#define DEPTH_MAX 4                 // of folders below the registry
#define SOCKETS_MAX 256

// A socket of a registrar.
struct registrar {
        ino_t inode;
        struct timespec made;
        bool seen;    // at the present look
        bool told;    // that it could not be registered
        char *driver; // that it registered; NULL: not (yet)
};
struct csi_drivers {
        const struct kubelet *kubelet;
        char *folder;
        int64_t began; // monotonic ns
        pthread_t thread;
        bool running;
        int wake_fd, inotify_fd;
        bool has_node;            // the thread's: there is a CSINode
        struct cx_map registrars; // the thread's: path → struct registrar
        pthread_mutex_t lock;     // guards what follows
        bool stopping, anew;      // anew: all have to be registered once more
        struct cx_map drivers;    // name → struct csi_driver
};

static void registrar_free(void *p)
{
        struct registrar *r = p;
        free(r->driver);
        free(r);
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

// --- one registrar ---------------------------------------------------------------------------------------------------

static bool is_driver_name(const char *name)
{
        size_t n = strlen(name);
        if (!n || n > 63)
                return false;
        for (size_t i = 0; i < n; i++) {
                bool alnum = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
                             (name[i] >= '0' && name[i] <= '9');
                if (!alnum && (i == 0 || i == n - 1 || !strchr("-.", name[i])))
                        return false;
        }
        return true;
}

static int check_info(const Csi__PluginInfo *info, struct cx_error *err)
{
        bool v1 = false;
        if (strcmp(info->type, "CSIPlugin") != 0)
                return cx_error_set(err, -ENOTSUP, "no handler registered for plugin type: %.64s at socket",
                                    info->type);
        for (size_t i = 0; i < info->n_supported_versions; i++)
                v1 = v1 || cx_has_prefix(info->supported_versions[i], "1.") ||
                     cx_has_prefix(info->supported_versions[i], "v1.");
        if (!v1)
                return cx_error_set(err, -ENOTSUP, "the driver supports no version 1.x of CSI");
        if (!is_driver_name(info->name))
                return cx_error_set(err, -EINVAL, "\"%.64s\" is not a driver name", info->name);
        if (info->endpoint[0] && info->endpoint[0] != '/')
                return cx_error_set(err, -EINVAL, "endpoint \"%.256s\" is not an absolute path", info->endpoint);
        return 0;
}

static int add_driver(struct csi_drivers *d, const char *name, const char *endpoint, struct cx_error *err)
{
        struct csi_driver *driver = NULL;
        ProtobufCMessage *answer = NULL;
        Csi__Empty nothing = CSI__EMPTY__INIT;
        int r = csi_driver_new(name, endpoint, &driver, err);
        if (r < 0)
                return r;
        r = csi_call_once(&(struct csi_once){endpoint, "/csi.v1.Node/NodeGetInfo", REGISTRAR_TIMEOUT}, &nothing.base,
                          &csi__node_info__descriptor, &answer, err);
        if (r == 0 && d->kubelet->rest)
                r = csi_node_add(d->kubelet, name, (const Csi__NodeInfo *)answer, err);
        if (answer)
                protobuf_c_message_free_unpacked(answer, NULL);
        if (r < 0) {
                csi_driver_unref(driver);
                return cx_error_wrap(err, "error during CSI NodeGetInfo() call or the update of CSINode");
        }
        pthread_mutex_lock(&d->lock);
        cx_map_set(&d->drivers, name, driver);
        pthread_mutex_unlock(&d->lock);
        cx_info("CSI driver registered", "driver", name, "endpoint", endpoint);
        return 0;
}

static void tell(const char *socket, const struct cx_error *failure)
{
        Csi__RegistrationStatus status = CSI__REGISTRATION_STATUS__INIT;
        status.plugin_registered = !failure;
        status.error = (char *)(failure ? cx_error_text(failure) : "");
        CX_ERROR err = CX_ERROR_INIT;
        if (csi_call_once(&(struct csi_once){socket, "/pluginregistration.Registration/NotifyRegistrationStatus",
                                             REGISTRAR_TIMEOUT},
                          &status.base, NULL, NULL, &err) < 0)
                cx_info("Cannot tell a registrar", "socket", socket, "why", cx_error_text(&err));
}

static int register_one(struct csi_drivers *d, const char *socket, struct registrar *r, struct cx_error *err)
{
        ProtobufCMessage *answer = NULL;
        Csi__Empty nothing = CSI__EMPTY__INIT;
        int code =
                csi_call_once(&(struct csi_once){socket, "/pluginregistration.Registration/GetInfo", REGISTRAR_TIMEOUT},
                              &nothing.base, &csi__plugin_info__descriptor, &answer, err);
        if (code < 0)
                return code;
        const Csi__PluginInfo *info = (const Csi__PluginInfo *)answer;
        CX_ERROR failure = CX_ERROR_INIT;
        code = check_info(info, &failure);
        if (code == 0)
                code = add_driver(d, info->name, *info->endpoint ? info->endpoint : socket, &failure);
        if (code == 0)
                r->driver = cx_strdup(info->name);
        protobuf_c_message_free_unpacked(answer, NULL);
        tell(socket, code < 0 ? &failure : NULL);
        return code < 0 ? cx_error_move(err, &failure) : 0;
}

// --- the folder ------------------------------------------------------------------------------------------------------

static void remove_driver(struct csi_drivers *d, const char *name)
{
        CX_ERROR err = CX_ERROR_INIT;
        pthread_mutex_lock(&d->lock);
        struct csi_driver *gone = cx_map_take(&d->drivers, name);
        pthread_mutex_unlock(&d->lock);
        if (gone)
                csi_driver_unref(gone);
        cx_info("CSI driver is gone", "driver", name);
        if (d->kubelet->rest && csi_node_remove(d->kubelet, name, &err) < 0)
                cx_err(&err, "Cannot take a CSI driver out of CSINode", "driver", name);
}

static bool other_has(struct csi_drivers *d, const char *driver)
{
        bool has = false;
        CX_MAP_FOREACH (&d->registrars, entry) {
                const struct registrar *r = entry->value;
                has = has || (r->seen && cx_streq(r->driver, driver));
        }
        return has;
}

// True when something has to be tried again.
static bool look_at_socket(struct csi_drivers *d, const char *path, const struct stat *st)
{
        struct registrar *r = cx_map_get(&d->registrars, path);
        bool same = r && r->inode == st->st_ino && r->made.tv_sec == st->st_ctim.tv_sec &&
                    r->made.tv_nsec == st->st_ctim.tv_nsec;
        if (r && !same) {
                free(r->driver);
                r->driver = NULL;
                r->told = false;
        }
        if (!r) {
                r = cx_alloc(sizeof *r);
                cx_map_set(&d->registrars, path, r);
        }
        r->inode = st->st_ino;
        r->made = st->st_ctim;
        r->seen = true;
        if (r->driver)
                return false;
        CX_ERROR err = CX_ERROR_INIT;
        if (register_one(d, path, r, &err) < 0) {
                if (!r->told)
                        cx_info("CSI driver is not registered", "socket", path, "why", cx_error_text(&err));
                r->told = true;
                return true;
        }
        return false;
}

static bool look_in(struct csi_drivers *d, const char *folder, int depth)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        bool again = false;
        if (cx_list_folder(folder, &names, &err) < 0)
                return true;
        (void)inotify_add_watch(d->inotify_fd, folder, IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR | IN_DONT_FOLLOW);
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, names.items[i]);
                struct stat st;
                if (lstat(path, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
                        again = look_in(d, path, depth + 1) || again;
                else if (S_ISSOCK(st.st_mode) &&
                         (cx_map_get(&d->registrars, path) || d->registrars.count < SOCKETS_MAX))
                        again = look_at_socket(d, path, &st) || again;
        }
        return again;
}

static bool look(struct csi_drivers *d)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (d->kubelet->rest && !d->has_node) {
                int r = csi_node_ensure(d->kubelet, &err);
                d->has_node = r == 0;
                if (r != 0)
                        return true;
        }
        CX_MAP_FOREACH (&d->registrars, entry) {
                ((struct registrar *)entry->value)->seen = false;
        }
        bool again = look_in(d, d->folder, 0);
        CX_MAP_FOREACH (&d->registrars, entry) {
                const struct registrar *r = entry->value;
                if (r->seen)
                        continue;
                if (r->driver && !other_has(d, r->driver))
                        remove_driver(d, r->driver);
                cx_map_remove(&d->registrars, entry->key);
        }
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
        if (!anew)
                return !stopping;
        d->has_node = false;
        CX_MAP_FOREACH (&d->registrars, entry) {
                struct registrar *r = entry->value;
                free(r->driver);
                r->driver = NULL;
        }
        return !stopping;
}

static void *watch(void *context)
{
        struct csi_drivers *d = context;
        while (take_orders(d)) {
                bool again = look(d);
                struct pollfd fds[] = {{d->wake_fd, POLLIN, 0}, {d->inotify_fd, POLLIN, 0}};
                char events[4096];
                if (poll(fds, 2, again ? RETRY_MS : -1) < 0 && errno != EINTR)
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
