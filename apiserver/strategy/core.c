// SPDX-License-Identifier: Apache-2.0
// The smaller kinds of the core group and their like: namespaces, nodes, config maps, secrets, events, leases,
// endpoints, volumes and claims, priority classes, certificate signing requests.
#include "apiserver/request/errors.h"
#include "apiserver/strategy/strategy.h"
#include "libcommon/api/priority.h"
#include "libcommon/api/quantity.h"
#include "libcommon/base/time.h"
#include "libcommon/format/base64.h"
#include "libcommon/format/json.h"
#include "libcommon/net/pki.h"

static void keep(json_t *to, const json_t *from, const char *key)
{
        if (json_object_get(from, key))
                json_object_set(to, key, json_object_get(from, key));
        else
                json_object_del(to, key);
}

// --- namespaces ---

static int create_namespace(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        json_object_set_new(object, "spec", json_pack("{s:[s]}", "finalizers", "kubernetes"));
        json_object_set_new(object, "status", json_pack("{s:s}", "phase", "Active"));
        json_t *metadata = json_object_get(object, "metadata");
        json_object_set(cx_json_object_at(metadata, "labels"), "kubernetes.io/metadata.name",
                        json_object_get(metadata, "name"));
        return 0;
}

static int update_namespace(const struct scope *scope CX_UNUSED, json_t *object, const json_t *old,
                            struct cx_error *err CX_UNUSED)
{
        if (!cx_streq(scope->subresource, "finalize"))
                keep(object, old, "spec");
        json_t *metadata = json_object_get(object, "metadata");
        json_object_set(cx_json_object_at(metadata, "labels"), "kubernetes.io/metadata.name",
                        json_object_get(metadata, "name"));
        return 0;
}

static bool delete_namespace(json_t *object)
{
        (void)cx_json_set(object, "status.phase", json_string("Terminating"));
        return cx_json_count(object, "spec.finalizers") > 0;
}

static void validate_namespace(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old CX_UNUSED,
                               struct cx_error *causes)
{
        const char *name = cx_json_string_or(object, "metadata.name", "");
        if (strchr(name, '.') || strlen(name) > 63)
                cx_error_cause(
                        causes, "FieldValueInvalid", "metadata.name",
                        "Invalid value: \"%s\": a lowercase RFC 1123 label must consist of lower case alphanumeric "
                        "characters or '-', and must start and end with an alphanumeric character",
                        name);
}

const struct strategy strategy_namespaces = {.group = "",
                                             .resource = "namespaces",
                                             .prepare_create = create_namespace,
                                             .prepare_update = update_namespace,
                                             .validate = validate_namespace,
                                             .begin_delete = delete_namespace};

// --- nodes ---

static void validate_node(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                          struct cx_error *causes)
{
        const char *before = cx_json_string(old, "spec.podCIDR"), *now = cx_json_string(object, "spec.podCIDR");
        if (!scope->subresource && before && *before && !cx_streq(before, now))
                cx_error_cause(causes, "FieldValueForbidden", "spec.podCIDRs",
                               "Forbidden: node updates may not change podCIDR except from \"\" to valid");
}

const struct strategy strategy_nodes = {
        .group = "", .resource = "nodes", .keeps_status_on_create = true, .validate = validate_node};

// --- config maps and secrets ---

static void validate_immutable(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                               struct cx_error *causes)
{
        static const char *const parts[] = {"data", "binaryData"};
        if (!old || !cx_json_bool(old, "immutable", false))
                return;
        if (!cx_json_bool(object, "immutable", false))
                cx_error_cause(causes, "FieldValueForbidden", "immutable",
                               "Forbidden: field is immutable when `immutable` is set");
        for (size_t i = 0; i < CX_ARRAY_SIZE(parts); i++) {
                const json_t *a = json_object_get(object, parts[i]), *b = json_object_get(old, parts[i]);
                if (a != b && !json_equal(a, b))
                        cx_error_cause(causes, "FieldValueForbidden", parts[i],
                                       "Forbidden: field is immutable when `immutable` is set");
        }
}

const struct strategy strategy_configmaps = {.group = "", .resource = "configmaps", .validate = validate_immutable};

