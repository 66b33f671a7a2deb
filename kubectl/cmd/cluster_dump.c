// SPDX-License-Identifier: Apache-2.0
// kubectl cluster-info dump: nodes, and of each namespace what runs in it with its logs, on standard output or as files.
#include "kubectl/cmd/commands.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/process.h"

struct dump {
        struct ctl *ctl;
        struct output output;
        const char *folder; // NULL: standard output
        const char *extension;
};

// A file below the folder, or standard output. Closed by the caller when it is a file.
static FILE *open_file(const struct dump *dump, const char *name, struct cx_error *err)
{
        if (!dump->folder)
                return stdout;
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", dump->folder, name);
        CX_CLEANUP(cx_freep) char *parent = cx_strndup(path, (size_t)(strrchr(path, '/') - path));
        if (cx_mkdir_all(parent, 0755, err) < 0)
                return NULL;
        FILE *file = fopen(path, "we");
        if (!file)
                cx_error_set(err, -errno, "open %s: %s", path, strerror(errno));
        return file;
}

static int close_file(FILE *file, int r)
{
        if (file != stdout && fclose(file) != 0 && r == 0)
                r = -errno;
        return r;
}

static int dump_list(struct dump *dump, const char *path, const char *name, json_t **ret_list, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *file_name = cx_sprintf("%s.%s", name, dump->extension);
        json_auto_t *list = NULL;
        CX_BUF text = CX_BUF_INIT;
        int r = ctl_json(dump->ctl, "GET", path, NULL, NULL, &list, err);
        if (r == 0)
                r = output_object(&dump->output, list, &text, err);
        if (r < 0)
                return r;
        FILE *file = open_file(dump, file_name, err);
        if (!file)
                return err ? err->code : -EIO;
        fwrite(text.data, 1, text.length, file);
        if (ret_list)
                *ret_list = json_incref(list);
        return close_file(file, 0);
}

static int dump_logs(struct dump *dump, const char *namespace, const json_t *pod, struct cx_error *err)
{
        const char *name = cx_json_string_or(pod, "metadata.name", "");
        CX_CLEANUP(cx_freep) char *file_name = cx_sprintf("%s/%s/logs.txt", namespace, name);
        FILE *file = open_file(dump, file_name, err);
        if (!file)
                return err ? err->code : -EIO;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_TEMPLATE)
        {
                CX_BUF path = CX_BUF_INIT;
                CX_HTTP_REPLY reply = CX_HTTP_REPLY_INIT;
                CX_ERROR why = CX_ERROR_INIT;
                cx_rest_path(&path, CX_REF("", "v1", "pods", namespace, name), "log");
                cx_rest_query(&path, "container", walk.name);
                fprintf(file, "==== START logs for container %s of pod %s/%s ====\n", walk.name, namespace, name);
                if (ctl_call(dump->ctl, &(struct ctl_call){.path = path.data, .accept = "*/*"}, &reply, &why) == 0)
                        fwrite(reply.body.data, 1, reply.body.length, file);
                else
                        fprintf(file, "Request log error: %s\n", cx_error_text(&why));
                fprintf(file, "==== END logs for container %s of pod %s/%s ====\n", walk.name, namespace, name);
        }
        return close_file(file, 0);
}

static int dump_namespace(struct dump *dump, const char *namespace, struct cx_error *err)
{
        static const struct {
                const char *group, *resource, *file;
        } kinds[] = {{"", "events", "events"},
                     {"", "replicationcontrollers", "replication-controllers"},
                     {"", "services", "services"},
                     {"apps", "daemonsets", "daemonsets"},
                     {"apps", "deployments", "deployments"},
                     {"apps", "replicasets", "replicasets"},
                     {"", "pods", "pods"}};
        json_auto_t *pods = NULL;
        int r = 0;
        for (size_t i = 0; r == 0 && i < CX_ARRAY_SIZE(kinds); i++) {
                CX_BUF path = CX_BUF_INIT;
                CX_CLEANUP(cx_freep) char *name = cx_sprintf("%s/%s", namespace, kinds[i].file);
                cx_rest_path(&path, CX_REF(kinds[i].group, "v1", kinds[i].resource, namespace, NULL), NULL);
                r = dump_list(dump, path.data, name, strcmp(kinds[i].file, "pods") == 0 ? &pods : NULL, err);
        }
        size_t i;
        json_t *pod;
        json_array_foreach (json_object_get(pods, "items"), i, pod)
                if (r == 0)
                        r = dump_logs(dump, namespace, pod, err);
        return r;
}

COMMAND(cluster_info_dump)
{
        struct dump dump = {.ctl = ctl, .output = {.text = "json"}};
        CX_STRINGS namespaces = CX_STRINGS_INIT, args = CX_STRINGS_INIT;
        bool all = false;
        int64_t timeout = 0;
        const struct cx_flag flags[] = {
                OUTPUT_FLAGS(&dump.output),
                {"all-namespaces", 'A', CX_FLAG_BOOL, &all, "Dump all namespaces."},
                {"namespaces", 0, CX_FLAG_CSV, &namespaces, "Namespaces to dump; default: kube-system and yours."},
                {"output-directory", 0, CX_FLAG_STRING, &dump.folder,
                 "Where to write files; - or none: to the screen."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &timeout, "Without effect: logs are taken as they are."},
                {0}};
        int r = output_begin(ctl, flags, argc, argv, &args, &dump.output, NULL, NULL, err);
        if (r == 0)
                r = ctl_connect(ctl, err);
        if (r < 0)
                return r;
        if (dump.output.form == OUTPUT_NAME)
                return cx_error_set(err, -EINVAL, "list types are not supported by name printing: *v1.NodeList");
        if (cx_streq(dump.folder, "-") || cx_streq(dump.folder, ""))
                dump.folder = NULL;
        dump.extension = dump.output.form == OUTPUT_JSON ? "json" : dump.output.form == OUTPUT_YAML ? "yaml" : "txt";
        if (all) {
                json_auto_t *list = list_objects(ctl, "/api/v1/namespaces", err);
                size_t i;
                json_t *namespace;
                if (!list)
                        return err ? err->code : -EIO;
                cx_strings_release(&namespaces);
                json_array_foreach (list, i, namespace)
                        cx_strings_add(&namespaces, cx_json_string_or(namespace, "metadata.name", ""));
        } else if (!namespaces.count) {
                cx_strings_add(&namespaces, "kube-system");
                if (strcmp(ctl->namespace, "kube-system") != 0)
                        cx_strings_add(&namespaces, ctl->namespace);
        }
        r = dump_list(&dump, "/api/v1/nodes", "nodes", NULL, err);
        for (size_t i = 0; r == 0 && i < namespaces.count; i++)
                r = dump_namespace(&dump, namespaces.items[i], err);
        if (r == 0 && dump.folder)
                OUT("Cluster info dumped to %s\n", dump.folder);
        output_release(&dump.output);
        return r;
}
