// SPDX-License-Identifier: Apache-2.0
// ConfigMaps, Secrets, claims.
#include "libcommon/api/names.h"
#include "libcommon/api/quantity.h"
#include "libcommon/schema/validate/validate.h"

#define MAX_DATA (1024 * 1024)

static size_t check_keys(struct cx_validator *v, const json_t *object, const char *map)
{
        size_t total = 0;
        const char *key;
        json_t *value;
        json_object_foreach (json_object_get(object, map), key, value) {
                const char *wrong = cx_check_config_key(key);
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("%s[%s]", map, key);
                if (wrong)
                        cx_invalid_text(v, field, key, wrong);
                total += json_string_length(value);
        }
        return total;
}

static void check_config_map(struct cx_validator *v, const json_t *object)
{
        const char *key;
        json_t *value;
        size_t total = check_keys(v, object, "data") + check_keys(v, object, "binaryData") * 3 / 4;
        json_object_foreach (json_object_get(object, "binaryData"), key, value) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("data[%s]", key);
                if (json_object_get(json_object_get(object, "data"), key))
                        cx_invalid_text(v, field, key, "duplicate of key present in binaryData");
        }
        if (total > MAX_DATA)
                cx_too_long(v, "", MAX_DATA);
}

static void check_secret(struct cx_validator *v, const json_t *object)
{
        static const struct {
                const char *type, *key;
        } needed[] = {{"kubernetes.io/tls", "tls.crt"},
                      {"kubernetes.io/tls", "tls.key"},
                      {"kubernetes.io/dockerconfigjson", ".dockerconfigjson"},
                      {"kubernetes.io/dockercfg", ".dockercfg"},
                      {"kubernetes.io/ssh-auth", "ssh-privatekey"}};
        const json_t *data = json_object_get(object, "data"), *text = json_object_get(object, "stringData");
        if (check_keys(v, object, "data") * 3 / 4 + check_keys(v, object, "stringData") > MAX_DATA)
                cx_too_long(v, "data", MAX_DATA);
        for (size_t i = 0; i < CX_ARRAY_SIZE(needed); i++) {
                CX_CLEANUP(cx_freep) char *field = cx_sprintf("data[%s]", needed[i].key);
                if (cx_streq(cx_json_string(object, "type"), needed[i].type) && !json_object_get(data, needed[i].key) &&
                    !json_object_get(text, needed[i].key))
                        cx_required(v, field, NULL);
        }
}

static void check_claim(struct cx_validator *v, const json_t *spec)
{
        if (!cx_json_get(spec, "resources.requests.storage"))
                cx_required(v, "resources[storage]", NULL);
}

const struct cx_check cx_checks_core[] = {
        {"core.v1.ConfigMap", check_config_map},
        {"core.v1.Secret", check_secret},
        {"core.v1.PersistentVolumeClaimSpec", check_claim},
        {NULL, NULL},
};
