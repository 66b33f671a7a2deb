// SPDX-License-Identifier: Apache-2.0
// Sources of files, one function each; what they add goes into one payload.
#include "kubelet/volume/files.h"

#include "kubelet/volume/atomic_writer.h"
#include "kubelet/volume/downward.h"
#include "kubelet/volume/local.h"
#include "kubelet/volume/refs.h"
#include "kubelet/volume/tokens.h"
#include "libcommon/base/process.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"

#include <assert.h>

#define VALUE_MAX ((size_t)4 << 20)

struct files files_of(struct volume_job *job)
{
        return (struct files){.job = job,
                              .mode = (unsigned)cx_json_int(job->source, "defaultMode", 0) & 0777,
                              .payload = CX_MAP_INIT_FREE(payload_free_file)};
}

void files_release(struct files *files)
{
        cx_map_release(&files->payload);
}

static unsigned mode_of(const struct files *f, const json_t *item)
{
        return (unsigned)cx_json_int(item, "mode", f->mode) & 0777;
}

// --- ConfigMaps and Secrets ------------------------------------------------------------------------------------------

// What differs between the two.
struct keyed {
        const char *resource, *word;
        bool secret; // data is base64
};
static const struct keyed config_map = {"configmaps", "config", false}, secret = {"secrets", "secret", true};

// Adds one key of an object; 1 when the object lacks it.
static int add_value(struct files *f, const struct keyed *kind, const json_t *object, const char *key,
                     const json_t *item, struct cx_error *err)
{
        const char *path = cx_json_string_or(item, "path", key);
        const char *data = json_string_value(json_object_get(json_object_get(object, "data"), key));
        const char *binary = json_string_value(json_object_get(json_object_get(object, "binaryData"), key));
        if (data && !kind->secret)
                return payload_add(&f->payload, path, data, strlen(data), mode_of(f, item), err);
        const char *encoded = kind->secret ? data : binary;
        if (!encoded)
                return 1;
        CX_BUF decoded = CX_BUF_INIT_MAX(VALUE_MAX);
        if (cx_base64_decode(encoded, strlen(encoded), &decoded) < 0)
                return cx_error_set(err, -EINVAL, "key \"%s\" is not valid base64", key);
        return payload_add(&f->payload, path, decoded.data, decoded.length, mode_of(f, item), err);
}

static int add_items(struct files *f, const struct keyed *kind, const json_t *object, const json_t *source,
                     struct cx_error *err)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(source, "items"), i, item) {
                const char *key = cx_json_string_or(item, "key", "");
                int r = add_value(f, kind, object, key, item, err);
                if (r == 1 && !cx_json_bool(source, "optional", false))
                        return cx_error_set(err, -ENOENT, "references non-existent %s key: %s", kind->word, key);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_keys(struct files *f, const struct keyed *kind, const json_t *source, const char *name,
                    struct cx_error *err)
{
        const json_t *pod = f->job->pod;
        json_auto_t *object = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = refs_get(f->job->refs,
                         &(struct ref_key){.pod_uid = cx_json_string_or(pod, "metadata.uid", ""),
                                           .resource = kind->resource,
                                           .namespace = cx_json_string_or(pod, "metadata.namespace", ""),
                                           .name = name},
                         &object, &failure);
        if (r < 0 && failure.reason == CX_REASON_NOT_FOUND && cx_json_bool(source, "optional", false))
                return 0;
        if (r < 0)
                return cx_error_move(err, &failure);
        if (json_array_size(json_object_get(source, "items")))
                return add_items(f, kind, object, source, err);
        static const char *const members[] = {"data", "binaryData"};
        for (size_t m = 0; m < CX_ARRAY_SIZE(members); m++) {
                const char *key;
                json_t *value;
                json_object_foreach (json_object_get(object, members[m]), key, value) {
                        r = add_value(f, kind, object, key, NULL, err);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int files_add_config_map(struct files *f, const json_t *source, struct cx_error *err)
{
        return add_keys(f, &config_map, source, cx_json_string_or(source, "name", ""), err);
}

int files_add_secret(struct files *f, const json_t *source, const char *name, struct cx_error *err)
{
        return add_keys(f, &secret, source, name, err);
}

// --- the downward API, tokens ----------------------------------------------------------------------------------------

int files_add_downward(struct files *f, const json_t *source, struct cx_error *err)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(source, "items"), i, item) {
                CX_CLEANUP(cx_freep) char *text = NULL;
                const char *field = cx_json_string(item, "fieldRef.fieldPath");
                int r = 0;
                if (field)
                        text = downward_field(f->job->pod, field);
                else
                        r = downward_resource(f->job->kubelet, f->job->pod, json_object_get(item, "resourceFieldRef"),
                                              NULL, &text, err);
                if (r < 0)
                        return r;
                if (!text)
                        return cx_error_set(err, -EINVAL, "unsupported fieldPath: %s", cx_str(field));
                r = payload_add(&f->payload, cx_json_string_or(item, "path", ""), text, strlen(text), mode_of(f, item),
                                err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int files_add_token(struct files *f, const json_t *source, struct cx_error *err)
{
        struct volume_job *job = f->job;
        CX_CLEANUP(cx_freep) char *token = NULL;
        int64_t again = INT64_MAX;
        int r = tokens_get(job->tokens,
                           &(struct token_wish){.pod = job->pod,
                                                .audience = cx_json_string_or(source, "audience", ""),
                                                .seconds = cx_json_int(source, "expirationSeconds", 0)},
                           &token, &again, NULL, err);
        if (r < 0)
                return r;
        assert(token);
        if (again < job->again)
                job->again = again;
        // For its reader alone where that one is known: the group (fsGroup adds its bit), or the one user.
        unsigned mode = job->gid >= 0 || job->uid >= 0 ? 0600 : f->mode;
        const char *path = cx_json_string_or(source, "path", "");
        r = payload_add(&f->payload, path, token, strlen(token), mode, err);
        if (r == 0)
                ((struct payload_file *)cx_map_get(&f->payload, path))->uid = job->uid;
        return r;
}

int files_write(struct files *f, struct cx_error *err)
{
        int r = cx_mkdir_all(f->job->folder, 0750, err);
        if (r == 0)
                r = local_own_folder(f->job, err);
        return r < 0 ? r : atomic_write(f->job->folder, &f->payload, f->job->gid, NULL, err);
}
