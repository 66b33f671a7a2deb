// SPDX-License-Identifier: Apache-2.0
#include "kubelet/certificates/pair.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/process.h"
#include "libcommon/base/time.h"
#include "libcommon/net/pki.h"

#include <fcntl.h>
#include <stdio.h>

#define MAX_PEM ((size_t)1 << 20)

char *pair_path(const char *folder, const char *name)
{
        return cx_sprintf("%s/%s-current.pem", folder, name);
}

int pair_read(const char *folder, const char *name, char **ret_pem, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *path = pair_path(folder, name);
        CX_BUF text = CX_BUF_INIT_MAX(MAX_PEM);
        int r = cx_buf_read_file(&text, path);
        if (r < 0)
                return cx_error_set(err, r, "cannot read %s: %s", path, strerror(-r));
        CX_CLEANUP(cx_freep) char *pem = cx_buf_detach(&text);
        r = cx_pki_fits(pem, pem, err);
        if (r < 0) {
                explicit_bzero(pem, strlen(pem));
                return cx_error_wrap(err, "%s", path);
        }
        *ret_pem = cx_steal(&pem);
        return 0;
}

// Those that a link still leads to, or did until now, stay.
static void remove_old(const char *folder, const char *name, const char *now, const char *before)
{
        CX_STRINGS names = CX_STRINGS_INIT;
        CX_CLEANUP(cx_freep) char *prefix = cx_sprintf("%s-", name), *current = cx_sprintf("%s-current.pem", name);
        if (cx_list_folder(folder, &names, NULL) < 0)
                return;
        for (size_t i = 0; i < names.count; i++) {
                const char *file = names.items[i], *end = strrchr(file, '.');
                bool ours = cx_has_prefix(file, prefix) && end && strcmp(end, ".pem") == 0 &&
                            strspn(file + strlen(prefix), "0123456789-") == (size_t)(end - file) - strlen(prefix);
                if (!ours || !strcmp(file, current) || !strcmp(file, now) || cx_streq(file, before))
                        continue;
                CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, file);
                (void)unlink(path);
        }
}

static int point_to(const char *folder, const char *name, const char *file, struct cx_error *err)
{
        CX_CLEANUP(cx_freep) char *link = pair_path(folder, name), *temporary = cx_sprintf("%s.new", link);
        char before[256] = "";
        ssize_t n = readlink(link, before, sizeof before - 1);
        before[n > 0 ? n : 0] = '\0';
        const char *slash = strrchr(before, '/'); // links of others lead to whole paths
        (void)unlink(temporary);
        if (symlink(file, temporary) < 0 || rename(temporary, link) < 0) {
                int r = -errno;
                return cx_error_set(err, r, "cannot make the link %s: %s", link, strerror(-r));
        }
        remove_old(folder, name, file, slash ? slash + 1 : before);
        return 0;
}

int pair_write(const char *folder, const char *name, const char *cert_pem, const char *key_pem, struct cx_error *err)
{
        time_t seconds = (time_t)(cx_time_now() / CX_US_PER_S);
        struct tm parts;
        char when[32];
        (void)gmtime_r(&seconds, &parts);
        (void)strftime(when, sizeof when, "%Y-%m-%d-%H-%M-%S", &parts);
        CX_CLEANUP(cx_freep)
        char *file = cx_sprintf("%s-%s.pem", name, when), *path = cx_sprintf("%s/%s", folder, file);
        char *text = cx_sprintf("%s%s%s", cert_pem, cert_pem[strlen(cert_pem) - 1] == '\n' ? "" : "\n", key_pem);
        int r = cx_mkdir_all(folder, 0700, err);
        if (r == 0)
                r = cx_write_file(path, text, strlen(text), 0600, true, err);
        explicit_bzero(text, strlen(text));
        free(text);
        return r < 0 ? r : point_to(folder, name, file, err);
}

bool pair_is_valid(const char *cert_pem)
{
        int64_t begin, end, now = cx_time_now() / CX_US_PER_S;
        return cx_pki_validity(cert_pem, &begin, &end, NULL) == 0 && begin <= now && now < end;
}
