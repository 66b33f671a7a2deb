// SPDX-License-Identifier: Apache-2.0
// kubectl kustomize DIR.
#include "kubectl/kustomize/kustomize.h"
#include "kubectl/cmd/commands.h"
#include "libcommon/base/process.h"
#include "libcommon/format/yaml.h"

#include <sys/stat.h>

static int write_output(const char *path, const char *data, size_t length, struct cx_error *err)
{
        if (!path) {
                fwrite(data, 1, length, stdout);
                return 0;
        }
        return cx_write_file(path, data, length, 0644, false, err);
}

// With a directory for output each object has a file of its own.
static int write_files(const char *folder, const json_t *objects, struct cx_error *err)
{
        size_t i;
        json_t *object;
        json_array_foreach (objects, i, object) {
                char group[64], version[32];
                CX_BUF text = CX_BUF_INIT;
                (void)cx_split_api_version(cx_json_string_or(object, "apiVersion", ""), group, version);
                const char *namespace = cx_json_string_or(object, "metadata.namespace", "");
                CX_CLEANUP(cx_freep)
                char *path = cx_sprintf("%s/%s%s%s%s%s_%s_%s.yaml", folder, namespace, *namespace ? "_" : "", group,
                                        *group ? "_" : "", version, cx_json_string_or(object, "kind", ""),
                                        cx_json_string_or(object, "metadata.name", ""));
                for (char *p = path + strlen(folder); *p; p++)
                        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
                int r = cx_yaml_dump(object, &text, err);
                if (r == 0)
                        r = cx_write_file(path, text.data, text.length, 0644, false, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

COMMAND(kustomize)
{
        const char *output = NULL, *restrictor = "LoadRestrictionsRootOnly";
        const struct cx_flag flags[] = {
                {"output", 'o', CX_FLAG_STRING, &output, "File, or directory, to write to."},
                {"load-restrictor", 0, CX_FLAG_STRING, &restrictor,
                 "LoadRestrictionsNone: files may lie outside the directory; LoadRestrictionsRootOnly: not."},
                {0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        CX_BUF text = CX_BUF_INIT;
        json_auto_t *objects = NULL;
        struct kustomize_options options = {.sorted = true};
        struct stat st;
        size_t i;
        json_t *object;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count > 1)
                return cx_error_set(err, -EINVAL, "specify one path to kustomization.yaml");
        options.unrestricted = strcmp(restrictor, "LoadRestrictionsNone") == 0;
        if (!options.unrestricted && strcmp(restrictor, "LoadRestrictionsRootOnly") != 0)
                return cx_error_set(err, -EINVAL,
                                    "illegal flag value --load-restrictor %s; legal values: "
                                    "[LoadRestrictionsRootOnly LoadRestrictionsNone]",
                                    restrictor);
        r = kustomize_build(args.count ? args.items[0] : ".", &options, &objects, err);
        if (r < 0)
                return r;
        if (output && stat(output, &st) == 0 && S_ISDIR(st.st_mode))
                return write_files(output, objects, err);
        json_array_foreach (objects, i, object) {
                if (i)
                        cx_buf_add(&text, "---\n");
                r = cx_yaml_dump(object, &text, err);
                if (r < 0)
                        return r;
        }
        return write_output(output, text.data, text.length, err);
}
