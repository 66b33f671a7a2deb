// SPDX-License-Identifier: Apache-2.0
// nfs: an export of a server, mounted by the node's own tool, which knows versions and addresses.
#include "kubelet/volume/binds.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/plugins/plugins.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define MOUNT_TIMEOUT (120 * CX_NS_PER_S)

static bool kernel_knows(void)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        return cx_buf_read_file(&text, "/proc/filesystems") == 0 && strstr(text.data, "\tnfs");
}

static bool ready(struct volume_job *job)
{
        return is_mount_point(job->folder);
}

static char *options_of(const struct volume_job *job)
{
        const json_t *list = cx_json_get(job->persistent, "spec.mountOptions");
        CX_BUF options = CX_BUF_INIT_MAX(4000);
        cx_buf_add(&options, job->read_only ? "ro" : "rw");
        for (size_t i = 0; i < json_array_size(list); i++)
                cx_buf_printf(&options, ",%s", cx_str(json_string_value(json_array_get(list, i))));
        return cx_buf_detach(&options);
}

static int set_up(struct volume_job *job, struct cx_error *err)
{
        MOUNT_OPTIONS checked = {0};
        int r = mount_options_parse(cx_json_get(job->persistent, "spec.mountOptions"), job->read_only, &checked, err);
        if (r < 0)
                return r;
        if (!kernel_knows())
                return cx_error_set(err, -ENOTSUP,
                                    "the kernel of node \"%s\" has no NFS client: load its nfs module, or use a volume "
                                    "of another kind",
                                    job->kubelet->node_name);
        r = cx_mkdir_all(job->folder, 0750, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *options = options_of(job);
        CX_CLEANUP(cx_freep)
        char *source = cx_sprintf("%s:%s", cx_json_string_or(job->source, "server", ""),
                                  cx_json_string_or(job->source, "path", ""));
        const char *const argv[] = {"mount", "-t", "nfs", "-o", options, "--", source, job->folder, NULL};
        CX_BUF out = CX_BUF_INIT_MAX(4096);
        CX_BUF complaint = CX_BUF_INIT_MAX(4096);
        int status = 0;
        r = cx_run(&(struct cx_run_options){.argv = argv, .timeout = MOUNT_TIMEOUT}, &out, &complaint, &status, err);
        complaint.data[strcspn(complaint.data, "\n")] = '\0';
        return r == 0 && status ? cx_error_set(err, -EIO, "mount failed: exit status %d: %s", status, complaint.data)
                                : r;
}

const struct volume_plugin nfs_plugin = {.source = "nfs",
                                         .folder = "kubernetes.io~nfs",
                                         .slow = true,
                                         .options = true,
                                         .ready = ready,
                                         .set_up = set_up,
                                         .tear_down = local_end_mount,
                                         .stats = local_stats};
