// SPDX-License-Identifier: Apache-2.0
// The run functions of the command table, and what several of them share.
#pragma once

#include "kubectl/printer/output.h"

#define COMMAND(name) int cmd_##name(struct ctl *ctl, int argc, char **argv, struct cx_error *err)
COMMAND(get);
COMMAND(describe);
COMMAND(apply);
COMMAND(apply_view_last);
COMMAND(apply_set_last);
COMMAND(apply_edit_last);
COMMAND(diff);
COMMAND(why);
COMMAND(tree);
COMMAND(kustomize);
COMMAND(certificate_approve);
COMMAND(certificate_deny);
COMMAND(cluster_info_dump);
COMMAND(plugin_list);
COMMAND(completion);
COMMAND(set_subject);
COMMAND(create);
COMMAND(replace);
COMMAND(delete);
COMMAND(logs);
COMMAND(exec);
COMMAND(attach);
COMMAND(port_forward);
COMMAND(cp);
COMMAND(proxy);
COMMAND(debug);
COMMAND(top_node);
COMMAND(top_pod);

COMMAND(scale);
COMMAND(autoscale);
COMMAND(expose);
COMMAND(run);
COMMAND(set_image);
COMMAND(set_env);
COMMAND(set_resources);
COMMAND(set_serviceaccount);
COMMAND(set_selector);
COMMAND(rollout_status);
COMMAND(rollout_history);
COMMAND(rollout_undo);
COMMAND(rollout_restart);
COMMAND(rollout_pause);
COMMAND(rollout_resume);
COMMAND(label);
COMMAND(annotate);
COMMAND(patch);
COMMAND(edit);
COMMAND(wait);
COMMAND(api_resources);
COMMAND(api_versions);
COMMAND(explain);
COMMAND(version);
COMMAND(cluster_info);
COMMAND(options);
COMMAND(cordon);
COMMAND(uncordon);
COMMAND(drain);
COMMAND(taint);
COMMAND(events);
COMMAND(auth_can_i);
COMMAND(auth_whoami);
COMMAND(config_view);
COMMAND(config_get_contexts);
COMMAND(config_current_context);
COMMAND(config_use_context);
COMMAND(config_set_context);
COMMAND(config_set_cluster);
COMMAND(config_set_credentials);
COMMAND(config_delete_context);
COMMAND(config_delete_cluster);
COMMAND(config_delete_user);
COMMAND(config_rename_context);
COMMAND(config_get_clusters);
COMMAND(config_get_users);
COMMAND(config_unset);
COMMAND(config_set);
COMMAND(create_deployment);
COMMAND(create_namespace);
COMMAND(create_configmap);
COMMAND(create_secret_generic);
COMMAND(create_secret_tls);
COMMAND(create_secret_registry);
COMMAND(create_service_clusterip);
COMMAND(create_service_nodeport);
COMMAND(create_service_loadbalancer);
COMMAND(create_service_externalname);
COMMAND(create_serviceaccount);
COMMAND(create_role);
COMMAND(create_clusterrole);
COMMAND(create_rolebinding);
COMMAND(create_clusterrolebinding);
COMMAND(create_job);
COMMAND(create_cronjob);
COMMAND(create_token);
COMMAND(create_quota);
COMMAND(create_pdb);
COMMAND(create_ingress);
COMMAND(create_priorityclass);
extern const struct command create_commands[], config_commands[];

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define CHANGE_CAUSE "kubernetes.io/change-cause"

// --- apply.c
// The object's text for the last-applied annotation: sorted keys, without the annotation itself. Owned.
char *apply_annotation(const json_t *object);
// The patch of `kubectl apply`; {} when nothing is to be changed. `schema` NULL: a merge patch.
int apply_patch(const struct cx_resource *schema, const json_t *original, const json_t *modified, const json_t *current,
                json_t **ret_patch, struct cx_error *err) CX_CHECK;

// --- create.c
struct create {
        struct output output;
        const char *dry_run, *manager, *validate;
        const char *operation; // the word for what was done; NULL: "created"
        bool save_config;
        int mode;
};
// Of commands that make an object, and of those that send what a file says.
#define MAKE_FLAGS(c)                                                                                                  \
        OUTPUT_FLAGS(&(c)->output), DRY_RUN_FLAG(&(c)->dry_run),                                                       \
                {"field-manager", 0, CX_FLAG_STRING, &(c)->manager, "Name of the manager of the fields."},             \
        {                                                                                                              \
                "save-config", 0, CX_FLAG_BOOL, &(c)->save_config, "Keep the configuration in an annotation."          \
        }
