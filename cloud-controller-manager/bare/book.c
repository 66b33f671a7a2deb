// SPDX-License-Identifier: Apache-2.0
// Leases as rows. What a write was refused for is read anew, and the caller looks again.
#include "cloud-controller-manager/bare/book.h"

#include "libcommon/base/address.h"

struct book_row {
        json_t *uses;        // an array
        char *version, *uid; // of the Lease
};

static void free_row(void *value)
{
        struct book_row *row = value;
        json_decref(row->uses);
        free(row->version);
        free(row->uid);
        free(row);
}

static void free_json(void *json)
{
        json_decref(json);
}

void book_init(struct book *self)
{
        pthread_mutex_init(&self->lock, NULL);
        self->rows = (struct cx_map)CX_MAP_INIT_FREE(free_row);
}

void book_release(struct book *self)
{
        cx_map_release(&self->rows);
        pthread_mutex_destroy(&self->lock);
}

// "lb-192.168.1.7", "lb-fd00-0000-…-0007".
static char *lease_name(const char *address)
{
        struct cx_address parsed;
        if (cx_address_parse(address, &parsed) < 0)
                abort(); // it was chosen from a pool, or read from a Lease and checked
        if (parsed.family == CX_IPV4)
                return cx_sprintf("lb-%s", address);
        CX_BUF name = CX_BUF_INIT;
        cx_buf_add(&name, "lb");
        for (int i = 0; i < 16; i += 2)
                cx_buf_printf(&name, "-%02x%02x", parsed.bytes[i], parsed.bytes[i + 1]);
        return cx_buf_detach(&name);
}

static struct cx_ref lease_ref(const struct book *self, const char *name)
{
        return (struct cx_ref){"coordination.k8s.io", "v1", "leases", self->namespace, name};
}

static const char *annotation_of(const json_t *lease, const char *name)
{
        const char *const path[] = {"metadata", "annotations", name};
        return json_string_value(cx_json_at(lease, path, CX_ARRAY_SIZE(path)));
}

// Remembers what a Lease says; NULL: there is none.
static void remember(struct book *self, const char *address, const json_t *lease)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_t *uses = NULL;
        const char *text = annotation_of(lease, BOOK_SERVICES);
        if (text && cx_json_parse(text, strlen(text), true, &uses, &err) < 0)
                cx_err(&err, "A Lease is not understood and counts as free", "address", address);
        json_auto_t *kept = json_array();
        json_t *use;
        size_t i;
        json_array_foreach (uses, i, use)
                if (json_is_object(use) && self->lives(self->context, use))
                        json_array_append(kept, use);
        json_decref(uses);
        struct book_row *row = lease ? cx_alloc(sizeof *row) : NULL;
        if (row)
                *row = (struct book_row){json_incref(kept),
                                         cx_strdup(cx_json_string_or(lease, "metadata.resourceVersion", "")),
                                         cx_strdup(cx_json_string_or(lease, "metadata.uid", ""))};
        pthread_mutex_lock(&self->lock);
        if (row)
                cx_map_set(&self->rows, address, row);
        else
                cx_map_remove(&self->rows, address);
        pthread_mutex_unlock(&self->lock);
}

static int read_again(struct book *self, const char *address, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *name = lease_name(address);
        const struct cx_ref ref = lease_ref(self, name);
        json_auto_t *lease = NULL;
        int r = cx_rest_get(self->rest, &ref, &lease, err);
        if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                return r;
        cx_error_release(err);
        remember(self, address, lease);
        return 1;
}

static json_t *uses_of(struct book *self, const char *address, char **ret_version)
{
        pthread_mutex_lock(&self->lock);
        const struct book_row *row = cx_map_get(&self->rows, address);
        json_t *uses = row ? json_incref(row->uses) : NULL;
        *ret_version = row ? cx_strdup(row->version) : NULL;
        pthread_mutex_unlock(&self->lock);
        return uses;
}

static int refused(struct book *self, const char *address, int code, struct cx_error *err)
{
        if (!cx_error_is(err, CX_REASON_CONFLICT) && !cx_error_is(err, CX_REASON_ALREADY_EXISTS) &&
            !cx_error_is(err, CX_REASON_NOT_FOUND))
                return code;
        CX_ERROR ignored = CX_ERROR_INIT;
        bool namespace_gone = cx_error_is(err, CX_REASON_NOT_FOUND);
        int r = read_again(self, address, &ignored);
        if (r < 0 || namespace_gone) // a creation that was refused so: the caller is to hear it
                return r < 0 ? (cx_error_release(err), cx_error_move(err, &ignored)) : code;
        cx_error_release(err);
        return 1;
}

static int create(struct book *self, const char *address, const json_t *uses, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *name = lease_name(address);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(uses);
        const struct cx_ref ref = lease_ref(self, NULL);
        json_auto_t *made = NULL;
        json_auto_t *lease = json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:{s:s, s:s}}, s:{}}", "apiVersion",
                                       "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name", name, "namespace",
                                       self->namespace, "labels", BOOK_LABEL, "address", "annotations", BOOK_ADDRESS,
                                       address, BOOK_SERVICES, text, "spec");
        int r = cx_rest_create(self->rest, &ref, lease, &made, err);
        if (r < 0)
                return refused(self, address, r, err);
        remember(self, address, made);
        return 0;
}

