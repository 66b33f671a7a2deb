// SPDX-License-Identifier: Apache-2.0
// The end of a file, or of a log: at most 4,096 bytes of the one, 80 lines and 2,048 bytes of the other.
#include "kubelet/pod/message.h"

#include "kubelet/base/log_line.h"
#include "libcommon/api/pod.h"
#include "libcommon/base/buf.h"
#include "libcommon/format/json.h"

#include <fcntl.h>
#include <sys/stat.h>

#define FILE_MAX 4096
#define POD_MAX 12288
#define LOG_MAX 2048
#define LOG_LINES 80
#define STAMPED_MAX 131072 // what so many lines take in the log, also when they came in many small pieces

// Appends the last bytes of a file that no link leads to. True when it begins before them.
static bool tail(const char *path, size_t max, struct cx_buf *to)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return false;
        bool cut = st.st_size > (off_t)max;
        char *room = cx_buf_reserve(to, max);
        ssize_t n = room ? pread(fd, room, max, cut ? st.st_size - (off_t)max : 0) : 0;
        cx_buf_advance(to, n > 0 ? (size_t)n : 0);
        return cut;
}

static void log_tail(const char *path, struct cx_buf *to)
{
        CX_BUF block = CX_BUF_INIT_MAX(STAMPED_MAX + 1);
        const char *line = tail(path, STAMPED_MAX, &block) ? strchr(block.data, '\n') : block.data;
        size_t lines = 0;
        for (const char *end; line && *line; line = end) {
                struct log_line l;
                line += *line == '\n';
                end = strchr(line, '\n');
                if (!log_line_parse(line, end ? (size_t)(end - line) : strlen(line), &l))
                        continue;
                cx_buf_append(to, l.text, l.text_length);
                if (l.full)
                        cx_buf_add_char(to, '\n');
                lines += l.full;
        }
        for (; lines > LOG_LINES; lines--)
                cx_buf_consume(to, (size_t)((const char *)memchr(to->data, '\n', to->length) - to->data) + 1);
        if (to->length > LOG_MAX)
                cx_buf_consume(to, to->length - LOG_MAX);
}

json_t *termination_message(const struct termination *end)
{
        CX_BUF text = CX_BUF_INIT_MAX(2 * STAMPED_MAX);
        (void)tail(end->file, FILE_MAX, &text);
        if (!text.length && end->failed && cx_streq(end->policy, "FallbackToLogsOnError"))
                log_tail(end->log, &text);
        while (text.length && ((unsigned char)*text.data & 0xc0) == 0x80)
                cx_buf_consume(&text, 1); // not within a letter
        if (!text.length)
                return NULL;
        if (text.length > end->max) {
                text.length = end->max;
                while (text.length && ((unsigned char)text.data[text.length] & 0xc0) == 0x80)
                        text.length--;
                text.data[text.length] = '\0';
        }
        json_t *json = json_string(text.data);
        if (json)
                return json;
        for (char *p = text.data; *p; p++) // what is not UTF-8 cannot be in JSON
                if ((unsigned char)*p >= 0x80)
                        *p = '?';
        return json_string(text.data);
}

size_t termination_message_share(const json_t *pod)
{
        size_t n = 0;
        CX_POD_FOREACH(walk, json_object_get(pod, "spec"), CX_POD_ALL)
        {
                n++;
        }
        return n > 0 ? POD_MAX / n : POD_MAX;
}
