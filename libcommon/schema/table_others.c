// SPDX-License-Identifier: Apache-2.0
// Rows of roles, storage, admission, certificates, scheduling, flow control and device kinds.
#include "libcommon/base/time.h"
#include "libcommon/schema/table_internal.h"

static void print_binding(struct cx_row *row, const json_t *object)
{
        struct cx_strings lists[3] = {CX_STRINGS_INIT, CX_STRINGS_INIT, CX_STRINGS_INIT};
        static const char *const kinds[] = {"User", "Group", "ServiceAccount"};
        size_t i;
        json_t *subject;
        json_array_foreach (json_object_get(object, "subjects"), i, subject) {
                const char *kind = cx_json_string_or(subject, "kind", ""),
                           *name = cx_json_string_or(subject, "name", "");
                for (size_t k = 0; k < CX_ARRAY_SIZE(kinds); k++) {
                        if (strcmp(kind, kinds[k]) != 0)
                                continue;
                        CX_CLEANUP(cx_freep)
                        char *text = k == 2 ? cx_sprintf("%s/%s", cx_json_string_or(subject, "namespace", ""), name)
                                            : cx_strdup(name);
                        cx_strings_add(&lists[k], text);
                }
        }
        cx_cell_name(row, object);
        cx_cell_printf(row, "%s/%s", cx_json_string_or(object, "roleRef.kind", ""),
                       cx_json_string_or(object, "roleRef.name", ""));
        cx_cell_age(row, object);
        for (size_t k = 0; k < CX_ARRAY_SIZE(kinds); k++) {
                cx_cell_steal(row, cx_strings_join(&lists[k], ", "));
                cx_strings_release(&lists[k]);
        }
}

static void print_api_service(struct cx_row *row, const json_t *object)
{
        const json_t *available = cx_json_find(cx_json_get(object, "status.conditions"), "type", "Available");
        const char *status = cx_json_string_or(available, "status", "Unknown");
        const char *service = cx_json_string(object, "spec.service.name");
        cx_cell_name(row, object);
        if (service)
                cx_cell_printf(row, "%s/%s", cx_json_string_or(object, "spec.service.namespace", ""), service);
        else
                cx_cell(row, "Local");
        if (available && strcmp(status, "True") != 0)
                cx_cell_printf(row, "%s (%s)", status, cx_json_string_or(available, "reason", ""));
        else
                cx_cell(row, status);
        cx_cell_age(row, object);
}

static void print_csr_condition(struct cx_row *row, const json_t *object)
{
        CX_BUF text = CX_BUF_INIT;
        const json_t *conditions = cx_json_get(object, "status.conditions");
        if (cx_json_find(conditions, "type", "Approved"))
                cx_buf_add(&text, "Approved");
        else if (cx_json_find(conditions, "type", "Denied"))
                cx_buf_add(&text, "Denied");
        else
                cx_buf_add(&text, "Pending");
        if (cx_json_find(conditions, "type", "Failed"))
                cx_buf_add(&text, ",Failed");
        if (*cx_json_string_or(object, "status.certificate", ""))
                cx_buf_add(&text, ",Issued");
        cx_cell(row, text.data);
}

static void print_csr(struct cx_row *row, const json_t *object)
{
        int64_t seconds = cx_json_int(object, "spec.expirationSeconds", 0);
        char text[CX_TIME_TEXT] = "<none>";
        if (seconds)
                cx_duration_human(seconds * CX_NS_PER_S, text);
        cx_cell_name(row, object);
        cx_cell_age(row, object);
        cx_cell_at(row, object, "spec.signerName", "<none>");
        cx_cell_at(row, object, "spec.username", "");
        cx_cell(row, text);
        print_csr_condition(row, object);
}

// --- storage --------------------------------------------------------------------------------------------------------
static void print_csi_driver(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_bool(row, cx_json_bool(object, "spec.attachRequired", true));
        cx_cell_bool(row, cx_json_bool(object, "spec.podInfoOnMount", false));
        cx_cell_bool(row, cx_json_bool(object, "spec.storageCapacity", false));
        CX_CLEANUP(cx_freep) char *audiences = cx_join_list(cx_json_get(object, "spec.tokenRequests"), "audience", ",");
        cx_cell_or(row, audiences, "<unset>");
        cx_cell_bool(row, cx_json_bool(object, "spec.requiresRepublish", false));
        CX_CLEANUP(cx_freep) char *modes = cx_join_list(cx_json_get(object, "spec.volumeLifecycleModes"), NULL, ",");
        cx_cell_or(row, modes, "<none>");
        cx_cell_age(row, object);
}

