// SPDX-License-Identifier: Apache-2.0
#include "libcommon/net/tls_files.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/log.h"
#include "libcommon/net/pki.h"

#define MAX_PEM ((size_t)1 << 20)

enum { CERT, KEY, CA, OTHER_CA, COUNT };

void cx_tls_files_init(struct cx_tls_files *files, const char *cert, const char *key, const char *ca,
                       const char *other_ca)
{
        *files = (struct cx_tls_files){.paths = {cx_strdup(cert), cx_strdup(key), cx_strdup(ca), cx_strdup(other_ca)}};
}

void cx_tls_files_release(struct cx_tls_files *files)
{
        for (size_t i = 0; i < COUNT; i++)
                free(files->paths[i]);
        free(files->complained);
        *files = (struct cx_tls_files){0};
}

bool cx_tls_files_any(const struct cx_tls_files *files)
{
        return files->paths[CERT] || files->paths[KEY] || files->paths[CA] || files->paths[OTHER_CA];
}

void cx_tls_texts_release(struct cx_tls_texts *texts)
{
        free(texts->cert);
        if (texts->key)
                explicit_bzero(texts->key, strlen(texts->key));
        free(texts->key);
        free(texts->ca);
        free(texts->other_ca);
        *texts = (struct cx_tls_texts){0};
}

static int read_one(const char *path, char **ret_text, struct cx_error *err)
{
        CX_BUF text = CX_BUF_INIT_MAX(MAX_PEM);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        if (strlen(text.data) != text.length)
                return cx_error_set(err, -EINVAL, "%s: not a PEM text", path);
        *ret_text = cx_buf_detach(&text);
        return 0;
}

// Authorities that are being written are not taken for fewer of them: the text has to end with a whole certificate.
static int check(const struct cx_tls_files *files, const struct cx_tls_texts *texts, struct cx_error *err)
{
        CX_ERROR why = CX_ERROR_INIT;
        if (texts->cert && texts->key && cx_pki_fits(texts->cert, texts->key, &why) < 0)
                return cx_error_set(err, -EINVAL, "%s and %s: %s", files->paths[CERT], files->paths[KEY],
                                    cx_error_text(&why));
        const char *const authorities[] = {texts->ca, texts->other_ca};
        for (size_t i = 0; i < CX_ARRAY_SIZE(authorities); i++)
                if (authorities[i] && cx_pki_check_bundle(authorities[i], &why) < 0)
                        return cx_error_set(err, -EINVAL, "%s: %s", files->paths[CA + i], cx_error_text(&why));
        return 0;
}

int cx_tls_files_read(struct cx_tls_files *files, struct cx_tls_texts *ret_texts, struct cx_error *err)
{
        CX_CLEANUP(cx_tls_texts_release) struct cx_tls_texts texts = {0};
        char **const to[] = {&texts.cert, &texts.key, &texts.ca, &texts.other_ca};
        struct cx_file_stamp stamps[COUNT] = {{{0}}};
        int r = 0;
        for (size_t i = 0; i < COUNT && r == 0; i++) {
                if (!files->paths[i])
                        continue;
                stamps[i] =
                        cx_file_stamp_of(files->paths[i]); // before it is read: what comes later is seen as a change
                r = read_one(files->paths[i], to[i], err);
        }
        if (r == 0)
                r = check(files, &texts, err);
        if (r < 0)
                return r;
        memcpy(files->stamps, stamps, sizeof stamps);
        *ret_texts = texts;
        texts = (struct cx_tls_texts){0};
        return 0;
}

bool cx_tls_files_again(struct cx_tls_files *files, struct cx_tls_texts *ret_texts)
{
        bool changed = false;
        for (size_t i = 0; i < COUNT; i++) {
                struct cx_file_stamp now = cx_file_stamp_of(files->paths[i]);
                changed |= files->paths[i] && !cx_file_stamp_equal(&now, &files->stamps[i]);
        }
        if (!changed)
                return false;
        CX_ERROR err = CX_ERROR_INIT;
        if (cx_tls_files_read(files, ret_texts, &err) == 0) {
                cx_info("Certificates were read again", "file",
                        cx_str(files->paths[CERT] ? files->paths[CERT] : files->paths[CA]));
                free(files->complained);
                files->complained = NULL;
                return true;
        }
        if (!cx_streq(files->complained, cx_error_text(&err))) { // once, not at each look
                free(files->complained);
                files->complained = cx_strdup(cx_error_text(&err));
                cx_warn("New certificates cannot be used, the old ones are", "why", files->complained);
        }
        return false;
}
