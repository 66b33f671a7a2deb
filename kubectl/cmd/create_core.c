// SPDX-License-Identifier: Apache-2.0
// create namespace, serviceaccount, quota, priorityclass, poddisruptionbudget and token.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/selector.h"
#include "libcommon/base/time.h"

// `create KIND NAME` without flags of its own: the object is all but its name.
static int create_named(struct ctl *ctl, int argc, char **argv, json_t *object_steal, struct cx_error *err)
{
        json_auto_t *object = object_steal;
        CREATE create = {0};
        const struct cx_flag flags[] = {CREATE_FLAGS(&create), {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        (void)cx_json_set(object, "metadata.name", json_string(args.items[0]));
        return ctl_create_object(ctl, &create, cx_steal(&object), err);
}

COMMAND(create_namespace)
{
        return create_named(ctl, argc, argv,
                            json_pack("{s:s,s:s,s:{},s:{},s:{}}", "apiVersion", "v1", "kind", "Namespace", "metadata",
                                      "spec", "status"),
                            err);
}

COMMAND(create_serviceaccount)
{
        return create_named(ctl, argc, argv,
                            json_pack("{s:s,s:s,s:{}}", "apiVersion", "v1", "kind", "ServiceAccount", "metadata"), err);
}

COMMAND(create_quota)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT, hard = CX_STRINGS_INIT, scopes = CX_STRINGS_INIT;
        const struct cx_flag flags[] = {CREATE_FLAGS(&create),
                                        {"hard", 0, CX_FLAG_CSV, &hard, "RESOURCE=QUANTITY pairs."},
                                        {"scopes", 0, CX_FLAG_CSV, &scopes, "Scopes of the quota."},
                                        {0}};
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        json_auto_t *limits = json_object(), *list = json_array();
        for (size_t i = 0; i < hard.count; i++) {
                char *equals = strchr(hard.items[i], '=');
                if (!equals)
                        return cx_error_set(err, -EINVAL, "Invalid argument syntax %s, expected <resource>=<value>",
                                            hard.items[i]);
                *equals = 0;
                json_object_set_new(limits, hard.items[i], json_string(equals + 1));
        }
        for (size_t i = 0; i < scopes.count; i++)
                json_array_append_new(list, json_string(scopes.items[i]));
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:{},s:{}}", "apiVersion", "v1", "kind", "ResourceQuota",
                                   "metadata", "name", args.items[0], "spec", "status");
        if (hard.count)
                (void)cx_json_set(object, "spec.hard", json_incref(limits));
        if (scopes.count)
                (void)cx_json_set(object, "spec.scopes", json_incref(list));
        return ctl_create_object(ctl, &create, object, err);
}

// A number, or text such as "50%".
static json_t *int_or_text(const char *text)
{
        int64_t number;
        return cx_parse_int(text, INT32_MIN, INT32_MAX, &number) == 0 ? json_integer(number) : json_string(text);
}

// Label selectors have no inequality of their own.
static int check_operators(const struct cx_selector *selector, struct cx_error *err)
{
        for (size_t i = 0; i < selector->count; i++) {
                enum cx_operator op = selector->requirements[i].op;
                if (op == CX_OP_NOT_EQUALS)
                        return cx_error_set(err, -EINVAL, "\"!=\" is not a valid label selector operator");
                if (op == CX_OP_GT || op == CX_OP_LT)
                        return cx_error_set(err, -EINVAL, "\"%s\" isn't supported in label selectors",
                                            op == CX_OP_GT ? "gt" : "lt");
        }
        return 0;
}

