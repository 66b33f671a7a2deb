// SPDX-License-Identifier: Apache-2.0
// A volume is staged once on the node, where the driver does that, and published into each pod that uses it. Every step is
// recorded before it is taken (record.h): first in the pod's folder, by which the volume is found again, then beside the staging
// folder; and taken back in the opposite order, the pod's folder last. All of it under the volume's lock: who finds that nobody
// else has a record of the volume may take it from the node. Drivers take a step that was taken already for done.
//
//     pods/<uid>/volumes/kubernetes.io~csi/<name>/vol_data.json, mount (or dev, of a block device)
//     plugins/kubernetes.io/csi/<driver>/<sha256 of the handle>/vol_data.json, globalmount
//
// A driver is believed nothing that can be looked at: what it leaves mounted is unmounted, what it leaves in a folder is not
// removed.
#include "kubelet/csi/volume.h"

#include "kubelet/csi/attachment.h"
#include "kubelet/csi/record.h"
#include "kubelet/volume/binds.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/locks.h"
#include "kubelet/volume/ownership.h"
#include "kubelet/volume/tokens.h"
#include "libcommon/base/mounts.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#include <sys/stat.h>

#define FOLDER "kubernetes.io~csi"
#define STATS_TIMEOUT (2 * CX_NS_PER_S)

// --- where things are ------------------------------------------------------------------------------------------------

static char *target_of(const char *folder, bool block)
{
        return cx_sprintf("%s/%s", folder, block ? "dev" : "mount");
}

// The folder of a volume's staging; driver names have no slash in them.
static char *stage_of(const struct kubelet *k, const char *driver, const char *handle)
{
        char hex[65];
        cx_sha256_hex(handle, strlen(handle), hex);
        return cx_sprintf("%s/plugins/kubernetes.io/csi/%s/%s", k->root, driver, hex);
}

static char *lock_of(const char *driver, const char *handle)
{
        return cx_sprintf("csi/%s/%s", driver, handle);
}

// --- a volume that is set up -----------------------------------------------------------------------------------------

struct setup {
        struct csi *csi;
        struct volume_job *job;
        struct csi_driver *driver;
        json_t *object; // the CSIDriver; NULL: there is none
        const char *driver_name;
        char *handle, *stage; // stage: NULL: the driver does not
        bool ephemeral, single_node, group;
        struct csi_pairs attached; // what the attacher says
};

static void setup_release(struct setup *s)
{
        if (s->driver)
                csi_driver_unref(s->driver);
        json_decref(s->object);
        free(s->handle);
        free(s->stage);
        csi_pairs_release(&s->attached);
}

// Of a pod's own volume nobody but the kubelet makes up a handle.
static char *ephemeral_handle(const struct volume_job *job)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("%s%s%s", cx_json_string_or(job->pod, "metadata.namespace", ""),
                                cx_json_string_or(job->pod, "metadata.uid", ""), job->name);
        char hex[65];
        cx_sha256_hex(text, strlen(text), hex);
        return cx_sprintf("csi-%s", hex);
}

static int get_object(struct setup *s, struct cx_error *err)
{
        const struct kubelet *k = s->job->kubelet;
        CX_ERROR failure = CX_ERROR_INIT;
        if (!k->rest)
                return 0;
        int r = cx_rest_get(
                k->rest,
                CX_REF(.group = "storage.k8s.io", .version = "v1", .resource = "csidrivers", .name = s->driver_name),
                &s->object, &failure);
        return r < 0 && failure.reason != CX_REASON_NOT_FOUND ? cx_error_move(err, &failure) : 0;
}

// Whether the driver has volumes of that kind at all: an inline volume of one that has not would be anybody's.
static int check_lifecycle(const struct setup *s, struct cx_error *err)
{
        const char *wanted = s->ephemeral ? "Ephemeral" : "Persistent";
        const json_t *modes = cx_json_get(s->object, "spec.volumeLifecycleModes");
        bool has = !json_array_size(modes) && !s->ephemeral;
        for (size_t i = 0; i < json_array_size(modes); i++)
                has = has || cx_streq(json_string_value(json_array_get(modes, i)), wanted);
        return has ? 0
                   : cx_error_set(err, -ENOTSUP,
                                  "volume mode \"%s\" not supported by driver %s (no CSIDriver object or not listed in "
                                  "its volumeLifecycleModes)",
                                  wanted, s->driver_name);
}

