// SPDX-License-Identifier: Apache-2.0
// kubectl apply --server-side. An object that was applied without it before has its fields under other managers (those
// that wrote the annotation): they are merged into this one's, so that a field that leaves the file is removed.
#include "kubectl/cmd/apply.h"
#include "libcommon/schema/fields.h"

#define ANNOTATION_MANAGER "kubectl-last-applied"
#define MAX_ATTEMPTS 5

static int send(struct apply_run *apply, struct info *info, const json_t *body, struct cx_error *err)
{
        int r = apply_send(apply, "PATCH", info, body, cx_patch_content_type(CX_PATCH_APPLY), true, err);
        if (r < 0 && err && err->reason == CX_REASON_CONFLICT) {
                CX_ERROR local = CX_ERROR_INIT; // ours, not the server's
                cx_error_set(&local, r,
                             "%s\nPlease review the fields above--they currently have other managers. Here\n"
                             "are the ways you can resolve this warning:\n"
                             "* If you intend to manage all of these fields, please re-run the apply\n"
                             "  command with the `--force-conflicts` flag.\n"
                             "* If you do not intend to manage all of the fields, please edit your\n"
                             "  manifest to remove references to the fields that should keep their\n"
                             "  current managers.\n"
                             "* You may co-own fields by updating your manifest to match the existing\n"
                             "  value; in this case, you'll become the manager if the other manager(s)\n"
                             "  stop managing the field (remove it from their configuration).\n"
                             "See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
                             cx_error_text(err));
                cx_error_release(err);
                return cx_error_move(err, &local);
        }
        return r;
}

static bool owns_annotation(const json_t *entry)
{
        const json_t *metadata = json_object_get(json_object_get(entry, "fieldsV1"), "f:metadata");
        return json_object_get(json_object_get(metadata, "f:annotations"), "f:" LAST_APPLIED);
}

static bool is_update(const json_t *entry)
{
        return cx_streq(cx_json_string(entry, "operation"), "Update") && !json_object_get(entry, "subresource");
}

// The annotation stays when the fields of who wrote it are given away: it gets a manager of its own.
static int keep_annotation(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        const json_t *entries = cx_json_get(info->object, "metadata.managedFields");
        const char *text =
                json_string_value(json_object_get(cx_json_get(info->object, "metadata.annotations"), LAST_APPLIED));
        if (!text || (apply->manager && strcmp(apply->manager, "kubectl") != 0))
                return 0;
        for (size_t i = 0; i < json_array_size(entries); i++)
                if (cx_streq(cx_json_string(json_array_get(entries, i), "operation"), "Apply") &&
                    owns_annotation(json_array_get(entries, i)))
                        return 0;
        json_auto_t *just =
                json_pack("{s:O,s:O,s:{s:s,s:{s:s}}}", "apiVersion", json_object_get(info->object, "apiVersion"),
                          "kind", json_object_get(info->object, "kind"), "metadata", "name", info->name, "annotations",
                          LAST_APPLIED, text);
        if (info->namespace)
                json_object_set_new(json_object_get(just, "metadata"), "namespace", json_string(info->namespace));
        struct apply_run other = *apply;
        other.manager = ANNOTATION_MANAGER;
        other.force_conflicts = false;
        return apply_send(&other, "PATCH", info, just, cx_patch_content_type(CX_PATCH_APPLY), true, err);
}

// The entries with those of client-side managers merged into ours; NULL when there are none. Of several entries of one
// manager only the one of our version counts.
static json_t *migrated(const json_t *entries, const char *manager)
{
        json_t *made = json_array(), *own = NULL;
        json_auto_t *given = json_array();
        size_t i;
        json_t *entry;
        json_array_foreach (entries, i, entry) {
                json_auto_t *copy = json_deep_copy(entry);
                if (is_update(entry) && owns_annotation(entry)) {
                        json_array_append(given, copy);
                        continue;
                }
                if (cx_streq(cx_json_string(entry, "manager"), manager) &&
                    cx_streq(cx_json_string(entry, "operation"), "Apply") && !json_object_get(entry, "subresource"))
                        own = copy;
                json_array_append(made, copy);
        }
        if (!json_array_size(given)) {
                json_decref(made);
                return NULL;
        }
        if (!own) {
                own = json_array_get(given, 0);
                json_object_set_new(own, "manager", json_string(manager));
                json_object_set_new(own, "operation", json_string("Apply"));
                json_array_insert(made, 0, own);
        }
        json_array_foreach (given, i, entry)
                if (entry != own && cx_streq(cx_json_string(entry, "apiVersion"), cx_json_string(own, "apiVersion")))
                        json_object_set_new(
                                own, "fieldsV1",
                                cx_fields_union(json_object_get(own, "fieldsV1"), json_object_get(entry, "fieldsV1")));
        return made;
}

// 1 when something was moved.
static int migrate(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        for (int attempt = 0;; attempt++) {
                CX_ERROR failure = CX_ERROR_INIT;
                json_t *entries = migrated(cx_json_get(info->object, "metadata.managedFields"),
                                           apply->manager ? apply->manager : "kubectl");
                if (!entries)
                        return 0;
                json_auto_t *patch =
                        json_pack("[{s:s,s:s,s:o},{s:s,s:s,s:O}]", "op", "replace", "path", "/metadata/managedFields",
                                  "value", entries, "op", "replace", "path", "/metadata/resourceVersion", "value",
                                  cx_json_get(info->object, "metadata.resourceVersion"));
                int r = apply_send(apply, "PATCH", info, patch, cx_patch_content_type(CX_PATCH_JSON), true, &failure);
                if (r == 0)
                        return 1;
                if (failure.reason != CX_REASON_CONFLICT || attempt >= MAX_ATTEMPTS ||
                    info_fetch(apply->ctl, info, NULL) < 0)
                        return cx_error_move(err, &failure);
        }
}

static void warn(const char *what, struct cx_error *why)
{
        fflush(stdout);
        fprintf(stderr, "Warning: %s. This is non-fatal and will be retried next time you apply. Error: %s\n", what,
                cx_error_text(why));
}

int apply_on_server(struct apply_run *apply, struct info *info, struct cx_error *err)
{
        json_auto_t *body = json_incref(info->object);
        CX_ERROR why = CX_ERROR_INIT;
        int r = send(apply, info, body, err);
        if (r < 0)
                return r;
        if (keep_annotation(apply, info, &why) < 0) {
                warn("failed to migrate " LAST_APPLIED " for Server-Side Apply", &why);
                return 0;
        }
        r = migrate(apply, info, &why);
        if (r < 0)
                warn("server rejected managed fields migration to Server-Side Apply", &why);
        else if (r > 0 && send(apply, info, body, &why) < 0) // fields that left the file go now
                warn("failed to re-apply configuration after performing Server-Side Apply migration", &why);
        return 0;
}
