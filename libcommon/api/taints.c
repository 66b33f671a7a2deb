// SPDX-License-Identifier: Apache-2.0
// Which pods a node keeps away.
#include "libcommon/api/taints.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/strings.h"
#include "libcommon/format/json.h"

#include <string.h>

static const char *const effects[] = {
        [CX_EFFECT_ANY] = "",
        [CX_EFFECT_NO_SCHEDULE] = "NoSchedule",
        [CX_EFFECT_PREFER_NO_SCHEDULE] = "PreferNoSchedule",
        [CX_EFFECT_NO_EXECUTE] = "NoExecute",
};

const char *cx_taint_effect_text(enum cx_taint_effect effect)
{
        return effects[effect];
}

bool cx_taint_effect_parse(const char *text, enum cx_taint_effect *ret_effect)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(effects); i++)
                if (strcmp(cx_str(text), effects[i]) == 0) {
                        *ret_effect = (enum cx_taint_effect)i;
                        return true;
                }
        return false;
}

void cx_taints_parse(const json_t *array, struct cx_taints *ret_taints)
{
        size_t i;
        json_t *from;
        *ret_taints = (struct cx_taints){.items = cx_alloc_array(json_array_size(array) + 1, sizeof(struct cx_taint))};
        json_array_foreach (array, i, from) {
                enum cx_taint_effect effect;
                if (!cx_taint_effect_parse(cx_json_string(from, "effect"), &effect) || effect == CX_EFFECT_ANY)
                        continue;
                ret_taints->items[ret_taints->count++] =
                        (struct cx_taint){.key = cx_strdup(cx_json_string_or(from, "key", "")),
                                          .value = cx_strdup(cx_json_string_or(from, "value", "")),
                                          .effect = effect};
        }
}

void cx_taints_release(struct cx_taints *taints)
{
        for (size_t i = 0; i < taints->count; i++) {
                free(taints->items[i].key);
                free(taints->items[i].value);
        }
        free(taints->items);
        *taints = (struct cx_taints){0};
}

void cx_tolerations_parse(const json_t *array, struct cx_tolerations *ret_tolerations)
{
        size_t i;
        json_t *from;
        *ret_tolerations = (struct cx_tolerations){
                .items = cx_alloc_array(json_array_size(array) + 1, sizeof(struct cx_toleration))};
        json_array_foreach (array, i, from) {
                enum cx_taint_effect effect;
                const char *wanted = cx_json_string_or(from, "operator", "");
                bool exists = strcmp(wanted, "Exists") == 0;
                if (!cx_taint_effect_parse(cx_json_string(from, "effect"), &effect) ||
                    (!exists && *wanted && strcmp(wanted, "Equal") != 0))
                        continue;
                ret_tolerations->items[ret_tolerations->count++] =
                        (struct cx_toleration){.key = cx_strdup(cx_json_string_or(from, "key", "")),
                                               .value = cx_strdup(cx_json_string_or(from, "value", "")),
                                               .exists = exists,
                                               .effect = effect,
                                               .seconds = cx_json_int(from, "tolerationSeconds", -1)};
        }
}

void cx_tolerations_release(struct cx_tolerations *tolerations)
{
        for (size_t i = 0; i < tolerations->count; i++) {
                free(tolerations->items[i].key);
                free(tolerations->items[i].value);
        }
        free(tolerations->items);
        *tolerations = (struct cx_tolerations){0};
}

bool cx_tolerates(const struct cx_toleration *toleration, const struct cx_taint *taint)
{
        if (toleration->effect != CX_EFFECT_ANY && toleration->effect != taint->effect)
                return false;
        if (*toleration->key && strcmp(toleration->key, taint->key) != 0)
                return false;
        return toleration->exists || (*toleration->key && strcmp(toleration->value, taint->value) == 0);
}

const struct cx_toleration *cx_tolerations_find(const struct cx_tolerations *tolerations, const struct cx_taint *taint)
{
        for (size_t i = 0; i < tolerations->count; i++)
                if (cx_tolerates(&tolerations->items[i], taint))
                        return &tolerations->items[i];
        return NULL;
}

const struct cx_taint *cx_taints_untolerated(const struct cx_taints *taints, const struct cx_tolerations *tolerations,
                                             unsigned effects_asked)
{
        for (size_t i = 0; i < taints->count; i++)
                if (effects_asked & (1u << taints->items[i].effect) &&
                    !cx_tolerations_find(tolerations, &taints->items[i]))
                        return &taints->items[i];
        return NULL;
}
