// SPDX-License-Identifier: Apache-2.0
// Sealing and opening values: AES-CBC with PKCS#7 padding, AES-GCM (bound to the key of etcd) by OpenSSL; XSalsa20 and
// Poly1305 (NaCl's secretbox) by libsodium.
#include "apiserver/storage/encryption_internal.h"

#include "libcommon/base/random.h"
#include "libcommon/base/strings.h"

#include <openssl/evp.h>
#include <sodium.h>

#define PREFIX "k8s:enc:"
#define CBC_BLOCK 16
#define GCM_NONCE 12
#define GCM_TAG 16

struct bytes {
        const unsigned char *data;
        size_t length;
};
struct cipher {
        const char *name;
        uint64_t key_lengths; // a set of 1 << bytes
        bool (*seal)(const struct sealing_key *key, struct bytes plain, struct bytes bound_to, struct cx_buf *to);
        bool (*open)(const struct sealing_key *key, struct bytes sealed, struct bytes bound_to, struct cx_buf *to);
};

// --- AES ---

CX_DEFINE_CLEANUP(EVP_CIPHER_CTX, context_freep, EVP_CIPHER_CTX_free)

static const EVP_CIPHER *aes(size_t key_length, bool gcm)
{
        switch (key_length) {
        case 16:
                return gcm ? EVP_aes_128_gcm() : EVP_aes_128_cbc();
        case 24:
                return gcm ? EVP_aes_192_gcm() : EVP_aes_192_cbc();
        default:
                return gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc();
        }
}

