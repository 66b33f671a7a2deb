// SPDX-License-Identifier: Apache-2.0
// In the proxy nothing is taken away before what replaces it is there: servers come before the routes to them, settings
// before routes with their flags; then routes go, then servers.
#include "addons/ingress/apply.h"

#include "addons/ingress/runtime.h"
#include "addons/ingress/slots.h"
#include "libcommon/base/log.h"
#include "libcommon/base/process.h"
#include "libcommon/base/random.h"
#include "libcommon/base/time.h"
#include "libcommon/net/pki.h"

#include <sys/stat.h>

#define DEFAULT_LIFETIME (365 * 86400)
#define PROFILE_LOADS 5 // at once
#define PROFILE_PERIOD (10 * CX_NS_PER_S)

struct ingress_applier {
        struct ingress_applier_options options;
        struct haproxy *haproxy;
        struct runtime_api runtime;
        char *socket, *list; // paths
        char cookie_key[33];
        char *own_certificate; // PEM with key
        struct slots slots;
        int64_t profile_loads;         // monotonic; a period before now for each load that may be
        bool known;                    // what follows is what the proxy has
        struct cx_map maps[MAP_COUNT]; // key -> value
        struct cx_map certificates;    // host ("": the default) -> fingerprint, of the files
        struct ingress_applier_counts counts;
};

static char *path_in(const struct ingress_applier *self, const char *name)
{
        return cx_sprintf("%s/%s", self->options.config.folder, name);
}

static char *map_path(const struct ingress_applier *self, int map)
{
        return cx_sprintf("%s/maps/%s.map", self->options.config.folder, map_names[map]);
}

// A host may be longer than a file's name.
static char *certificate_path(const struct ingress_applier *self, const char *host)
{
        char digest[65];
        cx_sha256_hex(host, strlen(host), digest);
        digest[32] = '\0';
        return cx_sprintf("%s/certs/%s.pem", self->options.config.folder, *host ? digest : "default");
}

// --- beginning ---

static int make_folders(const struct ingress_applier *self, struct cx_error *err)
{
        static const struct {
                const char *name;
                unsigned mode;
        } folders[] = {{".", 0700}, {"maps", 0700}, {"certs", 0700}, {"secrets", 0700}, {"jail", 0755}};
        int r = cx_mkdir_all(self->options.config.folder, 0700, err);
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(folders); i++) {
                CX_CLEANUP(cx_freep) char *path = path_in(self, folders[i].name);
                r = cx_mkdir_all(path, folders[i].mode, err);
                if (r == 0 && chmod(path, folders[i].mode) < 0)
                        r = cx_error_set(err, -errno, "cannot set the mode of %s: %s", path, strerror(errno));
        }
        return r;
}

// Of a controller that was killed keys may be left that nobody refers to any more. The proxy has read what it needs.
static void clear_folders(const struct ingress_applier *self)
{
        static const char *const names[] = {"certs", "secrets"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++) {
                CX_CLEANUP(cx_freep) char *folder = path_in(self, names[i]);
                CX_STRINGS files = CX_STRINGS_INIT;
                CX_ERROR err = CX_ERROR_INIT;
                if (cx_list_folder(folder, &files, &err) < 0)
                        cx_err(&err, "Cannot remove old keys", "folder", folder);
                for (size_t j = 0; j < files.count; j++) {
                        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, files.items[j]);
                        (void)unlink(path);
                }
        }
}

