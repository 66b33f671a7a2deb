// SPDX-License-Identifier: Apache-2.0
// minikube logs: the last lines of each component's log, those that tell of problems, or what comes.
#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "minikube/commands.h"
#include "minikube/services.h"

#include <fcntl.h>
#include <stdio.h>

#define TAIL ((off_t)16 << 20) // of a file, which may be long

static void read_tail(const char *path, struct cx_buf *text)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *room = cx_buf_reserve(text, TAIL);
        off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END), from = end > TAIL ? end - TAIL : 0;
        ssize_t n = end > 0 && room ? pread(fd, room, (size_t)(end - from), from) : 0;
        if (n > 0)
                cx_buf_advance(text, (size_t)n);
}

// klog's E0102 and F0102, etcd's "level":"error" and worse, and what has no form at all.
static bool tells_of_problem(const char *line, size_t length)
{
        static const char *const words[] = {"\"level\":\"error\"", "\"level\":\"fatal\"", "\"level\":\"panic\"",
                                            "Sanitizer",           "Assertion `",         "segfault"};
        if (length > 5 && (line[0] == 'E' || line[0] == 'F') && strspn(line + 1, "0123456789") >= 4)
                return true;
        for (size_t i = 0; i < CX_ARRAY_SIZE(words); i++)
                if (memmem(line, length, words[i], strlen(words[i])))
                        return true;
        return false;
}

// The last lines, or the last that tell of problems.
static void print_tail(const struct cx_buf *text, int64_t lines, bool problems, FILE *to)
{
        const char *end = text->data + text->length, *p = end;
        while (p > text->data && lines > 0) {
                const char *line = p - 1;
                while (line > text->data && line[-1] != '\n')
                        line--;
                lines -= !problems || tells_of_problem(line, (size_t)(p - line));
                p = line;
        }
        while (p < end) {
                const char *newline = memchr(p, '\n', (size_t)(end - p)), *next = newline ? newline + 1 : end;
                if (!problems || tells_of_problem(p, (size_t)(next - p)))
                        fwrite(p, 1, (size_t)(next - p), to);
                p = next;
        }
}

// tail goes on with files that are made later, and tells them apart.
static int follow(const struct minikube *m, const struct cx_strings *paths, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *lines = cx_sprintf("--lines=%ld", (long)m->lines);
        CX_CLEANUP(cx_freep) const char **argv = cx_alloc_array(paths->count + 4, sizeof(char *));
        argv[0] = "tail";
        argv[1] = "-F";
        argv[2] = lines;
        for (size_t i = 0; i < paths->count; i++)
                argv[i + 3] = paths->items[i];
        execvp(argv[0], (char *const *)argv);
        return cx_error_set(err, -errno, "cannot run tail: %s", strerror(errno));
}

static void show(const struct minikube *m, const struct cx_strings *names, FILE *to)
{
        for (size_t i = 0; i < names->count; i++) {
                CX_CLEANUP(cx_freep) char *path = profile_path(&m->profile, "logs/%s.log", names->items[i]);
                CX_BUF text = CX_BUF_INIT_MAX((size_t)TAIL + 1);
                fprintf(to, "==> %s <==\n", names->items[i]);
                read_tail(path, &text);
                if (text.length)
                        print_tail(&text, m->lines, m->problems, to);
        }
}

int command_logs(struct minikube *m, struct cx_error *err)
{
        CX_STRINGS names = CX_STRINGS_INIT, paths = CX_STRINGS_INIT;
        struct services services;
        int only = -1, r = need_profile(m, err);
        if (r == 0 && m->follow && (m->problems || m->file))
                r = cx_error_set(err, -EINVAL, "MK_USAGE: --follow goes with neither --problems nor --file");
        if (r == 0 && m->node)
                r = choose_node(&m->profile, m->node, &only, err);
        if (r < 0)
                return r;
        services_of(&m->profile, &services);
        for (size_t i = 0; i < services.count; i++) {
                CX_CLEANUP(cx_freep) char *path = profile_path(&m->profile, "logs/%s.log", services.items[i].name);
                if (only >= 0 && services.items[i].node != only)
                        continue;
                cx_strings_add(&names, services.items[i].name);
                cx_strings_add(&paths, path);
        }
        services_release(&services);
        if (m->follow)
                return follow(m, &paths, err);
        FILE *to = m->file ? fopen(m->file, "we") : stdout;
        if (!to)
                return cx_error_set(err, -EINVAL, "MK_USAGE: --file: cannot write %s: %s", m->file, strerror(errno));
        show(m, &names, to);
        if (m->file && fclose(to) != 0)
                return cx_error_set(err, -EIO, "cannot write %s: %s", m->file, strerror(errno));
        return 0;
}
