// SPDX-License-Identifier: Apache-2.0
// The run functions of the command table, and what several of them share.
#pragma once

#include "kubectl/printer/output.h"

#define CX_COMMAND(name) int cx_cmd_##name(struct cx_ctl *ctl, int argc, char **argv, struct cx_error *err)
CX_COMMAND(get);
CX_COMMAND(describe);
CX_COMMAND(apply);
CX_COMMAND(apply_view_last);
CX_COMMAND(create);
CX_COMMAND(replace);
CX_COMMAND(delete);
CX_COMMAND(logs);
CX_COMMAND(exec);
CX_COMMAND(attach);
CX_COMMAND(scale);
CX_COMMAND(autoscale);
CX_COMMAND(expose);
CX_COMMAND(run);
CX_COMMAND(set_image);
CX_COMMAND(set_env);
CX_COMMAND(set_resources);
CX_COMMAND(set_serviceaccount);
CX_COMMAND(set_selector);
CX_COMMAND(rollout_status);
CX_COMMAND(rollout_history);
CX_COMMAND(rollout_undo);
CX_COMMAND(rollout_restart);
CX_COMMAND(rollout_pause);
CX_COMMAND(rollout_resume);
CX_COMMAND(label);
CX_COMMAND(annotate);
CX_COMMAND(patch);
CX_COMMAND(edit);
CX_COMMAND(wait);
CX_COMMAND(api_resources);
CX_COMMAND(api_versions);
CX_COMMAND(explain);
CX_COMMAND(version);
CX_COMMAND(cluster_info);
CX_COMMAND(options);
CX_COMMAND(cordon);
CX_COMMAND(uncordon);
CX_COMMAND(drain);
CX_COMMAND(taint);
CX_COMMAND(events);
CX_COMMAND(auth_can_i);
CX_COMMAND(auth_whoami);
CX_COMMAND(config_view);
CX_COMMAND(config_get_contexts);
CX_COMMAND(config_current_context);
CX_COMMAND(config_use_context);
CX_COMMAND(config_set_context);
CX_COMMAND(config_set_cluster);
CX_COMMAND(config_set_credentials);
CX_COMMAND(config_delete_context);
CX_COMMAND(config_delete_cluster);
CX_COMMAND(config_delete_user);
CX_COMMAND(config_rename_context);
CX_COMMAND(config_get_clusters);
CX_COMMAND(config_get_users);
CX_COMMAND(config_unset);
CX_COMMAND(config_set);
CX_COMMAND(create_deployment);
CX_COMMAND(create_namespace);
CX_COMMAND(create_configmap);
CX_COMMAND(create_secret_generic);
CX_COMMAND(create_secret_tls);
CX_COMMAND(create_secret_registry);
CX_COMMAND(create_service_clusterip);
CX_COMMAND(create_service_nodeport);
CX_COMMAND(create_service_loadbalancer);
CX_COMMAND(create_service_externalname);
CX_COMMAND(create_serviceaccount);
CX_COMMAND(create_role);
CX_COMMAND(create_clusterrole);
CX_COMMAND(create_rolebinding);
CX_COMMAND(create_clusterrolebinding);
CX_COMMAND(create_job);
CX_COMMAND(create_cronjob);
CX_COMMAND(create_token);
CX_COMMAND(create_quota);
CX_COMMAND(create_pdb);
CX_COMMAND(create_ingress);
CX_COMMAND(create_priorityclass);
extern const struct cx_command cx_create_commands[], cx_config_commands[];

#define CX_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define CX_CHANGE_CAUSE "kubernetes.io/change-cause"

// --- apply.c
// The object's text for the last-applied annotation: sorted keys, without the annotation itself. Owned.
char *cx_apply_annotation(const json_t *object);
// The patch of `kubectl apply`; {} when nothing is to be changed. `schema` NULL: a merge patch.
int cx_apply_patch(const struct cx_resource *schema, const json_t *original, const json_t *modified,
                   const json_t *current, json_t **ret_patch, struct cx_error *err) CX_CHECK;

// --- create.c
struct cx_create {
        struct cx_output output;
        const char *dry_run, *manager, *validate;
        const char *operation; // the word for what was done; NULL: "created"
        bool save_config;
        int mode;
};
#define CX_CREATE_FLAGS(c)                                                                                             \
        CX_OUTPUT_FLAGS(&(c)->output), CX_DRY_RUN_FLAG(&(c)->dry_run),                                                 \
                {"field-manager", 0, CX_FLAG_STRING, &(c)->manager, "Name of the manager of the fields."},             \
                {"validate",                                                                                           \
                 0,                                                                                                    \
                 CX_FLAG_STRING,                                                                                       \
                 &(c)->validate,                                                                                       \
                 "Field validation by the server: strict, warn or ignore.",                                            \
                 "strict"},                                                                                            \
        {                                                                                                              \
                "save-config", 0, CX_FLAG_BOOL, &(c)->save_config, "Keep the configuration in an annotation."          \
        }