// The key of cookies lasts, so that clients find their pods again after a start.
static int load_cookie_key(struct ingress_applier *self, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = path_in(self, "cookie.key");
        CX_BUF text = CX_BUF_INIT_MAX(64);
        unsigned char bytes[16];
        if (cx_buf_read_file(&text, path) == 0 && text.length == 32 && strspn(text.data, "0123456789abcdef") == 32) {
                memcpy(self->cookie_key, text.data, 33);
                return 0;
        }
        cx_random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
                memcpy(self->cookie_key + 2 * i,
                       (const char[]){"0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15]}, 2);
        return cx_write_file(path, self->cookie_key, 32, 0600, true, err);
}

static int make_own_certificate(struct ingress_applier *self, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *cert = NULL, *key = NULL;
        CX_STRINGS names = CX_STRINGS_INIT;
        cx_strings_add(&names, "ingress.local");
        struct cx_certificate_spec spec = {.common_name = "Coxswain Ingress Controller Fake Certificate",
                                           .dns_names = &names,
                                           .server = true,
                                           .lifetime = DEFAULT_LIFETIME};
        int r = cx_pki_issue(&spec, NULL, NULL, &cert, &key, err);
        if (r == 0)
                self->own_certificate = cx_sprintf("%s%s", cert, key);
        return r;
}

int ingress_applier_new(const struct ingress_applier_options *options, struct ingress_applier **ret_applier,
                        struct cx_error *err)
{
        struct ingress_applier *self = cx_alloc(sizeof *self);
        self->options = *options;
        self->socket = path_in(self, "control.sock");
        self->list = path_in(self, "certs.list");
        self->runtime.socket = self->socket;
        self->certificates.free_value = free;
        for (int i = 0; i < MAP_COUNT; i++)
                self->maps[i].free_value = free;
        // Another generation than that of a controller before.
        self->options.config.generation = (int)cx_random_below(1 << 30);
        self->options.config.cookie_key = self->cookie_key;
        self->haproxy = haproxy_new(&(struct haproxy_options){.executable = options->executable,
                                                              .folder = options->config.folder,
                                                              .ended = options->ended,
                                                              .context = options->context});
        int r = make_folders(self, err);
        if (r == 0) {
                clear_folders(self);
                r = load_cookie_key(self, err);
        }
        if (r == 0)
                r = make_own_certificate(self, err);
        if (r < 0) {
                ingress_applier_free(self);
                return r;
        }
        *ret_applier = self;
        return 0;
}

// --- certificates ---

static int read_certificate(const struct ingress_applier *self, const struct secrets *secrets, const char *secret,
                            char **ret_pem, struct cx_error *err)
{
        if (secret)
                return secrets_read_pem(secrets, secret, ret_pem, err);
        *ret_pem = cx_strdup(self->own_certificate);
        return 0;
}

// `live`: the proxy runs and gets it as well.
static int put_certificate(struct ingress_applier *self, const struct secrets *secrets, const char *host,
                           const char *secret, bool live, struct cx_error *err)
{
        const char *fingerprint = secret ? secrets_fingerprint(secrets, secret) : "own";
        const char *have = cx_map_get(&self->certificates, host);
        CX_CLEANUP(cx_freep) char *pem = NULL, *path = certificate_path(self, host);
        if (cx_streq(have, fingerprint))
                return 0;
        int r = read_certificate(self, secrets, secret, &pem, err);
        if (r == 0)
                r = cx_write_file(path, pem, strlen(pem), 0600, false, err);
        if (r == 0 && live)
                r = have ? runtime_certificate_set(&self->runtime, path, pem, err)
                         : runtime_certificate_new(&self->runtime, self->list, path, pem, host, err);
        if (pem)
                explicit_bzero(pem, strlen(pem));
        if (r == 0)
                cx_map_set(&self->certificates, host, cx_strdup(fingerprint));
        return r;
}

static int drop_certificates(struct ingress_applier *self, const struct plan *plan, bool live, struct cx_error *err)
{
        CX_STRINGS stale = CX_STRINGS_INIT;
        int r = 0;
        CX_MAP_FOREACH (&self->certificates, entry) {
                const char *secret = cx_map_get(&plan->certificates, entry->key);
                if (*entry->key && (!secret || !*secret))
                        cx_strings_add(&stale, entry->key);
        }
        for (size_t i = 0; r == 0 && i < stale.count; i++) {
                CX_CLEANUP(cx_freep) char *path = certificate_path(self, stale.items[i]);
                r = live ? runtime_certificate_delete(&self->runtime, self->list, path, err) : 0;
                if (r == 0) {
                        (void)unlink(path);
                        cx_map_remove(&self->certificates, stale.items[i]);
                }
        }
        return r;
}

static int put_certificates(struct ingress_applier *self, const struct plan *plan, const struct secrets *secrets,
                            bool live, struct cx_error *err)
{
        const char *own = self->options.default_certificate;
        int r = put_certificate(self, secrets, "", own && *secrets_fingerprint(secrets, own) ? own : NULL, live, err);
        CX_MAP_FOREACH (&plan->certificates, entry)
                if (r == 0 && *(const char *)entry->value)
                        r = put_certificate(self, secrets, entry->key, entry->value, live, err);
        return r;
}

// --- a whole configuration ---

static int write_map(const struct ingress_applier *self, int map, const struct cx_map *entries, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX((size_t)256 << 20);
        CX_CLEANUP(cx_freep) char *path = map_path(self, map);
        CX_MAP_FOREACH (entries, entry)
                if (config_is_safe(entry->key) && config_is_safe(entry->value))
                        cx_buf_printf(&text, "%s %s\n", entry->key, (char *)entry->value);
        return cx_write_file(path, text.data, text.length, 0600, false, err);
}

static int write_certificate_list(const struct ingress_applier *self, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX((size_t)256 << 20);
        CX_CLEANUP(cx_freep) char *first = certificate_path(self, "");
        cx_buf_printf(&text, "%s\n", first);
        CX_MAP_FOREACH (&self->certificates, entry) {
                CX_CLEANUP(cx_freep) char *path = certificate_path(self, entry->key);
                if (*entry->key)
                        cx_buf_printf(&text, "%s %s\n", path, entry->key);
        }
        return cx_write_file(self->list, text.data, text.length, 0600, false, err);
}

static int write_configuration(struct ingress_applier *self, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX((size_t)256 << 20), auth = CX_BUF_INIT;
        CX_CLEANUP(cx_freep) char *path = path_in(self, "haproxy.cfg"), *auth_path = path_in(self, "auth.cfg");
        config_write(&self->options.config, &self->slots, &text);
        config_write_auth(&auth);
        int r = cx_write_file(path, text.data, text.length, 0600, false, err);
        return r < 0 ? r : cx_write_file(auth_path, auth.data, auth.length, 0600, false, err);
}

static int load_all(struct ingress_applier *self, const struct plan *plan, const struct secrets *secrets,
                    struct cx_map maps[MAP_COUNT], struct cx_error *err)
{
        self->options.config.generation++;
        self->options.config.auth |= plan->users.count;
        slots_reset(&self->slots, plan);
        int r = put_certificates(self, plan, secrets, false, err);
        if (r == 0)
                r = drop_certificates(self, plan, false, err);
        if (r == 0)
                r = write_certificate_list(self, err);
        for (int i = 0; r == 0 && i < MAP_COUNT; i++)
                r = write_map(self, i, &maps[i], err);
        if (r == 0)
                r = write_configuration(self, err);
        if (r == 0)
                r = haproxy_load(self->haproxy, self->options.config.generation, err);
        self->counts.reloads += r == 0;
        return r;
}

// --- changes ---

static int server_command(struct ingress_applier *self, const struct backend_slot *slot, const char *address,
                          const char *what, const char *expected, struct cx_error *err)
{
        CX_BUF command = CX_BUF_INIT;
        cx_buf_printf(&command, "set server %s/", slot->name);
        config_write_server_name(address, &command);
        cx_buf_printf(&command, " %s", what);
        return runtime_do(&self->runtime, command.data, expected, err);
}

static int add_server(struct ingress_applier *self, struct backend_slot *slot, const char *address,
                      struct cx_error *err)
{
        int r = 0;
        if (cx_map_remove(&slot->gone, address)) {
                r = server_command(self, slot, address, "state ready", NULL, err);
        } else {
                CX_BUF command = CX_BUF_INIT;
                cx_buf_printf(&command, "add server %s/", slot->name);
                config_write_server(slot, address, &command);
                cx_buf_printf(&command, " ; enable server %s/", slot->name);
                config_write_server_name(address, &command);
                if (strstr(slot->profile, " dynamic"))
                        cx_buf_printf(&command, " ; enable dynamic-cookie backend %s", slot->name);
                r = runtime_do(&self->runtime, command.data, "New server registered", err);
        }
        if (r == 0)
                cx_map_set(&slot->live, address, NULL);
        return r;
}

static int add_servers(struct ingress_applier *self, const struct plan *plan, struct cx_error *err)
{
        int r = 0;
        for (size_t i = 0; i < self->slots.count; i++) {
                struct backend_slot *slot = self->slots.items[i];
                const struct plan_backend *backend = slot->key ? cx_map_get(&plan->backends, slot->key) : NULL;
                for (size_t j = 0; r == 0 && backend && j < backend->servers.count; j++)
                        if (!cx_map_has(&slot->live, backend->servers.items[j]))
                                r = add_server(self, slot, backend->servers.items[j], err);
        }
        return r;
}

static int retire_servers(struct ingress_applier *self, struct backend_slot *slot, const struct plan_backend *backend,
                          struct cx_error *err)
{
        CX_STRINGS stale = CX_STRINGS_INIT;
        int r = 0;
        CX_MAP_FOREACH (&slot->live, server)
                if (!backend || !cx_strings_has(&backend->servers, server->key))
                        cx_strings_add(&stale, server->key);
        for (size_t i = 0; r == 0 && i < stale.count; i++) {
                r = server_command(self, slot, stale.items[i], "state maint", NULL, err);
                if (r == 0) {
                        cx_map_remove(&slot->live, stale.items[i]);
                        cx_map_set(&slot->gone, stale.items[i], NULL);
                }
        }
        return r;
}

static int remove_servers(struct ingress_applier *self, const struct plan *plan, struct cx_error *err)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < self->slots.count; i++) {
                struct backend_slot *slot = self->slots.items[i];
                r = retire_servers(self, slot, slot->key ? cx_map_get(&plan->backends, slot->key) : NULL, err);
        }
        return r;
}

