// SPDX-License-Identifier: Apache-2.0
// What the clusters of a machine have to agree on: names and networks that are taken, locks, and forwarding.
#include "minikube/machine.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "minikube/cleanup.h"
#include "minikube/network.h"
#include "minikube/out.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FOLDER "/run/coxswain"
#define CLAIM ".cluster"
#define KEPT_FORWARDING FOLDER "/ip_forward"
#define FORWARDING "/proc/sys/net/ipv4/ip_forward"

// --- locks ---

static int open_lock(const char *path, struct cx_error *err)
{
        for (;;) { // whoever gives back the last lock removes the folder
                if (mkdir(FOLDER, 0700) < 0 && errno != EEXIST)
                        return cx_error_set(err, -errno, "cannot make " FOLDER ": %s", strerror(errno));
                int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (fd >= 0)
                        return fd;
                if (errno != ENOENT)
                        return cx_error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
        }
}

static int take(const char *path, const char *waiting_for, struct lock *ret_lock, struct cx_error *err)
{
        for (;;) {
                CX_CLEANUP(cx_closep) int fd = open_lock(path, err);
                struct stat held, there;
                if (fd < 0)
                        return fd;
                int r = flock(fd, LOCK_EX | LOCK_NB);
                if (r < 0 && errno == EWOULDBLOCK) {
                        if (waiting_for)
                                out(stderr, "⌛  Another minikube works on \"%s\": waiting for it ...\n", waiting_for);
                        waiting_for = NULL;
                        r = flock(fd, LOCK_EX);
                }
                if (r < 0)
                        return cx_error_set(err, -errno, "cannot lock %s: %s", path, strerror(errno));
                // Its last holder has removed the file: then this one locks nothing.
                if (fstat(fd, &held) < 0 || stat(path, &there) < 0 || held.st_ino != there.st_ino)
                        continue;
                *ret_lock = (struct lock){cx_strdup(path), cx_steal_fd(&fd)};
                return 0;
        }
}

int machine_lock(struct lock *ret_lock, struct cx_error *err)
{
        return take(FOLDER "/lock", NULL, ret_lock, err);
}

int machine_lock_profile(const struct profile *profile, struct lock *ret_lock, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf(FOLDER "/%s.lock", profile->name);
        return take(path, profile->name, ret_lock, err);
}

void lock_release(struct lock *lock)
{
        if (lock->fd < 0)
                return;
        (void)unlink(lock->path);
        (void)rmdir(FOLDER); // unless there is more in it
        close(lock->fd);
        free(lock->path);
        *lock = (struct lock)LOCK_INIT;
}

// --- claims ---

static char *claim_path(const char *name)
{
        return cx_sprintf(FOLDER "/%s" CLAIM, name);
}

// A profile of which only what it claimed is known.
static bool read_claim(const char *name, struct profile *ret_profile)
{
        CX_CLEANUP(cx_freep) char *path = claim_path(name);
        CX_BUF text = CX_BUF_INIT_MAX(8192);
        int index, nodes, at = 0;
        if (cx_buf_read_file(&text, path) < 0 || sscanf(text.data, "%d %d %n", &index, &nodes, &at) != 2 || !at ||
            text.data[at] != '/' || index < 0 || index > MAX_INDEX || nodes < 1 || nodes > MAX_NODES)
                return false;
        *ret_profile = (struct profile){.name = cx_strdup(name),
                                        .folder = cx_strndup(text.data + at, strcspn(text.data + at, "\n")),
                                        .index = index,
                                        .nodes = nodes};
        return true;
}

static void list_claims(struct cx_strings *names)
{
        DIR *dir = opendir(FOLDER);
        for (struct dirent *entry; dir && (entry = readdir(dir));)
                if (entry->d_name[0] != '.' && cx_has_suffix(entry->d_name, CLAIM))
                        cx_strings_add_length(names, entry->d_name, strlen(entry->d_name) - strlen(CLAIM));
        if (dir)
                closedir(dir);
}

static bool is_alive(const struct profile *claimed)
{
        CX_CLEANUP(cx_freep) char *config = profile_path(claimed, "config.json");
        return access(config, F_OK) == 0;
}

// --- forwarding ---

