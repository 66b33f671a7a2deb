// SPDX-License-Identifier: Apache-2.0
// The plugins about volumes: where a pod with claims may go, what is said when it may not, and what is promised meanwhile.
#include "test/unit/scheduler/world.h"

#include "libcommon/base/time.h"

#include <errno.h>

#define CLAIMED(name) "{'persistentVolumeClaim': {'claimName': '" name "'}}"
#define POD(list) "{'containers': [{'name': 'c'}], 'volumes': [" list "]}"
#define REFUSED(why) "0/2 nodes are available: " why "."

static void put(struct world *w, enum storage_kind kind, const char *text)
{
        json_auto_t *json = quoted_json(text);
        world_store(w, kind, json);
}

// `more`: further members of spec; `annotations` of metadata.
static void claim_with(struct world *w, const char *name, const char *size, const char *more, const char *metadata)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata': {'name': '%s', 'namespace': 'default', 'uid': '%s'%s}, 'spec': {"
                                "'accessModes': ['ReadWriteOnce'], 'resources': {'requests': {'storage': '%s'}}%s}}",
                                name, name, metadata, size, more);
        put(w, STORAGE_CLAIM, text);
}

static void claim(struct world *w, const char *name, const char *size, const char *more)
{
        claim_with(w, name, size, more, "");
}

static void bound_claim(struct world *w, const char *name, const char *volume, const char *mode)
{
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata': {'name': '%s', 'namespace': 'default', 'uid': '%s', 'annotations': "
                                "{'pv.kubernetes.io/bind-completed': 'yes'}}, 'spec': {'volumeName': '%s', "
                                "'accessModes': ['%s']}}",
                                name, name, volume, mode);
        put(w, STORAGE_CLAIM, text);
}

static void volume(struct world *w, const char *name, const char *size, const char *class, const char *node,
                   const char *more)
{
        CX_CLEANUP(cx_freep)
        char *affinity = *node ? cx_sprintf(", 'nodeAffinity': {'required': {'nodeSelectorTerms': [{'matchFields': "
                                            "[{'key': 'metadata.name', 'operator': 'In', 'values': ['%s']}]}]}}",
                                            node)
                               : cx_strdup("");
        CX_CLEANUP(cx_freep)
        char *text = cx_sprintf("{'metadata': {'name': '%s', 'uid': '%s'}, 'spec': {'storageClassName': '%s', "
                                "'accessModes': ['ReadWriteOnce'], 'capacity': {'storage': '%s'}%s%s}, 'status': "
                                "{'phase': 'Available'}}",
                                name, name, class, size, affinity, more);
        put(w, STORAGE_VOLUME, text);
}

static void begin(struct world *w)
{
        world_init(w);
        world_node(w, "a", "{'zone': 'z1', 'topology.kubernetes.io/zone': 'z1'}", "", "");
        world_node(w, "b", "{'zone': 'z2', 'topology.kubernetes.io/zone': 'z2'}", "", "");
        put(w, STORAGE_CLASS,
            "{'metadata': {'name': 'made'}, 'provisioner': 'd.io', 'volumeBindingMode': 'WaitForFirstConsumer'}");
        put(w, STORAGE_CLASS,
            "{'metadata': {'name': 'east'}, 'provisioner': 'e.io', 'volumeBindingMode': 'WaitForFirstConsumer', "
            "'allowedTopologies': [{'matchLabelExpressions': [{'key': 'zone', 'values': ['z2']}]}]}");
        put(w, STORAGE_CLASS,
            "{'metadata': {'name': 'disks'}, 'provisioner': 'kubernetes.io/no-provisioner', 'volumeBindingMode': "
            "'WaitForFirstConsumer'}");
        put(w, STORAGE_CLASS, "{'metadata': {'name': 'now'}, 'provisioner': 'd.io', 'volumeBindingMode': 'Immediate'}");
}

