// SPDX-License-Identifier: Apache-2.0
// kubectl cp: tar on one side of a session with the container, our own archive on the other (archive.h).
#include "kubectl/cmd/archive.h"
#include "kubectl/cmd/session.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

struct copy {
        const char *container; // of --container, then the one that is meant
        bool no_preserve;
        int64_t retries; // negative: without end
        json_t *pod;
};

struct file_spec {
        char *namespace, *pod, *path; // pod NULL: a local file
};

static void file_spec_release(struct file_spec *spec)
{
        free(spec->namespace);
        free(spec->pod);
        free(spec->path);
}

static int file_spec_parse(const char *word, struct file_spec *ret_spec, struct cx_error *err)
{
        const char *colon = strchr(word, ':');
        if (!colon) {
                ret_spec->path = cx_strdup(word);
                return 0;
        }
        CX_CLEANUP(cx_freep) char *where = cx_strndup(word, (size_t)(colon - word));
        char *slash = strchr(where, '/');
        if (colon == word || (slash && strchr(slash + 1, '/')))
                return cx_error_set(err, -EINVAL,
                                    "filespec must match the canonical format: [[namespace/]pod:]file/path");
        ret_spec->path = cx_strdup(colon + 1);
        ret_spec->pod = cx_strdup(slash ? slash + 1 : where);
        if (slash)
                ret_spec->namespace = cx_strndup(where, (size_t)(slash - where));
        return 0;
}

// --- commands in the container ---------------------------------------------------------------------------------------

static int run_command(struct ctl *ctl, const struct copy *copy, struct session *session, const char *const *words,
                       int *ret_code, struct cx_error *err)
{
        CX_BUF path = CX_BUF_INIT;
        session_path(copy->pod, "exec", copy->container, session, &path);
        for (; *words; words++)
                cx_rest_query(&path, "command", *words);
        return session_run(ctl, path.data, session, ret_code, err);
}

static int command_failed(struct ctl *ctl, int code)
{
        ctl->status = code;
        if (code)
                fprintf(stderr, "command terminated with exit code %d\n", code);
        return 0;
}

static int is_folder(struct ctl *ctl, const struct copy *copy, const char *path, bool *ret_folder, struct cx_error *err)
{
        CX_CLEANUP(cx_closep) int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        struct session session = {.fds = {-1, nowhere, nowhere}};
        int code = 0;
        int r = run_command(ctl, copy, &session, (const char *const[]){"test", "-d", path, NULL}, &code, err);
        *ret_folder = code == 0;
        return r;
}

static int make_pipe(int fds[2], struct cx_error *err)
{
        return pipe2(fds, O_CLOEXEC) < 0 ? cx_error_set(err, -errno, "cannot make a pipe: %s", strerror(errno)) : 0;
}

// --- to the pod ------------------------------------------------------------------------------------------------------

struct packing {
        const char *path, *name;
        int fd, result;
        struct cx_error err;
};

static void *pack(void *context)
{
        struct packing *p = context;
        p->result = archive_pack(p->path, p->name, p->fd, &p->err);
        return NULL;
}

// "/a/b/c" into "/a/b" and "c".
static void split_path(const char *path, char **ret_folder, char **ret_name)
{
        CX_CLEANUP(cx_freep) char *clean = archive_clean(path);
        const char *slash = strrchr(clean, '/');
        const char *root = *path == '/' ? "/" : "";
        *ret_name = cx_strdup(slash ? slash + 1 : clean);
        *ret_folder = slash ? cx_sprintf("%s%.*s", root, (int)(slash - clean), clean) : cx_strdup(*root ? root : ".");
}

