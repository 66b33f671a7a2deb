// SPDX-License-Identifier: Apache-2.0
// The growing byte string.
#include "libcommon/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

char cx_buf_empty[1] = "";

char *cx_buf_reserve(struct cx_buf *buf, size_t length)
{
        if (length > buf->max || buf->length > buf->max - length) {
                buf->overflow = true;
                return NULL;
        }
        size_t need = buf->length + length + 1;
        if (need > buf->capacity) {
                size_t capacity = buf->capacity ? buf->capacity : 64;
                while (capacity < need)
                        capacity += capacity / 2 + 64;
                char *old = buf->data == cx_buf_empty ? NULL : buf->data;
                buf->data = cx_realloc_array(old, capacity, 1);
                buf->data[buf->length] = '\0';
                buf->capacity = capacity;
        }
        return buf->data + buf->length;
}

void cx_buf_advance(struct cx_buf *buf, size_t length)
{
        if (!length)
                return;
        assert(buf->length + length < buf->capacity);
        buf->length += length;
        buf->data[buf->length] = '\0';
}

void cx_buf_append(struct cx_buf *buf, const void *data, size_t length)
{
        if (!length)
                return;
        char *to = cx_buf_reserve(buf, length);
        if (!to)
                return;
        memcpy(to, data, length);
        cx_buf_advance(buf, length);
}

void cx_buf_add(struct cx_buf *buf, const char *text)
{
        if (text)
                cx_buf_append(buf, text, strlen(text));
}

void cx_buf_add_char(struct cx_buf *buf, char c)
{
        cx_buf_append(buf, &c, 1);
}

void cx_buf_vprintf(struct cx_buf *buf, const char *format, va_list args)
{
        va_list again;
        va_copy(again, args);
        int n = vsnprintf(NULL, 0, format, args);
        char *to = n < 0 ? NULL : cx_buf_reserve(buf, (size_t)n);
        if (to) {
                (void)vsnprintf(to, (size_t)n + 1, format, again);
                cx_buf_advance(buf, (size_t)n);
        }
        va_end(again);
}

void cx_buf_printf(struct cx_buf *buf, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        cx_buf_vprintf(buf, format, args);
        va_end(args);
}

void cx_buf_consume(struct cx_buf *buf, size_t length)
{
        assert(length <= buf->length);
        if (!length)
                return;
        memmove(buf->data, buf->data + length, buf->length - length);
        buf->length -= length;
        buf->data[buf->length] = '\0';
}

void cx_buf_truncate(struct cx_buf *buf, size_t length)
{
        assert(length <= buf->length);
        if (length == buf->length)
                return;
        buf->length = length;
        buf->data[length] = '\0';
}

void cx_buf_clear(struct cx_buf *buf)
{
        cx_buf_truncate(buf, 0);
        buf->overflow = false;
}

char *cx_buf_detach(struct cx_buf *buf)
{
        char *text = buf->data == cx_buf_empty ? cx_strdup("") : buf->data;
        *buf = (struct cx_buf)CX_BUF_INIT_MAX(buf->max);
        return text;
}

void cx_buf_release(struct cx_buf *buf)
{
        if (buf->data != cx_buf_empty)
                free(buf->data);
        *buf = (struct cx_buf)CX_BUF_INIT_MAX(buf->max);
}

// What is read in large pieces, since a table of the kernel's may change between two of them, is mostly small, and kept.
static void give_back(struct cx_buf *buf)
{
        if (buf->data == cx_buf_empty || buf->capacity - buf->length < 4096)
                return;
        buf->capacity = buf->length + 1;
        buf->data = cx_realloc_array(buf->data, buf->capacity, 1);
}

int cx_buf_read_fd(struct cx_buf *buf, int fd)
{
        for (;;) {
                size_t room = buf->max - buf->length;
                if (room > 65536)
                        room = 65536;
                if (!room) {
                        char one;
                        ssize_t more = read(fd, &one, 1);
                        return more < 0 ? -errno : more ? -EFBIG : 0;
                }
                char *to = cx_buf_reserve(buf, room);
                ssize_t n = read(fd, to, room);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0) {
                        give_back(buf);
                        return 0;
                }
                cx_buf_advance(buf, (size_t)n);
        }
}

int cx_buf_read_file(struct cx_buf *buf, const char *path)
{
        CX_CLEANUP(cx_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return cx_buf_read_fd(buf, fd);
}
