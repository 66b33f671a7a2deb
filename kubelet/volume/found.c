// SPDX-License-Identifier: Apache-2.0
// One volume of a pod: from its entry in the spec, through a claim if it is one, to the plugin and the place.
#include "kubelet/runtime/spec.h"
#include "kubelet/volume/volumes_internal.h"
#include "libcommon/api/node_affinity.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/process.h"
#include "libcommon/format/json.h"

#include <fcntl.h>

void found_free(void *p)
{
        struct found_volume *f = p;
        json_decref(f->pod);
        json_decref(f->claim.claim);
        json_decref(f->claim.persistent);
        free(f->name);
        free(f->folder);
        free(f->notes);
        free(f);
}

static const struct volume_plugin *plugin_of(const struct volumes *v, const json_t *holder)
{
        for (const struct volume_plugin *const *p = v->plugins; *p; p++)
                if (json_is_object(json_object_get(holder, (*p)->source)))
                        return *p;
        return NULL;
}

// The user that all containers of the pod run as; -1 when they differ or an image says it.
static int64_t common_user(const json_t *pod)
{
        int64_t user = -1;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        {
                const json_t *own = security_value(pod, walk.container, "runAsUser");
                if (!json_is_integer(own) || (user >= 0 && user != json_integer_value(own)))
                        return -1;
                user = json_integer_value(own);
        }
        return user;
}

// The kind of a source that no plugin is for: the member that is an object and nothing else that a PersistentVolume has.
static const char *kind_of(const json_t *holder)
{
        static const char *const others[] = {"capacity", "claimRef", "nodeAffinity"};
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)holder, key, value) {
                bool other = !json_is_object(value);
                for (size_t i = 0; i < CX_ARRAY_SIZE(others); i++)
                        other = other || strcmp(key, others[i]) == 0;
                if (!other)
                        return key;
        }
        return "such";
}

static bool is_read_only(const struct found_volume *f)
{
        return cx_json_bool(f->job.source, "readOnly", false) ||
               cx_json_bool(f->job.volume, "persistentVolumeClaim.readOnly", false);
}

static void place(struct found_volume *f, const char *uid)
{
        const struct volumes *v = f->volumes;
        const struct volume_plugin *plugin = f->plugin;
        const char *root = plugin->in_memory && plugin->in_memory(f->job.source) ? v->state_pods : v->pods;
        if (plugin->folder) {
                f->folder = cx_sprintf("%s/%s/volumes/%s/%s", root, uid, plugin->folder, f->name);
                f->notes = cx_sprintf("%s/%s/plugins/%s/%s", root, uid, plugin->folder, f->name);
        } else {
                f->folder = cx_strdup(plugin->path(f->job.source));
        }
}

int found_describe(struct volumes *v, const json_t *pod, const json_t *volume, bool any_age,
                   struct found_volume **ret_found, struct cx_error *err)
{
        const char *name = cx_json_string_or(volume, "name", ""), *uid = cx_json_string_or(pod, "metadata.uid", "");
        FOUND *f = cx_alloc(sizeof *f);
        f->volumes = v;
        f->pod = json_incref((json_t *)pod);
        CX_CLEANUP(cx_freep) char *claim = volume_claim_name(pod, volume);
        int r = claim ? claims_find(v->claims, pod, volume, any_age, &f->claim, err) : 0;
        if (r < 0)
                return r;
        const json_t *persistent = f->claim.persistent;
        const json_t *holder = persistent ? json_object_get(persistent, "spec") : volume;
        f->plugin = plugin_of(v, holder);
        if (!f->plugin || !*name || !*uid)
                return cx_error_set(err, -ENOTSUP,
                                    "no volume plugin matched for volume \"%s\": %s volumes are not supported by this "
                                    "kubelet; a CSI driver may have them",
                                    name, kind_of(holder));
        f->name = cx_strdup(persistent ? cx_json_string_or(persistent, "metadata.name", "") : name);
        f->job = (struct volume_job){.context = f->plugin->context,
                                     .kubelet = v->kubelet,
                                     .refs = v->refs,
                                     .tokens = v->tokens,
                                     .locks = v->locks,
                                     .pod = pod,
                                     .volume = volume,
                                     .claim = f->claim.claim,
                                     .persistent = persistent,
                                     .source = json_object_get(holder, f->plugin->source),
                                     .name = f->name,
                                     .gid = cx_json_int(pod, "spec.securityContext.fsGroup", -1),
                                     .uid = common_user(pod),
                                     .block = cx_streq(cx_json_string(persistent, "spec.volumeMode"), "Block"),
                                     .again = INT64_MAX};
        f->job.read_only = is_read_only(f);
        place(f, uid);
        f->job.folder = f->folder;
        f->job.notes = f->notes;
        *ret_found = cx_steal(&f);
        return 0;
}

