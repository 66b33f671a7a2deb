// SPDX-License-Identifier: Apache-2.0
// Rows of the core group's other kinds, and of events of both groups.
#include "libcommon/schema/table_internal.h"

static void print_component_status(struct cx_row *row, const json_t *object)
{
        const json_t *healthy = cx_json_find(cx_json_get(object, "conditions"), "type", "Healthy");
        const char *status = cx_json_string_or(healthy, "status", "");
        cx_cell_name(row, object);
        cx_cell(row, strcmp(status, "True") == 0 ? "Healthy" : strcmp(status, "False") == 0 ? "Unhealthy" : "Unknown");
        cx_cell_at(row, healthy, "message", "");
        cx_cell_at(row, healthy, "error", "");
}

static void print_config_map(struct cx_row *row, const json_t *object)
{
        cx_cell_name(row, object);
        cx_cell_int(row, (int64_t)(cx_json_count(object, "data") + cx_json_count(object, "binaryData")));
        cx_cell_age(row, object);
}

static const struct cx_cell_rule secret[] = {
        {CX_CELL_NAME}, {CX_CELL_TEXT, "type"}, {CX_CELL_COUNT, "data"}, {CX_CELL_AGE}, {CX_CELL_END}};

static const struct cx_cell_rule service_account[] = {
        {CX_CELL_NAME}, {CX_CELL_COUNT, "secrets"}, {CX_CELL_AGE}, {CX_CELL_END}};

static const struct cx_cell_rule namespace[] = {
        {CX_CELL_NAME}, {CX_CELL_TEXT, "status.phase"}, {CX_CELL_AGE}, {CX_CELL_END}};

// --- events ---------------------------------------------------------------------------------------------------------
static const char *either(const json_t *event, const char *a, const char *b)
{
        const char *value = cx_json_string(event, a);
        return value && *value ? value : cx_json_string(event, b);
}

static char *event_source(const json_t *event)
{
        const char *component = either(event, "source.component", "deprecatedSource.component");
        const char *host = either(event, "source.host", "deprecatedSource.host");
        if (!component || !*component) {
                component = either(event, "reportingComponent", "reportingController");
                host = cx_json_string(event, "reportingInstance");
        }
        return host && *host ? cx_sprintf("%s, %s", cx_str(component), host) : cx_strdup(cx_str(component));
}

static void print_event(struct cx_row *row, const json_t *event)
{
        const char *first = either(event, "firstTimestamp", "deprecatedFirstTimestamp");
        const char *last = either(event, "lastTimestamp", "deprecatedLastTimestamp");
        const char *series = cx_json_string(event, "series.lastObservedTime");
        const char *event_time = cx_json_string(event, "eventTime");
        int64_t count = cx_json_int(event, "count", cx_json_int(event, "deprecatedCount", 0));
        first = first ? first : event_time;
        last = series ? series : last ? last : first;
        if (series)
                count = cx_json_int(event, "series.count", count);
        else if (count == 0)
                count = 1;
        cx_cell_steal(row, cx_since_text(row->now, last));
        cx_cell_at(row, event, "type", "");
        cx_cell_at(row, event, "reason", "");
        const char *kind = cx_str(either(event, "involvedObject.kind", "regarding.kind"));
        const char *name = cx_str(either(event, "involvedObject.name", "regarding.name"));
        CX_CLEANUP(cx_freep) char *target = cx_sprintf("%s%s%s", kind, *name ? "/" : "", name);
        for (char *c = target; *c && *c != '/'; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c += 32;
        cx_cell(row, target);
        cx_cell(row, either(event, "involvedObject.fieldPath", "regarding.fieldPath"));
        cx_cell_steal(row, event_source(event));
        CX_CLEANUP(cx_freep) char *message = cx_strdup(cx_str(either(event, "message", "note")));
        size_t length = strlen(message);
        while (length && strchr(" \n\t", message[length - 1]))
                message[--length] = 0;
        cx_cell(row, message);
        cx_cell_steal(row, cx_since_text(row->now, first));
        cx_cell_int(row, count);
        cx_cell_name(row, event);
}

// --- nodes ----------------------------------------------------------------------------------------------------------
static void print_node_status(struct cx_row *row, const json_t *node)
{
        const json_t *ready = cx_json_find(cx_json_get(node, "status.conditions"), "type", "Ready");
        const char *status = cx_json_string_or(ready, "status", "");
        cx_cell_printf(row, "%s%s",
                       !ready                        ? "Unknown"
                       : strcmp(status, "True") == 0 ? "Ready"
                                                     : "NotReady",
                       cx_json_bool(node, "spec.unschedulable", false) ? ",SchedulingDisabled" : "");
}

static void print_node_roles(struct cx_row *row, const json_t *node)
{
        static const char prefix[] = "node-role.kubernetes.io/";
        CX_STRINGS roles = CX_STRINGS_INIT;
        const char *key;
        json_t *value;
        json_object_foreach (cx_json_get(node, "metadata.labels"), key, value) {
                const char *role = cx_has_prefix(key, prefix)               ? key + sizeof prefix - 1
                                   : strcmp(key, "kubernetes.io/role") == 0 ? json_string_value(value)
                                                                            : NULL;
                if (role && *role && !cx_strings_has(&roles, role))
                        cx_strings_add(&roles, role);
        }
        cx_strings_sort(&roles);
        CX_CLEANUP(cx_freep) char *text = cx_strings_join(&roles, ",");
        cx_cell_or(row, text, "<none>");
}

static void print_node(struct cx_row *row, const json_t *node)
{
        const json_t *addresses = cx_json_get(node, "status.addresses");
        cx_cell_name(row, node);
        print_node_status(row, node);
        print_node_roles(row, node);
        cx_cell_age(row, node);
        cx_cell_at(row, node, "status.nodeInfo.kubeletVersion", "");
        cx_cell_at(row, cx_json_find(addresses, "type", "InternalIP"), "address", "<none>");
        cx_cell_at(row, cx_json_find(addresses, "type", "ExternalIP"), "address", "<none>");
        cx_cell_at(row, node, "status.nodeInfo.osImage", "<unknown>");
        cx_cell_at(row, node, "status.nodeInfo.kernelVersion", "<unknown>");
        cx_cell_at(row, node, "status.nodeInfo.containerRuntimeVersion", "<unknown>");
}

// --- volumes --------------------------------------------------------------------------------------------------------
static void print_access_modes(struct cx_row *row, const json_t *modes)
{
        static const char *const names[][2] = {{"ReadWriteOnce", "RWO"},
                                               {"ReadOnlyMany", "ROX"},
                                               {"ReadWriteMany", "RWX"},
                                               {"ReadWriteOncePod", "RWOP"}};
        CX_STRINGS list = CX_STRINGS_INIT;
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++) {
                size_t j;
                json_t *mode;
                json_array_foreach (modes, j, mode)
                        if (cx_streq(json_string_value(mode), names[i][0]) && !cx_strings_has(&list, names[i][1]))
                                cx_strings_add(&list, names[i][1]);
        }
        cx_cell_steal(row, cx_strings_join(&list, ","));
}

