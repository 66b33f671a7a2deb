// SPDX-License-Identifier: Apache-2.0
// kubectl cordon, uncordon and drain. A drain first decides about every pod of the node and refuses when one must not go;
// then all are evicted at once, those that a disruption budget holds back again every five seconds, and each is waited
// for.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/selector.h"
#include "libcommon/base/time.h"

#define RETRY (5 * CX_NS_PER_S)
#define POLL CX_NS_PER_S

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
                return ctl_usage_error(ctl, err, "error: cannot specify both a node name and a --selector option");
        int r = builder_objects(ctl, builder, &words, infos, err);
        if (r == 0 && infos->count < args->count) // all of them, or nothing is done
                infos_release(infos);
        return r;
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

// --- drain: which pods ------------------------------------------------------------------------------------------------

struct drain {
        bool force, ignore_daemon_sets, delete_local, disable_eviction;
        int64_t grace, timeout, skip_seconds, chunk;
        const char *dry_run, *pod_selector;
        int mode;
        // Of the node that is being drained:
        int64_t deadline; // monotonic; INT64_MAX: none
        bool began;       // its pods may go
};
// What becomes of a node's pods. Messages are objects: what is said -> the pods that it is said of.
struct departures {
        json_t *leaving, *warnings, *errors;
};
#define DEPARTURES CX_CLEANUP(departures_release) struct departures

static void departures_release(struct departures *departures)
{
        json_decref(departures->leaving);
        json_decref(departures->warnings);
        json_decref(departures->errors);
}

static const json_t *controller_of(const json_t *pod)
{
        size_t i;
        json_t *owner;
        json_array_foreach (cx_json_get(pod, "metadata.ownerReferences"), i, owner)
                if (cx_json_bool(owner, "controller", false))
                        return owner;
        return NULL;
}

static const char *namespace_of(const json_t *pod)
{
        return cx_json_string_or(pod, "metadata.namespace", "");
}

static const char *name_of(const json_t *pod)
{
        return cx_json_string_or(pod, "metadata.name", "");
}

static void say(json_t *messages, const char *message, const json_t *pod)
{
        json_array_append_new(cx_json_array_at(messages, message),
                              json_sprintf("%s/%s", namespace_of(pod), name_of(pod)));
}

static bool has_local_storage(const json_t *pod)
{
        size_t i;
        json_t *volume;
        json_array_foreach (cx_json_get(pod, "spec.volumes"), i, volume)
                if (json_object_get(volume, "emptyDir"))
                        return true;
        return false;
}

// It should have gone so many seconds ago: its node does not answer, and nobody waits for it.
static bool is_overdue(const struct drain *drain, const json_t *pod)
{
        const char *deleted = cx_json_string(pod, "metadata.deletionTimestamp");
        int64_t when;
        return drain->skip_seconds > 0 && deleted && cx_time_parse(deleted, &when) == 0 &&
               (cx_time_now() - when) / CX_US_PER_S > drain->skip_seconds;
}

enum verdict { GOES, STAYS, REFUSED };

static enum verdict judge_daemon(struct ctl *ctl, const struct drain *drain, const json_t *pod, const char *set,
                                 struct departures *to)
{
        CX_BUF path = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        cx_rest_path(&path, CX_REF("apps", "v1", "daemonsets", namespace_of(pod), set), NULL);
        if (ctl_json(ctl, "GET", path.data, NULL, NULL, NULL, &err) < 0) {
                bool orphan = cx_error_is(&err, CX_REASON_NOT_FOUND) && drain->force;
                say(orphan ? to->warnings : to->errors, cx_error_text(&err), pod);
                return orphan ? GOES : REFUSED;
        }
        if (drain->ignore_daemon_sets)
                say(to->warnings, "ignoring DaemonSet-managed Pods", pod);
        else
                say(to->errors, "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)", pod);
        return drain->ignore_daemon_sets ? STAYS : REFUSED;
}

