// SPDX-License-Identifier: Apache-2.0
// Deletion of namespaces: everything inside is deleted, the pods first, then resource by resource of what the API server
// serves at that moment; when nothing is left, the finalizer goes and with it the namespace.
#include "controller-manager/core/discovery.h"
#include "controller-manager/pods/pods.h"
#include "libcommon/base/map.h"

struct namespaces {
        struct manager *manager;
        struct cx_workqueue *queue;
        struct cx_informer *namespaces, *pods;
};

static void on_pod(void *context, const struct cx_object *old, const struct cx_object *now)
{
        struct namespaces *self = context;
        if (now)
                return;
        CX_OBJECT *namespace = cx_informer_get(self->namespaces, NULL, old->namespace);
        if (namespace && namespace->deleted) // often the last thing that a namespace waits for
                cx_workqueue_add(self->queue, old->namespace);
}

static void *init(struct manager *manager, struct cx_workqueue *queue)
{
        struct namespaces *self = cx_alloc(sizeof *self);
        self->manager = manager;
        self->queue = queue;
        self->namespaces = manager_informer(manager, "", "namespaces");
        self->pods = pods_informer(manager);
        manager_enqueue_all(self->namespaces, queue);
        cx_informer_on_event(self->pods, on_pod, self);
        return self;
}

static int list_names(struct namespaces *self, const struct cx_ref *ref, json_t **ret_list, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        cx_rest_path(&path, ref, NULL);
        cx_rest_query(&path, "limit", "200");
        CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
        int r = cx_rest_do(
                self->manager->rest,
                &(struct cx_rest_call){
                        .path = path.data,
                        .accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"},
                &reply, err);
        return r < 0 ? r : cx_json_parse(reply.body.data, reply.body.length, false, ret_list, err);
}

struct remains {
        char *unknown; // why not all kinds are known; owned
        struct cx_strings content;
        struct cx_map finalizers; // name -> how many objects have it
        size_t count;
};

// Deletes what a resource has in the namespace and notes what will take time.
static int empty_resource(struct namespaces *self, const char *namespace, const struct discovered *resource,
                          struct remains *remains, struct cx_error *err)
{
        const struct cx_ref *ref = CX_REF(resource->group, resource->version, resource->resource, namespace);
        json_auto_t *list = NULL;
        int r = list_names(self, ref, &list, err);
        if (r == 0 && json_array_size(json_object_get(list, "items"))) {
                struct cx_delete_options options = {.grace = -1, .propagation = "Background"};
                r = cx_rest_delete_collection(self->manager->rest, ref, NULL, &options, err);
                json_decref(list);
                list = NULL;
                if (r == 0)
                        r = list_names(self, ref, &list, err);
        }
        if (r < 0 && (cx_error_is(err, CX_REASON_NOT_FOUND) || cx_error_is(err, CX_REASON_METHOD_NOT_ALLOWED))) {
                cx_error_release(err); // not served here
                return 0;
        }
        if (r < 0)
                return r;
        size_t n = json_array_size(json_object_get(list, "items")), i, j;
        const json_t *item, *finalizer;
        json_array_foreach (json_object_get(list, "items"), i, item)
                json_array_foreach (cx_json_get(item, "metadata.finalizers"), j, finalizer) {
                        const char *name = cx_str(json_string_value(finalizer));
                        uintptr_t count = (uintptr_t)cx_map_get(&remains->finalizers, name);
                        cx_map_set(&remains->finalizers, name, (void *)(count + 1));
                }
        if (n) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("%s.%s has %zu resource instances", resource->resource, resource->group, n);
                cx_strings_add(&remains->content, text);
        }
        remains->count += n;
        return 0;
}

static json_t *condition(const char *type, bool value, const char *reason, const char *message)
{
        return json_pack("{s:s, s:s, s:o, s:s, s:s}", "type", type, "status", value ? "True" : "False",
                         "lastTransitionTime", json_now(), "reason", reason, "message", message);
}