static void print_phase(struct cx_row *row, const json_t *object)
{
        cx_cell_or(row,
                   cx_json_string(object, "metadata.deletionTimestamp") ? "Terminating"
                                                                        : cx_json_string(object, "status.phase"),
                   "");
}

static void print_storage_class(struct cx_row *row, const json_t *object)
{
        const char *old = json_string_value(json_object_get(cx_json_get(object, "metadata.annotations"),
                                                            "volume.beta.kubernetes.io/storage-class"));
        cx_cell_or(row, old ? old : cx_json_string(object, "spec.storageClassName"), "");
}

static void print_volume(struct cx_row *row, const json_t *volume)
{
        cx_cell_name(row, volume);
        cx_cell_at(row, volume, "spec.capacity.storage", "0");
        print_access_modes(row, cx_json_get(volume, "spec.accessModes"));
        cx_cell_at(row, volume, "spec.persistentVolumeReclaimPolicy", "");
        print_phase(row, volume);
        const char *claim = cx_json_string(volume, "spec.claimRef.name");
        if (claim)
                cx_cell_printf(row, "%s/%s", cx_json_string_or(volume, "spec.claimRef.namespace", ""), claim);
        else
                cx_cell(row, "");
        print_storage_class(row, volume);
        cx_cell_at(row, volume, "spec.volumeAttributesClassName", "<unset>");
        cx_cell_at(row, volume, "status.reason", "");
        cx_cell_age(row, volume);
        cx_cell_at(row, volume, "spec.volumeMode", "<unset>");
}

static void print_claim(struct cx_row *row, const json_t *claim)
{
        bool bound = *cx_json_string_or(claim, "spec.volumeName", "");
        cx_cell_name(row, claim);
        print_phase(row, claim);
        cx_cell_at(row, claim, "spec.volumeName", "");
        cx_cell(row, bound ? cx_json_string_or(claim, "status.capacity.storage", "0") : "");
        print_access_modes(row, bound ? cx_json_get(claim, "status.accessModes") : NULL);
        print_storage_class(row, claim);
        cx_cell_at(row, claim, "spec.volumeAttributesClassName", "<unset>");
        cx_cell_age(row, claim);
        cx_cell_at(row, claim, "spec.volumeMode", "<unset>");
}

// --- quotas ---------------------------------------------------------------------------------------------------------
static void print_usage(struct cx_row *row, const json_t *quota, bool limits)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_BUF text = CX_BUF_INIT;
        const char *key;
        json_t *value;
        const json_t *hard = cx_json_get(quota, "status.hard"), *used = cx_json_get(quota, "status.used");
        json_object_foreach ((json_t *)hard, key, value)
                if (cx_has_prefix(key, "limits.") == limits)
                        cx_strings_add(&names, key);
        cx_strings_sort(&names);
        for (size_t i = 0; i < names.count; i++) {
                const char *u = json_string_value(json_object_get(used, names.items[i]));
                const char *h = json_string_value(json_object_get(hard, names.items[i]));
                cx_buf_printf(&text, "%s%s: %s/%s", i ? ", " : "", names.items[i], u ? u : "0", cx_str(h));
        }
        cx_cell(row, text.data);
}

static void print_quota(struct cx_row *row, const json_t *quota)
{
        cx_cell_name(row, quota);
        print_usage(row, quota, false);
        print_usage(row, quota, true);
        cx_cell_age(row, quota);
}

const struct cx_printer cx_printers_core[] = {
        {"core.v1.ComponentStatus", print_component_status},
        {"core.v1.ConfigMap", print_config_map},
        {"core.v1.Secret", .cells = secret},
        {"core.v1.ServiceAccount", .cells = service_account},
        {"core.v1.Namespace", .cells = namespace},
        {"core.v1.Event", print_event},
        {"events.v1.Event", print_event},
        {"core.v1.Node", print_node},
        {"core.v1.PersistentVolume", print_volume},
        {"core.v1.PersistentVolumeClaim", print_claim},
        {"core.v1.ResourceQuota", print_quota},
        {NULL, NULL},
};