// stringData is write-only: it ends up in data.
static void fold_string_data(json_t *object)
{
        const json_t *strings = json_object_get(object, "stringData");
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)strings, key, value) {
                CX_BUF encoded = CX_BUF_INIT;
                cx_base64_encode(cx_str(json_string_value(value)), json_string_length(value), &encoded);
                json_object_set_new(cx_json_object_at(object, "data"), key, json_string(encoded.data));
        }
        json_object_del(object, "stringData");
}

static int create_secret(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        fold_string_data(object);
        return 0;
}

static int update_secret(const struct scope *scope CX_UNUSED, json_t *object, const json_t *old CX_UNUSED,
                         struct cx_error *err CX_UNUSED)
{
        fold_string_data(object);
        return 0;
}

static void validate_secret(const struct scope *scope, const json_t *object, const json_t *old, struct cx_error *causes)
{
        static const struct {
                const char *type, *key;
        } needed[] = {{"kubernetes.io/dockerconfigjson", ".dockerconfigjson"},
                      {"kubernetes.io/dockercfg", ".dockercfg"},
                      {"kubernetes.io/tls", "tls.crt"},
                      {"kubernetes.io/tls", "tls.key"},
                      {"kubernetes.io/ssh-auth", "ssh-privatekey"}};
        const char *type = cx_json_string_or(object, "type", "");
        if (old && !cx_streq(type, cx_json_string(old, "type")))
                cx_error_cause(causes, "FieldValueInvalid", "type", "Invalid value: \"%s\": field is immutable", type);
        for (size_t i = 0; i < CX_ARRAY_SIZE(needed); i++)
                if (strcmp(type, needed[i].type) == 0 &&
                    !json_object_get(json_object_get(object, "data"), needed[i].key)) {
                        CX_CLEANUP(cx_freep) char *field = cx_sprintf("data[%s]", needed[i].key);
                        cx_error_cause(causes, "FieldValueRequired", field, "Required value");
                }
        validate_immutable(scope, object, old, causes);
}

const struct strategy strategy_secrets = {.group = "",
                                          .resource = "secrets",
                                          .prepare_create = create_secret,
                                          .prepare_update = update_secret,
                                          .validate = validate_secret};

// --- kinds with a word or two ---

static int64_t event_ttl(const struct apiserver *api)
{
        return api->options.event_ttl / CX_NS_PER_S;
}

static void require(const json_t *object, const char *field, size_t most, struct cx_error *causes)
{
        const char *text = cx_json_string_or(object, field, "");
        if (!*text)
                cx_error_cause(causes, "FieldValueRequired", field, "Required value");
        else if (strlen(text) > most)
                cx_error_cause(causes, "FieldValueTooLong", field, "Too long: may not be more than %zu bytes", most);
}

// What events.k8s.io/v1 asks of a new event and the core group does not.
static void validate_event_v1(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                              struct cx_error *causes)
{
        static const char *const legacy[] = {"deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp",
                                             "deprecatedCount"};
        const char *type = cx_json_string_or(object, "type", "");
        if (old)
                return;
        if (!*cx_json_string_or(object, "eventTime", ""))
                cx_error_cause(causes, "FieldValueRequired", "eventTime", "Required value");
        require(object, "reportingController", 253, causes);
        require(object, "reportingInstance", 128, causes);
        require(object, "action", 128, causes);
        require(object, "reason", 128, causes);
        if (strlen(cx_json_string_or(object, "note", "")) > 1024)
                cx_error_cause(causes, "FieldValueTooLong", "message", "Too long: may not be more than 1024 bytes");
        if (strcmp(type, "Normal") != 0 && strcmp(type, "Warning") != 0)
                cx_error_cause(causes, "FieldValueInvalid", "type", "Invalid value: \"\": has invalid value: %s", type);
        for (size_t i = 0; i < CX_ARRAY_SIZE(legacy); i++) {
                const json_t *value = json_object_get(object, legacy[i]);
                if (json_object_size(value) || json_is_string(value) || json_integer_value(value))
                        cx_error_cause(causes, "FieldValueInvalid", legacy[i], "Invalid value: needs to be unset");
        }
}

const struct strategy strategy_events = {.group = "", .resource = "events", .ttl = event_ttl, .create_on_update = true};
const struct strategy strategy_events_v1 = {.group = "events.k8s.io",
                                            .resource = "events",
                                            .ttl = event_ttl,
                                            .create_on_update = true,
                                            .validate = validate_event_v1};
