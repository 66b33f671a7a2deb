// SPDX-License-Identifier: Apache-2.0
// A budget is looked for by its selector, charged in its status, and only then is the pod told why it goes, and goes. What
// is not ready may go for nothing when the budget says so, and what has not begun or is over needs no budget: then the pod
// must still be as it was when that was found.
#include "apiserver/endpoints/eviction.h"

#include "apiserver/admission/admission.h"
#include "apiserver/registry/registry.h"
#include "apiserver/request/decode.h"
#include "apiserver/request/errors.h"
#include "apiserver/request/respond.h"
#include "libcommon/api/budget.h"
#include "libcommon/api/pod.h"
#include "libcommon/api/selector.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"

#define MAX_DISRUPTED 2000 // pods that a budget remembers
#define TRIES 20
#define PENDING_RETRY 10 // seconds until a budget has been looked at again

// Pods that are over, going, or have not begun serve nobody.
static bool needs_no_budget(const json_t *pod)
{
        return cx_pod_is_terminal(pod) || cx_pod_is_terminating(pod) || strcmp(cx_pod_phase(pod), "Pending") == 0;
}

// The pod's budget in *ret_name (owned; NULL: none). Two budgets are an error, as upstream has it.
static int find_budget(const struct scope *scope, const struct served_kind *budgets, const json_t *pod, char **ret_name,
                       struct cx_error *err)
{
        STORED_LIST list = {0};
        struct filter filter = {.namespace = scope->namespace};
        CX_CLEANUP(cx_freep) char *name = NULL;
        cache_list(budgets->cache, &filter, &list);
        for (size_t i = 0; i < list.count; i++) {
                json_auto_t *budget = stored_parse(list.items[i]);
                CX_SELECTOR selector = CX_SELECTOR_INIT;
                if (cx_selector_from_json(cx_json_get(budget, "spec.selector"), &selector, NULL) < 0 ||
                    !cx_selector_matches(&selector, cx_json_get(pod, "metadata.labels")))
                        continue;
                if (name)
                        return cx_error_reason(err, CX_REASON_INTERNAL,
                                               "This pod has more than one PodDisruptionBudget, which the eviction "
                                               "subresource does not support.");
                name = cx_strdup(list.items[i]->name);
        }
        *ret_name = cx_steal(&name);
        return 0;
}

static int refuse(struct cx_error *err, int retry_after)
{
        int r = cx_error_reason(err, CX_REASON_TOO_MANY_REQUESTS,
                                "Cannot evict pod as it would violate the pod's disruption budget.");
        err->retry_after = retry_after;
        return r;
}

static int refuse_for_now(const char *budget, struct cx_error *err)
{
        int r = refuse(err, PENDING_RETRY);
        cx_error_cause(err, "DisruptionBudget", NULL,
                       "The disruption budget %s is still being processed by the server.", budget);
        return r;
}

// Takes one allowance from the budget's status, in place.
static int take_allowance(json_t *budget, const char *pod, struct cx_error *err)
{
        json_t *status = cx_json_object_at(budget, "status");
        const char *name = cx_json_string(budget, "metadata.name");
        int64_t allowed = cx_json_int(status, "disruptionsAllowed", 0);
        if (cx_json_int(status, "observedGeneration", 0) < cx_json_int(budget, "metadata.generation", 0))
                return refuse_for_now(name, err);
        if (allowed < 0)
                return cx_error_reason(err, CX_REASON_FORBIDDEN,
                                       "poddisruptionbudget.policy \"%s\" is forbidden: pdb disruptions allowed is "
                                       "negative",
                                       name);
        if (cx_json_count(status, "disruptedPods") > MAX_DISRUPTED)
                return cx_error_reason(err, CX_REASON_FORBIDDEN,
                                       "poddisruptionbudget.policy \"%s\" is forbidden: DisruptedPods map too big - "
                                       "too many evictions not confirmed by PDB controller",
                                       name);
        if (allowed == 0) {
                int r = refuse(err, 0);
                cx_error_cause(err, "DisruptionBudget", NULL,
                               "The disruption budget %s needs %ld healthy pods and has %ld currently", name,
                               (long)cx_json_int(status, "desiredHealthy", 0),
                               (long)cx_json_int(status, "currentHealthy", 0));
                return r;
        }
        char now[CX_TIME_TEXT];
        cx_time_format(cx_time_now(), now);
        json_object_set_new(status, "disruptionsAllowed", json_integer(allowed - 1));
        if (allowed == 1)
                cx_budget_update_condition(status);
        json_object_set_new(cx_json_object_at(status, "disruptedPods"), pod, json_string(now));
        return 0;
}