static const struct cx_cell_rule csi_node[] = {
        {CX_CELL_NAME}, {CX_CELL_COUNT, "spec.drivers"}, {CX_CELL_AGE}, {CX_CELL_END}};

static const struct cx_cell_rule csi_capacity[] = {
        {CX_CELL_NAME}, {CX_CELL_TEXT, "storageClassName"}, {CX_CELL_TEXT, "capacity", "<unset>"}, {CX_CELL_END}};

static void print_storage_class(struct cx_row *row, const json_t *object)
{
        const json_t *annotations = cx_json_get(object, "metadata.annotations");
        const char *is_default =
                json_string_value(json_object_get(annotations, "storageclass.kubernetes.io/is-default-class"));
        cx_cell_printf(row, "%s%s", cx_json_string_or(object, "metadata.name", ""),
                       cx_streq(is_default, "true") ? " (default)" : "");
        cx_cell_at(row, object, "provisioner", "");
        cx_cell_at(row, object, "reclaimPolicy", "Delete");
        cx_cell_at(row, object, "volumeBindingMode", "Immediate");
        cx_cell_bool(row, cx_json_bool(object, "allowVolumeExpansion", false));
        cx_cell_age(row, object);
}

static const struct cx_cell_rule attachment[] = {{CX_CELL_NAME},
                                                 {CX_CELL_TEXT, "spec.attacher"},
                                                 {CX_CELL_TEXT, "spec.source.persistentVolumeName"},
                                                 {CX_CELL_TEXT, "spec.nodeName"},
                                                 {CX_CELL_BOOL, "status.attached"},
                                                 {CX_CELL_AGE},
                                                 {CX_CELL_END}};

static const struct cx_cell_rule attributes_class[] = {
        {CX_CELL_NAME}, {CX_CELL_TEXT, "driverName"}, {CX_CELL_AGE}, {CX_CELL_END}};

// --- admission ------------------------------------------------------------------------------------------------------
static const struct cx_cell_rule webhooks[] = {
        {CX_CELL_NAME}, {CX_CELL_COUNT, "webhooks"}, {CX_CELL_AGE}, {CX_CELL_END}};

static void print_policy(struct cx_row *row, const json_t *object)
{
        const char *kind = cx_json_string(object, "spec.paramKind.kind");
        cx_cell_name(row, object);
        cx_cell_int(row,
                    (int64_t)(cx_json_count(object, "spec.validations") + cx_json_count(object, "spec.mutations")));
        if (kind)
                cx_cell_printf(row, "%s/%s", cx_json_string_or(object, "spec.paramKind.apiVersion", ""), kind);
        else
                cx_cell(row, "<unset>");
        cx_cell_age(row, object);
}

static void print_policy_binding(struct cx_row *row, const json_t *object)
{
        const json_t *ref = cx_json_get(object, "spec.paramRef");
        const char *namespace = cx_json_string_or(ref, "namespace", "");
        cx_cell_name(row, object);
        cx_cell_at(row, object, "spec.policyName", "");
        if (!ref)
                cx_cell(row, "<unset>");
        else
                cx_cell_printf(row, "%s%s%s", namespace, *namespace ? "/" : "", cx_json_string_or(ref, "name", "*"));
        cx_cell_age(row, object);
}

// --- scheduling, leases, runtime classes, flow control --------------------------------------------------------------
static const struct cx_cell_rule priority_class[] = {{CX_CELL_NAME},
                                                     {CX_CELL_INT, "value"},
                                                     {CX_CELL_BOOL, "globalDefault"},
                                                     {CX_CELL_AGE},
                                                     {CX_CELL_TEXT, "preemptionPolicy"},
                                                     {CX_CELL_END}};

static const struct cx_cell_rule lease[] = {
        {CX_CELL_NAME}, {CX_CELL_TEXT, "spec.holderIdentity"}, {CX_CELL_AGE}, {CX_CELL_END}};

static const struct cx_cell_rule runtime_class[] = {
        {CX_CELL_NAME}, {CX_CELL_TEXT, "handler"}, {CX_CELL_AGE}, {CX_CELL_END}};

