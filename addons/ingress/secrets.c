// SPDX-License-Identifier: Apache-2.0
#include "addons/ingress/secrets.h"

#include "addons/ingress/grammar.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/client/rest.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

#define MAX_SECRET ((size_t)2 << 20)

struct secret {
        struct secret_view view; // first: the maps of plans point at it
        char *version;           // resourceVersion of what is known
        char fingerprint[65];    // "" without a certificate
        char *users, *user_map;  // lines; NULL: none
};
struct secrets {
        struct cx_rest *rest;
        struct cx_informer *metadata;
        char *folder;
        struct cx_map known; // key -> struct secret *
};

static void wipe(char **text)
{
        if (*text)
                explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
}

static void secret_free(void *value)
{
        struct secret *secret = value;
        free(secret->view.certificate_problem);
        free(secret->view.users_problem);
        cx_strings_release(&secret->view.names);
        free(secret->version);
        wipe(&secret->users);
        wipe(&secret->user_map);
        free(secret);
}

struct secrets *secrets_new(struct cx_rest *rest, struct cx_informer *metadata, const char *folder)
{
        struct secrets *self = cx_alloc(sizeof *self);
        self->rest = rest;
        self->metadata = metadata;
        self->folder = cx_strdup(folder);
        self->known.free_value = secret_free;
        return self;
}

void secrets_free(struct secrets *self)
{
        if (!self)
                return;
        cx_map_release(&self->known);
        free(self->folder);
        free(self);
}

static char *file_of(const struct secrets *self, const char *key)
{
        char digest[65];
        cx_sha256_hex(key, strlen(key), digest);
        return cx_sprintf("%s/%s.pem", self->folder, digest);
}

// --- what is in one ---

static void decode(const json_t *data, const char *name, struct cx_buf *to)
{
        const char *text = json_string_value(json_object_get(data, name));
        if (text && cx_base64_decode(text, strlen(text), to) < 0)
                cx_buf_clear(to);
}

static void take_certificate(const struct secrets *self, const char *key, const json_t *data, struct secret *to)
{
        CX_BUF cert = CX_BUF_INIT_MAX(MAX_SECRET), private = CX_BUF_INIT_MAX(MAX_SECRET),
               pem = CX_BUF_INIT_MAX(MAX_SECRET);
        CX_CLEANUP(cx_freep) char *path = file_of(self, key);
        CX_ERROR err = CX_ERROR_INIT;
        decode(data, "tls.crt", &cert);
        decode(data, "tls.key", &private);
        const char *wrong =
                certificate_check(cert.data, cert.length, private.data, private.length, &to->view.names, &pem);
        if (!wrong && cx_write_file(path, pem.data, pem.length, 0600, false, &err) < 0) {
                cx_err(&err, "Cannot keep a certificate", "secret", key);
                wrong = "could not be written to the controller's folder";
        }
        to->view.certificate_problem = cx_strdup(wrong);
        if (!wrong)
                cx_sha256_hex(pem.data, pem.length, to->fingerprint);
        else
                (void)unlink(path);
        explicit_bzero(private.data, private.length);
        explicit_bzero(pem.data, pem.length);
}

static bool is_user(const char *name)
{
        return *name && strlen(name) <= 255 && !strpbrk(name, ":\n\r");
}

// "auth-file": htpasswd's lines in "auth"; "auth-map": a user a key, whose value is the hash.
static void take_users(const json_t *data, struct secret *to)
{
        CX_BUF file = CX_BUF_INIT_MAX(MAX_SECRET), map = CX_BUF_INIT_MAX(MAX_SECRET);
        const char *name;
        json_t *value;
        decode(data, "auth", &file);
        json_object_foreach ((json_t *)data, name, value) {
                CX_BUF hash = CX_BUF_INIT_MAX(MAX_SECRET);
                decode(data, name, &hash);
                hash.data[strcspn(hash.data, "\r\n")] = '\0';
                if (is_user(name))
                        cx_buf_printf(&map, "%s:%s\n", name, hash.data);
        }
        if (strchr(file.data, ':'))
                to->users = cx_buf_detach(&file);
        else
                to->view.users_problem =
                        cx_strdup("has no lines \"user:hash\" under the key auth (htpasswd -c makes them)");
        if (map.length)
                to->user_map = cx_buf_detach(&map);
}

static int fetch(const struct secrets *self, const char *key, struct secret **ret_secret, struct cx_error *err)
{
        json_auto_t *object = NULL;
        char namespace[256], name[256];
        cx_key_split(key, namespace, name);
        int r = cx_rest_get(self->rest, CX_REF("", "v1", "secrets", namespace, name), &object, err);
        if (r < 0)
                return r;
        struct secret *secret = cx_alloc(sizeof *secret);
        const json_t *data = json_object_get(object, "data");
        secret->version = cx_strdup(cx_json_string_or(object, "metadata.resourceVersion", ""));
        take_certificate(self, key, data, secret);
        take_users(data, secret);
        *ret_secret = secret;
        return 0;
}

// --- keeping up ---

static void forget(struct secrets *self, const char *key)
{
        CX_CLEANUP(cx_freep) char *path = file_of(self, key);
        (void)unlink(path);
        cx_map_remove(&self->known, key);
}

static void update(struct secrets *self, const char *key, bool *again)
{
        CX_OBJECT *object = cx_informer_get_key(self->metadata, key);
        const struct secret *known = cx_map_get(&self->known, key);
        struct secret *fetched = NULL;
        CX_ERROR err = CX_ERROR_INIT;
        if (!object) {
                forget(self, key);
                return;
        }
        if (known && strcmp(known->version, object->resource_version) == 0)
                return;
        int r = fetch(self, key, &fetched, &err);
        if (r == 0) {
                cx_map_set(&self->known, key, fetched);
        } else if (cx_error_is(&err, CX_REASON_NOT_FOUND)) {
                forget(self, key);
        } else {
                cx_err(&err, "Cannot fetch a Secret", "secret", key);
                *again = true;
        }
}

const struct cx_map *secrets_update(struct secrets *self, const struct cx_map *wanted, bool *ret_again)
{
        CX_STRINGS stale = CX_STRINGS_INIT;
        *ret_again = false;
        CX_MAP_FOREACH (&self->known, entry)
                if (!cx_map_has(wanted, entry->key))
                        cx_strings_add(&stale, entry->key);
        for (size_t i = 0; i < stale.count; i++)
                forget(self, stale.items[i]);
        CX_MAP_FOREACH (wanted, entry)
                update(self, entry->key, ret_again);
        return &self->known;
}

const char *secrets_fingerprint(const struct secrets *self, const char *key)
{
        const struct secret *secret = cx_map_get(&self->known, key);
        return secret ? secret->fingerprint : "";
}

int secrets_read_pem(const struct secrets *self, const char *key, char **ret_pem, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = file_of(self, key);
        CX_BUF text = CX_BUF_INIT_MAX(MAX_SECRET);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        *ret_pem = cx_buf_detach(&text);
        return 0;
}

const char *secrets_users(const struct secrets *self, const char *key, bool map)
{
        const struct secret *secret = cx_map_get(&self->known, key);
        return !secret ? NULL : map ? secret->user_map : secret->users;
}
