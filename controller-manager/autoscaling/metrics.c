// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/autoscaling/metrics.h"

#include "libcommon/api/pod.h"
#include "libcommon/api/quantity.h"
#include "libcommon/api/resources.h"
#include "libcommon/api/selector.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define CUSTOM "/apis/custom.metrics.k8s.io/v1beta2"
#define EXTERNAL "/apis/external.metrics.k8s.io/v1beta1"

// --- pods ------------------------------------------------------------------------------------------------------------

void measured_pods_release(struct measured_pods *pods)
{
        json_decref(pods->list);
        free(pods->pods.items);
        *pods = (struct measured_pods){0};
}

static int64_t moment_of(const json_t *object, const char *path)
{
        int64_t moment = 0;
        const char *text = cx_json_string(object, path);
        return text && cx_time_parse(text, &moment) == 0 ? moment : 0;
}

static struct scaled_pod describe(const json_t *pod)
{
        const json_t *ready = cx_pod_condition(pod, "Ready");
        const char *phase = cx_json_string_or(pod, "status.phase", "");
        return (struct scaled_pod){.going = cx_json_string(pod, "metadata.deletionTimestamp") != NULL,
                                   .failed = strcmp(phase, "Failed") == 0,
                                   .pending = strcmp(phase, "Pending") == 0,
                                   .has_ready = ready != NULL,
                                   .ready = ready && cx_streq(cx_json_string(ready, "status"), "True"),
                                   .ready_since = ready ? moment_of(ready, "lastTransitionTime") : 0,
                                   .started = moment_of(pod, "status.startTime")};
}

int measured_pods_list(struct cx_rest *rest, const char *namespace, const char *selector, struct measured_pods *ret,
                       struct cx_error *err)
{
        const struct cx_list_options options = {.label_selector = selector, .resource_version = "0"};
        json_t *list = NULL;
        int r = cx_rest_list(rest, CX_REF("", "v1", "pods", namespace), &options, &list, err);
        if (r < 0)
                return r;
        size_t i, count = json_array_size(json_object_get(list, "items"));
        const json_t *pod;
        *ret = (struct measured_pods){.list = list};
        ret->pods.items = cx_alloc_array(count + 1, sizeof *ret->pods.items);
        json_array_foreach (json_object_get(list, "items"), i, pod)
                ret->pods.items[ret->pods.count++] = describe(pod);
        return 0;
}

int64_t measured_pods_ready(const struct measured_pods *pods)
{
        int64_t ready = 0;
        size_t i;
        const json_t *pod;
        json_array_foreach (json_object_get(pods->list, "items"), i, pod)
                ready += pods->pods.items[i].ready && cx_streq(cx_json_string(pod, "status.phase"), "Running");
        return ready;
}

static struct scaled_pod *find(struct measured_pods *pods, const char *name)
{
        size_t i;
        const json_t *pod;
        json_array_foreach (json_object_get(pods->list, "items"), i, pod)
                if (cx_streq(cx_json_string(pod, "metadata.name"), name))
                        return &pods->pods.items[i];
        return NULL;
}

static void measure(struct scaled_pod *pod, int64_t value, int64_t at, int64_t window)
{
        pod->measured = true;
        pod->value = value;
        pod->at = at;
        pod->window = window;
}

// --- asking ----------------------------------------------------------------------------------------------------------

static int ask(struct cx_rest *rest, const char *path, json_t **ret_answer, struct cx_error *err)
{
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = cx_rest_do(rest, &(struct cx_rest_call){.path = path, .accept = "application/json"}, &reply, err);
        return r < 0 ? r : cx_json_parse(reply.body.data, reply.body.length, false, ret_answer, err);
}

static int64_t window_of(const json_t *item, int64_t otherwise)
{
        int64_t window;
        const char *text = json_string_value(json_object_get(item, "window"));
        return text && cx_duration_parse(text, &window) == 0 && window > 0 ? window : otherwise;
}

// --- resources -------------------------------------------------------------------------------------------------------

