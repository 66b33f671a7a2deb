// SPDX-License-Identifier: Apache-2.0
// Volumes of pods, pod templates and persistent volumes.
#include "kubectl/cmd/describe.h"

struct volume_line {
        const char *title, *path;
};
static const struct volume_kind {
        const char *member, *words;
        struct volume_line lines[6];
} volume_kinds[] = {
        {"hostPath", "HostPath (bare host directory volume)", {{"Path", "path"}, {"HostPathType", "type"}}},
        {"emptyDir",
         "EmptyDir (a temporary directory that shares a pod's lifetime)",
         {{"Medium", "medium"}, {"SizeLimit", "sizeLimit"}}},
        {"secret", "Secret (a volume populated by a Secret)", {{"SecretName", "secretName"}, {"Optional", "optional"}}},
        {"configMap", "ConfigMap (a volume populated by a ConfigMap)", {{"Name", "name"}, {"Optional", "optional"}}},
        {"nfs",
         "NFS (an NFS mount that lasts the lifetime of a pod)",
         {{"Server", "server"}, {"Path", "path"}, {"ReadOnly", "readOnly"}}},
        {"persistentVolumeClaim",
         "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
         {{"ClaimName", "claimName"}, {"ReadOnly", "readOnly"}}},
        {"csi",
         "CSI (a Container Storage Interface (CSI) volume source)",
         {{"Driver", "driver"}, {"FSType", "fsType"}, {"ReadOnly", "readOnly"}}},
        {"downwardAPI", "DownwardAPI (a volume populated by information about the pod)", {{0}}},
        {"image",
         "Image (a container image or OCI artifact)",
         {{"Reference", "reference"}, {"PullPolicy", "pullPolicy"}}},
};

static void describe_projected(struct describe *d, const json_t *projected, int level)
{
        size_t i;
        json_t *source;
        describe_line(d, level, "Type:\tProjected (a volume that contains injected data from multiple sources)\n");
        json_array_foreach (json_object_get(projected, "sources"), i, source) {
                const json_t *part;
                if ((part = json_object_get(source, "secret"))) {
                        describe_line(d, level, "SecretName:\t%s\n", cx_json_string_or(part, "name", ""));
                        describe_line(d, level, "Optional:\t%s\n",
                                      cx_json_bool(part, "optional", false) ? "true" : "false");
                } else if (json_object_get(source, "downwardAPI")) {
                        describe_line(d, level, "DownwardAPI:\ttrue\n");
                } else if ((part = json_object_get(source, "configMap"))) {
                        describe_line(d, level, "ConfigMapName:\t%s\n", cx_json_string_or(part, "name", ""));
                        describe_line(d, level, "Optional:\t%s\n",
                                      cx_json_bool(part, "optional", false) ? "true" : "false");
                } else if ((part = json_object_get(source, "serviceAccountToken"))) {
                        describe_line(d, level, "TokenExpirationSeconds:\t%lld\n",
                                      (long long)cx_json_int(part, "expirationSeconds", 0));
                }
        }
}

// The files of a downward API volume.
static void describe_items(struct describe *d, const json_t *items, int level)
{
        size_t i;
        json_t *item;
        describe_line(d, level, "Items:\n");
        json_array_foreach (items, i, item)
                describe_line(d, level + 1, "%s -> %s\n",
                              cx_json_string_or(item, "fieldRef.fieldPath",
                                                cx_json_string_or(item, "resourceFieldRef.resource", "")),
                              cx_json_string_or(item, "path", ""));
}

static void describe_csi_attributes(struct describe *d, const json_t *attributes, int level)
{
        CX_CLEANUP(cx_freep) const char **keys = sorted_keys(attributes);
        for (size_t i = 0; keys[i]; i++) {
                const char *value = cx_str(json_string_value(json_object_get(attributes, keys[i])));
                describe_line(d, level, "%s\t    %s=%s\n", i ? "" : "VolumeAttributes:", keys[i], value);
        }
        if (!keys[0])
                describe_line(d, level, "VolumeAttributes:\t<none>\n");
}

static void describe_ephemeral(struct describe *d, const json_t *template, int level)
{
        describe_line(
                d, level,
                "Type:\tEphemeralVolume (an inline specification for a volume that gets created and deleted with the "
                "pod)\n");
        describe_line(d, level, "StorageClass:\t%s\n", cx_json_string_or(template, "spec.storageClassName", ""));
        describe_line(d, level, "Volume:\t%s\n", cx_json_string_or(template, "spec.volumeName", ""));
        describe_labels(d, level, "Labels", cx_json_get(template, "metadata.labels"));
        describe_labels(d, level, "Annotations", cx_json_get(template, "metadata.annotations"));
        describe_line(d, level, "Capacity:\t\n");
        describe_line(d, level, "Access Modes:\t\n");
        describe_line(d, level, "VolumeMode:\t%s\n", cx_json_string_or(template, "spec.volumeMode", "Filesystem"));
}

void describe_volume_source(struct describe *d, const json_t *volume, int level)
{
        const json_t *projected = json_object_get(volume, "projected");
        if (projected) {
                describe_projected(d, projected, level);
                return;
        }
        if (json_object_get(volume, "ephemeral")) {
                describe_ephemeral(d, cx_json_get(volume, "ephemeral.volumeClaimTemplate"), level);
                return;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(volume_kinds); i++) {
                const struct volume_kind *kind = &volume_kinds[i];
                const json_t *source = json_object_get(volume, kind->member);
                if (!source)
                        continue;
                describe_line(d, level, "Type:\t%s\n", kind->words);
                for (const struct volume_line *line = kind->lines; line->title; line++) {
                        CX_CLEANUP(cx_freep) char *text = text_of(json_object_get(source, line->path));
                        bool flag = strcmp(line->title, "Optional") == 0 || strcmp(line->title, "ReadOnly") == 0;
                        const char *absent = flag ? "false" : strcmp(line->title, "SizeLimit") == 0 ? "<unset>" : "";
                        describe_line(d, level, "%s:\t%s\n", line->title, *text ? text : absent);
                }
                if (strcmp(kind->member, "downwardAPI") == 0)
                        describe_items(d, json_object_get(source, "items"), level);
                if (strcmp(kind->member, "csi") == 0)
                        describe_csi_attributes(d, json_object_get(source, "volumeAttributes"), level);
                return;
        }
        describe_line(d, level, "<unknown>\n");
}

void describe_volumes(struct describe *d, const json_t *spec, int level)
{
        const json_t *volumes = json_object_get(spec, "volumes");
        size_t i;
        json_t *volume;
        if (!json_array_size(volumes)) {
                describe_line(d, level, "Volumes:\t<none>\n");
                return;
        }
        describe_line(d, level, "Volumes:\n");
        json_array_foreach (volumes, i, volume) {
                describe_line(d, level + 1, "%s:\n", cx_json_string_or(volume, "name", ""));
                describe_volume_source(d, volume, level + 2);
        }
}
