// SPDX-License-Identifier: Apache-2.0
// JSON, YAML or protobuf by the content type; then the checks of kind and schema.
#include "apiserver/request/decode.h"

#include "apiserver/request/recorded.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "libcommon/schema/protobuf.h"

enum body_kind { BODY_JSON, BODY_YAML, BODY_PROTOBUF, BODY_OTHER };

static enum body_kind body_kind(const struct call *call)
{
        const char *type = cx_http_header(call->request, "Content-Type");
        size_t length = type ? strcspn(type, "; ") : 0;
        if (!length || (length == 3 && strncmp(type, "*/*", 3) == 0))
                return BODY_JSON;
        if (strncasecmp(type, "application/yaml", length) == 0 ||
            strncasecmp(type, "application/apply-patch+yaml", length) == 0)
                return BODY_YAML;
        if (length == strlen(CX_PROTOBUF_TYPE) && strncasecmp(type, CX_PROTOBUF_TYPE, length) == 0)
                return BODY_PROTOBUF;
        static const char *const json_types[] = {"application/json", "application/json-patch+json",
                                                 "application/merge-patch+json",
                                                 "application/strategic-merge-patch+json"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(json_types); i++)
                if (strlen(json_types[i]) == length && strncasecmp(type, json_types[i], length) == 0)
                        return BODY_JSON;
        return BODY_OTHER;
}

#define MAX_DUPLICATES 100

static int parse_yaml(struct call *call, const char *text, size_t length, json_t **ret_json, struct cx_error *err)
{
        json_auto_t *documents = NULL;
        int r = cx_yaml_parse_noting(text, length, MAX_DUPLICATES, &documents, &call->duplicates.lines, err);
        if (r < 0)
                return r;
        if (json_array_size(documents) != 1)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the body must hold exactly one YAML document");
        *ret_json = json_incref(json_array_get(documents, 0));
        return 0;
}

// Of keys that are there twice the last one counts; the schema's decoder says what it thinks of them.
static int parse_json(struct call *call, const char *text, size_t length, json_t **ret_json, struct cx_error *err)
{
        if (cx_json_parse(text, length, true, ret_json, NULL) == 0)
                return 0;
        int r = cx_json_parse(text, length, false, ret_json, err);
        if (r == 0)
                cx_json_duplicates(text, length, MAX_DUPLICATES, &call->duplicates.paths);
        return r;
}

static int decode_by_type(struct call *call, json_t **ret_json, struct cx_error *err)
{
        size_t length;
        const char *text = cx_http_body(call->request, &length);
        if (!length)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the body of the request is empty");
        switch (body_kind(call)) {
        case BODY_JSON:
                return parse_json(call, text, length, ret_json, err);
        case BODY_YAML:
                return parse_yaml(call, text, length, ret_json, err);
        case BODY_PROTOBUF:
                return cx_protobuf_decode(text, length, ret_json, err);
        case BODY_OTHER:
                break;
        }
        return cx_error_reason(err, CX_REASON_UNSUPPORTED_MEDIA,
                               "the body of the request was in an unknown format - accepted media types include: "
                               "application/json, application/yaml, " CX_PROTOBUF_TYPE);
}

static int decode_weighed(struct call *call, json_t **ret_json, struct cx_error *err)
{
        json_auto_t *json = NULL;
        int r = decode_by_type(call, &json, err);
        if (r == 0)
                r = cx_json_check_weight(json, err);
        if (r == 0)
                *ret_json = cx_steal(&json);
        return r;
}

int decode_any(struct call *call, json_t **ret_json, struct cx_error *err)
{
        int r = decode_weighed(call, ret_json, err);
        if (r == 0)
                recorded_request(call, NULL, *ret_json);
        return r;
}

static int check_kind(const struct cx_kind *kind, const json_t *object, struct cx_error *err)
{
        char expected[128];
        const char *body_kind_name = cx_json_string(object, "kind"), *version = cx_json_string(object, "apiVersion");
        if (!json_is_object(object))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "the body of the request must be an object");
        cx_join_api_version(expected, kind->group, kind->version);
        if ((!body_kind_name || !*body_kind_name) && !json_object_get(object, "apiVersion"))
                return 0; // the path says what it is
        if (!body_kind_name || !*body_kind_name)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "Object 'Kind' is missing in the body of the request");
        if (!cx_streq(version, expected))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "the API version in the data (%s) does not match the expected API version (%s)",
                                       cx_str(version), expected);
        if (!cx_streq(body_kind_name, kind->kind))
                return cx_error_reason(
                        err, CX_REASON_BAD_REQUEST,
                        "%s in version \"%s\" cannot be handled as a %s: the kind in the data does not match",
                        body_kind_name, kind->version, kind->kind);
        return 0;
}

int decode_body(struct call *call, const struct cx_kind *kind, json_t **ret_object, struct cx_error *err)
{
        json_auto_t *object = NULL;
        char api_version[128];
        int r = decode_weighed(call, &object, err);
        if (r == 0)
                r = check_kind(kind, object, err);
        if (r == 0)
                r = cx_schema_decode(kind->type, object, call->scope.field_validation, &call->duplicates,
                                     &call->warnings, err);
        if (r < 0)
                return r;
        json_object_set_new(object, "kind", json_string(kind->kind));
        json_object_set_new(object, "apiVersion",
                            json_string(cx_join_api_version(api_version, kind->group, kind->version)));
        (void)cx_json_object_at(object, "metadata");
        recorded_request(call, kind, object);
        *ret_object = cx_steal(&object);
        return 0;
}