// In thousandths of the pod's use; false when a container that counts has none.
static bool use_of(const json_t *item, const char *resource, const char *container, int64_t *ret_milli)
{
        size_t i;
        const json_t *entry;
        bool any = false;
        *ret_milli = 0;
        json_array_foreach (json_object_get(item, "containers"), i, entry) {
                if (container && !cx_streq(cx_json_string(entry, "name"), container))
                        continue;
                const json_t *amount = json_object_get(json_object_get(entry, "usage"), resource);
                if (!amount)
                        return false;
                *ret_milli = sum_of(*ret_milli, cx_quantity_milli_of(amount));
                any = true;
        }
        return any;
}

int metrics_of_resource(struct cx_rest *rest, const char *namespace, const char *selector, const char *resource,
                        const char *container, struct measured_pods *pods, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        json_auto_t *list = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        cx_rest_path(&path, CX_REF("metrics.k8s.io", "v1beta1", "pods", namespace), NULL);
        cx_rest_query(&path, "labelSelector", selector);
        if (ask(rest, path.data, &list, &why) < 0)
                return cx_error_set(err, -EIO,
                                    "unable to get metrics for resource %s: unable to fetch metrics from resource "
                                    "metrics API: %s",
                                    resource, cx_error_text(&why));
        if (!json_array_size(json_object_get(list, "items")))
                return cx_error_set(err, -ENOENT,
                                    "unable to get metrics for resource %s: no metrics returned from resource metrics "
                                    "API",
                                    resource);
        size_t i;
        const json_t *item;
        json_array_foreach (json_object_get(list, "items"), i, item) {
                int64_t value;
                struct scaled_pod *pod = find(pods, cx_json_string_or(item, "metadata.name", ""));
                if (pod && use_of(item, resource, container, &value))
                        measure(pod, value, moment_of(item, "timestamp"), window_of(item, 60 * CX_NS_PER_S));
        }
        return 0;
}

static int request_of(const json_t *pod, const char *resource, const char *only, int64_t *ret_milli,
                      struct cx_error *err)
{
        static const char *const lists[] = {"initContainers", "containers"};
        const json_t *whole = cx_json_get(pod, "spec.resources.requests"), *container;
        if (!only && json_object_get(whole, resource)) {
                *ret_milli = cx_quantity_milli_of(json_object_get(whole, resource));
                return 0;
        }
        *ret_milli = 0;
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                size_t i;
                json_array_foreach (json_object_get(json_object_get(pod, "spec"), lists[l]), i, container) {
                        const char *name = cx_json_string_or(container, "name", "");
                        bool sidecar = cx_streq(cx_json_string(container, "restartPolicy"), "Always");
                        if ((only && strcmp(only, name) != 0) || (l == 0 && !sidecar))
                                continue;
                        const json_t *amount = json_object_get(cx_json_get(container, "resources.requests"), resource);
                        if (!amount)
                                return cx_error_set(err, -ENOENT, "missing request for %s in container %s of Pod %s",
                                                    resource, name, cx_json_string_or(pod, "metadata.name", ""));
                        *ret_milli = sum_of(*ret_milli, cx_quantity_milli_of(amount));
                }
        }
        return 0;
}

int requests_of_pods(const char *resource, const char *container, struct measured_pods *pods, struct cx_error *err)
{
        size_t i;
        const json_t *pod;
        int r = 0;
        json_array_foreach (json_object_get(pods->list, "items"), i, pod)
                if (r == 0)
                        r = request_of(pod, resource, container, &pods->pods.items[i].request, err);
        return r;
}

// --- custom ----------------------------------------------------------------------------------------------------------

static int add_selector(struct cx_buf *path, const json_t *metric, struct cx_error *err)
{
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_BUF text = CX_BUF_INIT;
        const json_t *wanted = json_object_get(metric, "selector");
        int r = wanted ? cx_selector_from_json(wanted, &selector, err) : 0;
        if (r == 0 && wanted) {
                cx_selector_format(&selector, &text);
                cx_rest_query(path, "metricLabelSelector", text.data);
        }
        return r;
}

static void add_part(struct cx_buf *path, const char *part)
{
        cx_buf_add(path, "/");
        cx_url_encode(path, part);
}

static const json_t *items_of(const json_t *list)
{
        return json_object_get(list, "items");
}

