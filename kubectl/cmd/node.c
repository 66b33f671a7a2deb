// SPDX-License-Identifier: Apache-2.0
// kubectl cordon, uncordon, drain and taint.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/time.h"

static int find_nodes(struct ctl *ctl, struct builder *builder, const struct cx_strings *args, struct infos *infos,
                      struct cx_error *err)
{
        CX_STRINGS words = CX_STRINGS_INIT;
        cx_strings_add(&words, "nodes");
        for (size_t i = 0; i < args->count; i++)
                cx_strings_add(&words, cx_has_prefix(args->items[i], "node/") ? args->items[i] + 5 : args->items[i]);
        if (!args->count && !builder->selector)
                return ctl_usage_error(ctl, err, "USAGE: %s NODE [flags]", ctl->path);
        if (args->count && builder->selector)
                return cx_error_set(err, -EINVAL, "cannot specify both a node name and a --selector option");
        return builder_objects(ctl, builder, &words, infos, err);
}

static int cordon_one(struct ctl *ctl, struct info *node, bool on, int mode, struct cx_error *err)
{
        bool is = cx_json_bool(node->object, "spec.unschedulable", false);
        if (is == on) {
                OUT("node/%s already %s%s\n", node->name, on ? "cordoned" : "uncordoned", dry_run_suffix(mode));
                return 0;
        }
        if (mode != DRY_CLIENT) {
                json_auto_t *patch = on ? json_pack("{s:{s:b}}", "spec", "unschedulable", 1)
                                        : json_pack("{s:{s:n}}", "spec", "unschedulable");
                int r = info_patch(ctl, node, NULL, CX_PATCH_STRATEGIC, patch, mode, "kubectl-cordon", err);
                if (r < 0)
                        return r;
        }
        OUT("node/%s %s%s\n", node->name, on ? "cordoned" : "uncordoned", dry_run_suffix(mode));
        return 0;
}

static int cordon(struct ctl *ctl, int argc, char **argv, bool on, struct cx_error *err)
{
        BUILDER builder = {0};
        const char *dry_run = NULL;
        int mode = 0;
        const struct cx_flag flags[] = {
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) of nodes."},
                DRY_RUN_FLAG(&dry_run),
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS nodes = INFOS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = dry_run_parse(dry_run, &mode, err);
        if (r == 0)
                r = find_nodes(ctl, &builder, &args, &nodes, err);
        for (size_t i = 0; r == 0 && i < nodes.count; i++)
                r = cordon_one(ctl, nodes.items[i], on, mode, err);
        return r;
}

COMMAND(cordon)
{
        return cordon(ctl, argc, argv, true, err);
}

COMMAND(uncordon)
{
        return cordon(ctl, argc, argv, false, err);
}

// --- drain ----------------------------------------------------------------------------------------------------------
struct drain {
        bool force, ignore_daemon_sets, delete_local, disable_eviction;
        int64_t grace, timeout;
        const char *dry_run, *pod_selector;
        int mode;
};

static const json_t *controller_of(const json_t *pod)
{
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(pod, "metadata.ownerReferences"), i, owner)
                if (cx_json_bool(owner, "controller", false))
                        return owner;
        return NULL;
}

enum verdict { EVICT, SKIP, SKIP_DAEMON, REFUSE_DAEMON, REFUSE_LOCAL, REFUSE_BARE };

static enum verdict judge(const struct drain *drain, const json_t *pod)
{
        const json_t *owner = controller_of(pod);
        if (cx_pod_is_mirror(pod))
                return SKIP;
        bool over = cx_pod_is_terminal(pod);
        if (cx_streq(cx_json_string(owner, "kind"), "DaemonSet") && !over)
                return drain->ignore_daemon_sets ? SKIP_DAEMON : REFUSE_DAEMON;
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume)
                if (json_object_get(volume, "emptyDir") && !over && !drain->delete_local)
                        return REFUSE_LOCAL;
        return owner || over || drain->force ? EVICT : REFUSE_BARE;
}