static enum verdict judge(struct ctl *ctl, const struct drain *drain, const json_t *pod, struct departures *to)
{
        const json_t *owner = controller_of(pod);
        bool over = cx_pod_is_terminal(pod);
        if (is_overdue(drain, pod))
                return STAYS;
        if (cx_streq(cx_json_string(owner, "kind"), "DaemonSet") && !over) {
                enum verdict verdict = judge_daemon(ctl, drain, pod, cx_json_string_or(owner, "name", ""), to);
                if (verdict != GOES)
                        return verdict;
        }
        if (cx_pod_is_mirror(pod))
                return STAYS;
        if (over)
                return GOES;
        if (has_local_storage(pod) && !drain->delete_local) {
                say(to->errors, "Pods with local storage (use --delete-emptydir-data to override)", pod);
                return REFUSED;
        }
        if (owner)
                return GOES;
        if (drain->force) {
                say(to->warnings, "deleting Pods that declare no controller", pod);
                return GOES;
        }
        say(to->errors, "cannot delete Pods that declare no controller (use --force to override)", pod);
        return REFUSED;
}

static int gather(struct ctl *ctl, const struct drain *drain, const char *node, struct departures *to,
                  struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *selector = cx_sprintf("spec.nodeName=%s", node);
        CX_BUF path = CX_BUF_INIT;
        cx_buf_add(&path, "/api/v1/pods");
        cx_rest_query(&path, "fieldSelector", selector);
        cx_rest_query(&path, "labelSelector", drain->pod_selector);
        json_auto_t *pods = list_objects(ctl, path.data, err);
        size_t i;
        json_t *pod;
        if (!pods)
                return err ? err->code : -EIO;
        *to = (struct departures){json_array(), json_object(), json_object()};
        json_array_foreach (pods, i, pod)
                if (judge(ctl, drain, pod, to) == GOES)
                        json_array_append(to->leaving, pod);
        return 0;
}

// "message: ns/a, ns/b" of each, with what goes before it, joined.
static char *tell(const json_t *messages, const char *before, const char *between)
{
        CX_BUF text = CX_BUF_INIT;
        const char *message;
        json_t *pods, *pod;
        size_t i;
        json_object_foreach ((json_t *)messages, message, pods) {
                cx_buf_printf(&text, "%s%s%s: ", text.length ? between : "", before, message);
                json_array_foreach (pods, i, pod)
                        cx_buf_printf(&text, "%s%s", i ? ", " : "", json_string_value(pod));
        }
        return cx_buf_detach(&text);
}

// Several errors as one, as upstream joins them.
static char *aggregate(const struct cx_strings *errors)
{
        CX_CLEANUP(cx_freep) char *joined = cx_strings_join(errors, ", ");
        return errors->count > 1 ? cx_sprintf("[%s]", joined) : cx_steal(&joined);
}

// --- drain: going -----------------------------------------------------------------------------------------------------

struct leaver {
        const json_t *pod;
        enum { TO_GO, GOING, GONE } step;
        int64_t next; // monotonic: when it is looked at again
};

// Go's way to write a duration: 1h0m5s, 1.5s, 200ms.
static void print_duration(int64_t ns, struct cx_buf *to)
{
        int64_t seconds = ns / CX_NS_PER_S;
        char fraction[16] = "";
        if (ns < CX_NS_PER_S) {
                cx_buf_printf(to, "%gms", (double)ns / 1e6);
                return;
        }
        (void)snprintf(fraction, sizeof fraction, ".%09lld", (long long)(ns % CX_NS_PER_S));
        for (size_t n = strlen(fraction); n && (fraction[n - 1] == '0' || fraction[n - 1] == '.'); n--)
                fraction[n - 1] = 0;
        if (seconds >= 3600)
                cx_buf_printf(to, "%lldh", (long long)(seconds / 3600));
        if (seconds >= 60)
                cx_buf_printf(to, "%lldm", (long long)(seconds / 60 % 60));
        cx_buf_printf(to, "%lld%ss", (long long)(seconds % 60), fraction);
}

static int send_away(struct ctl *ctl, const struct drain *drain, const json_t *pod, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        json_auto_t *options = json_object();
        if (drain->grace >= 0)
                json_object_set_new(options, "gracePeriodSeconds", json_integer(drain->grace));
        cx_rest_path(&path, CX_REF("", "v1", "pods", namespace_of(pod), name_of(pod)),
                     drain->disable_eviction ? NULL : "eviction");
        if (drain->disable_eviction)
                cx_rest_query(&path, "dryRun", drain->mode == DRY_SERVER ? "All" : NULL);
        else if (drain->mode == DRY_SERVER)
                json_object_set_new(options, "dryRun", json_pack("[s]", "All"));
        json_auto_t *body = drain->disable_eviction
                                    ? json_pack("{s:s,s:s}", "apiVersion", "v1", "kind", "DeleteOptions")
                                    : json_pack("{s:s,s:s,s:{s:s,s:s},s:O}", "apiVersion", "policy/v1", "kind",
                                                "Eviction", "metadata", "name", name_of(pod), "namespace",
                                                namespace_of(pod), "deleteOptions", options);
        if (drain->disable_eviction)
                json_object_update(body, options);
        return ctl_json(ctl, drain->disable_eviction ? "DELETE" : "POST", path.data, NULL, body, NULL, err);
}

