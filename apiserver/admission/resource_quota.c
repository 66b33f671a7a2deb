// SPDX-License-Identifier: Apache-2.0
// ResourceQuota: what an object uses is charged to the status of every quota of its namespace that takes it in, in the
// transaction that writes the object. So nothing is used that was not charged, nothing is charged that was not written,
// and who changes a quota's status at the revision that it has seen (the controller, which counts) knows of every object
// that was charged before.
//
// A quota whose usage was not counted yet limits nothing. It is written as it is all the same: who is counting must
// learn that there is one more.
#include "apiserver/admission/plugin.h"
#include "libcommon/api/quota.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

struct demand {
        const struct admission_request *request;
        struct cx_quota_kind kind;
        struct cx_resource_list usage, increase; // of the object; over what the old one uses
};

static void demand_release(struct demand *demand)
{
        cx_resource_list_release(&demand->usage);
        cx_resource_list_release(&demand->increase);
}

static void measure(const struct admission_request *request, struct demand *ret_demand)
{
        const struct cx_resource *resource = request->scope->resource;
        int64_t now = cx_time_now();
        CX_RESOURCE_LIST before = {0};
        *ret_demand =
                (struct demand){.request = request, .kind = cx_quota_kind_make(resource->group, resource->resource)};
        cx_quota_usage(&ret_demand->kind, request->object, now, &ret_demand->usage);
        cx_resource_list_add(&ret_demand->increase, &ret_demand->usage);
        if (!request->old)
                return;
        cx_quota_usage(&ret_demand->kind, request->old, now, &before);
        for (size_t i = 0; i < ret_demand->increase.count; i++) {
                struct cx_resource_amount *amount = &ret_demand->increase.items[i];
                const struct cx_quantity *old = cx_resource_list_get(&before, amount->name);
                if (old)
                        cx_quantity_subtract(&amount->amount, old);
                if (amount->amount.nano < 0)
                        amount->amount.nano = 0;
        }
}

// "a=1,b=2" of the names; `values` is a map of quantities or a list.
static void print(struct cx_buf *to, const struct cx_strings *names, const json_t *map,
                  const struct cx_resource_list *list)
{
        for (size_t i = 0; i < names->count; i++) {
                struct cx_quantity amount = {0};
                char text[CX_QUANTITY_TEXT];
                if (list)
                        amount = *cx_resource_list_get(list, names->items[i]);
                else
                        (void)!cx_quantity_from_json(json_object_get(map, names->items[i]), &amount);
                cx_quantity_format(&amount, text);
                cx_buf_printf(to, "%s%s=%s", i ? "," : "", names->items[i], text);
        }
}

static int exceeded(const struct demand *demand, const json_t *quota, struct cx_strings *names,
                    const struct cx_resource_list *increase, struct cx_error *err)
{
        CX_BUF why = CX_BUF_INIT;
        cx_strings_sort(names);
        cx_buf_printf(&why, "exceeded quota: %s, requested: ", cx_json_string(quota, "metadata.name"));
        print(&why, names, NULL, increase);
        cx_buf_add(&why, ", used: ");
        print(&why, names, cx_json_get(quota, "status.used"), NULL);
        cx_buf_add(&why, ", limited: ");
        print(&why, names, cx_json_get(quota, "status.hard"), NULL);
        return admission_forbid(demand->request, why.data, err);
}

// Names of a map of limits that concern the kind.
static void concerned(const struct demand *demand, const json_t *hard, struct cx_strings *ret_names)
{
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)hard, name, value)
                if (cx_quota_concerns(&demand->kind, name))
                        cx_strings_add(ret_names, name);
}

static int check_known(const struct demand *demand, const json_t *quota, struct cx_strings *names, struct cx_error *err)
{
        const json_t *hard = cx_json_get(quota, "status.hard"), *used = cx_json_get(quota, "status.used");
        const char *quota_name = cx_json_string(quota, "metadata.name");
        CX_CLEANUP(cx_freep) char *unspecified = cx_quota_unspecified(&demand->kind, hard, demand->request->object);
        CX_CLEANUP(cx_freep) char *why = NULL;
        if (unspecified) {
                why = cx_sprintf("failed quota: %s: %s", quota_name, unspecified);
                return admission_forbid(demand->request, why, err);
        }
        for (size_t i = 0; i < names->count; i++)
                if (!json_object_get(used, names->items[i])) {
                        cx_strings_sort(names);
                        CX_CLEANUP(cx_freep) char *all = cx_strings_join(names, ",");
                        why = cx_sprintf("status unknown for quota: %s, resources: %s", quota_name, all);
                        return admission_forbid(demand->request, why, err);
                }
        return 0;
}