void cx_create_release(struct cx_create *create);
#define CX_CREATE CX_CLEANUP(cx_create_release) struct cx_create
// Parses --output and --dry-run.
int cx_create_prepare(struct cx_ctl *ctl, struct cx_create *create, struct cx_error *err) CX_CHECK;
// A flag that must be given. Its target is a string or a list.
struct cx_required {
        const char *flag;
        const char *const *text;
        const struct cx_strings *list;
};
// How every `create THING NAME` begins: parses the flags, looks for those required (up to an entry without a flag; may be
// NULL), wants exactly one name (before the "--", when `ret_dash` is not NULL), and prepares.
int cx_create_begin(struct cx_ctl *ctl, struct cx_create *create, const struct cx_flag *flags,
                    const struct cx_required *required, int argc, char **argv, struct cx_strings *args, int *ret_dash,
                    struct cx_error *err) CX_CHECK;
// The words after "--", as a new array.
json_t *cx_words_after(const struct cx_strings *args, int dash);
json_t *cx_strings_json(const struct cx_strings *list); // new array
// Sends (or only prints) a new object and prints the result. Consumes `object`.
int cx_create_object(struct cx_ctl *ctl, struct cx_create *create, json_t *object_steal, struct cx_error *err) CX_CHECK;
int cx_create_info(struct cx_ctl *ctl, struct cx_create *create, struct cx_info *info, struct cx_error *err) CX_CHECK;
const char *cx_field_validation(const char *flag);                        // the query parameter
int cx_check_validation(const char *flag, struct cx_error *err) CX_CHECK; // of --validate

// --- delete.c
struct cx_deletion {
        int64_t grace, timeout; // seconds (-1: default); ns (0: for as long as it takes)
        const char *cascade;
        bool force, now, wait, ignore_not_found, quiet_output, name_output;
        int dry_run;
};
int cx_delete_infos(struct cx_ctl *ctl, struct cx_infos *infos, const struct cx_deletion *how, struct cx_error *err)
        CX_CHECK;

// --- exec.c
// Attaches to a container; its output goes to ours. Sets ctl->status.
int cx_attach_pod(struct cx_ctl *ctl, const json_t *pod, const char *container, bool in, bool tty, bool quiet,
                  struct cx_error *err) CX_CHECK;

// --- logs.c
// Writes all that a container has said, and goes on until it ends.
int cx_follow_logs(struct cx_ctl *ctl, const json_t *pod, const char *container, struct cx_error *err) CX_CHECK;

// --- expose.c
int cx_parse_map(const char *text, json_t **ret_map, struct cx_error *err) CX_CHECK; // "a=b,c=d"

// --- wait.c
// Watches one object by name until `done` says so. `done` gets NULL when the object is gone; positive: done; negative:
// failed. ns; timeout < 0: none. -ETIMEDOUT without an error set.
int cx_watch_object(struct cx_ctl *ctl, const struct cx_info *info, int64_t timeout,
                    int (*done)(void *context, const json_t *object, struct cx_error *err), void *context,
                    struct cx_error *err) CX_CHECK;

// --- pods.c: pods behind a name
// The pod that TYPE/NAME (a pod, or what has pods by a selector) stands for; new reference. Waits for none to appear.
int cx_pod_of(struct cx_ctl *ctl, const char *word, int64_t timeout, json_t **ret_pod, struct cx_error *err) CX_CHECK;
// All pods of it, as an array.
int cx_pods_of(struct cx_ctl *ctl, const struct cx_info *info, json_t **ret_pods, struct cx_error *err) CX_CHECK;
// "a=b,c in (d)" of an object that selects pods; owned; NULL when it selects none.
char *cx_selector_of(const json_t *object);
// The container that is meant when none is named, with its "Defaulted container" line.
const char *cx_default_container(const json_t *pod, bool quiet);
json_t *cx_pod_template(json_t *object); // spec of the pod template (or of the pod), borrowed; NULL
json_t *cx_list_objects(struct cx_ctl *ctl, const char *path, struct cx_error *err); // items, new; NULL on failure
