// SPDX-License-Identifier: Apache-2.0
// A bind mount is made detached, gets its attributes, and is moved to where it belongs: there is no moment at which a
// read-only one could be written to, whoever is killed when.
#include "kubelet/volume/binds.h"

#include "libcommon/base/buf.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

// <sys/mount.h> and <linux/mount.h> do not go together everywhere: the flags that are needed are the kernel's.
#define MS_RDONLY_FLAG 1UL
#define MS_NOSUID_FLAG 2UL
#define MS_NODEV_FLAG 4UL
#define MS_NOEXEC_FLAG 8UL
#define MS_SYNC_FLAG 16UL
#define MS_DIRSYNC_FLAG 128UL
#define MS_NOATIME_FLAG 1024UL
#define MS_NODIRATIME_FLAG 2048UL
#define MS_RELATIME_FLAG (1UL << 21)
#define MS_STRICTATIME_FLAG (1UL << 24)
#define OPTIONS_MAX 4000 // of the kernel's page for them

static const struct {
        const char *name;
        unsigned long flag;
        uint64_t attribute;
} known[] = {{"ro", MS_RDONLY_FLAG, MOUNT_ATTR_RDONLY},
             {"nosuid", MS_NOSUID_FLAG, MOUNT_ATTR_NOSUID},
             {"nodev", MS_NODEV_FLAG, MOUNT_ATTR_NODEV},
             {"noexec", MS_NOEXEC_FLAG, MOUNT_ATTR_NOEXEC},
             {"noatime", MS_NOATIME_FLAG, MOUNT_ATTR_NOATIME},
             {"nodiratime", MS_NODIRATIME_FLAG, MOUNT_ATTR_NODIRATIME},
             {"strictatime", MS_STRICTATIME_FLAG, MOUNT_ATTR_STRICTATIME},
             {"relatime", MS_RELATIME_FLAG, 0},
             {"sync", MS_SYNC_FLAG, 0},
             {"dirsync", MS_DIRSYNC_FLAG, 0},
             // What a mount is without more.
             {"defaults", 0, 0},
             {"rw", 0, 0},
             {"suid", 0, 0},
             {"dev", 0, 0},
             {"exec", 0, 0},
             {"async", 0, 0},
             {"_netdev", 0, 0},
             {"nofail", 0, 0}};

void mount_options_release(struct mount_options *options)
{
        free(options->data);
        *options = (struct mount_options){0};
}

static int add_option(struct mount_options *to, struct cx_buf *data, const char *option, struct cx_error *err)
{
        static const char *const refused[] = {"bind",    "rbind", "move",   "remount", "shared",     "rshared",
                                              "private", "slave", "rslave", "loop",    "unbindable", "rprivate"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(refused); i++)
                if (strcmp(option, refused[i]) == 0)
                        return cx_error_set(err, -EINVAL, "mount option \"%s\" is not allowed", option);
        if (!*option || strpbrk(option, ", \t\n\\"))
                return cx_error_set(err, -EINVAL, "mount option \"%s\" is not one option", option);
        for (size_t i = 0; i < CX_ARRAY_SIZE(known); i++)
                if (strcmp(option, known[i].name) == 0) {
                        to->flags |= known[i].flag;
                        to->attributes |= known[i].attribute;
                        return 0;
                }
        cx_buf_printf(data, "%s%s", data->length ? "," : "", option);
        return data->overflow ? cx_error_set(err, -EINVAL, "the mount options are too long") : 0;
}

int mount_options_parse(const json_t *list, bool read_only, struct mount_options *ret, struct cx_error *err)
{
        MOUNT_OPTIONS options = {0};
        CX_BUF data = CX_BUF_INIT_MAX(OPTIONS_MAX);
        if (read_only) {
                options.flags = MS_RDONLY_FLAG;
                options.attributes = MOUNT_ATTR_RDONLY;
        }
        for (size_t i = 0; i < json_array_size(list); i++) {
                int r = add_option(&options, &data, cx_str(json_string_value(json_array_get(list, i))), err);
                if (r < 0)
                        return r;
        }
        if (data.length)
                options.data = cx_buf_detach(&data);
        *ret = options;
        options = (struct mount_options){0};
        return 0;
}

bool is_mount_point(const char *path)
{
        struct statx st;
        return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) == 0 &&
               (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int mount_bind(const char *source, const char *target, const struct mount_options *options, struct cx_error *err)
{
        if (options->data)
                return cx_error_set(err, -EINVAL, "mount option \"%s\" is not one of a bind mount", options->data);
        CX_CLEANUP(cx_closep)
        int fd = (int)syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (fd < 0)
                return cx_error_set(err, -errno, "cannot bind %s: %s", source, strerror(errno));
        struct mount_attr attributes = {.attr_set = options->attributes};
        if (options->attributes & (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME))
                attributes.attr_clr = MOUNT_ATTR__ATIME;
        if (options->attributes &&
            syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
                return cx_error_set(err, -errno, "cannot set the options of a mount of %s: %s", source,
                                    strerror(errno));
        if (syscall(SYS_move_mount, fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return cx_error_set(err, -errno, "cannot mount %s at %s: %s", source, target, strerror(errno));
        return 0;
}