static json_t *label_selector(const struct cx_selector *selector)
{
        static const char *const names[] = {[CX_OP_IN] = "In",
                                            [CX_OP_NOT_IN] = "NotIn",
                                            [CX_OP_EXISTS] = "Exists",
                                            [CX_OP_NOT_EXISTS] = "DoesNotExist"};
        json_t *made = json_object();
        for (size_t i = 0; i < selector->count; i++) {
                const struct cx_requirement *r = &selector->requirements[i];
                if (r->op == CX_OP_EQUALS) {
                        json_object_set_new(cx_json_object_at(made, "matchLabels"), r->key, json_string(r->values[0]));
                        continue;
                }
                json_t *expression = json_pack("{s:s,s:s*}", "key", r->key, "operator",
                                               r->op < CX_ARRAY_SIZE(names) ? names[r->op] : NULL);
                for (size_t j = 0; j < r->n_values; j++)
                        json_array_append_new(cx_json_array_at(expression, "values"), json_string(r->values[j]));
                json_array_append_new(cx_json_array_at(made, "matchExpressions"), expression);
        }
        return made;
}

COMMAND(create_pdb)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_SELECTOR parsed = CX_SELECTOR_INIT;
        const char *minimum = NULL, *maximum = NULL, *selector = NULL;
        const struct cx_flag flags[] = {
                CREATE_FLAGS(&create),
                {"min-available", 0, CX_FLAG_STRING, &minimum,
                 "Pods that must stay available: a number or a percentage."},
                {"max-unavailable", 0, CX_FLAG_STRING, &maximum, "Pods that may be missing: a number or a percentage."},
                {"selector", 0, CX_FLAG_STRING, &selector, "Labels of the pods."},
                {0}};
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (!selector)
                return cx_error_set(err, -EINVAL, "a selector must be specified");
        if (!minimum && !maximum)
                return cx_error_set(err, -EINVAL, "one of min-available or max-unavailable must be specified");
        if (minimum && maximum)
                return cx_error_set(err, -EINVAL, "min-available and max-unavailable cannot be both specified");
        r = cx_selector_parse_labels(selector, &parsed, err);
        if (r == 0)
                r = check_operators(&parsed, err);
        if (r < 0)
                return r;
        json_auto_t *object = json_pack("{s:s,s:s,s:{s:s},s:{s:o},s:{s:i,s:i,s:i,s:i}}", "apiVersion", "policy/v1",
                                        "kind", "PodDisruptionBudget", "metadata", "name", args.items[0], "spec",
                                        minimum ? "minAvailable" : "maxUnavailable",
                                        int_or_text(minimum ? minimum : maximum), "status", "currentHealthy", 0,
                                        "desiredHealthy", 0, "disruptionsAllowed", 0, "expectedPods", 0);
        json_object_set_new(json_object_get(object, "spec"), "selector", label_selector(&parsed));
        return ctl_create_object(ctl, &create, json_incref(object), err);
}