static char *sentence(const char *start, struct cx_strings *parts)
{
        cx_strings_sort(parts);
        CX_CLEANUP(cx_freep) char *list = cx_strings_join(parts, ", ");
        return cx_sprintf("%s: %s", start, list);
}

// The conditions that say what is left.
static json_t *make_conditions(struct remains *remains, const char *failure)
{
        CX_CLEANUP(cx_freep) char *content = sentence("Some resources are remaining", &remains->content);
        CX_STRINGS held = CX_STRINGS_INIT;
        CX_MAP_FOREACH (&remains->finalizers, entry) {
                CX_CLEANUP(cx_freep)
                char *text = cx_sprintf("%s in %zu resource instances", entry->key, (size_t)(uintptr_t)entry->value);
                cx_strings_add(&held, text);
        }
        CX_CLEANUP(cx_freep)
        char *finalizers = sentence("Some content in the namespace has finalizers remaining", &held);
        const struct {
                const char *type;
                bool value;
                const char *reasons[2], *messages[2]; // when false, when true
        } table[] = {
                {"NamespaceDeletionDiscoveryFailure",
                 remains->unknown,
                 {"ResourcesDiscovered", "DiscoveryFailed"},
                 {"All resources successfully discovered", remains->unknown}},
                {"NamespaceDeletionGroupVersionParsingFailure",
                 false,
                 {"ParsedGroupVersions"},
                 {"All legacy kube types successfully parsed"}},
                {"NamespaceDeletionContentFailure",
                 failure != NULL,
                 {"ContentDeleted", "ContentDeletionFailed"},
                 {"All content successfully deleted, may be waiting on finalization", failure}},
                {"NamespaceContentRemaining",
                 remains->count > 0,
                 {"ContentRemoved", "SomeResourcesRemain"},
                 {"All content successfully removed", content}},
                {"NamespaceFinalizersRemaining",
                 held.count > 0,
                 {"ContentHasNoFinalizers", "SomeFinalizersRemain"},
                 {"All content-preserving finalizers finished", finalizers}},
        };
        json_t *conditions = json_array();
        for (size_t i = 0; i < CX_ARRAY_SIZE(table); i++)
                json_array_append_new(conditions,
                                      condition(table[i].type, table[i].value, table[i].reasons[table[i].value],
                                                table[i].messages[table[i].value]));
        return conditions;
}

static int report(struct namespaces *self, json_t *namespace, struct remains *remains, const char *failure,
                  struct cx_error *err)
{
        json_auto_t *conditions = make_conditions(remains, failure);
        size_t i;
        json_t *fresh;
        bool changed = false;
        json_array_foreach (conditions, i, fresh) {
                const json_t *old = find_condition(namespace, cx_json_string(fresh, "type"));
                bool same = old && cx_streq(cx_json_string(old, "status"), cx_json_string(fresh, "status")) &&
                            cx_streq(cx_json_string(old, "message"), cx_json_string(fresh, "message"));
                if (same)
                        json_array_set_new(conditions, i, json_deep_copy(old));
                changed = changed || !same;
        }
        if (!changed)
                return 0;
        json_object_set(cx_json_object_at(namespace, "status"), "conditions", conditions);
        json_object_set_new(namespace, "apiVersion", json_string("v1"));
        json_object_set_new(namespace, "kind", json_string("Namespace"));
        return cx_rest_update_status(self->manager->rest,
                                     CX_REF("", "v1", "namespaces", NULL, cx_json_string(namespace, "metadata.name")),
                                     namespace, NULL, err);
}

