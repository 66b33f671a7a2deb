// SPDX-License-Identifier: Apache-2.0
// image: the files of an image, read-only, pulled as a container's image would be. Which image it is a note keeps, so that it
// is not collected.
#include "kubelet/image/pod_pull.h"
#include "kubelet/image/reference.h"
#include "kubelet/volume/binds.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/plugins/plugins.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

static const char *reference_of(const struct volume_job *job)
{
        return cx_json_string_or(job->source, "reference", "");
}

static int pull(const struct volume_job *job, json_t **ret_record, struct cx_error *err)
{
        const char *image = reference_of(job);
        int64_t bytes = 0, began = cx_time_monotonic();
        pod_event(job->kubelet, job->pod, NULL, "Normal", "Pulling", "Pulling image \"%s\"", image);
        int r = pod_pull_image(job->kubelet, job->pod, image, ret_record, &bytes, err);
        if (r < 0)
                return cx_error_wrap(err, "Failed to pull image \"%s\"", image);
        pod_tell_pulled(job->kubelet, job->pod, NULL, image, cx_time_monotonic() - began, bytes);
        return 0;
}

static int find_image(const struct volume_job *job, json_t **ret_record, struct cx_error *err)
{
        const char *policy = cx_json_string_or(job->source, "pullPolicy", "IfNotPresent"), *image = reference_of(job);
        IMAGE_REF ref = IMAGE_REF_INIT;
        int r = image_ref_parse(image, &ref, err);
        if (r < 0)
                return cx_error_wrap(err, "Failed to apply default image tag \"%s\"", image);
        CX_CLEANUP(cx_freep) char *full = image_ref_format(&ref);
        json_t *present = strcmp(policy, "Always") == 0 ? NULL : image_store_find(job->kubelet->images, full);
        if (!present && strcmp(policy, "Never") == 0)
                return cx_error_set(err, -ENOENT, "Container image \"%s\" is not present with pull policy of Never",
                                    image);
        if (!present)
                return pull(job, ret_record, err);
        *ret_record = present;
        return 0;
}

static bool ready(struct volume_job *job)
{
        return is_mount_point(job->folder);
}

static int mount_image(const struct volume_job *job, struct cx_error *err)
{
        json_auto_t *record = NULL;
        int r = find_image(job, &record, err);
        if (r == 0)
                r = cx_mkdir_all(job->notes, 0750, err);
        if (r == 0)
                r = cx_mkdir_all(job->folder, 0750, err);
        CX_CLEANUP(cx_freep) char *note = cx_sprintf("%s/image", job->notes);
        const char *id = cx_json_string_or(record, "id", "");
        if (r == 0)
                r = cx_write_file(note, id, strlen(id), 0600, false, err);
        return r < 0 ? r
                     : image_store_mount(job->kubelet->images, record, &(struct image_mount){.target = job->folder},
                                         err);
}

static int set_up(struct volume_job *job, struct cx_error *err)
{
        image_store_hold(job->kubelet->images); // until the note is there
        int r = ready(job) ? 0 : mount_image(job, err);
        image_store_let_go(job->kubelet->images);
        return r;
}

const struct volume_plugin image_volume_plugin = {.source = "image",
                                                  .folder = "kubernetes.io~image",
                                                  .read_only = true,
                                                  .no_exec = true,
                                                  .slow = true,
                                                  .ready = ready,
                                                  .set_up = set_up,
                                                  .tear_down = local_end_mount,
                                                  .stats = local_stats};
