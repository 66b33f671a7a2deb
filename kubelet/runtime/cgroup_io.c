// SPDX-License-Identifier: Apache-2.0
// v1 has two files with a line for each device and direction, v2 one with a line for each device:
//
//     254:0 Read 4096              254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0
#include "kubelet/runtime/cgroup_io.h"

#include "kubelet/runtime/cgroup.h"
#include "libcommon/base/buf.h"

#include <inttypes.h>

struct numbers {
        unsigned major, minor;
        struct cgroup_io *io;
};
struct table {
        struct numbers items[MAX_IO_DEVICES];
        size_t count;
        struct cgroup_io *to;
};

void io_device_name(unsigned major, unsigned minor, char to[IO_DEVICE])
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("/sys/dev/block/%u:%u/uevent", major, minor);
        CX_BUF text = CX_BUF_INIT_MAX(4096);
        const char *name = cx_buf_read_file(&text, path) == 0 ? strstr(text.data, "DEVNAME=") : NULL;
        if (name)
                (void)snprintf(to, IO_DEVICE, "/dev/%.*s", (int)strcspn(name + 8, "\n"), name + 8);
        else
                (void)snprintf(to, IO_DEVICE, "%u:%u", major, minor);
}

static struct cgroup_io *row_of(struct table *table, unsigned major, unsigned minor)
{
        for (size_t i = 0; i < table->count; i++)
                if (table->items[i].major == major && table->items[i].minor == minor)
                        return table->items[i].io;
        if (table->count == MAX_IO_DEVICES)
                return NULL;
        struct cgroup_io *io = &table->to[table->count];
        *io = (struct cgroup_io){0};
        io_device_name(major, minor, io->device);
        table->items[table->count++] = (struct numbers){major, minor, io};
        return io;
}

static void read_v1(const char *folder, const char *file, size_t read, size_t written, struct table *table)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/%s", folder, file);
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (cx_buf_read_file(&text, path) < 0)
                return;
        for (const char *line = text.data, *end; *line; line = *end ? end + 1 : end) {
                end = strchrnul(line, '\n');
                unsigned major, minor;
                char what[16];
                uint64_t value;
                if (sscanf(line, "%u:%u %15s %" SCNu64, &major, &minor, what, &value) != 4)
                        continue; // the sum at the end
                bool is_read = strcmp(what, "Read") == 0;
                struct cgroup_io *io = is_read || strcmp(what, "Write") == 0 ? row_of(table, major, minor) : NULL;
                if (io)
                        memcpy((char *)io + (is_read ? read : written), &value, sizeof value);
        }
}

static void read_v2(const char *folder, struct table *table)
{
        CX_CLEANUP(cx_freep) char *path = cx_sprintf("%s/io.stat", folder);
        CX_BUF text = CX_BUF_INIT_MAX(65536);
        if (cx_buf_read_file(&text, path) < 0)
                return;
        for (const char *line = text.data, *end; *line; line = *end ? end + 1 : end) {
                end = strchrnul(line, '\n');
                unsigned major, minor;
                struct cgroup_io io;
                if (sscanf(line, "%u:%u rbytes=%" SCNu64 " wbytes=%" SCNu64 " rios=%" SCNu64 " wios=%" SCNu64, &major,
                           &minor, &io.read_bytes, &io.written_bytes, &io.reads, &io.writes) != 6)
                        continue;
                struct cgroup_io *row = row_of(table, major, minor);
                if (!row)
                        continue;
                memcpy(io.device, row->device, sizeof io.device);
                *row = io;
        }
}

size_t cgroup_io_read(const char *path, struct cgroup_io to[MAX_IO_DEVICES])
{
        struct table table = {.to = to};
        CX_CLEANUP(cx_freep) char *folder = cgroup_folder("blkio", path);
        if (cgroup_is_v2()) {
                read_v2(folder, &table);
        } else {
                read_v1(folder, "blkio.throttle.io_service_bytes", offsetof(struct cgroup_io, read_bytes),
                        offsetof(struct cgroup_io, written_bytes), &table);
                read_v1(folder, "blkio.throttle.io_serviced", offsetof(struct cgroup_io, reads),
                        offsetof(struct cgroup_io, writes), &table);
        }
        return table.count;
}
