// SPDX-License-Identifier: Apache-2.0
// A scheduler that is slow and obviously right, for comparing: every question is answered from the whole JSON of all nodes and
// pods, as the documentation of the plugin puts it. It shares nothing with the scheduler but the reading of quantities.
#pragma once

#include "libcommon/api/quantity.h"
#include "libcommon/format/json.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct model {
        const json_t *storage;                   // kind (enum storage_kind as a text) -> list
        const json_t *nodes, *pods, *namespaces; // pods have spec.nodeName; namespaces: name -> labels
        const json_t *pod;                       // the one to place
        const bool *feasible;                    // in scoring: by node
};
struct model_plugin {
        const char *name;
        bool (*filter)(const struct model *model, const json_t *node); // NULL: it filters nothing
        // Raw scores of all nodes, and how they become 0 to 100 (NULL: they are). False: no opinion.
        bool (*score)(const struct model *model, double *scores);
        void (*normalize)(const struct model *model, double *scores);
        int weight;
};

#define EACH(list, item)                                                                                               \
        for (size_t item##_at = 0; item##_at < json_array_size(list); item##_at++)                                     \
                for (const json_t *item = json_array_get(list, item##_at), *item##_once = item; item##_once;           \
                     item##_once = NULL)

static const char *text(const json_t *object, const char *path)
{
        return cx_json_string_or(object, path, "");
}

static const char *label(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(cx_json_get(object, "metadata.labels"), key));
}

static bool same(const char *a, const char *b)
{
        return a && b && strcmp(a, b) == 0;
}

// --- selectors -------------------------------------------------------------------------------------------------------

static bool has_value(const json_t *values, const char *value)
{
        EACH(values, one)
        if (same(json_string_value(one), value))
                return true;
        return false;
}

static bool expression_holds(const json_t *e, const char *value)
{
        const char *op = text(e, "operator");
        const json_t *values = json_object_get(e, "values");
        if (same(op, "In"))
                return value && has_value(values, value);
        if (same(op, "NotIn"))
                return !value || !has_value(values, value);
        if (same(op, "Exists"))
                return value;
        if (same(op, "DoesNotExist"))
                return !value;
        const char *bound = json_string_value(json_array_get(values, 0));
        if (!value || !bound)
                return false;
        return same(op, "Gt") ? atoll(value) > atoll(bound) : atoll(value) < atoll(bound);
}

static bool selects(const json_t *selector, const json_t *labels)
{
        if (!json_is_object(selector))
                return false;
        const char *key;
        json_t *wanted;
        json_object_foreach (json_object_get(selector, "matchLabels"), key, wanted)
                if (!same(json_string_value(json_object_get(labels, key)), json_string_value(wanted)))
                        return false;
        EACH(json_object_get(selector, "matchExpressions"), e)
        if (!expression_holds(e, json_string_value(json_object_get(labels, text(e, "key")))))
                return false;
        return true;
}

// --- NodeUnschedulable, TaintToleration ------------------------------------------------------------------------------

static bool tolerates(const json_t *pod, const char *key, const char *value, const char *effect)
{
        EACH(cx_json_get(pod, "spec.tolerations"), t)
        {
                const char *t_effect = text(t, "effect"), *t_key = text(t, "key");
                if (*t_effect && !same(t_effect, effect))
                        continue;
                if (*t_key && !same(t_key, key))
                        continue;
                if (same(text(t, "operator"), "Exists") || (*t_key && same(text(t, "value"), value)))
                        return true;
        }
        return false;
}

static bool filter_unschedulable(const struct model *m, const json_t *node)
{
        return !cx_json_bool(node, "spec.unschedulable", false) ||
               tolerates(m->pod, "node.kubernetes.io/unschedulable", "", "NoSchedule");
}

static bool tolerates_all(const struct model *m, const json_t *node)
{
        EACH(cx_json_get(node, "spec.taints"), t)
        if (!same(text(t, "effect"), "PreferNoSchedule") &&
            !tolerates(m->pod, text(t, "key"), text(t, "value"), text(t, "effect")))
                return false;
        return true;
}

static bool score_taints(const struct model *m, double *scores)
{
        EACH(m->nodes, node)
        {
                scores[node_at] = 0;
                EACH(cx_json_get(node, "spec.taints"), t)
                if (same(text(t, "effect"), "PreferNoSchedule") &&
                    !tolerates(m->pod, text(t, "key"), text(t, "value"), text(t, "effect")))
                        scores[node_at]++;
        }
        return true;
}

// The best gets 100 and the others their part of it; `reverse`: the smallest is the best.
static void by_maximum(const struct model *m, double *scores, bool reverse)
{
        double maximum = 0;
        EACH(m->nodes, node)
        if (m->feasible[node_at])
                maximum = fmax(maximum, scores[node_at]);
        EACH(m->nodes, node)
        {
                scores[node_at] = maximum > 0 ? floor(scores[node_at] * 100 / maximum) : 0;
                if (reverse)
                        scores[node_at] = 100 - scores[node_at];
        }
}

static void normalize_up(const struct model *m, double *scores)
{
        by_maximum(m, scores, false);
}

static void normalize_down(const struct model *m, double *scores)
{
        by_maximum(m, scores, true);
}

// --- NodeAffinity ----------------------------------------------------------------------------------------------------

static bool term_holds(const json_t *term, const json_t *node)
{
        const json_t *expressions = json_object_get(term, "matchExpressions"),
                     *fields = json_object_get(term, "matchFields");
        if (!json_array_size(expressions) && !json_array_size(fields))
                return false;
        EACH(expressions, e)
        if (!expression_holds(e, label(node, text(e, "key"))))
                return false;
        EACH(fields, e)
        if (!expression_holds(e, text(node, "metadata.name")))
                return false;
        return true;
}

static bool likes_node(const json_t *pod, const json_t *node)
{
        const char *key;
        json_t *value;
        json_object_foreach (cx_json_get(pod, "spec.nodeSelector"), key, value)
                if (!same(label(node, key), json_string_value(value)))
                        return false;
        const json_t *required =
                cx_json_get(pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
        if (!required)
                return true;
        EACH(json_object_get(required, "nodeSelectorTerms"), term)
        if (term_holds(term, node))
                return true;
        return false;
}

static bool filter_affinity(const struct model *m, const json_t *node)
{
        return likes_node(m->pod, node);
}

static bool score_affinity(const struct model *m, double *scores)
{
        const json_t *preferred =
                cx_json_get(m->pod, "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution");
        EACH(m->nodes, node)
        {
                scores[node_at] = 0;
                EACH(preferred, p)
                if (term_holds(json_object_get(p, "preference"), node))
                        scores[node_at] += (double)cx_json_int(p, "weight", 0);
        }
        return json_array_size(preferred);
}

// --- NodePorts -------------------------------------------------------------------------------------------------------

static bool ports_conflict(const json_t *a, const json_t *b)
{
        if (cx_json_int(a, "hostPort", 0) == 0 || cx_json_int(a, "hostPort", 0) != cx_json_int(b, "hostPort", 0) ||
            !same(cx_json_string_or(a, "protocol", "TCP"), cx_json_string_or(b, "protocol", "TCP")))
                return false;
        const char *x = cx_json_string_or(a, "hostIP", "0.0.0.0"), *y = cx_json_string_or(b, "hostIP", "0.0.0.0");
        return same(x, y) || same(x, "0.0.0.0") || same(y, "0.0.0.0");
}

static bool on(const json_t *pod, const json_t *node)
{
        return same(text(pod, "spec.nodeName"), text(node, "metadata.name"));
}

static bool filter_ports(const struct model *m, const json_t *node)
{
        EACH(m->pods, other)
        EACH(cx_json_get(other, "spec.containers"), theirs)
        EACH(json_object_get(theirs, "ports"), b)
        EACH(cx_json_get(m->pod, "spec.containers"), ours)
        EACH(json_object_get(ours, "ports"), a)
        if (on(other, node) && ports_conflict(a, b))
                return false;
        return true;
}

// --- volumes ---------------------------------------------------------------------------------------------------------

static const json_t *stored(const struct model *m, const char *kind, const char *namespace, const char *name)
{
        EACH(json_object_get(m->storage, kind), object)
        if (same(text(object, "metadata.name"), name) &&
            (!namespace || same(text(object, "metadata.namespace"), namespace)))
                return object;
        return NULL;
}

static const json_t *claim_of(const struct model *m, const json_t *pod, const json_t *volume)
{
        return stored(m, "claims", text(pod, "metadata.namespace"), text(volume, "persistentVolumeClaim.claimName"));
}

static bool is_bound(const json_t *claim)
{
        return *text(claim, "spec.volumeName") &&
               json_object_get(cx_json_get(claim, "metadata.annotations"), "pv.kubernetes.io/bind-completed");
}

static bool for_one_pod(const json_t *claim)
{
        return has_value(cx_json_get(claim, "spec.accessModes"), "ReadWriteOncePod");
}

static bool filter_restrictions(const struct model *m, const json_t *node CX_UNUSED)
{
        EACH(cx_json_get(m->pod, "spec.volumes"), volume)
        {
                const json_t *claim = claim_of(m, m->pod, volume);
                if (!claim || !for_one_pod(claim))
                        continue;
                EACH(m->pods, other)
                EACH(cx_json_get(other, "spec.volumes"), theirs)
                if (claim_of(m, other, theirs) == claim)
                        return false;
        }
        return true;
}

// Which volume of a CSI driver a claim stands for, as "driver handle"; false: none.
static bool name_volume(const struct model *m, const json_t *claim, char name[128], const char **driver)
{
        const json_t *volume = stored(m, "volumes", NULL, text(claim, "spec.volumeName"));
        const json_t *class = stored(m, "classes", NULL, text(claim, "spec.storageClassName"));
        const char *handle = text(volume, "spec.csi.volumeHandle");
        *driver = *text(claim, "spec.volumeName") ? text(volume, "spec.csi.driver") : text(class, "provisioner");
        snprintf(name, 128, "%s %s%s", *driver, handle,
                 *text(claim, "spec.volumeName") ? "" : text(claim, "metadata.uid"));
        return **driver;
}

// Distinct volumes of a driver on the node with those of the pod, or of the pods on the node alone.
static int64_t volumes_on(const struct model *m, const json_t *node, const char *driver, bool with_pod)
{
        char names[64][128], name[128];
        int64_t count = 0;
        const char *its;
        EACH(m->pods, other)
        {
                if (!on(other, node))
                        continue;
                EACH(cx_json_get(other, "spec.volumes"), volume)
                {
                        bool known = !claim_of(m, other, volume) ||
                                     !name_volume(m, claim_of(m, other, volume), name, &its) || !same(its, driver);
                        for (int64_t i = 0; i < count && !known; i++)
                                known = same(names[i], name);
                        if (!known)
                                memcpy(names[count++], name, sizeof name);
                }
        }
        EACH(cx_json_get(m->pod, "spec.volumes"), volume)
        {
                bool known = !with_pod || !claim_of(m, m->pod, volume) ||
                             !name_volume(m, claim_of(m, m->pod, volume), name, &its) || !same(its, driver);
                for (int64_t i = 0; i < count && !known; i++)
                        known = same(names[i], name);
                if (!known)
                        memcpy(names[count++], name, sizeof name);
        }
        return count;
}

static bool filter_limits(const struct model *m, const json_t *node)
{
        const json_t *csi = stored(m, "csinodes", NULL, text(node, "metadata.name"));
        EACH(cx_json_get(csi, "spec.drivers"), driver)
        {
                const char *name = text(driver, "name");
                int64_t then = volumes_on(m, node, name, true);
                if (then > volumes_on(m, node, name, false) && then > cx_json_int(driver, "allocatable.count", 99))
                        return false;
        }
        return true;
}

static bool volume_reaches(const json_t *volume, const json_t *node)
{
        const json_t *terms = cx_json_get(volume, "spec.nodeAffinity.required.nodeSelectorTerms");
        if (!terms)
                return true;
        EACH(terms, term)
        if (term_holds(term, node))
                return true;
        return false;
}

static int64_t gigabytes(const json_t *object, const char *path)
{
        return atoll(text(object, path));
}

static bool volume_suits(const json_t *volume, const json_t *claim, const json_t *node)
{
        const json_t *ref = cx_json_get(volume, "spec.claimRef");
        if (ref && (!same(text(ref, "name"), text(claim, "metadata.name")) ||
                    !same(text(ref, "namespace"), text(claim, "metadata.namespace"))))
                return false;
        EACH(cx_json_get(claim, "spec.accessModes"), mode)
        if (!ref && !has_value(cx_json_get(volume, "spec.accessModes"), json_string_value(mode)))
                return false;
        return same(text(volume, "spec.storageClassName"), text(claim, "spec.storageClassName")) &&
               !same(text(volume, "status.phase"), "Bound") && volume_reaches(volume, node) &&
               gigabytes(volume, "spec.capacity.storage") >= gigabytes(claim, "spec.resources.requests.storage");
}

static bool can_be_made(const struct model *m, const json_t *claim, const json_t *node)
{
        const json_t *class = stored(m, "classes", NULL, text(claim, "spec.storageClassName"));
        const char *provisioner = text(class, "provisioner");
        const json_t *allowed = json_object_get(class, "allowedTopologies");
        bool inside = !allowed;
        EACH(allowed, term)
        {
                bool all = true;
                EACH(json_object_get(term, "matchLabelExpressions"), e)
                all = all && label(node, text(e, "key")) &&
                      has_value(json_object_get(e, "values"), label(node, text(e, "key")));
                inside = inside || all;
        }
        const json_t *driver = stored(m, "drivers", NULL, provisioner);
        bool room = !cx_json_bool(driver, "spec.storageCapacity", false);
        EACH(json_object_get(m->storage, "capacities"), capacity)
        room = room || (same(text(capacity, "storageClassName"), text(class, "metadata.name")) &&
                        gigabytes(capacity, "capacity") >= gigabytes(claim, "spec.resources.requests.storage") &&
                        selects(json_object_get(capacity, "nodeTopology"), cx_json_get(node, "metadata.labels")));
        return inside && room && !same(provisioner, "kubernetes.io/no-provisioner");
}

// The claims that wait for the pod, the smallest first, each with the smallest volume that suits, or one that is made.
static bool all_can_be_had(const struct model *m, const json_t *waiting, const json_t *node)
{
        bool taken[32] = {false}, done[32] = {false};
        for (size_t n = 0; n < json_array_size(waiting); n++) {
                const json_t *next = NULL, *volumes = json_object_get(m->storage, "volumes");
                size_t at = 0;
                EACH(waiting, claim)
                {
                        int64_t size = gigabytes(claim, "spec.resources.requests.storage"),
                                least = next ? gigabytes(next, "spec.resources.requests.storage") : INT64_MAX;
                        if (!done[claim_at] &&
                            (size < least || (size == least &&
                                              strcmp(text(claim, "metadata.name"), text(next, "metadata.name")) < 0))) {
                                next = claim;
                                at = claim_at;
                        }
                }
                done[at] = true;
                const char *chosen = json_string_value(json_object_get(cx_json_get(next, "metadata.annotations"),
                                                                       "volume.kubernetes.io/selected-node"));
                if (chosen) {
                        if (!same(chosen, text(node, "metadata.name")) || !can_be_made(m, next, node))
                                return false;
                        continue;
                }
                const json_t *best = NULL;
                EACH(volumes, volume)
                {
                        if (taken[volume_at] || !volume_suits(volume, next, node))
                                continue;
                        bool kept = cx_json_get(volume, "spec.claimRef");
                        if (!best || kept ||
                            (!cx_json_get(best, "spec.claimRef") &&
                             gigabytes(volume, "spec.capacity.storage") < gigabytes(best, "spec.capacity.storage")))
                                best = volume;
                }
                EACH(volumes, volume)
                taken[volume_at] |= volume == best;
                if (!best && !can_be_made(m, next, node))
                        return false;
        }
        return true;
}

static bool filter_binding(const struct model *m, const json_t *node)
{
        json_auto_t *waiting = json_array();
        EACH(cx_json_get(m->pod, "spec.volumes"), volume)
        {
                const json_t *claim = claim_of(m, m->pod, volume);
                if (!*text(volume, "persistentVolumeClaim.claimName"))
                        continue;
                if (!claim)
                        return false;
                const json_t *class = stored(m, "classes", NULL, text(claim, "spec.storageClassName"));
                const json_t *bound = stored(m, "volumes", NULL, text(claim, "spec.volumeName"));
                if (is_bound(claim) && bound && !volume_reaches(bound, node))
                        return false;
                if (is_bound(claim))
                        continue;
                if (*text(claim, "spec.volumeName") || !same(text(class, "volumeBindingMode"), "WaitForFirstConsumer"))
                        return false;
                json_array_append(waiting, (json_t *)claim);
        }
        return all_can_be_had(m, waiting, node);
}

static bool filter_zone(const struct model *m, const json_t *node)
{
        bool zoned = label(node, "topology.kubernetes.io/zone");
        EACH(cx_json_get(m->pod, "spec.volumes"), v)
        {
                const json_t *claim = claim_of(m, m->pod, v);
                const char *name = text(claim, "spec.volumeName");
                const json_t *volume = stored(m, "volumes", NULL, name);
                if (*name && !volume)
                        return false;
                const char *zone = *name ? label(volume, "topology.kubernetes.io/zone") : NULL;
                if (zoned && zone && !same(zone, label(node, "topology.kubernetes.io/zone")))
                        return false;
        }
        return true;
}

// --- resources -------------------------------------------------------------------------------------------------------

static int64_t amount(const json_t *map, const char *name, int64_t fallback)
{
        struct cx_quantity q;
        const json_t *value = json_object_get(map, name);
        if (!value || cx_quantity_from_json(value, &q) < 0)
                return fallback;
        return same(name, "cpu") ? cx_quantity_milli(&q) : cx_quantity_value(&q);
}

// `nonzero`: what scoring takes a container for that does not say.
static int64_t request(const json_t *pod, const char *name, bool nonzero)
{
        int64_t sum = 0, fallback = !nonzero ? 0 : same(name, "cpu") ? 100 : same(name, "memory") ? 200 << 20 : 0;
        EACH(cx_json_get(pod, "spec.containers"), c)
        sum += amount(cx_json_get(c, "resources.requests"), name, fallback);
        return sum;
}

static int64_t taken(const struct model *m, const json_t *node, const char *name, bool nonzero)
{
        int64_t sum = 0;
        EACH(m->pods, other)
        if (on(other, node))
                sum += request(other, name, nonzero);
        return sum;
}

static int64_t allocatable(const json_t *node, const char *name)
{
        return amount(cx_json_get(node, "status.allocatable"), name, 0);
}

static bool filter_fit(const struct model *m, const json_t *node)
{
        static const char *const names[] = {"cpu", "memory", "ephemeral-storage", "x.io/gpu"};
        int64_t pods = 0;
        EACH(m->pods, other)
        pods += on(other, node);
        if (pods + 1 > allocatable(node, "pods"))
                return false;
        for (size_t i = 0; i < 4; i++)
                if (request(m->pod, names[i], false) &&
                    request(m->pod, names[i], false) + taken(m, node, names[i], false) > allocatable(node, names[i]))
                        return false;
        return true;
}

static bool score_fit(const struct model *m, double *scores)
{
        static const char *const names[] = {"cpu", "memory"};
        EACH(m->nodes, node)
        {
                int64_t sum = 0, n = 0;
                for (size_t i = 0; i < 2; i++) {
                        int64_t there = allocatable(node, names[i]);
                        int64_t wanted = taken(m, node, names[i], true) + request(m->pod, names[i], true);
                        if (there <= 0)
                                continue;
                        sum += wanted > there ? 0 : (int64_t)((__int128)(there - wanted) * 100 / there);
                        n++;
                }
                scores[node_at] = (double)(n ? sum / n : 0);
        }
        return true;
}

static bool score_balance(const struct model *m, double *scores)
{
        static const char *const names[] = {"cpu", "memory"};
        EACH(m->nodes, node)
        {
                double parts[2];
                int n = 0;
                for (size_t i = 0; i < 2; i++) {
                        double there = (double)allocatable(node, names[i]);
                        double wanted = (double)(taken(m, node, names[i], false) + request(m->pod, names[i], false));
                        if (there > 0)
                                parts[n++] = fmin(1, wanted / there);
                }
                scores[node_at] = n < 2 ? 100 : floor((1 - fabs(parts[0] - parts[1]) / 2) * 100);
        }
        return request(m->pod, "cpu", false) || request(m->pod, "memory", false);
}

static const json_t *image_on(const json_t *node, const char *name)
{
        EACH(cx_json_get(node, "status.images"), image)
        EACH(json_object_get(image, "names"), n)
        if (same(json_string_value(n), name))
                return image;
        return NULL;
}

static bool score_images(const struct model *m, double *scores)
{
        bool any = false;
        EACH(m->nodes, node)
        {
                double sum = 0, least = 23.0 * 1048576, most = 0;
                EACH(cx_json_get(m->pod, "spec.containers"), c)
                {
                        double nodes = 0;
                        most += 1000.0 * 1048576;
                        EACH(m->nodes, other)
                        nodes += image_on(other, text(c, "image")) != NULL;
                        any |= nodes > 0;
                        const json_t *image = image_on(node, text(c, "image"));
                        if (image)
                                sum += floor((double)cx_json_int(image, "sizeBytes", 0) * nodes /
                                             (double)json_array_size(m->nodes));
                }
                sum = fmin(fmax(sum, least), most);
                scores[node_at] = floor(100 * (sum - least) / (most - least));
        }
        return any;
}

// --- PodTopologySpread -----------------------------------------------------------------------------------------------

static bool spread_counts_pod(const json_t *constraint, const json_t *pod, const json_t *other)
{
        const json_t *labels = cx_json_get(other, "metadata.labels");
        if (cx_json_get(other, "metadata.deletionTimestamp") ||
            !same(text(other, "metadata.namespace"), text(pod, "metadata.namespace")) ||
            !selects(json_object_get(constraint, "labelSelector"), labels))
                return false;
        EACH(json_object_get(constraint, "matchLabelKeys"), key)
        {
                const char *own = label(pod, json_string_value(key));
                if (own && !same(label(other, json_string_value(key)), own))
                        return false;
        }
        return true;
}

static bool is_required(const json_t *constraint)
{
        return same(text(constraint, "whenUnsatisfiable"), "DoNotSchedule");
}

static bool has_topologies(const struct model *m, const json_t *node, bool required)
{
        EACH(cx_json_get(m->pod, "spec.topologySpreadConstraints"), c)
        if (is_required(c) == required && !label(node, text(c, "topologyKey")))
                return false;
        return true;
}

static bool node_counts(const struct model *m, const json_t *constraint, const json_t *node)
{
        if (!same(text(constraint, "nodeAffinityPolicy"), "Ignore") && !likes_node(m->pod, node))
                return false;
        return !same(text(constraint, "nodeTaintsPolicy"), "Honor") || tolerates_all(m, node);
}

// The pods that count in the domain of a node; `counted` says which nodes' pods do.
static int domain_pods(const struct model *m, const json_t *constraint, const char *value, bool required)
{
        int pods = 0;
        EACH(m->nodes, node)
        {
                if (!same(label(node, text(constraint, "topologyKey")), value) || !node_counts(m, constraint, node) ||
                    !has_topologies(m, node, required))
                        continue;
                EACH(m->pods, other)
                pods += on(other, node) && spread_counts_pod(constraint, m->pod, other);
        }
        return pods;
}

static bool filter_spread(const struct model *m, const json_t *node)
{
        EACH(cx_json_get(m->pod, "spec.topologySpreadConstraints"), c)
        {
                const char *key = text(c, "topologyKey"), *mine = label(node, key);
                if (!is_required(c))
                        continue;
                if (!mine)
                        return false;
                int least = 1 << 30, domains = 0;
                EACH(m->nodes, other)
                {
                        const char *value = label(other, key);
                        bool seen = false;
                        if (!value || !node_counts(m, c, other) || !has_topologies(m, other, true))
                                continue;
                        for (size_t i = 0; i < other_at; i++) {
                                const json_t *before = json_array_get(m->nodes, i);
                                seen |= same(label(before, key), value) && node_counts(m, c, before) &&
                                        has_topologies(m, before, true);
                        }
                        domains += !seen;
                        int pods = domain_pods(m, c, value, true);
                        least = pods < least ? pods : least;
                }
                if (domains < cx_json_int(c, "minDomains", 1))
                        least = 0;
                int self = selects(json_object_get(c, "labelSelector"), cx_json_get(m->pod, "metadata.labels"));
                if (domain_pods(m, c, mine, true) + self - least > cx_json_int(c, "maxSkew", 1))
                        return false;
        }
        return true;
}

static bool score_spread(const struct model *m, double *scores)
{
        bool any = false;
        EACH(m->nodes, node)
        {
                double sum = 0;
                EACH(cx_json_get(m->pod, "spec.topologySpreadConstraints"), c)
                {
                        const char *key = text(c, "topologyKey");
                        if (is_required(c))
                                continue;
                        any = true;
                        bool host = same(key, "kubernetes.io/hostname");
                        int domains = 0, pods = 0;
                        EACH(m->nodes, other)
                        {
                                bool seen = false;
                                if (!m->feasible[other_at] || !has_topologies(m, other, false))
                                        continue;
                                for (size_t i = 0; i < other_at && !host; i++) {
                                        const json_t *before = json_array_get(m->nodes, i);
                                        seen |= m->feasible[i] && has_topologies(m, before, false) &&
                                                same(label(before, key), label(other, key));
                                }
                                domains += !seen;
                        }
                        if (host)
                                EACH(m->pods, p)
                        pods += on(p, node) && spread_counts_pod(c, m->pod, p);
                        else pods = domain_pods(m, c, label(node, key), false);
                        sum += pods * log(domains + 2) + (double)cx_json_int(c, "maxSkew", 1) - 1;
                }
                scores[node_at] = has_topologies(m, node, false) ? round(sum) : -1;
        }
        return any;
}

static void normalize_spread(const struct model *m, double *scores)
{
        double minimum = INFINITY, maximum = 0;
        EACH(m->nodes, node)
        if (m->feasible[node_at] && scores[node_at] >= 0) {
                minimum = fmin(minimum, scores[node_at]);
                maximum = fmax(maximum, scores[node_at]);
        }
        EACH(m->nodes, node)
        scores[node_at] = scores[node_at] < 0 ? 0
                          : maximum > 0       ? floor(100 * (maximum + minimum - scores[node_at]) / maximum)
                                              : 100;
}

// --- InterPodAffinity ------------------------------------------------------------------------------------------------

// Whether a term of `owner` means `other`.
static bool term_means(const struct model *m, const json_t *term, const json_t *owner, const json_t *other)
{
        const json_t *namespaces = json_object_get(term, "namespaces"),
                     *by = json_object_get(term, "namespaceSelector");
        const char *namespace = text(other, "metadata.namespace");
        bool inside =
                has_value(namespaces, namespace) || (by && selects(by, json_object_get(m->namespaces, namespace)));
        if (!json_array_size(namespaces) && !by)
                inside = same(namespace, text(owner, "metadata.namespace"));
        if (!inside || !selects(json_object_get(term, "labelSelector"), cx_json_get(other, "metadata.labels")))
                return false;
        EACH(json_object_get(term, "matchLabelKeys"), key)
        {
                const char *own = label(owner, json_string_value(key));
                if (own && !same(label(other, json_string_value(key)), own))
                        return false;
        }
        EACH(json_object_get(term, "mismatchLabelKeys"), key)
        {
                const char *own = label(owner, json_string_value(key));
                if (own && same(label(other, json_string_value(key)), own))
                        return false;
        }
        return true;
}

static const json_t *node_of(const struct model *m, const json_t *pod)
{
        EACH(m->nodes, node)
        if (on(pod, node))
                return node;
        return NULL;
}

static bool near(const struct model *m, const json_t *term, const json_t *other, const json_t *node)
{
        const char *key = text(term, "topologyKey"), *value = label(node, key);
        const json_t *theirs = node_of(m, other);
        return value && theirs && same(label(theirs, key), value);
}

static const json_t *required_terms(const json_t *pod, bool anti)
{
        return cx_json_get(pod, anti ? "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
                                     : "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution");
}

static bool means_all(const struct model *m, const json_t *other)
{
        EACH(required_terms(m->pod, false), term)
        if (!term_means(m, term, m->pod, other))
                return false;
        return true;
}

static bool affinity_holds(const struct model *m, const json_t *node)
{
        const json_t *terms = required_terms(m->pod, false);
        bool anywhere = false, all = true;
        EACH(terms, term)
        {
                bool here = false;
                EACH(m->pods, other)
                {
                        const json_t *theirs = node_of(m, other);
                        if (!means_all(m, other) || !theirs)
                                continue;
                        anywhere |= label(theirs, text(term, "topologyKey")) != NULL;
                        here |= near(m, term, other, node);
                }
                all &= here;
                if (!label(node, text(term, "topologyKey")))
                        return false;
        }
        return all || (!anywhere && means_all(m, m->pod));
}

static bool filter_inter_pod(const struct model *m, const json_t *node)
{
        EACH(m->pods, other)
        {
                EACH(required_terms(m->pod, true), term)
                if (term_means(m, term, m->pod, other) && near(m, term, other, node))
                        return false;
                EACH(required_terms(other, true), term)
                if (term_means(m, term, other, m->pod) && near(m, term, other, node))
                        return false;
        }
        return affinity_holds(m, node);
}

static double preference(const struct model *m, const json_t *owner, const json_t *meant, const json_t *neighbour,
                         const json_t *node)
{
        double sum = 0;
        for (int anti = 0; anti < 2; anti++)
                EACH(cx_json_get(owner,
                                 anti ? "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"
                                      : "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution"),
                     p)
                {
                        const json_t *term = json_object_get(p, "podAffinityTerm");
                        if (term_means(m, term, owner, meant) && near(m, term, neighbour, node))
                                sum += (double)cx_json_int(p, "weight", 0) * (anti ? -1 : 1);
                }
        return sum;
}

static bool score_inter_pod(const struct model *m, double *scores)
{
        EACH(m->nodes, node)
        {
                scores[node_at] = 0;
                EACH(m->pods, other)
                {
                        scores[node_at] += preference(m, m->pod, other, other, node);
                        scores[node_at] += preference(m, other, m->pod, other, node);
                        EACH(required_terms(other, false), term)
                        if (term_means(m, term, other, m->pod) && near(m, term, other, node))
                                scores[node_at] += 1;
                }
        }
        return true;
}

static void normalize_inter_pod(const struct model *m, double *scores)
{
        double minimum = INFINITY, maximum = -INFINITY;
        EACH(m->nodes, node)
        if (m->feasible[node_at]) {
                minimum = fmin(minimum, scores[node_at]);
                maximum = fmax(maximum, scores[node_at]);
        }
        EACH(m->nodes, node)
        scores[node_at] = maximum > minimum ? floor((scores[node_at] - minimum) * 100 / (maximum - minimum)) : 0;
}

static const struct model_plugin model_plugins[] = {
        {"NodeUnschedulable", filter_unschedulable, NULL, NULL, 0},
        {"TaintToleration", tolerates_all, score_taints, normalize_down, 3},
        {"NodeAffinity", filter_affinity, score_affinity, normalize_up, 2},
        {"NodePorts", filter_ports, NULL, NULL, 0},
        {"NodeResourcesFit", filter_fit, score_fit, NULL, 1},
        {"NodeResourcesBalancedAllocation", NULL, score_balance, NULL, 1},
        {"VolumeRestrictions", filter_restrictions, NULL, NULL, 0},
        {"NodeVolumeLimits", filter_limits, NULL, NULL, 0},
        {"VolumeBinding", filter_binding, NULL, NULL, 0},
        {"VolumeZone", filter_zone, NULL, NULL, 0},
        {"PodTopologySpread", filter_spread, score_spread, normalize_spread, 2},
        {"InterPodAffinity", filter_inter_pod, score_inter_pod, normalize_inter_pod, 2},
        {"ImageLocality", NULL, score_images, NULL, 1},
};
