// SPDX-License-Identifier: Apache-2.0
// Conditional defaults of pods, volumes, namespaces, nodes, limit ranges.
#include "libcommon/base/alloc.h"
#include "libcommon/format/json.h"
#include "libcommon/schema/defaults/defaults.h"

static void default_requests(json_t *container)
{
        json_t *limits = cx_json_get(container, "resources.limits");
        if (!json_object_size(limits))
                return;
        json_t *requests = cx_json_object_at(json_object_get(container, "resources"), "requests");
        const char *key;
        json_t *value;
        json_object_foreach (limits, key, value)
                cx_default_set_new(requests, key, json_incref(value));
}

static void default_host_ports(json_t *containers)
{
        size_t i, j;
        json_t *container, *port;
        json_array_foreach (containers, i, container)
                json_array_foreach (json_object_get(container, "ports"), j, port)
                        if (json_integer_value(json_object_get(port, "hostPort")) == 0)
                                json_object_set(port, "hostPort", json_object_get(port, "containerPort"));
}

// Pods only: pod templates get these when they become pods.
static void default_pod(json_t *pod)
{
        static const char *const lists[] = {"containers", "initContainers"};
        json_t *spec = json_object_get(pod, "spec");
        if (!json_is_object(spec))
                return;
        cx_default_set_new(spec, "enableServiceLinks", json_true());
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++) {
                json_t *containers = json_object_get(spec, lists[i]);
                size_t j;
                json_t *container;
                json_array_foreach (containers, j, container)
                        default_requests(container);
                if (json_is_true(json_object_get(spec, "hostNetwork")))
                        default_host_ports(containers);
        }
}

// `serviceAccount` is the old name of `serviceAccountName`; readers expect both.
static void default_pod_spec(json_t *spec)
{
        const char *name = cx_default_string(spec, "serviceAccountName");
        if (!*name)
                name = cx_default_string(spec, "serviceAccount");
        if (*name) {
                json_t *value = json_string(name);
                json_object_set(spec, "serviceAccountName", value);
                json_object_set_new(spec, "serviceAccount", value);
        }
}

static bool is_latest(const char *image)
{
        if (strchr(image, '@'))
                return false;
        const char *slash = strrchr(image, '/');
        const char *colon = strchr(slash ? slash : image, ':');
        return !colon || strcmp(colon, ":latest") == 0;
}

static void default_container(json_t *container)
{
        if (!*cx_default_string(container, "imagePullPolicy"))
                json_object_set_new(
                        container, "imagePullPolicy",
                        json_string(is_latest(cx_default_string(container, "image")) ? "Always" : "IfNotPresent"));
}

// Zero means "not set" for these, so it takes the default too.
static void default_probe(json_t *probe)
{
        static const struct {
                const char *field;
                int value;
        } fields[] = {{"timeoutSeconds", 1}, {"periodSeconds", 10}, {"successThreshold", 1}, {"failureThreshold", 3}};
        for (size_t i = 0; i < CX_ARRAY_SIZE(fields); i++)
                if (json_integer_value(json_object_get(probe, fields[i].field)) == 0)
                        json_object_set_new(probe, fields[i].field, json_integer(fields[i].value));
}

static void default_volume(json_t *volume)
{
        if (json_object_size(volume) == 1 && json_object_get(volume, "name"))
                json_object_set_new(volume, "emptyDir", json_object());
}

static void default_namespace(json_t *namespace)
{
        const char *name = cx_json_string(namespace, "metadata.name");
        if (name && *name)
                cx_default_set_new(cx_json_object_at(json_object_get(namespace, "metadata"), "labels"),
                                   "kubernetes.io/metadata.name", json_string(name));
}

static void default_node_status(json_t *status)
{
        json_t *capacity = json_object_get(status, "capacity");
        if (json_object_size(capacity))
                cx_default_set_new(status, "allocatable", json_deep_copy(capacity));
}

static void copy_absent(json_t *item, const char *to, const char *from)
{
        json_t *source = json_object_get(item, from);
        if (!json_object_size(source))
                return;
        json_t *target = cx_json_object_at(item, to);
        const char *key;
        json_t *value;
        json_object_foreach (source, key, value)
                cx_default_set_new(target, key, json_incref(value));
}

static void default_limit_range_item(json_t *item)
{
        if (strcmp(cx_default_string(item, "type"), "Container") != 0)
                return;
        copy_absent(item, "default", "max");
        copy_absent(item, "defaultRequest", "default");
        copy_absent(item, "defaultRequest", "min");
}

static void default_replication_controller(json_t *controller)
{
        json_t *labels = cx_json_get(controller, "spec.template.metadata.labels");
        if (!json_object_size(labels))
                return;
        json_t *spec = json_object_get(controller, "spec");
        if (!json_object_size(json_object_get(spec, "selector")))
                json_object_set_new(spec, "selector", json_deep_copy(labels));
        json_t *metadata = cx_json_object_at(controller, "metadata");
        if (!json_object_size(json_object_get(metadata, "labels")))
                json_object_set_new(metadata, "labels", json_deep_copy(labels));
}

const struct cx_conditional_default cx_defaults_core[] = {
        {"core.v1.Container", default_container},
        {"core.v1.Probe", default_probe},
        {"core.v1.PodSpec", default_pod_spec},
        {"core.v1.Pod", default_pod},
        {"core.v1.Volume", default_volume},
        {"core.v1.EphemeralContainer", default_container},
        {"core.v1.Namespace", default_namespace},
        {"core.v1.NodeStatus", default_node_status},
        {"core.v1.LimitRangeItem", default_limit_range_item},
        {"core.v1.ReplicationController", default_replication_controller},
        {NULL, NULL},
};