const struct strategy strategy_leases = {
        .group = "coordination.k8s.io", .resource = "leases", .create_on_update = true};

static int create_pending(const struct scope *scope CX_UNUSED, json_t *object, struct cx_error *err CX_UNUSED)
{
        json_object_set_new(object, "status", json_pack("{s:s}", "phase", "Pending"));
        return 0;
}

// A growth that failed may be taken back, to no less than there is.
static void validate_claim(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                           struct cx_error *causes)
{
        static const char *const path = "spec.resources.requests.storage";
        const json_t *now = cx_json_get(object, path), *before = cx_json_get(old, path);
        const json_t *there = cx_json_get(old, "status.capacity.storage");
        if (now && before && cx_quantity_value_of(now) < cx_quantity_value_of(before) &&
            (!there || cx_quantity_value_of(now) <= cx_quantity_value_of(there)))
                cx_error_cause(causes, "FieldValueForbidden", path,
                               "Forbidden: field can not be less than status.capacity");
}

const struct strategy strategy_claims = {.group = "",
                                         .resource = "persistentvolumeclaims",
                                         .prepare_create = create_pending,
                                         .validate = validate_claim};
const struct strategy strategy_volumes = {
        .group = "", .resource = "persistentvolumes", .prepare_create = create_pending};

#define SYSTEM_ONLY "Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "

static void validate_priority_class(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                                    struct cx_error *causes)
{
        const char *name = cx_json_string_or(object, "metadata.name", "");
        const struct cx_priority_class *known = cx_system_priority_class(name);
        int64_t value = cx_json_int(object, "value", 0);
        bool is_reserved = cx_has_prefix(name, CX_SYSTEM_PRIORITY_PREFIX);
        if (old && value != cx_json_int(old, "value", 0))
                cx_error_cause(causes, "FieldValueForbidden", "value", "Forbidden: may not be changed in an update.");
        if (is_reserved && !known)
                cx_error_cause(causes, "FieldValueForbidden", "metadata.name",
                               SYSTEM_ONLY "%s is not a known system priority class", name);
        else if (is_reserved && value != known->value)
                cx_error_cause(causes, "FieldValueForbidden", "metadata.name",
                               SYSTEM_ONLY "value of %s PriorityClass must be %lld", name, (long long)known->value);
        if (!old && !is_reserved && value > 1000000000)
                cx_error_cause(causes, "FieldValueForbidden", "value",
                               "Forbidden: maximum allowed value of a user defined priority is 1000000000");
}

const struct strategy strategy_priority_classes = {
        .group = "scheduling.k8s.io", .resource = "priorityclasses", .validate = validate_priority_class};

// --- kinds whose status is all that a write of the status changes: upstream's other strategies let labels through ---

const struct strategy strategy_deployments = {.group = "apps", .resource = "deployments", .status_keeps_labels = true};
#define KEEPS_METADATA(name, of_group, of_resource)                                                                    \
        const struct strategy strategy_##name = {.group = (of_group),                                                  \
                                                 .resource = (of_resource),                                            \
                                                 .status_keeps_labels = true,                                          \
                                                 .status_keeps_annotations = true}
KEEPS_METADATA(crds, "apiextensions.k8s.io", "customresourcedefinitions");
KEEPS_METADATA(flow_schemas, "flowcontrol.apiserver.k8s.io", "flowschemas");
KEEPS_METADATA(priority_levels, "flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations");
KEEPS_METADATA(attachments, "storage.k8s.io", "volumeattachments");
KEEPS_METADATA(resource_claims, "resource.k8s.io", "resourceclaims");

// --- certificate signing requests: who asked is what the server saw ---

static int create_csr(const struct scope *scope, json_t *object, struct cx_error *err CX_UNUSED)
{
        json_t *spec = cx_json_object_at(object, "spec");
        json_t *groups = json_array();
        for (size_t i = 0; i < scope->user->groups.count; i++)
                json_array_append_new(groups, json_string(scope->user->groups.items[i]));
        json_object_set_new(spec, "username", json_string(scope->user->name));
        json_object_set_new(spec, "groups", groups);
        json_object_del(spec, "uid");
        json_object_del(spec, "extra");
        if (scope->user->uid)
                json_object_set_new(spec, "uid", json_string(scope->user->uid));
        if (scope->user->extra)
                json_object_set_new(spec, "extra", json_deep_copy(scope->user->extra));
        return 0;
}

