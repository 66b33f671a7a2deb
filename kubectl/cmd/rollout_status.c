// SPDX-License-Identifier: Apache-2.0
// kubectl rollout status.
#include "kubectl/cmd/rollout.h"
#include "libcommon/base/time.h"

static int deployment_words(const json_t *o, int64_t revision, struct cx_buf *to, struct cx_error *err)
{
        const char *name = cx_json_string_or(o, "metadata.name", "");
        if (revision > 0) {
                const json_t *annotations = cx_json_get(o, "metadata.annotations");
                const char *text = json_string_value(json_object_get(annotations, "deployment.kubernetes.io/revision"));
                int64_t now;
                if (cx_parse_int(cx_str(text), 0, INT64_MAX, &now) < 0 || now != revision)
                        return cx_error_set(err, -EINVAL,
                                            "desired revision (%lld) is different from the running revision (%s)",
                                            (long long)revision, cx_str(text));
        }
        if (cx_json_int(o, "metadata.generation", 0) > cx_json_int(o, "status.observedGeneration", 0)) {
                cx_buf_add(to, "Waiting for deployment spec update to be observed...\n");
                return 0;
        }
        const json_t *progress = cx_json_find(cx_json_get(o, "status.conditions"), "type", "Progressing");
        if (cx_streq(cx_json_string(progress, "reason"), "ProgressDeadlineExceeded"))
                return cx_error_set(err, -ETIMEDOUT, "deployment \"%s\" exceeded its progress deadline", name);
        int64_t wanted = cx_json_int(o, "spec.replicas", 0), all = cx_json_int(o, "status.replicas", 0);
        int64_t updated = cx_json_int(o, "status.updatedReplicas", 0);
        int64_t available = cx_json_int(o, "status.availableReplicas", 0);
        if (updated < wanted)
                cx_buf_printf(to,
                              "Waiting for deployment \"%s\" rollout to finish: %lld out of %lld new replicas have "
                              "been updated...\n",
                              name, (long long)updated, (long long)wanted);
        else if (all > updated)
                cx_buf_printf(to,
                              "Waiting for deployment \"%s\" rollout to finish: %lld old replicas are pending "
                              "termination...\n",
                              name, (long long)(all - updated));
        else if (available < updated)
                cx_buf_printf(to,
                              "Waiting for deployment \"%s\" rollout to finish: %lld of %lld updated replicas are "
                              "available...\n",
                              name, (long long)available, (long long)updated);
        else
                cx_buf_printf(to, "deployment \"%s\" successfully rolled out\n", name);
        return updated >= wanted && all <= updated && available >= updated;
}

static int daemon_set_words(const json_t *o, struct cx_buf *to, struct cx_error *err)
{
        const char *name = cx_json_string_or(o, "metadata.name", "");
        if (!cx_streq(cx_json_string_or(o, "spec.updateStrategy.type", "RollingUpdate"), "RollingUpdate"))
                return cx_error_set(err, -EINVAL, "rollout status is only available for RollingUpdate strategy type");
        if (cx_json_int(o, "metadata.generation", 0) > cx_json_int(o, "status.observedGeneration", 0)) {
                cx_buf_add(to, "Waiting for daemon set spec update to be observed...\n");
                return 0;
        }
        int64_t wanted = cx_json_int(o, "status.desiredNumberScheduled", 0);
        int64_t updated = cx_json_int(o, "status.updatedNumberScheduled", 0);
        int64_t available = cx_json_int(o, "status.numberAvailable", 0);
        if (updated < wanted)
                cx_buf_printf(to,
                              "Waiting for daemon set \"%s\" rollout to finish: %lld out of %lld new pods have been "
                              "updated...\n",
                              name, (long long)updated, (long long)wanted);
        else if (available < wanted)
                cx_buf_printf(
                        to,
                        "Waiting for daemon set \"%s\" rollout to finish: %lld of %lld updated pods are available...\n",
                        name, (long long)available, (long long)wanted);
        else
                cx_buf_printf(to, "daemon set \"%s\" successfully rolled out\n", name);
        return updated >= wanted && available >= wanted;
}