static int evict(struct ctl *ctl, const struct drain *drain, const json_t *pod, int64_t deadline, struct cx_error *err)
{
        const char *name = cx_json_string_or(pod, "metadata.name", ""),
                   *ns = cx_json_string_or(pod, "metadata.namespace", "");
        CX_BUF path = CX_BUF_INIT;
        json_auto_t *options = json_object();
        if (drain->grace >= 0)
                json_object_set_new(options, "gracePeriodSeconds", json_integer(drain->grace));
        cx_rest_path(&path, CX_REF(.group = "", .version = "v1", .resource = "pods", .namespace = ns, .name = name),
                     drain->disable_eviction ? NULL : "eviction");
        cx_rest_query(&path, "dryRun", drain->mode == DRY_SERVER ? "All" : NULL);
        json_auto_t *body =
                drain->disable_eviction
                        ? json_pack("{s:s,s:s}", "apiVersion", "v1", "kind", "DeleteOptions")
                        : json_pack("{s:s,s:s,s:{s:s,s:s},s:O}", "apiVersion", "policy/v1", "kind", "Eviction",
                                    "metadata", "name", name, "namespace", ns, "deleteOptions", options);
        if (drain->disable_eviction)
                json_object_update(body, options);
        OUT("evicting pod %s/%s%s\n", ns, name, dry_run_suffix(drain->mode));
        fflush(stdout);
        while (drain->mode != DRY_CLIENT) {
                CX_ERROR failure = CX_ERROR_INIT;
                int r = ctl_json(ctl, drain->disable_eviction ? "DELETE" : "POST", path.data, NULL, body, NULL,
                                 &failure);
                if (r == 0 || failure.reason == CX_REASON_NOT_FOUND)
                        return 0;
                if (failure.reason != CX_REASON_TOO_MANY_REQUESTS)
                        return cx_error_move(err, &failure);
                fprintf(stderr, "error when evicting pods/\"%s\" -n \"%s\" (will retry after 5s): %s\n", name, ns,
                        cx_error_text(&failure));
                if (deadline && cx_time_monotonic() + 5 * CX_NS_PER_S > deadline)
                        return cx_error_set(err, -ETIMEDOUT,
                                            "error when evicting pods/\"%s\" -n \"%s\": global timeout reached", name,
                                            ns);
                nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
        }
        return 0;
}

static int is_gone(void *context, const json_t *object, struct cx_error *err CX_UNUSED)
{
        return !object || !cx_streq(context, cx_json_string(object, "metadata.uid"));
}

static int check_pods(const struct drain *drain, const json_t *pods, const char *node, json_t *evicted,
                      struct cx_error *err)
{
        static const char *const problems[] = {
                [REFUSE_DAEMON] = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
                [REFUSE_LOCAL] = "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
                // twice, as upstream says it
                [REFUSE_BARE] =
                        "cannot delete cannot delete Pods that declare no controller (use --force to override)"};
        CX_BUF why = CX_BUF_INIT, daemons = CX_BUF_INIT;
        size_t i;
        json_t *pod;
        for (int v = SKIP_DAEMON; v <= REFUSE_BARE; v++) {
                CX_BUF list = CX_BUF_INIT;
                json_array_foreach (pods, i, pod)
                        if ((int)judge(drain, pod) == v)
                                cx_buf_printf(&list, "%s%s/%s", list.length ? ", " : "",
                                              cx_json_string_or(pod, "metadata.namespace", ""),
                                              cx_json_string_or(pod, "metadata.name", ""));
                if (list.length && v == SKIP_DAEMON)
                        cx_buf_add(&daemons, list.data);
                else if (list.length)
                        cx_buf_printf(&why, "%s%s: %s", why.length ? ", " : "", problems[v], list.data);
        }
        if (why.length)
                return cx_error_set(err, -EINVAL,
                                    "unable to drain node \"%s\" due to error: %s, continuing command...\nThere are "
                                    "pending nodes to be drained:\n %s\n%s",
                                    node, why.data, node, why.data);
        CX_BUF bare = CX_BUF_INIT;
        json_array_foreach (pods, i, pod) {
                if (judge(drain, pod) != EVICT)
                        continue;
                json_array_append(evicted, pod);
                if (!controller_of(pod))
                        cx_buf_printf(&bare, "%s%s/%s", bare.length ? ", " : "",
                                      cx_json_string_or(pod, "metadata.namespace", ""),
                                      cx_json_string_or(pod, "metadata.name", ""));
        }
        if (daemons.length || bare.length)
                fprintf(stderr, "Warning: %s%s%s%s%s\n", daemons.length ? "ignoring DaemonSet-managed Pods: " : "",
                        daemons.data, daemons.length && bare.length ? "; " : "",
                        bare.length ? "deleting Pods that declare no controller: " : "", bare.data);
        return 0;
}

