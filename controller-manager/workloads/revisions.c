// SPDX-License-Identifier: Apache-2.0
// Revisions with the same data are the same, whatever their names are. A name has a hash of the data and of the number
// of collisions, so a revision that was made after a collision, or by another implementation, has another hash. The
// name only keeps a controller whose informer is behind from creating the same revision twice.
#include "controller-manager/workloads/revisions.h"

#include "controller-manager/core/name_hash.h"

const struct owner_kind revision_kind = {"apps", "v1", "controllerrevisions", "ControllerRevision"};

#define MAX_COLLISIONS 100 // in one go: only a bug makes so many

struct cx_informer *revisions_informer(struct manager *manager)
{
        struct cx_informer *informer = manager_informer(manager, revision_kind.group, revision_kind.resource);
        owner_index_dependents(informer);
        return informer;
}

static const char *hash_label(const struct revision_history *history)
{
        return history->hash_label ? history->hash_label : REVISION_HASH_LABEL;
}

static struct controller_revision read_revision(const struct revision_history *history, json_t *object_steal)
{
        struct controller_revision revision = {
                .object = object_steal,
                .name = cx_json_string_or(object_steal, "metadata.name", ""),
                .data = json_object_get(object_steal, "data"),
                .number = cx_json_int(object_steal, "revision", 0),
        };
        const json_t *labels = cx_json_get(object_steal, "metadata.labels");
        revision.hash = cx_str(json_string_value(json_object_get(labels, hash_label(history))));
        const char *created = cx_json_string(object_steal, "metadata.creationTimestamp");
        if (!created || cx_time_parse(created, &revision.created) < 0)
                revision.created = 0;
        return revision;
}

static int compare(const void *a, const void *b)
{
        const struct controller_revision *x = a, *y = b;
        if (x->number != y->number)
                return x->number < y->number ? -1 : 1;
        if (x->created != y->created)
                return x->created < y->created ? -1 : 1;
        return strcmp(x->name, y->name);
}

static void add(const struct revision_history *history, struct controller_revisions *to, json_t *object_steal)
{
        to->items = cx_realloc_array(to->items, to->count + 1, sizeof *to->items);
        to->items[to->count++] = read_revision(history, object_steal);
}

void revisions_release(struct controller_revisions *revisions)
{
        for (size_t i = 0; i < revisions->count; i++)
                json_decref(revisions->items[i].object);
        free(revisions->items);
        *revisions = (struct controller_revisions){0};
}

int revisions_claim(const struct revision_history *history, struct controller_revisions *ret_revisions,
                    struct cx_error *err)
{
        CX_OBJECTS objects = CX_OBJECTS_INIT;
        int r = claim_dependents(&(struct claim){.rest = history->rest,
                                                 .owner = history->owner,
                                                 .selector = history->selector,
                                                 .dependents = &revision_kind,
                                                 .informer = history->informer},
                                 &objects, err);
        if (r < 0)
                return r;
        *ret_revisions = (struct controller_revisions){0};
        for (size_t i = 0; i < objects.count; i++)
                add(history, ret_revisions, cx_object_json(objects.items[i]));
        if (ret_revisions->count)
                qsort(ret_revisions->items, ret_revisions->count, sizeof *ret_revisions->items, compare);
        return 0;
}

int revisions_next(const struct controller_revisions *revisions, int64_t *ret_number, struct cx_error *err)
{
        int64_t newest = revisions->count ? revisions->items[revisions->count - 1].number : 0;
        if (newest == INT64_MAX)
                return cx_error_set(err, -EOVERFLOW, "there is no revision after %ld", (long)newest);
        *ret_number = newest + 1;
        return 0;
}

char *revision_name(const char *prefix, const json_t *data, int64_t collisions)
{
        char hash[11];
        name_hash_write(name_hash_json(data, collisions), hash);
        return cx_sprintf("%.223s-%s", prefix, hash);
}

static struct cx_ref ref_of(const struct revision_history *history, const char *name)
{
        return (struct cx_ref){revision_kind.group, revision_kind.version, revision_kind.resource,
                               history->owner->object->namespace, name};
}

// The same with its keys in order: upstream compares the texts of data.
static json_t *sorted_copy(const json_t *data)
{
        CX_CLEANUP(cx_freep) char *text = json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        return json_loads(text, JSON_DECODE_ANY, NULL);
}

static json_t *make(const struct revision_history *history, const struct revision_content *content, const char *name,
                    int64_t number)
{
        json_t *labels = content->labels ? json_deep_copy(content->labels) : json_object();
        json_object_set_new(labels, hash_label(history), json_string(strrchr(name, '-') + 1));
        json_t *object =
                json_pack("{s:s, s:s, s:{s:s, s:s, s:o, s:[o]}, s:o, s:I}", "apiVersion", "apps/v1", "kind",
                          revision_kind.kind, "metadata", "name", name, "namespace", history->owner->object->namespace,
                          "labels", labels, "ownerReferences", owner_reference(history->owner), "data",
                          sorted_copy(content->data), "revision", (json_int_t)number);
        if (content->annotations)
                json_object_set_new(json_object_get(object, "metadata"), "annotations",
                                    json_deep_copy(content->annotations));
        return object;
}

