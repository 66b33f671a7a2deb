// SPDX-License-Identifier: Apache-2.0
// Objects and lists as they are kept are sent as they are; other forms are made from them on the way out.
#include "apiserver/request/respond.h"

#include "apiserver/request/convert.h"
#include "apiserver/request/media.h"
#include "apiserver/request/recorded.h"
#include "libcommon/api/status.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"

// --- what the client accepts ---

static bool accept_part(const struct media *media, bool allow_transform, struct accept_header *ret_accept)
{
        bool yaml = media_is(media, "application/yaml");
        if (!yaml && !media_is_json(media))
                return false;
        bool table = strcmp(media->as, "Table") == 0;
        bool metadata = cx_has_prefix(media->as, "PartialObjectMetadata"); // or …List
        if (*media->as && ((!table && !metadata) || !allow_transform || strcmp(media->group, "meta.k8s.io") != 0 ||
                           strcmp(media->version, "v1") != 0))
                return false;
        ret_accept->form = table ? FORM_TABLE : metadata ? FORM_METADATA : yaml ? FORM_YAML : FORM_JSON;
        return true;
}

// As asked for, else by the user agent: people use browsers and curl.
static bool wants_pretty(const struct call *call)
{
        const char *pretty = cx_http_query(call->request, "pretty");
        const char *agent = cx_str(cx_http_header(call->request, "User-Agent"));
        if (pretty && *pretty)
                return strcmp(pretty, "1") == 0 || strcasecmp(pretty, "true") == 0 || strcasecmp(pretty, "t") == 0;
        return cx_has_prefix(agent, "curl") || cx_has_prefix(agent, "Wget") || cx_has_prefix(agent, "Mozilla/5.0");
}

int accept_header(const struct call *call, bool allow_transform, struct accept_header *ret_accept, struct cx_error *err)
{
        const char *header = cx_http_header(call->request, "Accept");
        const char *include = cx_http_query(call->request, "includeObject");
        *ret_accept =
                (struct accept_header){.form = FORM_JSON, .include = CX_INCLUDE_METADATA, .pretty = wants_pretty(call)};
        if (cx_streq(include, "None"))
                ret_accept->include = CX_INCLUDE_NONE;
        else if (cx_streq(include, "Object"))
                ret_accept->include = CX_INCLUDE_OBJECT;
        else if (include && *include && strcmp(include, "Metadata") != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "unrecognized includeObject value: \"%s\"", include);
        if (!header || !*header)
                return 0;
        struct media media;
        while (media_next(&header, &media))
                if (accept_part(&media, allow_transform, ret_accept))
                        return 0;
        return cx_error_reason(err, CX_REASON_NOT_ACCEPTABLE,
                               "only the following media types are accepted: application/json, application/yaml");
}

// --- errors and whole objects ---

// Of this many characters of warnings, or of these of each when they are more together; upstream's figures.
#define MAX_WARNINGS ((size_t)4096)
#define MAX_WARNING ((size_t)256)

static size_t characters(const char *text)
{
        size_t count = 0;
        for (; *text; text++)
                count += ((unsigned char)*text & 0xc0) != 0x80;
        return count;
}

// At most so many characters of the text; how many.
static size_t add_warning(struct call *call, const char *warning, size_t most)
{
        CX_BUF text = CX_BUF_INIT;
        size_t count = 0;
        cx_buf_add(&text, "299 - \"");
        for (const unsigned char *p = (const unsigned char *)warning; *p; p++) {
                if ((*p & 0xc0) != 0x80 && count++ == most)
                        break;
                if (*p == '"' || *p == '\\')
                        cx_buf_add_char(&text, '\\');
                if (*p >= ' ' && *p != 0x7f)
                        cx_buf_add_char(&text, (char)*p);
        }
        cx_buf_add_char(&text, '"');
        cx_http_add_header(call->request, "Warning", text.data);
        return count < most ? count : most;
}

static void add_common_headers(struct call *call)
{
        size_t all = 0, told = 0;
        cx_http_add_header(call->request, "Cache-Control", "no-cache, private");
        for (size_t i = 0; i < call->warnings.count; i++)
                all += characters(call->warnings.items[i]);
        for (size_t i = 0; i < call->warnings.count && told < MAX_WARNINGS; i++)
                told += add_warning(call, call->warnings.items[i], all > MAX_WARNINGS ? MAX_WARNING : MAX_WARNINGS);
}

static void respond_indented(struct call *call, int code, json_t *body_steal)
{
        CX_BUF text = CX_BUF_INIT;
        cx_json_dump_indented(body_steal, &text);
        json_decref(body_steal);
        cx_http_respond_buf(call->request, code, NULL, &text);
}

void respond_error(struct call *call, const struct cx_error *err)
{
        add_common_headers(call);
        if (call->recorded) {
                json_auto_t *status = cx_status_from_error(err);
                recorded_answer(call, status);
        }
        if (!wants_pretty(call)) {
                cx_http_respond_error(call->request, err);
                return;
        }
        if (err->retry_after)
                cx_http_add_header(call->request, "Retry-After", CX_INT(err->retry_after));
        respond_indented(call, cx_status_http_code(err), cx_status_from_error(err));
}

