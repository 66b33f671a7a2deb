// SPDX-License-Identifier: Apache-2.0
// emptyDir: a folder on disk, or a tmpfs (medium "Memory"), that lives as long as its pod.
#include "kubelet/volume/binds.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/plugins/plugins.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sys/mount.h>

static bool in_memory(const json_t *source)
{
        return cx_streq(cx_json_string(source, "medium"), "Memory");
}

// A volume in memory is charged to the pod's containers, so it gets no larger than what they may have together.
static int64_t memory_limit(const struct volume_job *job)
{
        int64_t own = cx_quantity_value_of(json_object_get(job->source, "sizeLimit")), sum = 0;
        CX_POD_FOREACH(walk, json_object_get(job->pod, "spec"), CX_POD_MAIN)
        {
                int64_t limit = cx_quantity_value_of(cx_json_get(walk.container, "resources.limits.memory"));
                if (limit <= 0)
                        return own;
                sum = sum > INT64_MAX - limit ? INT64_MAX : sum + limit;
        }
        return sum > 0 && (own <= 0 || sum < own) ? sum : own;
}

static int mount_memory(const struct volume_job *job, struct cx_error *err)
{
        if (is_mount_point(job->folder))
                return 0;
        int64_t limit = memory_limit(job);
        char options[64];
        if (limit > 0)
                snprintf(options, sizeof options, "mode=777,size=%lld", (long long)limit);
        else
                snprintf(options, sizeof options, "mode=777");
        if (mount("tmpfs", job->folder, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
                return cx_error_set(err, -errno, "cannot mount tmpfs at %s: %s", job->folder, strerror(errno));
        return 0;
}

static int set_up(struct volume_job *job, struct cx_error *err)
{
        const char *medium = cx_json_string_or(job->source, "medium", "");
        if (*medium && !in_memory(job->source))
                return cx_error_set(err, -ENOTSUP,
                                    "emptyDir medium \"%s\" is not supported: the node has no huge pages", medium);
        // Modes are set once, since containers may change them: a mark says that it was done.
        CX_CLEANUP(cx_freep) char *mark = cx_sprintf("%s/ready", job->notes);
        if (access(mark, F_OK) == 0 && (!in_memory(job->source) || is_mount_point(job->folder)))
                return 0;
        int r = cx_mkdir_all(job->folder, 0750, err);
        if (r == 0)
                r = cx_mkdir_all(job->notes, 0750, err);
        if (r == 0 && in_memory(job->source))
                r = mount_memory(job, err);
        if (r == 0)
                r = local_own_folder(job, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_closep) int fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        return fd < 0 ? cx_error_set(err, -errno, "cannot make %s: %s", mark, strerror(errno)) : 0;
}

const struct volume_plugin empty_dir_plugin = {.source = "emptyDir",
                                               .folder = "kubernetes.io~empty-dir",
                                               .measured = true,
                                               .in_memory = in_memory,
                                               .set_up = set_up,
                                               .tear_down = local_tear_down,
                                               .stats = local_stats};