static int change(struct ingress_applier *self, const struct plan *plan, const struct secrets *secrets,
                  struct cx_map maps[MAP_COUNT], struct cx_error *err)
{
        int r = add_servers(self, plan, err);
        if (r == 0)
                r = put_certificates(self, plan, secrets, true, err);
        for (int i = MAP_COUNT; r == 0 && i-- > 0;) { // hosts last
                CX_CLEANUP(cx_freep) char *path = map_path(self, i);
                r = runtime_map_put(&self->runtime, path, &self->maps[i], &maps[i], err);
        }
        for (int i = 0; r == 0 && i < MAP_COUNT; i++) { // and first
                CX_CLEANUP(cx_freep) char *path = map_path(self, i);
                r = runtime_map_drop(&self->runtime, path, &self->maps[i], &maps[i], err);
        }
        if (r == 0)
                r = drop_certificates(self, plan, true, err);
        if (r == 0)
                r = remove_servers(self, plan, err);
        if (r == 0)
                slots_retire(&self->slots, plan);
        return r;
}

// A load leaves workers behind until their connections end: new profiles, which anybody may think up, get a few at once and
// then one in ten seconds.
static bool may_add_profiles(struct ingress_applier *self)
{
        int64_t now = cx_time_monotonic(), earliest = now - PROFILE_LOADS * PROFILE_PERIOD;
        if (self->profile_loads < earliest)
                self->profile_loads = earliest;
        return self->profile_loads <= now - PROFILE_PERIOD;
}

