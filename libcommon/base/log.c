// SPDX-License-Identifier: Apache-2.0
// One line, one write: in klog's format or as JSON.
#include "libcommon/base/log.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/time.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

struct cx_log_settings cx_log_settings = {.fd = STDERR_FILENO};

static void add_quoted(struct cx_buf *line, const char *text)
{
        cx_buf_add_char(line, '"');
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p == '"' || *p == '\\')
                        cx_buf_printf(line, "\\%c", *p);
                else if (*p == '\n')
                        cx_buf_add(line, "\\n");
                else if (*p < 0x20)
                        cx_buf_printf(line, "\\u%04x", *p);
                else
                        cx_buf_add_char(line, (char)*p);
        }
        cx_buf_add_char(line, '"');
}

static void format_text(struct cx_buf *line, enum cx_log_severity severity, const char *file, int number,
                        const char *message, const char *const *pairs)
{
        struct timespec now;
        struct tm local;
        clock_gettime(CLOCK_REALTIME, &now);
        localtime_r(&now.tv_sec, &local);
        cx_buf_printf(line, "%c%02d%02d %02d:%02d:%02d.%06ld %7ld %s:%d] ", "IWE"[severity], local.tm_mon + 1,
                      local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, now.tv_nsec / 1000,
                      (long)syscall(SYS_gettid), file, number);
        add_quoted(line, message);
        for (; pairs[0] && pairs[1]; pairs += 2) {
                cx_buf_printf(line, " %s=", pairs[0]);
                add_quoted(line, pairs[1]);
        }
}

static void format_json(struct cx_buf *line, enum cx_log_severity severity, const char *file, int number,
                        const char *message, const char *const *pairs)
{
        char when[CX_TIME_TEXT];
        cx_time_format_micro(cx_time_now(), when);
        cx_buf_printf(line, "{\"ts\":\"%s\",\"caller\":\"%s:%d\",\"level\":\"%s\",\"msg\":", when, file, number,
                      severity == CX_LOG_INFO      ? "info"
                      : severity == CX_LOG_WARNING ? "warn"
                                                   : "error");
        add_quoted(line, message);
        for (; pairs[0] && pairs[1]; pairs += 2) {
                cx_buf_add_char(line, ',');
                add_quoted(line, pairs[0]);
                cx_buf_add_char(line, ':');
                add_quoted(line, pairs[1]);
        }
        cx_buf_add_char(line, '}');
}

void cx_log_write(enum cx_log_severity severity, const char *file, int number, const char *message,
                  const char *const *pairs)
{
        int saved = errno;
        const char *slash = strrchr(file, '/');
        file = slash ? slash + 1 : file;
        CX_BUF line = CX_BUF_INIT_MAX(65536);
        (cx_log_settings.json ? format_json : format_text)(&line, severity, file, number, message, pairs);
        cx_buf_add_char(&line, '\n');
        for (size_t done = 0; done < line.length;) {
                ssize_t n = write(cx_log_settings.fd, line.data + done, line.length - done);
                if (n < 0 && errno != EINTR)
                        break;
                done += n > 0 ? (size_t)n : 0;
        }
        errno = saved;
}