static bool namespace_ends(const struct cx_error *err)
{
        for (size_t i = 0; cx_error_is(err, CX_REASON_FORBIDDEN) && i < err->n_causes; i++)
                if (cx_streq(err->causes[i].reason, "NamespaceTerminating"))
                        return true;
        return false;
}

static void fail(struct leaver *leaver, struct cx_strings *errors, const char *format, ...) CX_PRINTF(3, 4);
static void fail(struct leaver *leaver, struct cx_strings *errors, const char *format, ...)
{
        CX_BUF text = CX_BUF_INIT;
        va_list arguments;
        va_start(arguments, format);
        cx_buf_vprintf(&text, format, arguments);
        va_end(arguments);
        cx_strings_add(errors, text.data);
        leaver->step = GONE;
}

static void try_to_go(struct ctl *ctl, const struct drain *drain, struct leaver *leaver, struct cx_strings *errors)
{
        const char *name = name_of(leaver->pod), *namespace = namespace_of(leaver->pod);
        CX_ERROR err = CX_ERROR_INIT;
        if (!drain->disable_eviction)
                OUT("evicting pod %s/%s%s\n", namespace, name, dry_run_suffix(drain->mode));
        (void)fflush(stdout);
        int r = send_away(ctl, drain, leaver->pod, &err);
        leaver->step = drain->mode == DRY_SERVER ? GONE : GOING;
        leaver->next = 0;
        if (r == 0)
                return;
        if (cx_error_is(&err, CX_REASON_NOT_FOUND)) {
                leaver->step = GONE;
        } else if (drain->disable_eviction) {
                fail(leaver, errors, "%s", cx_error_text(&err));
        } else if (cx_error_is(&err, CX_REASON_TOO_MANY_REQUESTS)) {
                fprintf(stderr, "error when evicting pods/\"%s\" -n \"%s\" (will retry after 5s): %s\n", name,
                        namespace, cx_error_text(&err));
                leaver->step = TO_GO;
                leaver->next = cx_time_monotonic() + RETRY;
        } else if (namespace_ends(&err) && !cx_pod_is_terminating(leaver->pod)) {
                fprintf(stderr,
                        "error when evicting pod \"%s\" from terminating namespace \"%s\" (will retry after 5s): %s\n",
                        name, namespace, cx_error_text(&err));
                leaver->step = TO_GO;
                leaver->next = cx_time_monotonic() + RETRY;
        } else if (!namespace_ends(&err)) {
                fail(leaver, errors, "error when evicting pods/\"%s\" -n \"%s\": %s", name, namespace,
                     cx_error_text(&err));
        }
}

// Is it gone? What has waited for its eviction may be gone as well by then, or be another pod.
static void look_after(struct ctl *ctl, const struct drain *drain, struct leaver *leaver, struct cx_strings *errors)
{
        const char *name = name_of(leaver->pod), *namespace = namespace_of(leaver->pod);
        CX_BUF path = CX_BUF_INIT;
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *now = NULL;
        cx_rest_path(&path, CX_REF("", "v1", "pods", namespace, name), NULL);
        int r = ctl_json(ctl, "GET", path.data, NULL, NULL, &now, &err);
        leaver->next = cx_time_monotonic() + POLL;
        if (r < 0 && !cx_error_is(&err, CX_REASON_NOT_FOUND)) {
                fail(leaver, errors, "error when waiting for pod \"%s\" in namespace \"%s\" to terminate: %s", name,
                     namespace, cx_error_text(&err));
        } else if (r < 0 ||
                   !cx_streq(cx_json_string(now, "metadata.uid"), cx_json_string(leaver->pod, "metadata.uid"))) {
                OUT("pod/%s %s%s\n", name, drain->disable_eviction ? "deleted" : "evicted",
                    dry_run_suffix(drain->mode));
                (void)fflush(stdout);
                leaver->step = GONE;
        } else if (is_overdue(drain, now)) {
                OUT("pod %s has DeletionTimestamp older than %lld seconds, skipping\n", name,
                    (long long)drain->skip_seconds);
                leaver->step = GONE;
        }
}

