// SPDX-License-Identifier: Apache-2.0
// Static pods: manifests are read, made whole and told to the pods, again whenever inotify sees a change.
#include "kubelet/pod/manifests.h"

#include "kubelet/pod/pods.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/engine.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

struct manifests {
        struct pods *pods;
        const char *node;
        char *path;
        struct cx_map known; // uid → "" of what was told
        pthread_t thread;
        int inotify_fd, stop_fd;
};

static void hash_hex(const char *text, size_t length, char to[33])
{
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        EVP_Digest(text, length, raw, &n, EVP_sha256(), NULL);
        for (int i = 0; i < 16; i++)
                snprintf(to + 2 * i, 3, "%02x", raw[i]);
}

static bool is_name(const char *text)
{
        return text && *text && strlen(text) <= 253 && *text != '.' && !text[strcspn(text, "/ \t\r\n")];
}

// Names become parts of paths. Nobody has validated those of a manifest.
static int check_names(const json_t *pod, struct cx_error *err)
{
        const char *namespace = cx_json_string(pod, "metadata.namespace");
        if (!is_name(cx_json_string(pod, "metadata.name")) || (namespace && !is_name(namespace)))
                return cx_error_set(err, -EINVAL, "metadata.name or metadata.namespace is not a name");
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_ALL)
        {
                if (!is_name(walk.name))
                        return cx_error_set(err, -EINVAL, "spec.%s[%zu].name is not a name",
                                            cx_pod_list_name(walk.list), walk.index);
        }
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume) {
                if (!is_name(cx_json_string(volume, "name")))
                        return cx_error_set(err, -EINVAL, "spec.volumes[%zu].name is not a name", i);
        }
        return 0;
}

int manifest_parse(const char *text, size_t length, const char *source, const char *node, json_t **ret_pod,
                   struct cx_error *err)
{
        json_auto_t *documents = NULL;
        int r = cx_yaml_parse(text, length, &documents, err);
        if (r < 0)
                return cx_error_wrap(err, "%s", source);
        json_auto_t *pod = json_incref(json_array_get(documents, 0));
        const char *name = cx_json_string(pod, "metadata.name");
        if (!cx_streq(cx_json_string(pod, "kind"), "Pod") || !name || !json_is_object(json_object_get(pod, "spec")))
                return cx_error_set(err, -EINVAL, "%s: not a Pod", source);
        r = check_names(pod, err);
        if (r < 0)
                return cx_error_wrap(err, "%s", source);
        // What changes the manifest makes another pod: the uid is a hash of node, place and content.
        CX_BUF seed = CX_BUF_INIT;
        cx_buf_printf(&seed, "%s\n%s\n", node, source);
        cx_buf_append(&seed, text, length);
        char hash[33];
        hash_hex(seed.data, seed.length, hash);
        CX_CLEANUP(cx_freep) char *full = cx_sprintf("%s-%s", name, node);
        const struct cx_kind *kind = cx_schema_kind("", "v1", "Pod");
        json_t *metadata = json_object_get(pod, "metadata");
        json_object_set_new(metadata, "name", json_string(full));
        json_object_set_new(metadata, "uid", json_string(hash));
        if (!json_object_get(metadata, "namespace"))
                json_object_set_new(metadata, "namespace", json_string("default"));
        json_t *annotations = cx_json_object_at(metadata, "annotations");
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        json_object_set_new(annotations, "kubernetes.io/config.source", json_string("file"));
        json_object_set_new(annotations, "kubernetes.io/config.seen", json_string(now));
        json_object_set_new(annotations, "kubernetes.io/config.hash", json_string(hash));
        json_t *spec = json_object_get(pod, "spec");
        json_object_set_new(spec, "nodeName", json_string(node));
        json_object_del(pod, "status");
        // A node's taints do not end what the node itself was told to run.
        json_array_append_new(cx_json_array_at(spec, "tolerations"),
                              json_pack("{s:s, s:s}", "operator", "Exists", "effect", "NoExecute"));
        if (kind)
                cx_schema_default(kind, pod);
        *ret_pod = cx_steal(&pod);
        return 0;
}

static void read_one(struct manifests *m, const char *path, struct cx_map *seen)
{
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        CX_ERROR err = CX_ERROR_INIT;
        json_t *pod = NULL;
        struct stat st;
        if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || cx_buf_read_file(&text, path) < 0)
                return;
        if (manifest_parse(text.data, text.length, path, m->node, &pod, &err) < 0) {
                cx_err(&err, "Cannot use a static pod manifest", "path", path);
                return;
        }
        const char *uid = cx_json_string(pod, "metadata.uid");
        cx_map_set(seen, uid, (void *)"");
        if (cx_map_has(&m->known, uid)) {
                json_decref(pod);
                return;
        }
        cx_map_set(&m->known, uid, (void *)"");
        pods_set(m->pods, pod, true);
}

static void read_all(struct manifests *m)
{
        CX_MAP seen = CX_MAP_INIT;
        DIR *dir = opendir(m->path);
        struct dirent *entry;
        if (!dir)
                read_one(m, m->path, &seen);
        while (dir && (entry = readdir(dir)))
                if (entry->d_name[0] != '.') {
                        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", m->path, entry->d_name);
                        read_one(m, path, &seen);
                }
        if (dir)
                closedir(dir);
        CX_MAP_FOREACH (&m->known, old) {
                if (!cx_map_has(&seen, old->key)) {
                        pods_remove(m->pods, old->key);
                        cx_map_remove(&m->known, old->key);
                }
        }
}

static void *watch(void *context)
{
        struct manifests *m = context;
        for (;;) {
                struct pollfd fds[2] = {{m->inotify_fd, POLLIN, 0}, {m->stop_fd, POLLIN, 0}};
                int n = poll(fds, 2, 20000);
                if (n > 0 && fds[1].revents)
                        return NULL;
                char block[8192];
                if (n > 0 && read(m->inotify_fd, block, sizeof block) < 0 && errno != EINTR)
                        return NULL;
                read_all(m);
        }
}

int manifests_start(struct pods *pods, const char *node, const char *path, struct manifests **ret_manifests,
                    struct cx_error *err)
{
        struct manifests *m = cx_alloc(sizeof *m);
        m->pods = pods;
        m->node = node;
        m->path = cx_strdup(path);
        m->inotify_fd = inotify_init1(IN_CLOEXEC);
        m->stop_fd = eventfd(0, EFD_CLOEXEC);
        if (m->inotify_fd >= 0) // a path that does not exist yet is found by the slow look every 20 s
                (void)inotify_add_watch(m->inotify_fd, path,
                                        IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
        read_all(m);
        int r = -pthread_create(&m->thread, NULL, watch, m);
        if (r < 0)
                return cx_error_set(err, r, "cannot start a thread: %s", strerror(-r));
        *ret_manifests = m;
        return 0;
}

void manifests_free(struct manifests *m)
{
        if (!m)
                return;
        uint64_t one = 1;
        (void)!write(m->stop_fd, &one, sizeof one);
        pthread_join(m->thread, NULL);
        cx_map_release(&m->known);
        close(m->inotify_fd);
        close(m->stop_fd);
        free(m->path);
        free(m);
}
