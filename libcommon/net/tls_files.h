// SPDX-License-Identifier: Apache-2.0
// What TLS is made of, from files that others replace while we run: a certificate, its key, authorities. A set of them is
// immutable and counted, so that a handshake goes on with the one that it began with. Files are replaced one after the other:
// a certificate without its key is never taken, the old pair serves until both are there.
#pragma once

#include "libcommon/base/error.h"
#include "libcommon/base/file_stamp.h"

#include <stdatomic.h>

// What is in the files; each NULL where there is none.
struct cx_tls_texts {
        char *cert, *key, *ca, *other_ca;
};

struct cx_tls_files {
        char *paths[4]; // cert, key, ca, other_ca; NULL: never read
        struct cx_file_stamp stamps[4];
        char *complained; // what was last said about them
};
// The paths are copied; each may be NULL.
void cx_tls_files_init(struct cx_tls_files *files, const char *cert, const char *key, const char *ca,
                       const char *other_ca);
void cx_tls_files_release(struct cx_tls_files *files);
bool cx_tls_files_any(const struct cx_tls_files *files);
// The first reading. What has no path is left out of ret_texts. Errors name the file.
int cx_tls_files_read(struct cx_tls_files *files, struct cx_tls_texts *ret_texts, struct cx_error *err) CX_CHECK;
// True when something has changed, and is whole: then ret_texts are what is there now. One thread at a time.
bool cx_tls_files_again(struct cx_tls_files *files, struct cx_tls_texts *ret_texts);
void cx_tls_texts_release(struct cx_tls_texts *texts);
