// SPDX-License-Identifier: Apache-2.0
// Reading an EncryptionConfiguration (apiserver.config.k8s.io/v1).
#include "apiserver/storage/encryption_internal.h"

#include "libcommon/base/strings.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

#include <openssl/crypto.h>
#include <sodium.h>

#define MAX_FILE ((size_t)1 << 20)

static void release_rule(struct encryption_rule *rule)
{
        for (size_t i = 0; i < rule->n_resources; i++)
                free(rule->resources[i]);
        free(rule->resources);
        for (size_t i = 0; i < rule->n_keys; i++)
                free(rule->keys[i].prefix);
        if (rule->keys)
                OPENSSL_cleanse(rule->keys, rule->n_keys * sizeof *rule->keys);
        free(rule->keys);
}

void encryption_free(struct encryption *encryption)
{
        if (!encryption)
                return;
        for (size_t i = 0; i < encryption->n_rules; i++)
                release_rule(&encryption->rules[i]);
        free(encryption->rules);
        free(encryption);
}

static struct sealing_key *add_key(struct encryption_rule *rule)
{
        // Not realloc: keys must not stay behind in memory that was given back.
        struct sealing_key *keys = cx_alloc_array(rule->n_keys + 1, sizeof *keys);
        if (rule->keys) {
                memcpy(keys, rule->keys, rule->n_keys * sizeof *keys);
                OPENSSL_cleanse(rule->keys, rule->n_keys * sizeof *keys);
                free(rule->keys);
        }
        rule->keys = keys;
        return &rule->keys[rule->n_keys++];
}

static int wrong(struct cx_error *err, const char *path, const char *what)
{
        return cx_error_set(err, -EINVAL, "encryption configuration: %s: %s", path, what);
}

static int read_key(const json_t *from, const char *provider, const char *path, struct encryption_rule *rule,
                    struct cx_error *err)
{
        uint64_t lengths;
        const struct cipher *cipher = cipher_named(provider, &lengths);
        const char *name = cx_json_string_or(from, "name", ""), *secret = cx_json_string_or(from, "secret", "");
        CX_BUF bytes = CX_BUF_INIT_MAX(256);
        if (!*name || strchr(name, ':'))
                return wrong(err, path, "a key needs a name without colons");
        int r = cx_base64_decode(secret, strlen(secret), &bytes);
        if (r < 0 || bytes.length > KEY_MAX || !(lengths & UINT64_C(1) << bytes.length))
                r = wrong(err, path,
                          strcmp(provider, "secretbox") == 0 ? "secret must be 32 bytes in base64"
                                                             : "secret must be 16, 24 or 32 bytes in base64");
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("k8s:enc:%s:v1:%s:", provider, name);
        for (size_t i = 0; r == 0 && i < rule->n_keys; i++)
                if (cx_streq(rule->keys[i].prefix, prefix))
                        r = wrong(err, path, "two keys have the same name");
        if (r == 0) {
                struct sealing_key *key = add_key(rule);
                memcpy(key->bytes, bytes.data, bytes.length);
                key->length = bytes.length;
                key->cipher = cipher;
                key->prefix = cx_steal(&prefix);
        }
        OPENSSL_cleanse(bytes.data, bytes.length);
        return r;
}

static int read_provider(const json_t *from, const char *path, struct encryption_rule *rule, struct cx_error *err)
{
        uint64_t lengths;
        if (json_object_size(from) != 1)
                return wrong(err, path, "a provider is exactly one of aescbc, aesgcm, secretbox and identity");
        const char *provider = json_object_iter_key(json_object_iter((json_t *)from));
        const json_t *keys = json_object_get(json_object_get(from, provider), "keys");
        if (strcmp(provider, "identity") == 0) {
                add_key(rule);
                return 0;
        }
        if (!cipher_named(provider, &lengths)) {
                CX_CLEANUP(cx_freep) char *what = cx_sprintf("provider \"%.40s\" is not supported", provider);
                return wrong(err, path, what);
        }
        if (!json_array_size(keys))
                return wrong(err, path, "the provider has no keys");
        size_t i;
        json_t *key;
        int r = 0;
        json_array_foreach (keys, i, key) {
                CX_CLEANUP(cx_freep) char *at = cx_sprintf("%s.%s.keys[%zu]", path, provider, i);
                r = r < 0 ? r : read_key(key, provider, at, rule, err);
        }
        return r;
}

static int read_rule(const json_t *from, size_t index, struct encryption_rule *rule, struct cx_error *err)
{
        const json_t *resources = json_object_get(from, "resources"), *providers = json_object_get(from, "providers");
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("resources[%zu]", index);
        size_t i;
        json_t *item;
        if (!json_array_size(resources) || !json_array_size(providers))
                return wrong(err, path, "resources and providers must not be empty");
        rule->resources = cx_alloc_array(json_array_size(resources), sizeof *rule->resources);
        json_array_foreach (resources, i, item) {
                const char *name = cx_str(json_string_value(item));
                if (!*name || strcmp(name, "*") == 0)
                        return wrong(err, path, "resources are like secrets, deployments.apps, *.apps, *. or *.*");
                rule->resources[rule->n_resources++] = cx_strdup(name);
        }
        int r = 0;
        json_array_foreach (providers, i, item) {
                CX_CLEANUP(cx_freep) char *at = cx_sprintf("%s.providers[%zu]", path, i);
                r = r < 0 ? r : read_provider(item, at, rule, err);
        }
        return r;
}

int encryption_parse(const char *text, size_t length, struct encryption **ret_encryption, struct cx_error *err)
{
        json_auto_t *documents = NULL;
        if (sodium_init() < 0)
                return cx_error_set(err, -EIO, "libsodium cannot be set up");
        int r = cx_yaml_parse(text, length, &documents, err);
        if (r < 0)
                return r;
        const json_t *config = json_array_get(documents, 0), *rules = json_object_get(config, "resources");
        const char *version = cx_json_string_or(config, "apiVersion", "");
        if (json_array_size(documents) != 1 || !cx_streq(cx_json_string(config, "kind"), "EncryptionConfiguration") ||
            (strcmp(version, "apiserver.config.k8s.io/v1") != 0 && strcmp(version, "v1") != 0))
                return wrong(err, "kind", "must be one EncryptionConfiguration of apiserver.config.k8s.io/v1");
        if (!json_array_size(rules))
                return wrong(err, "resources", "must not be empty");
        CX_CLEANUP(encryption_freep) struct encryption *encryption = cx_alloc(sizeof *encryption);
        encryption->rules = cx_alloc_array(json_array_size(rules), sizeof *encryption->rules);
        size_t i;
        json_t *rule;
        json_array_foreach (rules, i, rule) {
                r = read_rule(rule, i, &encryption->rules[encryption->n_rules++], err);
                if (r < 0)
                        return r;
        }
        *ret_encryption = cx_steal(&encryption);
        return 0;
}

int encryption_load(const char *path, struct encryption **ret_encryption, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_FILE);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read the encryption configuration %s: %s", path, strerror(-r));
        r = encryption_parse(text.data, text.length, ret_encryption, err);
        OPENSSL_cleanse(text.data, text.length);
        return r;
}