// Puts what is asked for on top of what is used. 1: something has changed.
static int add_to_used(const struct demand *demand, json_t *quota, const struct cx_strings *names, struct cx_error *err)
{
        const struct admission_request *request = demand->request;
        const json_t *hard = cx_json_get(quota, "status.hard");
        json_t *used = cx_json_get(quota, "status.used");
        bool more = request->old && cx_quota_takes(&demand->kind, json_object_get(quota, "spec"), request->old);
        const struct cx_resource_list *increase = more ? &demand->increase : &demand->usage;
        json_auto_t *sums = json_object();
        CX_STRINGS over = CX_STRINGS_INIT;
        for (size_t i = 0; i < names->count; i++) {
                const char *name = names->items[i];
                const struct cx_quantity *asked = cx_resource_list_get(increase, name);
                struct cx_quantity limit = {0};
                char text[CX_QUANTITY_TEXT];
                if (!asked || asked->nano == 0)
                        continue;
                CX_RESOURCE_LIST sum = {0};
                struct cx_resource_amount one = {(char *)name, *asked};
                json_auto_t *own = json_pack("{s:O}", name, json_object_get(used, name));
                cx_resource_list_add_json(&sum, own);
                cx_resource_list_add(&sum, &(struct cx_resource_list){&one, 1});
                (void)!cx_quantity_from_json(json_object_get(hard, name), &limit);
                if (cx_quantity_compare(cx_resource_list_get(&sum, name), &limit) > 0)
                        cx_strings_add(&over, name);
                cx_quantity_format(cx_resource_list_get(&sum, name), text);
                json_object_set_new(sums, name, json_string(text));
        }
        // What a resizer reports has happened already.
        if (over.count && !request->scope->subresource)
                return exceeded(demand, quota, &over, increase, err);
        json_object_update(used, sums);
        return json_object_size(sums) > 0;
}

// What becomes of a quota, in place. 1: it is to be written.
static int charge_quota(const struct demand *demand, json_t *quota, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT, uncounted = CX_STRINGS_INIT;
        const json_t *spec = json_object_get(quota, "spec");
        if (!cx_quota_takes(&demand->kind, spec, demand->request->object))
                return 0;
        concerned(demand, cx_json_get(quota, "status.hard"), &names);
        concerned(demand, json_object_get(spec, "hard"), &uncounted);
        bool unknown = false;
        for (size_t i = 0; i < uncounted.count; i++)
                unknown = unknown || !cx_strings_has(&names, uncounted.items[i]);
        if (!names.count)
                return unknown;
        int r = check_known(demand, quota, &names, err);
        if (r == 0)
                r = add_to_used(demand, quota, &names, err);
        return r < 0 ? r : r || unknown;
}

static int add_charge(const struct demand *demand, const struct stored *stored, struct admission_charges *charges,
                      struct cx_error *err)
{
        const struct scope *scope = demand->request->scope;
        const struct served_kind *quotas = builtin(scope->api, "", "v1", "resourcequotas");
        json_auto_t *before = stored_parse(stored), *quota = json_deep_copy(before);
        int r = charge_quota(demand, quota, err);
        if (r <= 0)
                return r;
        if (charges->count == CX_ARRAY_SIZE(charges->items))
                return cx_error_reason(err, CX_REASON_INTERNAL, "more than %zu quotas count %s in namespace %s",
                                       charges->count, scope->resource->resource, scope->namespace);
        charges->items[charges->count++] =
                (struct admission_charge){.write = {.place = {quotas->cache, scope->namespace,
                                                              cx_json_string(quota, "metadata.name"), stored->revision},
                                                    .object = quota},
                                          .object = cx_steal(&quota),
                                          .before = cx_steal(&before),
                                          .kind = quotas};
        return 0;
}

static int charge_all(const struct demand *demand, const struct stored_list *quotas, struct admission_charges *charges,
                      struct cx_error *err)
{
        int r = 0;
        for (size_t i = 0; i < quotas->count && r == 0; i++) {
                if (quotas->items[i]->revision > charges->newest)
                        charges->newest = quotas->items[i]->revision;
                r = add_charge(demand, quotas->items[i], charges, err);
        }
        return r;
}

static bool is_measured(const struct admission_request *request)
{
        const struct cx_resource *resource = request->scope->resource;
        return resource->namespaced && strcmp(resource->resource, "events") != 0;
}

static int charge(const struct admission_request *request, bool fresh, struct admission_charges *charges,
                  struct cx_error *err)
{
        struct store *store = request->scope->api->store;
        struct cache *cache = builtin(request->scope->api, "", "v1", "resourcequotas")->cache;
        const struct filter filter = {.namespace = request->scope->namespace};
        STORED_LIST present = {0}, quotas = {0};
        CX_CLEANUP(demand_release) struct demand demand = {0};
        CX_ERROR why = CX_ERROR_INIT;
        if (!is_measured(request))
                return 0;
        charges->accounts = cache;
        if (fresh && store_sync(store, err) < 0)
                return err ? err->code : -EIO;
        cache_list(cache, &filter, &present);
        if (!present.count)
                return 0;
        admission_charges_hold(charges, request->scope);
        cache_list(cache, &filter, &quotas); // as the one before has left them
        measure(request, &demand);
        int r = charge_all(&demand, &quotas, charges, &why);
        if (r < 0 && !fresh) { // the cache may be behind: nobody is refused for what was
                admission_charges_release(charges);
                return charge(request, true, charges, err);
        }
        return r < 0 ? cx_error_move(err, &why) : 0;
}

static const struct admission_want wants[] = {{ADMIT_CREATE, "*", "*", ""},
                                              {ADMIT_UPDATE, "", "services", ""},
                                              {ADMIT_UPDATE, "", "persistentvolumeclaims", ""},
                                              {ADMIT_UPDATE, "", "persistentvolumeclaims", "status"},
                                              {ADMIT_UPDATE, "", "pods", "resize"},
                                              {ADMIT_UPDATE, "resource.k8s.io", "resourceclaims", ""},
                                              {0}};
const struct admission_plugin admission_resource_quota = {.name = "ResourceQuota", .wants = wants, .charge = charge};
