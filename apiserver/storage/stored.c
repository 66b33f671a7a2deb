// SPDX-License-Identifier: Apache-2.0
// Takes from the encoded text what is needed, without decoding it.
#include "apiserver/storage/stored.h"

#include "libcommon/base/buf.h"

static size_t count_selectable(const struct cx_resource *resource)
{
        size_t n = 0;
        while (resource->selectable_fields && resource->selectable_fields[n])
                n++;
        return n;
}

// Fields that are not called by where they are.
static const struct {
        const char *group, *resource, *name, *path, *instead;
} renamed[] = {
        {"", "events", "source", "source.component", "reportingComponent"},
        {"batch", "jobs", "status.successful", "status.succeeded", NULL},
};

// Of custom resources what is absent is "", whatever its type.
static const char *absent_text(const struct cx_type *type, const char *path)
{
        const struct cx_field *field = type->id ? cx_type_field_at(type, path) : NULL;
        if (!field || field->shape != CX_SHAPE_ONE)
                return "";
        return field->of == CX_OF_BOOL ? "false" : field->of == CX_OF_INT32 || field->of == CX_OF_INT64 ? "0" : "";
}

static struct selectable_field field_of(const struct cx_resource *resource, const char *name)
{
        struct selectable_field field = {.name = cx_strdup(name)};
        field.path = field.name;
        for (size_t i = 0; i < CX_ARRAY_SIZE(renamed); i++)
                if (strcmp(renamed[i].group, resource->group) == 0 &&
                    strcmp(renamed[i].resource, resource->resource) == 0 && strcmp(renamed[i].name, name) == 0) {
                        field.path = renamed[i].path;
                        field.instead = renamed[i].instead;
                }
        field.absent = absent_text(resource->kind->type, field.path);
        return field;
}

void selectable_copy(struct selectable *to, const struct cx_resource *resource)
{
        to->count = count_selectable(resource);
        to->fields = cx_alloc_array(to->count, sizeof *to->fields);
        for (size_t i = 0; i < to->count; i++)
                to->fields[i] = field_of(resource, resource->selectable_fields[i]);
}

bool selectable_is_of(const struct selectable *selectable, const struct cx_resource *resource)
{
        bool same = selectable->count == count_selectable(resource);
        for (size_t i = 0; same && i < selectable->count; i++)
                same = strcmp(selectable->fields[i].name, resource->selectable_fields[i]) == 0;
        return same;
}

void selectable_release(struct selectable *selectable)
{
        for (size_t i = 0; i < selectable->count; i++)
                free(selectable->fields[i].name);
        free(selectable->fields);
        *selectable = (struct selectable){0};
}

// The texts of an object: its key, keys and values of labels, fields; each terminated.
struct texts {
        struct cx_buf buf;
        uint32_t n_labels, n_fields;
};

static void add_text(struct texts *texts, const char *data, size_t length)
{
        cx_buf_append(&texts->buf, data, strnlen(data, length));
        cx_buf_add_char(&texts->buf, '\0');
}

static void add_labels(struct texts *texts, struct cx_slice labels)
{
        struct cx_scan scan;
        struct cx_slice key, value;
        if (!cx_scan_object(&scan, labels))
                return;
        while (cx_scan_member(&scan, &key, &value)) {
                CX_CLEANUP(cx_freep) char *text = cx_scan_string(value);
                if (!text)
                        continue;
                add_text(texts, key.data, key.length);
                add_text(texts, text, strlen(text));
                texts->n_labels++;
        }
}

static const char *next_text(const char **at)
{
        const char *text = *at;
        *at += strlen(text) + 1;
        return text;
}