static void print_flow_schema(struct cx_row *row, const json_t *object)
{
        const json_t *dangling = cx_json_find(cx_json_get(object, "status.conditions"), "type", "Dangling");
        cx_cell_name(row, object);
        cx_cell_at(row, object, "spec.priorityLevelConfiguration.name", "<none>");
        cx_cell_int(row, cx_json_int(object, "spec.matchingPrecedence", 0));
        cx_cell_at(row, object, "spec.distinguisherMethod.type", "<none>");
        cx_cell_age(row, object);
        cx_cell(row, dangling ? cx_json_string(dangling, "status") : "?");
}

static void print_priority_level(struct cx_row *row, const json_t *object)
{
        const json_t *limited = cx_json_get(object, "spec.limited");
        const json_t *queuing = cx_json_get(limited, "limitResponse.queuing");
        static const char *const fields[] = {"queues", "handSize", "queueLengthLimit"};
        const json_t *shares =
                json_object_get(limited ? limited : cx_json_get(object, "spec.exempt"), "nominalConcurrencyShares");
        cx_cell_name(row, object);
        cx_cell_at(row, object, "spec.type", "");
        if (shares)
                cx_cell_int(row, json_integer_value(shares));
        else
                cx_cell(row, "<none>");
        for (size_t i = 0; i < CX_ARRAY_SIZE(fields); i++) {
                if (queuing)
                        cx_cell_int(row, cx_json_int(queuing, fields[i], 0));
                else
                        cx_cell(row, "<none>");
        }
        cx_cell_age(row, object);
}

// --- devices --------------------------------------------------------------------------------------------------------
static void print_claim(struct cx_row *row, const json_t *object)
{
        CX_BUF text = CX_BUF_INIT;
        if (cx_json_string(object, "metadata.deletionTimestamp"))
                cx_buf_add(&text, "deleted,");
        cx_buf_add(&text, cx_json_get(object, "status.allocation") ? "allocated" : "pending");
        if (cx_json_count(object, "status.reservedFor"))
                cx_buf_add(&text, ",reserved");
        cx_cell_name(row, object);
        cx_cell(row, text.data);
        cx_cell_age(row, object);
}

static void print_slice(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_at(row, object, "spec.nodeName", cx_json_bool(object, "spec.allNodes", false) ? "<all>" : "");
        cx_cell_at(row, object, "spec.driver", "");
        cx_cell_at(row, object, "spec.pool.name", "");
        cx_cell_age(row, object);
}

const struct cx_printer cx_printers_others[] = {
        {"rbac.v1.RoleBinding", print_binding},
        {"rbac.v1.ClusterRoleBinding", print_binding},
        {"apiregistration.v1.APIService", print_api_service},
        {"certificates.v1.CertificateSigningRequest", print_csr},
        {"storage.v1.CSIDriver", print_csi_driver},
        {"storage.v1.CSINode", .cells = csi_node},
        {"storage.v1.CSIStorageCapacity", .cells = csi_capacity},
        {"storage.v1.StorageClass", print_storage_class},
        {"storage.v1.VolumeAttachment", .cells = attachment},
        {"storage.v1.VolumeAttributesClass", .cells = attributes_class},
        {"admissionregistration.v1.MutatingWebhookConfiguration", .cells = webhooks},
        {"admissionregistration.v1.ValidatingWebhookConfiguration", .cells = webhooks},
        {"admissionregistration.v1.ValidatingAdmissionPolicy", print_policy},
        {"admissionregistration.v1.MutatingAdmissionPolicy", print_policy},
        {"admissionregistration.v1.ValidatingAdmissionPolicyBinding", print_policy_binding},
        {"admissionregistration.v1.MutatingAdmissionPolicyBinding", print_policy_binding},
        {"scheduling.v1.PriorityClass", .cells = priority_class},
        {"coordination.v1.Lease", .cells = lease},
        {"node.v1.RuntimeClass", .cells = runtime_class},
        {"flowcontrol.v1.FlowSchema", print_flow_schema},
        {"flowcontrol.v1.PriorityLevelConfiguration", print_priority_level},
        {"resource.v1.ResourceClaim", print_claim},
        {"resource.v1.ResourceSlice", print_slice},
        {NULL, NULL},
};