COMMAND(create_priorityclass)
{
        CREATE create = {0};
        CX_STRINGS args = CX_STRINGS_INIT;
        int64_t value = 0;
        bool global = false;
        const char *description = NULL, *preemption = "PreemptLowerPriority";
        const struct cx_flag flags[] = {
                CREATE_FLAGS(&create),
                {"value", 0, CX_FLAG_INT, &value, "The priority.", NULL, NULL, INT32_MIN, INT32_MAX},
                {"global-default", 0, CX_FLAG_BOOL, &global, "The class of pods that name none."},
                {"description", 0, CX_FLAG_STRING, &description, "When to use the class."},
                {"preemption-policy", 0, CX_FLAG_STRING, &preemption, "PreemptLowerPriority or Never."},
                {0}};
        int r = create_begin(ctl, &create, flags, NULL, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        json_t *object = json_pack("{s:s,s:s,s:{s:s},s:I,s:s}", "apiVersion", "scheduling.k8s.io/v1", "kind",
                                   "PriorityClass", "metadata", "name", args.items[0], "value", (json_int_t)value,
                                   "preemptionPolicy", preemption);
        if (global)
                json_object_set_new(object, "globalDefault", json_true());
        if (description)
                json_object_set_new(object, "description", json_string(description));
        return ctl_create_object(ctl, &create, object, err);
}

static int check_token_flags(int64_t duration, const char *kind, const char *name, const char *uid,
                             struct cx_error *err)
{
        if (duration < 0)
                return cx_error_set(err, -EINVAL, "--duration must be greater than or equal to 0");
        if (!kind && name)
                return cx_error_set(err, -EINVAL,
                                    "--bound-object-name may only be set if --bound-object-kind is provided");
        if (!kind && uid)
                return cx_error_set(err, -EINVAL,
                                    "--bound-object-uid may only be set if --bound-object-kind is provided");
        if (!kind)
                return 0;
        if (strcmp(kind, "Pod") != 0 && strcmp(kind, "Secret") != 0 && strcmp(kind, "Node") != 0)
                return cx_error_set(err, -EINVAL, "supported --bound-object-kind values are Node, Pod, Secret");
        if (!name)
                return cx_error_set(err, -EINVAL, "--bound-object-name is required if --bound-object-kind is provided");
        return 0;
}

COMMAND(create_token)
{
        CX_STRINGS args = CX_STRINGS_INIT, audiences = CX_STRINGS_INIT;
        OUTPUT output = {0};
        int64_t duration = 0;
        const char *kind = NULL, *name = NULL, *uid = NULL;
        const struct cx_flag flags[] = {
                OUTPUT_FLAGS(&output),
                {"audience", 0, CX_FLAG_CSV, &audiences, "Audience of the token; may be repeated."},
                {"duration", 0, CX_FLAG_DURATION, &duration, "Lifetime of the token."},
                {"bound-object-kind", 0, CX_FLAG_STRING, &kind, "Kind of an object to bind the token to."},
                {"bound-object-name", 0, CX_FLAG_STRING, &name, "Name of the object."},
                {"bound-object-uid", 0, CX_FLAG_STRING, &uid, "UID of the object."},
                {0}};
        int r = output_begin(ctl, flags, argc, argv, &args, &output, NULL, NULL, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        if (args.count != 1)
                return ctl_usage_error(ctl, err, "exactly one NAME is required, got %zu", args.count);
        r = check_token_flags(duration, kind, name, uid, err);
        if (r < 0)
                return r;
        json_auto_t *request = json_pack("{s:s,s:s,s:{}}", "apiVersion", "authentication.k8s.io/v1", "kind",
                                         "TokenRequest", "spec"),
                    *answer = NULL;
        json_t *spec = json_object_get(request, "spec");
        for (size_t i = 0; i < audiences.count; i++)
                json_array_append_new(cx_json_array_at(spec, "audiences"), json_string(audiences.items[i]));
        if (duration)
                json_object_set_new(spec, "expirationSeconds", json_integer(duration / CX_NS_PER_S));
        if (kind) {
                json_t *bound = json_pack("{s:s,s:s,s:s}", "kind", kind, "apiVersion", "v1", "name", cx_str(name));
                if (uid)
                        json_object_set_new(bound, "uid", json_string(uid));
                json_object_set_new(spec, "boundObjectRef", bound);
        }
        CX_BUF path = CX_BUF_INIT, text = CX_BUF_INIT;
        cx_rest_path(&path,
                     CX_REF(.group = "", .version = "v1", .resource = "serviceaccounts", .namespace = ctl->namespace,
                            .name = args.items[0]),
                     "token");
        r = ctl_json(ctl, "POST", path.data, NULL, request, &answer, err);
        if (r < 0) {
                CX_ERROR local = CX_ERROR_INIT; // the server's reason is not shown
                cx_error_set(&local, r, "failed to create token: %s", cx_error_text(err));
                if (err)
                        cx_error_release(err);
                return cx_error_move(err, &local);
        }
        const char *token = cx_json_string(answer, "status.token");
        if (!token)
                return cx_error_set(err, -EPROTO, "failed to create token: no token in server response");
        if (output.form == OUTPUT_DEFAULT) {
                OUT(isatty(STDOUT_FILENO) ? "%s\n" : "%s", token); // a script wants the token alone
                return 0;
        }
        r = output_object(&output, answer, &text, err);
        fputs(text.data, stdout);
        return r;
}
