// SPDX-License-Identifier: Apache-2.0
// Deployments, ReplicaSets, ReplicationControllers, DaemonSets, StatefulSets.
#include "kubectl/cmd/describe.h"
#include "libcommon/schema/engine.h"

static void describe_selector(struct describe *d, const json_t *object)
{
        CX_CLEANUP(cx_freep) char *selector = selector_of(object);
        describe_line(d, 0, "Selector:\t%s\n", selector && *selector ? selector : "<none>");
}

static void describe_created(struct describe *d, const json_t *object)
{
        CX_CLEANUP(cx_freep) char *created = describe_time(cx_json_string(object, "metadata.creationTimestamp"));
        describe_line(d, 0, "CreationTimestamp:\t%s\n", created);
}

static bool owned_by(const json_t *object, const json_t *owner)
{
        size_t i;
        json_t *reference;
        json_array_foreach (cx_json_get(object, "metadata.ownerReferences"), i, reference)
                if (cx_json_bool(reference, "controller", false))
                        return cx_streq(cx_json_string(reference, "uid"), cx_json_string(owner, "metadata.uid"));
        return false;
}

static json_t *list_selected(struct describe *d, const json_t *object, const char *group, const char *resource)
{
        CX_CLEANUP(cx_freep) char *selector = selector_of(object);
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path,
                     CX_REF(.group = group, .version = "v1", .resource = resource,
                            .namespace = cx_json_string(object, "metadata.namespace")),
                     NULL);
        cx_rest_query(&path, "labelSelector", selector);
        return list_objects(d->ctl, path.data, NULL);
}

static void describe_pods_status(struct describe *d, const json_t *object)
{
        json_auto_t *pods = list_selected(d, object, "", "pods");
        int running = 0, waiting = 0, succeeded = 0, failed = 0;
        size_t i;
        json_t *pod;
        json_array_foreach (pods, i, pod) {
                const char *phase = cx_json_string_or(pod, "status.phase", "");
                if (!owned_by(pod, object))
                        continue;
                running += strcmp(phase, "Running") == 0;
                waiting += strcmp(phase, "Pending") == 0;
                succeeded += strcmp(phase, "Succeeded") == 0;
                failed += strcmp(phase, "Failed") == 0;
        }
        describe_line(d, 0, "Pods Status:\t%d Running / %d Waiting / %d Succeeded / %d Failed\n", running, waiting,
                      succeeded, failed);
}

static void describe_conditions(struct describe *d, const json_t *object)
{
        const json_t *conditions = cx_json_get(object, "status.conditions");
        size_t i;
        json_t *item;
        if (!json_array_size(conditions))
                return;
        describe_line(d, 0, "Conditions:\n  Type\tStatus\tReason\n");
        describe_line(d, 1, "----\t------\t------\n");
        json_array_foreach (conditions, i, item)
                describe_line(d, 1, "%s \t%s\t%s\n", cx_json_string_or(item, "type", ""),
                              cx_json_string_or(item, "status", ""), cx_json_string_or(item, "reason", ""));
}

static int64_t revision_of(const json_t *rs)
{
        int64_t revision = 0;
        const json_t *annotations = cx_json_get(rs, "metadata.annotations");
        const char *text = json_string_value(json_object_get(annotations, "deployment.kubernetes.io/revision"));
        (void)!cx_parse_int(cx_str(text), 0, INT64_MAX, &revision);
        return revision;
}

static bool same_template(const json_t *deployment, const json_t *rs)
{
        json_auto_t *a = json_deep_copy(cx_json_get(deployment, "spec.template"));
        json_auto_t *b = json_deep_copy(cx_json_get(rs, "spec.template"));
        json_object_del(cx_json_get(b, "metadata.labels"), "pod-template-hash");
        return json_equal(a, b);
}

