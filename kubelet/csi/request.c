// SPDX-License-Identifier: Apache-2.0
#include "kubelet/csi/request.h"

#include "kubelet/volume/refs.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#define VALUE_MAX ((size_t)1 << 20)

void csi_pairs_release(struct csi_pairs *p)
{
        for (size_t i = 0; i < p->count; i++) {
                explicit_bzero(p->items[i]->value, strlen(p->items[i]->value)); // of a secret, maybe
                free(p->items[i]->key);
                free(p->items[i]->value);
                free(p->items[i]);
        }
        free(p->items);
        *p = (struct csi_pairs){0};
}

void csi_pairs_set(struct csi_pairs *p, const char *key, const char *value)
{
        for (size_t i = 0; i < p->count; i++)
                if (strcmp(p->items[i]->key, key) == 0) {
                        free(p->items[i]->value);
                        p->items[i]->value = cx_strdup(value);
                        return;
                }
        p->items = cx_realloc_array(p->items, p->count + 1, sizeof(Csi__Pair *));
        Csi__Pair *pair = p->items[p->count++] = cx_alloc(sizeof *pair);
        csi__pair__init(pair);
        pair->key = cx_strdup(key);
        pair->value = cx_strdup(value);
}

void csi_pairs_set_all(struct csi_pairs *p, const json_t *object)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)object, key, value)
                if (json_is_string(value))
                        csi_pairs_set(p, key, json_string_value(value));
}

int csi_pairs_set_secret(struct csi_pairs *p, const struct volume_job *job, const json_t *ref, struct cx_error *err)
{
        const char *name = cx_json_string(ref, "name"), *key;
        const char *own = cx_json_string_or(job->pod, "metadata.namespace", "");
        json_auto_t *secret = NULL;
        json_t *value;
        if (!name)
                return 0;
        int r = refs_get(job->refs,
                         &(struct ref_key){.pod_uid = cx_json_string_or(job->pod, "metadata.uid", ""),
                                           .resource = "secrets",
                                           .namespace = cx_json_string_or(ref, "namespace", own),
                                           .name = name},
                         &secret, err);
        if (r < 0)
                return cx_error_wrap(err, "fetching secret");
        json_object_foreach (json_object_get(secret, "data"), key, value) {
                const char *text = cx_str(json_string_value(value));
                CX_BUF decoded = CX_BUF_INIT_MAX(VALUE_MAX);
                if (cx_base64_decode(text, strlen(text), &decoded) < 0)
                        return cx_error_set(err, -EINVAL, "key \"%s\" of secret \"%s\" is not valid base64", key, name);
                csi_pairs_set(p, key, decoded.data);
                explicit_bzero(decoded.data, decoded.length);
        }
        return 0;
}

static uint32_t access_mode(const struct volume_job *job, bool single_node)
{
        const json_t *modes = cx_json_get(job->persistent, "spec.accessModes");
        const char *mode = cx_str(json_string_value(json_array_get(modes, 0)));
        if (strcmp(mode, "ReadOnlyMany") == 0)
                return 3; // MULTI_NODE_READER_ONLY
        if (strcmp(mode, "ReadWriteMany") == 0)
                return 5; // MULTI_NODE_MULTI_WRITER
        if (!single_node)
                return 1;                                     // SINGLE_NODE_WRITER
        return strcmp(mode, "ReadWriteOncePod") == 0 ? 6 : 7; // SINGLE_NODE_SINGLE_WRITER, _MULTI_WRITER
}

void csi_capability_release(struct csi_capability *c)
{
        free(c->flags);
        c->flags = NULL;
}

void csi_capability_fill(struct csi_capability *c, const struct volume_job *job, bool single_node, bool group)
{
        const json_t *options = cx_json_get(job->persistent, "spec.mountOptions");
        *c = (struct csi_capability){.message = CSI__VOLUME_CAPABILITY__INIT,
                                     .block = CSI__VOLUME_CAPABILITY__BLOCK_VOLUME__INIT,
                                     .mount = CSI__VOLUME_CAPABILITY__MOUNT_VOLUME__INIT,
                                     .mode = CSI__VOLUME_CAPABILITY__ACCESS_MODE__INIT};
        c->mode.mode = access_mode(job, single_node);
        c->message.access_mode = &c->mode;
        if (job->block) {
                c->message.block = &c->block;
                return;
        }
        c->message.mount = &c->mount;
        c->mount.fs_type = (char *)cx_json_string_or(job->source, "fsType", "");
        c->flags = cx_alloc_array(json_array_size(options) + 1, sizeof *c->flags);
        for (size_t i = 0; i < json_array_size(options); i++)
                c->flags[i] = (char *)cx_str(json_string_value(json_array_get(options, i)));
        c->mount.mount_flags = c->flags;
        c->mount.n_mount_flags = json_array_size(options);
        if (group && job->gid >= 0) {
                snprintf(c->group, sizeof c->group, "%lld", (long long)job->gid);
                c->mount.volume_mount_group = c->group;
        }
}
