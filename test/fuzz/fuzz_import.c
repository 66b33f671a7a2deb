// SPDX-License-Identifier: Apache-2.0
// Image archives: their indexes, manifests, configurations and layers, taken into a store in a scratch folder. The input is
// the archive's members, each a line with its name and then its contents, whose first byte says how long they are in eights.
#include "kubelet/image/import.h"
#include "libcommon/base/process.h"
#include "libcommon/base/tree.h"

#include <archive.h>
#include <archive_entry.h>

static void add(struct archive *a, const char *name, const void *data, size_t size)
{
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, name);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, (int64_t)size);
        archive_write_header(a, entry);
        archive_write_data(a, data, size);
        archive_entry_free(entry);
}

static void write_members(const char *path, const uint8_t *data, size_t size)
{
        struct archive *a = archive_write_new();
        archive_write_set_format_ustar(a);
        if (archive_write_open_filename(a, path) != ARCHIVE_OK)
                abort();
        while (size) {
                const uint8_t *end = memchr(data, '\n', size);
                size_t name = end ? (size_t)(end - data) : size;
                CX_CLEANUP(cx_freep) char *text = cx_strndup((const char *)data, name);
                data += name + (end != NULL);
                size -= name + (end != NULL);
                size_t length = size ? (size_t)*data * 8 : 0;
                if (length > size)
                        length = size;
                add(a, text, data, length);
                data += length;
                size -= length;
        }
        archive_write_close(a);
        archive_write_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char root[] = "/dev/shm/fuzz-import.XXXXXX";
        CX_ERROR err = CX_ERROR_INIT;
        struct image_store *store = NULL;
        if (!mkdtemp(root) || image_store_open(root, &store, &err) < 0)
                abort();
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/archive", root);
        write_members(path, data, size);
        (void)!image_import(store, path, &err);
        cx_error_release(&err);
        image_store_free(store);
        if (cx_remove_tree(root, &err) < 0)
                abort();
        return 0;
}