static void respond_json(struct call *call, int code, const struct accept_header *accept, json_t *body_steal)
{
        add_common_headers(call);
        recorded_answer(call, body_steal);
        if (accept->form != FORM_YAML) {
                if (accept->pretty)
                        respond_indented(call, code, body_steal);
                else
                        cx_http_respond_json(call->request, code, body_steal);
                return;
        }
        json_auto_t *body = body_steal;
        CX_BUF text = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_yaml_dump(body, &text, &err) < 0)
                cx_http_respond_error(call->request, &err);
        else
                cx_http_respond_buf(call->request, code, "application/yaml", &text);
}

static json_t *partial_metadata(const json_t *object)
{
        return json_pack("{s:s,s:s,s:O}", "kind", "PartialObjectMetadata", "apiVersion", "meta.k8s.io/v1", "metadata",
                         json_object_get(object, "metadata"));
}

// Is `object` of the call's own resource (and not a Status, a Scale, …), and is that one that is stored (no review), so
// that Table and metadata make sense?
static bool is_of_resource(const struct call *call, const json_t *object)
{
        return call->scope.resource && (call->scope.resource->verbs & CX_VERB_GET) &&
               cx_streq(cx_json_string(object, "kind"), call->scope.resource->kind->kind);
}

static json_t *transform(const struct call *call, const struct accept_header *accept, json_t *object_steal)
{
        json_auto_t *object = object_steal;
        if (!is_of_resource(call, object))
                return cx_steal(&object);
        if (accept->form == FORM_TABLE) {
                json_auto_t *metadata = json_object();
                json_object_set(metadata, "resourceVersion", cx_json_get(object, "metadata.resourceVersion"));
                return cx_table(call->scope.resource, (const json_t *const[]){object}, 1, accept->include, metadata);
        }
        if (accept->form == FORM_METADATA)
                return partial_metadata(object);
        return cx_steal(&object);
}

void respond_object(struct call *call, int code, json_t *object_steal)
{
        json_auto_t *object = object_steal;
        struct accept_header accept;
        CX_ERROR err = CX_ERROR_INIT;
        if (accept_header(call, is_of_resource(call, object), &accept, &err) < 0) {
                respond_error(call, &err);
                return;
        }
        respond_json(call, code, &accept, transform(call, &accept, cx_steal(&object)));
}

bool needs_conversion(const struct served_kind *kind)
{
        return !is_same_version(kind->stored, kind->resource);
}

static json_t *parse_converted(const struct served_kind *kind, const struct stored *object)
{
        json_t *json = stored_parse(object);
        convert(kind->conversion, json, kind->resource);
        return json;
}

void respond_stored(struct call *call, int code, struct stored *object_steal)
{
        STORED *object = object_steal;
        struct accept_header accept;
        CX_ERROR err = CX_ERROR_INIT;
        if (accept_header(call, true, &accept, &err) < 0) {
                respond_error(call, &err);
                return;
        }
        if (accept.form == FORM_JSON && !accept.pretty && !needs_conversion(call->scope.kind)) {
                add_common_headers(call);
                recorded_answer_text(call, object->json, object->length);
                cx_http_respond(call->request, code, NULL, object->json, object->length);
                return;
        }
        respond_json(call, code, &accept, transform(call, &accept, parse_converted(call->scope.kind, object)));
}

void format_stored(const struct served_kind *kind, const struct stored *object, const struct accept_header *accept,
                   bool with_columns, struct cx_buf *to)
{
        json_auto_t *json = parse_converted(kind, object);
        json_auto_t *result = NULL;
        if (accept->form == FORM_TABLE) {
                json_auto_t *metadata = json_object();
                json_object_set(metadata, "resourceVersion", cx_json_get(json, "metadata.resourceVersion"));
                result = cx_table(kind->resource, (const json_t *const[]){json}, 1, accept->include, metadata);
                if (!with_columns)
                        json_object_del(result, "columnDefinitions");
        } else if (accept->form == FORM_METADATA) {
                result = partial_metadata(json);
        } else {
                result = json_incref(json);
        }
        cx_json_dump(result, to);
}

// --- lists ---

// A list as it is sent: a header, the objects' own bytes with commas between, a footer.
struct list_source {
        struct cx_buf header;
        struct stored_list list;
        size_t part; // 0: header, 1..count: objects, count + 1: footer
        size_t done; // bytes of the part
};

static const char list_footer[] = "]}\n";

static const char *part_bytes(const struct list_source *source, size_t part, size_t *ret_length)
{
        if (part == 0) {
                *ret_length = source->header.length;
                return source->header.data;
        }
        if (part > source->list.count) {
                *ret_length = sizeof list_footer - 1;
                return list_footer;
        }
        // one byte before the object is sent as the comma, see read_list
        *ret_length = source->list.items[part - 1]->length + (part > 1);
        return source->list.items[part - 1]->json;
}