// One block: the object, its labels and fields, the texts that these point to, and room for `length` bytes of JSON.
static struct stored *lay_out(const char *texts, size_t texts_length, uint32_t n_labels, uint32_t n_fields,
                              size_t length)
{
        size_t labels_size = n_labels * sizeof(struct stored_label), fields_size = n_fields * sizeof(char *);
        struct stored *object = cx_alloc(sizeof *object + labels_size + fields_size + texts_length + length + 1);
        char *end = (char *)(object + 1);
        struct stored_label *labels = (struct stored_label *)end;
        object->fields = (const char **)(end + labels_size);
        const char *at = memcpy(end + labels_size + fields_size, texts, texts_length);
        atomic_init(&object->references, 1);
        object->json = end + labels_size + fields_size + texts_length;
        object->length = length;
        object->texts_length = texts_length;
        object->key = next_text(&at);
        const char *slash = strchr(object->key, '/');
        object->name = slash ? slash + 1 : object->key;
        object->namespace_length = slash ? (size_t)(slash - object->key) : 0;
        for (uint32_t i = 0; i < n_labels; i++) {
                labels[i].key = next_text(&at);
                labels[i].value = next_text(&at);
        }
        object->labels = labels;
        object->n_labels = n_labels;
        for (uint32_t i = 0; i < n_fields; i++)
                object->fields[i] = next_text(&at);
        object->n_fields = n_fields;
        return object;
}

// Copies `value` with `"resourceVersion":"N",` in front of metadata's members.
static struct stored *splice(struct cx_slice json, const char *metadata, int64_t revision, const struct texts *texts)
{
        static const char name[] = "\"resourceVersion\":\"";
        char digits[24];
        size_t n_digits = (size_t)snprintf(digits, sizeof digits, "%ld", (long)revision);
        size_t offset = (size_t)(metadata + 1 - json.data);
        const char *rest = metadata + 1;
        bool empty = rest < json.data + json.length && *rest == '}';
        size_t extra = sizeof name - 1 + n_digits + 1 + !empty;
        struct stored *object =
                lay_out(texts->buf.data, texts->buf.length, texts->n_labels, texts->n_fields, json.length + extra);
        object->revision = revision;
        char *to = object->json;
        memcpy(to, json.data, offset);
        to += offset;
        memcpy(to, name, sizeof name - 1);
        to += sizeof name - 1;
        object->version_offset = (size_t)(to - object->json);
        object->version_length = (uint32_t)n_digits;
        memcpy(to, digits, n_digits);
        to += n_digits;
        *to++ = '"';
        if (!empty)
                *to++ = ',';
        memcpy(to, rest, json.length - offset);
        return object;
}

// Reads the fields of an object. Neighbours share their first part: it is looked up once.
struct field_reader {
        struct cx_slice json, inner;
        const char *part; // a path that begins with the name of `inner`
};

static char *read_path(struct field_reader *reader, const char *path)
{
        const char *dot = strchr(path, '.');
        if (!dot)
                return cx_scan_scalar(cx_scan_path(reader->json, path));
        if (strncmp(reader->part, path, (size_t)(dot - path) + 1) != 0) {
                char name[64];
                (void)snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
                reader->inner = cx_scan_path(reader->json, name);
                reader->part = path;
        }
        return cx_scan_scalar(cx_scan_path(reader->inner, dot + 1));
}

static char *read_field(struct field_reader *reader, const struct selectable_field *field)
{
        char *text = read_path(reader, field->path);
        if (field->instead && (!text || !*text)) {
                free(text);
                text = read_path(reader, field->instead);
        }
        return text ? text : cx_strdup(field->absent);
}

struct stored *stored_new(const struct selectable *selectable, const char *key, const char *value, size_t length,
                          int64_t revision)
{
        struct cx_slice json = {value, length};
        struct cx_slice metadata = cx_scan_path(json, "metadata");
        if (!metadata.data || metadata.data[0] != '{')
                return NULL;
        struct texts texts = {.buf = CX_BUF_INIT};
        add_text(&texts, key, strlen(key));
        add_labels(&texts, cx_scan_path(metadata, "labels"));
        struct field_reader reader = {.json = json, .part = ""};
        for (; texts.n_fields < selectable->count; texts.n_fields++) {
                CX_CLEANUP(cx_freep) char *text = read_field(&reader, &selectable->fields[texts.n_fields]);
                add_text(&texts, text, strlen(text));
        }
        struct stored *object = splice(json, metadata.data, revision, &texts);
        cx_buf_release(&texts.buf);
        return object;
}

