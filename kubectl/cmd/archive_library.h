// SPDX-License-Identifier: Apache-2.0
// libarchive, loaded when it is needed: with what it needs itself (XML, Unicode, five compressions) it is a quarter of all that
// the loader would map at each start, and only cp uses it.
#pragma once

#include "libcommon/base/error.h"

#include <archive.h>
#include <archive_entry.h>

#define ARCHIVE_FUNCTIONS(X)                                                                                           \
        X(archive_entry_copy_pathname)                                                                                 \
        X(archive_entry_copy_stat)                                                                                     \
        X(archive_entry_copy_symlink)                                                                                  \
        X(archive_entry_filetype)                                                                                      \
        X(archive_entry_free)                                                                                          \
        X(archive_entry_hardlink)                                                                                      \
        X(archive_entry_new)                                                                                           \
        X(archive_entry_pathname)                                                                                      \
        X(archive_entry_set_size)                                                                                      \
        X(archive_entry_symlink)                                                                                       \
        X(archive_error_string)                                                                                        \
        X(archive_read_data_into_fd)                                                                                   \
        X(archive_read_free)                                                                                           \
        X(archive_read_new)                                                                                            \
        X(archive_read_next_header)                                                                                    \
        X(archive_read_open_fd)                                                                                        \
        X(archive_read_support_format_tar)                                                                             \
        X(archive_write_close)                                                                                         \
        X(archive_write_data)                                                                                          \
        X(archive_write_fail)                                                                                          \
        X(archive_write_free)                                                                                          \
        X(archive_write_header)                                                                                        \
        X(archive_write_new)                                                                                           \
        X(archive_write_open_fd)                                                                                       \
        X(archive_write_set_bytes_in_last_block)                                                                       \
        X(archive_write_set_format_gnutar)

struct archive_library {
#define X(name) __typeof__(name) *name;
        ARCHIVE_FUNCTIONS(X)
#undef X
};
extern struct archive_library archive_library;
// Loads it, once. To be called before any of the functions; one thread at a time.
int archive_library_load(struct cx_error *err) CX_CHECK;

#ifndef ARCHIVE_LIBRARY_ITSELF // there the names stand for themselves
#define archive_entry_copy_pathname archive_library.archive_entry_copy_pathname
#define archive_entry_copy_stat archive_library.archive_entry_copy_stat
#define archive_entry_copy_symlink archive_library.archive_entry_copy_symlink
#define archive_entry_filetype archive_library.archive_entry_filetype
#define archive_entry_free archive_library.archive_entry_free
#define archive_entry_hardlink archive_library.archive_entry_hardlink
#define archive_entry_new archive_library.archive_entry_new
#define archive_entry_pathname archive_library.archive_entry_pathname
#define archive_entry_set_size archive_library.archive_entry_set_size
#define archive_entry_symlink archive_library.archive_entry_symlink
#define archive_error_string archive_library.archive_error_string
#define archive_read_data_into_fd archive_library.archive_read_data_into_fd
#define archive_read_free archive_library.archive_read_free
#define archive_read_new archive_library.archive_read_new
#define archive_read_next_header archive_library.archive_read_next_header
#define archive_read_open_fd archive_library.archive_read_open_fd
#define archive_read_support_format_tar archive_library.archive_read_support_format_tar
#define archive_write_close archive_library.archive_write_close
#define archive_write_data archive_library.archive_write_data
#define archive_write_fail archive_library.archive_write_fail
#define archive_write_free archive_library.archive_write_free
#define archive_write_header archive_library.archive_write_header
#define archive_write_new archive_library.archive_write_new
#define archive_write_open_fd archive_library.archive_write_open_fd
#define archive_write_set_bytes_in_last_block archive_library.archive_write_set_bytes_in_last_block
#define archive_write_set_format_gnutar archive_library.archive_write_set_format_gnutar
#endif