static void describe_replica_sets(struct describe *d, const json_t *deployment)
{
        json_auto_t *all = list_selected(d, deployment, "apps", "replicasets");
        const json_t *newest = NULL;
        CX_BUF old = CX_BUF_INIT;
        size_t i;
        json_t *rs;
        json_array_foreach (all, i, rs)
                if (owned_by(rs, deployment) && same_template(deployment, rs) &&
                    (!newest || revision_of(rs) > revision_of(newest)))
                        newest = rs;
        json_array_foreach (all, i, rs) {
                if (!owned_by(rs, deployment) || rs == newest)
                        continue;
                cx_buf_printf(&old, "%s%s (%lld/%lld replicas created)", old.length ? ", " : "",
                              cx_json_string_or(rs, "metadata.name", ""),
                              (long long)cx_json_int(rs, "status.replicas", 0),
                              (long long)cx_json_int(rs, "spec.replicas", 0));
        }
        describe_line(d, 0, "OldReplicaSets:\t%s\n", old.length ? old.data : "<none>");
        if (newest)
                describe_line(d, 0, "NewReplicaSet:\t%s (%lld/%lld replicas created)\n",
                              cx_json_string_or(newest, "metadata.name", ""),
                              (long long)cx_json_int(newest, "status.replicas", 0),
                              (long long)cx_json_int(newest, "spec.replicas", 0));
        else
                describe_line(d, 0, "NewReplicaSet:\t<none>\n");
}

static int describe_deployment(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        describe_name(d, o);
        describe_created(d, o);
        describe_labels(d, 0, "Labels", cx_json_get(o, "metadata.labels"));
        describe_annotations(d, o);
        describe_selector(d, o);
        describe_line(d, 0, "Replicas:\t%lld desired | %lld updated | %lld total | %lld available | %lld unavailable\n",
                      (long long)cx_json_int(o, "spec.replicas", 0),
                      (long long)cx_json_int(o, "status.updatedReplicas", 0),
                      (long long)cx_json_int(o, "status.replicas", 0),
                      (long long)cx_json_int(o, "status.availableReplicas", 0),
                      (long long)cx_json_int(o, "status.unavailableReplicas", 0));
        describe_line(d, 0, "StrategyType:\t%s\n", cx_json_string_or(o, "spec.strategy.type", ""));
        describe_line(d, 0, "MinReadySeconds:\t%lld\n", (long long)cx_json_int(o, "spec.minReadySeconds", 0));
        const json_t *rolling = cx_json_get(o, "spec.strategy.rollingUpdate");
        if (rolling) {
                CX_CLEANUP(cx_freep) char *unavailable = text_of(json_object_get(rolling, "maxUnavailable"));
                CX_CLEANUP(cx_freep) char *surge = text_of(json_object_get(rolling, "maxSurge"));
                describe_line(d, 0, "RollingUpdateStrategy:\t%s max unavailable, %s max surge\n", unavailable, surge);
        }
        describe_line(d, 0, "Pod Template:\n");
        describe_template(d, cx_json_get(o, "spec.template"));
        describe_conditions(d, o);
        describe_replica_sets(d, o);
        describe_events(d, o);
        return 0;
}

static void describe_replicas(struct describe *d, const json_t *o)
{
        describe_line(d, 0, "Replicas:\t%lld current / %lld desired\n", (long long)cx_json_int(o, "status.replicas", 0),
                      (long long)cx_json_int(o, "spec.replicas", 0));
        describe_pods_status(d, o);
        describe_line(d, 0, "Pod Template:\n");
        describe_template(d, cx_json_get(o, "spec.template"));
        describe_conditions(d, o);
        describe_events(d, o);
}

static int describe_replica_set(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        describe_name(d, o);
        describe_selector(d, o);
        describe_labels(d, 0, "Labels", cx_json_get(o, "metadata.labels"));
        describe_annotations(d, o);
        describe_controller(d, o);
        describe_replicas(d, o);
        return 0;
}

static int describe_replication_controller(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        describe_name(d, o);
        describe_selector(d, o);
        describe_labels(d, 0, "Labels", cx_json_get(o, "metadata.labels"));
        describe_annotations(d, o);
        describe_replicas(d, o);
        return 0;
}

