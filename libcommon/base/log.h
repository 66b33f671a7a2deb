// SPDX-License-Identifier: Apache-2.0
// Logging in klog's text format (or JSON), to standard error: a fixed message and key/value pairs of strings.
//
//     cx_info("Pod bound", "pod", ref, "node", node, "attempts", CX_INT(attempts));
//
// Log or return an error, never both; never a secret. The settings are the one mutable global; set them before threads
// start. Any thread may log: a line is one write.
#pragma once

#include "libcommon/base/alloc.h"
#include "libcommon/base/error.h"

enum cx_log_severity { CX_LOG_INFO, CX_LOG_WARNING, CX_LOG_ERROR };

struct cx_log_settings {
        int verbosity; // klog's -v, 0 to 10
        bool json;     // --logging-format=json
        int fd;        // where lines go
};
extern struct cx_log_settings cx_log_settings;

void cx_log_write(enum cx_log_severity severity, const char *file, int line, const char *message,
                  const char *const *pairs);

#ifdef __cppcheck__ // which does not know __VA_OPT__
#define CX_LOG_(...) ((void)0)
#else
#define CX_LOG_(severity, message, ...)                                                                                \
        cx_log_write((severity), __FILE__, __LINE__, (message), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#endif
#define cx_info(message, ...) CX_LOG_(CX_LOG_INFO, message __VA_OPT__(, ) __VA_ARGS__)
#define cx_warn(message, ...) CX_LOG_(CX_LOG_WARNING, message __VA_OPT__(, ) __VA_ARGS__)
// Logs an error value; `err` may be NULL.
#define cx_err(err, message, ...) CX_LOG_(CX_LOG_ERROR, message, "err", cx_error_text(err) __VA_OPT__(, ) __VA_ARGS__)
#define cx_v(level) (cx_log_settings.verbosity >= (level))
#define cx_debug(level, message, ...)                                                                                  \
        do {                                                                                                           \
                if (cx_v(level))                                                                                       \
                        cx_info(message __VA_OPT__(, ) __VA_ARGS__);                                                   \
        } while (0)
