// SPDX-License-Identifier: Apache-2.0
// minikube mount and cp. Nodes share the files of this machine, so that a folder is brought to them by binding it to another
// path, and a file by copying it. A mount that nobody took back is recorded in the profile, and goes with its cluster.
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "minikube/commands.h"
#include "minikube/copy.h"
#include "minikube/out.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

// "run/<pid>.mount" holds the target; behind it, on a line of its own, "made" when the folder was made for it.
static char *record_path(const struct profile *profile)
{
        return profile_path(profile, "run/%d.mount", (int)getpid());
}

static bool is_empty(const char *path)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        return cx_list_folder(path, &names, NULL) == 0 && !names.count;
}

static void end_mount(const char *record)
{
        CX_BUF text = CX_BUF_INIT_MAX(8192);
        if (cx_buf_read_file(&text, record) < 0)
                return;
        CX_CLEANUP(cx_freep) char *target = cx_strndup(text.data, strcspn(text.data, "\n"));
        (void)umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
        if (strstr(text.data, "\nmade"))
                (void)rmdir(target);
        (void)unlink(record);
}

void mounts_end(const struct profile *profile)
{
        CX_CLEANUP(cx_freep) char *folder = profile_path(profile, "run");
        CX_STRINGS names = CX_STRINGS_INIT;
        if (cx_list_folder(folder, &names, NULL) < 0)
                return;
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *record = cx_sprintf("%s/%s", folder, names.items[i]);
                if (cx_has_suffix(names.items[i], ".mount"))
                        end_mount(record);
        }
}

// The folder must be there or be made, and hide nothing of this machine.
static int prepare_target(const char *target, bool *ret_made, struct cx_error *err)
{
        struct stat st;
        *ret_made = false;
        if (*target != '/')
                return cx_error_set(err, -EINVAL, "MK_USAGE: the target \"%s\" must be an absolute path", target);
        if (lstat(target, &st) == 0) {
                if (!S_ISDIR(st.st_mode) || !is_empty(target))
                        return cx_error_set(err, -EINVAL,
                                            "MK_USAGE: %s is there already, and would be hidden: nodes share the files "
                                            "of this machine. Please choose a path that is free",
                                            target);
                return 0;
        }
        *ret_made = true;
        return cx_mkdir_all(target, 0755, err);
}

static int mount_folder(const struct profile *profile, const char *source, const char *target, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *record = record_path(profile);
        bool made = false;
        int r = prepare_target(target, &made, err);
        CX_CLEANUP(cx_freep) char *text = cx_sprintf("%s\n%s", target, made ? "made\n" : "");
        if (r == 0)
                r = cx_write_file(record, text, strlen(text), 0600, false, err);
        if (r == 0 && mount(source, target, NULL, MS_BIND, NULL) < 0) {
                r = cx_error_set(err, -EIO, "GUEST_MOUNT: cannot mount %s at %s: %s", source, target, strerror(errno));
                end_mount(record);
        }
        return r;
}

int command_mount(struct minikube *m, struct cx_error *err)
{
        const char *colon = strrchr(m->args.items[0], ':');
        struct stat st;
        int r = need_running(m, err);
        if (r == 0 && !colon)
                r = cx_error_set(err, -EINVAL, "MK_USAGE: \"%s\" must be SOURCE:TARGET", m->args.items[0]);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *given = cx_strndup(m->args.items[0], (size_t)(colon - m->args.items[0]));
        CX_CLEANUP(cx_freep) char *source = realpath(given, NULL);
        if (!source || stat(source, &st) < 0 || !S_ISDIR(st.st_mode))
                return cx_error_set(err, -EINVAL, "MK_USAGE: \"%s\" is not a folder", given);
        r = mount_folder(&m->profile, source, colon + 1, err);
        if (r < 0)
                return r;
        out(stdout,
            "📁  Mounted %s at %s on the nodes of \"%s\"\n📌  It stays as long as this process runs; end it with "
            "Ctrl-C\n",
            source, colon + 1, m->profile.name);
        (void)cx_process_wait_stop();
        CX_CLEANUP(cx_freep) char *record = record_path(&m->profile);
        end_mount(record);
        return 0;
}

// --- cp ---

// "node:path", or a path of this machine: a name before the colon has no slash.
static int read_place(const struct profile *profile, const char *text, bool target, const char **ret_path,
                      struct cx_error *err)
{
        size_t length = strcspn(text, ":/");
        int node;
        *ret_path = text;
        if (text[length] == ':') {
                CX_CLEANUP(cx_freep) char *name = cx_strndup(text, length);
                int r = choose_node(profile, name, &node, err);
                if (r < 0)
                        return r;
                *ret_path = text + length + 1;
        }
        if ((target || text[length] == ':') && **ret_path != '/')
                return cx_error_set(err, -EINVAL, "MK_USAGE: \"%s\" must be an absolute path of the node", text);
        return 0;
}

static int copy_to(const char *source, const char *target, struct cx_error *err)
{
        struct stat from, to;
        CX_CLEANUP(cx_closep) int in = open(source, O_RDONLY | O_CLOEXEC);
        if (in < 0 || fstat(in, &from) < 0)
                return cx_error_set(err, -EINVAL, "GUEST_CP: cannot read %s: %s", source, strerror(errno));
        if (!S_ISREG(from.st_mode))
                return cx_error_set(err, -EINVAL, "GUEST_CP: %s is not a file", source);
        if (stat(target, &to) == 0 && to.st_ino == from.st_ino && to.st_dev == from.st_dev)
                return cx_error_set(err, -EINVAL,
                                    "GUEST_CP: %s and %s are the same file: nodes share the files of this machine",
                                    source, target);
        CX_CLEANUP(cx_freep) char *folder = cx_strndup(target, (size_t)(strrchr(target, '/') - target));
        int r = *folder ? cx_mkdir_all(folder, 0755, err) : 0;
        return r < 0 ? r : copy_file(in, source, target, from.st_mode & 07777, "GUEST_CP", err);
}

int command_cp(struct minikube *m, struct cx_error *err)
{
        const char *source = NULL, *target = NULL;
        int r = need_running(m, err);
        if (r == 0)
                r = read_place(&m->profile, m->args.items[0], false, &source, err);
        if (r == 0)
                r = read_place(&m->profile, m->args.items[1], true, &target, err);
        return r < 0 ? r : copy_to(source, target, err);
}