static int begin(struct setup *s, struct volume_job *job, struct cx_error *err)
{
        bool stages = false;
        *s = (struct setup){.csi = job->context,
                            .job = job,
                            .driver_name = cx_json_string_or(job->source, "driver", ""),
                            .ephemeral = !job->persistent};
        s->handle =
                s->ephemeral ? ephemeral_handle(job) : cx_strdup(cx_json_string_or(job->source, "volumeHandle", ""));
        int r = csi_drivers_find(s->csi->drivers, s->driver_name, &s->driver, err);
        if (r == 0)
                r = get_object(s, err);
        if (r == 0)
                r = check_lifecycle(s, err);
        if (r == 0)
                r = csi_driver_can(s->driver, CSI_CAN_STAGE, &stages, err);
        if (r == 0)
                r = csi_driver_can(s->driver, CSI_CAN_SINGLE_NODE_MULTI_WRITER, &s->single_node, err);
        if (r == 0)
                r = csi_driver_can(s->driver, CSI_CAN_MOUNT_GROUP, &s->group, err);
        if (r == 0 && stages && !s->ephemeral)
                s->stage = stage_of(job->kubelet, s->driver_name, s->handle);
        return r;
}

static bool is_attachable(const struct setup *s)
{
        return !s->ephemeral && cx_json_bool(s->object, "spec.attachRequired", true);
}

static int wait_attached(struct setup *s, struct cx_error *err)
{
        if (!is_attachable(s))
                return 0;
        s->job->step = "MountVolume.WaitForAttach failed";
        int r = csi_attachment_wait(s->job->kubelet, s->csi->in_use, s->driver_name, s->handle, &s->attached, err);
        if (r == 0)
                s->job->step = NULL;
        return r;
}

enum csi_progress { WAITING, ASKED, DONE };

static struct csi_record record_of(const struct setup *s, enum csi_progress progress)
{
        return (struct csi_record){.asked = progress != WAITING,
                                   .done = progress == DONE,
                                   .driver = (char *)s->driver_name,
                                   .handle = s->handle,
                                   .volume = (char *)s->job->name,
                                   .ephemeral = s->ephemeral,
                                   .attachable = is_attachable(s),
                                   .block = s->job->block,
                                   .republish = cx_json_bool(s->object, "spec.requiresRepublish", false)};
}

static int write_record(const struct setup *s, const char *folder, enum csi_progress progress, struct cx_error *err)
{
        const struct csi_record record = record_of(s, progress);
        return csi_record_write(folder, &record, err);
}

static int ask_to_stage(struct setup *s, const char *target, struct cx_error *err)
{
        CSI_CAPABILITY capability = {0};
        CSI_PAIRS secrets = {0}, context = {0};
        csi_capability_fill(&capability, s->job, s->single_node, s->group);
        int r = csi_pairs_set_secret(&secrets, s->job, json_object_get(s->job->source, "nodeStageSecretRef"), err);
        if (r < 0)
                return r;
        csi_pairs_set_all(&context, json_object_get(s->job->source, "volumeAttributes"));
        Csi__StageRequest request = CSI__STAGE_REQUEST__INIT;
        request.volume_id = s->handle;
        request.staging_target_path = (char *)target;
        request.volume_capability = &capability.message;
        request.publish_context = s->attached.items;
        request.n_publish_context = s->attached.count;
        request.secrets = secrets.items;
        request.n_secrets = secrets.count;
        request.volume_context = context.items;
        request.n_volume_context = context.count;
        return csi_driver_call(s->driver, &(struct csi_call){.method = "NodeStageVolume", .request = &request.base},
                               NULL, err);
}

static int stage(struct setup *s, struct cx_error *err)
{
        CSI_RECORD known = {0};
        if (!s->stage || (csi_record_read(s->stage, &known, NULL) == 0 && known.done))
                return 0;
        CX_CLEANUP(cx_freep) char *target = cx_sprintf("%s/globalmount", s->stage);
        s->job->step = s->job->block ? "MapVolume.MapBlockVolume failed" : "MountVolume.MountDevice failed";
        int r = cx_mkdir_all(target, 0750, err);
        if (r == 0)
                r = write_record(s, s->stage, ASKED, err);
        if (r == 0)
                r = ask_to_stage(s, target, err);
        if (r == 0)
                r = write_record(s, s->stage, DONE, err);
        if (r == 0)
                s->job->step = NULL;
        return r;
}