static bool seal_cbc(const struct sealing_key *key, struct bytes plain, struct bytes bound_to CX_UNUSED,
                     struct cx_buf *to)
{
        CX_CLEANUP(context_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        unsigned char iv[CBC_BLOCK];
        int n = 0, last = 0;
        cx_random_bytes(iv, sizeof iv);
        cx_buf_append(to, iv, sizeof iv);
        unsigned char *out = (unsigned char *)cx_buf_reserve(to, plain.length + CBC_BLOCK);
        if (!out || EVP_EncryptInit_ex(context, aes(key->length, false), NULL, key->bytes, iv) != 1 ||
            EVP_EncryptUpdate(context, out, &n, plain.data, (int)plain.length) != 1 ||
            EVP_EncryptFinal_ex(context, out + n, &last) != 1)
                return false;
        cx_buf_advance(to, (size_t)n + (size_t)last);
        return true;
}

static bool open_cbc(const struct sealing_key *key, struct bytes sealed, struct bytes bound_to CX_UNUSED,
                     struct cx_buf *to)
{
        CX_CLEANUP(context_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        int n = 0, last = 0;
        if (sealed.length < 2 * (size_t)CBC_BLOCK || sealed.length % CBC_BLOCK)
                return false;
        unsigned char *out = (unsigned char *)cx_buf_reserve(to, sealed.length);
        if (!out || EVP_DecryptInit_ex(context, aes(key->length, false), NULL, key->bytes, sealed.data) != 1 ||
            EVP_DecryptUpdate(context, out, &n, sealed.data + CBC_BLOCK, (int)sealed.length - CBC_BLOCK) != 1 ||
            EVP_DecryptFinal_ex(context, out + n, &last) != 1)
                return false;
        cx_buf_advance(to, (size_t)n + (size_t)last);
        return true;
}

static bool seal_gcm(const struct sealing_key *key, struct bytes plain, struct bytes bound_to, struct cx_buf *to)
{
        CX_CLEANUP(context_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        unsigned char nonce[GCM_NONCE];
        int n = 0, last = 0;
        cx_random_bytes(nonce, sizeof nonce);
        cx_buf_append(to, nonce, sizeof nonce);
        unsigned char *out = (unsigned char *)cx_buf_reserve(to, plain.length + GCM_TAG);
        if (!out || EVP_EncryptInit_ex(context, aes(key->length, true), NULL, key->bytes, nonce) != 1 ||
            EVP_EncryptUpdate(context, NULL, &n, bound_to.data, (int)bound_to.length) != 1 ||
            EVP_EncryptUpdate(context, out, &n, plain.data, (int)plain.length) != 1 ||
            EVP_EncryptFinal_ex(context, out + n, &last) != 1 ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, GCM_TAG, out + n + last) != 1)
                return false;
        cx_buf_advance(to, (size_t)n + (size_t)last + GCM_TAG);
        return true;
}

static bool open_gcm(const struct sealing_key *key, struct bytes sealed, struct bytes bound_to, struct cx_buf *to)
{
        CX_CLEANUP(context_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        int n = 0, last = 0;
        if (sealed.length < GCM_NONCE + GCM_TAG)
                return false;
        size_t length = sealed.length - GCM_NONCE - GCM_TAG;
        const unsigned char *text = sealed.data + GCM_NONCE;
        unsigned char *out = (unsigned char *)cx_buf_reserve(to, length + 1);
        if (!out || EVP_DecryptInit_ex(context, aes(key->length, true), NULL, key->bytes, sealed.data) != 1 ||
            EVP_DecryptUpdate(context, NULL, &n, bound_to.data, (int)bound_to.length) != 1 ||
            EVP_DecryptUpdate(context, out, &n, text, (int)length) != 1 ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, GCM_TAG, (void *)(text + length)) != 1 ||
            EVP_DecryptFinal_ex(context, out + n, &last) != 1)
                return false;
        cx_buf_advance(to, (size_t)n + (size_t)last);
        return true;
}

// --- secretbox ---

static bool seal_box(const struct sealing_key *key, struct bytes plain, struct bytes bound_to CX_UNUSED,
                     struct cx_buf *to)
{
        unsigned char nonce[crypto_secretbox_NONCEBYTES];
        cx_random_bytes(nonce, sizeof nonce);
        cx_buf_append(to, nonce, sizeof nonce);
        size_t length = plain.length + crypto_secretbox_MACBYTES;
        unsigned char *out = (unsigned char *)cx_buf_reserve(to, length);
        if (!out || crypto_secretbox_easy(out, plain.data, plain.length, nonce, key->bytes) != 0)
                return false;
        cx_buf_advance(to, length);
        return true;
}

static bool open_box(const struct sealing_key *key, struct bytes sealed, struct bytes bound_to CX_UNUSED,
                     struct cx_buf *to)
{
        if (sealed.length < crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
                return false;
        const unsigned char *box = sealed.data + crypto_secretbox_NONCEBYTES;
        size_t length = sealed.length - crypto_secretbox_NONCEBYTES;
        unsigned char *out = (unsigned char *)cx_buf_reserve(to, length);
        if (!out || crypto_secretbox_open_easy(out, box, length, sealed.data, key->bytes) != 0)
                return false;
        cx_buf_advance(to, length - crypto_secretbox_MACBYTES);
        return true;
}

#define LENGTH(bytes) (UINT64_C(1) << (bytes))
static const struct cipher ciphers[] = {
        {"aescbc", LENGTH(16) | LENGTH(24) | LENGTH(32), seal_cbc, open_cbc},
        {"aesgcm", LENGTH(16) | LENGTH(24) | LENGTH(32), seal_gcm, open_gcm},
        {"secretbox", LENGTH(crypto_secretbox_KEYBYTES), seal_box, open_box},
};

const struct cipher *cipher_named(const char *provider, uint64_t *ret_lengths)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(ciphers); i++)
                if (strcmp(ciphers[i].name, provider) == 0) {
                        *ret_lengths = ciphers[i].key_lengths;
                        return &ciphers[i];
                }
        return NULL;
}

// --- which rule ---

static bool covers(const char *pattern, const char *group, const char *resource)
{
        size_t length = strcspn(pattern, ".");
        const char *of_group = pattern[length] ? pattern + length + 1 : "";
        bool any_resource = length == 1 && *pattern == '*';
        if (any_resource && strcmp(of_group, "*") == 0)
                return true;
        return strcmp(of_group, group) == 0 &&
               (any_resource || (strlen(resource) == length && strncmp(pattern, resource, length) == 0));
}

static const struct encryption_rule *rule_of(const struct encryption *encryption, const char *group,
                                             const char *resource)
{
        for (size_t i = 0; encryption && i < encryption->n_rules; i++)
                for (size_t k = 0; k < encryption->rules[i].n_resources; k++)
                        if (covers(encryption->rules[i].resources[k], group, resource))
                                return &encryption->rules[i];
        return NULL;
}

static uint32_t writer_of(const struct sealing_key *key)
{
        if (!key->prefix)
                return 0;
        uint32_t hash = 2166136261u; // FNV-1a
        for (const char *c = key->prefix; *c; c++)
                hash = (hash ^ (unsigned char)*c) * 16777619u;
        return hash ? hash : 1;
}

uint32_t encryption_writer(const struct encryption *encryption, const char *group, const char *resource)
{
        const struct encryption_rule *rule = rule_of(encryption, group, resource);
        return rule ? writer_of(&rule->keys[0]) : 0;
}

bool encryption_is_sealed(const void *value, size_t length)
{
        return length > strlen(PREFIX) && memcmp(value, PREFIX, strlen(PREFIX)) == 0;
}

// --- values ---

static struct bytes bytes_of(const void *data, size_t length)
{
        return (struct bytes){data, length};
}

int encryption_seal(const struct encryption *encryption, const char *group, const char *resource, const char *key,
                    const void *value, size_t length, struct cx_buf *to, struct cx_error *err)
{
        const struct encryption_rule *rule = rule_of(encryption, group, resource);
        const struct sealing_key *with = rule ? &rule->keys[0] : NULL;
        if (!with || !with->cipher) {
                cx_buf_append(to, value, length);
                return to->overflow ? cx_error_set(err, -E2BIG, "the value of %s is too large", key) : 0;
        }
        cx_buf_add(to, with->prefix);
        if (length > INT32_MAX || !with->cipher->seal(with, bytes_of(value, length), bytes_of(key, strlen(key)), to) ||
            to->overflow)
                return cx_error_reason(err, CX_REASON_INTERNAL, "cannot encrypt the value of %s", key);
        return 0;
}

int encryption_open(const struct encryption *encryption, const char *group, const char *resource, const char *key,
                    const void *value, size_t length, struct cx_buf *to, uint32_t *ret_writer, struct cx_error *err)
{
        if (!encryption_is_sealed(value, length)) {
                cx_buf_append(to, value, length);
                if (ret_writer)
                        *ret_writer = 0;
                return to->overflow ? cx_error_set(err, -E2BIG, "the value of %s is too large", key) : 0;
        }
        const struct encryption_rule *rule = rule_of(encryption, group, resource);
        for (size_t i = 0; rule && i < rule->n_keys; i++) {
                const struct sealing_key *with = &rule->keys[i];
                size_t prefix = with->prefix ? strlen(with->prefix) : 0;
                if (!prefix || length < prefix || memcmp(value, with->prefix, prefix) != 0)
                        continue;
                size_t before = to->length;
                if (length <= INT32_MAX &&
                    with->cipher->open(with, bytes_of((const char *)value + prefix, length - prefix),
                                       bytes_of(key, strlen(key)), to)) {
                        if (ret_writer)
                                *ret_writer = writer_of(with);
                        return 0;
                }
                cx_buf_truncate(to, before);
        }
        // Only the name of the key is told, never the value.
        const char *text = value, *end = text + length, *at = text;
        for (int colons = 0; at < end && at - text < 128 && colons < 5; at++)
                colons += *at == ':';
        return cx_error_reason(
                err, CX_REASON_INTERNAL,
                "the value of %s cannot be decrypted: it was written as \"%.*s\", and no provider of the "
                "encryption configuration reads that; give the key back or delete the object",
                key, (int)(at - text), text);
}