#define VALIDATE_FLAG(target)                                                                                          \
        {                                                                                                              \
                "validate", 0, CX_FLAG_STRING, (target), "Field validation by the server: strict, warn or ignore.",    \
                        "strict"                                                                                       \
        }
#define CREATE_FLAGS(c) MAKE_FLAGS(c), VALIDATE_FLAG(&(c)->validate)
void create_release(struct create *create);
#define CREATE CX_CLEANUP(create_release) struct create
// Parses --output and --dry-run.
int create_prepare(struct ctl *ctl, struct create *create, struct cx_error *err) CX_CHECK;
// A flag that must be given. Its target is a string or a list.
struct required {
        const char *flag;
        const char *const *text;
        const struct cx_strings *list;
};
// How every `create THING NAME` begins: parses the flags, looks for those required (up to an entry without a flag; may be
// NULL), wants exactly one name (before the "--", when `ret_dash` is not NULL), and prepares.
int create_begin(struct ctl *ctl, struct create *create, const struct cx_flag *flags, const struct required *required,
                 int argc, char **argv, struct cx_strings *args, int *ret_dash, struct cx_error *err) CX_CHECK;
// The words after "--", as a new array.
json_t *words_after(const struct cx_strings *args, int dash);
json_t *strings_json(const struct cx_strings *list); // new array
// Sends (or only prints) a new object and prints the result. Consumes `object`.
int ctl_create_object(struct ctl *ctl, struct create *create, json_t *object_steal, struct cx_error *err) CX_CHECK;
int create_info(struct ctl *ctl, struct create *create, struct info *info, struct cx_error *err) CX_CHECK;
const char *field_validation(const char *flag);                        // the query parameter
bool validates(const char *flag);                                      // whether files are looked through before
int check_validation(const char *flag, struct cx_error *err) CX_CHECK; // of --validate

// --- delete.c
struct deletion {
        int64_t grace, timeout; // seconds (-1: default); ns (0: for as long as it takes)
        const char *cascade;
        bool force, now, wait, ignore_not_found, quiet_output, name_output;
        int dry_run;
};
int delete_infos(struct ctl *ctl, struct infos *infos, const struct deletion *how, struct cx_error *err) CX_CHECK;

// --- exec.c
// Attaches to a container; its output goes to ours. Sets ctl->status.
int attach_pod(struct ctl *ctl, const json_t *pod, const char *container, bool in, bool tty, bool quiet,
               struct cx_error *err) CX_CHECK;

// --- logs.c
// Writes all that a container has said, and goes on until it ends.
int follow_logs(struct ctl *ctl, const json_t *pod, const char *container, struct cx_error *err) CX_CHECK;

// --- expose.c
int parse_map(const char *text, json_t **ret_map, struct cx_error *err) CX_CHECK; // "a=b,c=d"

// --- wait.c
// Watches one object by name until `done` says so. `done` gets NULL when the object is gone; positive: done; negative:
// failed. ns; timeout < 0: none. -ETIMEDOUT without an error set.
int watch_object(struct ctl *ctl, const struct info *info, int64_t timeout,
                 int (*done)(void *context, const json_t *object, struct cx_error *err), void *context,
                 struct cx_error *err) CX_CHECK;

// --- pods.c: pods behind a name
// The pod that TYPE/NAME (a pod, or what has pods by a selector) stands for; new reference. Waits for none to appear.
int pod_of(struct ctl *ctl, const char *word, int64_t timeout, json_t **ret_pod, struct cx_error *err) CX_CHECK;
// The same, with the object itself; new references, the object's also when there is no pod.
int pod_behind(struct ctl *ctl, const char *word, int64_t timeout, json_t **ret_object, json_t **ret_pod,
               struct cx_error *err) CX_CHECK;
// All pods of it, as an array.
int pods_of(struct ctl *ctl, const struct info *info, json_t **ret_pods, struct cx_error *err) CX_CHECK;
// "a=b,c in (d)" of an object that selects pods; owned; NULL when it selects none.
char *selector_of(const json_t *object);
// The container that is meant when none is named, with its "Defaulted container" line.
const char *default_container(const json_t *pod, bool quiet);
json_t *pod_template(json_t *object); // spec of the pod template (or of the pod), borrowed; NULL
json_t *list_objects(struct ctl *ctl, const char *path, struct cx_error *err); // items, new; NULL on failure