static int copy_to(struct ctl *ctl, const struct copy *copy, const char *source, const char *destination,
                   struct cx_error *err)
{
        struct stat info;
        if (stat(source, &info) < 0)
                return cx_error_set(err, -ENOENT, "%s doesn't exist in local filesystem", source);
        CX_CLEANUP(cx_freep) char *real = realpath(source, NULL);
        const char *slash = real ? strrchr(real, '/') : NULL;
        bool folder = false;
        int r = is_folder(ctl, copy, destination, &folder, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *own_folder = NULL;
        CX_CLEANUP(cx_freep) char *own_name = NULL;
        split_path(source, &own_folder, &own_name);
        const char *base = *own_name ? own_name : slash ? slash + 1 : "";
        CX_CLEANUP(cx_freep)
        char *target = folder ? cx_sprintf("%s/%s", destination, base) : cx_strdup(destination);
        CX_CLEANUP(cx_freep) char *to_folder = NULL;
        CX_CLEANUP(cx_freep) char *to_name = NULL;
        split_path(target, &to_folder, &to_name);
        int fds[2];
        r = make_pipe(fds, err);
        if (r < 0)
                return r;
        struct packing packing = {.path = source, .name = to_name, .fd = fds[1]};
        struct session session = {.in = true, .fds = {fds[0], STDOUT_FILENO, STDERR_FILENO}};
        pthread_t thread;
        if (pthread_create(&thread, NULL, pack, &packing) != 0)
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        const char *const plain[] = {"tar", "-xmf", "-", "-C", to_folder, NULL};
        const char *const bare[] = {"tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-", "-C", to_folder,
                                    NULL};
        int code = 0;
        CX_ERROR failed = CX_ERROR_INIT;
        r = run_command(ctl, copy, &session, copy->no_preserve ? bare : plain, &code, &failed);
        if (r < 0 && !session.streams)
                close(fds[0]); // it was not begun
        pthread_join(thread, NULL);
        if (r < 0) {
                cx_error_release(&packing.err);
                return cx_error_move(err, &failed);
        }
        if (code || packing.result == 0) {
                cx_error_release(&packing.err);
                return command_failed(ctl, code);
        }
        return cx_error_move(err, &packing.err);
}

// --- from the pod ----------------------------------------------------------------------------------------------------

struct unpacking {
        struct archive_place place;
        int fd, result;
        struct cx_error err;
};

static void *unpack(void *context)
{
        struct unpacking *u = context;
        u->result = archive_unpack(u->fd, &u->place, &u->err);
        close(u->fd); // whoever writes learns that
        return NULL;
}

static void quote(const char *text, struct cx_buf *to)
{
        cx_buf_add_char(to, '\'');
        for (; *text; text++)
                if (*text == '\'')
                        cx_buf_add(to, "'\\''");
                else
                        cx_buf_add_char(to, *text);
        cx_buf_add_char(to, '\'');
}

// Runs tar, again from where it was cut off as often as that is allowed.
static int fetch(struct ctl *ctl, const struct copy *copy, const char *source, int fd, int *ret_code,
                 struct cx_error *err)
{
        struct session session = {.fds = {-1, fd, STDERR_FILENO}};
        for (int64_t tries = 0;; tries++) {
                CX_BUF script = CX_BUF_INIT;
                CX_ERROR why = CX_ERROR_INIT;
                cx_buf_add(&script, "tar cf - ");
                quote(source, &script);
                cx_buf_printf(&script, " | tail -c+%llu", (unsigned long long)session.written + 1);
                const char *const shell[] = {"sh", "-c", script.data, NULL};
                const char *const plain[] = {"tar", "cf", "-", source, NULL};
                int r = run_command(ctl, copy, &session, copy->retries ? shell : plain, ret_code, &why);
                if (r == 0 || r == -EPIPE || !copy->retries || (copy->retries > 0 && tries == copy->retries)) {
                        if (r < 0 && r != -EPIPE && copy->retries)
                                OUT("Dropping out copy after %lld retries\n", (long long)tries);
                        return r < 0 ? cx_error_move(err, &why) : 0;
                }
                OUT("Resuming copy at %llu bytes, retry %lld/%lld\n", (unsigned long long)session.written,
                    (long long)tries + 1, (long long)copy->retries);
        }
}

static int copy_from(struct ctl *ctl, const struct copy *copy, const char *source, const char *destination,
                     struct cx_error *err)
{
        int fds[2];
        int r = make_pipe(fds, err);
        if (r < 0)
                return r;
        CX_CLEANUP(cx_freep) char *prefix = archive_clean(source);
        CX_CLEANUP(cx_freep)
        char *hint = cx_sprintf(
                " (consider using \"kubectl exec -n \\\"%s\\\" \\\"%s\\\" -- tar cf - \\\"%s\\\" | tar xf -\")",
                cx_json_string_or(copy->pod, "metadata.namespace", ""),
                cx_json_string_or(copy->pod, "metadata.name", ""), source);
        struct unpacking unpacking = {.place = {prefix, destination, hint}, .fd = fds[0]};
        pthread_t thread;
        if (pthread_create(&thread, NULL, unpack, &unpacking) != 0) {
                close(fds[0]);
                close(fds[1]);
                return cx_error_set(err, -EAGAIN, "cannot start a thread");
        }
        int code = 0;
        CX_ERROR failed = CX_ERROR_INIT;
        r = fetch(ctl, copy, source, fds[1], &code, &failed);
        close(fds[1]);
        pthread_join(thread, NULL);
        // What went wrong here is why nothing more was taken; else the other side tells.
        if (unpacking.result < 0 && (r == -EPIPE || (r == 0 && code == 0)))
                return cx_error_move(err, &unpacking.err);
        cx_error_release(&unpacking.err);
        return r < 0 ? cx_error_move(err, &failed) : command_failed(ctl, code);
}

// --- the command -----------------------------------------------------------------------------------------------------

static int copy_files(struct ctl *ctl, struct copy *copy, const struct file_spec *from, const struct file_spec *to,
                      struct cx_error *err)
{
        const struct file_spec *remote = from->pod ? from : to;
        if (from->pod && to->pod)
                return cx_error_set(err, -EINVAL, "one of src or dest must be a local file specification");
        if (!*from->path || !*to->path)
                return cx_error_set(err, -EINVAL, "filepath can not be empty");
        if (!remote->pod)
                return cx_error_set(err, -EINVAL, "one of src or dest must be a remote file specification");
        if (remote->namespace)
                ctl->namespace_flag = remote->namespace;
        CX_CLEANUP(cx_freep) char *word = cx_sprintf("pods/%s", remote->pod);
        json_auto_t *pod = NULL;
        int r = pod_of(ctl, word, 0, &pod, err);
        if (r == 0)
                r = session_container(pod, copy->container, false, false, &copy->container, err);
        if (r < 0)
                return r;
        copy->pod = pod;
        return from->pod ? copy_from(ctl, copy, from->path, to->path, err)
                         : copy_to(ctl, copy, from->path, to->path, err);
}

COMMAND(cp)
{
        struct copy copy = {0};
        const struct cx_flag flags[] = {
                {"container", 'c', CX_FLAG_STRING, &copy.container, "The container; default: the pod's first."},
                {"no-preserve", 0, CX_FLAG_BOOL, &copy.no_preserve,
                 "Do not keep owners and permissions in the container."},
                {"retries", 0, CX_FLAG_INT, &copy.retries,
                 "How often a copy from a container is resumed; negative: without end."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count != 2)
                return cx_error_set(err, -EINVAL, "source and destination are required");
        (void)signal(SIGPIPE, SIG_IGN); // an end of a pipe that goes early is an error here
        struct file_spec from = {0}, to = {0};
        r = file_spec_parse(args.items[0], &from, err);
        if (r == 0)
                r = file_spec_parse(args.items[1], &to, err);
        if (r == 0 && from.path && to.path)
                r = copy_files(ctl, &copy, &from, &to, err);
        file_spec_release(&from);
        file_spec_release(&to);
        return r;
}
