// SPDX-License-Identifier: Apache-2.0
// kubectl exec and attach.
#include "kubectl/cmd/session.h"
#include "libcommon/api/status.h"
#include "libcommon/base/time.h"

// Runs a session on the standard streams. The command's exit code goes to ctl->status.
static int run(struct ctl *ctl, const char *path, struct session *session, struct cx_error *err)
{
        session->fds[0] = STDIN_FILENO;
        session->fds[1] = STDOUT_FILENO;
        session->fds[2] = STDERR_FILENO;
        int r = session_run(ctl, path, session, &ctl->status, err);
        if (r < 0 || ctl->status == 0)
                return r;
        fflush(stdout);
        fprintf(stderr, "command terminated with exit code %d\n", ctl->status);
        return 0;
}

static void check_tty(struct session *session)
{
        if (session->tty && session->in && !isatty(STDIN_FILENO)) {
                fprintf(stderr, "Unable to use a TTY - input is not a terminal or the right kind of file\n");
                session->tty = false;
        }
}

COMMAND(exec)
{
        static struct session session; // outlives the threads that use it
        const char *container = NULL, *file = NULL;
        int64_t timeout = 60 * CX_NS_PER_S;
        int dash;
        const struct cx_flag flags[] = {
                {"container", 'c', CX_FLAG_STRING, &container, "The container; default: the pod's first."},
                {"stdin", 'i', CX_FLAG_BOOL, &session.in, "Pass standard input on."},
                {"tty", 't', CX_FLAG_BOOL, &session.tty, "Standard input is a terminal."},
                {"quiet", 'q', CX_FLAG_BOOL, &session.quiet, "Only show what the command writes."},
                {"filename", 'f', CX_FLAG_STRING, &file, "File that names the resource."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &timeout, "How long to wait for a pod."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, &dash, err);
        if (r < 0)
                return r;
        if (dash < 0 && args.count > 1)
                return ctl_usage_error(
                        ctl, err, "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead");
        size_t names = dash < 0 ? args.count : (size_t)dash;
        if (names == 0 && !file)
                return cx_error_set(err, -EINVAL, "pod, type/name or --filename must be specified");
        if (args.count == names)
                return cx_error_set(err, -EINVAL, "you must specify at least one command for the container");
        json_auto_t *pod = NULL;
        if (file) {
                BUILDER builder = {0};
                INFOS infos = INFOS_INIT;
                CX_STRINGS none = CX_STRINGS_INIT;
                cx_strings_add(&builder.files, file);
                r = builder_targets(ctl, &builder, &none, &infos, err);
                if (r == 0 && !infos.count)
                        r = cx_error_set(err, -ENOENT, "no objects in %s", file);
                if (r < 0)
                        return r;
                CX_CLEANUP(cx_freep)
                char *word = cx_sprintf("%s/%s", infos.items[0]->mapping->resource, infos.items[0]->name);
                r = pod_of(ctl, word, timeout, &pod, err);
        } else {
                r = pod_of(ctl, args.items[0], timeout, &pod, err);
        }
        const char *name = NULL;
        if (r == 0)
                r = session_container(pod, container, session.quiet, false, &name, err);
        if (r < 0)
                return r;
        check_tty(&session);
        CX_BUF path = CX_BUF_INIT;
        session_path(pod, "exec", name, &session, &path);
        for (size_t i = names; i < args.count; i++)
                cx_rest_query(&path, "command", args.items[i]);
        return run(ctl, path.data, &session, err);
}

int attach_pod(struct ctl *ctl, const json_t *pod, const char *container, bool in, bool tty, bool quiet,
               struct cx_error *err)
{
        static struct session session; // outlives the threads that use it
        session = (struct session){.in = in, .tty = tty, .quiet = quiet};
        check_tty(&session);
        if (!quiet)
                fprintf(stderr,
                        "All commands and output from this session will be recorded in container logs, including "
                        "credentials and sensitive information passed through the command prompt.\n"
                        "If you don't see a command prompt, try pressing enter.\n");
        CX_BUF path = CX_BUF_INIT;
        session_path(pod, "attach", container, &session, &path);
        return run(ctl, path.data, &session, err);
}

COMMAND(attach)
{
        struct session session = {0};
        const char *container = NULL;
        int64_t timeout = 60 * CX_NS_PER_S;
        const struct cx_flag flags[] = {
                {"container", 'c', CX_FLAG_STRING, &container, "The container; default: the pod's first."},
                {"stdin", 'i', CX_FLAG_BOOL, &session.in, "Pass standard input on."},
                {"tty", 't', CX_FLAG_BOOL, &session.tty, "Standard input is a terminal."},
                {"quiet", 'q', CX_FLAG_BOOL, &session.quiet, "Only show what the container writes."},
                {"pod-running-timeout", 0, CX_FLAG_DURATION, &timeout, "How long to wait for a pod."},
                {0},
        };
        CX_STRINGS args = CX_STRINGS_INIT;
        int r = ctl_parse(ctl, flags, argc, argv, &args, NULL, err);
        if (r < 0)
                return r;
        if (args.count == 0)
                return cx_error_set(err, -EINVAL, "at least 1 argument is required for attach");
        if (args.count > 2)
                return cx_error_set(err, -EINVAL,
                                    "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw %zu: %s",
                                    args.count, args.items[0]);
        json_auto_t *pod = NULL;
        const char *name = NULL;
        CX_CLEANUP(cx_freep)
        char *word = args.count == 2 ? cx_sprintf("%s/%s", args.items[0], args.items[1]) : cx_strdup(args.items[0]);
        r = pod_of(ctl, word, timeout, &pod, err);
        if (r == 0)
                r = session_container(pod, container, session.quiet, true, &name, err);
        if (r < 0)
                return r;
        return attach_pod(ctl, pod, name, session.in, session.tty, session.quiet, err);
}
