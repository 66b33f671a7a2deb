// SPDX-License-Identifier: Apache-2.0
// kubectl top: asks the Metrics API (metrics.k8s.io/v1beta1), which somebody has to serve, and prints.
#include "kubectl/cmd/top.h"
#include "kubectl/cmd/commands.h"
#include "libcommon/base/time.h"

struct top {
        struct top_options options;
        const char *selector, *field_selector;
        bool protobuf, protobuf_given;
};
#define TOP_FLAGS(t)                                                                                                   \
        {"selector", 'l', CX_FLAG_STRING, &(t)->selector, "Selector (label query) to filter on."},                     \
                {"sort-by", 0, CX_FLAG_STRING, &(t)->options.sort_by, "cpu or memory: the most first."},               \
                {"no-headers", 0, CX_FLAG_BOOL, &(t)->options.no_headers, "No line with the names of the columns."},   \
                {"show-swap", 0, CX_FLAG_BOOL, &(t)->options.swap, "Also the swap memory."},                           \
        {                                                                                                              \
                "use-protocol-buffers", 0, CX_FLAG_BOOL, &(t)->protobuf,                                               \
                        "Only false: the answers are asked for in JSON.", NULL, &(t)->protobuf_given                   \
        }

static int check(const struct top *top, const struct cx_strings *args, const char *both, struct cx_error *err)
{
        const char *by = top->options.sort_by;
        if (*by && strcmp(by, "cpu") != 0 && strcmp(by, "memory") != 0)
                return cx_error_set(err, -EINVAL, "--sort-by accepts only cpu or memory");
        if (args->count && (top->selector || top->field_selector))
                return cx_error_set(err, -EINVAL, "%s", both);
        if (top->protobuf_given && top->protobuf)
                return cx_error_set(
                        err, -EINVAL,
                        "--use-protocol-buffers=true is not supported: the Metrics API is asked for JSON, leave "
                        "the flag out");
        return 0;
}

// The group has to be there in a version that this kubectl knows.
static int check_api(struct ctl *ctl, struct cx_error *err)
{
        json_auto_t *group = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        int r = ctl_json(ctl, "GET", "/apis/metrics.k8s.io", NULL, NULL, &group, &failure);
        if (r < 0 && failure.reason != CX_REASON_NOT_FOUND)
                return cx_error_move(err, &failure);
        size_t i;
        json_t *version;
        json_array_foreach (json_object_get(group, "versions"), i, version)
                if (cx_streq(cx_json_string(version, "version"), "v1beta1"))
                        return 0;
        return cx_error_set(err, -ENOENT, "Metrics API not available");
}

// One object, or a list: always an array.
static int fetch(struct ctl *ctl, const char *group, const char *version, const char *resource, const char *namespace,
                 const char *name, const struct top *top, json_t **ret_items, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        json_auto_t *answer = NULL;
        cx_rest_path(
                &path,
                CX_REF(.group = group, .version = version, .resource = resource, .namespace = namespace, .name = name),
                NULL);
        if (!name) {
                cx_rest_query(&path, "labelSelector", top->selector);
                cx_rest_query(&path, "fieldSelector", top->field_selector);
        }
        int r = ctl_json(ctl, "GET", path.data, NULL, NULL, &answer, err);
        if (r < 0)
                return r;
        *ret_items = name ? json_pack("[O]", answer) : json_incref(json_object_get(answer, "items"));
        if (!*ret_items)
                *ret_items = json_array();
        return 0;
}

COMMAND(top_node)
{
        struct top top = {.options.sort_by = ""};
        const struct cx_flag flags[] = {
                TOP_FLAGS(&top),
                {"show-capacity", 0, CX_FLAG_BOOL, &top.options.capacity,
                 "Percentages of the capacity, not of what the node has for pods."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count > 1)
                return ctl_usage_error(ctl, err, "node [NAME | -l label]");
        const char *name = args.count ? args.items[0] : NULL;
        json_auto_t *metrics = NULL, *nodes = NULL;
        r = check(&top, &args, "only one of NAME or --selector can be provided", err);
        if (r == 0)
                r = check_api(ctl, err);
        if (r == 0)
                r = fetch(ctl, "metrics.k8s.io", "v1beta1", "nodes", NULL, name, &top, &metrics, err);
        if (r == 0 && !json_array_size(metrics))
                return cx_error_set(err, -ENOENT, "metrics not available yet");
        if (r == 0)
                r = fetch(ctl, "", "v1", "nodes", NULL, name, &top, &nodes, err);
        if (r < 0)
                return r;
        CX_BUF text = CX_BUF_INIT;
        top_print_nodes(&top.options, metrics, nodes, &text);
        fputs(text.data, stdout);
        return 0;
}

// Why there are no metrics: there is no pod, or one is too young; or they are missing.
static int explain_none(struct ctl *ctl, const struct top *top, const char *namespace, struct cx_error *err)
{
        json_auto_t *pods = NULL;
        int r = fetch(ctl, "", "v1", "pods", namespace, NULL, top, &pods, err);
        if (r < 0)
                return r;
        if (json_array_size(pods))
                return cx_error_set(err, -ENOENT, "metrics not available yet");
        if (namespace)
                fprintf(stderr, "No resources found in %s namespace.\n", namespace);
        else
                fprintf(stderr, "No resources found\n");
        return 0;
}

COMMAND(top_pod)
{
        struct top top = {.options.sort_by = ""};
        const struct cx_flag flags[] = {
                TOP_FLAGS(&top),
                {"field-selector", 0, CX_FLAG_STRING, &top.field_selector, "Selector (field query) to filter on."},
                {"containers", 0, CX_FLAG_BOOL, &top.options.containers, "Each container of a pod."},
                {"all-namespaces", 'A', CX_FLAG_BOOL, &top.options.with_namespace, "The pods of all namespaces."},
                {"sum", 0, CX_FLAG_BOOL, &top.options.sum, "Also the sum."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count > 1)
                return ctl_usage_error(ctl, err, "pod [NAME | -l label]");
        const char *name = args.count ? args.items[0] : NULL;
        json_auto_t *metrics = NULL;
        r = check(&top, &args, "only one of NAME or selector can be provided", err);
        if (r == 0)
                r = check_api(ctl, err);
        if (r < 0)
                return r;
        const char *namespace = top.options.with_namespace ? NULL : ctl->namespace;
        r = fetch(ctl, "metrics.k8s.io", "v1beta1", "pods", namespace, name, &top, &metrics, err);
        if (r < 0)
                return r;
        if (!json_array_size(metrics))
                return explain_none(ctl, &top, namespace, err);
        CX_BUF text = CX_BUF_INIT;
        top_print_pods(&top.options, metrics, &text);
        fputs(text.data, stdout);
        return 0;
}
