// SPDX-License-Identifier: Apache-2.0
// downwardAPI: what the pod says of itself, as files.
#include "kubelet/volume/files.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/plugins/plugins.h"

static int set_up(struct volume_job *job, struct cx_error *err)
{
        FILES files = FILES_INIT(job);
        int r = files_add_downward(&files, job->source, err);
        return r < 0 ? r : files_write(&files, err);
}

const struct volume_plugin downward_api_plugin = {.source = "downwardAPI",
                                                  .folder = "kubernetes.io~downward-api",
                                                  .read_only = true,
                                                  .in_memory = local_in_memory,
                                                  .set_up = set_up,
                                                  .tear_down = local_tear_down,
                                                  .stats = local_stats};