static int drain_node(struct ctl *ctl, const struct drain *drain, const struct info *node, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *selector = cx_sprintf("spec.nodeName=%s", node->name);
        CX_BUF path = CX_BUF_INIT;
        cx_buf_add(&path, "/api/v1/pods");
        cx_rest_query(&path, "fieldSelector", selector);
        cx_rest_query(&path, "labelSelector", drain->pod_selector);
        json_auto_t *pods = list_objects(ctl, path.data, err), *evicted = json_array();
        if (!pods)
                return err ? err->code : -EIO;
        int r = check_pods(drain, pods, node->name, evicted, err);
        int64_t deadline = drain->timeout > 0 ? cx_time_monotonic() + drain->timeout : 0;
        size_t i;
        const json_t *pod;
        for (i = 0; r == 0 && i < json_array_size(evicted); i++)
                r = evict(ctl, drain, json_array_get(evicted, i), deadline, err);
        const struct mapping *mapping;
        if (r == 0)
                r = mapping_find(ctl, "pods", &mapping, err);
        for (i = 0; r == 0 && i < json_array_size(evicted) && drain->mode == DRY_NONE; i++) {
                pod = json_array_get(evicted, i);
                INFOS one = INFOS_INIT;
                struct info *info = infos_add(&one, mapping, cx_json_string(pod, "metadata.namespace"),
                                              cx_json_string(pod, "metadata.name"));
                int64_t left = deadline ? deadline - cx_time_monotonic() : -1;
                r = watch_object(ctl, info, deadline && left < 0 ? 0 : left, is_gone,
                                 (void *)cx_json_string(pod, "metadata.uid"), err);
                if (r == -ETIMEDOUT && (!err || !err->code))
                        return cx_error_set(err, r, "global timeout reached: %llds",
                                            (long long)(drain->timeout / CX_NS_PER_S));
                if (r > 0)
                        r = 0;
                if (r == 0)
                        OUT("pod/%s evicted\n", info->name);
        }
        if (r == 0)
                OUT("node/%s drained%s\n", node->name, dry_run_suffix(drain->mode));
        return r;
}

