// SPDX-License-Identifier: Apache-2.0
// A pod's resolv.conf from its dnsPolicy and dnsConfig.
#include "kubelet/pod/resolv.h"

#include "libcommon/format/json.h"

#define MAX_NAMESERVERS 3
#define MAX_SEARCHES 32

struct resolv_lists {
        struct cx_strings servers, searches, options;
};

static void add_unique(struct cx_strings *list, const char *text, size_t max)
{
        if (*text && list->count < max && !cx_strings_has(list, text))
                cx_strings_add(list, text);
}

static void read_host(const char *path, struct resolv_lists *to)
{
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (!path || !*path || cx_buf_read_file(&text, path) < 0)
                return;
        for (char *line = text.data, *next; line && *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                struct cx_strings *list = cx_has_prefix(line, "nameserver") ? &to->servers
                                          : cx_has_prefix(line, "search")   ? &to->searches
                                          : cx_has_prefix(line, "options")  ? &to->options
                                                                            : NULL;
                if (!list)
                        continue;
                if (list != &to->servers)
                        cx_strings_release(list); // the last line of its kind counts
                for (char *word = strpbrk(line, " \t"); word;) {
                        word += strspn(word, " \t\r");
                        size_t n = strcspn(word, " \t\r");
                        CX_CLEANUP(cx_freep) char *copy = cx_strndup(word, n);
                        if (!*copy || *copy == '#' || *copy == ';')
                                break;
                        add_unique(list, copy, 32);
                        word += n;
                }
        }
}

static void merge_config(const json_t *config, struct resolv_lists *to)
{
        size_t i;
        json_t *item;
        json_array_foreach (json_object_get(config, "nameservers"), i, item)
                add_unique(&to->servers, cx_str(json_string_value(item)), MAX_NAMESERVERS);
        json_array_foreach (json_object_get(config, "searches"), i, item)
                add_unique(&to->searches, cx_str(json_string_value(item)), MAX_SEARCHES);
        json_array_foreach (json_object_get(config, "options"), i, item) {
                const char *name = cx_json_string_or(item, "name", ""), *value = cx_json_string(item, "value");
                size_t n = strlen(name);
                for (size_t k = to->options.count; k-- > 0;) // the pod's own word replaces
                        if (strncmp(to->options.items[k], name, n) == 0 &&
                            (!to->options.items[k][n] || to->options.items[k][n] == ':')) {
                                free(to->options.items[k]);
                                memmove(&to->options.items[k], &to->options.items[k + 1],
                                        (--to->options.count - k) * sizeof(char *));
                        }
                CX_CLEANUP(cx_freep) char *text = value && *value ? cx_sprintf("%s:%s", name, value) : cx_strdup(name);
                cx_strings_add(&to->options, text);
        }
}

char *pod_resolv_conf(const struct kubelet *k, const json_t *object)
{
        struct resolv_lists own = {0}, host = {0};
        const char *policy = cx_json_string(object, "spec.dnsPolicy");
        bool host_network = cx_json_bool(object, "spec.hostNetwork", false);
        bool cluster =
                cx_streq(policy, "ClusterFirstWithHostNet") || (cx_streq(policy, "ClusterFirst") && !host_network);
        read_host(k->resolv_conf, &host);
        if (cluster && k->cluster_dns.count) {
                const char *namespace = cx_json_string_or(object, "metadata.namespace", "");
                for (size_t i = 0; i < k->cluster_dns.count; i++)
                        add_unique(&own.servers, k->cluster_dns.items[i], MAX_NAMESERVERS);
                for (int i = 0; i < 3; i++) {
                        CX_CLEANUP(cx_freep)
                        char *search = i == 0   ? cx_sprintf("%s.svc.%s", namespace, k->cluster_domain)
                                       : i == 1 ? cx_sprintf("svc.%s", k->cluster_domain)
                                                : cx_strdup(k->cluster_domain);
                        add_unique(&own.searches, search, MAX_SEARCHES);
                }
                for (size_t i = 0; i < host.searches.count; i++)
                        add_unique(&own.searches, host.searches.items[i], MAX_SEARCHES);
                cx_strings_add(&own.options, "ndots:5");
        } else if (!cx_streq(policy, "None")) {
                own = host;
                host = (struct resolv_lists){0};
        }
        merge_config(cx_json_get(object, "spec.dnsConfig"), &own);
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        CX_CLEANUP(cx_freep) char *searches = cx_strings_join(&own.searches, " ");
        CX_CLEANUP(cx_freep) char *options = cx_strings_join(&own.options, " ");
        if (*searches)
                cx_buf_printf(&text, "search %s\n", searches);
        for (size_t i = 0; i < own.servers.count; i++)
                cx_buf_printf(&text, "nameserver %s\n", own.servers.items[i]);
        if (*options)
                cx_buf_printf(&text, "options %s\n", options);
        struct cx_strings *lists[] = {&own.servers,  &own.searches,  &own.options,
                                      &host.servers, &host.searches, &host.options};
        for (size_t i = 0; i < CX_ARRAY_SIZE(lists); i++)
                cx_strings_release(lists[i]);
        return cx_buf_detach(&text);
}