static int describe_daemon_set(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        static const struct {
                const char *title, *path;
        } counts[] = {{"Desired Number of Nodes Scheduled", "status.desiredNumberScheduled"},
                      {"Current Number of Nodes Scheduled", "status.currentNumberScheduled"},
                      {"Number of Nodes Scheduled with Up-to-date Pods", "status.updatedNumberScheduled"},
                      {"Number of Nodes Scheduled with Available Pods", "status.numberAvailable"},
                      {"Number of Nodes Misscheduled", "status.numberMisscheduled"}};
        describe_name(d, o);
        describe_selector(d, o);
        describe_labels(d, 0, "Node-Selector", cx_json_get(o, "spec.template.spec.nodeSelector"));
        describe_labels(d, 0, "Labels", cx_json_get(o, "metadata.labels"));
        describe_annotations(d, o);
        for (size_t i = 0; i < CX_ARRAY_SIZE(counts); i++)
                describe_line(d, 0, "%s: %lld\n", counts[i].title, (long long)cx_json_int(o, counts[i].path, 0));
        describe_pods_status(d, o);
        describe_line(d, 0, "Pod Template:\n");
        describe_template(d, cx_json_get(o, "spec.template"));
        describe_events(d, o);
        return 0;
}

static int describe_stateful_set(struct describe *d, const json_t *o, struct cx_error *err CX_UNUSED)
{
        describe_name(d, o);
        describe_created(d, o);
        describe_selector(d, o);
        describe_labels(d, 0, "Labels", cx_json_get(o, "metadata.labels"));
        describe_annotations(d, o);
        describe_line(d, 0, "Replicas:\t%lld desired | %lld total\n", (long long)cx_json_int(o, "spec.replicas", 0),
                      (long long)cx_json_int(o, "status.replicas", 0));
        describe_line(d, 0, "Update Strategy:\t%s\n", cx_json_string_or(o, "spec.updateStrategy.type", ""));
        const json_t *rolling = cx_json_get(o, "spec.updateStrategy.rollingUpdate");
        if (json_object_get(rolling, "partition")) {
                CX_CLEANUP(cx_freep) char *unavailable = text_of(json_object_get(rolling, "maxUnavailable"));
                describe_line(d, 1, "Partition:\t%lld\n", (long long)cx_json_int(rolling, "partition", 0));
                if (unavailable && *unavailable)
                        describe_line(d, 1, "MaxUnavailable:\t%s\n", unavailable);
        }
        describe_pods_status(d, o);
        describe_line(d, 0, "Pod Template:\n");
        describe_template(d, cx_json_get(o, "spec.template"));
        const json_t *claims = cx_json_get(o, "spec.volumeClaimTemplates");
        size_t i;
        json_t *claim;
        describe_line(d, 0, "Volume Claims:%s\n", json_array_size(claims) ? "" : "\t<none>");
        json_array_foreach (claims, i, claim) {
                describe_line(d, 1, "Name:\t%s\n", cx_json_string_or(claim, "metadata.name", ""));
                describe_line(d, 1, "StorageClass:\t%s\n", cx_json_string_or(claim, "spec.storageClassName", ""));
                describe_labels(d, 1, "Labels", cx_json_get(claim, "metadata.labels"));
                describe_line(d, 1, "Annotations:\t<none>\n");
                describe_line(d, 1, "Capacity:\t%s\n",
                              cx_json_string_or(claim, "spec.resources.requests.storage", "<default>"));
                CX_BUF modes = CX_BUF_INIT;
                size_t j;
                json_t *mode;
                json_array_foreach (cx_json_get(claim, "spec.accessModes"), j, mode)
                        cx_buf_printf(&modes, "%s%s", j ? " " : "", cx_str(json_string_value(mode)));
                describe_line(d, 1, "Access Modes:\t[%s]\n", modes.data);
        }
        describe_events(d, o);
        return 0;
}

const struct describer describers_workloads[] = {
        {"apps", "Deployment", describe_deployment},
        {"apps", "ReplicaSet", describe_replica_set},
        {"apps", "DaemonSet", describe_daemon_set},
        {"apps", "StatefulSet", describe_stateful_set},
        {"", "ReplicationController", describe_replication_controller},
        {"", "Pod", describe_pod},
        {0},
};