// A pod that is not ready may go although the budget is spent, when the policy says so or enough others are well.
static bool may_go_unready(const json_t *budget, const json_t *pod)
{
        int64_t desired = cx_json_int(budget, "status.desiredHealthy", 0);
        if (cx_pod_is_ready(pod))
                return false;
        return cx_streq(cx_json_string(budget, "spec.unhealthyPodEvictionPolicy"), "AlwaysAllow") ||
               (desired > 0 && cx_json_int(budget, "status.currentHealthy", 0) >= desired);
}

struct charge {
        const json_t *pod;
        const char *name; // of the pod
        bool free;        // nothing was charged: the pod is not ready
};

static int charge_budget(void *context, const struct scope *scope CX_UNUSED, const json_t *current, json_t **ret_object,
                         struct cx_error *err)
{
        struct charge *charge = context;
        json_auto_t *budget = json_deep_copy(current);
        charge->free = may_go_unready(budget, charge->pod);
        int r = charge->free ? 0 : take_allowance(budget, charge->name, err);
        if (r == 0)
                *ret_object = cx_steal(&budget);
        return r;
}

// In one write that fails when somebody else was faster. ret_free: nothing had to be charged.
static int charge(const struct scope *scope, const struct served_kind *budgets, const char *name, const json_t *pod,
                  bool *ret_free, struct cx_error *err)
{
        struct scope status = scope_own(scope->api, budgets, scope->namespace, name);
        struct charge charge = {.pod = pod, .name = scope->name};
        struct change change = {.compute = charge_budget, .context = &charge, .fresh = true};
        STORED *stored = NULL;
        CX_ERROR why = CX_ERROR_INIT;
        status.subresource = "status";
        status.dry_run = scope->dry_run;
        int r = registry_update(&status, &change, &stored, NULL, &why);
        *ret_free = charge.free;
        if (cx_error_is(&why, CX_REASON_NOT_FOUND))
                return 0;
        if (cx_error_is(&why, CX_REASON_CONFLICT)) {
                r = cx_error_reason(err, CX_REASON_TIMEOUT,
                                    "couldn't update PodDisruptionBudget \"%s\" due to conflicts", name);
                err->retry_after = PENDING_RETRY;
                return r;
        }
        return r < 0 ? cx_error_move(err, &why) : 0;
}

static int add_condition(void *context, const struct scope *scope, const json_t *current, json_t **ret_object,
                         struct cx_error *err)
{
        const struct delete_options *options = context;
        char now[CX_TIME_TEXT];
        int r = delete_preconditions(scope, current, options, err);
        if (r < 0)
                return r;
        json_auto_t *pod = json_deep_copy(current);
        json_t *conditions = cx_json_array_at(cx_json_object_at(pod, "status"), "conditions");
        json_t *condition = cx_json_find(conditions, "type", "DisruptionTarget");
        cx_time_format(cx_time_now(), now);
        if (!condition)
                json_array_append_new(conditions, condition = json_pack("{s:s}", "type", "DisruptionTarget"));
        if (!cx_streq(cx_json_string(condition, "status"), "True")) {
                json_object_set_new(condition, "status", json_string("True"));
                json_object_set_new(condition, "lastTransitionTime", json_string(now));
        }
        json_object_set_new(condition, "reason", json_string("EvictionByEvictionAPI"));
        json_object_set_new(condition, "message", json_string("Eviction API: evicting"));
        *ret_object = cx_steal(&pod);
        return 0;
}