struct stored *stored_with_revision(const struct stored *from, int64_t revision)
{
        char digits[24];
        size_t n_digits = (size_t)snprintf(digits, sizeof digits, "%ld", (long)revision);
        struct stored *object = lay_out(from->key, from->texts_length, from->n_labels, from->n_fields,
                                        from->length - from->version_length + n_digits);
        object->revision = revision;
        object->version_offset = from->version_offset;
        object->version_length = (uint32_t)n_digits;
        memcpy(object->json, from->json, from->version_offset);
        memcpy(object->json + from->version_offset, digits, n_digits);
        size_t rest = from->version_offset + from->version_length;
        memcpy(object->json + from->version_offset + n_digits, from->json + rest, from->length - rest);
        return object;
}

struct stored *stored_ref(struct stored *object)
{
        atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
        return object;
}

void stored_unref(struct stored *object)
{
        if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
                return;
        free(object);
}

json_t *stored_parse(const struct stored *object)
{
        return json_loadb(object->json, object->length, 0, NULL);
}

bool stored_is_being_deleted(const struct stored *object)
{
        struct cx_slice json = {object->json, object->length};
        return cx_scan_path(cx_scan_path(json, "metadata"), "deletionTimestamp").data != NULL;
}

const char *stored_label(const struct stored *object, const char *key)
{
        for (size_t i = 0; i < object->n_labels; i++)
                if (strcmp(object->labels[i].key, key) == 0)
                        return object->labels[i].value;
        return NULL;
}

const char *stored_field(const struct selectable *selectable, const struct stored *object, const char *name)
{
        if (strcmp(name, "metadata.name") == 0)
                return object->name;
        for (size_t i = 0; i < object->n_fields; i++)
                if (strcmp(selectable->fields[i].name, name) == 0)
                        return object->fields[i];
        return NULL;
}

bool resource_selects_field(const struct cx_resource *resource, const char *field)
{
        if (strcmp(field, "metadata.name") == 0 || (resource->namespaced && strcmp(field, "metadata.namespace") == 0))
                return true;
        for (size_t i = 0; resource->selectable_fields && resource->selectable_fields[i]; i++)
                if (strcmp(resource->selectable_fields[i], field) == 0)
                        return true;
        return false;
}

static const char *get_label(void *object, const char *key)
{
        return stored_label(object, key);
}

// metadata.namespace is a part of the key, not a string of its own: compared by hand.
static bool field_matches(const struct selectable *selectable, const struct cx_requirement *requirement,
                          const struct stored *object)
{
        const char *wanted = requirement->values[0];
        bool equal;
        if (strcmp(requirement->key, "metadata.namespace") == 0)
                equal = strlen(wanted) == object->namespace_length &&
                        strncmp(wanted, object->key, object->namespace_length) == 0;
        else
                equal = strcmp(cx_str(stored_field(selectable, object, requirement->key)), wanted) == 0;
        return equal == (requirement->op != CX_OP_NOT_EQUALS);
}

bool filter_matches(const struct filter *filter, const struct selectable *selectable, const struct stored *object)
{
        if (filter->namespace && *filter->namespace &&
            (strlen(filter->namespace) != object->namespace_length ||
             strncmp(filter->namespace, object->key, object->namespace_length) != 0))
                return false;
        for (size_t i = 0; filter->fields && i < filter->fields->count; i++)
                if (!field_matches(selectable, &filter->fields->requirements[i], object))
                        return false;
        return !filter->labels || cx_selector_matches_with(filter->labels, get_label, (void *)object);
}
