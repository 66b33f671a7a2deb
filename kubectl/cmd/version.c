// SPDX-License-Identifier: Apache-2.0
// kubectl version, cluster-info and options.
#include "libcommon/base/version.h"
#include "kubectl/cmd/commands.h"
#include "libcommon/api/version_info.h"
#include "libcommon/format/yaml.h"

#define KUSTOMIZE_VERSION "v5.7.1" // whose results ours equal (kubectl/kustomize)

COMMAND(version)
{
        bool client_only = false;
        const char *output = "";
        const struct cx_flag flags[] = {
                {"client", 0, CX_FLAG_BOOL, &client_only, "Only the version of kubectl itself."},
                {"output", 'o', CX_FLAG_STRING, &output, "yaml or json."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count) {
                CX_CLEANUP(cx_freep) char *words = cx_strings_join(&args, " ");
                return cx_error_set(err, -EINVAL, "extra arguments: [%s]", words);
        }
        if (*output && strcmp(output, "json") != 0 && strcmp(output, "yaml") != 0)
                return cx_error_set(err, -EINVAL, "--output must be 'yaml' or 'json'");
        json_auto_t *server = NULL;
        CX_ERROR failure = CX_ERROR_INIT;
        if (!client_only)
                r = ctl_json(ctl, "GET", "/version", NULL, NULL, &server, &failure);
        json_auto_t *all = json_pack("{s:o,s:s}", "clientVersion", cx_version_info(CX_VERSION_API), "kustomizeVersion",
                                     KUSTOMIZE_VERSION);
        if (server)
                json_object_set(all, "serverVersion", server);
        CX_BUF text = CX_BUF_INIT;
        if (strcmp(output, "json") == 0) {
                char *dump = json_dumps(all, JSON_INDENT(2));
                cx_buf_printf(&text, "%s\n", dump);
                free(dump);
        } else if (*output) {
                r = cx_yaml_dump(all, &text, err);
                cx_buf_add_char(&text, '\n');
        } else {
                cx_buf_add(&text, "Client Version: " CX_VERSION_API "\nKustomize Version: " KUSTOMIZE_VERSION "\n");
                if (server)
                        cx_buf_printf(&text, "Server Version: %s\n", cx_json_string_or(server, "gitVersion", ""));
        }
        fputs(text.data, stdout);
        return failure.code ? cx_error_move(err, &failure) : 0;
}

COMMAND(cluster_info)
{
        const struct cx_flag flags[] = {{0}};
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        json_auto_t *services = list_objects(
                ctl, "/api/v1/namespaces/kube-system/services?labelSelector=kubernetes.io%2Fcluster-service%3Dtrue",
                err);
        if (!services)
                return err ? err->code : -EIO;
        bool color = isatty(STDOUT_FILENO);
        const char *green = color ? "\033[0;32m" : "", *yellow = color ? "\033[0;33m" : "",
                   *off = color ? "\033[0m" : "";
        OUT("%sKubernetes control plane%s is running at %s%s%s\n", green, off, yellow, cx_rest_server(ctl->rest), off);
        size_t i;
        json_t *service;
        json_array_foreach (services, i, service) {
                const char *name = cx_json_string_or(service, "metadata.name", "");
                const json_t *labels = cx_json_get(service, "metadata.labels");
                const char *shown = json_string_value(json_object_get(labels, "kubernetes.io/name"));
                const char *port = cx_json_string_or(json_array_get(cx_json_get(service, "spec.ports"), 0), "name", "");
                OUT("%s%s%s is running at %s%s/api/v1/namespaces/kube-system/services/%s%s%s/proxy%s\n", green,
                    shown ? shown : name, off, yellow, cx_rest_server(ctl->rest), name, *port ? ":" : "", port, off);
        }
        OUT("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
        return 0;
}

COMMAND(options)
{
        (void)argc;
        (void)argv;
        (void)err;
        CX_BUF text = CX_BUF_INIT;
        cx_buf_add(&text, "The following options can be passed to any command:\n\n");
        cx_flags_help(ctl_global_flags(ctl), &text);
        fputs(text.data, stdout);
        return 0;
}