int found_wrap(const struct found_volume *f, const char *step, struct cx_error *err)
{
        return cx_error_wrap(err, "%s for volume \"%s\" ", step, f->name);
}

// --- what has to hold ------------------------------------------------------------------------------------------------

static int check_affinity(const struct found_volume *f, struct cx_error *err)
{
        const struct kubelet *k = f->volumes->kubelet;
        const json_t *required = cx_json_get(f->job.persistent, "spec.nodeAffinity.required");
        if (!required)
                return 0;
        CX_OBJECT *node = k->nodes ? cx_informer_get(k->nodes, NULL, k->node_name) : NULL;
        json_auto_t *object = node ? cx_object_json(node) : NULL;
        struct cx_node_terms terms = {0};
        cx_node_terms_parse(required, &terms);
        struct cx_node_facts facts = cx_node_facts_of(object);
        bool here = object && cx_node_terms_match(&terms, &facts);
        cx_node_terms_release(&terms);
        if (here)
                return 0;
        (void)cx_error_set(err, -EPERM, object ? "no matching NodeSelectorTerms" : "the node is not known yet");
        return found_wrap(
                f, f->job.block ? "MapVolume.NodeAffinity check failed" : "MountVolume.NodeAffinity check failed", err);
}

// A volume is a file system or a device, and containers must take it for what it is.
static int check_mode(const struct found_volume *f, struct cx_error *err)
{
        const char *name = cx_json_string_or(f->job.volume, "name", "");
        const char *wrong = f->job.block ? "volumeMounts" : "volumeDevices";
        if (!f->job.persistent)
                return 0;
        CX_POD_FOREACH(walk, json_object_get(f->pod, "spec"), CX_POD_ALL)
        if (cx_json_find(json_object_get(walk.container, wrong), "name", name)) {
                const char *namespace = cx_json_string_or(f->pod, "metadata.namespace", "");
                return cx_error_set(err, -EINVAL,
                                    "error processing PVC %s/%s: volume %s has volumeMode %s, but is specified in %s",
                                    namespace, cx_json_string_or(f->job.claim, "metadata.name", ""), name,
                                    f->job.block ? "Block" : "Filesystem", wrong);
        }
        return 0;
}

static int check_options(const struct found_volume *f, struct cx_error *err)
{
        if (f->plugin->options || !json_array_size(cx_json_get(f->job.persistent, "spec.mountOptions")))
                return 0;
        (void)cx_error_set(err, -ENOTSUP, "Mount options are not supported for this volume type");
        return found_wrap(f, "MountVolume.MountOptionSupport check failed", err);
}

static bool is_one_pods(const json_t *persistent)
{
        const json_t *modes = cx_json_get(persistent, "spec.accessModes");
        return json_array_size(modes) == 1 && cx_streq(json_string_value(json_array_get(modes, 0)), "ReadWriteOncePod");
}

static bool taken_by_other(const struct volumes *v, const char *uid, const char *name)
{
        CX_STRINGS uids = CX_STRINGS_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_list_folder(v->pods, &uids, &err) < 0)
                return true;
        for (size_t i = 0; i < uids.count; i++) {
                CX_CLEANUP(cx_freep) char *mark = cx_sprintf("%s/%s/single/%s", v->pods, uids.items[i], name);
                if (strcmp(uids.items[i], uid) != 0 && access(mark, F_OK) == 0)
                        return true;
        }
        return false;
}

// The volume is taken by a mark in the pod's folder, which is there for as long as anything of the pod may be.
static int take_single(const struct found_volume *f, struct cx_error *err)
{
        struct volumes *v = f->volumes;
        const char *uid = cx_json_string_or(f->pod, "metadata.uid", "");
        CX_CLEANUP(cx_freep) char *folder = cx_sprintf("%s/%s/single", v->pods, uid);
        CX_CLEANUP(cx_freep) char *mark = cx_sprintf("%s/%s", folder, f->name);
        if (access(mark, F_OK) == 0)
                return 0;
        if (taken_by_other(v, uid, f->name)) {
                (void)cx_error_set(err, -EBUSY,
                                   "volume uses the ReadWriteOncePod access mode and is already in use by another pod");
                return found_wrap(f, "MountVolume.SetUp failed", err);
        }
        int r = cx_mkdir_all(folder, 0750, err);
        return r < 0 ? r : cx_write_file(mark, "", 0, 0600, false, err);
}

int found_check(const struct found_volume *f, struct cx_error *err)
{
        if (!f->job.persistent)
                return 0;
        int r = check_mode(f, err);
        if (r == 0)
                r = check_affinity(f, err);
        if (r == 0)
                r = check_options(f, err);
        if (r < 0 || !is_one_pods(f->job.persistent))
                return r;
        locks_take(f->volumes->locks, "single");
        r = take_single(f, err);
        locks_give(f->volumes->locks, "single");
        return r;
}
