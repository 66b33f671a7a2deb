// SPDX-License-Identifier: Apache-2.0
// A walk over /proc that compares command lines or environments, and signals what matches until nothing does.
#include "kubelet/runtime/strays.h"

#include "kubelet/runtime/identity.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/flags.h"
#include "libcommon/base/time.h"

#include <dirent.h>
#include <signal.h>

#define PATIENCE (5 * CX_NS_PER_S)

struct stray_wanted {
        const char *const *programs; // NULL: any
        const char *text;
};

static bool runs_one_of(const char *const *programs, const char *argument)
{
        for (; *programs; programs++)
                if (strcmp(*programs, argument) == 0)
                        return true;
        return false;
}

// Whether a NUL-separated list (of arguments, of variables) is of a process that is wanted.
static bool matches(const struct stray_wanted *w, const struct cx_buf *list)
{
        bool program = !w->programs, text = false;
        size_t n = 0;
        for (const char *p = list->data; p < list->data + list->length; p += strlen(p) + 1, n++) {
                program = program || (n < 2 && runs_one_of(w->programs, p));
                text = text || strcmp(p, w->text) == 0;
        }
        return program && text;
}

// How many there are; with `number`, each is sent that signal.
static size_t each_stray(const struct stray_wanted *w, int number)
{
        size_t found = 0;
        DIR *dir = opendir("/proc");
        struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
                int64_t pid;
                if (cx_parse_int(entry->d_name, 2, INT32_MAX, &pid) < 0 || pid == getpid())
                        continue;
                char path[64];
                snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, w->programs ? "cmdline" : "environ");
                CX_BUF list = CX_BUF_INIT_MAX(1 << 20);
                if (cx_buf_read_file(&list, path) < 0 || !matches(w, &list))
                        continue;
                if (number)
                        kill((pid_t)pid, number);
                found += pid_start((pid_t)pid) != 0;
        }
        if (dir)
                closedir(dir);
        return found;
}

static void kill_all(const struct stray_wanted *w)
{
        // Again and again: one of them may just have started another.
        int64_t deadline = cx_time_monotonic() + PATIENCE;
        while (each_stray(w, SIGKILL) && cx_time_monotonic() < deadline)
                nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

bool strays_exist(const char *const *programs, const char *argument)
{
        return each_stray(&(struct stray_wanted){programs, argument}, 0) > 0;
}

void strays_kill(const char *const *programs, const char *argument)
{
        kill_all(&(struct stray_wanted){programs, argument});
}

void strays_kill_by_variable(const char *variable)
{
        kill_all(&(struct stray_wanted){NULL, variable});
}
