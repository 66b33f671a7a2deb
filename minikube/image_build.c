// SPDX-License-Identifier: Apache-2.0
// minikube image build: buildah builds in a store of its own, which goes when it is done; images that nodes have are put there
// first when a FROM names them. What comes out is loaded into all nodes.
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"
#include "minikube/image.h"
#include "minikube/out.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MAX_DOCKERFILE ((size_t)1 << 20)

struct build {
        struct minikube *m;
        char *folder;             // of this build: store, run, image.tar
        char *root, *run, *image; // flags of buildah, and the image's name
};

static void build_release(struct build *b)
{
        free(b->folder);
        free(b->root);
        free(b->run);
        free(b->image);
}

char *image_full_name(const char *image)
{
        size_t first = strcspn(image, "/");
        bool has_registry = image[first] && (memchr(image, '.', first) || memchr(image, ':', first) ||
                                             (first == 9 && strncmp(image, "localhost", 9) == 0));
        const char *last = strrchr(image, '/');
        bool has_tag = strchr(last ? last : image, ':') || strchr(image, '@');
        return cx_sprintf("%s%s%s%s", has_registry ? "" : "docker.io/",
                          !has_registry && !image[first] ? "library/" : "", image, has_tag ? "" : ":latest");
}

// Runs buildah with `words` behind the flags of the build's store. Its output is the user's to see.
static int buildah(const struct build *b, const char *const *words, struct cx_error *err)
{
        CX_STRINGS line = CX_STRINGS_INIT;
        const char *const own[] = {"buildah", b->root, b->run, "--storage-driver=vfs"};
        int status = 0;
        for (size_t i = 0; i < CX_ARRAY_SIZE(own); i++)
                cx_strings_add(&line, own[i]);
        for (size_t i = 0; words[i]; i++)
                cx_strings_add(&line, words[i]);
        CX_CLEANUP(cx_freep) const char **argv = cx_alloc_array(line.count + 1, sizeof *argv);
        for (size_t i = 0; i < line.count; i++)
                argv[i] = line.items[i];
        pid_t pid;
        int r = cx_spawn(&(struct cx_spawn_options){.argv = argv, .fds = {0, STDERR_FILENO, STDERR_FILENO}}, &pid);
        if (r == -ENOENT)
                return cx_error_set(err, -ENOPKG, "PROVIDER_NOT_FOUND: buildah is missing: apt-get install buildah");
        if (r < 0)
                return cx_error_set(err, r, "cannot run buildah: %s", strerror(-r));
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return cx_error_set(err, -EBADMSG, "GUEST_IMAGE_BUILD: buildah %s failed", words[0]);
        return 0;
}

// --- what FROM names ---

static bool is_loaded(const struct minikube *m, const char *image)
{
        CX_CLEANUP(cx_freep) char *name = image_full_name(image);
        CX_STRINGS tags = CX_STRINGS_INIT;
        image_tags(&m->profile, &tags);
        return cx_strings_has(&tags, name);
}

static int bring_base(const struct build *b, const char *image, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *archive = cx_sprintf("%s/base.tar", b->folder);
        CX_CLEANUP(cx_freep) char *from = cx_sprintf("oci-archive:%s", archive);
        const char *const words[] = {"pull", "--quiet", from, NULL};
        if (!is_loaded(b->m, image)) // a stage, scratch, or buildah's to pull
                return 0;
        int r = image_save(b->m, image, archive, err);
        if (r == 0)
                r = buildah(b, words, err);
        (void)unlink(archive);
        return r;
}