int ingress_applier_apply(struct ingress_applier *self, const struct plan *plan, const struct secrets *secrets,
                          bool *ret_again, struct cx_error *err)
{
        bool may_add = may_add_profiles(self);
        enum slots_outcome slots = slots_assign(&self->slots, plan, may_add);
        bool enough = slots != SLOTS_ADDED && (self->options.config.auth || !plan->users.count);
        *ret_again |= slots == SLOTS_MISSING;
        if (slots == SLOTS_ADDED)
                self->profile_loads += PROFILE_PERIOD;
        struct cx_map maps[MAP_COUNT];
        config_maps(plan, &self->slots, maps);
        bool live = enough && self->known && haproxy_runs(self->haproxy);
        int r = live ? change(self, plan, secrets, maps, err) : -EAGAIN;
        if (r < 0 && live) {
                cx_err(err, "Loading the whole configuration, since a change failed");
                cx_error_release(err);
        }
        if (r < 0)
                r = load_all(self, plan, secrets, maps, err);
        self->known = r == 0;
        for (int i = 0; i < MAP_COUNT; i++) {
                cx_map_release(&self->maps[i]);
                self->maps[i] = maps[i];
        }
        (void)ingress_applier_tend(self);
        return r;
}

// --- what is left over ---

static void delete_gone(struct ingress_applier *self, struct backend_slot *slot)
{
        CX_STRINGS gone = CX_STRINGS_INIT;
        CX_MAP_FOREACH (&slot->gone, server)
                cx_strings_add(&gone, server->key);
        for (size_t i = 0; i < gone.count; i++) {
                CX_BUF command = CX_BUF_INIT, answer = CX_BUF_INIT;
                cx_buf_printf(&command, "del server %s/", slot->name);
                config_write_server_name(gone.items[i], &command);
                if (runtime_ask(&self->runtime, command.data, &answer, NULL) == 0 && strstr(answer.data, "deleted"))
                        cx_map_remove(&slot->gone, gone.items[i]);
        }
}

bool ingress_applier_tend(struct ingress_applier *self)
{
        bool left = false;
        for (size_t i = 0; self->known && i < self->slots.count; i++)
                if (self->slots.items[i]->gone.count) {
                        delete_gone(self, self->slots.items[i]);
                        left |= self->slots.items[i]->gone.count > 0;
                }
        return left;
}

void ingress_applier_stop(struct ingress_applier *self)
{
        haproxy_stop(self->haproxy);
        clear_folders(self);
}

void ingress_applier_free(struct ingress_applier *self)
{
        if (!self)
                return;
        haproxy_free(self->haproxy);
        slots_release(&self->slots);
        for (int i = 0; i < MAP_COUNT; i++)
                cx_map_release(&self->maps[i]);
        cx_map_release(&self->certificates);
        if (self->own_certificate)
                explicit_bzero(self->own_certificate, strlen(self->own_certificate));
        free(self->own_certificate);
        free(self->socket);
        free(self->list);
        free(self);
}

struct ingress_applier_counts ingress_applier_counts(const struct ingress_applier *self)
{
        struct ingress_applier_counts counts = self->counts;
        counts.commands = self->runtime.commands;
        counts.slots = self->slots.count;
        for (size_t i = 0; i < self->slots.count; i++)
                counts.servers += self->slots.items[i]->live.count;
        return counts;
}
