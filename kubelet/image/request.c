// SPDX-License-Identifier: Apache-2.0
// Requests about images, as a table of verbs.
#include "kubelet/image/request.h"

#include "kubelet/image/export.h"
#include "kubelet/image/pull.h"
#include "kubelet/image/reference.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"

#define MAX_REQUEST 65536
#define SUFFIX ".request"

struct image_wish {
        struct image_store *store;
        const char *registry_config, *path;
        const char *image; // as it was asked for
        char *reference;   // normalized
        const json_t *json;
};

static int request_remove(const struct image_wish *q, struct cx_error *err)
{
        return image_store_untag(q->store, q->reference, err);
}

static int request_tag(const struct image_wish *q, struct cx_error *err)
{
        IMAGE_REF ref = IMAGE_REF_INIT;
        int r = image_ref_parse(cx_json_string_or(q->json, "name", ""), &ref, err);
        if (r == 0 && !ref.tag)
                r = cx_error_set(err, -EINVAL, "a digest cannot be a name: %s", cx_json_string_or(q->json, "name", ""));
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *tag = image_ref_format(&ref);
        return image_store_tag(q->store, q->reference, tag, err);
}

static int request_pull(const struct image_wish *q, struct cx_error *err)
{
        struct registries *registries = NULL;
        json_auto_t *record = NULL;
        int r = registries_load(q->registry_config, &registries, err);
        if (r == 0)
                r = image_pull(&(struct pull_options){.store = q->store, .registries = registries, .image = q->image},
                               &record, NULL, err);
        registries_free(registries);
        return r;
}

static int request_save(const struct image_wish *q, struct cx_error *err)
{
        CX_CLEANUP(cx_freep)
        char *target = cx_sprintf("%.*s.saved", (int)(strlen(q->path) - strlen(SUFFIX)), q->path);
        return image_export(q->store, q->reference, target, err);
}

static const struct {
        const char *verb;
        int (*fulfil)(const struct image_wish *q, struct cx_error *err);
} verbs[] = {{"remove", request_remove}, {"tag", request_tag}, {"pull", request_pull}, {"save", request_save}};

// An id stands for itself.
static int normalize(const char *image, char **ret_reference, struct cx_error *err)
{
        IMAGE_REF ref = IMAGE_REF_INIT;
        if (digest_valid(image)) {
                *ret_reference = cx_strdup(image);
                return 0;
        }
        int r = image_ref_parse(image, &ref, err);
        if (r == 0)
                *ret_reference = image_ref_format(&ref);
        return r;
}

int image_request(struct image_store *store, const char *registry_config, const char *path, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_REQUEST);
        json_auto_t *json = NULL;
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        r = cx_json_parse(text.data, text.length, true, &json, err);
        if (r < 0)
                return r;
        struct image_wish q = {.store = store,
                               .registry_config = registry_config,
                               .path = path,
                               .image = cx_json_string_or(json, "image", ""),
                               .json = json};
        CX_CLEANUP(cx_freep) char *reference = NULL;
        r = normalize(q.image, &reference, err);
        if (r < 0)
                return r;
        q.reference = reference;
        for (size_t i = 0; i < CX_ARRAY_SIZE(verbs); i++)
                if (cx_streq(cx_json_string(json, "verb"), verbs[i].verb))
                        return verbs[i].fulfil(&q, err);
        return cx_error_set(err, -EINVAL, "nothing like \"%s\" can be asked of images",
                            cx_json_string_or(json, "verb", ""));
}