// {"<audience>": {"token", "expirationTimestamp"}} of the pod's service account.
static int add_tokens(const struct setup *s, struct csi_pairs *context, struct cx_error *err)
{
        const json_t *requests = cx_json_get(s->object, "spec.tokenRequests");
        json_auto_t *tokens = json_object();
        for (size_t i = 0; i < json_array_size(requests); i++) {
                const json_t *wanted = json_array_get(requests, i);
                const struct token_wish wish = {.pod = s->job->pod,
                                                .audience = cx_json_string_or(wanted, "audience", ""),
                                                .seconds = cx_json_int(wanted, "expirationSeconds", 3600)};
                CX_CLEANUP(cx_freep) char *token = NULL;
                int64_t again = 0, expires = 0;
                char until[CX_TIME_TEXT];
                int r = tokens_get(s->job->tokens, &wish, &token, &again, &expires, err);
                if (r < 0)
                        return r;
                cx_time_format(expires, until);
                json_object_set_new(tokens, wish.audience,
                                    json_pack("{s:s, s:s}", "token", token, "expirationTimestamp", until));
        }
        if (json_object_size(tokens)) {
                CX_CLEANUP(cx_freep) char *text = cx_json_text(tokens);
                csi_pairs_set(context, "csi.storage.k8s.io/serviceAccount.tokens", text);
        }
        return 0;
}

static int make_context(const struct setup *s, struct csi_pairs *context, struct cx_error *err)
{
        const json_t *pod = s->job->pod;
        csi_pairs_set_all(context, json_object_get(s->job->source, "volumeAttributes"));
        if (cx_json_bool(s->object, "spec.podInfoOnMount", false)) {
                csi_pairs_set(context, "csi.storage.k8s.io/pod.name", cx_json_string_or(pod, "metadata.name", ""));
                csi_pairs_set(context, "csi.storage.k8s.io/pod.namespace",
                              cx_json_string_or(pod, "metadata.namespace", ""));
                csi_pairs_set(context, "csi.storage.k8s.io/pod.uid", cx_json_string_or(pod, "metadata.uid", ""));
                csi_pairs_set(context, "csi.storage.k8s.io/serviceAccount.name",
                              cx_json_string_or(pod, "spec.serviceAccountName", ""));
                csi_pairs_set(context, "csi.storage.k8s.io/ephemeral", s->ephemeral ? "true" : "false");
        }
        return add_tokens(s, context, err);
}

static int ask_to_publish(struct setup *s, const char *target, struct cx_error *err)
{
        CSI_CAPABILITY capability = {0};
        CSI_PAIRS secrets = {0}, context = {0};
        CX_CLEANUP(cx_freep) char *staging = s->stage ? cx_sprintf("%s/globalmount", s->stage) : NULL;
        csi_capability_fill(&capability, s->job, s->single_node, s->group);
        int r = csi_pairs_set_secret(&secrets, s->job, json_object_get(s->job->source, "nodePublishSecretRef"), err);
        if (r == 0)
                r = make_context(s, &context, err);
        if (r < 0)
                return r;
        Csi__PublishRequest request = CSI__PUBLISH_REQUEST__INIT;
        request.volume_id = s->handle;
        request.staging_target_path = staging ? staging : request.staging_target_path;
        request.target_path = (char *)target;
        request.volume_capability = &capability.message;
        request.readonly = s->job->read_only;
        request.publish_context = s->attached.items;
        request.n_publish_context = s->attached.count;
        request.secrets = secrets.items;
        request.n_secrets = secrets.count;
        request.volume_context = context.items;
        request.n_volume_context = context.count;
        return csi_driver_call(s->driver, &(struct csi_call){.method = "NodePublishVolume", .request = &request.base},
                               NULL, err);
}

