// SPDX-License-Identifier: Apache-2.0
// Questions that are asked by creating an object which is answered and not stored.
#include "apiserver/admission/admission.h"
#include "apiserver/auth/authenticator.h"
#include "apiserver/auth/authorizer.h"
#include "apiserver/auth/rbac.h"
#include "apiserver/endpoints/endpoints.h"
#include "apiserver/request/decode.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/respond.h"
#include "libcommon/api/selector.h"
#include "libcommon/format/json.h"

static void add_list(struct cx_strings *to, const json_t *list)
{
        for (size_t i = 0; i < json_array_size(list); i++)
                cx_strings_add(to, cx_str(json_string_value(json_array_get(list, i))));
}

static json_t *list_json(const struct cx_strings *list)
{
        json_t *array = json_array();
        for (size_t i = 0; i < list->count; i++)
                json_array_append_new(array, json_string(list->items[i]));
        return array;
}

static json_t *user_json(const struct user *user)
{
        json_t *json = json_pack("{s:s,s:o}", "username", user->name, "groups", list_json(&user->groups));
        if (user->uid && *user->uid)
                json_object_set_new(json, "uid", json_string(user->uid));
        if (user->extra)
                json_object_set(json, "extra", user->extra);
        return json;
}

static int review_token(struct call *call, json_t *review, struct cx_error *err)
{
        const char *token = cx_json_string(review, "spec.token");
        if (!token || !*token)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "token is required for TokenReview in authentication");
        struct user user = USER_INIT;
        CX_STRINGS wanted = CX_STRINGS_INIT, shared = CX_STRINGS_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        add_list(&wanted, cx_json_get(review, "spec.audiences"));
        json_t *status = json_object();
        if (authenticate_token(call->api, token, &wanted, &user, &shared, &why) == 0) {
                cx_strings_add(&user.groups, "system:authenticated");
                json_object_set_new(status, "authenticated", json_true());
                json_object_set_new(status, "user", user_json(&user));
                if (shared.count)
                        json_object_set_new(status, "audiences", list_json(&shared));
        } else {
                json_object_set_new(status, "user", json_object());
                json_object_set_new(status, "error", json_string(cx_error_text(&why)));
        }
        user_release(&user);
        json_object_set_new(review, "status", status);
        return 0;
}

// The selector of a question. What cannot be read of it is left out, which asks for more; false says that there was such.
static bool read_fields(const json_t *attributes, struct cx_selector *ret_fields)
{
        static const struct {
                const char *word;
                enum cx_operator op;
        } operators[] = {{"In", CX_OP_EQUALS}, {"NotIn", CX_OP_NOT_EQUALS}};
        const char *raw = cx_json_string_or(attributes, "fieldSelector.rawSelector", "");
        const json_t *requirements = cx_json_get(attributes, "fieldSelector.requirements");
        bool good = true;
        if (*raw && !json_array_size(requirements))
                return cx_selector_parse_fields(raw, ret_fields, NULL) == 0;
        for (size_t i = 0; i < json_array_size(requirements); i++) {
                const json_t *requirement = json_array_get(requirements, i);
                const json_t *values = json_object_get(requirement, "values");
                const char *key = cx_json_string_or(requirement, "key", ""), *value = NULL;
                size_t op = 0;
                while (op < CX_ARRAY_SIZE(operators) &&
                       !cx_streq(cx_json_string(requirement, "operator"), operators[op].word))
                        op++;
                if (json_array_size(values) == 1)
                        value = json_string_value(json_array_get(values, 0));
                good = good && value && op < CX_ARRAY_SIZE(operators);
                if (value && op < CX_ARRAY_SIZE(operators))
                        cx_requirement_add_value(cx_selector_add(ret_fields, key, strlen(key), operators[op].op), value,
                                                 strlen(value));
        }
        return good;
}

// Nothing here decides by labels.
static bool are_labels_good(const json_t *attributes)
{
        const char *raw = cx_json_string_or(attributes, "labelSelector.rawSelector", "");
        const json_t *requirements = cx_json_get(attributes, "labelSelector.requirements");
        CX_SELECTOR labels = CX_SELECTOR_INIT;
        if (!json_array_size(requirements))
                return cx_selector_parse_labels(raw, &labels, NULL) == 0;
        json_auto_t *selector = json_pack("{s:O}", "matchExpressions", requirements);
        return cx_selector_from_json(selector, &labels, NULL) == 0;
}

static json_t *evaluation_error(const json_t *attributes, bool fields_good, const struct cx_selector *fields)
{
        CX_BUF text = CX_BUF_INIT;
        if (!fields_good)
                cx_buf_printf(&text, "spec.resourceAttributes.fieldSelector %signored due to parse error",
                              fields->count ? "partially " : "");
        if (!are_labels_good(attributes))
                cx_buf_printf(&text, "%sspec.resourceAttributes.labelSelector ignored due to parse error",
                              text.length ? "; " : "");
        return text.length ? json_string(text.data) : NULL;
}