static void give_up(const struct drain *drain, struct leaver *leaver, struct cx_strings *errors)
{
        const char *name = name_of(leaver->pod), *namespace = namespace_of(leaver->pod);
        CX_BUF timeout = CX_BUF_INIT;
        print_duration(drain->timeout, &timeout);
        if (drain->disable_eviction)
                fail(leaver, errors, "context deadline exceeded");
        else if (leaver->step == TO_GO)
                fail(leaver, errors, "error when evicting pods/\"%s\" -n \"%s\": global timeout reached: %s", name,
                     namespace, timeout.data);
        else
                fail(leaver, errors,
                     "error when waiting for pod \"%s\" in namespace \"%s\" to terminate: context deadline exceeded",
                     name, namespace);
}

// One look at each that it is time for. Returns when the next is due (monotonic); INT64_MAX: all have gone.
static int64_t go_on(struct ctl *ctl, const struct drain *drain, struct leaver *leavers, size_t count,
                     struct cx_strings *errors)
{
        int64_t next = INT64_MAX;
        for (size_t i = 0; i < count; i++) {
                struct leaver *leaver = &leavers[i];
                int64_t now = cx_time_monotonic();
                if (leaver->step == TO_GO && leaver->next <= now)
                        now > drain->deadline ? give_up(drain, leaver, errors) : try_to_go(ctl, drain, leaver, errors);
                if (leaver->step == GOING && leaver->next <= now)
                        look_after(ctl, drain, leaver, errors);
                if (leaver->step == GOING && now > drain->deadline)
                        give_up(drain, leaver, errors);
                if (leaver->step != GONE && leaver->next < next)
                        next = leaver->next;
        }
        return next;
}

static void let_go(struct ctl *ctl, const struct drain *drain, const json_t *pods, struct cx_strings *errors)
{
        size_t count = json_array_size(pods);
        CX_CLEANUP(cx_freep) struct leaver *leavers = cx_alloc_array(count + 1, sizeof *leavers);
        for (size_t i = 0; i < count; i++)
                leavers[i].pod = json_array_get(pods, i);
        for (;;) {
                int64_t next = go_on(ctl, drain, leavers, count, errors), wait = next - cx_time_monotonic();
                if (next == INT64_MAX ||
                    (drain->disable_eviction && errors->count)) // deleting, the first failure is the end
                        return;
                if (wait > 0)
                        (void)nanosleep(&(struct timespec){wait / CX_NS_PER_S, wait % CX_NS_PER_S}, NULL);
        }
}

// --- drain: nodes -----------------------------------------------------------------------------------------------------

static void tell_pending(struct ctl *ctl, const struct drain *drain, const char *node, const char *why)
{
        DEPARTURES left = {0};
        CX_ERROR err = CX_ERROR_INIT;
        size_t i;
        const json_t *pod;
        if (gather(ctl, drain, node, &left, &err) < 0 || !json_array_size(left.leaving))
                return;
        fprintf(stderr, "There are pending pods in node \"%s\" when an error occurred: %s\n", node, why);
        json_array_foreach (left.leaving, i, pod)
                fprintf(stderr, "pod/%s\n", name_of(pod));
}

// Owned: why it could not be drained; NULL: it was. The same with a line for each error,.
static char *drain_node(struct ctl *ctl, struct drain *drain, const struct info *node, char **ret_lines)
{
        DEPARTURES pods = {0};
        CX_ERROR err = CX_ERROR_INIT;
        CX_STRINGS errors = CX_STRINGS_INIT;
        size_t i;
        const json_t *pod;
        drain->began = false;
        if (gather(ctl, drain, node->name, &pods, &err) < 0)
                return cx_strdup(cx_error_text(&err));
        if (json_object_size(pods.errors)) {
                CX_CLEANUP(cx_freep) char *why = tell(pods.errors, "cannot delete ", ", ");
                *ret_lines = tell(pods.errors, "cannot delete ", "\n");
                return json_object_size(pods.errors) > 1 ? cx_sprintf("[%s]", why) : cx_steal(&why);
        }
        if (json_object_size(pods.warnings)) {
                CX_CLEANUP(cx_freep) char *warnings = tell(pods.warnings, "", "; ");
                fprintf(stderr, "Warning: %s\n", warnings);
        }
        if (drain->mode == DRY_CLIENT) {
                json_array_foreach (pods.leaving, i, pod)
                        OUT("evicting pod %s/%s (dry run)\n", namespace_of(pod), name_of(pod));
                return NULL;
        }
        drain->began = true;
        drain->deadline = drain->timeout > 0 ? cx_time_monotonic() + drain->timeout : INT64_MAX;
        let_go(ctl, drain, pods.leaving, &errors);
        if (!errors.count)
                return NULL;
        CX_CLEANUP(cx_freep) char *why = drain->disable_eviction ? cx_strdup(errors.items[0]) : aggregate(&errors);
        *ret_lines = drain->disable_eviction ? NULL : cx_strings_join(&errors, "\n");
        tell_pending(ctl, drain, node->name, why);
        return cx_steal(&why);
}

