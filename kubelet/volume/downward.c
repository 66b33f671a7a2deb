// SPDX-License-Identifier: Apache-2.0
// The downward API: what a pod may learn about itself through variables and files.
#include "kubelet/volume/downward.h"

#include "libcommon/api/pod.h"
#include "libcommon/api/quantity.h"
#include "libcommon/format/json.h"

static void add_escaped(struct cx_buf *to, const char *text)
{
        cx_buf_add_char(to, '"');
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p == '"' || *p == '\\')
                        cx_buf_printf(to, "\\%c", *p);
                else if (*p == '\n')
                        cx_buf_add(to, "\\n");
                else if (*p == '\t')
                        cx_buf_add(to, "\\t");
                else
                        cx_buf_add_char(to, (char)*p);
        }
        cx_buf_add_char(to, '"');
}

static int by_key(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// key="value" lines, sorted, as the files of labels and annotations are.
static char *format_map(const json_t *map)
{
        size_t n = json_object_size(map), i = 0;
        CX_CLEANUP(cx_freep) const char **keys = cx_alloc_array(n + 1, sizeof *keys);
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)map, key, value)
                keys[i++] = key;
        qsort(keys, n, sizeof *keys, by_key);
        CX_BUF text = CX_BUF_INIT_MAX(4 << 20);
        for (i = 0; i < n; i++) {
                cx_buf_printf(&text, "%s%s=", i ? "\n" : "", keys[i]);
                add_escaped(&text, cx_str(json_string_value(json_object_get(map, keys[i]))));
        }
        return cx_buf_detach(&text);
}

char *downward_field(const json_t *pod, const char *path)
{
        static const char *const plain[] = {"metadata.name", "metadata.namespace",      "metadata.uid",
                                            "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
                                            "status.podIP"};
        for (size_t i = 0; i < CX_ARRAY_SIZE(plain); i++)
                if (strcmp(path, plain[i]) == 0)
                        return cx_strdup(cx_json_string_or(pod, path, ""));
        static const char *const lists[] = {"status.podIPs", "status.hostIPs"};
        for (size_t l = 0; l < CX_ARRAY_SIZE(lists); l++) {
                if (strcmp(path, lists[l]) != 0)
                        continue;
                CX_BUF text = CX_BUF_INIT_MAX(4096);
                size_t i;
                json_t *ip;
                json_array_foreach (cx_json_get(pod, path), i, ip)
                        cx_buf_printf(&text, "%s%s", i ? "," : "", cx_json_string_or(ip, "ip", ""));
                return cx_buf_detach(&text);
        }
        static const char *const maps[] = {"metadata.labels", "metadata.annotations"};
        for (size_t m = 0; m < CX_ARRAY_SIZE(maps); m++) {
                size_t n = strlen(maps[m]), length = strlen(path);
                if (strncmp(path, maps[m], n) != 0)
                        continue;
                const json_t *map = cx_json_get(pod, maps[m]);
                if (!path[n])
                        return format_map(map);
                if (length > n + 4 && path[n] == '[' && path[n + 1] == '\'' && cx_has_suffix(path, "']")) {
                        CX_CLEANUP(cx_freep) char *key = cx_strndup(path + n + 2, length - n - 4);
                        return cx_strdup(cx_str(json_string_value(json_object_get(map, key))));
                }
        }
        return NULL;
}

int downward_resource(const struct kubelet *k, const json_t *pod, const json_t *ref, const char *default_container,
                      char **ret_text, struct cx_error *err)
{
        const char *name = cx_json_string(ref, "containerName"), *resource = cx_json_string_or(ref, "resource", "");
        const json_t *container = cx_pod_container(
                json_object_get(pod, "spec"), name && *name ? name : cx_str(default_container), CX_POD_TEMPLATE, NULL);
        const char *dot = strchr(resource, '.');
        if (!container || !dot)
                return cx_error_set(err, -EINVAL, "invalid container resource reference %s", resource);
        bool limits = cx_has_prefix(resource, "limits."), cpu = strcmp(dot + 1, "cpu") == 0;
        const json_t *resources = json_object_get(container, "resources");
        const json_t *value = json_object_get(json_object_get(resources, limits ? "limits" : "requests"), dot + 1);
        struct cx_quantity quantity = {0}, divisor = {0};
        if (value && cx_quantity_from_json(value, &quantity) < 0)
                return cx_error_set(err, -EINVAL, "invalid quantity of %s", resource);
        if (!value && limits) // no limit: what the node has
                quantity.nano =
                        cpu ? (__int128)k->allocatable_cpu * 1000000 : (__int128)k->allocatable_memory * 1000000000;
        const json_t *asked = json_object_get(ref, "divisor");
        if (!asked || cx_quantity_from_json(asked, &divisor) < 0 || divisor.nano <= 0)
                divisor.nano = 1000000000;
        __int128 result = (quantity.nano + divisor.nano - 1) / divisor.nano;
        *ret_text = cx_sprintf("%lld", (long long)result);
        return 0;
}