static void set_forwarding(const char *value)
{
        CX_BUF now = CX_BUF_INIT_MAX(64);
        // Writing it resets settings of each interface, even when it changes nothing.
        if (cx_buf_read_file(&now, FORWARDING) < 0 || now.data[0] == value[0])
                return;
        CX_CLEANUP(cx_closep) int fd = open(FORWARDING, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
                (void)!write(fd, value, 1);
}

static int keep_forwarding(struct cx_error *err)
{
        CX_BUF found = CX_BUF_INIT_MAX(64);
        if (access(KEPT_FORWARDING, F_OK) == 0)
                return 0;
        int r = cx_buf_read_file(&found, FORWARDING);
        if (r < 0)
                return cx_error_set(err, r, "cannot read " FORWARDING ": %s", strerror(-r));
        return cx_write_file(KEPT_FORWARDING, found.data, found.length, 0600, false, err);
}

static void release_locked(const struct profile *profile)
{
        CX_CLEANUP(cx_freep) char *path = claim_path(profile->name);
        CX_STRINGS left = CX_STRINGS_INIT;
        CX_BUF found = CX_BUF_INIT_MAX(64);
        (void)unlink(path);
        list_claims(&left);
        if (left.count || cx_buf_read_file(&found, KEPT_FORWARDING) < 0)
                return;
        if (found.length)
                set_forwarding(found.data);
        (void)unlink(KEPT_FORWARDING);
}

// --- claiming ---

static int check_others(const struct profile *p, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        list_claims(&names);
        for (size_t i = 0; i < names.count; i++) {
                PROFILE_CONTENTS other = {0};
                bool same = strcmp(names.items[i], p->name) == 0;
                if (!read_claim(names.items[i], &other) || (same && strcmp(other.folder, p->folder) == 0))
                        continue;
                if (!is_alive(&other)) { // its folder went, its processes did not
                        cleanup_containers(&other, true);
                        network_down(&other);
                        release_locked(&other);
                        continue;
                }
                if (same)
                        return cx_error_set(err, -EEXIST,
                                            "GUEST_PROFILE_CONFLICT: a cluster \"%s\" runs already, from %s. Please "
                                            "choose another name with -p",
                                            p->name, other.folder);
                if (other.index == p->index)
                        return cx_error_set(err, -EEXIST,
                                            "GUEST_NETWORK_CONFLICT: the network of \"%s\" is in use by the cluster "
                                            "\"%s\" in %s. Please stop that one first",
                                            p->name, other.name, other.folder);
        }
        return 0;
}

// What the profiles of this home keep while they are stopped, and what runs, from whichever home.
static int mark_used(const struct profile *profile, bool used[MAX_INDEX + 1], struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT, claims = CX_STRINGS_INIT;
        int r = profile_list(&names, err);
        for (size_t i = 0; r == 0 && i < names.count; i++) {
                PROFILE_CONTENTS other = {0};
                if (strcmp(names.items[i], profile->name) != 0 && profile_open(names.items[i], &other, NULL) == 0)
                        used[other.index] = true;
        }
        list_claims(&claims);
        for (size_t i = 0; r == 0 && i < claims.count; i++) {
                PROFILE_CONTENTS other = {0};
                if (read_claim(claims.items[i], &other) && is_alive(&other))
                        used[other.index] = true;
        }
        return r;
}

int machine_choose_network(struct profile *profile, struct cx_error *err)
{
        bool used[MAX_INDEX + 1] = {0};
        int r = mark_used(profile, used, err);
        for (int i = 0; r == 0 && i <= MAX_INDEX; i++) {
                CX_CLEANUP(cx_freep) char *bridge = cx_sprintf("/sys/class/net/mk-%d", i);
                if (!used[i] && access(bridge, F_OK) < 0 && !profile_subnet_taken(i)) {
                        profile->index = i;
                        return 0;
                }
        }
        return r < 0 ? r : cx_error_set(err, -ENOSPC, "all networks are taken; delete a profile first");
}

int machine_claim(const struct profile *p, struct cx_error *err)
{
        PROFILE_CONTENTS before = {0};
        CX_CLEANUP(cx_freep) char *path = claim_path(p->name);
        int r = check_others(p, err);
        if (r < 0)
                return r;
        bool ours = read_claim(p->name, &before);
        for (int node = ours ? before.nodes : 0; node < p->nodes; node++) {
                CX_CLEANUP(cx_freep) char *namespace = network_namespace(p, node);
                if (access(namespace, F_OK) == 0)
                        return cx_error_set(
                                err, -EEXIST,
                                "GUEST_NETWORK_CONFLICT: %s exists and is not this cluster's. Please choose "
                                "another name with -p",
                                namespace);
        }
        if (!ours && profile_subnet_taken(p->index)) {
                CX_CLEANUP(cx_freep) char *host = host_address(p);
                return cx_error_set(err, -EEXIST,
                                    "GUEST_NETWORK_CONFLICT: this machine has an address in the network of %s already",
                                    host);
        }
        r = keep_forwarding(err);
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("%d %d %s\n", p->index, ours && before.nodes > p->nodes ? before.nodes : p->nodes,
                                p->folder);
        if (r == 0)
                r = cx_write_file(path, text, strlen(text), 0600, false, err);
        if (r == 0)
                set_forwarding("1");
        return r;
}

void machine_release(const struct profile *profile)
{
        LOCK lock = LOCK_INIT;
        PROFILE_CONTENTS claimed = {0};
        if (machine_lock(&lock, NULL) == 0 && read_claim(profile->name, &claimed) &&
            strcmp(claimed.folder, profile->folder) == 0)
                release_locked(profile);
}

bool machine_recall(struct profile *profile)
{
        PROFILE_CONTENTS claimed = {0};
        if (!read_claim(profile->name, &claimed) || strcmp(claimed.folder, profile->folder) != 0)
                return false;
        profile->index = claimed.index;
        profile->nodes = claimed.nodes;
        return true;
}