static int stateful_set_words(const json_t *o, struct cx_buf *to, struct cx_error *err)
{
        if (!cx_streq(cx_json_string_or(o, "spec.updateStrategy.type", "RollingUpdate"), "RollingUpdate"))
                return cx_error_set(err, -EINVAL, "rollout status is only available for RollingUpdate strategy type");
        int64_t observed = cx_json_int(o, "status.observedGeneration", 0);
        if (!observed || cx_json_int(o, "metadata.generation", 0) > observed) {
                cx_buf_add(to, "Waiting for statefulset spec update to be observed...\n");
                return 0;
        }
        int64_t wanted = cx_json_int(o, "spec.replicas", 0), ready = cx_json_int(o, "status.readyReplicas", 0);
        int64_t updated = cx_json_int(o, "status.updatedReplicas", 0);
        int64_t partition = cx_json_int(o, "spec.updateStrategy.rollingUpdate.partition", 0);
        const char *update = cx_json_string_or(o, "status.updateRevision", "");
        if (ready < wanted) {
                cx_buf_printf(to, "Waiting for %lld pods to be ready...\n", (long long)(wanted - ready));
                return 0;
        }
        if (partition > 0) {
                if (updated < wanted - partition) {
                        cx_buf_printf(to,
                                      "Waiting for partitioned roll out to finish: %lld out of %lld new pods have been "
                                      "updated...\n",
                                      (long long)updated, (long long)(wanted - partition));
                        return 0;
                }
                cx_buf_printf(to, "partitioned roll out complete: %lld new pods have been updated...\n",
                              (long long)updated);
                return 1;
        }
        if (!cx_streq(update, cx_json_string_or(o, "status.currentRevision", ""))) {
                cx_buf_printf(to, "waiting for statefulset rolling update to complete %lld pods at revision %s...\n",
                              (long long)updated, update);
                return 0;
        }
        cx_buf_printf(to, "statefulset rolling update complete %lld pods at revision %s...\n",
                      (long long)cx_json_int(o, "status.currentReplicas", 0),
                      cx_json_string_or(o, "status.currentRevision", ""));
        return 1;
}

int rollout_words(const json_t *object, int64_t revision, struct cx_buf *to, struct cx_error *err)
{
        const char *kind = cx_json_string_or(object, "kind", "");
        if (strcmp(kind, "Deployment") == 0)
                return deployment_words(object, revision, to, err);
        if (strcmp(kind, "DaemonSet") == 0)
                return daemon_set_words(object, to, err);
        if (strcmp(kind, "StatefulSet") == 0)
                return stateful_set_words(object, to, err);
        return cx_error_set(err, -EINVAL, "no status viewer has been implemented for %s", kind);
}

struct status_watch {
        int64_t revision;
        bool watch;
        const char *kind, *api_version, *label;
};

static int on_object(void *context, const json_t *object, struct cx_error *err)
{
        const struct status_watch *w = context;
        if (!object)
                return cx_error_set(err, -ENOENT, "object has been deleted");
        json_auto_t *whole = json_copy((json_t *)object); // listed objects lack their kind
        json_object_set_new(whole, "kind", json_string(w->kind));
        CX_BUF words = CX_BUF_INIT;
        int r = rollout_words(whole, w->revision, &words, err);
        if (r < 0)
                return r;
        fputs(words.data, stdout);
        fflush(stdout);
        return r || !w->watch;
}

COMMAND(rollout_status)
{
        BUILDER builder = {.may_list = true};
        struct status_watch watch = {.watch = true};
        int64_t timeout = 0;
        const struct cx_flag flags[] = {
                FILE_FLAGS(&builder),
                {"selector", 'l', CX_FLAG_STRING, &builder.selector, "Selector (label query) to filter on."},
                {"watch", 'w', CX_FLAG_BOOL, &watch.watch, "Wait until the rollout is done."},
                {"timeout", 0, CX_FLAG_DURATION, &timeout, "How long to wait; 0: without an end."},
                {"revision", 0, CX_FLAG_INT, &watch.revision, "Only wait for this revision.", NULL, NULL, 0, INT64_MAX},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        INFOS infos = INFOS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (builder_empty(&builder, &args))
                return cx_error_set(err, -EINVAL, "required resource not specified");
        r = builder_objects(ctl, &builder, &args, &infos, err);
        if (r < 0)
                return r;
        if (!infos.count && !ctl->status) {
                fprintf(stderr, "No resources found in %s namespace.\n", ctl->namespace);
                return 0;
        }
        int64_t deadline = cx_time_monotonic() + timeout;
        for (size_t i = 0; i < infos.count; i++) {
                watch.kind = infos.items[i]->mapping->kind;
                int64_t left = timeout > 0 ? deadline - cx_time_monotonic() : -1;
                r = watch_object(ctl, infos.items[i], timeout > 0 && left < 0 ? 0 : left, on_object, &watch, err);
                if (r == -ETIMEDOUT && (!err || !err->code))
                        return cx_error_set(err, r, "timed out waiting for the condition");
                if (r < 0)
                        return r;
        }
        return 0;
}
