// SPDX-License-Identifier: Apache-2.0
// A log file that is set aside when it is full, as lumberjack does it: audit.log becomes audit-2026-01-31T08-15-00.000.log
// (UTC), compressed on request; too many and too old ones are removed, by a thread of the file's own. Any thread may write.
// A line is written whole or not at all.
#pragma once

#include "libcommon/base/error.h"

#include <stdint.h>

struct log_file;
struct log_file_options {
        const char *path;     // "-": standard output; that, devices and pipes are nobody's to set aside
        int64_t max_size;     // bytes
        int64_t max_backups;  // 0: all are kept
        int64_t max_age_days; // 0: they are kept for ever
        bool compress;
};

// Makes the file (mode 0600) and its folder (0700) where they are not there.
int log_file_open(const struct log_file_options *options, struct log_file **ret_file, struct cx_error *err) CX_CHECK;
int log_file_write(struct log_file *file, const char *data, size_t length, struct cx_error *err) CX_CHECK;
void log_file_close(struct log_file *file); // waits for what the thread is doing