// "FROM [--platform=…] image [AS name]", in any case.
static int bring_bases(const struct build *b, const char *dockerfile, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_DOCKERFILE);
        int r = cx_buf_read_file(&text, dockerfile);
        if (r < 0)
                return cx_error_set(err, -EINVAL, "GUEST_IMAGE_BUILD: cannot read %s: %s", dockerfile, strerror(-r));
        for (const char *line = text.data; r == 0 && *line; line += strcspn(line, "\n"), line += *line == '\n') {
                const char *p = line + strspn(line, " \t");
                if (strncasecmp(p, "FROM", 4) != 0 || !strchr(" \t", p[4]))
                        continue;
                p += 4;
                p += strspn(p, " \t");
                while (cx_has_prefix(p, "--")) {
                        p += strcspn(p, " \t\n");
                        p += strspn(p, " \t");
                }
                CX_CLEANUP(cx_freep) char *image = cx_strndup(p, strcspn(p, " \t\r\n"));
                r = bring_base(b, image, err);
        }
        return r;
}

// --- building ---

static int find_dockerfile(const struct minikube *m, const char *context, char **ret_path, struct cx_error *err)
{
        static const char *const names[] = {"Dockerfile", "Containerfile"};
        if (m->file) {
                *ret_path = cx_strdup(m->file);
                return 0;
        }
        for (size_t i = 0; i < CX_ARRAY_SIZE(names); i++) {
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", context, names[i]);
                if (access(path, R_OK) == 0) {
                        *ret_path = cx_steal(&path);
                        return 0;
                }
        }
        return cx_error_set(err, -EINVAL, "MK_USAGE: there is no Dockerfile in %s; -f names one", context);
}

static int build(const struct build *b, const char *context, const char *dockerfile, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *archive = cx_sprintf("%s/image.tar", b->folder);
        CX_CLEANUP(cx_freep) char *to = cx_sprintf("docker-archive:%s:%s", archive, b->image);
        const size_t n_args = b->m->build_args.count;
        CX_CLEANUP(cx_freep) const char **words = cx_alloc_array(2 * n_args + 12, sizeof *words);
        size_t n = 0;
        words[n++] = "build";
        words[n++] = "--isolation=chroot";
        words[n++] = "--pull=missing";
        for (size_t i = 0; i < n_args; i++) {
                words[n++] = "--build-arg";
                words[n++] = b->m->build_args.items[i];
        }
        words[n++] = "--tag";
        words[n++] = b->image;
        words[n++] = "--file";
        words[n++] = dockerfile;
        words[n++] = context;
        int r = bring_bases(b, dockerfile, err);
        if (r == 0)
                r = buildah(b, words, err);
        if (r == 0)
                r = buildah(b, (const char *const[]){"push", "--quiet", b->image, to, NULL}, err);
        return r < 0 ? r : image_load(b->m, archive, err);
}

int command_image_build(struct minikube *m, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *context = realpath(m->args.items[0], NULL);
        CX_CLEANUP(cx_freep) char *dockerfile = NULL;
        struct stat st;
        int r = need_running(m, err);
        if (r == 0 && !m->tag)
                r = cx_error_set(err, -EINVAL, "MK_USAGE: -t has to name the image");
        if (r == 0 && (!context || stat(context, &st) < 0 || !S_ISDIR(st.st_mode)))
                r = cx_error_set(err, -EINVAL, "MK_USAGE: \"%s\" is not a folder", m->args.items[0]);
        if (r == 0)
                r = find_dockerfile(m, context, &dockerfile, err);
        if (r < 0)
                return r;
        CX_CLEANUP(build_release) struct build b = {.m = m, .image = image_full_name(m->tag)};
        b.folder = profile_path(&m->profile, "run/build-%d", (int)getpid());
        b.root = cx_sprintf("--root=%s/store", b.folder);
        b.run = cx_sprintf("--runroot=%s/run", b.folder);
        r = cx_mkdir_all(b.folder, 0700, err);
        if (r == 0)
                r = build(&b, context, dockerfile, err);
        if (r == 0 && m->push)
                r = image_push(m, m->tag, err);
        CX_ERROR left = CX_ERROR_INIT;
        if (cx_remove_tree(b.folder, &left) < 0)
                out(stderr, "❗  %s\n", cx_error_text(&left));
        return r;
}