int metrics_of_pods(struct cx_rest *rest, const char *namespace, const char *selector, const json_t *metric,
                    struct measured_pods *pods, struct cx_error *err)
{
        const char *name = cx_json_string_or(metric, "name", "");
        CX_BUF path = CX_BUF_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        json_auto_t *list = NULL;
        cx_buf_add(&path, CUSTOM "/namespaces");
        add_part(&path, namespace);
        cx_buf_add(&path, "/pods/*");
        add_part(&path, name);
        cx_rest_query(&path, "labelSelector", selector);
        int r = add_selector(&path, metric, &why);
        if (r == 0)
                r = ask(rest, path.data, &list, &why);
        if (r < 0)
                return cx_error_set(err, -EIO,
                                    "unable to get metric %s: unable to fetch metrics from custom metrics API: %s",
                                    name, cx_error_text(&why));
        if (!json_array_size(items_of(list)))
                return cx_error_set(err, -ENOENT,
                                    "unable to get metric %s: no metrics returned from custom metrics API", name);
        size_t i;
        const json_t *item;
        json_array_foreach (items_of(list), i, item) {
                struct scaled_pod *pod = find(pods, cx_json_string_or(item, "describedObject.name", ""));
                int64_t seconds = json_integer_value(json_object_get(item, "windowSeconds"));
                if (pod)
                        measure(pod, cx_quantity_milli_of(json_object_get(item, "value")), moment_of(item, "timestamp"),
                                (seconds > 0 && seconds < 86400 ? seconds : 60) * CX_NS_PER_S);
        }
        return 0;
}

int metric_of_object(struct cx_rest *rest, const char *namespace, const json_t *object, const char *resource,
                     const json_t *metric, int64_t *ret_milli, struct cx_error *err)
{
        const char *name = cx_json_string_or(metric, "name", "");
        CX_BUF path = CX_BUF_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        json_auto_t *list = NULL;
        cx_buf_add(&path, CUSTOM "/namespaces");
        add_part(&path, namespace);
        add_part(&path, resource);
        add_part(&path, cx_json_string_or(object, "name", ""));
        add_part(&path, name);
        int r = add_selector(&path, metric, &why);
        if (r == 0)
                r = ask(rest, path.data, &list, &why);
        if (r == 0 && !json_array_size(items_of(list)))
                r = cx_error_set(&why, -ENOENT, "no metrics returned from custom metrics API");
        if (r < 0)
                return cx_error_set(err, -EIO, "unable to get metric %s: %s on %s %s/%s", name,
                                    cx_json_string_or(object, "kind", ""), namespace,
                                    cx_json_string_or(object, "name", ""), cx_error_text(&why));
        *ret_milli = cx_quantity_milli_of(json_object_get(json_array_get(items_of(list), 0), "value"));
        return 0;
}

int metric_from_outside(struct cx_rest *rest, const char *namespace, const json_t *metric, int64_t *ret_milli,
                        struct cx_error *err)
{
        const char *name = cx_json_string_or(metric, "name", "");
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        CX_BUF path = CX_BUF_INIT, labels = CX_BUF_INIT;
        CX_ERROR why = CX_ERROR_INIT;
        json_auto_t *list = NULL;
        const json_t *wanted = json_object_get(metric, "selector"), *item;
        size_t i;
        cx_buf_add(&path, EXTERNAL "/namespaces");
        add_part(&path, namespace);
        add_part(&path, name);
        int r = wanted ? cx_selector_from_json(wanted, &selector, &why) : 0;
        if (r == 0 && wanted) {
                cx_selector_format(&selector, &labels);
                cx_rest_query(&path, "labelSelector", labels.data);
        }
        if (r == 0)
                r = ask(rest, path.data, &list, &why);
        if (r < 0)
                return cx_error_set(err, -EIO,
                                    "unable to get external metric %s/%s/%s: unable to fetch metrics from external "
                                    "metrics API: %s",
                                    namespace, name, labels.length ? labels.data : "nil", cx_error_text(&why));
        if (!json_array_size(items_of(list)))
                return cx_error_set(err, -ENOENT,
                                    "unable to get external metric %s/%s/%s: no metrics returned from external metrics "
                                    "API",
                                    namespace, name, labels.length ? labels.data : "nil");
        *ret_milli = 0;
        json_array_foreach (items_of(list), i, item)
                *ret_milli = sum_of(*ret_milli, cx_quantity_milli_of(json_object_get(item, "value")));
        return 0;
}
