// SPDX-License-Identifier: Apache-2.0
// A growing byte string, the only string builder of the tree.
//
// Invariants: `data` is never NULL and always terminated by a zero byte that `length` does not count. A buffer never
// grows past `max` bytes: an append that would is dropped whole and `overflow` is set, which the caller checks once at
// the end. Not for sharing between threads.
#pragma once

#include "libcommon/base/alloc.h"

struct cx_buf {
        char *data;
        size_t length, capacity, max;
        bool overflow;
};

extern char cx_buf_empty[1];
#define CX_BUF_MAX ((size_t)1 << 30)
#define CX_BUF_INIT                                                                                                    \
        {                                                                                                              \
                .data = cx_buf_empty, .max = CX_BUF_MAX                                                                \
        }
#define CX_BUF_INIT_MAX(limit)                                                                                         \
        {                                                                                                              \
                .data = cx_buf_empty, .max = (limit)                                                                   \
        }
#define CX_BUF CX_CLEANUP(cx_buf_release) struct cx_buf

void cx_buf_append(struct cx_buf *buf, const void *data, size_t length);
void cx_buf_add(struct cx_buf *buf, const char *text);
void cx_buf_add_char(struct cx_buf *buf, char c);
void cx_buf_printf(struct cx_buf *buf, const char *format, ...) CX_PRINTF(2, 3);
void cx_buf_vprintf(struct cx_buf *buf, const char *format, va_list args);
// Room for `length` more bytes at data + length; NULL when over max. Follow with cx_buf_advance.
char *cx_buf_reserve(struct cx_buf *buf, size_t length);
void cx_buf_advance(struct cx_buf *buf, size_t length);
void cx_buf_consume(struct cx_buf *buf, size_t length); // drops bytes from the front
void cx_buf_truncate(struct cx_buf *buf, size_t length);
void cx_buf_clear(struct cx_buf *buf);   // keeps the memory
char *cx_buf_detach(struct cx_buf *buf); // a malloc'd, terminated string; the buffer is empty again
void cx_buf_release(struct cx_buf *buf); // frees; usable again
// Reads a whole file of at most buf->max bytes. 0 or a negative errno (-EFBIG over the maximum).
int cx_buf_read_file(struct cx_buf *buf, const char *path) CX_CHECK;
int cx_buf_read_fd(struct cx_buf *buf, int fd) CX_CHECK;
