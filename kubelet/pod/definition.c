// SPDX-License-Identifier: Apache-2.0
// A container's record keeps the hash of the definition that it was made from and the pod's generation of that time. The
// apiserver counts the generation at every change of a pod's spec, so the two together tell a change from a new default.
#include "kubelet/pod/definition.h"

#include "kubelet/runtime/runtime.h"
#include "libcommon/base/log.h"
#include "libcommon/format/json.h"

#include <openssl/evp.h>

char *definition_hash(const json_t *container)
{
        static const char *const in_place[] = {"resources", "resizePolicy"};
        json_auto_t *copy = json_copy((json_t *)container);
        for (size_t i = 0; i < CX_ARRAY_SIZE(in_place); i++)
                json_object_del(copy, in_place[i]);
        char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        EVP_Digest(cx_str(text), strlen(cx_str(text)), digest, &length, EVP_sha256(), NULL);
        free(text);
        CX_BUF hex = CX_BUF_INIT_MAX(2 * EVP_MAX_MD_SIZE + 1);
        for (unsigned i = 0; i < length; i++)
                cx_buf_printf(&hex, "%02x", digest[i]);
        return cx_buf_detach(&hex);
}

bool definition_changed(const struct kubelet *k, const json_t *object, const json_t *container, struct container *made)
{
        int64_t generation = cx_json_int(object, "metadata.generation", 0);
        CX_CLEANUP(cx_freep) char *now = definition_hash(container);
        CX_CLEANUP(container_definition_release) struct container_definition was = {0};
        container_definition(k->runtime, made, &was);
        bool same = strcmp(was.hash, now) == 0;
        if (same && was.generation == generation)
                return false;
        bool counted = was.generation != generation;
        if (was.generation == DEFINITION_IS_IMAGE) {
                same = strcmp(was.hash, cx_json_string_or(container, "image", "")) == 0;
                counted = true;
        }
        if (!same && counted)
                return true;
        CX_ERROR err = CX_ERROR_INIT;
        if (container_define(k->runtime, made, &(struct container_definition){now, generation}, &err) < 0)
                cx_err(&err, "Cannot keep a container's record", "id", made->id);
        return false;
}