json_t *revision_data(const json_t *template)
{
        json_t *whole = json_deep_copy(template);
        json_object_set_new(whole, "$patch", json_string("replace"));
        return json_pack("{s:{s:o}}", "spec", "template", whole);
}

json_t *revision_template(const json_t *data)
{
        const json_t *template = cx_json_get(data, "spec.template");
        if (!json_is_object(template))
                return NULL;
        json_t *whole = json_deep_copy(template);
        json_object_del(whole, "$patch");
        return whole;
}

// Makes the revision. A name that is taken is ours when it holds the same data, else a collision: another name is
// tried.
static int create(const struct revision_history *history, const struct revision_content *content, int64_t number,
                  int64_t *collisions, json_t **ret_object, struct cx_error *err)
{
        for (int tries = 0; tries < MAX_COLLISIONS; tries++) {
                CX_CLEANUP(cx_freep)
                char *name = revision_name(history->owner->object->name, content->data, *collisions);
                json_auto_t *object = make(history, content, name, number), *there = NULL;
                const struct cx_ref collection = ref_of(history, NULL), taken = ref_of(history, name);
                int r = cx_rest_create(history->rest, &collection, object, ret_object, err);
                if (r == 0 || !cx_error_is(err, CX_REASON_ALREADY_EXISTS))
                        return r;
                cx_error_release(err);
                r = cx_rest_get(history->rest, &taken, &there, err);
                if (r < 0)
                        return r;
                const json_t *owners = cx_json_get(there, "metadata.ownerReferences");
                if (json_equal(json_object_get(there, "data"), content->data) &&
                    cx_json_find(owners, "uid", history->owner->object->uid)) {
                        *ret_object = json_incref(there);
                        return 0;
                }
                ++*collisions;
        }
        return cx_error_set(err, -EEXIST, "too many names of revisions of %s are taken", history->owner->object->key);
}

static int renumber(const struct revision_history *history, struct controller_revision *revision, int64_t number,
                    struct cx_error *err)
{
        json_auto_t *patch = json_pack("{s:I}", "revision", (json_int_t)number);
        const struct cx_ref ref = ref_of(history, revision->name);
        json_t *written = NULL;
        int r = cx_rest_patch(history->rest, &ref, NULL, CX_PATCH_MERGE, patch, &written, err);
        if (r < 0)
                return r;
        json_decref(revision->object);
        *revision = read_revision(history, written);
        return 0;
}

int revisions_update(const struct revision_history *history, const struct revision_content *content,
                     int64_t *collisions, struct controller_revisions *revisions, size_t *ret_index,
                     struct cx_error *err)
{
        size_t last = revisions->count, found = last;
        for (size_t i = 0; i < last; i++) // the newest of those that are equal
                found = json_equal(revisions->items[i].data, content->data) ? i : found;
        int64_t number = 0;
        if (last && found == last - 1) {
                *ret_index = found;
                return 0;
        }
        int r = revisions_next(revisions, &number, err);
        if (r < 0)
                return r;
        if (found < last) {
                r = renumber(history, &revisions->items[found], number, err);
                if (r < 0)
                        return r;
                qsort(revisions->items, last, sizeof *revisions->items, compare);
                *ret_index = last - 1;
                return 0;
        }
        json_t *object = NULL;
        r = create(history, content, number, collisions, &object, err);
        if (r < 0)
                return r;
        add(history, revisions, object);
        *ret_index = last;
        return 0;
}

int revisions_truncate(const struct revision_history *history, const struct cx_strings *in_use, int64_t limit,
                       struct controller_revisions *revisions, struct cx_error *err)
{
        int64_t idle = 0;
        for (size_t i = 0; i < revisions->count; i++)
                idle += !cx_strings_has(in_use, revisions->items[i].name);
        for (size_t i = 0; i < revisions->count && idle > limit;) {
                struct controller_revision *revision = &revisions->items[i];
                if (cx_strings_has(in_use, revision->name)) {
                        i++;
                        continue;
                }
                const struct cx_ref ref = ref_of(history, revision->name);
                struct cx_delete_options options = {.grace = -1,
                                                    .uid = cx_json_string(revision->object, "metadata.uid")};
                int r = cx_rest_delete(history->rest, &ref, &options, err);
                if (r < 0 && !cx_error_is(err, CX_REASON_NOT_FOUND))
                        return r;
                cx_error_release(err);
                idle--;
                json_decref(revision->object);
                memmove(revision, revision + 1, (--revisions->count - i) * sizeof *revision);
        }
        return 0;
}