static json_t *decide(struct call *call, const json_t *spec, const struct user *user)
{
        CX_SELECTOR fields = CX_SELECTOR_INIT;
        const json_t *resource = json_object_get(spec, "resourceAttributes");
        const json_t *path = json_object_get(spec, "nonResourceAttributes");
        const json_t *from = resource ? resource : path;
        struct attributes attributes = {.user = user,
                                        .is_resource = resource != NULL,
                                        .verb = cx_json_string_or(from, "verb", ""),
                                        .group = cx_json_string_or(resource, "group", ""),
                                        .resource = cx_json_string_or(resource, "resource", ""),
                                        .subresource = cx_json_string_or(resource, "subresource", ""),
                                        .namespace = cx_json_string_or(resource, "namespace", ""),
                                        .name = cx_json_string_or(resource, "name", ""),
                                        .path = cx_json_string_or(path, "path", "")};
        bool fields_good = read_fields(resource, &fields);
        if (fields.count)
                attributes.fields = &fields;
        CX_CLEANUP(cx_freep) char *why = NULL;
        bool allowed = authorize(call->api, &attributes, &why);
        json_t *not_read = evaluation_error(resource, fields_good, &fields);
        json_t *status = json_pack("{s:b}", "allowed", allowed);
        if (why)
                json_object_set_new(status, "reason", json_string(why));
        if (not_read)
                json_object_set_new(status, "evaluationError", not_read);
        return status;
}

// What a question must look like; the causes of one that does not.
static int check_question(const struct call *call, const json_t *review, bool self, struct cx_error *err)
{
        const json_t *spec = json_object_get(review, "spec");
        CX_ERROR causes = CX_ERROR_INIT;
        bool resource = json_object_get(spec, "resourceAttributes"),
             path = json_object_get(spec, "nonResourceAttributes");
        bool local = cx_streq(call->info.resource, "localsubjectaccessreviews");
        if (resource && path)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.nonResourceAttributes",
                               "Invalid value: cannot be specified in combination with resourceAttributes");
        if (!resource && !path)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.resourceAttributes",
                               "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must "
                               "be specified");
        if (!self && !*cx_json_string_or(spec, "user", "") && !cx_json_count(spec, "groups"))
                cx_error_cause(&causes, "FieldValueInvalid", "spec.user",
                               "Invalid value: \"\": at least one of user or group must be specified");
        if (local && resource &&
            !cx_streq(cx_json_string_or(spec, "resourceAttributes.namespace", ""), call->info.namespace))
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "spec.resourceAttributes.namespace must match namespace: %s",
                                       call->info.namespace);
        if (local && path)
                cx_error_cause(&causes, "FieldValueInvalid", "spec.nonResourceAttributes",
                               "Invalid value: disallowed on this kind of request");
        return object_invalid(call->scope.resource->kind->group, call->scope.resource->kind->kind, "", &causes, err);
}

static int review_access(struct call *call, json_t *review, struct cx_error *err)
{
        const json_t *spec = json_object_get(review, "spec");
        const char *name = cx_json_string(spec, "user");
        bool self = cx_streq(call->info.resource, "selfsubjectaccessreviews");
        int r = check_question(call, review, self, err);
        if (r < 0)
                return r;
        if (self) {
                json_object_set_new(review, "status", decide(call, spec, &call->user));
                return 0;
        }
        struct user user = {.name = cx_strdup(cx_str(name))};
        add_list(&user.groups, json_object_get(spec, "groups"));
        json_object_set_new(review, "status", decide(call, spec, &user));
        user_release(&user);
        return 0;
}

static int review_rules(struct call *call, json_t *review, struct cx_error *err)
{
        const char *namespace = cx_json_string(review, "spec.namespace");
        if (!namespace || !*namespace)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST, "no namespace on request");
        json_auto_t *rules = rbac_rules(call->api->rbac, &call->user, namespace);
        json_t *resources = json_array(), *paths = json_array();
        for (size_t i = 0; i < json_array_size(rules); i++) {
                json_t *rule = json_array_get(rules, i);
                json_array_append(json_array_size(json_object_get(rule, "nonResourceURLs")) ? paths : resources, rule);
        }
        json_object_set_new(
                review, "status",
                json_pack("{s:o,s:o,s:b}", "resourceRules", resources, "nonResourceRules", paths, "incomplete", 0));
        return 0;
}

static int review_self(struct call *call, json_t *review, struct cx_error *err CX_UNUSED)
{
        json_object_set_new(review, "status", json_pack("{s:o}", "userInfo", user_json(&call->user)));
        return 0;
}

static const struct {
        const char *group, *resource;
        int (*answer)(struct call *call, json_t *review, struct cx_error *err);
} reviews[] = {
        {"authentication.k8s.io", "tokenreviews", review_token},
        {"authentication.k8s.io", "selfsubjectreviews", review_self},
        {"authorization.k8s.io", "subjectaccessreviews", review_access},
        {"authorization.k8s.io", "localsubjectaccessreviews", review_access},
        {"authorization.k8s.io", "selfsubjectaccessreviews", review_access},
        {"authorization.k8s.io", "selfsubjectrulesreviews", review_rules},
};

bool serve_review(struct call *call)
{
        for (size_t i = 0; i < CX_ARRAY_SIZE(reviews); i++) {
                if (strcmp(reviews[i].resource, call->info.resource) != 0 ||
                    strcmp(reviews[i].group, call->info.group) != 0)
                        continue;
                CX_ERROR err = CX_ERROR_INIT;
                json_auto_t *review = NULL;
                int r = 0;
                if (!cx_streq(call->info.verb, "create"))
                        r = method_not_allowed(&err);
                if (r == 0)
                        r = decode_body(call, call->scope.resource->kind, &review, &err);
                struct admission_request admission = {
                        .scope = &call->scope, .operation = ADMIT_CREATE, .object = review};
                if (r == 0)
                        r = admit(&admission, &err);
                if (r == 0)
                        r = reviews[i].answer(call, review, &err);
                if (r < 0)
                        respond_error(call, &err);
                else
                        respond_object(call, 201, cx_steal(&review));
                return true;
        }
        return false;
}