COMMAND(drain)
{
        BUILDER builder = {0};
        struct drain drain = {.grace = -1};
        const struct cx_flag flags[] = {
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) of nodes."},
                {"pod-selector", 0, CX_FLAG_STRING, &drain.pod_selector, "Only pods with these labels."},
                DRY_RUN_FLAG(&drain.dry_run),
                {"force", 0, CX_FLAG_BOOL, &drain.force, "Also pods that no controller makes again."},
                {"ignore-daemonsets", 0, CX_FLAG_BOOL, &drain.ignore_daemon_sets, "Leave pods of DaemonSets."},
                {"delete-emptydir-data", 0, CX_FLAG_BOOL, &drain.delete_local, "Also pods with emptyDir volumes."},
                {"disable-eviction", 0, CX_FLAG_BOOL, &drain.disable_eviction, "Delete instead of evicting."},
                {"grace-period", 0, CX_FLAG_INT, &drain.grace, "Seconds for pods to end.", NULL, NULL, -1, INT32_MAX},
                {"timeout", 0, CX_FLAG_DURATION, &drain.timeout, "How long to go on; 0: without an end."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS nodes = INFOS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = dry_run_parse(drain.dry_run, &drain.mode, err);
        if (r == 0)
                r = find_nodes(ctl, &builder, &args, &nodes, err);
        for (size_t i = 0; r == 0 && i < nodes.count; i++)
                r = cordon_one(ctl, nodes.items[i], true, drain.mode, err);
        for (size_t i = 0; r == 0 && i < nodes.count; i++)
                r = drain_node(ctl, &drain, nodes.items[i], err);
        return r;
}

// --- taint ----------------------------------------------------------------------------------------------------------
// key=value:effect, key:effect, key=value:effect-, key:effect-, key-
struct taint {
        char key[320], value[64], effect[32];
        bool remove;
};

static int parse_taint(const char *text, struct taint *taint, struct cx_error *err)
{
        *taint = (struct taint){0};
        size_t length = strlen(text);
        taint->remove = length && text[length - 1] == '-';
        CX_CLEANUP(cx_freep) char *rest = cx_strndup(text, length - taint->remove);
        char *colon = strchr(rest, ':'), *equals = strchr(rest, '=');
        if (colon)
                *colon++ = 0;
        if (equals && (!colon || equals < colon))
                *equals++ = 0;
        bool fits = cx_copy_string(taint->key, sizeof taint->key, rest) &&
                    cx_copy_string(taint->value, sizeof taint->value, equals ? equals : "") &&
                    cx_copy_string(taint->effect, sizeof taint->effect, colon ? colon : "");
        bool known = strcmp(taint->effect, "NoSchedule") == 0 || strcmp(taint->effect, "PreferNoSchedule") == 0 ||
                     strcmp(taint->effect, "NoExecute") == 0;
        if (fits && *rest && *taint->effect && !known)
                return cx_error_set(err, -EINVAL,
                                    "invalid taint effect: %s, unsupported taint effect\nSee 'kubectl taint -h' for "
                                    "help and examples",
                                    taint->effect);
        if (!fits || !*rest || (!taint->remove && !known) || (taint->remove && *taint->effect && !known))
                return cx_error_set(err, -EINVAL, "invalid taint spec: %s", text);
        return 0;
}

static int taint_node(struct ctl *ctl, struct info *node, const struct taint *taints, size_t n, bool overwrite,
                      int mode, struct cx_error *err)
{
        json_t *spec = cx_json_object_at(node->object, "spec");
        json_auto_t *list = json_deep_copy(json_object_get(spec, "taints"));
        if (!list)
                list = json_array();
        size_t added = 0;
        for (size_t i = 0; i < n; i++) {
                bool found = false;
                for (size_t j = json_array_size(list); j-- > 0;) {
                        const json_t *old = json_array_get(list, j);
                        if (!cx_streq(cx_json_string(old, "key"), taints[i].key) ||
                            (*taints[i].effect && !cx_streq(cx_json_string(old, "effect"), taints[i].effect)))
                                continue;
                        if (!taints[i].remove && !overwrite)
                                return cx_error_set(
                                        err, -EEXIST,
                                        "node %s already has %s taint(s) with same effect(s) and --overwrite is false",
                                        node->name, taints[i].key);
                        json_array_remove(list, j);
                        found = true;
                }
                if (taints[i].remove && !found)
                        return cx_error_set(err, -ENOENT, "taint \"%s%s%s\" not found", taints[i].key,
                                            *taints[i].effect ? ":" : "", taints[i].effect);
                if (taints[i].remove)
                        continue;
                json_t *entry = json_pack("{s:s,s:s}", "key", taints[i].key, "effect", taints[i].effect);
                if (*taints[i].value)
                        json_object_set_new(entry, "value", json_string(taints[i].value));
                json_array_append_new(list, entry);
                added++;
        }
        json_auto_t *patch =
                json_pack("{s:{s:s?},s:{s:O}}", "metadata", "resourceVersion",
                          cx_json_string(node->object, "metadata.resourceVersion"), "spec", "taints", list);
        if (mode != DRY_CLIENT) {
                int r = info_patch(ctl, node, NULL, CX_PATCH_MERGE, patch, mode, "kubectl-taint", err);
                if (r < 0)
                        return r;
        }
        OUT("node/%s %s%s\n", node->name, added ? overwrite ? "modified" : "tainted" : "untainted",
            mode == DRY_CLIENT ? dry_run_suffix(mode) : "");
        return 0;
}

COMMAND(taint)
{
        BUILDER builder = {0};
        bool overwrite = false;
        const char *dry_run = NULL;
        int mode = 0;
        const struct cx_flag flags[] = {
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) of nodes."},
                {"all", 0, CX_FLAG_BOOL, &builder.all, "All nodes."},
                {"overwrite", 0, CX_FLAG_BOOL, &overwrite, "Allow taints to be changed."},
                DRY_RUN_FLAG(&dry_run),
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT, words = CX_STRINGS_INIT;
        INFOS nodes = INFOS_INIT;
        struct taint taints[64];
        size_t n = 0;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = dry_run_parse(dry_run, &mode, err);
        for (size_t i = 0; r == 0 && i < args.count; i++) {
                size_t length = strlen(args.items[i]);
                bool is_taint = i > 0 && (strpbrk(args.items[i], "=:") || args.items[i][length - 1] == '-');
                if (!is_taint)
                        cx_strings_add(&words, args.items[i]);
                else if (n < CX_ARRAY_SIZE(taints))
                        r = parse_taint(args.items[i], &taints[n++], err);
        }
        if (r < 0)
                return r;
        if (!n)
                return cx_error_set(err, -EINVAL, "at least one taint update is required");
        r = builder_objects(ctl, &builder, &words, &nodes, err);
        for (size_t i = 0; r == 0 && i < nodes.count; i++)
                r = taint_node(ctl, nodes.items[i], taints, n, overwrite, mode, err);
        return r;
}