// When a condition came and when it last turned: the server's clock where the client says nothing.
static void date_conditions(json_t *object, const json_t *old)
{
        json_t *conditions = cx_json_get(object, "status.conditions");
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        for (size_t i = 0; i < json_array_size(conditions); i++) {
                json_t *condition = json_array_get(conditions, i);
                const char *status = cx_json_string(condition, "status");
                const json_t *before = cx_json_find(cx_json_get(old, "status.conditions"), "type",
                                                    cx_json_string_or(condition, "type", ""));
                if (!cx_json_string(condition, "lastUpdateTime"))
                        json_object_set_new(condition, "lastUpdateTime", json_string(now));
                if (cx_json_string(condition, "lastTransitionTime"))
                        continue;
                const char *since = cx_json_string(before, "lastTransitionTime");
                bool same = since && cx_streq(status, cx_json_string(before, "status"));
                json_object_set_new(condition, "lastTransitionTime", json_string(same ? since : now));
        }
}

static int update_csr(const struct scope *scope CX_UNUSED, json_t *object, const json_t *old,
                      struct cx_error *err CX_UNUSED)
{
        keep(object, old, "spec");
        if (cx_streq(scope->subresource, "approval")) {
                // approval changes the conditions and nothing else of the status
                json_auto_t *conditions = json_incref(cx_json_get(object, "status.conditions"));
                json_object_set_new(object, "status", json_deep_copy(json_object_get(old, "status")));
                if (conditions)
                        (void)cx_json_set(object, "status.conditions", json_incref(conditions));
                else
                        cx_json_remove(object, "status.conditions");
        }
        if (scope->subresource)
                date_conditions(object, old);
        return 0;
}

// What has been decided stays, and only through /approval is it decided.
static void validate_decisions(const struct scope *scope, const json_t *object, const json_t *old,
                               struct cx_error *causes)
{
        static const char *const decisions[] = {"Approved", "Denied", "Failed"};
        const json_t *now = cx_json_get(object, "status.conditions"), *before = cx_json_get(old, "status.conditions");
        for (size_t i = 0; i < CX_ARRAY_SIZE(decisions); i++) {
                bool has = cx_json_find(now, "type", decisions[i]), had = cx_json_find(before, "type", decisions[i]);
                bool may_add = strcmp(decisions[i], "Failed") == 0 || cx_streq(scope->subresource, "approval");
                if (had != has && (had || !may_add))
                        cx_error_cause(causes, "FieldValueForbidden", "status.conditions",
                                       "Forbidden: updates may not %s a condition of type \"%s\"",
                                       had ? "remove" : "add", decisions[i]);
        }
        if (cx_json_find(now, "type", "Approved") && cx_json_find(now, "type", "Denied"))
                cx_error_cause(causes, "FieldValueInvalid", "status.conditions",
                               "Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive");
        const char *certificate = cx_json_string(old, "status.certificate");
        if (certificate && *certificate && !cx_streq(certificate, cx_json_string(object, "status.certificate")))
                cx_error_cause(causes, "FieldValueForbidden", "status.certificate",
                               "Forbidden: updates may not modify existing certificate content");
}

static void validate_csr(const struct scope *scope CX_UNUSED, const json_t *object, const json_t *old,
                         struct cx_error *causes)
{
        if (old && scope->subresource)
                validate_decisions(scope, object, old, causes);
        if (old)
                return;
        const char *request = cx_json_string_or(object, "spec.request", "");
        CX_BUF pem = CX_BUF_INIT_MAX(65536);
        struct cx_csr_info info = {0};
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_base64_decode(request, strlen(request), &pem) < 0 || cx_pki_parse_csr(pem.data, &info, &err) < 0)
                cx_error_cause(causes, "FieldValueInvalid", "spec.request",
                               "Invalid value: PEM block type must be CERTIFICATE REQUEST");
        cx_csr_info_release(&info);
}

const struct strategy strategy_csrs = {.group = "certificates.k8s.io",
                                       .resource = "certificatesigningrequests",
                                       .prepare_create = create_csr,
                                       .prepare_update = update_csr,
                                       .validate = validate_csr};
