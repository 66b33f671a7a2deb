// SPDX-License-Identifier: Apache-2.0
// secret: the keys of a Secret as files, in memory alone.
#include "kubelet/volume/files.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/plugins/plugins.h"
#include "libcommon/format/json.h"

static int set_up(struct volume_job *job, struct cx_error *err)
{
        FILES files = FILES_INIT(job);
        int r = files_add_secret(&files, job->source, cx_json_string_or(job->source, "secretName", ""), err);
        return r < 0 ? r : files_write(&files, err);
}

const struct volume_plugin secret_plugin = {.source = "secret",
                                            .folder = "kubernetes.io~secret",
                                            .read_only = true,
                                            .in_memory = local_in_memory,
                                            .set_up = set_up,
                                            .tear_down = local_tear_down,
                                            .stats = local_stats};
