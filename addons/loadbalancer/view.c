// SPDX-License-Identifier: Apache-2.0
// Projections. A Lease whose annotations are not as cloud-controller-manager writes them is of no address.
#include "addons/loadbalancer/view.h"

#include "libcommon/format/json.h"

#define PREFIX "loadbalancer.coxswain.dev/"
#define EXCLUDED "node.kubernetes.io/exclude-from-external-load-balancers"

static const char *part(const json_t *object, const char *map, const char *name)
{
        const char *const path[] = {"metadata", map, name};
        return cx_str(json_string_value(cx_json_at(object, path, CX_ARRAY_SIZE(path))));
}

// --- Leases ---

static void take_local(const json_t *lease, struct cx_strings *to)
{
        const char *text = part(lease, "annotations", PREFIX "services");
        json_auto_t *uses = NULL;
        json_t *use;
        size_t i;
        if (cx_json_parse(text, strlen(text), true, &uses, NULL) < 0)
                return;
        json_array_foreach (uses, i, use)
                if (json_object_get(use, "local") && json_is_string(json_object_get(use, "service")))
                        cx_strings_add(to, json_string_value(json_object_get(use, "service")));
}

static void *project_lease(void *context CX_UNUSED, const json_t *lease)
{
        const char *kind = part(lease, "labels", PREFIX "kind");
        struct lease_view *view = cx_alloc(sizeof *view);
        view->of_address = strcmp(kind, "address") == 0 &&
                           cx_address_parse(part(lease, "annotations", PREFIX "address"), &view->address) == 0;
        view->of_member = strcmp(kind, "announcer") == 0;
        view->holder = cx_strdup(cx_json_string_or(lease, "spec.holderIdentity", ""));
        view->renewed = cx_strdup(cx_json_string_or(lease, "spec.renewTime", ""));
        view->transitions = cx_json_int(lease, "spec.leaseTransitions", 0);
        take_local(lease, &view->local);
        return view;
}

static void free_lease(void *projection)
{
        struct lease_view *view = projection;
        free(view->holder);
        free(view->renewed);
        cx_strings_release(&view->local);
        free(view);
}

struct cx_informer *view_leases(struct cx_informers *informers, const char *namespace)
{
        return cx_informers_add(informers,
                                &(struct cx_informer_options){.ref = {"coordination.k8s.io", "v1", "leases", namespace},
                                                              .label_selector = PREFIX "kind",
                                                              .drop_bytes = true,
                                                              .project = project_lease,
                                                              .free_projection = free_lease});
}

// --- the node ---

static void *project_node(void *context CX_UNUSED, const json_t *node)
{
        struct own_node_view *view = cx_alloc(sizeof *view);
        const json_t *ready = cx_json_find(cx_json_get(node, "status.conditions"), "type", "Ready"), *address;
        size_t i;
        view->excluded = json_object_get(cx_json_get(node, "metadata.labels"), EXCLUDED);
        view->ready = cx_streq(cx_json_string(ready, "status"), "True");
        json_array_foreach (cx_json_get(node, "status.addresses"), i, address)
                if (cx_streq(cx_json_string(address, "type"), "InternalIP"))
                        cx_strings_add(&view->addresses, cx_json_string_or(address, "address", ""));
        return view;
}

static void free_node(void *projection)
{
        struct own_node_view *view = projection;
        cx_strings_release(&view->addresses);
        free(view);
}

struct cx_informer *view_node(struct cx_informers *informers, const char *name)
{
        CX_CLEANUP(cx_freep) char *selector = cx_sprintf("metadata.name=%s", name);
        return cx_informers_add(informers, &(struct cx_informer_options){.ref = {"", "v1", "nodes"},
                                                                         .field_selector = selector,
                                                                         .drop_bytes = true,
                                                                         .project = project_node,
                                                                         .free_projection = free_node});
}

// --- EndpointSlices ---

static void *project_slice(void *context, const json_t *slice)
{
        struct slice_view *view = cx_alloc(sizeof *view);
        const json_t *endpoint;
        size_t i;
        json_array_foreach (cx_json_get(slice, "endpoints"), i, endpoint)
                view->here |= cx_streq(cx_json_string(endpoint, "nodeName"), context) &&
                              (cx_json_bool(endpoint, "conditions.ready", true) ||
                               cx_json_bool(endpoint, "conditions.serving", false));
        return view;
}

static void index_slice(void *context CX_UNUSED, const struct cx_object *slice, struct cx_strings *ret_keys)
{
        const char *service = cx_object_label(slice, "kubernetes.io/service-name");
        CX_CLEANUP(cx_freep) char *key = cx_sprintf("%s/%s", slice->namespace, cx_str(service));
        if (service)
                cx_strings_add(ret_keys, key);
}

struct cx_informer *view_slices(struct cx_informers *informers, const char *node)
{
        struct cx_informer *slices = cx_informers_add(
                informers, &(struct cx_informer_options){.ref = {"discovery.k8s.io", "v1", "endpointslices"},
                                                         .drop_bytes = true,
                                                         .project = project_slice,
                                                         .free_projection = free,
                                                         .context = (void *)node});
        cx_informer_add_index(slices, INDEX_SERVICE, index_slice, NULL);
        return slices;
}

bool slices_here(const struct cx_informer *slices, const char *service)
{
        CX_OBJECTS found = CX_OBJECTS_INIT;
        bool here = false;
        cx_informer_by_index(slices, INDEX_SERVICE, service, &found);
        for (size_t i = 0; i < found.count; i++)
                here |= ((const struct slice_view *)found.items[i]->projection)->here;
        return here;
}