static bool is_read_write_once(const struct volume_job *job)
{
        if (!job->persistent) // the pod's alone
                return true;
        const json_t *modes = cx_json_get(job->persistent, "spec.accessModes");
        for (size_t i = 0; i < json_array_size(modes); i++)
                if (cx_has_prefix(cx_str(json_string_value(json_array_get(modes, i))), "ReadWriteOnce"))
                        return true;
        return false;
}

static int give_to_group(const struct setup *s, const char *target, struct cx_error *err)
{
        const struct volume_job *job = s->job;
        const char *policy = cx_json_string_or(s->object, "spec.fsGroupPolicy", "ReadWriteOnceWithFSType");
        bool typed = *cx_json_string_or(job->source, "fsType", "") && is_read_write_once(job);
        if (job->block || job->read_only || s->group || strcmp(policy, "None") == 0 ||
            (strcmp(policy, "File") != 0 && !typed))
                return 0;
        return ownership_apply(job, target, false, err);
}

// A driver that says that it is done, and is not, would give the pod a folder of the node's disk for its data.
static int check_published(const struct setup *s, const char *target, struct cx_error *err)
{
        struct stat st;
        if (stat(target, &st) < 0)
                return cx_error_set(err, -EIO, "the driver says that the volume is published, and %s is not there",
                                    target);
        if (s->job->block && !S_ISBLK(st.st_mode))
                return cx_error_set(err, -EIO,
                                    "the driver says that the volume is published, and %s is no block device", target);
        return s->job->block || is_mount_point(target)
                       ? 0
                       : cx_error_set(err, -EIO,
                                      "the driver says that the volume is published, and nothing is mounted at %s",
                                      target);
}

static int publish(struct setup *s, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *target = target_of(s->job->folder, s->job->block);
        CSI_RECORD known = {0};
        int r = cx_mkdir_all(s->job->folder, 0750, err);
        if (r == 0 && csi_record_read(s->job->folder, &known, NULL) < 0)
                r = write_record(s, s->job->folder, WAITING, err);
        if (r == 0)
                r = wait_attached(s, err);
        if (r == 0)
                r = write_record(s, s->job->folder, ASKED, err);
        if (r == 0)
                r = stage(s, err);
        if (r == 0)
                r = ask_to_publish(s, target, err);
        if (r == 0)
                r = check_published(s, target, err);
        if (r == 0)
                r = give_to_group(s, target, err);
        return r == 0 ? write_record(s, s->job->folder, DONE, err) : r;
}

static bool ready(struct volume_job *job)
{
        CSI_RECORD record = {0};
        CX_CLEANUP(cx_freep) char *target = target_of(job->folder, job->block);
        struct stat st;
        if (csi_record_read(job->folder, &record, NULL) < 0 || !record.done)
                return false;
        if (job->block ? stat(target, &st) < 0 || !S_ISBLK(st.st_mode) : !is_mount_point(target))
                return false;
        int64_t left = record.when + job->kubelet->sync_frequency / 1000 - cx_time_now();
        if (record.republish && left > 0)
                job->again = left * 1000;
        return !record.republish || left > 0;
}