static ssize_t read_list(void *context, uint64_t offset CX_UNUSED, char *to, size_t max)
{
        struct list_source *source = context;
        size_t filled = 0;
        while (filled < max && source->part <= source->list.count + 1) {
                size_t length;
                const char *bytes = part_bytes(source, source->part, &length);
                bool comma = source->part > 1 && source->part <= source->list.count;
                if (comma && source->done == 0) {
                        to[filled++] = ',';
                        source->done = 1;
                        continue;
                }
                size_t n = length - source->done;
                if (n > max - filled)
                        n = max - filled;
                memcpy(to + filled, bytes + source->done - comma, n);
                filled += n;
                source->done += n;
                if (source->done == length) {
                        source->part++;
                        source->done = 0;
                }
        }
        return filled ? (ssize_t)filled : CX_HTTP_STREAM_END;
}

static void release_list(void *context)
{
        struct list_source *source = context;
        cx_buf_release(&source->header);
        stored_list_release(&source->list);
        free(source);
}

static json_t *list_metadata(int64_t revision, const char *continue_token, int64_t remaining)
{
        json_t *metadata = json_object();
        json_object_set_new(metadata, "resourceVersion", json_string(CX_INT(revision)));
        if (continue_token)
                json_object_set_new(metadata, "continue", json_string(continue_token));
        if (continue_token && remaining >= 0)
                json_object_set_new(metadata, "remainingItemCount", json_integer(remaining));
        return metadata;
}

static void respond_list_bytes(struct call *call, struct stored_list *list_steal, const json_t *metadata)
{
        struct list_source *source = cx_alloc(sizeof *source);
        char api_version[128];
        source->header = (struct cx_buf)CX_BUF_INIT;
        source->list = *list_steal;
        *list_steal = (struct stored_list){0};
        cx_buf_printf(&source->header,
                      "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":", call->scope.resource->list_kind,
                      cx_join_api_version(api_version, call->scope.resource->group, call->scope.resource->version));
        cx_json_dump(metadata, &source->header);
        cx_buf_add(&source->header, ",\"items\":[");
        size_t total = 0;
        for (size_t part = 0; part <= source->list.count + 1; part++) {
                size_t length;
                (void)part_bytes(source, part, &length);
                total += length;
        }
        add_common_headers(call);
        bool recorded = recorded_wants_answer(call) && total < RECORDED_MAX;
        if (total < 65536 || recorded) {
                CX_BUF body = CX_BUF_INIT;
                ssize_t n = read_list(source, 0, cx_buf_reserve(&body, total), total);
                cx_buf_advance(&body, (size_t)n);
                release_list(source);
                recorded_answer_text(call, body.data, body.length);
                cx_http_respond_buf(call->request, 200, NULL, &body);
                return;
        }
        recorded_cut(call);
        struct cx_http_stream_source stream = {
                .read = read_list, .release = release_list, .context = source, .block = 131072};
        cx_http_stream_unref(cx_http_respond_stream(call->request, 200, NULL, (int64_t)total, &stream));
}

static json_t *list_items(struct call *call, const struct stored_list *list, bool metadata_only)
{
        json_t *items = json_array();
        for (size_t i = 0; i < list->count; i++) {
                json_auto_t *json = parse_converted(call->scope.kind, list->items[i]);
                json_array_append_new(items, metadata_only ? partial_metadata(json) : cx_steal(&json));
        }
        return items;
}

void respond_list(struct call *call, struct stored_list *list_steal, int64_t revision, const char *continue_token,
                  int64_t remaining)
{
        STORED_LIST list = *list_steal;
        *list_steal = (struct stored_list){0};
        struct accept_header accept;
        CX_ERROR err = CX_ERROR_INIT;
        if (accept_header(call, true, &accept, &err) < 0) {
                respond_error(call, &err);
                return;
        }
        json_auto_t *metadata = list_metadata(revision, continue_token, remaining);
        if (accept.form == FORM_JSON && !accept.pretty && !needs_conversion(call->scope.kind)) {
                respond_list_bytes(call, &list, metadata);
                return;
        }
        json_auto_t *items = list_items(call, &list, accept.form == FORM_METADATA);
        if (accept.form == FORM_TABLE) {
                CX_CLEANUP(cx_freep) const json_t **objects = cx_alloc_array(list.count, sizeof(json_t *));
                for (size_t i = 0; i < list.count; i++)
                        objects[i] = json_array_get(items, i);
                respond_json(call, 200, &accept,
                             cx_table(call->scope.resource, objects, list.count, accept.include, metadata));
                return;
        }
        char api_version[128];
        bool partial = accept.form == FORM_METADATA;
        respond_json(call, 200, &accept,
                     json_pack("{s:s,s:s,s:O,s:O}", "kind",
                               partial ? "PartialObjectMetadataList" : call->scope.resource->list_kind, "apiVersion",
                               partial ? "meta.k8s.io/v1"
                                       : cx_join_api_version(api_version, call->scope.resource->group,
                                                             call->scope.resource->version),
                               "metadata", metadata, "items", items));
}