// Writes the uses of an address; nobody's: the Lease goes.
static int write_uses(struct book *self, const char *address, const char *version, const json_t *uses,
                      struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *name = lease_name(address);
        const struct cx_ref ref = lease_ref(self, name);
        json_auto_t *lease = NULL;
        int r;
        if (json_array_size(uses)) {
                CX_CLEANUP(cx_freep) char *text = cx_json_text(uses);
                json_auto_t *patch = json_pack("{s:{s:s, s:{s:s}}}", "metadata", "resourceVersion", version,
                                               "annotations", BOOK_SERVICES, text);
                r = cx_rest_patch(self->rest, &ref, NULL, CX_PATCH_MERGE, patch, &lease, err);
        } else {
                const struct cx_delete_options options = {.grace = -1, .resource_version = version};
                r = cx_rest_delete(self->rest, &ref, &options, err);
        }
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                remember(self, address, NULL);
                return json_array_size(uses) ? 1 : 0;
        }
        if (r < 0) {
                CX_ERROR why = CX_ERROR_INIT;
                if (cx_error_is(err, CX_REASON_CONFLICT))
                        return refused(self, address, r, err);
                (void)!read_again(self, address, &why); // whether it was written is not known
                return r;
        }
        remember(self, address, lease);
        return 0;
}

int book_take(struct book *self, const char *address, const json_t *use, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *version = NULL;
        json_auto_t *uses = uses_of(self, address, &version);
        json_auto_t *next = json_array();
        json_t *other;
        size_t i;
        bool same = false;
        json_array_foreach (uses, i, other) {
                bool own = cx_streq(cx_json_string(other, "uid"), cx_json_string(use, "uid"));
                same |= own && json_equal(other, use);
                if (!own)
                        json_array_append(next, other);
        }
        if (same)
                return 0;
        json_array_append(next, (json_t *)use);
        return version ? write_uses(self, address, version, next, err) : create(self, address, next, err);
}

static int drop_one(struct book *self, const char *address, const char *key, const char *uid, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *version = NULL;
        json_auto_t *uses = uses_of(self, address, &version);
        json_auto_t *next = json_array();
        json_t *other;
        size_t i;
        json_array_foreach (uses, i, other)
                if (!cx_streq(cx_json_string(other, "service"), key) ||
                    (uid && !cx_streq(cx_json_string(other, "uid"), uid)))
                        json_array_append(next, other);
        if (json_array_size(next) == json_array_size(uses))
                return 0;
        return write_uses(self, address, version, next, err);
}

int book_drop(struct book *self, const char *key, const char *uid, const struct cx_strings *kept, struct cx_error *err)
{
        CX_STRINGS addresses = CX_STRINGS_INIT;
        pthread_mutex_lock(&self->lock);
        CX_MAP_FOREACH (&self->rows, entry) {
                const struct book_row *row = entry->value;
                if (cx_json_find(row->uses, "service", key) && !(kept && cx_strings_has(kept, entry->key)))
                        cx_strings_add(&addresses, entry->key);
        }
        pthread_mutex_unlock(&self->lock);
        for (size_t i = 0; i < addresses.count; i++) {
                int r = 1;
                for (int tries = 0; r == 1 && tries < 8; tries++)
                        r = drop_one(self, addresses.items[i], key, uid, err);
                if (r != 0)
                        return r < 0 ? r
                                     : cx_error_reason(err, CX_REASON_CONFLICT, "the Lease of %s keeps changing",
                                                       addresses.items[i]);
        }
        return 0;
}

int book_sweep(struct book *self, struct cx_error *err)
{
        CX_STRINGS addresses = CX_STRINGS_INIT;
        CX_MAP_FOREACH (&self->rows, entry) {
                if (!json_array_size(((const struct book_row *)entry->value)->uses))
                        cx_strings_add(&addresses, entry->key);
        }
        int r = 0;
        for (size_t i = 0; r >= 0 && i < addresses.count; i++) {
                CX_CLEANUP(cx_freep) char *version = NULL;
                json_auto_t *uses = uses_of(self, addresses.items[i], &version);
                r = version ? write_uses(self, addresses.items[i], version, uses, err) : 0;
        }
        return r < 0 ? r : 0;
}

void book_note(struct book *self, const json_t *lease)
{
        struct cx_address parsed;
        char address[CX_ADDRESS_TEXT];
        const char *text = annotation_of(lease, BOOK_ADDRESS);
        if (text && cx_address_parse(text, &parsed) == 0) {
                CX_CLEANUP(cx_freep) char *name = lease_name(cx_address_format(&parsed, address));
                if (cx_streq(name, cx_json_string(lease, "metadata.name"))) // else it is not ours, whatever it says
                        remember(self, address, lease);
        }
}

void book_copy_uses(struct book *self, struct cx_map *ret_uses)
{
        ret_uses->free_value = free_json;
        pthread_mutex_lock(&self->lock);
        CX_MAP_FOREACH (&self->rows, entry) {
                cx_map_set(ret_uses, entry->key, json_incref(((const struct book_row *)entry->value)->uses));
        }
        pthread_mutex_unlock(&self->lock);
}

bool book_lost(struct book *self, const char *address, const char *uid)
{
        pthread_mutex_lock(&self->lock);
        const struct book_row *row = cx_map_get(&self->rows, address);
        bool lost = row && strcmp(row->uid, uid) == 0 && cx_map_remove(&self->rows, address);
        pthread_mutex_unlock(&self->lock);
        return lost;
}