static int set_up(struct volume_job *job, struct cx_error *err)
{
        CX_CLEANUP(setup_release) struct setup s = {0};
        int r = begin(&s, job, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *lock = lock_of(s.driver_name, s.handle);
        locks_take(job->locks, lock);
        r = publish(&s, err);
        locks_give(job->locks, lock);
        return r;
}

// --- its end ---------------------------------------------------------------------------------------------------------

// Takes away what a driver was to mount at a path, when it has left it: the mount, and the empty folder or the file.
static int clear_path(const char *path, struct cx_error *err)
{
        struct stat st;
        int r = cx_unmount_below(path, false, err);
        if (r < 0 || lstat(path, &st) < 0)
                return r;
        if ((S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT)
                return cx_error_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
        return 0;
}

static int unstage(const struct volume_place *place, const struct csi_record *record, struct cx_error *err)
{
        struct csi *csi = place->context;
        CX_CLEANUP(csi_driver_unrefp) struct csi_driver *driver = NULL;
        CX_CLEANUP(cx_freep) char *folder = stage_of(place->kubelet, record->driver, record->handle);
        CX_CLEANUP(cx_freep) char *target = cx_sprintf("%s/globalmount", folder);
        CSI_RECORD staged = {0};
        if (csi_record_read(folder, &staged, NULL) == -ENOENT) {
                (void)rmdir(target);
                (void)rmdir(folder);
                return 0;
        }
        Csi__UnstageRequest request = CSI__UNSTAGE_REQUEST__INIT;
        request.volume_id = record->handle;
        request.staging_target_path = target;
        const struct csi_call call = {.method = "NodeUnstageVolume", .request = &request.base};
        int r = csi_drivers_find(csi->drivers, record->driver, &driver, err);
        if (r == 0)
                r = csi_driver_call(driver, &call, NULL, err);
        if (r == 0)
                r = clear_path(target, err);
        if (r < 0)
                return r;
        csi_record_remove(folder);
        (void)rmdir(folder);
        return 0;
}

static int unpublish(const struct volume_place *place, struct csi_driver *driver, const struct csi_record *record,
                     struct cx_error *err)
{
        struct csi *csi = place->context;
        CX_CLEANUP(cx_freep) char *target = target_of(place->folder, record->block);
        CX_CLEANUP(cx_freep) char *pods = cx_sprintf("%s/pods", place->kubelet->root);
        CX_CLEANUP(cx_freep) char *unique = csi_unique_name(record->driver, record->handle);
        Csi__UnpublishRequest request = CSI__UNPUBLISH_REQUEST__INIT;
        request.volume_id = record->handle;
        request.target_path = target;
        const struct csi_call call = {.method = "NodeUnpublishVolume", .request = &request.base};
        int r = record->asked ? csi_driver_call(driver, &call, NULL, err) : 0;
        if (r == 0)
                r = clear_path(target, err);
        if (r < 0 || record->ephemeral || csi_record_others(pods, place->pod_uid, record))
                return r;
        r = unstage(place, record, err);
        if (r == 0)
                in_use_remove(csi->in_use, unique);
        return r;
}

static int tear_down(const struct volume_place *place, struct cx_error *err)
{
        struct csi *csi = place->context;
        CSI_RECORD record = {0};
        CX_CLEANUP(csi_driver_unrefp) struct csi_driver *driver = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = csi_record_read(place->folder, &record, &failure);
        if (r == -ENOENT) // nothing was asked of a driver yet, or all is undone
                return local_end_mount(place, err);
        if (r < 0)
                return cx_error_move(err, &failure);
        r = record.asked ? csi_drivers_find(csi->drivers, record.driver, &driver, err) : 0;
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *lock = lock_of(record.driver, record.handle);
        locks_take(place->locks, lock);
        r = unpublish(place, driver, &record, err);
        if (r == 0) {
                csi_record_remove(place->folder);
                r = local_end_mount(place, err);
        }
        locks_give(place->locks, lock);
        return r == -EAGAIN ? r
               : r < 0      ? cx_error_wrap(err, "UnmountVolume.TearDown failed for volume \"%s\"", place->name)
                            : 0;
}

// --- what else can be done -------------------------------------------------------------------------------------------

static int expand(struct volume_job *job, int64_t bytes, struct cx_error *err)
{
        CX_CLEANUP(setup_release) struct setup s = {0};
        CSI_CAPABILITY capability = {0};
        CSI_PAIRS secrets = {0};
        bool can = false;
        int r = begin(&s, job, err);
        if (r == 0)
                r = csi_driver_can(s.driver, CSI_CAN_EXPAND, &can, err);
        if (r < 0 || !can) // then there is nothing to do on the node
                return r;
        r = csi_pairs_set_secret(&secrets, job, json_object_get(job->source, "nodeExpandSecretRef"), err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *target = target_of(job->folder, job->block);
        CX_CLEANUP(cx_freep) char *staging = s.stage ? cx_sprintf("%s/globalmount", s.stage) : NULL;
        csi_capability_fill(&capability, job, s.single_node, s.group);
        Csi__ExpandRequest__Range range = CSI__EXPAND_REQUEST__RANGE__INIT;
        range.required_bytes = bytes;
        Csi__ExpandRequest request = CSI__EXPAND_REQUEST__INIT;
        request.volume_id = s.handle;
        request.volume_path = target;
        request.capacity_range = &range;
        request.staging_target_path = staging ? staging : request.staging_target_path;
        request.volume_capability = &capability.message;
        request.secrets = secrets.items;
        request.n_secrets = secrets.count;
        CX_CLEANUP(cx_freep) char *lock = lock_of(s.driver_name, s.handle);
        locks_take(job->locks, lock);
        r = csi_driver_call(s.driver, &(struct csi_call){.method = "NodeExpandVolume", .request = &request.base}, NULL,
                            err);
        locks_give(job->locks, lock);
        return r;
}

static void take_usage(const Csi__StatsResponse *answer, struct volume_usage *to)
{
        for (size_t i = 0; i < answer->n_usage; i++) {
                const Csi__StatsResponse__Usage *u = answer->usage[i];
                if (u->available < 0 || u->total < 0 || u->used < 0)
                        continue;
                if (u->unit == 1) {
                        to->capacity = u->total;
                        to->available = u->available;
                        to->used = u->used;
                } else if (u->unit == 2) {
                        to->inodes = u->total;
                        to->inodes_free = u->available;
                        to->inodes_used = u->used;
                }
        }
}

static int stats(const struct volume_place *place, struct volume_usage *ret_usage, struct cx_error *err)
{
        struct csi *csi = place->context;
        CSI_RECORD record = {0};
        CX_CLEANUP(csi_driver_unrefp) struct csi_driver *driver = NULL;
        bool can = false;
        int r = csi_record_read(place->folder, &record, err);
        if (r == 0)
                r = csi_drivers_find(csi->drivers, record.driver, &driver, err);
        if (r == 0)
                r = csi_driver_can(driver, CSI_CAN_STATS, &can, err);
        if (r == 0 && !can)
                r = cx_error_set(err, -ENOTSUP, "driver %s does not tell how full volumes are", record.driver);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *target = target_of(place->folder, record.block);
        ProtobufCMessage *answer = NULL;
        Csi__StatsRequest request = CSI__STATS_REQUEST__INIT;
        request.volume_id = record.handle;
        request.volume_path = target;
        r = csi_driver_call(driver,
                            &(struct csi_call){.method = "NodeGetVolumeStats",
                                               .timeout = STATS_TIMEOUT,
                                               .request = &request.base,
                                               .type = &csi__stats_response__descriptor},
                            &answer, err);
        if (r < 0)
                return r;
        *ret_usage = (struct volume_usage){0};
        take_usage((const Csi__StatsResponse *)answer, ret_usage);
        protobuf_c_message_free_unpacked(answer, NULL);
        return 0;
}

static int block(struct volume_job *job, char **ret_device, struct cx_error *err)
{
        if (!job->block)
                return cx_error_set(err, -ENOTBLK, "volume \"%s\" is no block device", job->name);
        *ret_device = target_of(job->folder, true);
        return 0;
}

// --- what was used before --------------------------------------------------------------------------------------------

static void take_up(struct csi *csi, const char *folder)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        if (cx_list_folder(folder, &names, NULL) < 0)
                return;
        for (size_t i = 0; i < names.count; i++) {
                CX_CLEANUP(cx_freep) char *volume = cx_sprintf("%s/%s", folder, names.items[i]);
                CSI_RECORD record = {0};
                if (csi_record_read(volume, &record, NULL) < 0 || !record.attachable)
                        continue;
                CX_CLEANUP(cx_freep) char *unique = csi_unique_name(record.driver, record.handle);
                (void)in_use_add(csi->in_use, unique);
        }
}

struct volume_plugin csi_plugin(struct csi *csi)
{
        CX_CLEANUP(cx_freep) char *pods = cx_sprintf("%s/pods", csi->kubelet->root);
        CX_STRINGS uids = CX_STRINGS_INIT;
        if (cx_list_folder(pods, &uids, NULL) == 0)
                for (size_t i = 0; i < uids.count; i++) {
                        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s/volumes/" FOLDER, pods, uids.items[i]);
                        take_up(csi, folder);
                }
        return (struct volume_plugin){.context = csi,
                                      .source = "csi",
                                      .folder = FOLDER,
                                      .slow = true,
                                      .options = true,
                                      .within = "mount",
                                      .ready = ready,
                                      .set_up = set_up,
                                      .tear_down = tear_down,
                                      .expand = expand,
                                      .stats = stats,
                                      .block = block};
}