// Says why the pod goes, and deletes it if it is still as the preconditions say.
static int remove_pod(const struct scope *scope, const struct delete_options *options, struct cx_error *err)
{
        struct scope own = scope_own(scope->api, scope->kind, scope->namespace, scope->name);
        struct change change = {.compute = add_condition, .context = (void *)options, .fresh = true};
        struct delete_options now = *options;
        char version[24];
        STORED *told = NULL, *left = NULL;
        own.subresource = "status";
        if (!scope->dry_run) {
                int r = registry_update(&own, &change, &told, NULL, err);
                if (r < 0)
                        return r;
        }
        if (told && options->resource_version) {
                (void)snprintf(version, sizeof version, "%lld", (long long)told->revision);
                now.resource_version = version;
        }
        return registry_delete(scope, &now, &left, NULL, err);
}

// A pod that is looked at without a budget must not have become another meanwhile: it is looked at again then, unless
// the client had said which it means.
static int evict_once(const struct scope *scope, const struct served_kind *budgets,
                      const struct delete_options *options, bool *ret_again, struct cx_error *err)
{
        STORED *stored = NULL;
        CX_CLEANUP(cx_freep) char *budget = NULL;
        struct delete_options bound = *options;
        CX_ERROR why = CX_ERROR_INIT;
        bool free_of_charge = false;
        int r = scope_read(scope, &stored, err);
        if (r < 0)
                return r;
        json_auto_t *pod = stored_parse(stored);
        char *version = (char *)cx_json_string(pod, "metadata.resourceVersion");
        bool unbudgeted = needs_no_budget(pod);
        if (!unbudgeted)
                r = find_budget(scope, budgets, pod, &budget, err);
        if (r == 0 && budget)
                r = charge(scope, budgets, budget, pod, &free_of_charge, err);
        if (r < 0)
                return r;
        bool pending = unbudgeted && !cx_pod_is_terminal(pod) && !cx_pod_is_terminating(pod);
        bool binds = !options->resource_version && (pending || free_of_charge);
        if (binds)
                bound.resource_version = version;
        r = remove_pod(scope, &bound, &why);
        *ret_again = binds && pending && cx_error_is(&why, CX_REASON_CONFLICT);
        if (binds && free_of_charge && cx_error_is(&why, CX_REASON_CONFLICT))
                return refuse_for_now(budget, err);
        return r < 0 ? cx_error_move(err, &why) : 0;
}

static int evict(const struct scope *as_asked, json_t *eviction, struct cx_error *err)
{
        const struct served_kind *budgets = builtin(as_asked->api, "policy", "v1", "poddisruptionbudgets");
        const char *name = cx_json_string_or(eviction, "metadata.name", "");
        struct scope scope = *as_asked;
        CX_CLEANUP(delete_options_release) struct delete_options options = DELETE_OPTIONS_INIT;
        if (*name && strcmp(name, scope.name) != 0)
                return cx_error_reason(err, CX_REASON_BAD_REQUEST,
                                       "name in URL does not match name in Eviction object");
        struct admission_request admission = {.scope = &scope, .operation = ADMIT_CREATE, .object = eviction};
        int r = store_sync(scope.api->store, err); // budgets are looked for in the cache
        STORED *stored = r == 0 ? scope_find(&scope) : NULL;
        if (r == 0 && !stored)
                r = object_not_found(scope.resource, scope.name, err);
        if (r == 0)
                r = admit(&admission, err);
        if (r == 0)
                r = delete_options_from(json_object_get(eviction, "deleteOptions"), &options, err);
        if (r < 0)
                return r;
        scope.subresource = NULL;
        scope.dry_run |= options.dry_run;
        options.admitted = true;
        bool again = true;
        for (int i = 0; i < TRIES && again; i++) {
                cx_error_release(err);
                r = evict_once(&scope, budgets, &options, &again, err);
        }
        return r;
}

void serve_eviction(struct call *call)
{
        CX_ERROR err = CX_ERROR_INIT;
        json_auto_t *body = NULL;
        int r = decode_body(call, cx_schema_kind("policy", "v1", "Eviction"), &body, &err);
        if (r == 0)
                r = evict(&call->scope, body, &err);
        if (r < 0)
                respond_error(call, &err);
        else
                respond_object(call, 201, cx_status_success(NULL, NULL, NULL, NULL));
}
