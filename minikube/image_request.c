// SPDX-License-Identifier: Apache-2.0
// minikube image rm, tag, pull, save and push: a node's images belong to its kubelet, which is asked by a file in its folder
// (kubelet/image/request.h) and answers by removing it.
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/format/json.h"
#include "libcommon/format/yaml.h"
#include "minikube/addons.h"
#include "minikube/copy.h"
#include "minikube/image.h"
#include "minikube/out.h"
#include "minikube/registries.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATIENCE (60 * CX_NS_PER_S)
#define PULL_PATIENCE (30 * 60 * CX_NS_PER_S)
#define PUSH_PATIENCE (30 * 60 * CX_NS_PER_S)

struct image_question {
        const char *verb, *image, *name; // `name` only for "tag"
        const char *blame;               // minikube's name for what fails
        int64_t patience;
};

static int ask_node(const struct profile *profile, int node, const struct image_question *q, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *folder = image_folder(profile, node);
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%d.request", folder, (int)getpid());
        json_auto_t *json = json_pack("{s:s,s:s,s:s*}", "verb", q->verb, "image", q->image, "name", q->name);
        CX_CLEANUP(cx_freep) char *text = cx_json_text(json);
        int r = cx_mkdir_all(folder, 0700, err);
        if (r == 0)
                r = cx_write_file(path, text, strlen(text), 0600, false, err);
        return r < 0 ? r : image_wait_taken(path, q->patience, q->blame, err);
}

static int ask_all(struct minikube *m, const struct image_question *q, struct cx_error *err)
{
        int r = 0;
        for (int node = 0; r == 0 && node < m->profile.nodes; node++)
                if (node_runs(&m->profile, node))
                        r = ask_node(&m->profile, node, q, err);
        return r;
}

int command_image_rm(struct minikube *m, struct cx_error *err)
{
        int r = need_running(m, err);
        for (size_t i = 0; r == 0 && i < m->args.count; i++)
                r = ask_all(m,
                            &(struct image_question){.verb = "remove",
                                                     .image = m->args.items[i],
                                                     .blame = "GUEST_IMAGE_REMOVE",
                                                     .patience = PATIENCE},
                            err);
        return r;
}

int command_image_tag(struct minikube *m, struct cx_error *err)
{
        int r = need_running(m, err);
        return r < 0 ? r
                     : ask_all(m,
                               &(struct image_question){.verb = "tag",
                                                        .image = m->args.items[0],
                                                        .name = m->args.items[1],
                                                        .blame = "GUEST_IMAGE_TAG",
                                                        .patience = PATIENCE},
                               err);
}

int command_image_pull(struct minikube *m, struct cx_error *err)
{
        int r = need_running(m, err);
        for (size_t i = 0; r == 0 && i < m->args.count; i++)
                r = ask_all(m,
                            &(struct image_question){.verb = "pull",
                                                     .image = m->args.items[i],
                                                     .blame = "GUEST_IMAGE_PULL",
                                                     .patience = PULL_PATIENCE},
                            err);
        return r;
}

// --- save and push ---

static int copy_out(const char *path, const char *file, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int in = open(path, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return cx_error_set(err, -EIO, "GUEST_IMAGE_SAVE: cannot read %s: %s", path, strerror(errno));
        if (strcmp(file, "-") == 0)
                return copy_all(in, STDOUT_FILENO, "the image", "GUEST_IMAGE_SAVE", err);
        return copy_file(in, path, file, 0644, "GUEST_IMAGE_SAVE", err);
}

int image_save(struct minikube *m, const char *image, const char *file, struct cx_error *err)
{
        const struct image_question q = {
                .verb = "save", .image = image, .blame = "GUEST_IMAGE_SAVE", .patience = PULL_PATIENCE};
        int r = -ENOENT;
        for (int node = 0; r < 0 && node < m->profile.nodes; node++) {
                CX_CLEANUP(cx_freep) char *folder = image_folder(&m->profile, node);
                CX_CLEANUP(cx_freep) char *saved = cx_sprintf("%s/%d.saved", folder, (int)getpid());
                if (!node_runs(&m->profile, node))
                        continue;
                cx_error_release(err); // of the node before
                r = ask_node(&m->profile, node, &q, err);
                if (r < 0)
                        continue;
                r = copy_out(saved, file, err);
                (void)unlink(saved);
                return r;
        }
        return r;
}

int command_image_save(struct minikube *m, struct cx_error *err)
{
        int r = need_running(m, err);
        return r < 0 ? r : image_save(m, m->args.items[0], m->args.items[1], err);
}

// Whether the nodes speak to the image's registry without TLS: it is on this machine, or --registry-config says so. skopeo
// knows others by registries.conf(5).
static bool has_no_tls(const struct profile *profile, const char *name)
{
        CX_CLEANUP(cx_freep) char *registry = cx_strndup(name, strcspn(name, "/"));
        CX_BUF text = CX_BUF_INIT_MAX(1 << 20);
        json_auto_t *documents = NULL;
        if (cx_has_prefix(registry, "localhost:") || cx_has_prefix(registry, "127."))
                return true;
        CX_CLEANUP(cx_freep) char *path = registries_path(profile);
        if (cx_buf_read_file(&text, path) < 0 || cx_yaml_parse(text.data, text.length, &documents, NULL) < 0)
                return false;
        const json_t *mirrors = json_object_get(json_array_get(documents, 0), "mirrors");
        const json_t *endpoints = json_object_get(json_object_get(mirrors, registry), "endpoint");
        return cx_has_prefix(cx_str(json_string_value(json_array_get(endpoints, 0))), "http://");
}

int image_push(struct minikube *m, const char *image, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *archive = profile_path(&m->profile, "run/%d.push.tar", (int)getpid());
        CX_CLEANUP(cx_freep) char *from = cx_sprintf("oci-archive:%s", archive);
        CX_CLEANUP(cx_freep) char *name = image_full_name(image);
        CX_CLEANUP(cx_freep) char *address = registry_address(&m->profile);
        // The nodes' localhost:5000 is not ours.
        bool own = addon_is_on(&m->profile, "registry") && cx_has_prefix(name, REGISTRY_NAME "/");
        CX_CLEANUP(cx_freep)
        char *to = cx_sprintf("docker://%s%s", own ? address : "", own ? name + strlen(REGISTRY_NAME) : name);
        const char *const argv[] = {"skopeo", "copy", "--quiet",
                                    from,     to,     has_no_tls(&m->profile, name) ? "--dest-tls-verify=false" : NULL,
                                    NULL};
        int r = image_save(m, image, archive, err);
        if (r == 0)
                r = cx_run_ok(argv, NULL, err);
        (void)unlink(archive);
        if (r == -ENOENT && access("/usr/bin/skopeo", X_OK) < 0) {
                cx_error_release(err);
                return cx_error_set(err, -ENOPKG, "PROVIDER_NOT_FOUND: skopeo is missing: apt-get install skopeo");
        }
        return r < 0 ? cx_error_wrap(err, "GUEST_IMAGE_PUSH") : r;
}

int command_image_push(struct minikube *m, struct cx_error *err)
{
        int r = need_running(m, err);
        for (size_t i = 0; r == 0 && i < m->args.count; i++)
                r = image_push(m, m->args.items[i], err);
        return r;
}