static void test_refusals(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        claim(&w, "now", "1Gi", ", 'storageClassName': 'now'");
        claim(&w, "named", "1Gi", ", 'storageClassName': 'made', 'volumeName': 'v'");
        claim(&w, "nowhere", "1Gi", ", 'storageClassName': 'nonesuch'");
        bound_claim(&w, "orphan", "gone", "ReadWriteOnce");
        claim_with(&w, "leaving", "1Gi", "", ", 'deletionTimestamp': '2026-01-01T00:00:00Z'");
        claim(&w, "new-theirs", "1Gi", ", 'storageClassName': 'made'");
        put(&w, STORAGE_CLAIM,
            "{'metadata': {'name': 'lost', 'namespace': 'default', 'uid': 'l'}, 'spec': {'volumeName': 'v9'}, "
            "'status': {'phase': 'Lost'}}");
        static const struct {
                const char *spec, *wanted;
        } table[] = {
                {POD(CLAIMED("none")), REFUSED("persistentvolumeclaim \"none\" not found")},
                {POD(CLAIMED("now")), REFUSED("pod has unbound immediate PersistentVolumeClaims")},
                {POD(CLAIMED("named")), REFUSED("pod has unbound immediate PersistentVolumeClaims")},
                {POD(CLAIMED("nowhere")), REFUSED("pod has unbound immediate PersistentVolumeClaims")},
                {POD(CLAIMED("orphan")), REFUSED("persistentvolume \"gone\" not found")},
                {POD(CLAIMED("leaving")), REFUSED("persistentvolumeclaim \"leaving\" is being deleted")},
                {POD(CLAIMED("lost")),
                 REFUSED("persistentvolumeclaim \"lost\" bound to non-existent persistentvolume \"v9\"")},
                {POD("{'name': 'x', 'ephemeral': {}}"),
                 REFUSED("waiting for ephemeral volume controller to create the persistentvolumeclaim \"new-x\"")},
                {POD("{'name': 'theirs', 'ephemeral': {}}"),
                 REFUSED("PVC default/new-theirs was not created for the pod (pod is not owner)")},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                world_expect(&w, "", table[i].spec, table[i].wanted);
        world_release(&w);
}

static void test_ephemeral(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        claim_with(&w, "new-x", "1Gi", ", 'storageClassName': 'east'",
                   ", 'ownerReferences': [{'apiVersion': 'v1', 'kind': 'Pod', 'name': 'new', 'uid': 'new', "
                   "'controller': true}]");
        world_expect(&w, "", POD("{'name': 'x', 'ephemeral': {'volumeClaimTemplate': {}}}"), "b");
        world_release(&w);
}

static void test_bound(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        volume(&w, "on-b", "1Gi", "disks", "b", "");
        volume(&w, "on-none", "1Gi", "disks", "c", "");
        bound_claim(&w, "b", "on-b", "ReadWriteOnce");
        bound_claim(&w, "none", "on-none", "ReadWriteOnce");
        world_expect(&w, "", POD(CLAIMED("b")), "b");
        world_expect(&w, "", POD(CLAIMED("b") "," CLAIMED("none")),
                     "0/2 nodes are available: 2 node(s) had volume node affinity conflict.");
        world_release(&w);
}

static void test_seeking(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        volume(&w, "small", "1Gi", "disks", "a", "");
        volume(&w, "large", "5Gi", "disks", "a", "");
        volume(&w, "kept", "9Gi", "disks", "b", ", 'claimRef': {'namespace': 'default', 'name': 'kept'}");
        claim(&w, "one", "1Gi", ", 'storageClassName': 'disks'");
        claim(&w, "more", "2Gi", ", 'storageClassName': 'disks'");
        claim(&w, "most", "6Gi", ", 'storageClassName': 'disks'");
        claim(&w, "kept", "8Gi", ", 'storageClassName': 'disks'");
        claim(&w, "east", "1Gi", ", 'storageClassName': 'east'");
        claim(&w, "made", "1Gi", ", 'storageClassName': 'made'");
        claim_with(&w, "on-b", "1Gi", ", 'storageClassName': 'made'",
                   ", 'annotations': {'volume.kubernetes.io/selected-node': 'b'}");
        // The larger first in the pod: the smaller one still gets the small volume.
        world_expect(&w, "", POD(CLAIMED("more") "," CLAIMED("one")), "a");
        world_expect(&w, "", POD(CLAIMED("most")),
                     "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.");
        world_expect(&w, "", POD(CLAIMED("kept")), "b");
        world_expect(&w, "", POD(CLAIMED("east")), "b");
        world_expect(&w, "", POD(CLAIMED("on-b")), "b");
        world_expect(&w, "", POD(CLAIMED("one") "," CLAIMED("east")),
                     "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.");
        put(&w, STORAGE_CSI_DRIVER, "{'metadata': {'name': 'd.io'}, 'spec': {'storageCapacity': true}}");
        world_expect(&w, "", POD(CLAIMED("made")),
                     "0/2 nodes are available: 2 node(s) did not have enough free storage.");
        put(&w, STORAGE_CSI_CAPACITY,
            "{'metadata': {'name': 'x', 'namespace': 's'}, 'storageClassName': 'made', 'capacity': '10Gi', "
            "'nodeTopology': {'matchLabels': {'zone': 'z2'}}}");
        world_expect(&w, "", POD(CLAIMED("made")), "b");
        put(&w, STORAGE_CSI_CAPACITY,
            "{'metadata': {'name': 'x', 'namespace': 's'}, 'storageClassName': 'made', 'capacity': '10Gi', "
            "'maximumVolumeSize': '1Mi', 'nodeTopology': {'matchLabels': {'zone': 'z2'}}}");
        world_expect(&w, "", POD(CLAIMED("made")),
                     "0/2 nodes are available: 2 node(s) did not have enough free storage.");
        world_release(&w);
}

static void decide(struct world *w, const char *spec, struct decision *ret_decision)
{
        json_auto_t *pod = world_pod_json("new", "", spec);
        struct template *template = templates_get(w->templates, pod);
        framework_schedule(&w->framework, "default/new", template, NULL, ret_decision);
        template_unref(w->templates, template);
}

// What one pod was promised no other gets, unless it has the same claim: then both go the same way.
static void test_promises(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        volume(&w, "small", "1Gi", "disks", "a", "");
        claim(&w, "one", "1Gi", ", 'storageClassName': 'disks'");
        claim(&w, "two", "1Gi", ", 'storageClassName': 'disks'");
        claim(&w, "made", "1Gi", ", 'storageClassName': 'made'");
        struct decision first, again;
        decide(&w, POD(CLAIMED("one")), &first);
        assert_string_equal(first.node->name, "a");
        assert_int_equal(first.reservation.count, 1);
        world_expect(&w, "", POD(CLAIMED("two")),
                     "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.");
        decide(&w, POD(CLAIMED("one")), &again);
        assert_string_equal(again.node->name, "a");
        decision_release(&again);
        decision_release(&first);
        world_expect(&w, "", POD(CLAIMED("two")), "a");
        decide(&w, POD(CLAIMED("made")), &first);
        CX_CLEANUP(cx_freep) char *node = cx_strdup(first.node->name);
        for (int i = 0; i < 20; i++)
                world_expect(&w, "", POD(CLAIMED("made")), node);
        decision_release(&first);
        // Nothing to do for what is bound, or for a pod without claims.
        volume(&w, "v", "1Gi", "disks", "", "");
        bound_claim(&w, "bound", "v", "ReadWriteOnce");
        decide(&w, POD(CLAIMED("bound")), &first);
        assert_non_null(first.node);
        assert_int_equal(first.reservation.count, 0);
        decision_release(&first);
        decide(&w, POD("{'name': 'e', 'emptyDir': {}}"), &first);
        assert_int_equal(first.reservation.count, 0);
        decision_release(&first);
        world_release(&w);
}

#define IMPORTANT(list) "{'priority': 9, 'containers': [{'name': 'c'}], 'volumes': [" list "]}"

static void test_one_pod(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        volume(&w, "v", "1Gi", "disks", "", "");
        bound_claim(&w, "mine", "v", "ReadWriteOncePod");
        bound_claim(&w, "shared", "v", "ReadWriteOnce");
        world_run(&w, "default/user", "", POD(CLAIMED("mine") "," CLAIMED("shared")), "a");
        world_expect(&w, "", POD(CLAIMED("mine")),
                     "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and "
                     "ReadWriteOncePod access mode.");
        char *got = world_schedule(&w, "", POD(CLAIMED("shared")), NULL);
        assert_int_equal(strlen(got), 1);
        free(got);
        // A more important pod gets it.
        struct decision decision;
        decide(&w, IMPORTANT(CLAIMED("mine")), &decision);
        assert_string_equal(decision.nominated->name, "a");
        assert_int_equal(decision.victims.count, 1);
        assert_string_equal(decision.victims.items[0], "default/user");
        decision_release(&decision);
        world_release(&w);
}

static void test_limits(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        put(&w, STORAGE_CSI_NODE,
            "{'metadata': {'name': 'a'}, 'spec': {'drivers': [{'name': 'd.io', 'allocatable': {'count': 1}}]}}");
        put(&w, STORAGE_CSI_NODE,
            "{'metadata': {'name': 'b'}, 'spec': {'drivers': [{'name': 'd.io', 'allocatable': {'count': 1}}]}}");
        volume(&w, "v1", "1Gi", "made", "", ", 'csi': {'driver': 'd.io', 'volumeHandle': 'h1'}");
        volume(&w, "v2", "1Gi", "made", "", ", 'csi': {'driver': 'd.io', 'volumeHandle': 'h2'}");
        bound_claim(&w, "one", "v1", "ReadWriteOnce");
        bound_claim(&w, "two", "v2", "ReadWriteOnce");
        claim(&w, "made", "1Gi", ", 'storageClassName': 'made'");
        world_run(&w, "default/user", "", POD(CLAIMED("one")), "a");
        put(&w, STORAGE_ATTACHMENT,
            "{'metadata': {'name': 'x'}, 'spec': {'attacher': 'd.io', 'nodeName': 'b', 'source': "
            "{'persistentVolumeName': 'v2'}}}");
        world_expect(&w, "", POD(CLAIMED("made")), "0/2 nodes are available: 2 node(s) exceed max volume count.");
        world_expect(&w, "", POD(CLAIMED("one")), "a"); // it is there already
        world_expect(&w, "", POD(CLAIMED("two")), "b"); // and this is attached
        volumes_set(&w.cache.volumes, STORAGE_ATTACHMENT, "x", NULL);
        world_expect(&w, "", POD(CLAIMED("made")), "b");
        world_release(&w);
}

static void test_zones(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        put(&w, STORAGE_VOLUME,
            "{'metadata': {'name': 'v', 'labels': {'topology.kubernetes.io/zone': 'z9__z2'}}, 'spec': {}}");
        put(&w, STORAGE_VOLUME,
            "{'metadata': {'name': 'far', 'labels': {'failure-domain.beta.kubernetes.io/zone': 'z22'}}, 'spec': {}}");
        bound_claim(&w, "c", "v", "ReadWriteOnce");
        bound_claim(&w, "far", "far", "ReadWriteOnce");
        world_expect(&w, "", POD(CLAIMED("c")), "b");
        world_expect(&w, "", POD(CLAIMED("far")), "0/2 nodes are available: 2 node(s) had no available volume zone.");
        world_node(&w, "plain", "", "", "");
        world_expect(&w, "", POD(CLAIMED("far")), "plain");
        world_release(&w);
}

// A claim wakes the pods that have it.
static void test_hints(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        unsigned failed;
        CX_CLEANUP(cx_freep) char *message = world_schedule(&w, "", POD(CLAIMED("none")), &failed);
        json_auto_t *pod = world_pod_json("new", "", POD(CLAIMED("none")));
        struct template *template = templates_get(w.templates, pod);
        assert_true(cycle_helps(&w.cache, template, failed, EVENT_CLAIM, NULL, "default/none"));
        assert_false(cycle_helps(&w.cache, template, failed, EVENT_CLAIM, NULL, "default/other"));
        assert_false(cycle_helps(&w.cache, template, failed, EVENT_CLAIM, NULL, "defaul/none"));
        assert_true(cycle_helps(&w.cache, template, failed, EVENT_VOLUME, NULL, NULL));
        assert_false(cycle_helps(&w.cache, template, failed, EVENT_POD_GONE, NULL, NULL));
        template_unref(w.templates, template);
        world_release(&w);
}

static int never(struct volume_cache *volumes, void *asked)
{
        (void)volumes;
        ++*(int *)asked;
        return 0;
}

static void *end_wait(void *context)
{
        struct volume_cache *volumes = context;
        size_t waits = 0;
        while (!waits) {
                volumes_pod_gone(volumes, "other");
                pthread_mutex_lock(&volumes->lock);
                waits = volumes->n_waits;
                pthread_mutex_unlock(&volumes->lock);
        }
        volumes_pod_gone(volumes, "p");
        return NULL;
}

static int is_there(struct volume_cache *volumes, void *key)
{
        return volumes_peek(volumes, STORAGE_CLASS, key) ? 7 : 0;
}

static void test_waiting(void **state)
{
        (void)state;
        struct world w;
        begin(&w);
        struct volume_cache *volumes = &w.cache.volumes;
        int asked = 0;
        assert_int_equal(volumes_wait(volumes, "p", cx_time_monotonic() + CX_NS_PER_S / 100, never, &asked),
                         -ETIMEDOUT);
        assert_true(asked >= 2);
        assert_int_equal(volumes_wait(volumes, "p", INT64_MAX, is_there, (void *)"made"), 7);
        pthread_t thread;
        pthread_create(&thread, NULL, end_wait, volumes);
        assert_int_equal(volumes_wait(volumes, "p", INT64_MAX, never, &asked), -ECANCELED);
        pthread_join(thread, NULL);
        assert_int_equal(volumes->n_waits, 0);
        volumes_stop(volumes);
        assert_int_equal(volumes_wait(volumes, "p", INT64_MAX, never, &asked), -ECANCELED);
        world_release(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_refusals), cmocka_unit_test(test_ephemeral),
                                           cmocka_unit_test(test_bound),    cmocka_unit_test(test_seeking),
                                           cmocka_unit_test(test_promises), cmocka_unit_test(test_one_pod),
                                           cmocka_unit_test(test_limits),   cmocka_unit_test(test_zones),
                                           cmocka_unit_test(test_hints),    cmocka_unit_test(test_waiting)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