static int finalize(struct namespaces *self, json_t *namespace, struct cx_error *err)
{
        json_t *finalizers = cx_json_get(namespace, "spec.finalizers");
        for (size_t i = json_array_size(finalizers); i-- > 0;)
                if (cx_streq(json_string_value(json_array_get(finalizers, i)), "kubernetes"))
                        json_array_remove(finalizers, i);
        json_object_set_new(namespace, "apiVersion", json_string("v1"));
        json_object_set_new(namespace, "kind", json_string("Namespace"));
        int r = cx_rest_update_sub(self->manager->rest,
                                   CX_REF("", "v1", "namespaces", NULL, cx_json_string(namespace, "metadata.name")),
                                   "finalize", namespace, NULL, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        return r;
}

static void empty_one(struct namespaces *self, const char *name, const struct discovered *resource,
                      struct remains *remains, struct cx_strings *failures)
{
        CX_ERROR err = CX_ERROR_INIT;
        if (empty_resource(self, name, resource, remains, &err) < 0)
                cx_strings_add(failures, cx_error_text(&err));
}

// Pods go first, and nothing else before the last of them has gone: they may still use it while they end.
static void empty_all(struct namespaces *self, const char *name, struct remains *remains, struct cx_strings *failures)
{
        static const unsigned needed = CX_VERB_LIST | CX_VERB_DELETE_COLLECTION;
        DISCOVERY served = {0};
        CX_ERROR err = CX_ERROR_INIT;
        if (discovery_fetch(self->manager->rest, &served, &err) < 0) {
                remains->unknown = cx_strdup(cx_error_text(&err));
                return;
        }
        remains->unknown = discovery_failure(&served);
        const struct discovered *pods = discovery_find(&served, "", "pods");
        if (pods)
                empty_one(self, name, pods, remains, failures);
        if (remains->count || failures->count)
                return;
        for (size_t i = 0; i < served.count; i++) {
                const struct discovered *resource = &served.items[i];
                if (resource->namespaced && (resource->verbs & needed) == needed && resource != pods)
                        empty_one(self, name, resource, remains, failures);
        }
}

static int empty_namespace(struct namespaces *self, json_t *namespace, int64_t *retry_after, struct cx_error *err)
{
        const char *name = cx_json_string(namespace, "metadata.name");
        struct remains remains = {0};
        CX_STRINGS failures = CX_STRINGS_INIT;
        empty_all(self, name, &remains, &failures);
        int r;
        if (!remains.count && !failures.count && !remains.unknown) {
                r = finalize(self, namespace, err);
        } else {
                CX_CLEANUP(cx_freep)
                char *start = cx_sprintf("Failed to delete all resource types, %zu remaining", failures.count);
                CX_CLEANUP(cx_freep) char *failure = sentence(start, &failures);
                r = report(self, namespace, &remains, failures.count ? failure : NULL, err);
                if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                        cx_error_release(err);
                        r = 0;
                }
                *retry_after = remains.count > 50 ? 5 * CX_NS_PER_S : CX_NS_PER_S;
        }
        cx_strings_release(&remains.content);
        cx_map_release(&remains.finalizers);
        free(remains.unknown);
        return r;
}

static int reconcile(void *context, const char *key, int64_t *retry_after, struct cx_error *err)
{
        struct namespaces *self = context;
        CX_OBJECT *object = cx_informer_get_key(self->namespaces, key);
        if (!object || !object->deleted)
                return 0;
        json_auto_t *namespace = NULL; // as it is now: another try may have finished it
        int r = cx_rest_get(self->manager->rest, CX_REF("", "v1", "namespaces", NULL, key), &namespace, err);
        if (r < 0 && cx_error_is(err, CX_REASON_NOT_FOUND)) {
                cx_error_release(err);
                return 0;
        }
        if (r < 0)
                return r;
        bool ours = false;
        size_t i;
        json_t *finalizer;
        json_array_foreach (cx_json_get(namespace, "spec.finalizers"), i, finalizer)
                ours = ours || cx_streq(json_string_value(finalizer), "kubernetes");
        if (!ours || !cx_streq(cx_json_string(namespace, "metadata.uid"), object->uid))
                return 0;
        return empty_namespace(self, namespace, retry_after, err);
}

const struct controller namespace_controller = {.name = "namespace-controller",
                                                .account = "namespace-controller",
                                                .workers = 5,
                                                .init = init,
                                                .reconcile = reconcile,
                                                .free = free};