static void drain_nodes(struct ctl *ctl, struct drain *drain, const struct infos *nodes)
{
        CX_STRINGS failed = CX_STRINGS_INIT, reasons = CX_STRINGS_INIT;
        for (size_t i = 0; i < nodes->count; i++) {
                const struct info *node = nodes->items[i];
                CX_CLEANUP(cx_freep) char *lines = NULL;
                CX_CLEANUP(cx_freep) char *why = drain_node(ctl, drain, node, &lines);
                (void)fflush(stdout);
                if (!why) {
                        OUT("node/%s drained%s\n", node->name, dry_run_suffix(drain->mode));
                        continue;
                }
                fprintf(stderr, "error: unable to drain node \"%s\" due to error: %s, continuing command...\n",
                        node->name, why);
                CX_CLEANUP(cx_freep)
                char *reason = cx_sprintf("%s%s", drain->began && drain->disable_eviction ? "error: " : "",
                                          lines ? lines : why);
                cx_strings_add(&failed, node->name);
                cx_strings_add(&reasons, reason);
        }
        if (!failed.count)
                return;
        fprintf(stderr, "There are pending nodes to be drained:\n");
        for (size_t i = 0; i < failed.count; i++)
                fprintf(stderr, " %s\n", failed.items[i]);
        for (size_t i = 0; i < reasons.count; i++)
                fprintf(stderr, "%s\n", reasons.items[i]);
        ctl->status = 1;
}

COMMAND(drain)
{
        BUILDER builder = {0};
        struct drain drain = {.grace = -1, .chunk = 500};
        const struct cx_flag flags[] = {
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) of nodes."},
                {"pod-selector", 0, CX_FLAG_STRING, &drain.pod_selector, "Only pods with these labels."},
                DRY_RUN_FLAG(&drain.dry_run),
                {"chunk-size", 0, CX_FLAG_INT, &drain.chunk, "Taken, and not needed: lists come whole.", NULL, NULL, 0,
                 INT32_MAX},
                {"force", 0, CX_FLAG_BOOL, &drain.force, "Also pods that no controller makes again."},
                {"ignore-daemonsets", 0, CX_FLAG_BOOL, &drain.ignore_daemon_sets, "Leave pods of DaemonSets."},
                {"delete-emptydir-data", 0, CX_FLAG_BOOL, &drain.delete_local, "Also pods with emptyDir volumes."},
                {"disable-eviction", 0, CX_FLAG_BOOL, &drain.disable_eviction, "Delete instead of evicting."},
                {"grace-period", 0, CX_FLAG_INT, &drain.grace, "Seconds for pods to end.", NULL, NULL, -1, INT32_MAX},
                {"skip-wait-for-delete-timeout", 0, CX_FLAG_INT, &drain.skip_seconds,
                 "Do not wait for pods that should have gone so many seconds ago.", NULL, NULL, 0, INT32_MAX},
                {"timeout", 0, CX_FLAG_DURATION, &drain.timeout, "How long to go on; 0: without an end."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS nodes = INFOS_INIT;
        CX_SELECTOR selector = CX_SELECTOR_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = dry_run_parse(drain.dry_run, &drain.mode, err);
        if (r == 0 && drain.pod_selector && cx_selector_parse_labels(drain.pod_selector, &selector, NULL) < 0)
                r = cx_error_set(err, -EINVAL, "--pod-selector=<pod_selector> must be a valid label selector");
        if (r == 0)
                r = find_nodes(ctl, &builder, &args, &nodes, err);
        for (size_t i = 0; r == 0 && i < nodes.count; i++)
                r = cordon_one(ctl, nodes.items[i], true, drain.mode, err);
        if (r == 0)
                drain_nodes(ctl, &drain, &nodes);
        return r;
}
