// SPDX-License-Identifier: Apache-2.0
// projected: several sources in one folder, service account tokens among them.
#include "kubelet/volume/files.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/plugins/plugins.h"
#include "libcommon/format/json.h"

static int add_source(struct files *files, const json_t *source, struct cx_error *err)
{
        const json_t *of;
        if ((of = json_object_get(source, "configMap")))
                return files_add_config_map(files, of, err);
        if ((of = json_object_get(source, "secret")))
                return files_add_secret(files, of, cx_json_string_or(of, "name", ""), err);
        if ((of = json_object_get(source, "downwardAPI")))
                return files_add_downward(files, of, err);
        if ((of = json_object_get(source, "serviceAccountToken")))
                return files_add_token(files, of, err);
        return cx_error_set(err, -ENOTSUP, "projected volume has a source of an unknown kind");
}

static int add_sources(struct files *files, const json_t *sources, struct cx_error *err)
{
        size_t i;
        json_t *source;
        json_array_foreach ((json_t *)sources, i, source) {
                int r = add_source(files, source, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int set_up(struct volume_job *job, struct cx_error *err)
{
        FILES files = FILES_INIT(job);
        int r = add_sources(&files, json_object_get(job->source, "sources"), err);
        return r < 0 ? r : files_write(&files, err);
}

const struct volume_plugin projected_plugin = {.source = "projected",
                                               .folder = "kubernetes.io~projected",
                                               .read_only = true,
                                               .in_memory = local_in_memory,
                                               .set_up = set_up,
                                               .tear_down = local_tear_down,
                                               .stats = local_stats};
